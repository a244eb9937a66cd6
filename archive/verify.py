"""Checking the archive against its audit chain: every link, every sealed call, every recording.

What each check can find: a link that was changed, added, left out or put elsewhere breaks the chain at its number; a
link cut off the end no longer fits the chain's head; a chain that was written anew from the start, head and all, no
longer holds a link that was noted elsewhere (``expect``). A row or a recording that was changed, exchanged or removed
no longer has the digest that the chain holds; a call that was put in has no entry, one that was taken out has one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.audit import GENESIS, AuditLog, Link, link_hash
from archive.database import Database
from archive.digest import call_digests, differences
from archive.errors import ArchiveError
from archive.models import AuditRow, Call, RecordingRow
from archive.sealing import SEALS, file_sha256, recording_facts
from archive.store import Store

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Finding:
    """``what`` is ``chain``, ``call`` or ``recording``; ``where`` a link's number or a call's id."""

    what: str
    where: str
    problem: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at and what was found, the chain first. ``head`` is worth noting where nobody who can write to
    the database can reach it: the next check can be told to ``expect`` it. ``unsealed`` calls have not ended, or
    ended without a seal."""

    links: int
    calls: int
    recordings: int
    unsealed: int
    head: Link
    findings: tuple[Finding, ...]

    @property
    def intact(self) -> bool:
        return not self.findings


def verify(
    database: Database, store: Store, *, expect: Link | Sequence[Link] | None = None, recordings: bool = True
) -> Report:
    """Check the whole archive in one consistent state of the database. ``recordings=False`` leaves their files unread;
    ``expect`` are links noted elsewhere (:mod:`archive.anchors`), all of which the chain must still hold.

    Raises ``ArchiveError`` where the database cannot be read.
    """
    findings: list[Finding] = []
    anchors = [] if expect is None else [expect] if isinstance(expect, Link) else list(expect)
    with database.read() as session:
        seals: dict[str, dict[str, Any]] = {}
        ended: dict[str, str] = {}
        known: set[str] = set()
        links = 0
        for row in _chain(session, findings, anchors):
            links += 1
            if row.kind == "call.purged":
                ended[row.subject] = row.kind
            elif row.kind.startswith("call."):
                known.add(row.subject)
                if row.kind in SEALS:
                    seals[row.subject] = json.loads(row.payload)
        looked = unsealed = heard = 0
        there: set[str] = set()
        for call_id, status in session.execute(sa.select(Call.id, Call.status).order_by(Call.started_at, Call.id)):
            there.add(call_id)
            looked += 1
            seal = seals.get(call_id)
            if seal is None:
                unsealed += 1
                if call_id not in known:
                    findings.append(Finding("call", call_id, f"the chain does not know this {status} call"))
                continue
            for problem in differences(seal["digests"], call_digests(session, call_id)):
                findings.append(Finding("call", call_id, problem))
            facts = seal["recording"]
            if facts is not None:
                heard += 1
                wrong = _recording(store, facts, session.get(RecordingRow, call_id), read=recordings)
                if wrong is not None:
                    findings.append(Finding("recording", call_id, wrong))
        for call_id in sorted((known | set(seals)) - there - set(ended)):
            findings.append(Finding("call", call_id, "the chain knows this call, and it is not there"))
        head = AuditLog(session).head()
    return Report(links, looked, heard, unsealed, head, tuple(findings))


def _chain(session: Session, findings: list[Finding], anchors: Sequence[Link]) -> Iterator[AuditRow]:
    """Every link in order; the first one that is broken is a finding (those behind it hang on it)."""
    previous, last, broken = GENESIS, 0, False
    missing = {anchor for anchor in anchors if anchor.seq > 0}
    while True:
        found = sa.select(AuditRow).where(AuditRow.seq > last).order_by(AuditRow.seq).limit(_BATCH)
        rows = session.scalars(found.execution_options(populate_existing=True)).all()
        if not rows:
            break
        for row in rows:
            problem = None if broken else _link_problem(row, last + 1, previous)
            if problem is not None:
                findings.append(Finding("chain", str(last + 1 if row.seq != last + 1 else row.seq), problem))
                broken = True
            missing.discard(Link(row.seq, row.hash))
            previous, last = row.hash, row.seq
            yield row
        session.expunge_all()
    head = AuditLog(session).head()
    if not broken and (head.seq, head.hash) != (last, previous):
        findings.append(
            Finding(
                "chain", str(min(last, head.seq) + 1), f"the chain ends at link {last}, its head is link {head.seq}"
            )
        )
    for anchor in sorted(missing, key=lambda each: each.seq):
        findings.append(Finding("chain", str(anchor.seq), "the chain does not hold the link that was noted"))


def _link_problem(row: AuditRow, number: int, previous: str) -> str | None:
    if row.seq != number:
        return f"link {number} is missing: link {row.seq} follows link {number - 1}"
    if row.previous != previous:
        return "it does not follow from the link before it"
    content = {n: getattr(row, n) for n in ("seq", "at", "kind", "actor", "subject", "payload", "previous")}
    if link_hash(**content) != row.hash:
        return f"its content ({row.kind}) was changed"
    return None


def _recording(store: Store, sealed: dict[str, Any], row: RecordingRow | None, *, read: bool) -> str | None:
    if row is None:
        return "its row is gone"
    if recording_facts(row) != sealed:
        return "its row was changed after sealing"
    if row.purged_at is not None or not read:
        return None
    try:
        found = file_sha256(store.open(row.path, row.remote))
    except (ArchiveError, OSError) as e:
        return str(e)
    return None if found == row.stored_sha256 else "it is not the file that was sealed"
