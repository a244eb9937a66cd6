"""Recorded calls as files: any format, any rate, one or two channels, hours long, in bounded memory.

A file is decoded once, block by block, into a nameless temporary file of 16-bit samples, which is then read in any
order: memory stays small however long the call, and the sound is gone when the recording is closed. What libsndfile
does not read (m4a, for one), FFmpeg does, through PyAV.
"""

from __future__ import annotations

import contextlib
import os
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
import soxr
from numpy.typing import NDArray

from audio.g711 import Floats, Pcm16, to_float, to_pcm16

HIGHEST_RATE = 16000
"""Speech recognisers hear nothing above 8 kHz: faster recordings are brought down to this rate."""
LOWEST_RATE = 2000
MAX_CHANNELS = 2
_BLOCK = 1 << 18
_REMARKS = threading.Lock()
_OPEN_ENDED = 0x7FFF0000  # writers that cannot seek back leave a size near 2 or 4 GiB in the header


class AudioFileError(ValueError):
    """A file that cannot be heard. The message is one line that names the file and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A decoded call. Close it, or use it as a context.

    ``samples`` has shape ``[frames, channels]``, int16, at ``rate`` Hz, and lies on the disk.
    """

    path: Path
    samples: NDArray[np.int16]
    rate: int
    _file: IO[bytes]

    @property
    def channels(self) -> int:
        return int(self.samples.shape[1])

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def read(self, channel: int | None, start: float, end: float) -> Floats:
        """``start`` to ``end`` seconds of one channel, or of all mixed (None), as floats in [-1, 1]."""
        rows = self.samples[max(0, round(start * self.rate)) : max(0, round(end * self.rate))]
        if channel is not None:
            return to_float(rows[:, channel])
        mixed: Floats = to_float(np.asarray(rows)).mean(axis=1, dtype=np.float32)
        return mixed

    def is_one_sound(self) -> bool:
        """Whether the channels carry the same sound: a mono recording saved as stereo. Compared minute by minute."""
        if self.channels == 1:
            return True
        total = difference = 0.0
        for start in range(0, len(self.samples), 60 * self.rate):
            block = to_float(np.asarray(self.samples[start : start + 60 * self.rate])).astype(np.float64)
            total += float(np.sum(block**2)) / 2
            difference += float(np.sum((block[:, 0] - block[:, 1]) ** 2))
        return difference <= 1e-3 * total

    def close(self) -> None:
        """Let go of the sound: it is gone from the disk."""
        self._file.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _Source:
    """A file being decoded: its form, the seconds that it promises (None: it does not say), float blocks [n, channels].

    ``exact``: a file that ends before the promise was cut off; otherwise the promise is an estimate.
    """

    rate: int
    channels: int
    promised: float | None
    exact: bool
    blocks: Iterator[NDArray[np.float32]]


def open_recording(path: Path, progress: Callable[[float], None] | None = None) -> Recording:
    """Decode ``path``. ``progress`` is told the seconds decoded so far.

    Raises ``AudioFileError``: no such file, not a regular file, empty, not audio, cut off, no sound in it, a rate or
    a number of channels that no call has.
    """
    _check_file(path)
    with contextlib.ExitStack() as stack:
        source = _open(path, stack)
        if source.rate < LOWEST_RATE:
            raise AudioFileError(f"{path}: a sample rate of {source.rate} Hz carries no speech")
        if not 1 <= source.channels <= MAX_CHANNELS:
            raise AudioFileError(f"{path}: {source.channels} channels; a call has one or two")
        spool = tempfile.TemporaryFile(prefix="callgate-")  # noqa: SIM115 - it lives as long as the recording
        try:
            rate, frames = _spool(path, source, spool, progress)
            samples = np.memmap(spool, np.int16, "r", shape=(frames, source.channels))
        except BaseException:
            spool.close()
            raise
    return Recording(path, samples, rate, spool)


def _check_file(path: Path) -> None:
    try:
        if not path.exists():
            raise AudioFileError(f"{path}: no such file")
        if not path.is_file():
            raise AudioFileError(f"{path}: not a file")
        if path.stat().st_size == 0:
            raise AudioFileError(f"{path}: empty")
        with path.open("rb") as file:
            head = file.read(12)
            if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
                _check_wav(path, file, path.stat().st_size)
            elif head[:4] == b"OggS":
                _check_ogg(path, file, path.stat().st_size)
    except OSError as e:
        raise AudioFileError(f"{path}: cannot be read ({e.strerror or e})") from e


def _check_wav(path: Path, file: IO[bytes], size: int) -> None:
    """What decoders pass over in silence: a header of 0 Hz, and data that ends before the header says."""
    per_second = 0
    while len(chunk := file.read(8)) == 8:
        name, length = chunk[:4], struct.unpack("<I", chunk[4:])[0]
        at = file.tell()
        if name == b"fmt ":
            if len(body := file.read(16)) < 16:
                break
            _, channels, rate, per_second, _, _ = struct.unpack("<HHIIHH", body)
            if rate == 0:
                raise AudioFileError(f"{path}: a sample rate of 0 Hz")
            if channels == 0:
                raise AudioFileError(f"{path}: no channels")
        elif name == b"data":
            there = size - at
            if there <= 0 or length == 0:
                raise AudioFileError(f"{path}: no sound in it")
            if there < length < _OPEN_ENDED:
                of = f" ({there / per_second:.1f} of {length / per_second:.1f} s)" if per_second else ""
                raise AudioFileError(f"{path}: cut off before its end{of}")
            return
        file.seek(at + length + length % 2)
    raise AudioFileError(f"{path}: cut off in its header")


def _check_ogg(path: Path, file: IO[bytes], size: int) -> None:
    """The last page of an Ogg stream is marked as such (RFC 3533, section 6): without it the file was cut off."""
    file.seek(max(0, size - 2 * 65307))  # the longest page
    tail = file.read()
    at = tail.rfind(b"OggS")
    if at < 0 or at + 27 > len(tail) or not tail[at + 5] & 0x04:
        raise AudioFileError(f"{path}: cut off before its end")
    segments = tail[at + 26]
    table = tail[at + 27 : at + 27 + segments]
    if len(table) < segments or at + 27 + segments + sum(table) > len(tail):
        raise AudioFileError(f"{path}: cut off before its end")


def _open(path: Path, stack: contextlib.ExitStack) -> _Source:
    import soundfile

    try:
        with _without_remarks():
            file = stack.enter_context(soundfile.SoundFile(path))
    except (soundfile.LibsndfileError, OSError, ValueError):
        return _open_with_ffmpeg(path, stack)
    rate, channels, frames = int(file.samplerate), int(file.channels), int(file.frames)
    if file.format == "MP3":
        with path.open("rb") as raw:
            head = raw.read(1 << 16)
        exact = b"Xing" in head or b"Info" in head  # without this header the length is a guess from the bit rate
    else:
        exact = 0 < frames < 1 << 46
    promised = frames / rate if rate > 0 and 0 < frames < 1 << 46 else None
    quiet = _without_remarks if file.format == "MP3" else contextlib.nullcontext
    return _Source(rate, channels, promised, exact, _soundfile_blocks(file, channels, quiet))


def _soundfile_blocks(
    file: Any, channels: int, quiet: Callable[[], contextlib.AbstractContextManager[None]]
) -> Iterator[NDArray[np.float32]]:
    size = max(1, _BLOCK // max(1, channels))
    while True:
        with quiet():
            block = file.read(size, dtype="float32", always_2d=True)
        if not len(block):
            return
        yield block


@contextlib.contextmanager
def _without_remarks() -> Iterator[None]:
    """libsndfile's MP3 decoder writes remarks on damaged files to the process's standard error by itself."""
    with _REMARKS:
        try:
            kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
        except OSError:  # no standard error to be spared
            yield
            return
        os.dup2(nowhere, 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            os.close(nowhere)


def _open_with_ffmpeg(path: Path, stack: contextlib.ExitStack) -> _Source:
    import av

    av.logging.set_level(av.logging.PANIC)
    try:
        container = stack.enter_context(av.open(str(path), "r"))
    except (av.FFmpegError, OSError, ValueError) as e:
        raise AudioFileError(f"{path}: not audio that can be read") from e
    if not container.streams.audio:
        raise AudioFileError(f"{path}: no audio in it")
    stream = container.streams.audio[0]
    rate, channels = int(stream.rate or 0), int(stream.codec_context.channels)
    promised = None
    if stream.duration and stream.time_base:
        promised = float(stream.duration * stream.time_base)
    return _Source(rate, channels, promised, True, _ffmpeg_blocks(container, stream, rate))


def _ffmpeg_blocks(container: Any, stream: Any, rate: int) -> Iterator[NDArray[np.float32]]:
    import av

    converter = av.AudioResampler(format="fltp", layout=stream.layout, rate=rate)
    for frame in container.decode(stream):
        for converted in converter.resample(frame):
            yield np.ascontiguousarray(converted.to_ndarray().T, dtype=np.float32)
    for converted in converter.resample(None):
        yield np.ascontiguousarray(converted.to_ndarray().T, dtype=np.float32)


def _spool(path: Path, source: _Source, spool: IO[bytes], progress: Callable[[float], None] | None) -> tuple[int, int]:
    """Write the sound to ``spool`` at a rate of at most ``HIGHEST_RATE``; returns rate and frames."""
    rate = min(source.rate, HIGHEST_RATE)
    converter = soxr.ResampleStream(source.rate, rate, source.channels, dtype="float32") if rate < source.rate else None
    decoded = frames = 0
    try:
        for block in source.blocks:
            decoded += len(block)
            frames += _write(spool, block if converter is None else converter.resample_chunk(block))
            if progress is not None:
                progress(decoded / source.rate)
        if converter is not None and decoded:
            rest = converter.resample_chunk(np.zeros((0, source.channels), np.float32), last=True)
            frames += _write(spool, rest)
        spool.flush()
    except AudioFileError:
        raise
    except OSError as e:
        if e.errno is not None and e.filename is None:  # the disk of the temporary file
            raise AudioFileError(f"{path}: cannot be decoded to the temporary folder ({e.strerror})") from e
        raise AudioFileError(f"{path}: damaged, or cut off after {decoded / source.rate:.1f} s") from e
    except (RuntimeError, ValueError) as e:  # what the decoders raise where the data makes no sense
        raise AudioFileError(f"{path}: damaged, or cut off after {decoded / source.rate:.1f} s") from e
    seconds = decoded / source.rate
    if frames == 0:
        raise AudioFileError(f"{path}: no sound in it")
    if source.exact and source.promised is not None and seconds < source.promised - max(0.25, 0.01 * source.promised):
        raise AudioFileError(f"{path}: cut off before its end ({seconds:.1f} of {source.promised:.1f} s)")
    return rate, frames


def _write(spool: IO[bytes], block: NDArray[np.float32]) -> int:
    pcm: Pcm16 = to_pcm16(np.nan_to_num(block, nan=0.0, posinf=1.0, neginf=-1.0))
    spool.write(pcm.tobytes())
    return len(pcm)
