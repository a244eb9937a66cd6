"""Rows that the database would not take, kept beside the recording and brought home later."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path

from archive.database import Database, DatabaseError
from archive.errors import ArchiveError, one_line
from archive.operations import Operation, apply_once, from_json, to_json
from archive.repository import CallRepository

_log = logging.getLogger(__name__)


def append(path: Path, operations: Sequence[Operation]) -> int:
    """Add operations to the journal at ``path`` and wait until they are on the disk; returns how many it took.

    A disk that fills up on the way takes the first of them, each whole. Raises ``ArchiveError`` where the journal
    cannot be written at all.
    """
    taken = 0
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            start = end = os.fstat(fd).st_size
            cut_off = end > 0 and os.pread(fd, 1, end - 1) != b"\n"  # by a crash: what follows is another line
            try:
                for operation in operations:
                    data = b"\n" * cut_off + to_json(operation).encode() + b"\n"
                    _write_whole(fd, data, end)
                    cut_off, end, taken = False, end + len(data), taken + 1
            finally:
                if taken:
                    taken = _synchronised(fd, start, taken)
        finally:
            os.close(fd)
    except OSError as e:
        if taken == 0:
            raise ArchiveError(f"cannot write the journal {path}: {e.strerror or one_line(e)}") from e
    return taken


def _synchronised(fd: int, start: int, taken: int) -> int:
    """``taken``, once the file is on the disk; a file that cannot be is cut back to ``start``, and counts nothing."""
    try:
        os.fdatasync(fd)
    except OSError as e:
        os.ftruncate(fd, start)
        _log.error("a journal could not be brought to the disk: %s", e.strerror)
        return 0
    return taken


def _write_whole(fd: int, data: bytes, end: int) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        os.ftruncate(fd, end)
        raise


def replay(database: Database, path: Path) -> int:
    """Bring the journal's rows into the database and remove the journal; returns how many lines stayed behind.

    Rows that are there already are passed over. Lines that the database refuses stay in the journal, as does a
    line that a crash cut off. Raises ``ArchiveError`` where the database or the file cannot be used at all;
    nothing is lost then.
    """
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return 0
    except OSError as e:
        raise ArchiveError(f"cannot read the journal {path}: {e.strerror or one_line(e)}") from e
    refused: list[str] = []
    for line in filter(str.strip, lines):
        try:
            operation = from_json(line)
            with database.write() as session:
                apply_once(CallRepository(session), operation)
        except ValueError as e:
            refused.append(line)
            _log.warning("the journal %s has a line that is not readable: %s", path, type(e).__name__)
        except DatabaseError as e:
            if not e.row_at_fault:
                raise
            refused.append(line)
            _log.warning("the journal %s has a row that the database refuses: %s", path, e)
    try:
        if refused:
            rest = path.with_suffix(".rest")
            rest.write_text("\n".join(refused) + "\n", encoding="utf-8")
            rest.replace(path)
        else:
            path.unlink()
    except OSError as e:
        raise ArchiveError(f"cannot rewrite the journal {path}: {e.strerror or one_line(e)}") from e
    return len(refused)
