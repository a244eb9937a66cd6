"""What a call tells while it lives, and what is left of it when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Literal

from agent.events import Disposition

NewsKind = Literal["ringing", "answered", "turn", "event", "flag", "ended"]


@dataclass(frozen=True, slots=True)
class LiveTurn:
    """One turn as it was: times in seconds since answer; ``gap_ms`` is the response gap of an agent's turn."""

    who: Literal["borrower", "agent"]
    start: float
    end: float
    text: str
    intent: str | None = None
    emotion: str | None = None
    confidence: float | None = None
    verdict: str | None = None
    line: str | None = None
    interrupted: bool = False
    gap_ms: float | None = None


@dataclass(frozen=True, slots=True)
class News:
    """One thing a listener (the demo's terminal, a supervisor's page) may show."""

    kind: NewsKind
    at: float
    turn: LiveTurn | None = None
    text: str = ""
    details: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How a call ended. ``gaps_ms`` are its response gaps; ``error`` names what went wrong on the line, if it did."""

    call_id: str
    disposition: Disposition
    promise: tuple[date, Decimal] | None
    gaps_ms: tuple[float, ...]
    recording: Path
    transcript: Path
    duration: float
    error: str | None = None
