"""Sums over calls by time and one dimension: what every chart is drawn from, kept beforehand by the hour, and by the
days of the consoles' time zones (:mod:`archive.days`).

A trigger notes the hour of every summary that is written, changed or deleted; :func:`refresh` sums such hours up anew.
Whatever is still noted is summed from the calls themselves when asked, so the figures are exact at any moment and only
their price depends on the refresh. Promises are always counted from the calls: what becomes of them depends on the day.
Cells answer what asks for nothing but days and a language, at whole hours east of Greenwich; all else is summed from
the calls. Days answer it where they begin as those that are asked for do: 24 rows fewer for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive import days
from archive.database import Database
from archive.days import SUMMED, first_hour, runs
from archive.models import Summary, SummaryCell, SummaryDay, SummaryStale
from archive.promises import condition, grace_days, today
from archive.queries import HOUR_US, CallFilter, hour_of_day, select
from archive.summaries import EMOTIONS, doc_of

Dimension = Literal["campaign", "script_id", "stage", "scenario", "lang", "disposition", "hour"]
KEPT: tuple[Dimension, ...] = ("campaign", "script_id", "stage", "scenario", "lang", "disposition")
HOURS_AT_ONCE = 400
FEW_HOURS = 8
"""Hours that are as well summed from their calls as summed up first."""
_MANY_HOURS = 200


@dataclass(frozen=True, slots=True)
class Part:
    """Sums over some of the calls of one bucket: ``value`` of the dimension (``None``: not set), step number ``at``.
    A bucket may come in several parts. ``sums`` are those of :data:`SUMMED`."""

    value: Any
    at: int
    sums: tuple[float, ...]
    promises_kept: int = 0
    promises_broken: int = 0


def parts(
    session: Session, wanted: CallFilter, dimension: Dimension | None, width: int | None, shift: int = 0
) -> Iterator[Part]:
    """The calls of ``wanted`` by ``dimension`` (``None``: all in one) and by steps of ``width`` microseconds (``None``:
    all in one), shifted by ``shift``: step 0 begins ``shift`` before 1970."""
    stale = _stale(session) if _kept(wanted, width, shift) else None
    if stale is None:
        yield from _of_calls(session, wanted, dimension, width, shift)
    else:
        yield from _of_sums(session, wanted, dimension, width, shift, stale)
        for first, last in runs(stale):
            narrowed = _within(wanted, first * HOUR_US, last * HOUR_US)
            yield from _of_calls(session, wanted, dimension, width, shift, narrowed)
    yield from _promises(session, wanted, dimension, width, shift)


def behind(session: Session) -> bool:
    """Whether there are so many stale hours that a :func:`refresh` is worth it."""
    found = sa.select(SummaryStale.hour).distinct().limit(FEW_HOURS + 1).subquery()
    return (session.scalar(sa.select(sa.func.count()).select_from(found)) or 0) > FEW_HOURS


def refresh(database: Database, *, limit: int = HOURS_AT_ONCE, midnight: int | None = None) -> bool:
    """Sum up to ``limit`` stale hours, the latest first, and the days that they lie in, in one transaction; returns
    whether there are more. ``midnight``: minutes east of Greenwich where days begin that are kept from now on too, if
    they are whole hours. Raises ``ArchiveError``."""
    with database.write() as session:
        if session.get_bind().dialect.name == "postgresql":
            # One at a time: two would both enter an hour's cells. Who comes second finds nothing left to do.
            session.execute(sa.select(sa.func.pg_advisory_xact_lock(0x726F6C6C7570)))
        if midnight is not None:
            days.keep(session, midnight)
        noted = sa.select(SummaryStale.hour).distinct().order_by(SummaryStale.hour.desc())
        hours = session.scalars(noted.limit(limit + 1)).all()
        chosen = sorted(hours[:limit])
        if not chosen:
            return False
        # The notes first: a summary whose note is seen here is seen by the sums that follow.
        session.execute(sa.delete(SummaryStale).where(SummaryStale.hour.in_(chosen)))
        session.execute(sa.delete(SummaryCell).where(SummaryCell.hour.in_(chosen)))
        for first, until in runs(chosen):
            for dimension in KEPT:
                _sum_up(session, dimension, first, until)
        days.add_up(session, chosen)
        return len(hours) > limit


def _sum_up(session: Session, dimension: Dimension, first: int, until: int) -> None:
    hour = (Summary.doc // HOUR_US).label("its_hour")
    value = sa.func.coalesce(getattr(Summary, dimension), "").label("its_value")
    found = (
        sa.select(sa.literal(dimension, sa.String), hour, Summary.lang, value, *_SUMS)
        .where(Summary.doc >= first * HOUR_US, Summary.doc < until * HOUR_US)
        .group_by(sa.literal_column("its_hour"), Summary.lang, sa.literal_column("its_value"))
    )
    names = ["dimension", "hour", "lang", "value", *SUMMED]
    session.execute(sa.insert(SummaryCell).from_select(names, found))


def _kept(wanted: CallFilter, width: int | None, shift: int) -> bool:
    plain = CallFilter(
        lang=wanted.lang, started_from=wanted.started_from, started_before=wanted.started_before,
        utc_offset_min=wanted.utc_offset_min,
    )  # fmt: skip
    edges = [doc_of(each) for each in (wanted.started_from, wanted.started_before) if each is not None]
    steps = [width or 0, shift, wanted.utc_offset_min * 60_000_000, *edges]
    return wanted == plain and not any(step % HOUR_US for step in steps)


def _stale(session: Session) -> list[int] | None:
    """The stale hours in order; ``None`` where there are so many that the cells are of no use."""
    found = session.scalars(sa.select(SummaryStale.hour).distinct().limit(_MANY_HOURS + 1)).all()
    return None if len(found) > _MANY_HOURS else sorted(found)


def _of_sums(
    session: Session, wanted: CallFilter, dimension: Dimension | None, width: int | None, shift: int, stale: list[int]
) -> Iterator[Part]:
    """What is kept, from days where they will do: all hours but the stale ones."""
    midnight = days.midnight_of(session, wanted.utc_offset_min) if _by_day(wanted, dimension, width, shift) else None
    edges = [doc_of(each) // HOUR_US for each in (wanted.started_from, wanted.started_before) if each is not None]
    if midnight is None or any(first_hour(edge, midnight) != edge for edge in edges):
        yield from _of_cells(session, SummaryCell, wanted, dimension, width, shift, SummaryCell.hour.not_in(stale))
        return
    broken = sorted({first_hour(hour, midnight) for hour in stale})
    whole = (days.begins(midnight), SummaryDay.hour.not_in(broken))
    yield from _of_cells(session, SummaryDay, wanted, dimension, width, shift, *whole)
    if broken:
        within = (
            sa.and_(SummaryCell.hour >= first, SummaryCell.hour < until)
            for first, until in runs([hour for day in broken for hour in range(day, day + 24)])
        )
        rest = (sa.or_(*within), SummaryCell.hour.not_in(stale))
        yield from _of_cells(session, SummaryCell, wanted, dimension, width, shift, *rest)


def _by_day(wanted: CallFilter, dimension: Dimension | None, width: int | None, shift: int) -> bool:
    hours = None if width is None else width // HOUR_US
    whole = hours is None or (hours % 24 == 0 and (shift // HOUR_US - wanted.utc_offset_min // 60) % 24 == 0)
    return dimension != "hour" and whole


def _of_cells(
    session: Session,
    cells: type[SummaryCell] | type[SummaryDay],
    wanted: CallFilter,
    dimension: Dimension | None,
    width: int | None,
    shift: int,
    *conditions: Any,
) -> Iterator[Part]:
    kept = "lang" if dimension in (None, "hour") else dimension  # the fewest cells
    value: Any = cells.value
    if dimension is None:
        value = sa.literal(0)
    elif dimension == "hour":
        value = (cells.hour + wanted.utc_offset_min // 60) % 24
    at = sa.literal(0) if width is None else (cells.hour + shift // HOUR_US) // (width // HOUR_US)
    sums = (sa.func.sum(getattr(cells, name)) for name in SUMMED)
    found = sa.select(value.label("its_value"), at.label("its_step"), *sums).where(cells.dimension == kept, *conditions)
    if wanted.lang is not None:
        found = found.where(cells.lang == wanted.lang)
    if wanted.started_from is not None:
        found = found.where(cells.hour >= doc_of(wanted.started_from) // HOUR_US)
    if wanted.started_before is not None:
        found = found.where(cells.hour < doc_of(wanted.started_before) // HOUR_US)
    for row in session.execute(found.group_by(*_BUCKET)):
        if row[2]:
            yield Part(_named(row[0], dimension), int(row[1]), _plain(row[2:]))


def _of_calls(
    session: Session,
    wanted: CallFilter,
    dimension: Dimension | None,
    width: int | None,
    shift: int,
    *more: Sequence[Any],
) -> Iterator[Part]:
    found = select(session, wanted, *_keys(wanted, dimension, width, shift), *_SUMS)
    if found is None:
        return
    for conditions in more:
        found = found.where(*conditions)
    for row in session.execute(found.group_by(*_BUCKET)):
        if row[2]:
            yield Part(_named(row[0], dimension), int(row[1]), _plain(row[2:]))


def _promises(
    session: Session, wanted: CallFilter, dimension: Dimension | None, width: int | None, shift: int
) -> Iterator[Part]:
    day, grace = today(wanted.utc_offset_min), grace_days()
    kept, broken = (sa.func.count().filter(condition(what, day, grace)) for what in ("kept", "broken"))
    found = select(session, wanted, *_keys(wanted, dimension, width, shift), kept, broken)
    if found is None:
        return
    found = found.where(Summary.promise_due.is_not(None))
    for row in session.execute(found.group_by(*_BUCKET)):
        if row[2] or row[3]:
            yield Part(_named(row[0], dimension), int(row[1]), _NOTHING, int(row[2]), int(row[3]))


def _keys(wanted: CallFilter, dimension: Dimension | None, width: int | None, shift: int) -> tuple[Any, Any]:
    value: Any = sa.literal(0)
    if dimension is not None:
        value = hour_of_day(wanted.utc_offset_min) if dimension == "hour" else getattr(Summary, dimension)
    at: Any = sa.literal(0) if width is None else (Summary.doc + shift) // width
    return value.label("its_value"), at.label("its_step")


def _within(wanted: CallFilter, first: int, until: int) -> Sequence[Any]:
    return (Summary.doc >= first, Summary.doc < until)


def _named(value: Any, dimension: Dimension | None) -> Any:
    if dimension is None:
        return None
    return int(value) if dimension == "hour" else value or None


def _plain(row: Sequence[Any]) -> tuple[float, ...]:
    return tuple(float(value or 0) for value in row)


def _share(condition_: Any) -> Any:
    return sa.func.count().filter(condition_)


_BUCKET: tuple[Any, Any] = (sa.literal_column("its_value"), sa.literal_column("its_step"))
_NOTHING = (0.0,) * len(SUMMED)
_SUMS = (
    sa.func.count(),
    _share(Summary.borrower_turns > 0),
    _share(Summary.right_party),
    _share(Summary.disposition == "promise_to_pay"),
    _share(Summary.complaint),
    _share(Summary.opt_out),
    _share(Summary.disposition.in_(("human_handoff", "crisis_handoff"))),
    _share(Summary.severity > 0),
    sa.func.sum(Summary.refusals),
    sa.func.sum(Summary.borrower_turns),
    *(sa.func.sum(getattr(Summary, name)) for name in EMOTIONS),
    sa.func.sum(Summary.seconds),
    sa.func.sum(Summary.valence_sum),
    sa.func.sum(Summary.arousal_sum),
)
