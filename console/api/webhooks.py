"""Webhooks: endpoints of campaigns, and what was delivered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, HTTPException, Path, Query, Request

from archive.audit import AuditLog
from campaigns.errors import CampaignError
from campaigns.store import attach
from console.api.models.base import Changed
from console.api.models.webhooks import DeliveryList, NewEndpoint
from console.api.route import add
from console.guard import needs
from console.ledger_desk import has_campaigns
from console.page import context_of, person_of
from console.webhooks import Delivery, Endpoint, WebhookError, Webhooks, host_of, send_test

T = TypeVar("T")
Campaign = Annotated[str, Path(min_length=1, max_length=64)]
DeliveryId = Annotated[int, Path(ge=1, le=2**31 - 1)]


def routes(router: APIRouter) -> None:
    add(router, "GET", "/webhooks", endpoints, list[Endpoint])
    add(router, "GET", "/webhooks/deliveries", deliveries, DeliveryList)
    add(router, "POST", "/webhooks/deliveries/{delivery_id}/retry", retry, Delivery)
    add(router, "PUT", "/webhooks/{campaign}", save, Changed)
    add(router, "DELETE", "/webhooks/{campaign}", disable, Changed)
    add(router, "POST", "/webhooks/{campaign}/test", test, Delivery)


@needs("campaigns.read")
def endpoints(request: Request) -> list[Endpoint]:
    """Every campaign and where its news go; without the right to change it, without the path, which may be secret."""
    database = context_of(request).database
    if not has_campaigns(database):
        return []
    with database.read() as session:
        found = Webhooks(session).endpoints()
    if not person_of(request).may("campaigns.write"):
        found = [replace(each, url=each.url and host_of(each.url)) for each in found]
    return found


@needs("campaigns.read")
def deliveries(
    request: Request,
    campaign: Annotated[str | None, Query(max_length=64)] = None,
    state: Literal["waiting", "delivered", "dead"] | None = None,
    before: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> DeliveryList:
    """Newest first."""
    database = context_of(request).database
    if not has_campaigns(database):
        return DeliveryList(deliveries=[], next=None)
    with database.read() as session:
        found = Webhooks(session).deliveries(campaign=campaign, state=state, before=before, limit=limit + 1)
    shown = list(found[:limit])
    return DeliveryList(deliveries=shown, next=shown[-1].id if len(found) > limit else None)


@needs("campaigns.write")
def save(request: Request, campaign: Campaign, sent: NewEndpoint) -> Changed:
    """Give a campaign an endpoint, or another one."""
    _change(request, "webhook.set", campaign, lambda w: w.set(campaign, sent.url, sent.events), host=host_of(sent.url))
    return Changed()


@needs("campaigns.write")
def disable(request: Request, campaign: Campaign) -> Changed:
    """Tell nobody of this campaign any more; what still waits is not sent."""
    _change(request, "webhook.disabled", campaign, lambda webhooks: webhooks.disable(campaign))
    return Changed()


@needs("campaigns.write")
def retry(request: Request, delivery_id: DeliveryId) -> Delivery:
    """Send again what was given up."""
    return _change(request, "webhook.retried", str(delivery_id), lambda webhooks: webhooks.retry(delivery_id))


@needs("campaigns.write")
def test(request: Request, campaign: Campaign) -> Delivery:
    """Send a piece of news of no call now; ``state`` says whether it was taken."""
    try:
        sent = send_test(attach(context_of(request).database), campaign)
    except (WebhookError, CampaignError) as e:
        raise HTTPException(422, str(e)) from e
    with context_of(request).database.write() as session:
        AuditLog(session).append(
            "webhook.tested", actor=person_of(request).name, subject=f"campaign:{campaign}", state=sent.state
        )
    return sent


def _change(request: Request, kind: str, name: str, change: Callable[[Webhooks], T], **payload: Any) -> T:
    try:
        with attach(context_of(request).database).write() as session:
            changed = change(Webhooks(session))
            AuditLog(session).append(kind, actor=person_of(request).name, subject=f"campaign:{name}", **payload)
    except (WebhookError, CampaignError) as e:
        raise HTTPException(422, str(e)) from e
    return changed
