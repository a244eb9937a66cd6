"""Live calls and alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from console.api.models.base import Given, Sent


class LiveCall(Given):
    call_id: str
    lang: str
    campaign: str
    started_at: str
    emotion: str
    who: str
    text: str
    flags: list[dict[str, Any]]


class AlertOut(Given):
    call_id: str
    group: str
    at: datetime
    second: float
    severity: int
    times: int
    last: int
    lang: str
    live: bool


class Acknowledged(Sent):
    call_id: Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z-]{1,36}$")]
    group: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    last: Annotated[int, Field(ge=0, le=2**31 - 1)]
