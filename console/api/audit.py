"""The audit chain: its entries, and whether every link and every sealed call still holds."""

from __future__ import annotations

import json
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request

from archive.audit import AuditLog, Link
from archive.models import AuditRow
from archive.verify import verify
from console.api.models.audit import AuditEntry, AuditList, FindingOut, Verified, VerifyAsked
from console.api.models.base import Problem
from console.api.route import add
from console.guard import needs
from console.page import context_of, person_of

_BUSY: dict[int | str, dict[str, Any]] = {409: {"model": Problem, "description": "A check is running already"}}
_checking = Lock()


def routes(router: APIRouter) -> None:
    add(router, "GET", "/audit", entries, AuditList)
    add(router, "POST", "/audit/verify", check, Verified, more=_BUSY)


@needs("audit.read")
def entries(
    request: Request,
    kind: Annotated[str | None, Query(max_length=64)] = None,
    actor: Annotated[str | None, Query(max_length=128)] = None,
    subject: Annotated[str | None, Query(max_length=160)] = None,
    before: Annotated[int | None, Query(ge=1, le=2**53)] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> AuditList:
    """Newest first."""
    with context_of(request).database.read() as session:
        log = AuditLog(session)
        rows = log.entries(
            subject=subject, kinds=[kind] if kind else (), actor=actor, before=before, limit=limit + 1
        )  # fmt: skip
        head = log.head()
    shown = rows[:limit]
    return AuditList(
        entries=[_entry(row) for row in shown], head=str(head), next=shown[-1].seq if len(rows) > limit else None
    )


def _entry(row: AuditRow) -> AuditEntry:
    values = {name: getattr(row, name) for name in AuditEntry.model_fields if name != "payload"}
    try:
        payload = json.loads(row.payload)
    except ValueError:  # somebody wrote past us: the chain's check tells where
        payload = {"unreadable": row.payload}
    return AuditEntry(**values, payload=payload if isinstance(payload, dict) else {"value": payload})


@needs("audit.read")
def check(request: Request, sent: VerifyAsked) -> Verified:
    """Check every link and every sealed call, one check at a time."""
    context = context_of(request)
    expect = Link.parse(sent.expect) if sent.expect else None
    if not _checking.acquire(blocking=False):
        raise HTTPException(409, "a check is running already")
    try:
        report = verify(context.database, context.store, expect=expect, recordings=sent.recordings)
    finally:
        _checking.release()
    if report.intact:  # behind a broken link an entry would prove nothing
        with context.database.write() as session:
            AuditLog(session).append(
                "archive.verified", actor=person_of(request).name, links=report.links, calls=report.calls,
                recordings=report.recordings if sent.recordings else 0,
            )  # fmt: skip
    return Verified(
        intact=report.intact, links=report.links, calls=report.calls, recordings=report.recordings,
        unsealed=report.unsealed, head=str(report.head),
        findings=[FindingOut.model_validate(finding) for finding in report.findings],
    )  # fmt: skip
