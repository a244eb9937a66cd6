"""What happened in a call as the values of its rows, without the numbering; refuses what could never be stored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from agent.events import Disposition, Proposed, Spoken, Understood, Verdict, Word
from archive.call_values import Promise
from archive.models import Who


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """A turn as it is archived: times in seconds since answer, ``verdict`` the number of the line's verdict."""

    who: Who
    start: float
    end: float
    text: str
    heard_text: str | None = None
    words: Sequence[Word] = ()
    confidence: float | None = None
    intent: str | None = None
    intents: Sequence[tuple[str, float]] = ()
    slots: Mapping[str, Any] | None = None
    emotion: str | None = None
    scores: Mapping[str, float] | None = None
    arousal: float | None = None
    valence: float | None = None
    line_id: str | None = None
    script_hash: str | None = None
    verdict: int | None = None
    interrupted: bool = False
    response_gap_ms: float | None = None

    def __post_init__(self) -> None:
        if self.who not in get_args(Who):
            raise ValueError(f"a turn is the borrower's or the agent's, not {self.who!r}")
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            raise ValueError("a turn starts and ends at finite times")

    @staticmethod
    def understood(understood: Understood) -> Utterance:
        heard = understood.heard
        same = ("intent", "intents", "slots", "emotion", "scores", "arousal", "valence")
        return Utterance(
            who="borrower",
            start=heard.span.start,
            end=heard.span.end,
            text=heard.text,
            words=heard.words,
            confidence=heard.confidence,
            **{name: getattr(understood, name) for name in same},
        )

    @staticmethod
    def spoken(
        spoken: Spoken, *, verdict: int | None, script_hash: str | None, response_gap_ms: float | None
    ) -> Utterance:
        return Utterance(
            who="agent",
            start=spoken.span.start,
            end=spoken.span.end,
            text=spoken.text,
            heard_text=spoken.heard_text if spoken.interrupted else None,
            line_id=spoken.line_id,
            script_hash=script_hash,
            verdict=verdict,
            interrupted=spoken.interrupted,
            response_gap_ms=response_gap_ms,
        )

    @property
    def gap(self) -> float | None:
        return number(self.response_gap_ms)

    def columns(self) -> dict[str, Any]:
        same = ("who", "text", "heard_text", "intent", "emotion", "line_id", "script_hash")
        return {
            **{name: getattr(self, name) for name in same},
            "start": float(self.start),
            "end": float(max(self.start, self.end)),
            "words": [
                {"text": w.text, "start": w.start, "end": w.end, "probability": w.probability} for w in self.words
            ],
            "confidence": number(self.confidence),
            "intents": [{"intent": name, "confidence": value} for name, value in self.intents],
            "slots": dict(self.slots or {}),
            "scores": dict(self.scores or {}),
            "arousal": number(self.arousal),
            "valence": number(self.valence),
            "verdict_seq": self.verdict,
            "interrupted": bool(self.interrupted),
            "response_gap_ms": self.gap,
        }


def verdict_columns(verdict: Verdict, proposed: Proposed | None, text: str, at: float) -> dict[str, Any]:
    return {
        "at": at,
        "decision": verdict.decision,
        "rules": list(verdict.rules),
        "proposed": proposed.text if proposed is not None else text,
        "text": verdict.text,
        "line_id": proposed.line_id if proposed is not None else None,
        "script_hash": verdict.script_hash or (proposed.script_hash if proposed is not None else "") or None,
        "policy_hash": verdict.policy_hash or None,
    }


def ending_columns(disposition: Disposition | None, promise: Promise | None) -> dict[str, Any]:
    """Of a call that has ended; without a disposition nobody decided what it came to."""
    if disposition is not None and disposition not in get_args(Disposition):
        raise ValueError(f"not a disposition: {disposition!r}")
    if promise is not None and promise.amount is not None and not promise.amount.is_finite():
        raise ValueError("a promised amount must be finite")
    return {
        "status": "ended",
        "disposition": disposition,
        "promise_date": promise.date if promise else None,
        "promise_amount": promise.amount if promise else None,
        "promise_currency": promise.currency if promise else None,
    }


def number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
