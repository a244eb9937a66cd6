"""The header of a two-channel call recording, and repairing the one of a recording that was cut off.

Format: RIFF WAVE, PCM (format tag 1), two channels (left borrower, right agent), 8000 Hz, 16 bit little-endian;
a canonical 44-byte header, so the data size stands at byte 40 and the RIFF size at byte 4.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from archive.errors import RecordingError, one_line

RATE = 8000
CHANNELS = 2
FRAME_BYTES = 2 * CHANNELS
HEADER_BYTES = 44
MAX_FRAMES = (0xFFFFFFFF - 36) // FRAME_BYTES
"""The longest recording that the format can name: 37 hours."""


def header(frames: int) -> bytes:
    """The 44 bytes before ``frames`` sample frames of data."""
    size = frames * FRAME_BYTES
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, CHANNELS, RATE, RATE * FRAME_BYTES, FRAME_BYTES, 16),
        *(b"data", size),
    )


def repair(path: Path) -> float:
    """Make the header of a recording that was cut off name all the whole frames in the file; returns its seconds.

    A header that is missing or damaged is written anew. Raises ``RecordingError`` where the file cannot be
    read or written.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            frames = min(max(0, size - HEADER_BYTES) // FRAME_BYTES, MAX_FRAMES)
            if size != HEADER_BYTES + frames * FRAME_BYTES:
                os.ftruncate(fd, HEADER_BYTES + frames * FRAME_BYTES)
            if os.pread(fd, HEADER_BYTES, 0) != header(frames):
                os.pwrite(fd, header(frames), 0)
                os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as e:
        raise RecordingError(f"cannot repair the recording {path}: {e.strerror or one_line(e)}") from e
    return frames / RATE
