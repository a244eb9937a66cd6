"""What a process that runs a campaign holds: models, call desk, media socket, ledger, texts, webhooks."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from agent.campaigning import Behaviour, CampaignCalls, SimulatedCarrier
from agent.campaigning_carriers import CampaignBoard, CarrierProvider
from agent.campaigning_live import LiveEverywhere, everywhere, published
from agent.campaigning_pulse import Pulse, pulse
from agent.carriers import Exchange, check_carrier, connected
from agent.demo import serving
from agent.desk import CallDesk
from agent.errors import ConfigurationError
from agent.models import Models, load_models
from agent.settings import Settings
from archive.database import Database, DatabaseError
from archive.layout import Layout
from campaigns.config import CampaignConfig
from campaigns.dialer import Dialer, Pace
from campaigns.errors import ConfigError
from campaigns.ledger import Ledger, utc_now
from campaigns.messages import FileMessenger, TextDesk
from campaigns.models import Attempt, Campaign, Contact
from campaigns.outbox import SECRET_VARIABLE, Outbox, secret_from
from campaigns.planning import set_up, stop
from campaigns.provider import DialOrder, Messenger, Provider
from campaigns.rules import ContactRules
from campaigns.settling import Settling
from campaigns.store import attach

log = logging.getLogger(__name__)
DELIVER_EVERY = 2.0


@dataclass(slots=True)
class CampaignRun:
    """A campaign that is set up and ready to dial in this process. ``exchange`` is its carrier, ``None``: simulated."""

    database: Database
    desk: CallDesk
    calls: CampaignCalls
    ledger: Ledger
    settling: Settling
    config: CampaignConfig
    campaign_id: int
    agents: int
    clock: Callable[[], datetime]
    base_url: str = ""
    exchange: Exchange | None = None
    pulse: Pulse | None = None

    def provider(self, town: Callable[[DialOrder], Behaviour]) -> CarrierProvider | SimulatedCarrier:
        """Who places the calls; ``town`` says how the simulated borrowers behave."""
        if self.exchange is not None:
            return CarrierProvider(self.exchange, self.calls, self.ledger, self.settling)
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
            wait_for_due=wait_for_due, room=self._room,
        )  # fmt: skip

    def _room(self) -> int:
        return self.pulse.room if self.pulse is not None else self.agents

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
    models: Models | None = None,
) -> AsyncIterator[CampaignRun]:
    """Open everything, set the campaign running, deliver its webhooks beside; close everything.

    The carrier is that of ``settings``, the simulated one where none is set. ``before`` may fill the database first;
    ``models`` are loaded where they are not given. Raises ``ConfigError``, ``ConfigurationError``, ``ArchiveError``.
    """
    secret = secret_from() if config.webhooks is not None else None
    if settings.carrier is not None:
        check_carrier(settings)
    if models is None:
        models = await asyncio.to_thread(load_models, settings)
    async with contextlib.AsyncExitStack() as stack:
        desk = CallDesk(settings.model_copy(update={"max_calls": max(settings.max_calls, agents)}), models)
        stack.callback(desk.close)
        database = attach(desk.database)
        if before is not None:
            await asyncio.to_thread(before, database)
        rules = ContactRules(models.gate.policies)
        rules.check(config)
        ledger = Ledger(database, _worker(), clock=clock, rules=rules)
        settling = Settling(database, clock)
        await asyncio.to_thread(_unmixed, database, config.name, settings.carrier)
        base_url, exchange = "", None
        if settings.carrier is None:
            base_url = await stack.enter_async_context(serving(desk))
        else:
            board = CampaignBoard(database, settling, settings.carrier)
            exchange = await stack.enter_async_context(connected(desk, board))
        await stack.enter_async_context(published(desk.hub, settings.home))
        texts = None
        if config.messages.promise_confirmation or config.messages.payment_link or config.messages.reminder:
            sends = messenger or FileMessenger(Layout(settings.home).home / "messages.jsonl")
            texts = TextDesk(database, models.gate, sends, clock, rules)
            await asyncio.to_thread(texts.reap)
        calls = CampaignCalls(desk, settling, config, clock, texts=texts, on_outcome=on_outcome)
        campaign_id = await asyncio.to_thread(set_up, database, config, clock(), start=True)
        if texts is not None and config.messages.reminder:
            await texts.remind(campaign_id, config)
        if secret is not None:
            await stack.enter_async_context(delivering(Outbox(database, secret, clock)))
        beating = await stack.enter_async_context(pulse(agents, lambda: calls.live))
        yield CampaignRun(
            database, desk, calls, ledger, settling, config, campaign_id, agents, clock, base_url, exchange, beating
        )


def _unmixed(database: Database, name: str, carrier: str | None) -> None:
    """A campaign is simulated or real: promises of simulated people must never stand among those of real ones."""
    wanted = (
        sa.select(Attempt.provider)
        .join(Contact, Contact.id == Attempt.contact_id)
        .join(Campaign, Campaign.id == Contact.campaign_id)
        .where(Campaign.name == name, Attempt.dialing_at.is_not(None))
        .distinct()
    )
    with database.read() as session:
        before = set(session.scalars(wanted))
    if carrier is None and before - {SimulatedCarrier.name}:
        raise ConfigError(f"campaign {name} has called real people: simulated ones are not mixed with them")
    if carrier is not None and SimulatedCarrier.name in before:
        raise ConfigError(f"campaign {name} has called simulated people: give the real one another name")


@contextlib.asynccontextmanager
async def delivering(outbox: Outbox) -> AsyncIterator[None]:
    """Deliver what is due every few seconds; at the end once more all that is due."""
    task = asyncio.create_task(_deliver(outbox))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        with contextlib.suppress(DatabaseError):
            await outbox.drain()


@contextlib.asynccontextmanager
async def beside(desk: CallDesk) -> AsyncIterator[LiveEverywhere]:
    """What `callgate serve` does for campaigns that other processes run: shows their live calls with its own, and
    delivers webhooks that nobody else delivers any more, if it has their secret. Raises ``ConfigurationError``."""
    async with contextlib.AsyncExitStack() as stack:
        if os.environ.get(SECRET_VARIABLE):
            try:
                secret = secret_from()
            except ConfigError as e:
                raise ConfigurationError(str(e)) from e
            await asyncio.to_thread(attach, desk.database)
            await stack.enter_async_context(delivering(Outbox(desk.database, secret, utc_now)))
        yield await stack.enter_async_context(everywhere(desk.hub, desk.settings.home))


async def _deliver(outbox: Outbox) -> None:
    while True:
        try:
            await outbox.drain()
        except DatabaseError as e:
            log.error("webhooks wait for the database: %s", e)
        await asyncio.sleep(DELIVER_EVERY)


def _worker() -> str:
    return f"{os.uname().nodename[:40]}-{os.getpid()}-{os.urandom(3).hex()}"
