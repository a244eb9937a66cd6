"""A call's recording, written as the call goes: two channels, aligned to the wall clock, readable at any moment.

Where sound belongs is :mod:`archive.track`'s business; this module keeps the clock and the file. The newest
``WINDOW_S`` seconds stay in memory and may still be corrected; the file follows within ``FLUSH_S`` and says how much of
it is written, so that a recording whose process is killed can be read up to the last half second.

The file is a WAV file, or, where its name ends in ``.cgr``, an encrypted one (:mod:`archive.encrypted`), with its
wrapped key beside it (``.key``) until the archive takes the key into the database.
"""

from __future__ import annotations

import fcntl
import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol

import numpy as np

from archive import encrypted, keyfile
from archive.errors import ArchiveError, RecordingError, one_line
from archive.keys import DataKey, MasterKeys, master_keys
from archive.layout import ENCRYPTED_SUFFIX
from archive.track import TOLERANCE, Pcm16, Timeline
from archive.wav import FRAME_BYTES, HEADER_BYTES, MAX_FRAMES, RATE, header

Side = Literal["borrower", "agent"]

WINDOW_S = 10.0
"""How late sound may come and still find its place."""
FLUSH_S = 0.4
SYNC_S = 0.8
_CHANNEL = {"borrower": 0, "agent": 1}
_log = logging.getLogger(__name__)


class _File(Protocol):
    """How sound gets into a file. ``write`` raises ``OSError``."""

    def write(self, start: int, data: bytes, end: int) -> None:
        """Put ``data`` at frame ``start``; the recording has ``end`` frames by now."""

    def finish(self, frames: int) -> None:
        """The recording is over, after ``frames`` frames; the descriptor is still open."""


class _Wav:
    def __init__(self, fd: int) -> None:
        self._fd, self._named = fd, 0
        _write_all(fd, header(0), 0)

    def write(self, start: int, data: bytes, end: int) -> None:
        _write_all(self._fd, data, HEADER_BYTES + start * FRAME_BYTES)
        # Silence up to now costs no blocks: the file is extended with a hole, which reads as zeros.
        if os.fstat(self._fd).st_size < HEADER_BYTES + end * FRAME_BYTES:
            os.ftruncate(self._fd, HEADER_BYTES + end * FRAME_BYTES)
        if end > self._named:  # the header names only what is there
            _write_all(self._fd, header(end), 0)
            self._named = end

    def finish(self, frames: int) -> None:
        if os.fstat(self._fd).st_size > HEADER_BYTES + frames * FRAME_BYTES:
            os.ftruncate(self._fd, HEADER_BYTES + frames * FRAME_BYTES)


class _Encrypted:
    def __init__(self, fd: int, path: Path, keys: MasterKeys) -> None:
        data_key, self._key = DataKey.make(keys)
        self._path = path
        keyfile.write(keyfile.beside(path), data_key)  # before any sound: what nobody can open is not recorded
        self._log = encrypted.LogWriter(fd, data_key.file_id, self._key, _write_all)

    def write(self, start: int, data: bytes, end: int) -> None:
        self._log.write(start, data, end)

    def finish(self, frames: int) -> None:
        """Best effort: a log that cannot be sealed now (the disk is full) is as good, and sealed some other time."""
        try:
            encrypted.seal(self._path, self._key)
        except ArchiveError as e:
            _log.warning("%s", e)


class Recorder:
    """Writes ``path``: left the borrower, right the agent, 8 kHz, 16 bit.

    ``clock`` gives seconds and never goes back; ``start`` is its value at the call's start (default: now).
    ``write``, ``truncate`` and ``now`` never touch the disk and may be called from any thread, an event loop's
    included. A thread writes the file every ``FLUSH_S``; with ``background=False`` the caller's ``write`` does
    so when it is due (for programs that bring their own clock).

    A disk that fails (full, for one) does not raise: ``error`` is set, ``on_error`` (which must not raise) is
    called once, from the thread that found out, what is written stays readable, and writing is tried again at
    every flush; what could not be written in time is silence then. Raises ``RecordingError`` where the file
    cannot be created; a recording that exists is never overwritten. ``keys`` (default: those of the environment)
    matter to an encrypted recording alone; ``KeyProblem`` where there are none.

    While it is open, the recording is locked (``flock``): what is still being written is not sealed.
    """

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        *,
        start: float | None = None,
        background: bool = True,
        on_error: Callable[[RecordingError], None] | None = None,
        keys: MasterKeys | None = None,
    ) -> None:
        encrypts = path.suffix == ENCRYPTED_SUFFIX
        if encrypts and keys is None:
            keys = master_keys()
        if encrypts and keys is None:
            raise RecordingError(f"cannot record to {path}: there is no key to encrypt it with")
        self.path = path
        self.error: RecordingError | None = None
        self._clock, self._start = clock, clock() if start is None else start
        self._on_error = on_error
        self._timeline = Timeline()
        self._lock = threading.Lock()  # the time line; held for microseconds
        self._disk = threading.Lock()  # the file; held while the disk works
        self._written = 0  # frames of the file that the header may name
        self._flushed_at = self._synced_at = self._clock()
        self._closing = threading.Event()
        self._closed = False
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise RecordingError(f"cannot record to {path}: {e.strerror or one_line(e)}") from e
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file: _File = _Encrypted(self._fd, path, keys) if encrypts and keys is not None else _Wav(self._fd)
        except OSError as e:
            os.close(self._fd)
            raise RecordingError(f"cannot record to {path}: {e.strerror or one_line(e)}") from e
        except ArchiveError:
            os.close(self._fd)
            raise
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True) if background else None
        if self._thread is not None:
            self._thread.start()

    @property
    def now(self) -> float:
        """Seconds since the call's start."""
        return self._clock() - self._start

    @property
    def lost(self) -> float:
        """Seconds of sound that came too late or too fast to be placed."""
        return self._timeline.lost / RATE

    def write(self, side: Side, pcm: Pcm16, at: float | None = None) -> None:
        """Record ``pcm`` (mono int16, 8 kHz), which begins to sound ``at`` seconds after the call's start.

        Without ``at``, the borrower's sound begins as it arrives, jitter, stalls and bursts smoothed out; the
        agent's begins when what was written before it has sounded. Raises ``ValueError`` for another type of
        array and for an ``at`` that is not finite. Sound after :meth:`close` is dropped.
        """
        channel = _CHANNEL[side]
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise ValueError(f"a recording takes mono int16 samples, not {pcm.dtype} of {pcm.ndim} dimensions")
        if at is not None and not np.isfinite(at):
            raise ValueError("sound must begin at a finite time")
        if len(pcm) == 0 or self._closed:
            return
        now = self._position()
        with self._lock:
            if at is not None:
                self._timeline.place_at(channel, pcm, round(at * RATE), now)
            elif side == "agent":
                self._timeline.place_queued(channel, pcm, now)
            else:
                self._timeline.place_live(channel, pcm, now)
        if self._thread is None and self._clock() - self._flushed_at >= FLUSH_S:
            self.flush()

    def truncate(self, side: Side, at: float) -> None:
        """Take back the sound of ``side`` from ``at`` seconds on: it was queued and never sounded."""
        with self._lock:
            self._timeline.truncate(_CHANNEL[side], max(0, round(at * RATE)))

    def flush(self) -> None:
        """Bring the file up to now. Sound that is queued for later stays in memory."""
        with self._disk:
            if not self._closed:
                self._flush(self._position(), sync=self._clock() - self._synced_at >= SYNC_S)

    def close(self, at: float | None = None) -> None:
        """Write what is left and close the file; the call ended ``at`` (default: now).

        The agent's sound that was still to come then is left out; without ``at``, the frame that has just
        begun is kept.
        """
        self._closing.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        with self._disk:
            if self._closed:
                return
            self._closed = True
            with self._lock:
                now = self._position() if at is None else max(0, round(at * RATE))
                begun = now if at is not None else min(self._timeline.cursor(1), now + TOLERANCE)
                self._timeline.truncate(1, max(now, begun))
                end = max(now, begun, self._timeline.cursor(0))
            self._flush(max(end, self._written), sync=True)
            try:
                self._file.finish(self._written)
            except OSError as e:
                self._fail(e)
            finally:
                os.close(self._fd)

    def __enter__(self) -> Recorder:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _position(self) -> int:
        return max(0, round(self.now * RATE))

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_S):
            self.flush()

    def _flush(self, end: int, *, sync: bool) -> None:
        """Write the changed frames before ``end`` and extend the recording to it."""
        self._flushed_at = self._clock()
        end = min(end, MAX_FRAMES)
        line = self._timeline
        with self._lock:
            start = max(min(line.dirty, self._written), line.base)
            data = line.copy(start, min(end, max(line.end, self._written))).astype("<i2", copy=False).tobytes()
            line.clean(max(start, end))
        try:
            self._file.write(start, data, end)
            self._written = max(end, self._written)
            if sync:
                os.fdatasync(self._fd)
                self._synced_at = self._clock()
        except OSError as e:
            with self._lock:
                line.clean(min(start, line.dirty))
            self._fail(e)
        with self._lock:
            line.forget(min(end, self._position()) - int(WINDOW_S * RATE))

    def _fail(self, error: OSError) -> None:
        if self.error is not None:
            return
        self.error = RecordingError(f"cannot write the recording {self.path}: {error.strerror or one_line(error)}")
        _log.error("%s", self.error)
        if self._on_error is not None:
            self._on_error(self.error)


def _write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view, offset = view[count:], offset + count
