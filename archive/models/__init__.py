"""The archive's tables.

Times named ``at``, ``start`` and ``end`` are seconds since the call was answered; moments end in ``_at`` and
are aware UTC. Rows of a call carry ``seq``, counted from 0 per table in the order in which they were recorded:
rows are only ever added, and a row that is written twice (after a crash) is recognised by it.
"""

from archive.models.base import NAMING, Base, one_of
from archive.models.calls import Call, Event, Flag, Severity, Status, Turn, VerdictRow, Who
from archive.models.evidence import AuditHead, AuditRow, Hold, Peaks, Purged, RecordingFormat, RecordingRow
from archive.models.summaries import CallText, PromiseCase, PromiseSource, Review, Summary, SummaryReason, SummaryRule
from archive.models.sums import SummaryCell, SummaryDay, SummaryMidnight, SummaryStale, Sums

__all__ = [
    "NAMING",
    "AuditHead",
    "AuditRow",
    "Base",
    "Call",
    "CallText",
    "Event",
    "Flag",
    "Hold",
    "Peaks",
    "PromiseCase",
    "PromiseSource",
    "Purged",
    "RecordingFormat",
    "RecordingRow",
    "Review",
    "Severity",
    "Status",
    "Summary",
    "SummaryCell",
    "SummaryDay",
    "SummaryMidnight",
    "SummaryReason",
    "SummaryRule",
    "SummaryStale",
    "Sums",
    "Turn",
    "VerdictRow",
    "Who",
    "one_of",
]
