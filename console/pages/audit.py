"""The archive's audit chain: who did what, page by page, and whether every link still holds."""

from __future__ import annotations

import re
from threading import Lock
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Query, Request, Response

from archive.audit import AuditLog, Link
from archive.verify import Report, verify
from console.guard import needs
from console.page import context_of, person_of, render

PAGE = 100
KINDS = (
    "call.began", "call.ended", "call.sealed", "call.resealed", "call.exported", "call.purged", "recording.read",
    "review.set", "review.assigned", "review.commented", "review.scored", "review.corrected", "sign_in",
    "sign_in.refused", "people.invited", "people.password_set", "people.role_set", "people.disabled", "keys.made",
    "keys.revoked", "keys.rotated", "hold.placed", "hold.released", "archive.purged", "archive.reprocessed",
    "archive.verified", "alert.acknowledged", "subject.exported", "subject.erased", "person.ledger_read",
    "script.approved", "script.withdrawn", "softphone.called",
    "campaign.saved", "campaign.started", "campaign.stopped", "campaign.imported", "campaign.resolved",
    "webhook.set", "webhook.disabled", "webhook.tested", "webhook.retried", "calibration.opened", "calibration.closed",
)  # fmt: skip
"""What the filter offers; an entry of another kind is shown all the same."""
_CALL = re.compile(r"[0-9a-f]{8}-[0-9a-f-]{27}\Z")
_checking = Lock()


def routes(router: APIRouter) -> None:
    router.get("/audit")(audit_page)
    router.post("/audit/verify")(verify_chain)


@needs("audit.read")
def audit_page(
    request: Request,
    kind: str = "",
    actor: str = "",
    subject: str = "",
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Response:
    return _page(request, kind=kind[:64], actor=actor[:128], subject=subject[:160], before=before)


@needs("audit.read")
def verify_chain(
    request: Request, recordings: Annotated[str, Form()] = "", expect: Annotated[str, Form(max_length=100)] = ""
) -> Response:
    """Check every link and every sealed call; with ``recordings`` the sound files too. One check at a time."""
    context = context_of(request)
    try:
        noted = Link.parse(expect.strip()) if expect.strip() else None
    except ValueError:
        raise HTTPException(422, "expect: a link as NUMBER:HASH, as an earlier check showed it") from None
    if not _checking.acquire(blocking=False):
        raise HTTPException(409, "a check is running already")
    try:
        report = verify(context.database, context.store, expect=noted, recordings=bool(recordings))
    finally:
        _checking.release()
    if report.intact:  # behind a broken link an entry would prove nothing
        with context.database.write() as session:
            AuditLog(session).append(
                "archive.verified", actor=person_of(request).name, links=report.links, calls=report.calls,
                recordings=report.recordings if recordings else 0,
            )  # fmt: skip
    return _page(request, report=report, read=bool(recordings))


def _page(
    request: Request,
    *,
    kind: str = "",
    actor: str = "",
    subject: str = "",
    before: int | None = None,
    report: Report | None = None,
    read: bool = False,
) -> Response:
    with context_of(request).database.read() as session:
        log = AuditLog(session)
        entries = log.entries(
            subject=subject or None, kinds=[kind] if kind else (), actor=actor or None, before=before, limit=PAGE + 1
        )
        head = log.head()
    rows, more = entries[:PAGE], len(entries) > PAGE
    return render(
        request, "audit.html", entries=rows, head=head, kinds=KINDS, kind=kind, actor=actor, subject=subject,
        before=before, more=rows[-1].seq if more else None, report=report, read=read,
        calls={row.seq for row in rows if _CALL.match(row.subject)},
    )  # fmt: skip
