"""Taking a call's evidence away, as one file that verifies without our software."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import StreamingResponse

from archive.repository import CallRepository
from console.evidence import PURPOSES, bundle_file, pieces
from console.guard import needs
from console.page import context_of, person_of
from console.pages.call import known


def routes(router: APIRouter) -> None:
    router.post("/calls/{call_id}/evidence")(evidence)


@needs("evidence.export")
def evidence(request: Request, call_id: str, purpose: Annotated[str, Form(max_length=16)]) -> Response:
    """The bundle. A POST, because it writes into the audit chain: a link that is merely looked at must not."""
    return bundle(request, call_id, purpose)


def bundle(request: Request, call_id: str, purpose: str) -> Response:
    """The bundle as an answer. Raises ``HTTPException``."""
    if purpose not in PURPOSES:
        raise HTTPException(422, f"purpose: one of {', '.join(PURPOSES)}")
    context = context_of(request)
    with context.database.read() as session:
        known(CallRepository(session), call_id)
    file = bundle_file(context, call_id, actor=person_of(request).name, purpose=purpose)
    size = file.seek(0, 2)
    file.seek(0)
    headers = {
        "Content-Disposition": f'attachment; filename="callgate-evidence-{call_id}.zip"', "Content-Length": str(size),
    }  # fmt: skip
    return StreamingResponse(pieces(file), headers=headers, media_type="application/zip")
