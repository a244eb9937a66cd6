"""A pool of clean synthetic clips on disk: shards of 8 kHz 16-bit audio with what was said, by whom.

A shard is one uncompressed npz: ``audio`` int16 [samples], ``ends`` int64 [clips], and ``meta`` a JSON list of
``{"text", "lang", "voice"}``. Shards appear under their final name only when complete, so a trainer may read a
pool that is still growing.
"""

from __future__ import annotations

import json
import struct
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.training.voices import Lang
from audio.g711 import Pcm16


@dataclass(frozen=True, slots=True)
class Clip:
    """One spoken sentence: 8 kHz mono ``audio``, ``text`` as the recogniser should write it."""

    audio: Pcm16
    text: str
    lang: Lang
    voice: str


def write_shard(path: Path, clips: list[Clip]) -> None:
    """Write ``clips`` as one shard, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    meta = json.dumps([{"text": c.text, "lang": c.lang, "voice": c.voice} for c in clips], ensure_ascii=False)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as f:
        np.savez(
            f,
            audio=np.concatenate([c.audio for c in clips]),
            ends=np.cumsum([len(c.audio) for c in clips]),
            meta=np.frombuffer(meta.encode(), dtype=np.uint8),
        )
    partial.rename(path)


def read_shard(path: Path) -> Iterable[Clip]:
    """The clips of one shard. Their audio stays on disk until it is used: a pool may be larger than memory."""
    with np.load(path) as shard:
        ends, meta = shard["ends"], json.loads(shard["meta"].tobytes())
    audio = _mapped(path, "audio.npy")
    start = 0
    for row, end in zip(meta, ends, strict=True):
        yield Clip(audio[start:end], row["text"], row["lang"], row["voice"])
        start = int(end)


def _mapped(path: Path, member: str) -> Pcm16:
    """An array of an uncompressed npz, memory-mapped where it lies in the file."""
    with zipfile.ZipFile(path) as archive, path.open("rb") as f:
        at = archive.getinfo(member).header_offset
        f.seek(at + 26)  # lengths of name and extra field end the local header's 30 bytes (APPNOTE.TXT, 4.3.7)
        f.seek(at + 30 + sum(struct.unpack("<HH", f.read(4))))
        version = np.lib.format.read_magic(f)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read(f)
        return np.memmap(path, dtype, "r", f.tell(), shape)
