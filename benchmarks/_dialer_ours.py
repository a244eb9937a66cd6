"""The ledger doing the dialer's job: a portfolio, a worker, and what a healthy process does about dead ones."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa
from _dialer_books import count, dial, dials

MIDDAY = datetime(2026, 11, 18, 4, 0, tzinfo=UTC)
ROUND = timedelta(minutes=5)
"""How far the ledger's clock moves from one round of killed workers to the next: time in which the dead are missed."""


def fill(url: str, jobs: int) -> None:
    from campaigns.config import read_config
    from campaigns.models import Debt, Number, Person, PersonNumber
    from campaigns.planning import set_up
    from campaigns.store import open_campaigns

    database = open_campaigns(url)
    with database.write() as session:
        now = MIDDAY
        ids = range(1, jobs + 1)
        number = [f"+86138{10_000_000 + i}" for i in range(jobs + 1)]
        common = {"created_at": now, "updated_at": now}
        session.execute(
            sa.insert(Person),
            [{"id": i, "key": f"p{i}", "name": "n", "country": "CN", "consents": [], **common} for i in ids],
        )
        session.execute(sa.insert(Number), [{"number": number[i]} for i in ids])
        session.execute(sa.insert(PersonNumber), [{"person_id": i, "number": number[i], "position": 0} for i in ids])
        session.execute(
            sa.insert(Debt),
            [
                {
                    "lender": "L",
                    "account": f"A{i}",
                    "person_id": i,
                    "lang": "zh",
                    "time_zone": "Asia/Shanghai",
                    "region": "CN",
                    "amount_due": Decimal(100),
                    "currency": "CNY",
                    "due_date": date(2026, 11, 12),
                    "facts": {},
                    "state": "open",
                    "row_hash": "",
                    "as_of": date(2026, 11, 18),
                    **common,
                }
                for i in ids
            ],
        )
    config = {
        "name": "bench",
        "caller_ids": {"default": "+861055550100"},
        "trunk": {"name": "bench", "channels": 5000, "per_minute": 0},
    }
    set_up(database, read_config(config), MIDDAY, start=True)
    database.close()


def worker(url: str, folder: Path, die: float) -> None:
    """The dialer's steps for each attempt, one after the other: reserve, dial, ask, placed, settled."""
    from campaigns.ledger import Ledger
    from campaigns.provider import DialOrder
    from campaigns.settling import CallResult, Settling
    from campaigns.store import open_campaigns

    began, begin = time.time(), _round(0)

    def clock() -> datetime:
        return begin + timedelta(seconds=time.time() - began)

    database = open_campaigns(url)
    ledger, settling = Ledger(database, f"w{os.getpid()}", clock=clock), Settling(database, clock)
    ledger.beat()
    while reserved := ledger.reserve(1, 16, "bench"):
        for each in reserved:
            order = ledger.dial(each.attempt_id)
            if isinstance(order, DialOrder):
                dial(folder, str(order.contact_id), die)
                settling.progress("placed", attempt_id=order.attempt_id, provider_call_id=order.attempt_id)
                settling.settle(order.attempt_id, CallResult("promise_to_pay"))


def _round(ahead: int) -> datetime:
    return MIDDAY + ROUND * (int(os.environ.get("CALLGATE_BENCH_ROUND", "0")) + ahead)


def recover(url: str, folder: Path) -> None:
    """What a healthy process does about dead ones: give reservations back, ask the provider about the rest."""
    from campaigns.ledger import Ledger
    from campaigns.provider import Absent, DialOrder, Found, Lookup
    from campaigns.reaper import reap
    from campaigns.settling import Settling
    from campaigns.store import open_campaigns

    class Books:
        name = "bench"

        async def place(self, order: DialOrder) -> str:
            raise AssertionError("a reaper does not dial")

        async def lookup(self, order: DialOrder) -> Lookup:
            known = dials(folder)[str(order.contact_id)]
            return Found(order.attempt_id, "ended", "promise_to_pay") if known else Absent()

        async def hang_up(self, order: DialOrder) -> None:
            return None

    database = open_campaigns(url)
    later = _round(1)
    ledger = Ledger(database, "reaper", clock=lambda: later)
    asyncio.run(reap(ledger, Settling(database, lambda: later), {"bench": Books()}))
    database.close()


def left(url: str) -> int:
    return count(url, "SELECT count(*) FROM campaign_contacts WHERE state IN ('waiting', 'live')")
