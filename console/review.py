"""What reviewers do with calls, inside the caller's unit of work. Everything is audited."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session, aliased

from archive.audit import AuditLog
from console.models import Assignment, Comment, Correction, Scorecard

MAX_COMMENT = 4000


class Reviews:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._audit = AuditLog(session)

    # assignment ------------------------------------------------------------------------------------------------

    def assign(self, call_ids: Sequence[str], reviewer: str, *, by: str, second: bool = False) -> None:
        """Give calls to ``reviewer``; whoever had them before has them no more."""
        for call_id in call_ids:
            where = (Assignment.call_id == call_id, Assignment.second.is_(second))
            self._session.execute(sa.delete(Assignment).where(*where))
            self._session.add(
                Assignment(
                    call_id=call_id, reviewer=reviewer, second=second, assigned_by=by, assigned_at=datetime.now(UTC)
                )
            )
            self._audit.append("review.assigned", actor=by, subject=call_id, reviewer=reviewer, second=second)

    def assigned(self, call_ids: Sequence[str]) -> dict[str, str]:
        """Call id to first reviewer."""
        found = sa.select(Assignment.call_id, Assignment.reviewer).where(
            Assignment.call_id.in_(call_ids), Assignment.second.is_(False)
        )
        return {row.call_id: row.reviewer for row in self._session.execute(found)}

    def second(self, call_id: str) -> str | None:
        """Who was asked for a second opinion."""
        found = sa.select(Assignment.reviewer).where(Assignment.call_id == call_id, Assignment.second.is_(True))
        return self._session.scalar(found)

    def calls_of(self, reviewer: str, limit: int = 1000) -> tuple[str, ...]:
        """The calls that ``reviewer`` was given last, as first or as second."""
        found = sa.select(Assignment.call_id).where(Assignment.reviewer == reviewer).order_by(Assignment.id.desc())
        return tuple(dict.fromkeys(self._session.scalars(found.limit(limit))))

    # comments --------------------------------------------------------------------------------------------------

    def comment(self, call_id: str, text: str, at: float | None, *, by: str) -> Comment:
        """Raises ``ValueError`` for an empty or endless text."""
        text = text.strip()
        if not 0 < len(text) <= MAX_COMMENT:
            raise ValueError(f"a comment has 1 to {MAX_COMMENT} characters")
        row = Comment(call_id=call_id, at=at, author=by, text=text, created_at=datetime.now(UTC))
        self._session.add(row)
        self._session.flush()
        self._audit.append("review.commented", actor=by, subject=call_id, at=at)
        return row

    def comments(self, call_id: str) -> Sequence[Comment]:
        found = sa.select(Comment).where(Comment.call_id == call_id).order_by(Comment.at, Comment.id)
        return self._session.scalars(found).all()

    # scorecards ------------------------------------------------------------------------------------------------

    def score(self, call_id: str, card: str, answers: Mapping[str, str], score: float, *, by: str) -> None:
        """This reviewer's scorecard of the call; a second one takes the first one's place."""
        self._session.execute(sa.delete(Scorecard).where(Scorecard.call_id == call_id, Scorecard.reviewer == by))
        self._session.add(
            Scorecard(
                call_id=call_id, reviewer=by, card=card, answers=dict(answers), score=score, saved_at=datetime.now(UTC)
            )
        )  # fmt: skip
        self._audit.append("review.scored", actor=by, subject=call_id, card=card, score=score)

    def scorecards(self, call_id: str) -> Sequence[Scorecard]:
        found = sa.select(Scorecard).where(Scorecard.call_id == call_id).order_by(Scorecard.id)
        return self._session.scalars(found).all()

    def double_scored(self) -> list[tuple[Scorecard, Scorecard]]:
        """Pairs of scorecards of the same call and card by two reviewers: what agreement is measured on."""
        first, second = aliased(Scorecard), aliased(Scorecard)
        found = sa.select(first, second).join(
            second, (second.call_id == first.call_id) & (second.card == first.card) & (second.id > first.id)
        )
        return [(a, b) for a, b in self._session.execute(found)]

    # corrections -----------------------------------------------------------------------------------------------

    def correct(self, call_id: str, turn_seq: int, field: str, before: str, value: str, *, by: str) -> None:
        """What a turn's ``field`` should be, in this reviewer's word; the last word of each reviewer counts."""
        where = (
            Correction.call_id == call_id,
            Correction.turn_seq == turn_seq,
            Correction.field == field,
            Correction.author == by,
        )
        self._session.execute(sa.delete(Correction).where(*where))
        self._session.add(
            Correction(
                call_id=call_id, turn_seq=turn_seq, field=field, before=before, value=value, author=by,
                created_at=datetime.now(UTC),
            )
        )  # fmt: skip
        self._audit.append("review.corrected", actor=by, subject=call_id, turn=turn_seq, field=field)

    def corrections(self, call_id: str | None = None) -> Sequence[Correction]:
        found = sa.select(Correction).order_by(Correction.id)
        if call_id is not None:
            found = found.where(Correction.call_id == call_id)
        return self._session.scalars(found).all()
