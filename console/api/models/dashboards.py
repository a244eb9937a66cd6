"""Numbers over many calls."""

from __future__ import annotations

from console.api.models.base import Given


class NumbersOut(Given):
    """Sums over calls, and rates as shares in [0, 1] (``null`` where there is nothing to divide by)."""

    calls: int
    conversations: int
    right_party: int
    promises: int
    promises_kept: int
    promises_broken: int
    complaints: int
    opt_outs: int
    handed_over: int
    flagged: int
    refusals: int
    seconds: float
    borrower_turns: int
    valence: float | None
    arousal: float | None
    emotions: dict[str, int]
    contact_rate: float | None
    right_party_rate: float | None
    promise_rate: float | None
    promise_kept_rate: float | None
    complaint_rate: float | None
    opt_out_rate: float | None


class BucketOut(Given):
    """``key`` is the dimension's value (``null``: not set) or the step's start."""

    key: str | int | None
    numbers: NumbersOut


class RuleCount(Given):
    rule: str
    category: str
    decision: str
    times: int
    calls: int
