"""What a dialogue script is: typed slots, lines, states and transitions, validated on reading.

A script is data. ``agent.dialogue`` walks it; nothing here does. A *signal* is what the person's turn came to:
an intent of ``sentiment.labels`` or one of ``EVENTS`` (a verified number, a date too far away, silence …).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Lang = Literal["zh", "en"]
Party = Literal["unverified", "borrower", "third_party", "voicemail"]
Expects = Literal["identity", "digits", "yes_no", "date", "amount", "date_amount", "open"]
Severity = Literal["info", "warning", "critical"]
SlotType = Literal["name", "text", "money", "date", "time", "digits", "int"]
Reads = Literal["identity", "digits", "promise", "confirm_promise", "plan", "callback", "machine"]
Style = Literal["softer", "slower"]
Disposition = Literal[
    "promise_to_pay",
    "plan_requested",
    "paid_claimed",
    "wrong_number",
    "third_party_reached",
    "refused",
    "disputed",
    "stop_contact",
    "human_handoff",
    "crisis_handoff",
    "voicemail",
    "no_response",
    "hung_up",
    "callback_booked",
    "failed",
]

# The intents of DESIGN. ``scripts`` may not import ``sentiment``; a test keeps the two lists equal.
INTENTS: tuple[str, ...] = (
    "confirm_identity",
    "deny_identity",
    "third_party",
    "ask_who",
    "ask_if_robot",
    "promise_to_pay",
    "already_paid",
    "hardship",
    "request_plan",
    "dispute_amount",
    "dispute_debt",
    "suspect_scam",
    "refuse_to_pay",
    "ask_details",
    "ask_how_to_pay",
    "callback_later",
    "stop_contact",
    "request_human",
    "complain",
    "legal_representation",
    "deceased_or_incapacitated",
    "abuse",
    "crisis",
    "affirm",
    "deny",
    "repeat_request",
    "greeting",
    "goodbye",
    "voicemail",
    "other",
)

# Signals that the dialogue machine derives itself; a script answers them exactly as it answers intents.
EVENTS: tuple[str, ...] = (
    "verify_ok",
    "verify_fail",
    "verify_partial",
    "date_missing",
    "date_ambiguous",
    "date_past",
    "date_too_far",
    "amount_missing",
    "amount_ambiguous",
    "amount_too_high",
    "amount_too_low",
    "promise_ready",
    "promise_confirmed",
    "callback_ready",
    "callback_missing",
    "callback_outside_hours",
    "silence",
    "not_heard",
    "not_understood",
    "machine",
    "machine_ended",
    "line_refused",
    "too_long",
)

# Intents for which DESIGN sets a floor in every state of every script.
FLOORS: tuple[str, ...] = (
    "crisis",
    "request_human",
    "stop_contact",
    "legal_representation",
    "dispute_debt",
    "deceased_or_incapacitated",
    "deny_identity",
    "third_party",
    "ask_if_robot",
    "abuse",
    "hardship",
    "request_plan",
)

# What a line is for. The gate reads the disclosures; the loader reads the rest to prove the floors.
PURPOSES: frozenset[str] = frozenset(
    {
        "ai_disclosure",
        "recording_disclosure",
        "emotion_disclosure",
        "debt_collector_notice",
        "rights_notice",
        "ai_truth",
        "identity_question",
        "verification",
        "debt_facts",
        "ask_payment",
        "read_back",
        "plan_offer",
        "relay_request",
        "voicemail_message",
        "consequence",
        "payment_channel",
        "crisis_support",
        "deescalate",
        "handoff",
        "callback",
        "acknowledge",
        "apology",
        "repair",
        "goodbye",
    }
)
# A line with one of these is owed again if it was cut short.
MANDATORY: frozenset[str] = frozenset({"ai_disclosure", "recording_disclosure", "debt_collector_notice"})

# Conditions of a transition or of one line in it; ``not x`` negates.
CONDITIONS: frozenset[str] = frozenset(
    {
        "first",  # this signal has come once so far (for repair signals: once in a row)
        "second",
        "third",
        "verified",
        "unverified",
        "third_party",
        "relayed",  # the one relay request has been made
        "has_plan",  # a plan that the product allows and that was not offered yet
        "has_min_payment",
        "has_outcome",
        "has_callback_number",
        "has_callback_date",
        "has_callback_time",
        "credit_report_due",
        "lawsuit_filed",
    }
)

SLOT_PATTERN = re.compile(r"\{([a-z_0-9]+)\}")


def _as_tuple(value: Any) -> Any:
    return (value,) if isinstance(value, str | dict) else value


def _as_use(value: Any) -> Any:
    return {"line": value} if isinstance(value, str) else value


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class SlotSpec(_Model):
    """One slot. ``source``: ``case`` (known before dialling) or ``call`` (said by the borrower in the call).

    ``protected`` marks a fact that may only be said to the verified borrower: saying it discloses the debt.
    """

    type: SlotType
    source: Literal["case", "call"] = "case"
    protected: bool = False


class LineSpec(_Model):
    """One approved utterance template, with ``{slots}``; ``alternates`` say the same softer or slower."""

    text: str = Field(min_length=1)
    interruptible: bool = True
    purposes: frozenset[str] = frozenset()
    expects: Expects | None = None
    alternates: dict[Style, str] = Field(default_factory=dict)

    def slots(self) -> frozenset[str]:
        return frozenset(name for text in (self.text, *self.alternates.values()) for name in SLOT_PATTERN.findall(text))


Conditions = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


class LineUse(_Model):
    line: str
    when: Conditions = ()


Uses = Annotated[tuple[Annotated[LineUse, BeforeValidator(_as_use)], ...], BeforeValidator(_as_tuple)]


class TransferSpec(_Model):
    reason: str
    urgent: bool = False


class FlagSpec(_Model):
    reason: str
    severity: Severity = "info"


class Transition(_Model):
    """What happens on a signal. The first transition whose conditions hold is taken.

    ``to`` enters another state and speaks its prompt; without ``to`` and ``end`` the call stays where it was
    and says the state's ``reprompt`` again (unless ``reprompt`` is false).
    """

    when: Conditions = ()
    say: Uses = ()
    to: str | None = None
    reprompt: bool = True
    party: Party | None = None
    outcome: Disposition | None = None
    end: Disposition | Literal["outcome"] | None = None
    transfer: TransferSpec | None = None
    restrict: str | None = None
    flag: FlagSpec | None = None
    note: dict[str, str] = Field(default_factory=dict)


Transitions = Annotated[tuple[Transition, ...], BeforeValidator(_as_tuple)]


def _split_keys(value: Any) -> Any:
    """``a | b: …`` answers both signals; a signal answered twice is an error, not an override."""
    if not isinstance(value, dict):
        return value
    table: dict[str, Any] = {}
    for key, item in value.items():
        for name in (part.strip() for part in str(key).split("|")):
            if name in table:
                raise ValueError(f"{name!r} is answered twice")
            table[name] = item
    return table


Table = Annotated[dict[str, Transitions], BeforeValidator(_split_keys)]


class StateSpec(_Model):
    """One state. ``party`` lists who may be on the line here; ``reads`` what the machine reads from a turn."""

    party: Annotated[tuple[Party, ...], BeforeValidator(_as_tuple)]
    prompt: Uses = ()
    reprompt: Uses | None = None
    reads: Reads | None = None
    silence_s: float | None = Field(default=None, gt=0, le=60)
    hears: Table = Field(default_factory=dict)


class Limits(_Model):
    """Limits of the script: seconds, days, turns; callback hours are the borrower's local ``HH:MM``."""

    silence_s: float = Field(default=6.0, gt=0, le=60)
    max_promise_days: int = Field(default=30, ge=0, le=366)
    max_callback_days: int = Field(default=14, ge=0, le=90)
    callback_from: str = Field(default="09:00", pattern=r"^\d\d:\d\d$")
    callback_to: str = Field(default="19:30", pattern=r"^\d\d:\d\d$")
    max_turns: int = Field(default=40, ge=5, le=200)
    min_confidence: float = Field(default=0.2, ge=0, le=1)


class Approval(_Model):
    """One person's approval of one content: ``content_hash`` binds it to what was read."""

    who: str = Field(min_length=3)
    role: str = Field(min_length=2)
    at: datetime
    expires: datetime
    content_hash: str


class Content(_Model):
    """Everything that is approved: the whole file except the approvals."""

    id: str = Field(pattern=r"^[a-z0-9_]+$")
    version: int = Field(ge=1)
    lang: Lang
    policy: str = Field(min_length=1)
    title: str = Field(min_length=1)
    start: str
    limits: Limits = Limits()
    slots: dict[str, SlotSpec]
    lines: dict[str, LineSpec]
    states: dict[str, StateSpec]
    floors: Table
    common: Table = Field(default_factory=dict)

    def transitions(self, state: str | None, signal: str) -> tuple[Transition, ...]:
        """The transitions that answer ``signal`` in ``state`` (``None``: the closing of a call)."""
        if state is not None and signal in self.states[state].hears:
            return self.states[state].hears[signal]
        return self.floors.get(signal) or self.common.get(signal) or ()

    def uses(self) -> Iterator[tuple[str, Conditions]]:
        """Every place that says a line: the line, and all that must hold there, of the transition and of the line."""
        for state in self.states.values():
            yield from ((use.line, use.when) for use in (*state.prompt, *(state.reprompt or ())))
        for table in (self.floors, self.common, *(state.hears for state in self.states.values())):
            for transition in (move for moves in table.values() for move in moves):
                yield from ((use.line, (*transition.when, *use.when)) for use in transition.say)


@dataclass(frozen=True, slots=True)
class Script:
    """A script as loaded: its content, the sha256 of that content, and who approved it."""

    content: Content
    content_hash: str
    approvals: tuple[Approval, ...] = ()
    path: str = ""

    @property
    def id(self) -> str:
        return self.content.id

    @property
    def version(self) -> int:
        return self.content.version

    @property
    def lang(self) -> Lang:
        return self.content.lang

    @property
    def policy(self) -> str:
        return self.content.policy

    def line(self, line_id: str) -> LineSpec:
        return self.content.lines[line_id]
