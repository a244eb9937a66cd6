"""What became of promises to pay: kept, broken, still open, or overtaken.

A promise is the amount and the date with which a call ended (``promise_to_pay``). It stands from the day it was made,
and payments on its case from that day on are its own, until another promise is made on the same case. The day of that,
or on which the lender takes the case back (withdrawn, disputed), is the day it *ends*. Days are those of the case's
time zone; the hour of a payment is seldom known, so a payment on the day that two promises meet is the later one's.

- **kept**: its payments reach its amount by its date, or by ``grace`` days after (:func:`grace_days`);
- **overtaken**: not kept, and it ended by its date: it counts neither for nor against anybody;
- **broken**: neither, and its last day has passed; a part of the amount, or all of it too late, is not the promise;
- **open**: its last day is still to come.

promise-kept rate = kept / (kept + broken), of the promises made in the calls that are asked for.

A promise without an amount or a date, or on a case whose payments nobody tells of, is not judged. Payments come from a
:class:`Payments` (the campaigns' ledger). What is found is kept with the calls' summaries and brought up to date by
:func:`refresh`, some cases at a time; only the passing of days is decided when asked.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement

from archive.database import Database
from archive.errors import ArchiveError
from archive.models import Call, PromiseCase, PromiseSource, Summary

Outcome = Literal["kept", "broken", "open"]
GRACE_VARIABLE = "CALLGATE_PROMISE_GRACE_DAYS"
GRACE_DAYS = 1
"""Days that a payment may take to be seen, unless the setting says otherwise."""
CASES_AT_ONCE = 500
_log = logging.getLogger(__name__)
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Payment:
    """``at`` is aware; of a payment known by its day alone, noon UTC. Money of the case's currency; below zero, taken
    back."""

    at: datetime
    amount: Decimal


@dataclass(frozen=True, slots=True)
class CaseHistory:
    """What is known of a case beside its calls. ``closed_at``: when the lender took it back, if it did."""

    zone: str
    currency: str
    payments: Sequence[Payment] = ()
    closed_at: datetime | None = None


class Payments(Protocol):
    """Somebody who knows what was paid, in the archive's database. Runs inside the caller's transaction."""

    name: str

    def complete(self, session: Session) -> bool:
        """Whether all news that have a position are visible now, and stay so until the transaction ends. Waits for
        nobody."""

    def news(self, session: Session, after: int, limit: int) -> tuple[Sequence[str], int]:
        """Cases with news past position ``after``, from ``limit`` entries at most, and the position of the last one."""

    def of(self, session: Session, cases: Sequence[str]) -> Mapping[str, CaseHistory]:
        """What is known of these cases; those it does not know are left out."""


@dataclass(frozen=True, slots=True)
class Promised:
    """One promise of a case: ``key`` is the caller's."""

    key: str
    made_at: datetime
    due: date
    amount: Decimal
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """``reached``: the first day on which its payments came to its amount; ``ended``: when it was overtaken."""

    reached: date | None
    ended: date | None


def grace_days(environ: Mapping[str, str] | None = None) -> int:
    """``CALLGATE_PROMISE_GRACE_DAYS``, 0 to 60; default 1."""
    text = (os.environ if environ is None else environ).get(GRACE_VARIABLE, "").strip() or str(GRACE_DAYS)
    if not (text.isascii() and text.isdigit() and int(text) <= 60):
        raise ArchiveError(f"{GRACE_VARIABLE} is a number of days from 0 to 60, not {text!r}")
    return int(text)


def fates(promises: Sequence[Promised], history: CaseHistory) -> dict[str, Fate | None]:
    """What became of each promise of one case, by its key. ``None``: it cannot be judged.

    Raises ``ArchiveError`` for a zone that is none.
    """
    try:
        zone = ZoneInfo(history.zone)
    except (ZoneInfoNotFoundError, ValueError) as e:
        raise ArchiveError(f"not a time zone: {history.zone!r}") from e
    ordered = sorted(promises, key=lambda each: (each.made_at, each.key))
    made = [each.made_at.astimezone(zone).date() for each in ordered]
    closed = None if history.closed_at is None else history.closed_at.astimezone(zone).date()
    payments = sorted((each.at.astimezone(zone).date(), each.amount) for each in history.payments)
    found: dict[str, Fate | None] = {}
    for (promise, begins), (_, follows) in pairwise([*zip(ordered, made, strict=True), (None, None)]):
        assert promise is not None and begins is not None
        if promise.amount <= 0 or promise.currency not in (None, "", history.currency):
            found[promise.key] = None
            continue
        total, reached = Decimal(0), None
        for day, amount in payments:
            if day < begins or (follows is not None and day >= follows):
                continue
            total += amount
            if total >= promise.amount and reached is None:
                reached = day
            elif total < promise.amount:
                reached = None  # it was taken back
        ends = [
            day for day in (follows, closed if closed is not None and closed >= begins else None) if day is not None
        ]
        found[promise.key] = Fate(reached, min(ends, default=None))
    return found


def look_again(session: Session, cases: Iterable[str]) -> None:
    """The promises of these cases are looked at by the next :func:`refresh`."""
    rows = [{"case_id": case} for case in dict.fromkeys(cases)]
    if rows:
        insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
        session.execute(insert(PromiseCase).on_conflict_do_nothing(), rows)


def behind(session: Session, source: Payments) -> bool:
    """Whether there is anything to :func:`refresh`."""
    if session.scalar(sa.select(PromiseCase.case_id).limit(1)) is not None:
        return True
    position = session.scalar(sa.select(PromiseSource.position).where(PromiseSource.name == source.name)) or 0
    return source.news(session, position, 1)[1] != position


def refresh(database: Database, source: Payments, *, limit: int = CASES_AT_ONCE) -> bool:
    """Look at up to ``limit`` cases with news, in one transaction; returns whether there may be more. Raises
    ``ArchiveError``."""
    with database.write() as session:
        if not source.complete(session):
            return False  # somebody is entering payments: their news come later, none is passed over
        row = session.get(PromiseSource, source.name, with_for_update=True)
        if row is None:
            row = PromiseSource(name=source.name, position=0)
            session.add(row)
        cases, position = source.news(session, row.position, limit)
        look_again(session, cases)
        row.position = position
        session.flush()
        due = session.scalars(sa.select(PromiseCase.case_id).order_by(PromiseCase.case_id).limit(limit + 1)).all()
        looked = due[:limit]
        histories = source.of(session, looked)
        by_case: dict[str, list[Promised]] = {}
        wanted = sa.select(
            Call.id, Call.case_id, Call.started_at, Call.promise_date, Call.promise_amount, Call.promise_currency
        ).where(Call.case_id.in_(list(histories)), Call.disposition == "promise_to_pay")
        for call in session.execute(wanted):
            if call.promise_date is not None and call.promise_amount is not None:
                promised = Promised(
                    call.id, call.started_at, call.promise_date, call.promise_amount, call.promise_currency
                )
                by_case.setdefault(call.case_id, []).append(promised)
        values = [
            {
                "of_call": promise.key,
                "promise_due": None if fate is None else day_number(promise.due),
                "promise_reached": day_number(fate.reached) if fate is not None and fate.reached else None,
                "promise_ended": day_number(fate.ended) if fate is not None and fate.ended else None,
            }
            for case, promises in by_case.items()
            for promise, fate in _judged(promises, histories[case])
        ]
        if values:
            session.connection().execute(
                sa.update(Summary.__table__).where(Summary.call_id == sa.bindparam("of_call")),  # type: ignore[arg-type]
                values,
            )
        if looked:
            session.execute(sa.delete(PromiseCase).where(PromiseCase.case_id.in_(looked)))
        return len(due) > limit or bool(cases)


def _judged(promises: Sequence[Promised], history: CaseHistory) -> Iterable[tuple[Promised, Fate | None]]:
    try:
        found = fates(promises, history)
    except ArchiveError as e:
        _log.warning("promises of a case are not judged: %s", e)
        found = {}
    return [(promise, found.get(promise.key)) for promise in promises]


def day_number(day: date) -> int:
    """Days since 1970."""
    return (day - _EPOCH) // timedelta(days=1)


def today(utc_offset_min: int = 0, now: datetime | None = None) -> int:
    """The day number at ``utc_offset_min`` minutes east of Greenwich."""
    return day_number(((now or datetime.now(UTC)) + timedelta(minutes=utc_offset_min)).date())


def condition(outcome: Outcome, day: int, grace: int) -> ColumnElement[bool]:
    """SQL: the call's promise is ``outcome`` on day number ``day``."""
    last = Summary.promise_due + grace
    kept = sa.and_(Summary.promise_due.is_not(None), Summary.promise_reached <= last)
    if outcome == "kept":
        return kept
    missed = sa.and_(
        Summary.promise_due.is_not(None),
        sa.or_(Summary.promise_reached.is_(None), Summary.promise_reached > last),
        sa.or_(Summary.promise_ended.is_(None), Summary.promise_ended > Summary.promise_due),
    )
    return sa.and_(missed, last < day if outcome == "broken" else last >= day)
