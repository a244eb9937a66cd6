"""After a crash: calls that nobody runs any more are entered as interrupted, and lose nothing that was recorded."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from archive import journal
from archive.database import Database
from archive.errors import ArchiveError
from archive.layout import CallFiles, Layout
from archive.liveness import if_dead
from archive.repository import CallRepository
from archive.wav import repair
from archive.writer import ResponseGaps, utc_now

LONGEST_CALL = timedelta(days=1)
"""No call lasts longer."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Recovered:
    """A call that was brought in order: ``seconds`` of its recording are readable, ``None`` where it has none."""

    call_id: str
    seconds: float | None


def recover(database: Database, folder: Path) -> Sequence[Recovered]:
    """Bring in order what crashed processes left in the archive whose home is ``folder``.

    Journals are brought into the database, the headers of recordings that were cut off are mended, and live
    calls without a process become interrupted, ended at their last recorded moment. Calls that are live in this
    or another process are left alone, so this may run at any time. One call's failure is logged and does not
    keep the others waiting. Raises ``ArchiveError`` where the database cannot be read.
    """
    layout = Layout(folder)
    with database.read() as session:
        live = [(c.id, layout.call(c.id, c.started_at)) for c in CallRepository(session).calls(status="live")]
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
    return recovered


def _recover(database: Database, call_id: str, files: CallFiles) -> Recovered | None:
    if not files.folder.is_dir():
        # Another machine that shares the database may hold its files, and its lock: only time can tell then.
        return Recovered(call_id, None) if _interrupt(database, call_id, older_than=LONGEST_CALL) else None
    with if_dead(files.lock) as dead:
        if not dead:
            return None
        journal.replay(database, files.journal)
        seconds = repair(files.recording) if files.recording.exists() else None
        _interrupt(database, call_id)
        return Recovered(call_id, seconds)


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
        return True
