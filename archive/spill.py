"""Where a live call's rows go that the database will not take: to its journal, and where that fails, into memory."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from archive import journal
from archive.database import Database
from archive.errors import ArchiveError
from archive.operations import Operation

_log = logging.getLogger(__name__)


class Spill:
    """One call's. Used by the commit queue's thread only, but for :attr:`waiting`."""

    def __init__(self, call_id: str, path: Path) -> None:
        self._call_id, self._path = call_id, path
        self._kept: list[Operation] = []
        self._written = self._told = False

    @property
    def waiting(self) -> bool:
        """Whether rows are missing from the database."""
        return self._written and self._path.exists()

    def keep(self, operations: Sequence[Operation]) -> None:
        """Write the rows to the journal, after those that it would not take before."""
        self._kept.extend(operations)
        self._write()

    def bring_home(self, database: Database) -> None:
        """Offer everything to the database again. What it refuses stays beside the recording."""
        self._write()
        if not self._written:
            return
        try:
            journal.replay(database, self._path)
        except ArchiveError as e:
            _log.error("call %s: its journal stays beside the recording: %s", self._call_id, e)

    def _write(self) -> None:
        if not self._kept:
            return
        try:
            taken = journal.append(self._path, self._kept)
        except ArchiveError as e:
            if not self._told:
                self._told = True
                _log.error("call %s: rows are in memory only: %s", self._call_id, e)
        else:
            self._written = True
            del self._kept[:taken]
