"""Numbers over many calls: rates and sentiment by campaign, script, stage, outcome, hour, and over time.

What is summed up, :mod:`archive.rollups` tells; every bucket carries the filter that asks for its calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.days import SUMMED
from archive.models import Summary, SummaryRule
from archive.queries import HOUR_US, CallFilter, select
from archive.rollups import Dimension, Part, parts
from archive.summaries import EMOTIONS, doc_of, moment_of

__all__ = ["Bucket", "Dashboards", "Dimension", "Numbers", "Step", "step_us"]

Step = Literal["hour", "day", "week"]
_STEP_US = {"hour": HOUR_US, "day": 24 * HOUR_US, "week": 7 * 24 * HOUR_US}
_MONDAY_US = 3 * 24 * HOUR_US  # 1970 began on a Thursday


@dataclass(frozen=True, slots=True)
class Numbers:
    """Sums over calls. Rates are shares in [0, 1] of the calls they name, ``None`` where there are none.

    ``conversations`` are calls in which a person spoke (a machine's greeting is none); ``valence`` and ``arousal`` are
    means over the borrower's turns; ``emotions`` counts those turns.
    """

    calls: int = 0
    conversations: int = 0
    right_party: int = 0
    promises: int = 0
    promises_kept: int = 0
    promises_broken: int = 0
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

    @staticmethod
    def of(found: Iterable[Part]) -> Numbers:
        """All of them together."""
        cells = list(found)
        if not cells:
            return Numbers()
        summed = dict(zip(SUMMED, map(sum, zip(*(cell.sums for cell in cells), strict=True)), strict=True))
        turns = int(summed["borrower_turns"])
        counted = {name: int(summed[name]) for name in EMOTIONS}
        plain = (
            "calls", "conversations", "right_party", "promises", "complaints", "opt_outs", "handed_over", "flagged",
            "refusals",
        )  # fmt: skip
        return Numbers(
            **{name: int(summed[name]) for name in plain},
            promises_kept=sum(cell.promises_kept for cell in cells),
            promises_broken=sum(cell.promises_broken for cell in cells),
            seconds=summed["seconds"],
            borrower_turns=turns,
            valence=summed["valence_sum"] / turns if turns else None,
            arousal=summed["arousal_sum"] / turns if turns else None,
            emotions=(("neutral", turns - sum(counted.values())), *counted.items()),
        )

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
    def promise_kept_rate(self) -> float | None:
        """Of the promises whose day has passed, those that payments reached in time (:mod:`archive.promises`)."""
        return _share(self.promises_kept, self.promises_kept + self.promises_broken)

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
        return Numbers.of(parts(self._session, wanted, None, None))

    def by(self, dimension: Dimension, wanted: CallFilter) -> Sequence[Bucket]:
        """One bucket a value, most calls first; hours of the day in order (``wanted.utc_offset_min`` says whose)."""
        groups: dict[Any, list[Part]] = {}
        for part in parts(self._session, wanted, dimension, None):
            groups.setdefault(part.value, []).append(part)
        buckets = []
        for key, found in groups.items():
            value: Any = (key,) if dimension == "disposition" else key
            asks = None if key is None else replace(wanted, **{dimension: value})
            buckets.append(Bucket(key, Numbers.of(found), asks))
        return sorted(buckets, key=lambda b: b.key if dimension == "hour" else (-b.numbers.calls, str(b.key)))

    def over_time(self, step: Step, wanted: CallFilter) -> Sequence[Bucket]:
        """In order of time; steps without calls are left out. Days begin at midnight, weeks on Monday, at
        ``wanted.utc_offset_min``."""
        width, shift = step_us(step, wanted)
        groups: dict[int, list[Part]] = {}
        for part in parts(self._session, wanted, None, width, shift):
            groups.setdefault(part.at, []).append(part)
        buckets = []
        for at in sorted(groups):
            start = moment_of(at * width - shift)
            end = start + timedelta(microseconds=width)
            first = start if wanted.started_from is None else max(start, wanted.started_from)
            last = end if wanted.started_before is None else min(end, wanted.started_before)
            asks = replace(wanted, started_from=first, started_before=last)
            buckets.append(Bucket(start, Numbers.of(groups[at]), asks))
        return buckets

    def rules(self, wanted: CallFilter) -> list[tuple[str, str, str, int, int]]:
        """``(rule, category, decision, times, calls)`` of the rules that fired, most often first."""
        times = sa.func.sum(SummaryRule.times)
        found = sa.select(
            SummaryRule.rule, sa.func.max(SummaryRule.category), SummaryRule.decision, times, sa.func.count()
        )
        span = CallFilter(
            started_from=wanted.started_from, started_before=wanted.started_before, utc_offset_min=wanted.utc_offset_min
        )
        if wanted == span:  # the calls themselves need not be asked
            if wanted.started_from is not None:
                found = found.where(SummaryRule.doc >= doc_of(wanted.started_from))
            if wanted.started_before is not None:
                found = found.where(SummaryRule.doc < doc_of(wanted.started_before))
        else:
            docs = select(self._session, wanted, Summary.doc)
            if docs is None:
                return []
            found = found.where(SummaryRule.doc.in_(docs))
        found = found.group_by(SummaryRule.rule, SummaryRule.decision).order_by(times.desc(), SummaryRule.rule)
        return [(rule, category, decision, int(n), calls) for rule, category, decision, n, calls in
                self._session.execute(found)]  # fmt: skip


def step_us(step: Step, wanted: CallFilter) -> tuple[int, int]:
    """A step's width, and how far it is shifted, in microseconds."""
    return _STEP_US[step], wanted.utc_offset_min * 60_000_000 + (_MONDAY_US if step == "week" else 0)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
