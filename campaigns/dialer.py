"""The dialer: keeps the agents of one process busy, and never more than that.

Progressive only: a contact is reserved when an agent slot of this process and a channel of the trunk are free, and
dialled when the rate has a token. There is no guessing how many will answer, so nobody is called whom no agent
could speak to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

import sqlalchemy as sa

from archive.database import DatabaseError
from campaigns.errors import CampaignError, NotPrepared, PlaceRefused
from campaigns.ledger import COLLISION_WAIT, GivenUp, Ledger, NotNow, Reservation
from campaigns.models import Attempt, Campaign, Contact
from campaigns.provider import DialOrder, Provider
from campaigns.reaper import LEASE, reap
from campaigns.settling import Settling

log = logging.getLogger(__name__)

PLACE_LIMIT = 20.0
"""Seconds a provider has to confirm a call. Later it is ``unknown``, whatever the provider did."""
TICK = 0.5
REAP_EVERY = 10.0
BEAT_EVERY = LEASE.total_seconds() / 6
KEEP_WAITING = timedelta(seconds=10)
"""A reservation waits so long for the rate or the trunk; then it is given back."""
STOP_LIMIT = 10.0
"""Seconds that hung-up calls have to end when the dialer is cancelled; what is left then is the reaper's."""
_PERSIST_TRIES = 8


class Runner(Protocol):
    """Who speaks in the calls: makes one ready before it is dialled, and forgets it when it is over."""

    async def prepare(self, reservation: Reservation) -> None:
        """Load and render what the borrower must not wait for.

        ``NotPrepared`` puts the call off; any other exception keeps it from being placed until a person has looked.
        """
        ...

    def over(self, attempt_id: str) -> None:
        """The attempt has ended, or will not be dialled."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """What the dialer is doing, for a live view."""

    at: datetime
    live: int
    dialed: int
    reserved: int
    state: str
    next_at: datetime | None
    room: int = 0
    """Calls at a time that this process may hold now: fewer than its agents where the machine is too busy."""


@dataclass(slots=True)
class _Counts:
    dialed: int = 0
    unlucky_beats: int = 0


class Dialer:
    """Runs one campaign in this process until it is done, stopped, or ``until`` says so."""

    def __init__(
        self,
        ledger: Ledger,
        settling: Settling,
        provider: Provider,
        runner: Runner,
        campaign_id: int,
        *,
        agents: int,
        providers: Mapping[str, Provider] | None = None,
        on_pace: Callable[[Pace], None] | None = None,
        wait_for_due: timedelta = timedelta(0),
        tick: float = TICK,
        room: Callable[[], int] | None = None,
    ) -> None:
        """``agents``: calls at a time; ``room``: how many of them the machine can hold just now."""
        self.ledger, self.settling, self.provider, self.runner = ledger, settling, provider, runner
        self.campaign_id, self.agents, self.tick = campaign_id, agents, tick
        self.providers = {provider.name: provider, **(providers or {})}
        self._room = room or (lambda: agents)
        self._on_pace = on_pace
        self._wait_for_due = wait_for_due
        self._mine: set[str] = set()
        self._placing: dict[str, asyncio.Task[None]] = {}
        self._hanging_up: set[str] = set()
        self._counts = _Counts()
        self._beaten = self._reaped = float("-inf")

    async def run(self) -> Pace:
        """Dial until nothing is due within ``wait_for_due``, or the campaign is stopped; then let calls finish.

        A database that goes away for a while is waited for. Cancelling stops at once: calls are hung up, and an
        answer of the provider that is under way is still written down.
        """
        pause = self.tick
        try:
            while True:
                try:
                    pace = await self._round()
                    pause = self.tick
                except DatabaseError as e:
                    if e.row_at_fault:
                        raise
                    log.error("the dialer waits for its database: %s", e)
                    self._counts.unlucky_beats = 1
                    pause = min(5.0, pause * 2)
                    await asyncio.sleep(pause)
                    continue
                if self._on_pace is not None:
                    self._on_pace(pace)
                if self._finished(pace):
                    break
                await asyncio.sleep(pause)
        except asyncio.CancelledError:
            await asyncio.shield(self._stop_at_once())
            raise
        await self._persist(self._sign_off)
        return pace

    async def _round(self) -> Pace:
        loop = asyncio.get_running_loop()
        if loop.time() - self._beaten >= BEAT_EVERY:
            await asyncio.to_thread(self.ledger.beat)
            self._beaten = loop.time()
        if loop.time() - self._reaped >= REAP_EVERY:
            # After an outage everybody looks dead: first let them all say that they live.
            if self._counts.unlucky_beats:
                self._counts.unlucky_beats = 0
                self._reaped = loop.time() - REAP_EVERY + BEAT_EVERY * 2
            else:
                await reap(self.ledger, self.settling, self.providers)
                self._reaped = loop.time()
        live = dict(await asyncio.to_thread(self.ledger.live))
        for attempt_id in self._mine - live.keys() - self._placing.keys():
            self._mine.discard(attempt_id)
            self._hanging_up.discard(attempt_id)
            self.runner.over(attempt_id)
        for attempt_id in await asyncio.to_thread(self.ledger.to_hang_up):
            await self._hang_up(attempt_id)
        state, next_at = await asyncio.to_thread(self._look)
        due = next_at is not None and next_at <= self.ledger.clock()
        room = min(self.agents, self._room())
        if state == "running" and due and len(self._mine) < room:
            free = room - len(self._mine)
            for reservation in await asyncio.to_thread(self.ledger.reserve, self.campaign_id, free, self.provider.name):
                self._mine.add(reservation.attempt_id)
                task = asyncio.create_task(self._place(reservation))
                self._placing[reservation.attempt_id] = task
                task.add_done_callback(partial(self._placed, reservation.attempt_id))
        reserved = sum(1 for each in self._mine if live.get(each, "reserved") == "reserved")
        return Pace(
            self.ledger.clock(), len(self._mine) - reserved, self._counts.dialed, reserved, state, next_at, room
        )

    def _placed(self, attempt_id: str, _: asyncio.Task[None]) -> None:
        self._placing.pop(attempt_id, None)

    def _look(self) -> tuple[str, datetime | None]:
        waiting = (Contact.campaign_id == self.campaign_id, Contact.state == "waiting")
        with self.ledger.database.read() as session:
            state = session.scalar(sa.select(Campaign.state).where(Campaign.id == self.campaign_id)) or "stopped"
            next_at = session.scalar(sa.select(sa.func.min(Contact.next_at)).where(*waiting))
        return state, next_at

    def _finished(self, pace: Pace) -> bool:
        if self._mine or self._placing:
            return False
        if pace.state != "running":
            return True
        return pace.next_at is None or pace.next_at > pace.at + self._wait_for_due

    async def _place(self, reservation: Reservation) -> None:
        attempt_id = reservation.attempt_id
        try:
            await self.runner.prepare(reservation)
        except NotPrepared as e:
            log.warning("attempt %s is put off: %s", attempt_id, e)
            await self._persist(lambda: self.ledger.give_back(attempt_id, "put_off", wait=COLLISION_WAIT))
            return
        except Exception as e:
            # Whatever it was, nobody was called; the contact waits for a person to mend it.
            log.error("attempt %s could not be prepared: %s", attempt_id, e if _safe(e) else type(e).__name__)
            await self._persist(lambda: self.ledger.give_back(attempt_id, "not_prepared", hold=True))
            return
        order = await self._dial(attempt_id)
        if order is not None:
            self._counts.dialed += 1
            # From here on a telephone may ring: not even a cancelled dialer leaves before writing down what it knows.
            await asyncio.shield(asyncio.ensure_future(self._ask(order)))

    async def _dial(self, attempt_id: str) -> DialOrder | None:
        waited = timedelta(0)
        while True:
            try:
                answer = await asyncio.to_thread(self.ledger.dial, attempt_id)
            except DatabaseError as e:
                # Committed or not, nobody knows: the provider was not asked, and is not asked now.
                log.error("attempt %s was not dialled: %s", attempt_id, e)
                await self._persist(lambda: self._undo(attempt_id))
                return None
            if isinstance(answer, DialOrder):
                return answer
            if isinstance(answer, GivenUp):
                return None
            assert isinstance(answer, NotNow)
            if waited + answer.wait > KEEP_WAITING:
                await self._persist(lambda: self.ledger.give_back(attempt_id, "trunk_busy"))
                return None
            waited += answer.wait
            await asyncio.sleep(answer.wait.total_seconds())

    def _undo(self, attempt_id: str) -> None:
        """A dial whose commit is in doubt: we know that we did not ask the provider."""
        self.ledger.give_back(attempt_id, "database_failed")
        self.settling.refused(attempt_id, "not_prepared")

    async def _ask(self, order: DialOrder) -> None:
        attempt_id = order.attempt_id
        try:
            async with asyncio.timeout(PLACE_LIMIT):
                call_id = await self.provider.place(order)
        except PlaceRefused as e:
            cause = e.cause
            await self._persist(lambda: self.settling.refused(attempt_id, cause))
        except Exception as e:
            log.error("attempt %s: nobody knows whether it rings: %s", attempt_id, type(e).__name__)
            reason = type(e).__name__
            await self._persist(lambda: self.ledger.uncertain(attempt_id, reason))
        else:
            await self._persist(
                lambda: self.settling.progress("placed", attempt_id=attempt_id, provider_call_id=call_id)
            )

    async def _hang_up(self, attempt_id: str) -> None:
        if attempt_id in self._hanging_up:
            return
        order = await asyncio.to_thread(self.ledger.order, attempt_id)
        if order is None:
            return
        self._hanging_up.add(attempt_id)
        try:
            await self.provider.hang_up(order)
        except Exception as e:
            # One call that cannot be ended must not keep the others from being ended: it is tried again next round.
            self._hanging_up.discard(attempt_id)
            log.error("attempt %s could not be hung up: %s", attempt_id, type(e).__name__)

    async def _stop_at_once(self) -> None:
        for attempt_id, task in list(self._placing.items()):
            if await asyncio.to_thread(self.ledger.order, attempt_id) is None:
                task.cancel()
                await self._persist(partial(self.ledger.give_back, attempt_id, "dialer_stopped"))
        await asyncio.gather(*self._placing.values(), return_exceptions=True)
        try:
            async with asyncio.timeout(STOP_LIMIT):
                while await self._anything_to_end():  # noqa: ASYNC110 - the ledger lies in a database
                    await asyncio.sleep(self.tick)
        except (TimeoutError, DatabaseError) as e:
            log.error("calls were left to the reaper: %s", type(e).__name__)
        await self._persist(self._sign_off)

    async def _anything_to_end(self) -> bool:
        """Hang up what still lives. An attempt of unknown fate does not end by itself: it waits for the reaper."""
        live = [each for each, state in await asyncio.to_thread(self.ledger.live) if state != "unknown"]
        for attempt_id in live:
            await self._hang_up(attempt_id)
        return bool(live)

    def _sign_off(self) -> None:
        self.ledger.sign_off()
        with self.ledger.database.write() as session:
            row = session.get(Campaign, self.campaign_id, with_for_update=True)
            if row is not None and row.state == "stopping" and not _anybody_live(session, row.id):
                row.state, row.updated_at = "stopped", self.ledger.clock()

    async def _persist(self, write: Callable[[], Any]) -> None:
        """Write down what is known, through an outage of the database of half a minute; then the reaper has it."""
        pause = 0.1
        for attempt in range(_PERSIST_TRIES):
            try:
                await asyncio.to_thread(write)
            except DatabaseError as e:
                if e.row_at_fault or attempt == _PERSIST_TRIES - 1:
                    log.error("could not be written down: %s", e)
                    return
                await asyncio.sleep(pause)
                pause = min(10.0, pause * 2)
            else:
                return


def _anybody_live(session: Any, campaign_id: int) -> bool:
    wanted = (
        sa.select(sa.func.count())
        .select_from(Attempt)
        .join(Contact, Contact.id == Attempt.contact_id)
        .where(Contact.campaign_id == campaign_id, Contact.state == "live", Attempt.state != "unknown")
        .where(Attempt.settled_at.is_(None))
    )
    return bool(session.scalar(wanted))


def _safe(error: Exception) -> bool:
    """Errors of ours hold no personal data; of others nobody knows."""
    return isinstance(error, CampaignError) or type(error).__module__.partition(".")[0] in ("agent", "scripts")
