"""A call's evidence bundle."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from console.api.models.base import Sent
from console.api.route import add
from console.evidence import Purpose
from console.guard import needs
from console.pages.evidence import bundle

_ZIP: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/zip": {}}, "description": "The bundle; verify.sh in it checks it"}
}


class NewEvidence(Sent):
    purpose: Purpose


def routes(router: APIRouter) -> None:
    add(router, "POST", "/calls/{call_id}/evidence", evidence, more=_ZIP)


@needs("evidence.export")
def evidence(request: Request, call_id: str, sent: NewEvidence) -> Response:
    """One call as one signed file, its sound as it is, with nothing covered. The audit chain tells who took it, and
    what for."""
    return bundle(request, call_id, sent.purpose)
