"""What a demo campaign came to: a table for the terminal, a document for a program."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agent.campaigning_pulse import Kept
from campaigns.audit import Audit
from campaigns.refused import RuleCount
from campaigns.status import CampaignStatus


@dataclass(frozen=True, slots=True)
class CallFigures:
    """``answered`` calls; ``as_meant``: those that ended as their scenario is written; ``gap_ms``: each call's median
    response gap as the archive has it, in order."""

    answered: int
    as_meant: int
    otherwise: dict[str, int]
    gap_ms: tuple[float, ...]

    @property
    def gaps(self) -> str:
        if not self.gap_ms:
            return "none"
        n = len(self.gap_ms)
        return f"median {self.gap_ms[n // 2]:.0f} ms, 19 of 20 within {self.gap_ms[n * 19 // 20]:.0f} ms (n = {n})"

    def as_json(self) -> dict[str, Any]:
        n = len(self.gap_ms)
        return {
            "answered": self.answered,
            "as_meant": self.as_meant,
            "otherwise": self.otherwise,
            "response_gap_ms": {"p50": self.gap_ms[n // 2], "p95": self.gap_ms[n * 19 // 20], "n": n} if n else None,
        }


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo came to."""

    imported: dict[str, int]
    refused_rows: list[str]
    status: CampaignStatus
    audit: Audit
    refusals: list[RuleCount]
    calls: CallFigures
    kept: Kept
    seconds: float

    @property
    def lawful(self) -> bool:
        return self.audit.clean and not self.status.unknown

    def as_json(self) -> dict[str, Any]:
        return {
            "imported": self.imported,
            "refused_rows": self.refused_rows,
            "contacts": sum(self.status.contacts.values()),
            "attempts": self.status.attempts,
            "contacted": self.status.contacted,
            "right_party": self.status.reached,
            "promises": self.status.promises,
            "outcomes": self.status.outcomes,
            "refused_by_rule": [each.as_json() for each in self.refusals],
            "calls": self.calls.as_json(),
            "messages": self.status.messages.get("sent", 0),
            "outside_the_rules": self.audit.outside,
            "overlapping_calls": self.audit.overlaps,
            "unknown": list(self.status.unknown),
            "machine": {
                "windows": self.kept.windows,
                "late": self.kept.late,
                "fewest_calls": self.kept.least,
                "late_ms_p95": round(self.kept.p95 * 1000),
            },
            "seconds": round(self.seconds, 1),
        }

    @property
    def machine(self) -> str:
        """Whether the calls could be held in time at all: else what was heard in them says nothing."""
        if not self.kept.late:
            return f"kept time ({self.kept.p95 * 1000:.0f} ms late at most, 19 times of 20)"
        share = 100 * self.kept.late // max(1, self.kept.windows)
        return (
            f"too busy for these calls {share} % of the time: up to {self.kept.p95 * 1000:.0f} ms late 19 times of 20, "
            f"so as few as {self.kept.least} at a time; what was heard in them is no measure"
        )

    def table(self) -> Any:
        from rich.table import Table

        plain = self.as_json()
        table = Table(title="callgate campaign demo", title_justify="left", show_header=False, box=None, padding=(0, 2))
        rows: list[tuple[str, str]] = [
            ("borrowers' debts", f"{plain['contacts']} (imported {counts(self.imported)})"),
            ("refused rows", "; ".join(self.refused_rows) or "none"),
            ("calls placed", str(plain["attempts"])),
            ("contacted", str(self.status.contacted)),
            ("right party reached", str(plain["right_party"])),
            ("promises to pay", str(plain["promises"])),
            ("texts sent", str(plain["messages"])),
            ("outcomes", counts(self.status.outcomes)),
            ("ended as the borrower meant", f"{self.calls.as_meant} of {self.calls.answered}"),
            ("response gap, by call", self.calls.gaps),
            ("refused by rule", "" if self.refusals else "none"),
            *((f"  {each.rule}", f"{each.contacts}  {each.why}  {each.clause}".rstrip()) for each in self.refusals),
            ("outside the rules", counts(self.audit.outside) or f"none of {self.audit.dials} (judged again)"),
            ("two calls at a time to one person", str(self.audit.overlaps)),
            ("of unknown fate", str(len(self.status.unknown))),
            ("machine", self.machine),
            ("took", f"{self.seconds / 60:.1f} min"),
        ]
        for label, value in rows:
            table.add_row(label, value)
        return table


def counts(found: dict[str, int]) -> str:
    """What there is of each, in one line."""
    return ", ".join(f"{key} {n}" for key, n in found.items() if n)
