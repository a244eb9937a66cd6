"""What a process that runs a campaign holds: models, call desk, media socket, ledger, texts, webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from agent.campaigning import Behaviour, CampaignCalls, SimulatedCarrier
from agent.demo import serving
from agent.desk import CallDesk
from agent.models import load_models
from agent.settings import Settings
from archive.database import Database, DatabaseError
from archive.layout import Layout
from campaigns.config import CampaignConfig
from campaigns.dialer import Dialer, Pace
from campaigns.ledger import Ledger
from campaigns.messages import FileMessenger, TextDesk
from campaigns.outbox import Outbox, secret_from
from campaigns.planning import set_up, stop
from campaigns.provider import DialOrder, Messenger, Provider
from campaigns.settling import Settling
from campaigns.store import attach

log = logging.getLogger(__name__)
DELIVER_EVERY = 2.0


@dataclass(slots=True)
class CampaignRun:
    """A campaign that is set up and ready to dial in this process."""

    database: Database
    desk: CallDesk
    calls: CampaignCalls
    ledger: Ledger
    settling: Settling
    config: CampaignConfig
    campaign_id: int
    agents: int
    base_url: str
    clock: Callable[[], datetime]

    def simulated(self, town: Callable[[DialOrder], Behaviour]) -> SimulatedCarrier:
        return SimulatedCarrier(self.base_url, self.calls, self.settling, town)

    def dialer(
        self,
        provider: Provider,
        *,
        wait_for_due: timedelta = timedelta(0),
        on_pace: Callable[[Pace], None] | None = None,
    ) -> Dialer:
        return Dialer(
            self.ledger, self.settling, provider, self.calls, self.campaign_id, agents=self.agents, on_pace=on_pace,
            wait_for_due=wait_for_due,
        )  # fmt: skip

    def stop(self, at_once: bool) -> None:
        stop(self.database, self.config.name, self.clock(), at_once=at_once)


@contextlib.asynccontextmanager
async def campaign_run(
    settings: Settings,
    config: CampaignConfig,
    *,
    agents: int,
    clock: Callable[[], datetime],
    messenger: Messenger | None = None,
    on_outcome: Callable[[str], None] | None = None,
    before: Callable[[Database], None] | None = None,
) -> AsyncIterator[CampaignRun]:
    """Open everything, set the campaign running, deliver its webhooks beside; close everything.

    ``before`` may fill the database first. Raises ``ConfigError``, ``ConfigurationError``, ``ArchiveError``.
    """
    secret = secret_from() if config.webhooks is not None else None
    models = await asyncio.to_thread(load_models, settings)
    desk = CallDesk(settings.model_copy(update={"max_calls": max(settings.max_calls, agents)}), models)
    try:
        database = attach(desk.database)
        if before is not None:
            await asyncio.to_thread(before, database)
        ledger = Ledger(database, _worker(), clock=clock)
        settling = Settling(database, clock)
        texts = None
        if config.messages.promise_confirmation or config.messages.payment_link or config.messages.reminder:
            sends = messenger or FileMessenger(Layout(settings.home).home / "messages.jsonl")
            texts = TextDesk(database, models.gate, sends, clock)
            await asyncio.to_thread(texts.reap)
        calls = CampaignCalls(desk, settling, config, clock, texts=texts, on_outcome=on_outcome)
        campaign_id = await asyncio.to_thread(set_up, database, config, clock(), start=True)
        if texts is not None and config.messages.reminder:
            await texts.remind(campaign_id, config)
        async with serving(desk) as base_url:
            delivering = None
            if secret is not None:
                delivering = asyncio.create_task(_deliver(Outbox(database, secret, clock)))
            try:
                yield CampaignRun(database, desk, calls, ledger, settling, config, campaign_id, agents, base_url, clock)
            finally:
                if delivering is not None:
                    delivering.cancel()
                    await asyncio.gather(delivering, return_exceptions=True)
                    with contextlib.suppress(DatabaseError):
                        await Outbox(database, secret or b"", clock).deliver()
    finally:
        desk.close()


async def _deliver(outbox: Outbox) -> None:
    while True:
        try:
            await outbox.deliver()
        except DatabaseError as e:
            log.error("webhooks wait for the database: %s", e)
        await asyncio.sleep(DELIVER_EVERY)


def _worker() -> str:
    return f"{os.uname().nodename[:40]}-{os.getpid()}-{os.urandom(3).hex()}"
