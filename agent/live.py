"""What a call tells while it lives, and what is left of it when it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, time
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
    """How a call ended. ``gaps_ms`` are its response gaps; ``error`` names what went wrong on the line, if it did.

    ``callback`` is when the person asked to be called again, by their own clock: day, time, each ``None`` where not
    said. ``restrictions`` are the reasons, in order, for which contact with them is to stop or be limited.
    ``verified``: they had shown that they are the borrower.
    """

    call_id: str
    disposition: Disposition
    promise: tuple[date, Decimal] | None
    gaps_ms: tuple[float, ...]
    recording: Path
    transcript: Path
    duration: float
    error: str | None = None
    callback: tuple[date | None, time | None] | None = None
    restrictions: tuple[str, ...] = ()
    verified: bool = False
