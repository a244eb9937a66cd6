"""What a call's rows hash to: the digests that the audit chain holds and :mod:`archive.verify` compares.

Each table is hashed by itself, so that a difference names the table. The columns are listed here and never taken from
the model: a column that a later migration adds must not change the digest of what was sealed before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.audit import canonical
from archive.models import Base, Call, Event, Flag, Turn, VerdictRow

VERSION = 1
TABLES: Mapping[str, tuple[type[Base], tuple[str, ...]]] = {
    "calls": (
        Call,
        ("id", "lang", "status", "scenario", "campaign", "case_id", "person_id", "stage", "script_id", "script_hash",
         "policy", "policy_hash", "models", "started_at", "answered_at", "ended_at", "disposition", "promise_date",
         "promise_amount", "promise_currency", "recording", "response_gap_p50_ms", "response_gap_p95_ms",
         "response_gap_n"),
    ),
    "verdicts": (
        VerdictRow,
        ("seq", "at", "recorded_at", "decision", "rules", "proposed", "text", "line_id", "script_hash", "policy_hash"),
    ),
    "turns": (
        Turn,
        ("seq", "recorded_at", "who", "start", "end", "text", "heard_text", "words", "confidence", "intent", "intents",
         "slots", "emotion", "scores", "arousal", "valence", "line_id", "script_hash", "verdict_seq", "interrupted",
         "response_gap_ms"),
    ),
    "events": (Event, ("seq", "at", "recorded_at", "kind", "payload")),
    "flags": (Flag, ("seq", "at", "recorded_at", "reason", "severity")),
}  # fmt: skip


def rows_of(session: Session, table: str, call_id: str) -> list[dict[str, Any]]:
    """The call's rows of one table in order, the sealed columns only."""
    model, columns = TABLES[table]
    local = sa.inspect(model).local_table.c
    of_call = local.id == call_id if model is Call else local.call_id == call_id
    found = sa.select(*(local[name] for name in columns)).where(of_call)
    if model is not Call:
        found = found.order_by(local.seq)
    return [dict(row._mapping) for row in session.execute(found)]


def call_digests(session: Session, call_id: str) -> dict[str, Any]:
    """``{"version": 1, "calls": {"rows": n, "sha256": …}, "verdicts": …, "turns": …, "events": …, "flags": …}``."""
    digests: dict[str, Any] = {"version": VERSION}
    for table in TABLES:
        lines = canonical_rows(session, table, call_id)
        digests[table] = {"rows": lines.count(b"\n"), "sha256": hashlib.sha256(lines).hexdigest()}
    return digests


def canonical_rows(session: Session, table: str, call_id: str) -> bytes:
    """The very bytes that are hashed: one canonical JSON object a line."""
    return b"".join(canonical(row).encode() + b"\n" for row in rows_of(session, table, call_id))


def differences(sealed: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The tables that are not as they were sealed, in words."""
    told = []
    for table in TABLES:
        before, now = sealed.get(table), found.get(table)
        if before == now or before is None or now is None:
            continue
        if before["rows"] != now["rows"]:
            told.append(f"{table}: {before['rows']} rows were sealed, there are {now['rows']}")
        else:
            told.append(f"{table}: a row was changed after sealing")
    return told
