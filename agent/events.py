"""What happens in a call, as frozen values. Imports nothing of ours, so every layer may speak of them.

Times are seconds since the call was answered unless a field says otherwise; money is ``Decimal`` in the
loan's own currency; dates are in the borrower's time zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Lang = Literal["zh", "en"]
Party = Literal["unverified", "borrower", "third_party", "voicemail"]
Decision = Literal["allow", "rewrite", "refuse", "escalate", "end_call"]
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
# What the agent's last line asked for: it decides how an utterance is read and how soon a turn may end.
Expects = Literal["identity", "digits", "yes_no", "date", "amount", "date_amount", "open"]


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of the call's clock: ``start`` and ``end`` in seconds since answer."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Word:
    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance of the person on the line, as transcribed. ``confidence`` in [0, 1]."""

    text: str
    lang: Lang
    span: Span
    words: tuple[Word, ...] = ()
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class SlotValue:
    """A value found in an utterance.

    ``value`` is the resolved value (ISO date, ``HH:MM``, decimal string, digit string) or ``None`` while it
    is ambiguous; then ``candidates`` holds what it may mean. ``start``/``end`` are character offsets.
    """

    value: str | None
    text: str
    start: int
    end: int
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Understood:
    """What the person meant and how they sounded. Labels are those of ``sentiment.labels``.

    ``intents`` holds every intent above its threshold, best first, with calibrated confidence; ``scores`` the
    emotion probabilities; ``arousal`` and ``valence`` lie in [-1, 1].
    """

    heard: Heard
    intent: str
    confidence: float
    intents: tuple[tuple[str, float], ...] = ()
    slots: Mapping[str, SlotValue] = field(default_factory=dict)
    emotion: str = "neutral"
    scores: Mapping[str, float] = field(default_factory=dict)
    arousal: float = 0.0
    valence: float = 0.0


@dataclass(frozen=True, slots=True)
class Proposed:
    """A line the dialogue wants to say. Not speakable: only the gate turns it into an ``ApprovedLine``.

    ``text`` is the template rendered with ``slots``; ``script_hash`` is the content hash of the approved
    script it came from; ``purposes`` names what the line does (``ai_disclosure``, ``recording_disclosure``,
    ``rights_notice`` …) so that the gate can tell whether a mandatory disclosure was made.
    """

    line_id: str
    text: str
    lang: Lang
    slots: Mapping[str, str] = field(default_factory=dict)
    script_id: str = ""
    script_hash: str = ""
    interruptible: bool = True
    purposes: frozenset[str] = frozenset()
    expects: Expects | None = None


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What the gate may rely on when it judges a sentence.

    ``case`` holds the case file's facts under the names of DESIGN (``borrower_name``, ``lender``,
    ``product``, ``amount_due``, ``currency``, ``days_past_due``, ``due_date``, ``lawsuit_filed``,
    ``credit_report_due``, ``fees_allowed``, ``agent_name``, ``plan_name``, ``callback_time``, ``payee``,
    ``note``); every string in it is untrusted. ``policy`` is a jurisdiction or a pack id. ``purposes_done``
    are the purposes of lines already spoken in full.
    """

    lang: Lang
    party: Party = "unverified"
    policy: str | None = None
    case: Mapping[str, Any] = field(default_factory=dict)
    purposes_done: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RuleHit:
    """One rule that fired. ``start``/``end`` are offsets in the judged text as it was given."""

    id: str
    category: str
    clause: str
    start: int
    end: int
    review: Literal["confirmed", "needs_review"] = "needs_review"
    explanation: Mapping[str, str] = field(default_factory=dict)  # by language: "zh", "en"


@dataclass(frozen=True, slots=True)
class Verdict:
    """The gate's answer. ``text`` is what may be spoken: the text itself, a rewrite, or "" when nothing may."""

    decision: Decision
    text: str
    rules: tuple[RuleHit, ...] = ()
    policy_hash: str = ""
    script_hash: str = ""


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line as it left the line: ``heard_text`` is the part that was audible if it was interrupted."""

    line_id: str
    text: str
    heard_text: str
    span: Span
    interrupted: bool = False
