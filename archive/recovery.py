"""After a crash: calls that nobody runs any more are entered as interrupted, and lose nothing that was recorded."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from archive import encrypted, journal, keyfile
from archive.audio_file import Recording, open_file
from archive.database import Database
from archive.errors import ArchiveError
from archive.keys import master_keys
from archive.layout import ENCRYPTED_SUFFIX, CallFiles
from archive.liveness import if_dead
from archive.repository import CallRepository
from archive.sealing import seal_call
from archive.store import Store
from archive.wav import RATE, repair
from archive.writer import ResponseGaps, utc_now

LONGEST_CALL = timedelta(days=1)
"""No call lasts longer."""
SEAL_AT_ONCE = 200
"""Calls without a seal that one recovery seals at most; ``callgate archive reprocess`` seals the rest."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """A call that was brought in order: ``seconds`` of its recording are readable, ``None`` where it has none."""

    call_id: str
    seconds: float | None


def recover(database: Database, folder: Path) -> Sequence[Recovered]:
    """Bring in order what crashed processes left in the archive whose home is ``folder``.

    Journals are brought into the database, recordings that were cut off are mended, live calls without a process
    become interrupted, ended at their last recorded moment, and calls that were never sealed are sealed. Calls that
    are live in this or another process are left alone, so this may run at any time. One call's failure is logged and
    does not keep the others waiting. Raises ``ArchiveError`` where the database cannot be read.
    """
    store = Store.from_environment(folder)
    layout = store.layout
    with database.read() as session:
        live = [
            (c.id, layout.call(c.id, c.started_at, encrypted=(c.recording or "").endswith(ENCRYPTED_SUFFIX)))
            for c in CallRepository(session).calls(status="live")
        ]
    files = {call_files.folder: (call_id, call_files) for call_id, call_files in live}
    for path in sorted(layout.calls.glob("*/*/journal.jsonl")):
        files.setdefault(path.parent, (path.parent.name, CallFiles(path.parent)))
    recovered = []
    for call_id, call_files in files.values():
        try:
            found = _recover(database, call_id, call_files)
        except ArchiveError as e:
            _log.error("call %s could not be recovered: %s", call_id, e)
        else:
            if found is not None:
                recovered.append(found)
    seal_missing(database, store, SEAL_AT_ONCE)
    return recovered


def seal_missing(database: Database, store: Store, limit: int) -> tuple[int, int]:
    """Seal up to ``limit`` calls that have ended and were not; returns how many were, and how many cannot be.

    A failure is logged and does not keep the others waiting.
    """
    with database.read() as session:
        calls = [(c.id, store.layout.call(c.id, c.started_at)) for c in CallRepository(session).unsealed(limit)]
    sealed = failed = 0
    for call_id, files in calls:
        if files.journal.exists():
            continue  # rows are missing from the database, and its recovery told so
        try:
            seal_call(database, store, call_id)
            sealed += 1
        except ArchiveError as e:
            _log.warning("call %s is not sealed yet: %s", call_id, e)
            failed += 1
    return sealed, failed


def _recover(database: Database, call_id: str, files: CallFiles) -> Recovered | None:
    if not files.folder.is_dir():
        # Another machine that shares the database may hold its files, and its lock: only time can tell then.
        return Recovered(call_id, None) if _interrupt(database, call_id, older_than=LONGEST_CALL) else None
    with if_dead(files.lock) as dead:
        if not dead:
            return None
        journal.replay(database, files.journal)
        seconds = _mend(files) if files.recording.exists() else None
        _interrupt(database, call_id)
        return Recovered(call_id, seconds)


def _mend(files: CallFiles) -> float:
    if not files.encrypted:
        return repair(files.recording)
    key = keyfile.read(files.key).open(master_keys())
    encrypted.seal(files.recording, key)
    with Recording(open_file(files.recording), str(files.recording), lambda _: key) as recording:
        return recording.frames / RATE


def _interrupt(database: Database, call_id: str, *, older_than: timedelta = timedelta(0)) -> bool:
    with database.write() as session:
        repository = CallRepository(session)
        call = repository.call(call_id)
        if call is None or call.status != "live":
            return False
        if utc_now() - call.started_at < older_than:
            return False
        gaps = ResponseGaps.of(repository.response_gaps(call_id))
        ended = repository.last_moment(call_id) or call.answered_at or call.started_at
        repository.update_call(call_id, {"status": "interrupted", "ended_at": ended, **gaps.columns()})
        repository.audit.append("call.ended", subject=call_id, status="interrupted", disposition=None)
        return True
