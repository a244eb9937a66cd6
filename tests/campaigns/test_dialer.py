from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from postgres import Server
from world import Clock, FakeProvider, SilentRunner, borrower, campaign, ledger

from archive.database import Database
from campaigns.dialer import Dialer
from campaigns.errors import PlaceRefused
from campaigns.ledger import Reservation
from campaigns.models import Attempt, Contact
from campaigns.planning import stop
from campaigns.provider import DialOrder
from campaigns.settling import CallResult, Settling, stop_person
from campaigns.store import open_campaigns


class Town(FakeProvider):
    """A provider whose calls last until they are hung up or the test ends them."""

    def __init__(self, settling: Settling, **options: Any) -> None:
        super().__init__(**options)
        self.settling = settling
        self.most = 0
        self.live: set[str] = set()

    async def place(self, order: DialOrder) -> str:
        call = await super().place(order)
        self.live.add(order.attempt_id)
        self.most = max(self.most, len(self.live))
        return call

    async def end(self, attempt_id: str, outcome: str = "no_answer") -> None:
        self.live.discard(attempt_id)
        await asyncio.to_thread(self.settling.settle, attempt_id, CallResult(outcome))

    async def hang_up(self, order: DialOrder) -> None:
        await super().hang_up(order)
        await self.end(order.attempt_id, "canceled")


def set_up(database: Database, people: int, **changes: Any) -> tuple[Clock, Settling, int]:
    clock = Clock()
    for n in range(people):
        borrower(database, f"+86138000080{n:02d}")
    return clock, Settling(database, clock), campaign(database, clock, **changes)


def dialer(database: Database, clock: Clock, settling: Settling, provider: Any, number: int, agents: int) -> Dialer:
    return Dialer(
        ledger(database, clock), settling, provider, SilentRunner(), number, agents=agents, tick=0.02
    )  # fmt: skip


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def states(database: Database) -> list[str]:
    with database.read() as session:
        return sorted(session.scalars(sa.select(Attempt.state)))


async def test_never_more_calls_than_agents_and_everyone_is_called(sqlite: Database) -> None:
    clock, settling, number = set_up(sqlite, 7)
    town = Town(settling)
    running = asyncio.create_task(dialer(sqlite, clock, settling, town, number, agents=3).run())
    for left in range(7, 0, -1):
        most = min(3, left)
        await until(lambda most=most: len(town.live) == most)
        await town.end(next(iter(town.live)))
    pace = await running
    assert (town.most, len(set(town.dialed)), pace.dialed) == (3, 7, 7)
    assert states(sqlite) == ["ended"] * 7


async def test_a_graceful_stop_finishes_calls_and_places_no_new_one(sqlite: Database) -> None:
    clock, settling, number = set_up(sqlite, 4)
    town = Town(settling)
    running = asyncio.create_task(dialer(sqlite, clock, settling, town, number, agents=2).run())
    await until(lambda: len(town.live) == 2)
    assert stop(sqlite, "november", clock(), at_once=False).state == "stopping"
    await asyncio.sleep(0.2)
    assert not running.done() and not town.hung_up
    for attempt_id in list(town.live):
        await town.end(attempt_id)
    assert (await running).dialed == 2
    with sqlite.read() as session:
        assert session.execute(sa.text("SELECT state FROM campaigns")).scalar() == "stopped"


async def test_an_immediate_stop_hangs_up(sqlite: Database) -> None:
    clock, settling, number = set_up(sqlite, 4)
    town = Town(settling)
    running = asyncio.create_task(dialer(sqlite, clock, settling, town, number, agents=2).run())
    await until(lambda: states(sqlite) == ["placed", "placed"])
    stop(sqlite, "november", clock(), at_once=True)
    await running
    assert sorted(town.hung_up) == sorted(town.dialed) and len(town.dialed) == 2


async def test_a_cancelled_dialer_leaves_no_call_behind(sqlite: Database) -> None:
    clock, settling, number = set_up(sqlite, 2)
    town = Town(settling)
    running = asyncio.create_task(dialer(sqlite, clock, settling, town, number, agents=2).run())
    await until(lambda: states(sqlite) == ["placed", "placed"])
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert states(sqlite) == ["ended", "ended"] and len(town.hung_up) == 2


async def test_a_ringing_call_is_hung_up_when_the_person_says_stop_elsewhere(sqlite: Database) -> None:
    clock, settling, number = set_up(sqlite, 1)
    town = Town(settling)
    running = asyncio.create_task(dialer(sqlite, clock, settling, town, number, agents=1).run())
    await until(lambda: states(sqlite) == ["placed"])
    with sqlite.write() as session:
        stop_person(session, 1, "cease", clock())
    await running
    assert town.hung_up == town.dialed


@pytest.mark.parametrize(
    ("answer", "state", "contact_state"),
    [
        (TimeoutError(), "unknown", "live"),
        (ConnectionResetError(), "unknown", "live"),
        (RuntimeError("a bug"), "unknown", "live"),
        (PlaceRefused("invalid_number"), "failed", "done"),
        (PlaceRefused("rejected"), "failed", "held"),
    ],
)
async def test_what_the_provider_says_to_a_dial(
    sqlite: Database, answer: Exception, state: str, contact_state: str
) -> None:
    clock, settling, number = set_up(sqlite, 1)
    provider = FakeProvider(behaviour=lambda order: answer)
    running = asyncio.create_task(dialer(sqlite, clock, settling, provider, number, agents=1).run())
    await until(lambda: states(sqlite) == [state])
    if state == "unknown":
        await asyncio.sleep(0.3)  # ten rounds in which nothing may be dialled
        assert not running.done()
        running.cancel()
        await asyncio.wait({running})
        assert running.cancelled(), "it does not wait for what cannot end by itself"
    else:
        await running
    assert len(provider.dialed) == 1
    with sqlite.read() as session:
        assert session.scalars(sa.select(Contact.state)).all() == [contact_state]


async def test_a_provider_that_never_answers_is_given_up_as_unknown(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaigns.dialer.PLACE_LIMIT", 0.05)
    clock, settling, number = set_up(sqlite, 1)
    provider = FakeProvider(behaviour=lambda order: asyncio.sleep(30))
    running = asyncio.create_task(dialer(sqlite, clock, settling, provider, number, agents=1).run())
    await until(lambda: states(sqlite) == ["unknown"])
    running.cancel()
    await asyncio.wait({running})
    assert len(provider.dialed) == 1


async def test_a_call_that_cannot_be_prepared_is_not_placed(sqlite: Database) -> None:
    class Broken(SilentRunner):
        async def prepare(self, reservation: Reservation) -> None:
            raise RuntimeError("no script")

    clock, settling, number = set_up(sqlite, 1)
    provider = FakeProvider()
    await Dialer(ledger(sqlite, clock), settling, provider, Broken(), number, agents=1, tick=0.02).run()
    assert provider.dialed == [] and states(sqlite) == ["released"]
    with sqlite.read() as session:
        assert session.scalars(sa.select(Contact.state)).all() == ["held"]


async def test_contacts_that_are_due_soon_can_be_waited_for(sqlite: Database) -> None:
    clock, settling, number = set_up(sqlite, 1)
    town = Town(settling)
    work = Dialer(ledger(sqlite, clock), settling, town, SilentRunner(), number, agents=1, tick=0.02,
                  wait_for_due=timedelta(minutes=20))  # fmt: skip
    running = asyncio.create_task(work.run())
    await until(lambda: town.live)
    await town.end(town.dialed[0], "busy")
    await asyncio.sleep(0.2)
    assert len(town.dialed) == 1 and not running.done()
    clock.forward(minutes=15)
    await until(lambda: len(town.dialed) == 2)
    await town.end(town.dialed[1])
    await running


@pytest.mark.slow
async def test_a_database_that_restarts_is_waited_for(stoppable_postgres: Server) -> None:
    database = open_campaigns(stoppable_postgres.database("campaigns"))
    clock, settling, number = set_up(database, 6)
    town = Town(settling)
    running = asyncio.create_task(dialer(database, clock, settling, town, number, agents=2).run())
    await until(lambda: len(town.live) == 2)
    await asyncio.to_thread(stoppable_postgres.stop)
    await asyncio.sleep(1)
    assert not running.done()
    await asyncio.to_thread(stoppable_postgres.start)
    while not running.done():
        for attempt_id in list(town.live):
            await town.end(attempt_id)
        await asyncio.sleep(0.1)
    assert len(town.dialed) == len(set(town.dialed)) == 6
    database.close()
