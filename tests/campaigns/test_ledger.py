from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from world import MORNING, Clock, borrower, campaign, ledger

from archive.database import Database
from campaigns.ledger import GivenUp, NotNow
from campaigns.models import Attempt, Contact, Debt, Person, Record
from campaigns.provider import DialOrder
from campaigns.settling import CallResult, Settling, stop_person


def contact_of(database: Database, debt_id: int) -> Contact:
    with database.read() as session:
        return session.scalars(sa.select(Contact).where(Contact.debt_id == debt_id)).one()


def dial_one(database: Database, clock: Clock, campaign_id: int) -> DialOrder:
    book = ledger(database, clock)
    (reserved,) = book.reserve(campaign_id, 1, "fake")
    order = book.dial(reserved.attempt_id)
    assert isinstance(order, DialOrder)
    return order


def test_an_order_is_committed_before_it_is_given_out(database: Database) -> None:
    clock = Clock()
    debt, person = borrower(database)
    order = dial_one(database, clock, campaign(database, clock))
    assert (order.number, order.caller_id, order.n, order.debt_id) == ("+8613800000001", "+861055550100", 1, debt)
    with database.read() as session:
        attempt = session.get_one(Attempt, order.attempt_id)
        assert (attempt.state, attempt.dialing_at, attempt.person_id) == ("dialing", MORNING, person)
        records = session.scalars(sa.select(Record)).all()
        assert [(r.source, r.kind, r.number) for r in records] == [(order.attempt_id, "attempt", order.number)]


def test_a_reservation_is_dialled_once(database: Database) -> None:
    clock = Clock()
    borrower(database)
    book = ledger(database, clock)
    number = campaign(database, clock)
    (reserved,) = book.reserve(number, 5, "fake")
    assert book.reserve(number, 5, "fake") == []
    assert isinstance(book.dial(reserved.attempt_id), DialOrder)
    assert book.dial(reserved.attempt_id) == GivenUp("not_reserved")
    assert ledger(database, clock, "two").dial(reserved.attempt_id) == GivenUp("not_reserved")


def test_one_person_one_call_across_campaigns_and_lenders(database: Database) -> None:
    clock = Clock()
    _, person = borrower(database, account="1")
    borrower(database, person_id=person, account="2", lender="Baixin")
    borrower(database, name="王芳", account="3")  # another person under the same number
    first = campaign(database, clock)
    second = campaign(database, clock, name="december")
    book = ledger(database, clock)
    assert len(book.reserve(first, 8, "fake")) == 1
    assert book.reserve(second, 8, "fake") == []
    with database.read() as session:
        reasons = session.scalars(sa.select(Contact.reason).where(Contact.state == "waiting")).all()
    assert set(reasons) == {"person_in_a_call"}


def test_the_database_itself_refuses_a_second_live_attempt(database: Database) -> None:
    clock = Clock()
    borrower(database)
    order = dial_one(database, clock, campaign(database, clock))
    for state in ("unknown", "closing", "answered"):
        with database.write() as session:
            session.execute(sa.update(Attempt).values(state=state))
        with pytest.raises(Exception, match=r"(?i)unique"), database.write() as session:
            row = session.get_one(Attempt, order.attempt_id)
            values = {c.name: getattr(row, c.name) for c in Attempt.__table__.columns}
            session.execute(sa.insert(Attempt).values({**values, "id": "other", "n": 2, "state": "reserved"}))


def test_channels_are_shared_and_never_exceeded(database: Database) -> None:
    clock = Clock()
    for n in range(9):
        borrower(database, f"+861380000010{n}")
    number = campaign(database, clock, trunk={"name": "main", "channels": 3, "per_minute": 0})
    one, two = ledger(database, clock, "one"), ledger(database, clock, "two")
    assert len(one.reserve(number, 2, "fake")) == 2
    assert len(two.reserve(number, 8, "fake")) == 1
    assert one.reserve(number, 1, "fake") == []


def test_many_workers_share_out_without_overlap(postgres_url: str) -> None:
    from campaigns.store import open_campaigns

    database = open_campaigns(postgres_url)
    clock = Clock()
    for n in range(40):
        borrower(database, f"+86138000002{n:02d}")
    number = campaign(database, clock, trunk={"name": "main", "channels": 100, "per_minute": 0})
    got: list[int] = []
    lock = threading.Lock()

    def work(name: str) -> None:
        mine = open_campaigns(postgres_url)
        book = ledger(mine, clock, name)
        while reserved := book.reserve(number, 3, "fake"):
            with lock:
                got.extend(r.contact_id for r in reserved)
        mine.close()

    threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(set(got)) and len(got) == 40
    database.close()


def test_the_rate_is_one_bucket_for_all(database: Database) -> None:
    clock = Clock()
    for n in range(3):
        borrower(database, f"+861380000030{n}")
    number = campaign(database, clock, trunk={"name": "main", "channels": 8, "per_minute": 60})
    book = ledger(database, clock)
    first, second, third = book.reserve(number, 3, "fake")
    assert isinstance(book.dial(first.attempt_id), DialOrder)
    assert book.dial(second.attempt_id) == NotNow(timedelta(seconds=1), "rate")
    clock.forward(seconds=0.5)
    assert book.dial(second.attempt_id) == NotNow(timedelta(seconds=0.5), "rate")
    clock.forward(seconds=0.5)
    assert isinstance(book.dial(second.attempt_id), DialOrder)
    assert isinstance(book.dial(third.attempt_id), NotNow)


@pytest.mark.parametrize("when", ["before reserving", "between reserving and dialling"])
def test_a_stop_counts_at_once(database: Database, when: str) -> None:
    clock = Clock()
    debt, person = borrower(database)
    number = campaign(database, clock)
    book = ledger(database, clock)

    def stop() -> None:
        with database.write() as session:
            stop_person(session, person, "cease", clock())

    if when == "before reserving":
        stop()
        assert book.reserve(number, 1, "fake") == []
    else:
        (reserved,) = book.reserve(number, 1, "fake")
        stop()
        assert book.dial(reserved.attempt_id) == GivenUp("contact.cease_requested")
        assert book.reserve(number, 1, "fake") == []
    contact = contact_of(database, debt)
    assert contact.state == "done"
    assert contact.reason in ("contact.cease_requested", "contact.do_not_contact")


def test_hours_are_judged_at_the_dial_not_at_the_reservation(database: Database) -> None:
    clock = Clock(datetime(2026, 11, 18, 13, 59, 59, tzinfo=UTC))  # 21:59:59 in Shanghai
    debt, _ = borrower(database)
    number = campaign(database, clock)
    book = ledger(database, clock)
    (reserved,) = book.reserve(number, 1, "fake")
    clock.forward(seconds=1)
    assert book.dial(reserved.attempt_id) == GivenUp("hours.outside")
    contact = contact_of(database, debt)
    assert (contact.state, contact.next_at) == ("waiting", datetime(2026, 11, 19, 0, 0, tzinfo=UTC))


def test_every_zone_of_the_person_must_allow(database: Database) -> None:
    clock = Clock(datetime(2026, 11, 18, 13, 30, tzinfo=UTC))  # 21:30 in Shanghai, 22:30 in Tokyo
    _, person = borrower(database)
    borrower(database, person_id=person, account="tokyo", zone="Asia/Tokyo", lender="Baixin")
    assert ledger(database, clock).reserve(campaign(database, clock), 2, "fake") == []


def test_unknown_zone_and_missing_consent_fail_closed(database: Database) -> None:
    clock = Clock(datetime(2026, 11, 18, 16, 0, tzinfo=UTC))
    nowhere, _ = borrower(database, zone="Mars/Olympus")
    robot, _ = borrower(
        database, "+12125550111", name="Alex Morgan", lang="en", zone="America/New_York", region="US-NY"
    )
    number = campaign(database, clock, policies={"en": "us+us-tcpa"})
    assert ledger(database, clock).reserve(number, 2, "fake") == []
    assert contact_of(database, nowhere).state == "held"
    contact = contact_of(database, robot)
    assert (contact.state, contact.reason) == ("held", "contact.consent_missing")


def test_frequency_counts_over_campaigns(database: Database) -> None:
    """Six unanswered dials a day to a number are the Chinese working guide's limit, whoever dials."""
    clock = Clock()
    borrower(database)
    settling = Settling(database, clock)
    for n in range(6):
        number = campaign(database, clock, name=f"c{n}", max_attempts=1)
        order = dial_one(database, clock, number)
        settling.settle(order.attempt_id, CallResult("no_answer"))
        clock.forward(minutes=30)
    seventh = campaign(database, clock, name="c7")
    assert ledger(database, clock).reserve(seventh, 1, "fake") == []
    with database.read() as session:
        refused = session.scalars(sa.select(Contact).where(Contact.campaign_id == seventh)).one()
    assert refused.reason is not None and refused.reason.startswith("contact.limit.")
    assert refused.state == "waiting" and refused.next_at >= datetime(2026, 11, 18, 16, 0, tzinfo=UTC)


def test_seven_days_after_a_conversation_for_that_debt_only(database: Database) -> None:
    """Regulation F: no call about a debt within seven days of a conversation about it."""
    clock = Clock(datetime(2026, 11, 18, 16, 0, tzinfo=UTC))
    kwargs = {"name": "Alex", "lang": "en", "zone": "America/New_York", "region": "US-NY"}
    first, person = borrower(database, "+12125550111", account="1", consents=("robot_call",), **kwargs)  # type: ignore[arg-type]
    number = campaign(database, clock)
    order = dial_one(database, clock, number)
    Settling(database, clock).settle(order.attempt_id, CallResult("hung_up"))
    second, _ = borrower(database, person_id=person, account="2", lender="Harbor", **kwargs)  # type: ignore[arg-type]
    campaign(database, clock)
    clock.forward(days=2)
    book = ledger(database, clock)
    (reserved,) = book.reserve(number, 2, "fake")
    assert reserved.debt_id == second
    assert (contact_of(database, first).reason or "").startswith("contact.pause.conversation")


def test_caller_id_by_region_and_none_is_refused(database: Database) -> None:
    clock = Clock()
    debt, _ = borrower(database, region="HK")
    number = campaign(database, clock, caller_ids={"CN": "+861055550100"})
    assert ledger(database, clock).reserve(number, 1, "fake") == []
    assert contact_of(database, debt).reason == "campaign.no_caller_id"


def test_a_stage_that_has_passed_is_not_called(database: Database) -> None:
    clock = Clock()
    debt, _ = borrower(database)
    number = campaign(database, clock, select={"min_days_past_due": 1, "max_days_past_due": 6})
    clock.forward(days=1)
    assert ledger(database, clock).reserve(number, 1, "fake") == []
    assert contact_of(database, debt).reason == "campaign.stage_passed"


def test_a_paid_debt_is_not_called_even_after_the_reservation(database: Database) -> None:
    clock = Clock()
    debt, _ = borrower(database)
    book = ledger(database, clock)
    (reserved,) = book.reserve(campaign(database, clock), 1, "fake")
    with database.write() as session:
        session.get_one(Debt, debt).state = "paid"
    assert book.dial(reserved.attempt_id) == GivenUp("debt.paid")
    assert contact_of(database, debt).state == "done"


def test_a_person_without_flags_is_read_fresh(database: Database) -> None:
    clock = Clock()
    _, person = borrower(database)
    book = ledger(database, clock)
    (reserved,) = book.reserve(campaign(database, clock), 1, "fake")
    with database.write() as session:
        session.get_one(Person, person).attorney = True
    assert book.dial(reserved.attempt_id) == GivenUp("contact.attorney")
