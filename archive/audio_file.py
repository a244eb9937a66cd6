"""Reading a recording back, encrypted or not, by time or by byte range: always as the WAV file that it plays as."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np

from archive.covering import Stretch, cover
from archive.encrypted import ChunkReader
from archive.errors import RecordingError, one_line
from archive.track import Pcm16
from archive.wav import CHANNELS, FRAME_BYTES, HEADER_BYTES, MAX_FRAMES, RATE, header

_PIECE = RATE  # frames


class Recording:
    """An open recording: two channels (0 the borrower, 1 the agent), 8 kHz, 16 bit. Not safe between threads."""

    def __init__(
        self, file: BinaryIO, name: str, key: Callable[[bytes], bytes] | None, covered: Sequence[Stretch] = ()
    ) -> None:
        """``key`` gives the data key of an encrypted file's id; ``None``: it is a WAV file. Over ``covered`` lies a
        tone, however the sound is read.

        Closes ``file`` with itself. Raises ``RecordingError``.
        """
        self._file, self._name, self._covered = file, name, covered
        self._chunks = ChunkReader(file, name, key) if key is not None else None
        if self._chunks is not None:
            self.frames = self._chunks.frames
        else:
            try:
                size = file.seek(0, 2)
            except OSError as e:
                raise RecordingError(f"cannot read the recording {name}: {e.strerror or one_line(e)}") from e
            self.frames = min(max(0, size - HEADER_BYTES) // FRAME_BYTES, MAX_FRAMES)

    @property
    def seconds(self) -> float:
        return self.frames / RATE

    @property
    def size(self) -> int:
        """Bytes of the WAV file that it plays as."""
        return HEADER_BYTES + self.frames * FRAME_BYTES

    def sound(self, start: float = 0.0, end: float | None = None) -> Iterator[bytes]:
        """The frames from ``start`` to ``end`` seconds (default: all), in pieces of at most a second."""
        first, last = self._range(start, end)
        yield from self._frames(first, last)

    def samples(self, start: float = 0.0, end: float | None = None) -> Pcm16:
        """The same as an array (n, 2) of int16."""
        return np.frombuffer(b"".join(self.sound(start, end)), "<i2").astype(np.int16).reshape(-1, CHANNELS)

    def wav(self, start: float = 0.0, end: float | None = None) -> Iterator[bytes]:
        """A WAV file of ``start`` to ``end`` seconds (default: all), header first."""
        first, last = self._range(start, end)
        yield header(last - first)
        yield from self._frames(first, last)

    def bytes_of(self, first: int, last: int) -> Iterator[bytes]:
        """Bytes ``first`` up to, not including, ``last`` of the whole WAV file: what an HTTP range request asks for."""
        first, last = max(0, first), min(last, self.size)
        if first < HEADER_BYTES:
            yield header(self.frames)[first : min(last, HEADER_BYTES)]
            first = HEADER_BYTES
        start, skip = divmod(first - HEADER_BYTES, FRAME_BYTES)
        left = last - first
        for piece in self._frames(start, self.frames):
            if left <= 0:
                return
            part = piece[skip : skip + left]
            yield part
            left -= len(part)
            skip = 0

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _range(self, start: float, end: float | None) -> tuple[int, int]:
        last = self.frames if end is None else min(self.frames, max(0, round(end * RATE)))
        return min(max(0, round(start * RATE)), last), last

    def _frames(self, start: int, end: int) -> Iterator[bytes]:
        pieces = self._stored(start, end)
        if not self._covered:
            yield from pieces
            return
        for piece in pieces:
            frames = np.frombuffer(piece, "<i2").reshape(-1, CHANNELS)
            yield cover(frames, start, self._covered).astype("<i2").tobytes()
            start += len(frames)

    def _stored(self, start: int, end: int) -> Iterator[bytes]:
        if self._chunks is not None:
            yield from self._chunks.chunks(start, end)
            return
        while start < end:
            count = min(_PIECE, end - start)
            try:
                self._file.seek(HEADER_BYTES + start * FRAME_BYTES)
                piece = self._file.read(count * FRAME_BYTES)
            except OSError as e:
                raise RecordingError(f"cannot read the recording {self._name}: {e.strerror or one_line(e)}") from e
            if len(piece) < count * FRAME_BYTES:
                raise RecordingError(f"the recording {self._name} is cut off")
            yield piece
            start += count


def open_file(path: Path) -> BinaryIO:
    """Raises ``RecordingError``."""
    try:
        return path.open("rb")
    except OSError as e:
        raise RecordingError(f"cannot read the recording {path}: {e.strerror or one_line(e)}") from e
