"""What a supervisor must see soon: crises, complaints, repeated anger, refusals of the gate. From the flags of calls,
live ones included; an alert stays until somebody acknowledges it or a day has passed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from archive.audit import AuditLog
from archive.flagging import reason_kind, severity_rank
from archive.models import Call, Flag
from console.models import Acknowledgement

RECENT = timedelta(hours=24)
SHOWN = 100
"""Alerts on a page, newest first; the count stops there too."""
_READ = 2000
GROUPS: dict[str, tuple[str, ...]] = {
    "crisis": ("crisis",),
    "complaint": ("complaint", "complain"),
    "repeated_anger": ("repeated_anger", "abuse"),
    "gate_refusal": ("refused_utterance", "line_refused", "line_unrenderable", "ungated_speech_refused"),
}
"""Kinds of flags by what they alert of. Any other flag that is critical alerts under its own kind."""
_GROUP_OF = {kind: group for group, kinds in GROUPS.items() for kind in kinds}


@dataclass(frozen=True, slots=True)
class Alert:
    """The unacknowledged flags of one group in one call. ``at`` is when the newest was raised, ``last`` its ``seq``,
    ``second`` its moment in the call, ``severity`` the worst of them (1 to 4)."""

    call_id: str
    group: str
    at: datetime
    second: float
    severity: int
    times: int
    last: int
    lang: str
    live: bool


def group_of(reason: str, severity: str) -> str | None:
    """What a flag alerts of, ``None`` if of nothing. ``crisis_at_close`` alerts as ``crisis`` does."""
    kind = reason_kind(reason)
    group = _GROUP_OF.get(kind.removesuffix("_at_close"))
    return group if group is not None else kind if severity == "critical" else None


class Alerts:
    """Inside the caller's unit of work."""

    def __init__(self, session: Session, now: datetime | None = None) -> None:
        self._session = session
        self._since = (now or datetime.now(UTC)) - RECENT

    def open(self, limit: int = SHOWN) -> Sequence[Alert]:
        """Newest first."""
        found: dict[tuple[str, str], Alert] = {}
        rows = self._session.execute(self._unacknowledged().order_by(Flag.recorded_at.desc()).limit(_READ))
        for flag, lang, status in rows:
            group = group_of(flag.reason, flag.severity)
            if group is None:
                continue
            rank, before = severity_rank(flag.severity), found.get((flag.call_id, group))
            if before is None and len(found) >= limit:
                continue
            found[flag.call_id, group] = Alert(
                flag.call_id, group,
                at=flag.recorded_at if before is None else before.at,
                second=flag.at if before is None else before.second,
                severity=rank if before is None else max(rank, before.severity),
                times=1 if before is None else before.times + 1,
                last=flag.seq if before is None else max(flag.seq, before.last),
                lang=lang, live=status == "live",
            )  # fmt: skip
        return list(found.values())

    def acknowledge(self, call_id: str, group: str, last: int, *, by: str) -> int:
        """Take note of a call's alert as it was shown: of flags up to number ``last``, none that came later. Audited;
        returns how many flags that were."""
        rows = self._session.execute(self._unacknowledged().where(Flag.call_id == call_id, Flag.seq <= last))
        seqs = [flag.seq for flag, _, _ in rows if group_of(flag.reason, flag.severity) == group]
        now, noted = datetime.now(UTC), []
        for seq in seqs:
            try:
                with self._session.begin_nested():
                    self._session.add(Acknowledgement(call_id=call_id, flag_seq=seq, by=by, at=now))
            except IntegrityError:
                continue  # somebody else was faster
            noted.append(seq)
        if noted:
            AuditLog(self._session).append("alert.acknowledged", actor=by, subject=call_id, group=group, flags=noted)
        return len(noted)

    def _unacknowledged(self) -> sa.Select[Flag, str, str]:
        kinds = [kind for group in GROUPS.values() for kind in group]
        # A reason is its kind, or its kind and what it is about behind a colon; some are written with spaces.
        ours = sa.or_(*(_starts(kind) for kind in kinds), Flag.severity == "critical")
        noted = sa.select(Acknowledgement.id).where(
            Acknowledgement.call_id == Flag.call_id, Acknowledgement.flag_seq == Flag.seq
        )
        found = sa.select(Flag, Call.lang, Call.status).join(Call, Call.id == Flag.call_id)
        return found.where(Call.started_at >= self._since, ours, ~noted.exists())


def _starts(kind: str) -> sa.ColumnElement[bool]:
    # "_" stands for any one character in LIKE: the underscore, or the space it was written with.
    return Flag.reason.like(f"{kind}%")
