"""Where campaigns send their news, and what became of each: read and changed here, sent by ``campaigns.outbox``.

A campaign's endpoint is part of its settings (``webhooks``), whether it came from a file or from a page; the deliveries
are the outbox's rows.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, get_args
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.database import Database
from campaigns.config import WebhookConfig, read_config
from campaigns.errors import ConfigError
from campaigns.models import Campaign, Outgoing
from campaigns.outbox import Outbox, secret_from
from campaigns.receivers import Allowed

EVENTS: tuple[str, ...] = get_args(get_args(WebhookConfig.model_fields["events"].annotation)[0])
"""What a campaign can tell of."""
STATES = ("waiting", "delivered", "dead")
TEST = "test"
TEST_TIMEOUT_S = 5.0
DISABLED = "disabled"
_FIRST = datetime(1970, 1, 2, tzinfo=UTC)


class WebhookError(Exception):
    """What was asked of an endpoint cannot be done; one line."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A campaign's endpoint; ``url`` ``None`` where it has none. ``counts`` are deliveries by state, ``last_error`` is
    the newest delivery's that failed and has not gone through since."""

    campaign: str
    url: str | None
    events: tuple[str, ...]
    counts: Mapping[str, int]
    last_error: str | None
    last_delivered: datetime | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One piece of news on its way. What it tells (a borrower's account among it) is for its receiver alone."""

    id: int
    event_id: str
    campaign: str
    kind: str
    host: str
    state: str
    tries: int
    error: str | None
    created_at: datetime
    next_at: datetime | None


def host_of(url: str) -> str:
    """The address without its path and query, which may hold a receiver's secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def secret_is_set() -> bool:
    """Whether this process could sign: without a secret nothing is sent."""
    try:
        secret_from()
    except ConfigError:
        return False
    return True


class Webhooks:
    """Inside the caller's unit of work."""

    def __init__(self, session: Session, now: datetime | None = None) -> None:
        self._session = session
        self._now = now or datetime.now(UTC)

    def endpoints(self) -> list[Endpoint]:
        campaign_of = Outgoing.payload["campaign"].as_string()
        counts: dict[str, Counter[str]] = {}
        for name, state, n in self._session.execute(
            sa.select(campaign_of, Outgoing.state, sa.func.count()).group_by(campaign_of, Outgoing.state)
        ):
            counts.setdefault(name, Counter())[state] = n
        found = []
        for campaign in self._session.scalars(sa.select(Campaign).order_by(Campaign.name)):
            of = self._of(campaign.name)
            last = self._session.scalar(of.where(Outgoing.tries > 0).order_by(Outgoing.id.desc()).limit(1))
            done = self._session.scalar(of.where(Outgoing.state == "delivered").order_by(Outgoing.id.desc()).limit(1))
            config = read_config(campaign.config).webhooks
            found.append(
                Endpoint(
                    campaign.name, config.url if config is not None else None,
                    config.events if config is not None else (), counts.get(campaign.name, {}),
                    last.error if last is not None else None, done.created_at if done is not None else None,
                )
            )  # fmt: skip
        return found

    def deliveries(
        self, *, campaign: str | None = None, state: str | None = None, before: int | None = None, limit: int = 100
    ) -> Sequence[Delivery]:
        """Newest first; ``before`` is the last ``id`` of the page before."""
        rows: sa.Select[Any] = sa.select(Outgoing) if campaign is None else self._of(campaign)
        if state is not None:
            rows = rows.where(Outgoing.state == state)
        if before is not None:
            rows = rows.where(Outgoing.id < before)
        return [_delivery(row) for row in self._session.scalars(rows.order_by(Outgoing.id.desc()).limit(limit))]

    def set(self, campaign: str, url: str, events: Sequence[str]) -> None:
        """Give the campaign an endpoint, or another one. Raises ``WebhookError``, ``ConfigError``."""
        row = self._campaign(campaign)
        if not events:
            raise WebhookError("choose at least one kind of news")
        chosen = [event for event in EVENTS if event in events]
        if len(chosen) != len(set(events)):
            raise WebhookError(f"news are of the kinds {', '.join(EVENTS)}")
        if "@" in urlsplit(url).netloc:
            raise WebhookError("the address must hold no password: what is sent is signed")
        if not Allowed.from_environment().may_hold(url):
            raise WebhookError("the address is an internal one: whoever runs this must allow it first")
        config = read_config({**row.config, "webhooks": {"url": url, "events": chosen}})
        row.config, row.updated_at = config.plain(), self._now

    def disable(self, campaign: str) -> int:
        """The campaign tells nobody any more. What still waited is not sent; returns how many. Raises
        ``WebhookError``."""
        row = self._campaign(campaign)
        config = read_config(row.config)
        if config.webhooks is None:
            raise WebhookError("the campaign has no endpoint")
        row.config, row.updated_at = config.model_copy(update={"webhooks": None}).plain(), self._now
        waiting = (Outgoing.state == "waiting", Outgoing.payload["campaign"].as_string() == campaign)
        stopped = sa.update(Outgoing).where(*waiting).values(state="dead", error=DISABLED)
        return int(self._session.execute(stopped.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]

    def retry(self, delivery: int) -> Delivery:
        """Send again what was given up, to where the campaign's news go now. Raises ``WebhookError``."""
        row = self._session.get(Outgoing, delivery)
        if row is None or row.state != "dead":
            raise WebhookError("there is no such delivery, or it was not given up")
        config = read_config(self._campaign(str(row.payload.get("campaign"))).config).webhooks
        if config is None:
            raise WebhookError("the campaign has no endpoint")
        row.url, row.state, row.tries, row.error, row.next_at = config.url, "waiting", 0, None, self._now
        return _delivery(row)

    def enter_test(self, campaign: str) -> str:
        """A piece of news of no call, due before all others; returns its ``event_id``. Raises ``WebhookError``."""
        config = read_config(self._campaign(campaign).config).webhooks
        if config is None:
            raise WebhookError("the campaign has no endpoint")
        event = str(uuid.uuid4())
        self._session.add(
            Outgoing(
                event_id=event, kind=TEST, url=config.url, payload={"campaign": campaign}, state="waiting",
                next_at=_FIRST, created_at=self._now,
            )
        )  # fmt: skip
        return event

    def _campaign(self, name: str) -> Campaign:
        row = self._session.scalar(sa.select(Campaign).where(Campaign.name == name).with_for_update())
        if row is None:
            raise WebhookError("there is no such campaign")
        return row

    def _of(self, campaign: str) -> sa.Select[Any]:
        return sa.select(Outgoing).where(Outgoing.payload["campaign"].as_string() == campaign)


def send_test(database: Database, campaign: str) -> Delivery:
    """Send a piece of news to the campaign's endpoint now, once. Raises ``WebhookError``, ``ConfigError`` (no secret).

    It does not enter the retries: whoever tests is waiting for the answer.
    """
    outbox = Outbox(database, secret_from(), lambda: datetime.now(UTC), timeout=TEST_TIMEOUT_S)
    with database.write() as session:
        event = Webhooks(session).enter_test(campaign)
    asyncio.run(outbox.deliver(limit=1))
    give_up = time.monotonic() + TEST_TIMEOUT_S
    while True:
        with database.write() as session:
            row = session.scalars(sa.select(Outgoing).where(Outgoing.event_id == event)).one()
            if row.tries or time.monotonic() > give_up:
                row.state = "dead" if row.state == "waiting" else row.state
                return _delivery(row)
        time.sleep(0.1)  # a dialer took it from under our hands, and is sending it


def _delivery(row: Outgoing) -> Delivery:
    payload: Mapping[str, Any] = row.payload
    return Delivery(
        row.id, row.event_id, str(payload.get("campaign", "")), row.kind, host_of(row.url), row.state, row.tries,
        row.error, row.created_at, row.next_at if row.state == "waiting" else None,
    )  # fmt: skip
