"""Batch work over calls that are archived: sealing what was never sealed, renewing what lists, charts and search read.

Sealed rows are never touched: a call that is transcribed anew by a better model is a new analysis, for its own tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from archive.audit import SYSTEM
from archive.database import Database
from archive.errors import ArchiveError
from archive.models import Call, Summary
from archive.recovery import seal_missing
from archive.repository import CallRepository
from archive.store import Store
from archive.summaries import write_summary

_BATCH = 50


@dataclass(frozen=True, slots=True)
class Reprocessed:
    """How many calls were sealed for the first time, could not be, and had their summary and text renewed."""

    sealed: int
    failed: int
    renewed: int


def reprocess(
    database: Database,
    store: Store,
    *,
    calls: Sequence[str] = (),
    started_from: datetime | None = None,
    started_before: datetime | None = None,
    actor: str = SYSTEM,
) -> Reprocessed:
    """Seal what has ended and is not sealed, and write the summaries and searchable text of the chosen calls anew
    (default: all): after a change of the tokeniser or of what is counted. Sealed rows are not touched.

    Raises ``ArchiveError`` for an unknown call.
    """
    sealed, failed = seal_missing(database, store, limit=1_000_000)
    with database.read() as session:
        found = sa.select(Call.id).join(Summary, Summary.call_id == Call.id).order_by(Call.started_at)
        if calls:
            found = found.where(Call.id.in_(calls))
        if started_from is not None:
            found = found.where(Call.started_at >= started_from)
        if started_before is not None:
            found = found.where(Call.started_at < started_before)
        chosen = list(session.scalars(found))
    missing = set(calls) - set(chosen)
    if missing:
        raise ArchiveError(f"the archive has no sealed call {min(missing)!r}")
    for at in range(0, len(chosen), _BATCH):
        with database.write() as session:
            repository = CallRepository(session)
            for call_id in chosen[at : at + _BATCH]:
                call = repository.call(call_id)
                if call is not None:
                    rows = repository.turns(call_id), repository.verdicts(call_id), repository.events(call_id)
                    write_summary(session, call, *rows, repository.flags(call_id))
            repository.audit.append("archive.reprocessed", actor=actor, calls=len(chosen[at : at + _BATCH]))
    return Reprocessed(sealed, failed, len(chosen))
