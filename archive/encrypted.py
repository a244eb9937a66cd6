"""The encrypted recording: a log while the call lives, seekable chunks once it has ended.

Sound is the recorder's sample frames (two channels, 16 bit, 8 kHz: 4 bytes a frame), cut into chunks of one second. A
chunk is AES-256-GCM under the recording's own data key with a random 96-bit nonce; what a chunk is and where it belongs
is authenticated with it, so none can be changed, moved, exchanged with another file's, or left off the end.

*Log* (``CGLOG\\x01``): a live call's newest seconds still change, and a file that is overwritten in place can be torn
by a kill. So chunks are appended, a newer version of a chunk counts, and a torn record at the end is passed over::

    header  "CGLOG\\x01\\0\\0" | file id, 16 bytes | frames a chunk, u32 | zero, u64
    record  "CGrc" | chunk number, u32 | bytes of sound, u32 | frames of the recording so far, u64
            | nonce, 12 bytes | ciphertext | tag, 16 bytes      associated data: file id + the first 20 bytes

*Sealed* (``CGREC\\x01``): written beside the log when the call ends, then put in its place::

    header  "CGREC\\x01\\0\\0" | file id | frames a chunk, u32 | frames of the recording, u64
    chunk   nonce | ciphertext | tag, all of one length but the last   associated data: header + chunk number, u32

All numbers are little-endian.
"""

from __future__ import annotations

import os
import secrets
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from archive.errors import RecordingError, one_line
from archive.wav import FRAME_BYTES, RATE

CHUNK_FRAMES = RATE
CHUNK_BYTES = CHUNK_FRAMES * FRAME_BYTES
LOG, SEALED = b"CGLOG\x01\0\0", b"CGREC\x01\0\0"
_HEADER = struct.Struct("<8s16sIQ")
_RECORD = struct.Struct("<4sIIQ")
_MARK = b"CGrc"
_NO_CHUNK = 0xFFFFFFFF  # a record that only says how long the recording is by now
_NONCE, _TAG = 12, 16
_SILENCE = memoryview(bytes(CHUNK_BYTES))
_KEEP_CHUNKS = 14
"""Chunks kept in the clear in memory: the recorder's window of ten seconds, and some."""


class LogWriter:
    """Writes a live recording's log. ``write_at(fd, data, offset)`` writes all of ``data`` or raises ``OSError``."""

    def __init__(self, fd: int, file_id: bytes, key: bytes, write_at: Callable[[int, bytes, int], None]) -> None:
        self._fd, self._file_id, self._aes, self._write_at = fd, file_id, AESGCM(key), write_at
        self._chunks: dict[int, bytearray] = {}
        self._dirty: set[int] = set()
        self._frames = 0
        self._end = _HEADER.size
        write_at(fd, _HEADER.pack(LOG, file_id, CHUNK_FRAMES, 0), 0)

    def write(self, start: int, data: bytes, end: int) -> None:
        """Put ``data`` at frame ``start``; the recording has ``end`` frames by now (silence where none was put).

        Raises ``OSError``; what could not be written is tried again by the next call, while it is in memory.
        """
        offset = start * FRAME_BYTES
        view = memoryview(data)
        while view:
            number, at = divmod(offset, CHUNK_BYTES)
            part = view[: CHUNK_BYTES - at]
            if part != _SILENCE[: len(part)] or number in self._chunks:
                self._chunks.setdefault(number, bytearray(CHUNK_BYTES))[at : at + len(part)] = part
                self._dirty.add(number)
            view, offset = view[len(part) :], offset + len(part)
        frames = max(end, self._frames)
        oldest = frames // CHUNK_FRAMES - _KEEP_CHUNKS
        try:
            for number in sorted(self._dirty):
                self._append(number, bytes(self._chunks[number]), frames)
                self._dirty.discard(number)
            if self._frames != frames:
                self._append(_NO_CHUNK, b"", frames)
        finally:
            for number in [n for n in self._chunks if n < oldest]:
                del self._chunks[number]
                self._dirty.discard(number)

    def _append(self, number: int, sound: bytes, frames: int) -> None:
        head = _RECORD.pack(_MARK, number, len(sound), frames)
        nonce = secrets.token_bytes(_NONCE)
        record = head + nonce + self._aes.encrypt(nonce, sound, self._file_id + head)
        # At a place of its own choosing: a record that was cut off by a full disk is written over by the next one.
        self._write_at(self._fd, record, self._end)
        self._end += len(record)
        self._frames = frames


class ChunkReader:
    """Sound of an encrypted recording by frame number, from a log or a sealed file. Not safe between threads."""

    def __init__(self, file: BinaryIO, name: str, key: Callable[[bytes], bytes]) -> None:
        """``key`` gives the data key of a file id. Raises ``RecordingError`` for what is no such recording."""
        self._file, self._name = file, name
        try:
            file.seek(0)
            self._head = file.read(_HEADER.size)
            magic, self.file_id, self._chunk_frames, frames = _HEADER.unpack(self._head)
        except (OSError, struct.error) as e:
            raise RecordingError(f"cannot read the recording {name}: {_reason(e)}") from e
        if magic not in (LOG, SEALED) or self._chunk_frames != CHUNK_FRAMES:
            raise RecordingError(f"{name} is no recording of this program, or one of a newer version")
        self._aes = AESGCM(key(self.file_id))
        self.sealed = magic == SEALED
        self.frames = int(frames)
        self._records: dict[int, tuple[int, bytes]] = {}
        if not self.sealed:
            self._scan()

    def chunks(self, start: int, end: int) -> Iterator[bytes]:
        """The sound of frames ``start``–``end``, in pieces of at most a second. Raises ``RecordingError``."""
        end = min(end, self.frames)
        while start < end:
            number, at = divmod(start, CHUNK_FRAMES)
            count = min(end - start, CHUNK_FRAMES - at)
            yield self._chunk(number)[at * FRAME_BYTES : (at + count) * FRAME_BYTES]
            start += count

    def _chunk(self, number: int) -> bytes:
        whole = min(CHUNK_FRAMES, self.frames - number * CHUNK_FRAMES) * FRAME_BYTES
        try:
            if self.sealed:
                self._file.seek(_HEADER.size + number * (CHUNK_BYTES + _NONCE + _TAG))
                data = self._file.read(_NONCE + whole + _TAG)
                return self._aes.decrypt(data[:_NONCE], data[_NONCE:], self._head + number.to_bytes(4, "little"))
            if number not in self._records:
                return bytes(whole)
            at, head = self._records[number]
            sound = self._record(at, head)
            return sound[:whole].ljust(whole, b"\0")
        except OSError as e:
            raise RecordingError(f"cannot read the recording {self._name}: {_reason(e)}") from e
        except (InvalidTag, ValueError) as e:
            raise RecordingError(f"the recording {self._name} was changed or cut off at second {number}") from e

    def _record(self, at: int, head: bytes) -> bytes:
        self._file.seek(at + _RECORD.size)
        data = self._file.read(_NONCE + _RECORD.unpack(head)[2] + _TAG)
        return self._aes.decrypt(data[:_NONCE], data[_NONCE:], self.file_id + head)

    def _scan(self) -> None:
        """Find the newest version of every chunk. The log ends at the first record that is not whole and genuine."""
        at = _HEADER.size
        while True:
            self._file.seek(at)
            head = self._file.read(_RECORD.size)
            if len(head) < _RECORD.size:
                return
            mark, number, length, frames = _RECORD.unpack(head)
            if mark != _MARK or length > CHUNK_BYTES:
                return
            try:
                self._record(at, head)
            except (InvalidTag, ValueError):
                return
            self.frames = int(frames)
            if number != _NO_CHUNK:
                self._records[number] = (at, head)
            at += _RECORD.size + _NONCE + length + _TAG


def seal(path: Path, key: bytes) -> int:
    """Turn the log at ``path`` into the sealed form, in its place; returns its frames. A sealed file stays as it is.

    Raises ``RecordingError``; the log is whole and readable then.
    """
    part = path.with_name(path.name + ".part")
    try:
        with path.open("rb") as source:
            reader = ChunkReader(source, str(path), lambda _: key)
            if reader.sealed:
                return reader.frames
            head = _HEADER.pack(SEALED, reader.file_id, CHUNK_FRAMES, reader.frames)
            aes = AESGCM(key)
            fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(fd, "wb") as target:
                target.write(head)
                for number, sound in enumerate(reader.chunks(0, reader.frames)):
                    nonce = secrets.token_bytes(_NONCE)
                    target.write(nonce + aes.encrypt(nonce, sound, head + number.to_bytes(4, "little")))
                target.flush()
                os.fsync(target.fileno())
        part.replace(path)
        return reader.frames
    except OSError as e:
        part.unlink(missing_ok=True)
        raise RecordingError(f"cannot seal the recording {path}: {_reason(e)}") from e


def _reason(error: Exception) -> str:
    if isinstance(error, struct.error):
        return "it is cut off"
    return getattr(error, "strerror", None) or one_line(error)
