"""A borrowed encoder of Mandarin and English sentences: what they mean, as numbers, the same for every task.

Google's Universal Sentence Encoder, multilingual, version 3 (Yang et al. 2019, arXiv:1907.04307; Apache-2.0), its
convolutional form: SentencePiece unigrams, windows of two, three and five pieces, an average, and a small network above
it. Only the pieces that Mandarin and English need are kept (:mod:`sentence_encoder.borrow_multilingual`). It is not
tuned: tasks learn heads on its numbers, so that the gate and the understanding share it.

Shapes: N pieces of all texts together, 512 numbers a piece. Windows never reach into a neighbouring text.
"""

from __future__ import annotations

import hashlib
import itertools
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from sentence_encoder.network import Array
from sentence_encoder.pieces import Pieces
from sentence_encoder.store import unpacked

SHIPPED: Final = Path(__file__).parent / "models" / "multilingual.npz"
NUMBERS: Final = 2304
"""Numbers a sentence: see :meth:`Multilingual.numbers`."""
MOST_PIECES: Final = 128
REMEMBERED: Final = 512
"""Texts whose numbers are kept: a turn is read by more than one task, a script's line again and again."""
WINDOWS: Final = {2: 0, 3: 1, 5: 2}
"""Pieces in a window, and how many of them lie before the piece it is centred on."""
_WIDE, _NARROW = 512, 256
_BEGIN, _END = 1, 2  # the marks <s> and </s>
_EPSILON: Final = np.float32(1e-12)


class MultilingualError(ValueError):
    """The file is missing or damaged; the message says which."""


def shapes(pieces: int) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the weights of an encoder of ``pieces`` pieces."""
    found: dict[str, tuple[int, ...]] = {"pieces": (pieces, _WIDE)}
    for width in WINDOWS:
        found |= {
            f"{width}.enter.weight": (_WIDE, _NARROW),
            f"{width}.enter.bias": (_NARROW,),
            f"{width}.norm.weight": (_NARROW,),
            f"{width}.norm.bias": (_NARROW,),
            f"{width}.first.weight": (width * _NARROW, _NARROW),
            f"{width}.first.bias": (_NARROW,),
            f"{width}.second.weight": (width * _NARROW, _NARROW),
            f"{width}.second.bias": (_NARROW,),
        }
    together = _WIDE + len(WINDOWS) * _NARROW
    return found | {
        "norm.weight": (together,),
        "norm.bias": (together,),
        "down.weight": (together, _WIDE),
        "down.bias": (_WIDE,),
        "up1.weight": (_WIDE, 320),
        "up2.weight": (320, 320),
        "past2.weight": (_WIDE, 320),
        "up3.weight": (320, _WIDE),
        "up4.weight": (_WIDE, _WIDE),
        "past4.weight": (320, _WIDE),
    }


class Multilingual:
    """``weights`` by the names of :func:`shapes`. Safe to share between threads.

    Raises ``ValueError`` if the weights do not fit, ``KeyError`` if one is missing.
    """

    def __init__(self, pieces: Pieces, weights: Mapping[str, Array]) -> None:
        threadpool_limits(limits=1, user_api="blas")  # see sentence_encoder.network.Encoder
        if len(pieces) != len(weights["pieces"]):
            raise ValueError(f"{len(pieces)} pieces, weights for {len(weights['pieces'])}")
        self.pieces = pieces
        self._w: dict[str, Array] = {}
        for name, shape in shapes(len(pieces)).items():
            value = np.ascontiguousarray(weights[name], np.float32)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name} has the shape {value.shape}, not {shape}, or is not finite")
            self._w[name] = value
        self._known = lru_cache(maxsize=REMEMBERED)(self._one)

    def numbers(self, texts: Sequence[str]) -> Array:
        """[texts, 2304]: the sentence vector before it is scaled to length one (512), the average below it (512), and
        each state's maximum over the pieces (1280). A text's row does not depend on its neighbours."""
        if not texts:
            return np.zeros((0, NUMBERS), np.float32)
        return np.stack([self._known(text) for text in texts])

    def _one(self, text: str) -> Array:
        found: Array = self._read([[_BEGIN, *self.pieces.encode(text)[:MOST_PIECES], _END]])[0]
        found.flags.writeable = False
        return found

    def many(self, texts: Sequence[str], at_once: int = 32) -> Array:
        """As :meth:`numbers` says, for a corpus: several texts at once, none remembered."""
        rows = [[_BEGIN, *self.pieces.encode(text)[:MOST_PIECES], _END] for text in texts]
        parts = [self._read(rows[i : i + at_once]) for i in range(0, len(rows), at_once)]
        return np.concatenate(parts) if parts else np.zeros((0, NUMBERS), np.float32)

    def _read(self, rows: Sequence[Sequence[int]]) -> Array:
        w = self._w
        cuts = np.cumsum([0, *map(len, rows)])
        x = w["pieces"][np.concatenate([np.asarray(row) for row in rows])]
        states = [x]
        for width, before in WINDOWS.items():
            at = _windows(cuts, width, before)
            entered = _norm(
                x @ w[f"{width}.enter.weight"] + w[f"{width}.enter.bias"],
                w[f"{width}.norm.weight"],
                w[f"{width}.norm.bias"],
            )
            first = entered + _conv(entered, at, w[f"{width}.first.weight"], w[f"{width}.first.bias"])
            states.append(first + _conv(first, at, w[f"{width}.second.weight"], w[f"{width}.second.bias"]))
        together = _norm(np.concatenate(states, axis=1), w["norm.weight"], w["norm.bias"])
        spans = list(itertools.pairwise(cuts.tolist()))
        roots = np.sqrt(np.diff(cuts))[:, None].astype(np.float32)
        down = together @ w["down.weight"] + w["down.bias"]
        average = np.stack([down[a:b].sum(axis=0) for a, b in spans]) / roots
        greatest = np.stack([together[a:b].max(axis=0) for a, b in spans])
        second = np.maximum(np.maximum(average @ w["up1.weight"], 0) @ w["up2.weight"] + average @ w["past2.weight"], 0)
        third = np.maximum(second @ w["up3.weight"], 0)
        vector = np.tanh(third @ w["up4.weight"] + second @ w["past4.weight"])
        return np.asarray(np.concatenate((vector, average, greatest), axis=1), np.float32)


def _windows(cuts: npt.NDArray[np.int64], width: int, before: int) -> npt.NDArray[np.int64]:
    """[N, width]: which piece lies where in each piece's window; N where none does."""
    n = int(cuts[-1])
    at = np.arange(n)[:, None] + np.arange(-before, width - before)
    sizes = np.diff(cuts)
    inside = (at >= np.repeat(cuts[:-1], sizes)[:, None]) & (at < np.repeat(cuts[1:], sizes)[:, None])
    return np.where(inside, at, n)


def _conv(x: Array, at: npt.NDArray[np.int64], weight: Array, bias: Array) -> Array:
    with_nothing = np.concatenate((x, np.zeros((1, x.shape[1]), np.float32)))
    return np.asarray(np.maximum(with_nothing[at].reshape(len(x), -1) @ weight + bias, 0), np.float32)


def _norm(x: Array, weight: Array, bias: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    return np.asarray(
        centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + _EPSILON) * weight + bias, np.float32
    )


def read(path: Path) -> Multilingual:
    """The encoder in a file that :mod:`sentence_encoder.borrow_multilingual` wrote. Raises ``MultilingualError``."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
            stored = {name: data[name] for name in data.files}
        pieces = Pieces([str(piece) for piece in stored["table"]], [float(score) for score in stored["score"]])
        weights = {name: unpacked(stored, name) for name in shapes(len(pieces))}
        return Multilingual(pieces, weights)
    except FileNotFoundError as error:
        raise MultilingualError(f"{path}: there is no sentence encoder") from error
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise MultilingualError(f"{path}: not a sentence encoder: {' '.join(str(error).split())}") from error


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Names the weights that ship, for those who must say what judged a sentence. Raises ``MultilingualError``."""
    try:
        return hashlib.sha256(SHIPPED.read_bytes()).hexdigest()
    except OSError as error:
        raise MultilingualError(f"{SHIPPED}: there is no sentence encoder") from error


@lru_cache(maxsize=1)
def shipped() -> Multilingual:
    """The encoder that ships, read once a process. Raises ``MultilingualError``."""
    return read(SHIPPED)
