"""Whose name falls in a live call, for readers who need not know it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from archive.database import Database
from archive.repository import CallRepository
from console.names import names_in, names_in_line


class LiveNames:
    """The names of one reader's live calls: those in what the archive has of a call when it is first seen, and those
    in each line of the agent's from then on. Blocking; forgets a call when it ends."""

    def __init__(self, database: Database, scripts: Path | None) -> None:
        self._database, self._scripts = database, scripts
        self._known: dict[str, tuple[str, ...]] = {}

    def of(self, call: Mapping[str, Any]) -> tuple[str, ...]:
        """The names to cover in this news of a call."""
        call_id = str(call["call_id"])
        if call.get("ended"):
            self._known.pop(call_id, None)
            return ()
        names = self._known.get(call_id)
        if names is None:
            names = self._archived(call_id)
        if call.get("who") == "agent":
            said = names_in_line(str(call.get("text") or ""), str(call.get("lang")), self._scripts)
            names = tuple(dict.fromkeys((*names, *said)))
        self._known[call_id] = names
        return names

    def _archived(self, call_id: str) -> tuple[str, ...]:
        with self._database.read() as session:
            repository = CallRepository(session)
            call = repository.call(call_id)
            return () if call is None else names_in(repository.verdicts(call_id), call, self._scripts)
