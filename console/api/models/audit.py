"""The audit chain."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import StringConstraints

from console.api.models.base import Given, Sent


class AuditEntry(Given):
    seq: int
    at: datetime
    kind: str
    actor: str
    subject: str
    payload: dict[str, Any]
    previous: str
    hash: str


class AuditList(Given):
    """Newest first; ``next`` is the ``before`` of the page after this one."""

    entries: list[AuditEntry]
    head: str
    next: int | None


class VerifyAsked(Sent):
    """``expect``: a link as ``NUMBER:HASH``, as an earlier check gave it. ``recordings``: hash their files too."""

    recordings: bool = False
    expect: Annotated[str | None, StringConstraints(pattern=r"^\d{1,15}:[0-9a-f]{64}$")] = None


class FindingOut(Given):
    what: str
    where: str
    problem: str


class Verified(Given):
    intact: bool
    links: int
    calls: int
    recordings: int
    unsealed: int
    head: str
    findings: list[FindingOut]
