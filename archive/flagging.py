"""Reasons to look at a call that only show once it is over: derived from its turns when it is sealed.

What happens in the call itself (a refused sentence, a crisis, a complaint) is flagged by the dialogue as it happens.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from archive.errors import ArchiveError
from archive.models import Severity, Turn

SAMPLE_VARIABLE = "CALLGATE_REVIEW_SAMPLE"
SEVERITIES: tuple[Severity, ...] = ("low", "medium", "high", "critical")
LOW_CONFIDENCE = 0.5
LONG_SILENCE_S = 10.0
TALK_OVER_S = 3.0
ANGRY_TURNS = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """``at`` in seconds since answer."""

    reason: str
    severity: Severity
    at: float


@dataclass(frozen=True, slots=True)
class Sample:
    """Which calls are drawn for review at random: a share ``rate`` of all, chosen by ``seed`` and the call's id alone,
    so that anybody can check afterwards that nobody chose."""

    rate: float
    seed: str

    def draws(self, call_id: str) -> bool:
        """SHA-256 of ``seed:call_id``, its first 8 bytes as a fraction of 2^64, lies below ``rate``."""
        number = int.from_bytes(hashlib.sha256(f"{self.seed}:{call_id}".encode()).digest()[:8], "big")
        return number < self.rate * 2**64

    @staticmethod
    def from_environment(environ: Mapping[str, str] | None = None) -> Sample:
        """``CALLGATE_REVIEW_SAMPLE`` is ``RATE`` or ``RATE:SEED``, the rate in [0, 1]; default 0.02."""
        text = (os.environ if environ is None else environ).get(SAMPLE_VARIABLE, "").strip() or "0.02"
        rate, _, seed = text.partition(":")
        try:
            share = float(rate)
        except ValueError:
            share = -1.0
        if not 0 <= share <= 1:
            raise ArchiveError(f"{SAMPLE_VARIABLE} is RATE or RATE:SEED with a rate from 0 to 1, not {text!r}")
        return Sample(share, seed or "callgate")


def reason_kind(reason: str) -> str:
    """The part of a reason that queues filter by: ``line_refused:greeting`` is a ``line_refused``."""
    return reason.partition(":")[0].strip().replace(" ", "_")[:64]


def severity_rank(severity: str) -> int:
    """1 (low) to 4 (critical)."""
    return SEVERITIES.index(severity) + 1 if severity in SEVERITIES else 0


def derive(turns: Sequence[Turn]) -> list[Finding]:
    """At most one finding a reason, at the first moment that shows it. ``turns`` in the order of their start."""
    found: list[Finding] = []
    theirs = [t for t in turns if t.who == "borrower"]
    unsure = [t for t in theirs if t.confidence is not None and t.confidence < LOW_CONFIDENCE]
    if unsure and len(unsure) * 2 >= len(theirs):
        found.append(Finding("low_confidence", "low", unsure[0].start))
    angry = [t for t in theirs if t.emotion in ("angry", "frustrated")]
    if len(angry) >= ANGRY_TURNS:
        found.append(Finding("repeated_anger", "medium", angry[ANGRY_TURNS - 1].start))
    end, silence = 0.0, None
    for turn in turns:
        if silence is None and end and turn.start - end > LONG_SILENCE_S:
            silence = end
        end = max(end, turn.end)
    if silence is not None:
        found.append(Finding("long_silence", "low", silence))
    over = [
        (b.start, min(a.end, b.end) - b.start) for a, b in pairwise(turns) if a.who != b.who and a.end - b.start > 0.2
    ]
    if sum(length for _, length in over) > TALK_OVER_S:
        found.append(Finding("talk_over", "low", over[0][0]))
    return found
