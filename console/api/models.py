"""What the interface takes and gives. Moments are ISO 8601 in UTC; times named ``at``, ``start`` and ``end`` are
seconds since the call was answered; money is a decimal string."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from archive.queries import Order
from console.permissions import Permission, Role
from console.review import MAX_COMMENT

Short = Annotated[str, StringConstraints(max_length=128)]
Reviewed = Literal["none", "open", "done"]
Seconds = Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)]


class Sent(BaseModel):
    """A body or a query: nothing unknown in it."""

    model_config = ConfigDict(extra="forbid")


class Given(BaseModel):
    """An answer, made from rows as well as from mappings."""

    model_config = ConfigDict(from_attributes=True)


class Problem(Given):
    """What was wrong, in one line."""

    error: str


# calls -----------------------------------------------------------------------------------------------------------


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
    explanation: dict[str, str] = {}


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


class PeaksOut(Given):
    """Per channel (borrower, agent) lowest and highest sample of each bin, in [-1, 1]."""

    peaks: list[list[float]]
    seconds: float


# review ----------------------------------------------------------------------------------------------------------


class NewComment(Sent):
    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=MAX_COMMENT)]
    at: Seconds | None = None


class CommentOut(Given):
    id: int
    at: float | None
    author: str
    text: str
    created_at: datetime


class NewCorrection(Sent):
    turn: Annotated[int, Field(ge=0, le=100_000)]
    field: Literal["intent", "emotion", "verdict", "text"]
    value: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=400)]


class CorrectionOut(Given):
    id: int
    call_id: str
    turn_seq: int
    field: str
    before: str
    value: str
    author: str
    created_at: datetime


class CorrectionList(Given):
    """``next`` is the ``after`` of the page after this one."""

    corrections: list[CorrectionOut]
    next: int | None


class Answers(Sent):
    answers: Annotated[
        dict[
            Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=400)]
        ],
        Field(max_length=100),
    ]  # fmt: skip


class ScorecardOut(Given):
    id: int
    call_id: str
    reviewer: str
    card: str
    answers: dict[str, Any]
    score: float
    saved_at: datetime


class QuestionOut(Given):
    id: str
    kind: str
    weight: float
    text: dict[str, str]


class CardOut(Given):
    id: str
    title: dict[str, str]
    questions: list[QuestionOut]


class ReviewState(Sent):
    state: Literal["open", "done"]


class NewAssignment(Sent):
    reviewer: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    second: bool = False


class Changed(Given):
    """``changed`` is false where there was nothing to change."""

    changed: bool = True


class Agreement(Given):
    """Cohen's kappa over the questions that two reviewers answered for the same calls."""

    calls: int
    kappa: float | None
    by_question: dict[str, float | None]


# dashboards ------------------------------------------------------------------------------------------------------


class NumbersOut(Given):
    """Sums over calls, and rates as shares in [0, 1] (``null`` where there is nothing to divide by)."""

    calls: int
    conversations: int
    right_party: int
    promises: int
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


# people, keys, audit ---------------------------------------------------------------------------------------------

Name = Annotated[str, StringConstraints(pattern=r"^[\w.@+-]{2,64}$")]


class Me(Given):
    name: str
    role: Role
    permissions: list[Permission]


class PersonOut(Given):
    name: str
    role: str
    lang: str
    has_password: bool
    disabled_at: datetime | None
    created_at: datetime


class NewPerson(Sent):
    name: Name
    role: Role
    lang: Literal["zh", "en"] = "zh"


class Invited(Given):
    """``link`` is a path at the console that sets the password, once, within a day."""

    name: str
    link: str


class NewRole(Sent):
    role: Role


class KeyOut(Given):
    id: int
    name: str
    role: str
    created_by: str
    created_at: datetime
    revoked_at: datetime | None


class NewKey(Sent):
    name: Name
    role: Role


class MadeKey(Given):
    """``key`` is in this answer and nowhere else."""

    name: str
    role: Role
    key: str


class AuditEntry(Given):
    seq: int
    at: datetime
    kind: str
    actor: str
    subject: str
    payload: dict[str, Any]
    previous: str
    hash: str


class AuditList(Given):
    """Newest first; ``next`` is the ``before`` of the page after this one."""

    entries: list[AuditEntry]
    head: str
    next: int | None


class VerifyAsked(Sent):
    """``expect``: a link as ``NUMBER:HASH``, as an earlier check gave it. ``recordings``: hash their files too."""

    recordings: bool = False
    expect: Annotated[str | None, StringConstraints(pattern=r"^\d{1,15}:[0-9a-f]{64}$")] = None


class FindingOut(Given):
    what: str
    where: str
    problem: str


class Verified(Given):
    intact: bool
    links: int
    calls: int
    recordings: int
    unsealed: int
    head: str
    findings: list[FindingOut]


# live ------------------------------------------------------------------------------------------------------------


class LiveCall(Given):
    call_id: str
    lang: str
    campaign: str
    started_at: str
    emotion: str
    who: str
    text: str
    flags: list[dict[str, Any]]


class AlertOut(Given):
    call_id: str
    group: str
    at: datetime
    second: float
    severity: int
    times: int
    last: int
    lang: str
    live: bool


class Acknowledged(Sent):
    call_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,36}$")]
    group: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    last: Annotated[int, Field(ge=0, le=2**31 - 1)]
