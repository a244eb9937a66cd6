"""Numbers over many calls: rates and sentiment by campaign, script, stage, outcome, hour, and over time.

One query each over :class:`~archive.models.Summary`; every bucket carries the filter that asks for its calls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.models import Summary, SummaryRule
from archive.queries import HOUR_US, CallFilter, hour_of_day, select
from archive.summaries import EMOTIONS, moment_of

Dimension = Literal["campaign", "script_id", "stage", "scenario", "lang", "disposition", "hour"]
Step = Literal["hour", "day", "week"]
_STEP_US = {"hour": HOUR_US, "day": 24 * HOUR_US, "week": 7 * 24 * HOUR_US}
_MONDAY_US = 3 * 24 * HOUR_US  # 1970 began on a Thursday


@dataclass(frozen=True, slots=True)
class Numbers:
    """Sums over calls. Rates are shares in [0, 1] of the calls they name, ``None`` where there are none.

    ``conversations`` are calls in which a person spoke; ``valence`` and ``arousal`` are means over the borrower's
    turns; ``emotions`` counts those turns.
    """

    calls: int = 0
    conversations: int = 0
    right_party: int = 0
    promises: int = 0
    complaints: int = 0
    opt_outs: int = 0
    handed_over: int = 0
    flagged: int = 0
    refusals: int = 0
    seconds: float = 0.0
    borrower_turns: int = 0
    valence: float | None = None
    arousal: float | None = None
    emotions: tuple[tuple[str, int], ...] = ()

    @property
    def contact_rate(self) -> float | None:
        """Of all calls, those in which a person spoke."""
        return _share(self.conversations, self.calls)

    @property
    def right_party_rate(self) -> float | None:
        """Of the conversations, those with the borrower."""
        return _share(self.right_party, self.conversations)

    @property
    def promise_rate(self) -> float | None:
        """Of the right-party conversations, those that ended with a promise to pay."""
        return _share(self.promises, self.right_party)

    @property
    def complaint_rate(self) -> float | None:
        return _share(self.complaints, self.conversations)

    @property
    def opt_out_rate(self) -> float | None:
        return _share(self.opt_outs, self.conversations)


@dataclass(frozen=True, slots=True)
class Bucket:
    """``key`` is the dimension's value (``None``: not set), or the step's start as an aware moment. ``calls`` asks for
    the calls in it; ``None`` where a filter cannot (calls without a campaign, say)."""

    key: Any
    numbers: Numbers
    calls: CallFilter | None


class Dashboards:
    """Aggregates, inside the caller's unit of work."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def totals(self, wanted: CallFilter) -> Numbers:
        found = select(self._session, wanted, *_SUMS)
        return Numbers() if found is None else _numbers(self._session.execute(found).one())

    def by(self, dimension: Dimension, wanted: CallFilter) -> Sequence[Bucket]:
        """One bucket a value, most calls first; hours of the day in order (``wanted.utc_offset_min`` says whose)."""
        hours = dimension == "hour"
        key = hour_of_day(wanted.utc_offset_min) if hours else getattr(Summary, dimension)
        found = select(self._session, wanted, key.label("bucket"), *_SUMS)
        if found is None:
            return []
        rows = self._session.execute(found.group_by(sa.literal_column("bucket"))).all()
        buckets = []
        for row in rows:
            value: Any = (row.bucket,) if dimension == "disposition" else row.bucket
            asks = None if row.bucket is None else replace(wanted, **{dimension: value})
            buckets.append(Bucket(row.bucket, _numbers(row), asks))
        return sorted(buckets, key=lambda b: b.key if hours else (-b.numbers.calls, str(b.key)))

    def over_time(self, step: Step, wanted: CallFilter) -> Sequence[Bucket]:
        """In order of time; steps without calls are left out. Days begin at midnight, weeks on Monday, at
        ``wanted.utc_offset_min``."""
        width = _STEP_US[step]
        shift = wanted.utc_offset_min * 60_000_000 + (_MONDAY_US if step == "week" else 0)
        number = (Summary.doc + shift) // width
        found = select(self._session, wanted, number.label("bucket"), *_SUMS)
        if found is None:
            return []
        buckets = []
        for row in self._session.execute(
            found.group_by(sa.literal_column("bucket")).order_by(sa.literal_column("bucket"))
        ):
            start = moment_of(row.bucket * width - shift)
            end = start + timedelta(microseconds=width)
            first = start if wanted.started_from is None else max(start, wanted.started_from)
            last = end if wanted.started_before is None else min(end, wanted.started_before)
            buckets.append(Bucket(start, _numbers(row), replace(wanted, started_from=first, started_before=last)))
        return buckets

    def rules(self, wanted: CallFilter) -> list[tuple[str, str, str, int, int]]:
        """``(rule, category, decision, times, calls)`` of the rules that fired, most often first."""
        docs = select(self._session, wanted, Summary.doc)
        if docs is None:
            return []
        times = sa.func.sum(SummaryRule.times)
        found = sa.select(
            SummaryRule.rule, sa.func.max(SummaryRule.category), SummaryRule.decision, times, sa.func.count()
        )
        if wanted != CallFilter():
            found = found.where(SummaryRule.doc.in_(docs))
        found = found.group_by(SummaryRule.rule, SummaryRule.decision).order_by(times.desc(), SummaryRule.rule)
        return [(rule, category, decision, int(n), calls) for rule, category, decision, n, calls in
                self._session.execute(found)]  # fmt: skip


def _count(condition: Any) -> Any:
    return sa.func.coalesce(sa.func.sum(sa.case((condition, 1), else_=0)), 0)


def _sum(column: Any) -> Any:
    return sa.func.coalesce(sa.func.sum(column), 0)


_SUMS = (
    sa.func.count().label("calls"),
    _count(Summary.borrower_turns > 0).label("conversations"),
    _sum(sa.cast(Summary.right_party, sa.Integer)).label("right_party"),
    _count(Summary.disposition == "promise_to_pay").label("promises"),
    _sum(sa.cast(Summary.complaint, sa.Integer)).label("complaints"),
    _sum(sa.cast(Summary.opt_out, sa.Integer)).label("opt_outs"),
    _count(Summary.disposition.in_(("human_handoff", "crisis_handoff"))).label("handed_over"),
    _count(Summary.severity > 0).label("flagged"),
    _sum(Summary.refusals).label("refusals"),
    _sum(Summary.seconds).label("seconds"),
    _sum(Summary.borrower_turns).label("borrower_turns"),
    _sum(Summary.valence_sum).label("valence_sum"),
    _sum(Summary.arousal_sum).label("arousal_sum"),
    *(_sum(getattr(Summary, name)).label(name) for name in EMOTIONS),
)


def _numbers(row: Any) -> Numbers:
    turns = int(row.borrower_turns)
    counted = {name: int(getattr(row, name)) for name in EMOTIONS}
    plain = (
        "calls", "conversations", "right_party", "promises", "complaints", "opt_outs", "handed_over", "flagged",
        "refusals",
    )  # fmt: skip
    return Numbers(
        **{name: int(getattr(row, name)) for name in plain},
        seconds=float(row.seconds),
        borrower_turns=turns,
        valence=row.valence_sum / turns if turns else None,
        arousal=row.arousal_sum / turns if turns else None,
        emotions=(("neutral", turns - sum(counted.values())), *counted.items()),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
