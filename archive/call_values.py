"""What whoever makes a call tells the archive of it: what it is, what was promised, how quickly it was answered."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np

from agent.events import Lang


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class NewCall:
    """What is known of a call when it begins. Moments are aware; ``models`` maps a role (``asr``, ``intent``,
    ``voice`` …) to the id of the model in it. ``person_id`` is a pseudonym, the same in all calls to a person."""

    lang: Lang
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    scenario: str | None = None
    campaign: str | None = None
    case_id: str | None = None
    person_id: str | None = None
    stage: str | None = None
    script_id: str | None = None
    script_hash: str | None = None
    policy: str | None = None
    policy_hash: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime = field(default_factory=utc_now)

    def columns(self) -> dict[str, Any]:
        """As a live call's row; ``recording`` is the archive's to say."""
        same = (
            "lang", "scenario", "campaign", "case_id", "person_id", "stage", "script_id", "script_hash", "policy",
            "policy_hash", "started_at",
        )  # fmt: skip
        values: dict[str, Any] = {name: getattr(self, name) for name in same}
        plain = {"id": str(uuid.UUID(self.id)), "status": "live", "models": dict(self.models), "response_gap_n": 0}
        return {**values, **plain}


@dataclass(frozen=True, slots=True)
class Promise:
    """What the borrower promised: a date in their time zone, an amount in the loan's currency; either may be open."""

    date: date | None = None
    amount: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class Entered:
    """A turn as it was entered: its number, and its words as whoever follows the call may see them, digits that prove
    who somebody is masked; of an interrupted line, what was audible."""

    seq: int
    text: str


@dataclass(frozen=True, slots=True)
class ResponseGaps:
    """Percentiles of a call's response gaps in ms, linear between samples; ``None`` without any."""

    p50: float | None
    p95: float | None
    n: int

    @staticmethod
    def of(gaps: Sequence[float]) -> ResponseGaps:
        if not gaps:
            return ResponseGaps(None, None, 0)
        p50, p95 = np.percentile(np.asarray(gaps, np.float64), (50, 95))
        return ResponseGaps(round(float(p50), 1), round(float(p95), 1), len(gaps))

    def columns(self) -> dict[str, Any]:
        return {
            "response_gap_p50_ms": self.p50,
            "response_gap_p95_ms": self.p95,
            "response_gap_n": self.n,
        }
