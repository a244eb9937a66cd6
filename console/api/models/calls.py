"""Calls: which ones are asked for, and what is given of them."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from archive.queries import Order
from console.api.models.base import Given, Reviewed, Sent, Short


class CallsAsked(Sent):
    """Which calls: the review queue's filters. ``review`` is ``all`` where nothing is said."""

    q: Annotated[str | None, Field(max_length=200, description="Words that all fell; `pay*` asks for a prefix.")] = None
    reason: Short | None = None
    rule: Short | None = None
    severity: Literal["low", "medium", "high", "critical"] | None = None
    review: Literal["open", "done", "none", "all"] = "all"
    disposition: Annotated[str | None, Field(max_length=32)] = None
    lang: Literal["zh", "en"] | None = None
    campaign: Short | None = None
    script_id: Short | None = None
    stage: Short | None = None
    scenario: Short | None = None
    emotion: Literal["positive", "anxious", "sad", "frustrated", "angry"] | None = None
    since: Annotated[date | None, Field(alias="from", description="First day, in the console's time zone.")] = None
    until: Annotated[date | None, Field(alias="to", description="Last day, in the console's time zone.")] = None
    hour: Annotated[int | None, Field(ge=0, le=23)] = None
    complaint: bool | None = None
    opt_out: bool | None = None
    right_party: bool | None = None


class PageAsked(CallsAsked):
    order: Order = "newest"
    cursor: Annotated[str | None, Field(pattern=r"^\d{1,2}\.\d{1,18}$", description="`next` of the page before.")] = (
        None
    )
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class ListedCall(Given):
    """A call in a list."""

    id: str
    started_at: datetime
    lang: str
    status: str
    disposition: str | None
    campaign: str | None
    script_id: str | None
    stage: str | None
    scenario: str | None
    review: Reviewed
    severity: int = Field(ge=0, le=4)
    reasons: list[str]
    seconds: float
    turns: int
    refusals: int
    right_party: bool
    complaint: bool
    opt_out: bool
    reviewer: str | None


class CallList(Given):
    """``next`` is the cursor of the page after this one; ``total`` counts up to 10,000."""

    calls: list[ListedCall]
    next: str | None
    total: int


class Rule(Given):
    id: str
    category: str | None = None
    clause: str | None = None
    review: str | None = None
    start: int | None = None
    end: int | None = None
    explanation: dict[str, str] = Field(default_factory=dict)


class VerdictOut(Given):
    """The gate's answer. ``proposed`` was judged, ``text`` might be spoken."""

    seq: int
    at: float
    decision: str
    proposed: str
    text: str
    line_id: str | None
    script_hash: str | None
    policy_hash: str | None
    rules: list[Rule]


class TurnOut(Given):
    """One utterance. ``heard_text`` is what was audible of an interrupted line. ``words`` is empty where names and
    numbers are hidden: single words would spell them."""

    seq: int
    who: Literal["borrower", "agent"]
    start: float
    end: float
    text: str
    heard_text: str | None
    words: list[dict[str, Any]]
    confidence: float | None
    intent: str | None
    intents: list[dict[str, Any]]
    slots: dict[str, Any]
    emotion: str | None
    scores: dict[str, float | None]
    arousal: float | None
    valence: float | None
    line_id: str | None
    script_hash: str | None
    verdict_seq: int | None
    interrupted: bool
    response_gap_ms: float | None


class EventOut(Given):
    seq: int
    at: float
    kind: str
    payload: dict[str, Any]


class FlagOut(Given):
    seq: int
    at: float
    reason: str
    severity: str


class PromiseOut(Given):
    date: date | None
    amount: str | None
    currency: str | None


class TurningPointOut(Given):
    """``change`` of the smoothed valence, and the agent's line before it."""

    time: float
    change: float
    agent_line: str | None


class FiguresOut(Given):
    """Estimates by the formulas of docs/understanding.md: shares and risks in [0, 1], times in seconds, rates in
    syllables or words a second."""

    resolution: str
    promise_strength: float
    distress_risk: float
    complaint_risk: float
    talk_ratio: float | None
    overlap: float
    interruptions: dict[str, int]
    longest_silence: float
    speech_rate: dict[str, float | None]
    turning_points: list[TurningPointOut]


class CallOut(Given):
    """One call with all that was recorded. ``hidden``: names and numbers are covered, by the key's role."""

    id: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    lang: str
    status: str
    disposition: str | None
    campaign: str | None
    case_id: str | None
    person_id: str | None
    stage: str | None
    scenario: str | None
    script_id: str | None
    script_hash: str | None
    policy: str | None
    policy_hash: str | None
    models: dict[str, str]
    promise: PromiseOut | None
    response_gap_p50_ms: float | None
    response_gap_p95_ms: float | None
    recorded: bool
    review: Reviewed | None
    reviewer: str | None
    hidden: bool
    turns: list[TurnOut]
    verdicts: list[VerdictOut]
    events: list[EventOut]
    flags: list[FlagOut]
    figures: FiguresOut | None


class PeaksOut(Given):
    """Per channel (borrower, agent) lowest and highest sample of each bin, in [-1, 1]."""

    peaks: list[list[float]]
    seconds: float
