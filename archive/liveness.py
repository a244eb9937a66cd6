"""Whether some process still runs a call: it holds a lock on a file in the call's folder while it does.

The kernel gives the lock back when the process ends, however it ends, so a call whose lock can be had is not
live. Process ids would not do: they are reused, and differ between containers that share a disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from archive.errors import ArchiveError, one_line


class CallLock:
    """A held lock. ``release`` gives it back and removes its file."""

    def __init__(self, path: Path, fd: int) -> None:
        self._path, self._fd = path, fd

    @staticmethod
    def acquire(path: Path) -> CallLock | None:
        """The lock, or ``None`` where another holds it. Raises ``ArchiveError`` where the file cannot be used."""
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise ArchiveError(f"cannot use the lock {path}: {e.strerror or one_line(e)}") from e
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError as e:
            os.close(fd)
            raise ArchiveError(f"cannot use the lock {path}: {e.strerror or one_line(e)}") from e
        return CallLock(path, fd)

    def release(self) -> None:
        if self._fd < 0:
            return
        with contextlib.suppress(OSError):  # a lock file that stays behind says nothing: only its lock does
            self._path.unlink()
        os.close(self._fd)
        self._fd = -1


@contextlib.contextmanager
def if_dead(path: Path) -> Iterator[bool]:
    """True inside the block where no process runs the call; none can take it up meanwhile."""
    lock = CallLock.acquire(path)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()
