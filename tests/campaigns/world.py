"""A small invented world for the tests: a clock that only moves when told, borrowers, a provider that obeys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from archive.database import Database
from campaigns.config import CampaignConfig, read_config
from campaigns.ledger import Ledger, Reservation
from campaigns.models import Debt, Number, Person, PersonNumber
from campaigns.planning import set_up
from campaigns.provider import Absent, DialOrder, Found, Lookup

MORNING = datetime(2026, 11, 18, 2, 0, tzinfo=UTC)
"""Ten in the morning of a Wednesday in Shanghai."""


def count(database: Database, table: Any = Debt) -> int:
    with database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0


@dataclass
class Clock:
    now: datetime = MORNING

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += timedelta(**delta)


def config(**changes: Any) -> CampaignConfig:
    plain: dict[str, Any] = {
        "name": "november",
        "caller_ids": {"default": "+861055550100", "US": "+12125550100"},
        "trunk": {"name": "main", "channels": 8, "per_minute": 0},
    }
    return read_config({**plain, **changes})


def borrower(
    database: Database,
    number: str | tuple[str, ...] = "+8613800000001",
    *,
    lender: str = "Anxin",
    account: str | None = None,
    name: str = "张明",
    person_id: int | None = None,
    zone: str = "Asia/Shanghai",
    lang: str = "zh",
    now: datetime = MORNING,
    due: date = date(2026, 11, 12),
    region: str = "CN",
    consents: tuple[str, ...] = (),
) -> tuple[int, int]:
    """One debt of a new (or the given) person; returns the ids of debt and person."""
    numbers = (number,) if isinstance(number, str) else number
    with database.write() as session:
        if person_id is None:
            person = Person(
                key=f"{name}{numbers[0]}{account}", name=name, country=region[:2], consents=list(consents),
                created_at=now, updated_at=now,
            )  # fmt: skip
            session.add(person)
            session.flush()
            person_id = person.id
            for position, each in enumerate(numbers):
                if session.get(Number, each) is None:
                    session.add(Number(number=each))
                    session.flush()
                session.add(PersonNumber(person_id=person_id, number=each, position=position))
        debt = Debt(
            lender=lender, account=account or f"A{numbers[0]}", person_id=person_id, lang=lang, time_zone=zone,
            region=region, amount_due=Decimal("3500.00"), currency="CNY" if lang == "zh" else "USD", due_date=due,
            facts={}, state="open", row_hash="", as_of=date(2026, 11, 18), created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(debt)
        session.flush()
        return debt.id, person_id


def campaign(database: Database, clock: Clock, **changes: Any) -> int:
    return set_up(database, config(**changes), clock(), start=True)


def ledger(database: Database, clock: Callable[[], datetime], worker: str = "one") -> Ledger:
    made = Ledger(database, worker, clock=clock)
    made.beat()
    return made


@dataclass
class FakeProvider:
    """Answers as told. ``behaviour`` of an order: an id, an exception, or something to await."""

    behaviour: Callable[[DialOrder], Any] = lambda order: f"call-{order.attempt_id}"
    name: str = "fake"
    dialed: list[str] = field(default_factory=list)
    hung_up: list[str] = field(default_factory=list)
    known: dict[str, Lookup] = field(default_factory=dict)

    async def place(self, order: DialOrder) -> str:
        self.dialed.append(order.attempt_id)
        answer = self.behaviour(order)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, BaseException):
            raise answer
        return str(answer)

    async def lookup(self, order: DialOrder) -> Lookup:
        if order.attempt_id in self.known:
            return self.known[order.attempt_id]
        if order.attempt_id in self.dialed:
            return Found(f"call-{order.attempt_id}", "ended", "no_answer")
        return Absent()

    async def hang_up(self, order: DialOrder) -> None:
        self.hung_up.append(order.attempt_id)


class SilentRunner:
    """Nothing to prepare."""

    def __init__(self) -> None:
        self.forgotten: list[str] = []

    async def prepare(self, reservation: Reservation) -> None:
        return None

    def over(self, attempt_id: str) -> None:
        self.forgotten.append(attempt_id)
