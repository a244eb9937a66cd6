"""Webhooks: where each campaign's news go, whether they arrive, and what to do where they do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse

from archive.audit import AuditLog
from campaigns.errors import CampaignError
from campaigns.outbox import SECRET_VARIABLE
from campaigns.store import attach
from console.guard import needs
from console.ledger_desk import has_campaigns
from console.page import context_of, person_of, render
from console.webhooks import EVENTS, STATES, Delivery, WebhookError, Webhooks, host_of, secret_is_set, send_test

PAGE = 50
CampaignName = Annotated[str, Form(max_length=64)]


def routes(router: APIRouter) -> None:
    router.get("/operations/webhooks")(webhooks_page)
    router.post("/operations/webhooks")(save)
    router.post("/operations/webhooks/disable")(disable)
    router.post("/operations/webhooks/test")(test)
    router.post("/operations/webhooks/retry")(retry)


@needs("campaigns.read")
def webhooks_page(
    request: Request,
    campaign: Annotated[str, Query(max_length=64)] = "",
    state: Annotated[str, Query(max_length=16)] = "",
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Response:
    if state and state not in STATES:
        raise HTTPException(422, f"state: one of {', '.join(STATES)}")
    return _page(request, campaign=campaign, state=state, before=before)


@needs("campaigns.write")
def save(
    request: Request,
    campaign: CampaignName,
    url: Annotated[str, Form(max_length=500)],
    event: Annotated[list[str] | None, Form()] = None,
) -> Response:
    """Give a campaign an endpoint, or another one."""
    url = url.strip()
    return _change(
        request, "webhook.set", campaign, lambda webhooks: webhooks.set(campaign, url, event or []), host=host_of(url)
    )


@needs("campaigns.write")
def disable(request: Request, campaign: CampaignName) -> Response:
    """Tell nobody of this campaign any more; what still waits is not sent."""
    return _change(request, "webhook.disabled", campaign, lambda webhooks: webhooks.disable(campaign))


@needs("campaigns.write")
def retry(request: Request, delivery: Annotated[int, Form(ge=1, le=2**31 - 1)]) -> Response:
    """Send again what was given up."""
    return _change(request, "webhook.retried", str(delivery), lambda webhooks: webhooks.retry(delivery))


@needs("campaigns.write")
def test(request: Request, campaign: CampaignName) -> Response:
    """Send a piece of news of no call now, and show what became of it."""
    context = context_of(request)
    try:
        sent = send_test(attach(context.database), campaign)
    except (WebhookError, CampaignError) as e:
        return _page(request, 422, error=str(e))
    with context.database.write() as session:
        AuditLog(session).append(
            "webhook.tested", actor=person_of(request).name, subject=f"campaign:{campaign}", state=sent.state
        )
    return _page(request, sent=sent)


def _change(request: Request, kind: str, name: str, change: Callable[[Webhooks], object], **payload: Any) -> Response:
    database = attach(context_of(request).database)
    try:
        with database.write() as session:
            change(Webhooks(session))
            AuditLog(session).append(kind, actor=person_of(request).name, subject=f"campaign:{name}", **payload)
    except (WebhookError, CampaignError) as e:
        return _page(request, 422, error=str(e))
    return RedirectResponse("/operations/webhooks", 303)


def _page(
    request: Request,
    status: int = 200,
    *,
    campaign: str = "",
    state: str = "",
    before: int | None = None,
    error: str | None = None,
    sent: Delivery | None = None,
) -> Response:
    database = context_of(request).database
    endpoints, deliveries = [], []
    if has_campaigns(database):
        with database.read() as session:
            webhooks = Webhooks(session)
            endpoints = webhooks.endpoints()
            deliveries = list(
                webhooks.deliveries(campaign=campaign or None, state=state or None, before=before, limit=PAGE + 1)
            )
    rows, more = deliveries[:PAGE], len(deliveries) > PAGE
    return render(
        request, "webhooks.html", status, tab="webhooks", endpoints=endpoints, deliveries=rows, events=EVENTS,
        states=STATES, campaign=campaign, state=state, before=before, more=rows[-1].id if more else None, error=error,
        sent=sent, secret=secret_is_set(), variable=SECRET_VARIABLE, host_of=host_of,
    )  # fmt: skip
