"""Reading and writing single calls. Methods run inside the caller's unit of work; nothing here commits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.audit import AuditLog
from archive.models import Base, Call, Event, Flag, Peaks, RecordingRow, Status, Summary, Turn, VerdictRow

RECORDS: Mapping[str, type[Base]] = {
    "verdicts": VerdictRow,
    "turns": Turn,
    "events": Event,
    "flags": Flag,
}
"""What a call records, by table name."""


class CallRepository:
    """Calls and what they recorded."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self.audit = AuditLog(session)

    def add_call(self, values: Mapping[str, Any]) -> None:
        self._session.execute(sa.insert(Call), [dict(values)])

    def recording(self, call_id: str) -> RecordingRow | None:
        """The call's recording, once the call is sealed."""
        return self._session.get(RecordingRow, call_id)

    def peaks(self, call_id: str) -> Peaks | None:
        return self._session.get(Peaks, call_id)

    def unsealed(self, limit: int) -> Sequence[Call]:
        """Calls that have ended and were never sealed, latest first."""
        found = (
            sa.select(Call)
            .outerjoin(Summary, Summary.call_id == Call.id)
            .where(Call.status != "live", Summary.call_id.is_(None))
            .order_by(Call.started_at.desc())
        )
        return self._session.scalars(found.limit(limit)).all()

    def add_records(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows of one kind. ``table`` is a key of ``RECORDS``; every row carries ``call_id`` and ``seq``."""
        self._session.execute(sa.insert(RECORDS[table]), [dict(row) for row in rows])

    def update_call(self, call_id: str, values: Mapping[str, Any]) -> None:
        self._session.execute(sa.update(Call).where(Call.id == call_id).values(dict(values)))

    def has_record(self, table: str, call_id: str, seq: int) -> bool:
        model = sa.inspect(RECORDS[table]).local_table
        found = sa.select(model.c.id).where(model.c.call_id == call_id, model.c.seq == seq)
        return self._session.execute(found).first() is not None

    def call(self, call_id: str) -> Call | None:
        return self._session.get(Call, call_id)

    def calls(
        self,
        *,
        status: Status | None = None,
        campaign: str | None = None,
        started_from: datetime | None = None,
        started_before: datetime | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> Sequence[Call]:
        """Calls, latest first; moments are aware."""
        found = sa.select(Call).order_by(Call.started_at.desc(), Call.id)
        if status is not None:
            found = found.where(Call.status == status)
        if campaign is not None:
            found = found.where(Call.campaign == campaign)
        if started_from is not None:
            found = found.where(Call.started_at >= started_from)
        if started_before is not None:
            found = found.where(Call.started_at < started_before)
        if limit is not None:
            found = found.limit(limit)
        return self._session.scalars(found.offset(offset)).all()

    def turns(self, call_id: str) -> Sequence[Turn]:
        """In the order in which they began to sound."""
        found = sa.select(Turn).where(Turn.call_id == call_id).order_by(Turn.start, Turn.seq)
        return self._session.scalars(found).all()

    def verdicts(self, call_id: str) -> Sequence[VerdictRow]:
        found = sa.select(VerdictRow).where(VerdictRow.call_id == call_id).order_by(VerdictRow.seq)
        return self._session.scalars(found).all()

    def events(self, call_id: str, kind: str | None = None) -> Sequence[Event]:
        found = sa.select(Event).where(Event.call_id == call_id).order_by(Event.seq)
        if kind is not None:
            found = found.where(Event.kind == kind)
        return self._session.scalars(found).all()

    def flags(self, call_id: str) -> Sequence[Flag]:
        found = sa.select(Flag).where(Flag.call_id == call_id).order_by(Flag.seq)
        return self._session.scalars(found).all()

    def response_gaps(self, call_id: str) -> Sequence[float]:
        """The call's response gaps in ms, in no order."""
        found = sa.select(Turn.response_gap_ms).where(Turn.call_id == call_id, Turn.response_gap_ms.is_not(None))
        return [gap for gap in self._session.scalars(found) if gap is not None]

    def last_moment(self, call_id: str) -> datetime | None:
        """When the call's latest row was recorded."""
        latest = [
            self._session.scalar(sa.select(sa.func.max(model.recorded_at)).where(model.call_id == call_id))
            for model in (VerdictRow, Turn, Event, Flag)
        ]
        return max((moment for moment in latest if moment is not None), default=None)
