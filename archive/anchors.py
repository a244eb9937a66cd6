"""Links of the audit chain that were noted outside the database: what a chain written anew, or an old copy of the
database brought back, does not hold.

A file of anchors has one link a line, ``SEQ:HASH`` and the moment it was noted. It proves something where nobody who
can write to the database can write to it: on another machine, on paper, in a notary's log.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from archive.audit import AuditLog, Link
from archive.database import Database
from archive.errors import ArchiveError, one_line


def note(database: Database, path: Path, *, now: datetime | None = None) -> Link:
    """Add the chain's head to the file of anchors; returns it. Raises ``ArchiveError``."""
    with database.read() as session:
        head = AuditLog(session).head()
    line = f"{head} {(now or datetime.now(UTC)).isoformat(timespec='seconds')}\n".encode()
    try:
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            before = os.fstat(fd).st_size
            if before and os.pread(fd, 1, before - 1) != b"\n":
                line = b"\n" + line
            if os.write(fd, line) != len(line):
                os.ftruncate(fd, before)
                raise OSError(28, "No space left on device")
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as e:
        raise ArchiveError(f"cannot write the anchors {path}: {e.strerror or one_line(e)}") from e
    return head


def noted(path: Path) -> Sequence[Link]:
    """The links of a file of anchors, in order. Raises ``ArchiveError`` for a file that is none, or empty."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as e:
        raise ArchiveError(f"cannot read the anchors {path}: {e.strerror or one_line(e)}") from e
    found = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                found.append(Link.parse(line.split()[0]))
            except ValueError:
                raise ArchiveError(f"the anchors {path}: line {number} holds no link (SEQ:HASH)") from None
    if not found:
        raise ArchiveError(f"the anchors {path}: there is none in it")
    return found
