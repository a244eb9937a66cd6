from __future__ import annotations

import itertools
import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from world import Clock, FakeProvider, borrower, campaign, ledger

from archive.database import Database
from campaigns.errors import LedgerError
from campaigns.ledger import Ledger, NotNow
from campaigns.models import Attempt, Contact, Debt, Number, Outgoing, Person, PersonNumber, Record, Trunk
from campaigns.outcomes import EFFECTS, OUTCOMES, Retry, callback_at, effect
from campaigns.provider import Absent, CannotTell, DialOrder, Found
from campaigns.reaper import LEASE, SETTLED, Reaped, reap
from campaigns.settling import CallResult, Settling
from campaigns.status import resolve, status


def dialed(database: Database, clock: Clock, **changes: object) -> tuple[Ledger, Settling, DialOrder]:
    book = ledger(database, clock)
    (reserved,) = book.reserve(campaign(database, clock, **changes), 1, "fake")
    order = book.dial(reserved.attempt_id)
    assert isinstance(order, DialOrder)
    return book, Settling(database, clock), order


def attempt(database: Database, order: DialOrder) -> Attempt:
    with database.read() as session:
        return session.get_one(Attempt, order.attempt_id)


def contact(database: Database, order: DialOrder) -> Contact:
    with database.read() as session:
        return session.get_one(Contact, order.contact_id)


EVENTS = [("placed", None), ("ringing", None), ("answered", None), ("ended", None)]


def test_every_order_of_the_same_webhooks_ends_the_same(sqlite: Database) -> None:
    clock = Clock()
    rng = random.Random(4)
    orders = [list(p) for p in itertools.permutations(EVENTS)]
    for n in range(len(orders)):
        borrower(sqlite, f"+86138000040{n:02d}")
    number = campaign(sqlite, clock, trunk={"name": "main", "channels": 99, "per_minute": 0},
                      webhooks={"url": "https://lender.example/hook"})  # fmt: skip
    book, settling = ledger(sqlite, clock), Settling(sqlite, clock)
    for events, reserved in zip(orders, book.reserve(number, 99, "fake"), strict=True):
        order = book.dial(reserved.attempt_id)
        assert isinstance(order, DialOrder)
        told = [event for event in events for _ in range(rng.randint(1, 3))]  # duplicates
        for status_, outcome in told:
            settling.progress(status_, attempt_id=order.attempt_id, provider_call_id="C" + order.attempt_id,
                              outcome=outcome)  # fmt: skip
        row = attempt(sqlite, order)
        assert (row.state, row.provider_call_id) == ("closing", "C" + order.attempt_id)
        results = [settling.settle(order.attempt_id, CallResult("promise_to_pay")) for _ in range(2)]
        assert results == ["applied", "ignored"]
        assert settling.progress("ringing", attempt_id=order.attempt_id) == "ignored"
        assert attempt(sqlite, order).state == "ended"
    with sqlite.read() as session:
        told_once = session.execute(sa.select(Outgoing.payload["attempt_id"].as_string(), sa.func.count()).group_by(
            Outgoing.payload["attempt_id"].as_string())).all()  # fmt: skip
    assert len(told_once) == len(orders) and {n for _, n in told_once} == {1}


def test_an_end_may_come_before_the_answer_to_our_request(database: Database) -> None:
    clock = Clock()
    borrower(database)
    _, settling, order = dialed(database, clock)
    assert settling.progress("ended", attempt_id=order.attempt_id, outcome="busy") == "applied"
    assert settling.progress("placed", attempt_id=order.attempt_id, provider_call_id="C1") == "ignored"
    row = attempt(database, order)
    assert (row.state, row.outcome, row.provider_call_id) == ("ended", "busy", "C1")


def test_words_about_calls_that_are_not_ours_change_nothing(database: Database) -> None:
    clock = Clock()
    borrower(database)
    _, settling, order = dialed(database, clock)
    settling.progress("placed", attempt_id=order.attempt_id, provider_call_id="C1")
    assert settling.progress("ended", attempt_id="no-such", outcome="busy") == "no_such_call"
    assert settling.progress("ended", provider="fake", provider_call_id="C2", outcome="busy") == "no_such_call"
    assert settling.progress("ended", attempt_id=order.attempt_id, provider_call_id="C2") == "no_such_call"
    assert settling.progress("ended", attempt_id=order.attempt_id, provider="other", outcome="busy") == "no_such_call"
    assert attempt(database, order).state == "placed"
    assert settling.progress("answered", provider="fake", provider_call_id="C1") == "applied"


def test_every_outcome_has_an_effect_and_leaves_the_contact_somewhere(sqlite: Database) -> None:
    assert set(EFFECTS) == set(OUTCOMES)
    clock = Clock()
    for n, _ in enumerate(OUTCOMES):
        borrower(sqlite, f"+86138000050{n:02d}")
    number = campaign(sqlite, clock, trunk={"name": "main", "channels": 99, "per_minute": 0})
    book, settling = ledger(sqlite, clock), Settling(sqlite, clock)
    for outcome, reserved in zip(OUTCOMES, book.reserve(number, 99, "fake"), strict=True):
        order = book.dial(reserved.attempt_id)
        if isinstance(order, NotNow):  # a trunk error further up must not break the circuit alone
            raise AssertionError(order)
        assert isinstance(order, DialOrder)
        settling.settle(order.attempt_id, CallResult(outcome))
        row = contact(sqlite, order)
        assert row.state != "live", outcome
        assert row.outcome == outcome
        if row.state == "waiting":
            assert row.next_at > clock(), outcome


@pytest.mark.parametrize(
    ("outcome", "minutes"),
    [("busy", [15, 15]), ("no_answer", [180]), ("trunk_error", [5, 5, 5])],
)
def test_retry_starting_values(database: Database, outcome: str, minutes: list[int]) -> None:
    clock = Clock()
    borrower(database)
    number = campaign(database, clock)
    book, settling = ledger(database, clock), Settling(database, clock)
    for wait in minutes:
        (reserved,) = book.reserve(number, 1, "fake")
        order = book.dial(reserved.attempt_id)
        assert isinstance(order, DialOrder)
        settling.settle(order.attempt_id, CallResult(outcome))
        assert contact(database, order).next_at == clock() + timedelta(minutes=wait)
        clock.now = contact(database, order).next_at


def test_a_third_busy_waits_like_no_answer_and_voicemail_until_tomorrow(database: Database) -> None:
    clock = Clock()
    borrower(database)
    number = campaign(database, clock)
    book, settling = ledger(database, clock), Settling(database, clock)
    order = None
    for _ in range(3):
        (reserved,) = book.reserve(number, 1, "fake")
        order = book.dial(reserved.attempt_id)
        assert isinstance(order, DialOrder)
        settling.settle(order.attempt_id, CallResult("busy"))
        clock.now = contact(database, order).next_at
    assert isinstance(order, DialOrder)
    assert clock() == datetime(2026, 11, 18, 5, 30, tzinfo=UTC)  # 10:30 + 3 h: 13:30, another part of the day
    (reserved,) = book.reserve(number, 1, "fake")
    last = book.dial(reserved.attempt_id)
    assert isinstance(last, DialOrder)
    settling.settle(last.attempt_id, CallResult("voicemail"))
    assert contact(database, last).next_at == datetime(2026, 11, 19, 1, 0, tzinfo=UTC)  # 9:00


def test_trunk_errors_are_nobodys_attempt_and_break_the_circuit(database: Database) -> None:
    clock = Clock()
    for n in range(4):
        borrower(database, f"+861380000060{n}")
    number = campaign(database, clock)
    book, settling = ledger(database, clock), Settling(database, clock)
    reservations = book.reserve(number, 4, "fake")
    for reserved in reservations[:3]:
        order = book.dial(reserved.attempt_id)
        assert isinstance(order, DialOrder)
        settling.refused(order.attempt_id, "trunk_error")
        assert contact(database, order).dialed == 0
    assert book.dial(reservations[3].attempt_id) == NotNow(timedelta(minutes=1), "trunk_broken")
    assert book.reserve(number, 4, "fake") == []
    with database.read() as session:
        assert session.scalars(sa.select(Record.void)).all() == [True] * 3
    clock.forward(minutes=1, seconds=1)
    order = book.dial(reservations[3].attempt_id)
    assert isinstance(order, DialOrder)
    settling.settle(order.attempt_id, CallResult("no_answer"))
    with database.read() as session:
        trunk = session.get_one(Trunk, "main")
        assert (trunk.failures, trunk.closed_until) == (0, None)


def test_stop_contact_stops_every_debt_of_the_person_in_every_campaign(database: Database) -> None:
    clock = Clock()
    _, person = borrower(database, account="1")
    borrower(database, person_id=person, account="2", lender="Baixin")
    campaign(database, clock, name="other")
    _, settling, order = dialed(database, clock)
    settling.settle(order.attempt_id, CallResult("stop_contact"))
    with database.read() as session:
        assert session.get_one(Person, person).stopped_reason == "stop_contact"
        assert set(session.scalars(sa.select(Contact.state))) == {"done"}


def test_a_stop_that_arrives_after_another_outcome_still_counts(database: Database) -> None:
    clock = Clock()
    _, person = borrower(database)
    _, settling, order = dialed(database, clock)
    settling.settle(order.attempt_id, CallResult("hung_up"))
    assert settling.settle(order.attempt_id, CallResult("stop_contact")) == "ignored"
    with database.read() as session:
        assert session.get_one(Person, person).stopped_at is not None
    assert contact(database, order).state == "done"


@pytest.mark.parametrize("outcome", ["wrong_number", "invalid_number", "third_party_reached"])
def test_a_wrong_number_is_stopped_and_the_next_one_is_tried(database: Database, outcome: str) -> None:
    clock = Clock()
    borrower(database, ("+8613800000071", "+8613800000072"))
    book, settling, order = dialed(database, clock)
    settling.settle(order.attempt_id, CallResult(outcome))
    with database.read() as session:
        assert session.get_one(Number, "+8613800000071").stopped_reason == outcome
    row = contact(database, order)
    assert row.state == "waiting"
    clock.now = max(row.next_at, clock()) + timedelta(hours=1)
    (reserved,) = book.reserve(row.campaign_id, 1, "fake")
    second = book.dial(reserved.attempt_id)
    assert isinstance(second, DialOrder) and second.number == "+8613800000072"
    settling.settle(second.attempt_id, CallResult(outcome))
    assert contact(database, order).reason == "contact.no_number"


def test_a_promise_is_told_once_with_its_date_and_amount(database: Database) -> None:
    clock = Clock()
    borrower(database)
    _, settling, order = dialed(database, clock, webhooks={"url": "https://lender.example/hook"})
    result = CallResult("promise_to_pay", "c-1", (date(2026, 11, 20), Decimal("3500.00")))
    settling.settle(order.attempt_id, result)
    settling.settle(order.attempt_id, result)
    with database.read() as session:
        rows = session.scalars(sa.select(Outgoing).order_by(Outgoing.id)).all()
        verified = session.scalars(sa.select(PersonNumber.verified_at)).all()
    assert [row.kind for row in rows] == ["disposition", "promise"]
    assert rows[1].payload["promise"] == {"date": "2026-11-20", "amount": "3500.00", "currency": "CNY"}
    assert rows[0].payload["account"] == "A+8613800000001"
    assert verified == [clock()]


def test_a_callback_is_booked_in_the_borrowers_zone(database: Database) -> None:
    clock = Clock()
    borrower(database)
    _, settling, order = dialed(database, clock)
    settling.settle(order.attempt_id, CallResult("callback_booked", callback=(date(2026, 11, 19), time(15, 30))))
    row = contact(database, order)
    assert (row.next_at, row.requested) == (datetime(2026, 11, 19, 7, 30, tzinfo=UTC), True)
    assert callback_at(None, None, clock(), datetime.now(UTC).astimezone().tzinfo) is None  # type: ignore[arg-type]


def test_a_dispute_closes_the_debt(database: Database) -> None:
    clock = Clock()
    debt, _ = borrower(database)
    _, settling, order = dialed(database, clock)
    settling.settle(order.attempt_id, CallResult("disputed"))
    with database.read() as session:
        assert session.get_one(Debt, debt).state == "disputed"


def test_overrides_touch_only_what_is_retried() -> None:
    assert effect("busy", {"busy": Retry(timedelta(hours=1), 5)}).after == timedelta(hours=1)
    assert effect("stop_contact", {"stop_contact": Retry(timedelta(0), 5)}) == EFFECTS["stop_contact"]
    assert effect("something new").does == "hold"


async def test_the_reaper_gives_back_what_was_never_dialled(database: Database) -> None:
    clock = Clock()
    borrower(database)
    dead = ledger(database, clock, "dead")
    number = campaign(database, clock)
    (reserved,) = dead.reserve(number, 1, "fake")
    book, settling, provider = ledger(database, clock), Settling(database, clock), FakeProvider()
    assert await reap(book, settling, {"fake": provider}) == Reaped()
    clock.forward(seconds=LEASE.total_seconds() + 1)
    book.beat()
    assert await reap(book, settling, {"fake": provider}) == Reaped(released=1)
    (again,) = book.reserve(number, 1, "fake")
    assert again.attempt_id != reserved.attempt_id


@pytest.mark.parametrize(
    ("known", "state", "outcome", "contact_state"),
    [
        (Found("C1", "ended", "no_answer"), "ended", "no_answer", "waiting"),
        (Found("C1", "ended", None), "ended", "failed", "waiting"),
        (Found("C1", "ringing"), "ringing", None, "live"),
        (CannotTell("unreachable"), "unknown", None, "live"),
        (Absent(), "absent", None, "held"),
    ],
)
async def test_the_reaper_asks_the_provider(
    database: Database, known: object, state: str, outcome: str | None, contact_state: str
) -> None:
    clock = Clock()
    borrower(database)
    _, settling, order = dialed(database, clock)
    clock.forward(seconds=max(LEASE, SETTLED).total_seconds() + 1)
    other = ledger(database, clock, "two")
    provider = FakeProvider(known={order.attempt_id: known})  # type: ignore[dict-item]
    await reap(other, settling, {"fake": provider})
    row = attempt(database, order)
    assert (row.state, row.outcome, contact(database, order).state) == (state, outcome, contact_state)
    # A call that nobody serves must not be answered by silence.
    assert provider.hung_up == ([order.attempt_id] if state == "ringing" else [])
    clock.forward(hours=30)
    other.beat()
    again = [order.attempt_id for order in other.reserve(contact(database, order).campaign_id, 5, "fake")]
    assert bool(again) == (contact_state == "waiting"), "only a known outcome is redialled"


async def test_absence_is_not_believed_before_a_request_can_have_arrived(database: Database) -> None:
    clock = Clock()
    borrower(database)
    book, settling, order = dialed(database, clock)
    book.uncertain(order.attempt_id, "TimeoutError")
    provider = FakeProvider(known={order.attempt_id: Absent()})
    await reap(book, settling, {"fake": provider})
    assert attempt(database, order).state == "unknown"
    clock.forward(seconds=SETTLED.total_seconds())
    book.beat()
    assert await reap(book, settling, {"fake": provider}) == Reaped(absent=1)


def test_a_call_that_was_given_up_comes_back_when_the_provider_says_so(database: Database) -> None:
    clock = Clock()
    borrower(database)
    book, settling, order = dialed(database, clock)
    book.uncertain(order.attempt_id, "TimeoutError")
    assert settling.absent(order.attempt_id, "unknown")
    assert contact(database, order).dialed == 0
    assert settling.progress("ringing", attempt_id=order.attempt_id, provider_call_id="C1") == "applied"
    row = contact(database, order)
    assert (attempt(database, order).state, row.state, row.dialed) == ("ringing", "live", 1)
    with database.read() as session:
        assert session.scalars(sa.select(Record.void)).all() == [False]


def test_a_person_resolves_what_nobody_knows(database: Database) -> None:
    clock = Clock()
    borrower(database)
    book, _, order = dialed(database, clock)
    with pytest.raises(LedgerError, match="in no doubt"):
        resolve(book, order.attempt_id, outcome="no_answer", redial=False)
    book.uncertain(order.attempt_id, "TimeoutError")
    assert status(database, "november", clock()).unknown == (order.attempt_id,)
    with pytest.raises(LedgerError, match="no outcome"):
        resolve(book, order.attempt_id, outcome="bored", redial=False)
    resolve(book, order.attempt_id, outcome=None, redial=True)
    assert contact(database, order).state == "waiting"
    with pytest.raises(LedgerError, match="no such attempt"):
        resolve(book, "nobody", outcome=None, redial=False)
