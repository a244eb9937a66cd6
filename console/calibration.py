"""Calibration sessions, and who may see whose scorecard, inside the caller's unit of work. Everything is audited.

A second opinion is one only while it does not know the first: what others scored is shown to whoever has scored the
call, and in a calibration to nobody before it is closed.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.audit import AuditLog
from console.models import Assignment, Calibration, CalibrationCall, Scorecard

MOST_CALLS = 50
MAX_TITLE = 80


class Calibrations:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._audit = AuditLog(session)

    def open(self, title: str, card: str, call_ids: Sequence[str], *, by: str) -> Calibration:
        """Raises ``ValueError`` for a title or a number of calls that cannot be used."""
        title, calls = title.strip(), list(dict.fromkeys(call_ids))
        if not 0 < len(title) <= MAX_TITLE:
            raise ValueError(f"a session's name has 1 to {MAX_TITLE} characters")
        if not 0 < len(calls) <= MOST_CALLS:
            raise ValueError(f"a session has 1 to {MOST_CALLS} calls")
        row = Calibration(title=title, card=card, opened_by=by, opened_at=datetime.now(UTC))
        self._session.add(row)
        self._session.flush()
        self._session.add_all([CalibrationCall(calibration_id=row.id, call_id=call) for call in calls])
        self._audit.append("calibration.opened", actor=by, subject=f"calibration:{row.id}", calls=len(calls))
        return row

    def close(self, calibration_id: int, *, by: str) -> None:
        """Show everybody's scorecards from now on; a closed session stays closed. Raises ``KeyError``."""
        row = self._session.get(Calibration, calibration_id)
        if row is None:
            raise KeyError(calibration_id)
        if row.closed_at is None:
            row.closed_at, row.closed_by = datetime.now(UTC), by
            self._audit.append("calibration.closed", actor=by, subject=f"calibration:{row.id}")

    def find(self, calibration_id: int) -> Calibration | None:
        return self._session.get(Calibration, calibration_id)

    def all(self, limit: int = 100) -> Sequence[Calibration]:
        """Open ones first, the newest of them first."""
        order = (Calibration.closed_at.is_not(None), Calibration.id.desc())
        return self._session.scalars(sa.select(Calibration).order_by(*order).limit(limit)).all()

    def calls(self, calibration_id: int) -> Sequence[str]:
        found = sa.select(CalibrationCall.call_id).where(CalibrationCall.calibration_id == calibration_id)
        return self._session.scalars(found.order_by(CalibrationCall.call_id)).all()

    def cards(self, calibration_id: int) -> Sequence[Scorecard]:
        """The scorecards of its calls, in the order of the calls and reviewers."""
        calls = sa.select(CalibrationCall.call_id).where(CalibrationCall.calibration_id == calibration_id)
        found = sa.select(Scorecard).where(Scorecard.call_id.in_(calls))
        return self._session.scalars(found.order_by(Scorecard.call_id, Scorecard.reviewer)).all()

    def visible(self, call_id: str, cards: Sequence[Scorecard], viewer: str) -> list[Scorecard]:
        """What of a call's scorecards ``viewer`` may see: see the module."""
        own = [card for card in cards if card.reviewer == viewer]
        open_one = (
            sa.select(CalibrationCall.call_id)
            .join(Calibration)
            .where(CalibrationCall.call_id == call_id, Calibration.closed_at.is_(None))
        )
        if self._session.scalar(open_one.limit(1)) is not None:
            return own
        second = sa.select(Assignment.id).where(
            Assignment.call_id == call_id, Assignment.second.is_(True), Assignment.reviewer == viewer
        )
        if not own and self._session.scalar(second.limit(1)) is not None:
            return []
        return list(cards)
