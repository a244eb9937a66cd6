"""Live calls and alerts."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException, Request

from console.alerts import Alerts
from console.api.models.base import Changed
from console.api.models.live import Acknowledged, AlertOut, LiveCall
from console.api.route import add
from console.guard import needs
from console.live_feed import shown
from console.page import context_of, lang_of, person_of
from console.pages.live import names_for


def routes(router: APIRouter) -> None:
    add(router, "GET", "/live", live_calls, list[LiveCall])
    add(router, "GET", "/alerts", alerts, list[AlertOut])
    add(router, "POST", "/alerts/acknowledge", acknowledge, Changed)


@needs("live.read")
def live_calls(request: Request) -> list[LiveCall]:
    """The calls of this process; none where no calls run in it."""
    live = context_of(request).live
    names = names_for(request)
    calls = () if live is None else live.snapshot()
    return [LiveCall.model_validate(shown(call, lang_of(request), names)) for call in calls]


@needs("live.read")
def alerts(request: Request) -> list[AlertOut]:
    """Alerts of the last day that nobody has acknowledged, newest first."""
    with context_of(request).database.read() as session:
        return [AlertOut.model_validate(alert) for alert in Alerts(session).open()]


@needs("live.control")
def acknowledge(request: Request, sent: Acknowledged) -> Changed:
    """Take note of an alert as it was listed: flags that came after ``last`` stay open."""
    with context_of(request).database.write() as session:
        noted = Alerts(session).acknowledge(sent.call_id, sent.group, sent.last, by=person_of(request).name)
    if not noted:
        raise HTTPException(422, "there is no such alert, or it was acknowledged already")
    return Changed()
