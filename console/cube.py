"""The dashboard's numbers in one pass: the selection, grouped by time and one dimension at once.

Totals, rates over time, and every split of them are sums over the same parts, so they are asked for once, not once a
chart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.dashboards import Bucket, Dimension, Numbers, Step, step_us
from archive.models import Summary, SummaryRule
from archive.queries import CallFilter, select
from archive.rollups import Part, parts
from archive.summaries import moment_of


class Cube:
    """``wanted`` by ``step`` and ``dimension``. Buckets are those of :class:`archive.dashboards.Dashboards`."""

    def __init__(self, session: Session, wanted: CallFilter, step: Step, dimension: Dimension) -> None:
        self._wanted, self._dimension = wanted, dimension
        self._width, self._shift = step_us(step, wanted)
        self._parts = list(parts(session, wanted, dimension, self._width, self._shift))

    def totals(self) -> Numbers:
        return Numbers.of(self._parts)

    def by(self) -> Sequence[Bucket]:
        """One bucket a value, most calls first; hours in order."""
        groups: dict[Any, list[Part]] = {}
        for part in self._parts:
            groups.setdefault(part.value, []).append(part)
        buckets = [
            Bucket(value, Numbers.of(found), None if value is None else self._narrowed(value))
            for value, found in groups.items()
        ]
        hours = self._dimension == "hour"
        return sorted(buckets, key=lambda b: b.key if hours else (-b.numbers.calls, str(b.key)))

    def over_time(self, *values: Any) -> Sequence[Bucket]:
        """In order of time, steps without calls left out: all calls, or those of one value."""
        steps: dict[int, list[Part]] = {}
        for part in self._parts:
            if not values or part.value in values:
                steps.setdefault(part.at, []).append(part)
        asks = self._narrowed(values[0]) if values else self._wanted
        return [self._bucket(at, Numbers.of(steps[at]), asks) for at in sorted(steps)]

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
