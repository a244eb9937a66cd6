"""What a whole call was like: a pure function of its turns, the same for a live call and for a recording.

Every figure's formula stands at its function with the source of the idea; weights without a source are our own
conventions and are named so. None of them is a measurement of a person.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any, Literal

from sentiment.emotion import Smoothed
from sentiment.labels import UNKNOWN
from sentiment.text import is_han

Who = Literal["agent", "borrower"]
Resolution = Literal[
    "promise", "plan", "paid", "callback", "handed_over", "contact_ended", "dispute", "refused", "not_reached", "open"
]
TURNING = 0.35
"""Least change of the smoothed valence between two turns that makes a turning point: our own convention, a sixth of
the scale."""
_TOUCH = 0.2
"""Seconds of overlap that pass for a tight handover: shorter ones are not perceived as overlap (Heldner, 2011)."""
_HEDGE = re.compile(
    r"尽量|争取|试试|看看|可能|也许|大概|应该|差不多|再说|到时候"
    r"|\b(?:try|maybe|might|probably|hopefully|hope|perhaps|should be able|i think|i guess|see what)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class CallTurn:
    """One turn. ``start`` and ``end`` in seconds since answer. The reading (``intents`` to ``valence``) is the
    borrower's only; ``line`` the approved line's id of an agent's turn. ``confirmed``: a read-back promise was
    agreed to in this turn."""

    who: Who
    start: float
    end: float
    text: str = ""
    line: str | None = None
    intents: Mapping[str, float] = field(default_factory=dict)
    emotion: str = UNKNOWN.key
    scores: Mapping[str, float] = field(default_factory=dict)
    arousal: float = 0.0
    valence: float = 0.0
    date: str | None = None
    amount: str | None = None
    confirmed: bool = False


@dataclass(frozen=True, slots=True)
class MoodPoint:
    """``time`` the turn's middle in seconds; the raw reading and the mood smoothed over the call."""

    time: float
    emotion: str
    arousal: float
    valence: float
    mood: str
    mood_arousal: float
    mood_valence: float


@dataclass(frozen=True, slots=True)
class TurningPoint:
    """``change`` of the smoothed valence at ``time``, and the agent's last turn before it."""

    time: float
    change: float
    agent_line: str | None
    agent_text: str


@dataclass(frozen=True, slots=True)
class CallAnalytics:
    """Shares and risks in [0, 1], times in seconds, rates in Han characters or words a second."""

    curve: tuple[MoodPoint, ...]
    turning_points: tuple[TurningPoint, ...]
    distress_risk: float
    complaint_risk: float
    talk_ratio: float | None
    overlap: float
    interruptions: Mapping[str, int]
    longest_silence: float
    speech_rate: Mapping[str, float | None]
    promise_strength: float
    resolution: Resolution

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def analyze(turns: Sequence[CallTurn], *, end: float | None = None, disposition: str | None = None) -> CallAnalytics:
    """All figures of a call. ``end``: when it ended, by default with the last turn. Turns may be in any order."""
    ordered = sorted(turns, key=lambda t: (t.start, t.end))
    curve = mood_curve(ordered)
    return CallAnalytics(
        curve,
        turning_points(ordered, curve),
        distress_risk(ordered),
        complaint_risk(ordered),
        talk_ratio(ordered),
        overlap(ordered),
        interruptions(ordered),
        longest_silence(ordered, end),
        {who: speech_rate(ordered, who) for who in ("agent", "borrower")},
        promise_strength(ordered),
        resolution(ordered, disposition),
    )


def _borrower(turns: Iterable[CallTurn]) -> list[CallTurn]:
    return [t for t in turns if t.who == "borrower"]


def _union(turns: Iterable[CallTurn]) -> list[tuple[float, float]]:
    """Stretches in which at least one of the turns speaks."""
    out: list[tuple[float, float]] = []
    for t in sorted(turns, key=lambda t: t.start):
        if out and t.start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], t.end))
        elif t.end > t.start:
            out.append((t.start, t.end))
    return out


def _length(stretches: Iterable[tuple[float, float]]) -> float:
    return sum(end - start for start, end in stretches)


def mood_curve(turns: Sequence[CallTurn]) -> tuple[MoodPoint, ...]:
    """The borrower's readings in order, each beside the mood so far (``emotion.Smoothed``, half-life one turn)."""
    mood, out = Smoothed(), []
    for t in _borrower(turns):
        mood = mood.updated(t.emotion, t.scores, t.arousal, t.valence)
        out.append(
            MoodPoint((t.start + t.end) / 2, t.emotion, t.arousal, t.valence, mood.label, mood.arousal, mood.valence)
        )
    return tuple(out)


def turning_points(turns: Sequence[CallTurn], curve: Sequence[MoodPoint]) -> tuple[TurningPoint, ...]:
    """Where the smoothed valence changes by ``TURNING`` or more from one borrower's turn to the next."""
    out = []
    for before, after in pairwise(curve):
        change = after.mood_valence - before.mood_valence
        if abs(change) >= TURNING:
            said = [t for t in turns if t.who == "agent" and t.start < after.time]
            out.append(TurningPoint(after.time, change, said[-1].line if said else None, said[-1].text if said else ""))
    return tuple(out)


def _peak_end(values: Sequence[float]) -> float:
    """Mean of the highest and the last: what people keep of an episode (Fredrickson and Kahneman, 1993)."""
    return (max(values) + values[-1]) / 2 if values else 0.0


def _any(*chances: float) -> float:
    """Probability that at least one of several independent causes holds (noisy or; Pearl, 1988)."""
    none = 1.0
    for p in chances:
        none *= 1 - min(max(p, 0.0), 1.0)
    return 1 - none


def _highest(turns: Sequence[CallTurn], intent: str) -> float:
    return max((t.intents.get(intent, 0.0) for t in _borrower(turns)), default=0.0)


def distress_risk(turns: Sequence[CallTurn]) -> float:
    """Noisy or of: the highest confidence of ``crisis``; 0.5 of ``hardship``'s times the sadness and fear around it;
    0.6 of the peak-end mean of P(sad) + P(anxious). Weights: ours."""
    felt = _peak_end([t.scores.get("sad", 0.0) + t.scores.get("anxious", 0.0) for t in _borrower(turns)])
    return _any(_highest(turns, "crisis"), 0.5 * _highest(turns, "hardship") * felt, 0.6 * felt)


def complaint_risk(turns: Sequence[CallTurn]) -> float:
    """Noisy or of: ``complain``; 0.5 of ``legal_representation``; 0.4 of ``stop_contact`` and of ``dispute_amount``;
    0.5 of the peak-end mean of P(angry) + P(frustrated) / 2. Weights: ours."""
    felt = _peak_end([t.scores.get("angry", 0.0) + t.scores.get("frustrated", 0.0) / 2 for t in _borrower(turns)])
    return _any(
        _highest(turns, "complain"),
        0.5 * _highest(turns, "legal_representation"),
        0.4 * _highest(turns, "stop_contact"),
        0.4 * _highest(turns, "dispute_amount"),
        0.5 * felt,
    )


def talk_ratio(turns: Sequence[CallTurn]) -> float | None:
    """The agent's speaking time over both parties' (overlap counts for both); ``None`` if nobody spoke."""
    agent, borrower = (_length(_union(t for t in turns if t.who == who)) for who in ("agent", "borrower"))
    return agent / (agent + borrower) if agent + borrower else None


def overlap(turns: Sequence[CallTurn]) -> float:
    """Seconds in which both speak."""
    agent, borrower = (_union(t for t in turns if t.who == who) for who in ("agent", "borrower"))
    return sum(max(0.0, min(a[1], b[1]) - max(a[0], b[0])) for a in agent for b in borrower)


def interruptions(turns: Sequence[CallTurn]) -> dict[str, int]:
    """How often each interrupts: starts ``_TOUCH`` or more before the other's end and goes on after it, a
    between-speaker overlap in the sense of Heldner and Edlund (2010). What starts and ends within the other's turn is
    a back-channel and not counted."""
    out = {"agent": 0, "borrower": 0}
    for t in turns:
        for other in turns:
            if other.who != t.who and other.start < t.start < other.end - _TOUCH and t.end > other.end:
                out[t.who] += 1
                break
    return out


def longest_silence(turns: Sequence[CallTurn], end: float | None = None) -> float:
    """The longest stretch of the call, from answer to ``end``, in which nobody speaks."""
    at, longest = 0.0, 0.0
    for start, stop in _union(turns):
        longest, at = max(longest, start - at), max(at, stop)
    return max(longest, end - at) if end is not None else longest


def speech_rate(turns: Sequence[CallTurn], who: Who) -> float | None:
    """Han characters (a syllable each) plus other words, a second of that party's turns; ``None`` without speech."""
    own = [t for t in turns if t.who == who and t.text]
    seconds = _length(_union(own))
    units = sum(sum(map(is_han, t.text)) + len(re.findall(r"[A-Za-z0-9']+", t.text)) for t in own)
    return units / seconds if seconds else None


def promise_strength(turns: Sequence[CallTurn]) -> float:
    """How firm the last promise is: 0.2 for promising at all, 0.3 for a date, 0.2 for an amount, 0.3 for agreeing when
    it was read back; 0.15 less where it is hedged; nothing if a refusal follows.

    That plans which name when and what are kept oftener is Gollwitzer's (1999); the weights are ours.
    """
    strength, date, amount, said, hedged, confirmed = 0.0, False, False, False, False, False
    for t in _borrower(turns):
        if t.intents.get("refuse_to_pay", 0.0) >= 0.5:
            date = amount = said = hedged = confirmed = False
        if t.intents.get("promise_to_pay", 0.0) >= 0.4 or (said and (t.date or t.amount)):
            said, date, amount = True, date or t.date is not None, amount or t.amount is not None
            hedged = bool(_HEDGE.search(t.text))
        confirmed = said and (confirmed or t.confirmed)
    if said:
        strength = 0.2 + 0.3 * date + 0.2 * amount + 0.3 * confirmed - (0.15 if hedged and not confirmed else 0.0)
    return round(min(1.0, max(0.0, strength)), 4)


_BY_DISPOSITION: Mapping[str, Resolution] = {
    "promise_to_pay": "promise", "plan_requested": "plan", "paid_claimed": "paid", "callback_booked": "callback",
    "human_handoff": "handed_over", "crisis_handoff": "handed_over", "stop_contact": "contact_ended",
    "disputed": "dispute", "wrong_number": "not_reached", "third_party_reached": "not_reached",
    "voicemail": "not_reached", "no_response": "not_reached", "refused": "refused", "hung_up": "open", "failed": "open",
}  # fmt: skip
_BY_INTENT: tuple[tuple[str, Resolution], ...] = (
    ("crisis", "handed_over"), ("stop_contact", "contact_ended"), ("dispute_debt", "dispute"), ("already_paid", "paid"),
    ("promise_to_pay", "promise"), ("request_plan", "plan"), ("callback_later", "callback"),
    ("refuse_to_pay", "refused"),
)  # fmt: skip


def resolution(turns: Sequence[CallTurn], disposition: str | None = None) -> Resolution:
    """How it ended: by the call's disposition where there is one, else by the borrower's last telling intent.

    On a recording a crisis counts wherever it was said.
    """
    if disposition is not None:
        return _BY_DISPOSITION.get(disposition, "open")
    if _highest(turns, "crisis") >= 0.5:
        return "handed_over"
    for t in reversed(_borrower(turns)):
        for intent, name in _BY_INTENT:
            if t.intents.get(intent, 0.0) >= 0.5:
                return name
    return "open"
