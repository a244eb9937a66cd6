"""Webhooks out: signed, delivered at least once, retried for a day (docs/decisions/0014-webhooks.md).

The outbox is a table in the same database: news are entered in the transaction whose outcome they tell, so none is
lost and none tells of something that was rolled back.

Requests are those of Standard Webhooks (https://www.standardwebhooks.com), signed by its library: ``webhook-id`` (a
UUID, the same for every try, so that a receiver can drop repetitions), ``webhook-timestamp`` (Unix seconds) and
``webhook-signature``. A receiver checks them with the same library, which there is in many languages. Whom news
reach, :mod:`campaigns.receivers` says.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from datetime import UTC, datetime, timedelta

import httpx
import sqlalchemy as sa
from standardwebhooks import Webhook

from archive.database import Database
from campaigns.errors import ConfigError
from campaigns.models import Outgoing
from campaigns.receivers import INTERNAL, Allowed, Guarded, InternalAddress

SECRET_VARIABLE = "CALLGATE_WEBHOOK_SECRET"  # noqa: S105 - the name of the variable
_PAUSES = (5, 30, 120, 600, 1800, 3600, 3600 * 2, 3600 * 4, 3600 * 8)
"""Seconds before each further try; after the last the event is dead and shown as such."""
_LEASE = timedelta(minutes=1)
_GONE = 410
_SHORTEST, _LONGEST = 24, 64
"""Bytes of a secret, by Standard Webhooks."""


@dataclass(frozen=True, slots=True)
class Delivered:
    delivered: int = 0
    failed: int = 0
    dead: int = 0


def secret_from(environment: Mapping[str, str] = os.environ) -> bytes:
    """Raises ``ConfigError`` where the secret is missing or not what the standard asks for: unsigned news are not
    sent."""
    text = environment.get(SECRET_VARIABLE, "").removeprefix("whsec_")
    try:
        secret = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not _SHORTEST <= len(secret) <= _LONGEST:
        raise ConfigError(
            f"to send webhooks {SECRET_VARIABLE} must be {_SHORTEST} to {_LONGEST} bytes in base64, as of "
            "openssl rand -base64 32"
        )
    return secret


class Outbox:
    """Delivers what is due. Any number of processes may: each event is leased for a minute to one of them."""

    def __init__(
        self,
        database: Database,
        secret: bytes,
        clock: Callable[[], datetime],
        *,
        timeout: float = 10.0,
        allowed: Allowed | None = None,
    ) -> None:
        """``allowed``: what may be reached beside the public network, by default what the environment says. Raises
        ``ConfigError``."""
        self.database, self._secret, self.clock, self._timeout = database, secret, clock, timeout
        self._allowed = allowed or Allowed.from_environment()

    async def deliver(self, limit: int = 20) -> Delivered:
        """One round over at most ``limit`` events that are due."""
        counts = {"delivered": 0, "failed": 0, "dead": 0}
        due = await asyncio.to_thread(self._lease, limit)
        if not due:
            return Delivered()
        async with httpx.AsyncClient(
            timeout=self._timeout, follow_redirects=False, trust_env=False, transport=Guarded(self._allowed)
        ) as client:
            for event in due:
                error = await self._post(client, event)
                counts[await asyncio.to_thread(self._enter, event, error)] += 1
        return Delivered(**counts)

    async def drain(self) -> Delivered:
        """Rounds until nothing is due: what fails becomes due again only later."""
        total = Delivered()
        while (done := await self.deliver()) != Delivered():
            total = Delivered(*(a + b for a, b in zip(astuple(total), astuple(done), strict=True)))
        return total

    def _lease(self, limit: int) -> list[Outgoing]:
        now = self.clock()
        wanted = (
            sa.select(Outgoing)
            .where(Outgoing.state == "waiting", Outgoing.next_at <= now)
            .order_by(Outgoing.next_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self.database.write() as session:
            events = list(session.scalars(wanted))
            for event in events:
                event.next_at = now + _LEASE
            return events

    async def _post(self, client: httpx.AsyncClient, event: Outgoing) -> str | None:
        """``None`` where it was taken, else why not."""
        plain = {"id": event.event_id, "type": event.kind, "timestamp": event.created_at.isoformat(),
                 "data": event.payload}  # fmt: skip
        body = json.dumps(plain, ensure_ascii=False, separators=(",", ":")).encode()
        now = datetime.now(UTC)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "callgate",
            "webhook-id": event.event_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(self._secret).sign(event.event_id, now, body.decode()),
        }
        try:
            answer = await client.post(event.url, content=body, headers=headers)
        except InternalAddress:
            return INTERNAL
        except httpx.HTTPError as e:
            return type(e).__name__
        return None if answer.is_success else f"status {answer.status_code}"

    def _enter(self, event: Outgoing, error: str | None) -> str:
        now = self.clock()
        with self.database.write() as session:
            row = session.get_one(Outgoing, event.id, with_for_update=True)
            row.tries += 1
            row.error = error
            if error is None:
                row.state = "delivered"
                return "delivered"
            if error == f"status {_GONE}" or row.tries > len(_PAUSES):
                row.state = "dead"
                return "dead"
            row.next_at = now + timedelta(seconds=_PAUSES[row.tries - 1])
            return "failed"
