"""The dashboard's numbers in one pass: the selection, grouped by time and one dimension at once.

Totals, rates over time, and every split of them are sums over the same cells, so the table is read once, not once a
chart.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.dashboards import Bucket, Dimension, Numbers, Step
from archive.models import Summary, SummaryRule
from archive.queries import HOUR_US, CallFilter, hour_of_day, select
from archive.summaries import EMOTIONS, moment_of

_DAY_US = 24 * HOUR_US
_STEP_US: dict[Step, int] = {"hour": HOUR_US, "day": _DAY_US, "week": 7 * _DAY_US}
_MONDAY_US = 3 * _DAY_US  # 1970 began on a Thursday
_COUNTED = (
    "calls", "conversations", "right_party", "promises", "complaints", "opt_outs", "flagged", "refusals",
    "borrower_turns",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Sums:
    """``Numbers`` before they are divided: what can be added up."""

    counts: tuple[int, ...]
    emotions: tuple[int, ...]
    valence: float
    arousal: float

    @property
    def numbers(self) -> Numbers:
        counted = dict(zip(_COUNTED, self.counts, strict=True))
        turns = counted["borrower_turns"]
        return Numbers(
            **counted,
            valence=self.valence / turns if turns else None,
            arousal=self.arousal / turns if turns else None,
            emotions=(("neutral", turns - sum(self.emotions)), *zip(EMOTIONS, self.emotions, strict=True)),
        )


class Cube:
    """``wanted`` by ``step`` and ``dimension``. Buckets are those of :class:`archive.dashboards.Dashboards`."""

    def __init__(self, session: Session, wanted: CallFilter, step: Step, dimension: Dimension) -> None:
        self._wanted, self._dimension = wanted, dimension
        self._width = _STEP_US[step]
        self._shift = wanted.utc_offset_min * 60_000_000 + (_MONDAY_US if step == "week" else 0)
        self._cells: dict[tuple[Any, int], _Sums] = {}
        key = hour_of_day(wanted.utc_offset_min) if dimension == "hour" else getattr(Summary, dimension)
        at = (Summary.doc + self._shift) // self._width
        found = select(session, wanted, key.label("value"), at.label("at"), *_SUMS)
        if found is not None:
            for row in session.execute(found.group_by(sa.literal_column("value"), sa.literal_column("at"))):
                counts = tuple(int(getattr(row, name) or 0) for name in _COUNTED)
                emotions = tuple(int(getattr(row, name) or 0) for name in EMOTIONS)
                sums = _Sums(counts, emotions, float(row.valence or 0.0), float(row.arousal or 0.0))
                self._cells[row.value, int(row.at)] = sums

    def totals(self) -> Numbers:
        return _added(self._cells.values()).numbers

    def by(self) -> Sequence[Bucket]:
        """One bucket a value, most calls first; hours in order."""
        buckets = []
        for value in dict.fromkeys(value for value, _ in self._cells):
            numbers = _added(sums for (other, _), sums in self._cells.items() if other == value).numbers
            buckets.append(Bucket(value, numbers, None if value is None else self._narrowed(value)))
        hours = self._dimension == "hour"
        return sorted(buckets, key=lambda b: b.key if hours else (-b.numbers.calls, str(b.key)))

    def over_time(self, *values: Any) -> Sequence[Bucket]:
        """In order of time, steps without calls left out: all calls, or those of one value."""
        steps: dict[int, list[_Sums]] = {}
        for (value, at), sums in self._cells.items():
            if not values or value in values:
                steps.setdefault(at, []).append(sums)
        asks = self._narrowed(values[0]) if values else self._wanted
        return [self._bucket(at, _added(steps[at]).numbers, asks) for at in sorted(steps)]

    def _bucket(self, at: int, numbers: Numbers, asks: CallFilter) -> Bucket:
        start = moment_of(at * self._width - self._shift)
        end = start + timedelta(microseconds=self._width)
        first = start if asks.started_from is None else max(start, asks.started_from)
        last: datetime = end if asks.started_before is None else min(end, asks.started_before)
        return Bucket(start, numbers, replace(asks, started_from=first, started_before=last))

    def _narrowed(self, value: Any) -> CallFilter:
        wanted: Any = (value,) if self._dimension == "disposition" else value
        return replace(self._wanted, **{self._dimension: wanted})


def calls_of_rules(session: Session, wanted: CallFilter, rules: Sequence[str]) -> dict[str, int]:
    """In how many calls each rule fired, whatever it led to."""
    docs = select(session, wanted, Summary.doc)
    if docs is None or not rules:
        return {}
    found = sa.select(SummaryRule.rule, sa.func.count(sa.distinct(SummaryRule.doc))).where(
        SummaryRule.rule.in_(rules), SummaryRule.doc.in_(docs)
    )
    return {rule: int(calls) for rule, calls in session.execute(found.group_by(SummaryRule.rule))}


def _added(cells: Iterable[_Sums]) -> _Sums:
    found = list(cells)
    if not found:
        return _Sums((0,) * len(_COUNTED), (0,) * len(EMOTIONS), 0.0, 0.0)
    return _Sums(
        tuple(map(sum, zip(*(each.counts for each in found), strict=True))),
        tuple(map(sum, zip(*(each.emotions for each in found), strict=True))),
        sum(each.valence for each in found),
        sum(each.arousal for each in found),
    )


def _count(condition: Any) -> Any:
    return sa.func.count().filter(condition)


_SUMS = (
    sa.func.count().label("calls"),
    _count(Summary.borrower_turns > 0).label("conversations"),
    _count(Summary.right_party).label("right_party"),
    _count(Summary.disposition == "promise_to_pay").label("promises"),
    _count(Summary.complaint).label("complaints"),
    _count(Summary.opt_out).label("opt_outs"),
    _count(Summary.severity > 0).label("flagged"),
    sa.func.sum(Summary.refusals).label("refusals"),
    sa.func.sum(Summary.borrower_turns).label("borrower_turns"),
    sa.func.sum(Summary.valence_sum).label("valence"),
    sa.func.sum(Summary.arousal_sum).label("arousal"),
    *(sa.func.sum(getattr(Summary, name)).label(name) for name in EMOTIONS),
)
