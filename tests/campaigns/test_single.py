"""Calls placed by hand: judged and counted with all the others."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from world import Clock, borrower, campaign, ledger

from archive.database import Database
from campaigns.models import Number, Person, Record
from campaigns.settling import CallResult, stop_person
from campaigns.single import SingleDials

NUMBER = "+12125550123"
IN_A_CALL = "person_in_a_call: another call of ours to them is going on, or is not settled yet"
NOON = datetime(2026, 11, 18, 17, 0, tzinfo=UTC)
"""Of a Wednesday in New York."""


def dial(database: Database, clock: Clock, attempt: str = "a", number: str = NUMBER) -> str | None:
    return SingleDials(database, clock=clock).dial(attempt, number, "America/New_York", "en", "us")


def test_it_counts_for_campaigns_and_they_count_for_it(sqlite: Database) -> None:
    clock = Clock(NOON)
    borrower(sqlite, NUMBER, lang="en", zone="America/New_York", region="US-NY")
    number = campaign(sqlite, clock, policies={"en": "us"})
    assert dial(sqlite, clock) is None
    SingleDials(sqlite, clock=clock).settle("a", CallResult("promise_to_pay"))
    assert ledger(sqlite, clock).reserve(number, 1, "fake") == [], "a conversation pauses the campaign for a week"
    refusal = dial(sqlite, clock, "b")
    assert refusal is not None and refusal.startswith("contact.pause.conversation: "), refusal
    clock.forward(days=7, hours=1)
    assert dial(sqlite, clock, "c") is None


def test_seven_in_seven_days_of_a_number_that_nobody_imported(sqlite: Database) -> None:
    clock = Clock(NOON)
    for n in range(7):
        assert dial(sqlite, clock, f"a{n}") is None
        SingleDials(sqlite, clock=clock).settle(f"a{n}", CallResult("no_answer"))
        clock.forward(minutes=20)
    assert "contact.limit" in (dial(sqlite, clock, "a7") or "")
    assert dial(sqlite, clock, "other", "+12125550999") is None


def test_a_trunk_that_failed_was_nobodys_attempt(sqlite: Database) -> None:
    clock = Clock(NOON)
    for n in range(9):
        assert dial(sqlite, clock, f"a{n}") is None
        SingleDials(sqlite, clock=clock).settle(f"a{n}", CallResult("trunk_error"))


def test_a_live_call_of_a_campaign_keeps_the_number(sqlite: Database) -> None:
    clock = Clock(NOON)
    borrower(sqlite, NUMBER, lang="en", zone="America/New_York", region="US-NY")
    number = campaign(sqlite, clock, policies={"en": "us"})
    assert len(ledger(sqlite, clock).reserve(number, 1, "fake")) == 1
    assert dial(sqlite, clock) == IN_A_CALL


def test_nobody_is_called_twice_at_a_time(sqlite: Database) -> None:
    """A call by hand keeps its number, and its people's other numbers, from hands and campaigns until it is settled."""
    clock = Clock(NOON)
    borrower(sqlite, NUMBER, lang="en", zone="America/New_York", region="US-NY")
    number = campaign(sqlite, clock, policies={"en": "us"})
    assert dial(sqlite, clock) is None
    clock.forward(minutes=1)
    assert dial(sqlite, clock, "b") == IN_A_CALL
    assert ledger(sqlite, clock).reserve(number, 1, "fake") == []
    SingleDials(sqlite, clock=clock).settle("a", CallResult("no_answer"))
    assert dial(sqlite, clock, "b") is None
    clock.forward(hours=3)  # its process was killed: nobody settles it
    assert dial(sqlite, clock, "c") is None


def test_a_number_that_nobody_imported_is_not_everybodys(sqlite: Database) -> None:
    clock = Clock(NOON)
    assert dial(sqlite, clock) is None
    assert dial(sqlite, clock, "b", "+12125550999") is None
    assert dial(sqlite, clock, "c") == IN_A_CALL


@pytest.mark.parametrize("result", [CallResult("stop_contact"), CallResult("hung_up", restrictions=("stop_contact",))])
def test_who_says_stop_is_stopped_everywhere(sqlite: Database, result: CallResult) -> None:
    clock = Clock(NOON)
    borrower(sqlite, NUMBER, lang="en", zone="America/New_York", region="US-NY")
    assert dial(sqlite, clock) is None
    SingleDials(sqlite, clock=clock).settle("a", result)
    clock.forward(days=30)
    assert (dial(sqlite, clock, "b") or "").startswith("contact.")
    with sqlite.read() as session:
        assert session.scalars(sa.select(Person.stopped_reason)).all() == ["stop_contact"]
        assert session.scalars(sa.select(Number.stopped_reason)).all() == ["stop_contact"]


@pytest.mark.parametrize("what", ["stopped", "attorney", "zone", "night"])
def test_what_an_import_says_of_the_person_holds(sqlite: Database, what: str) -> None:
    clock = Clock(NOON)
    zone = "Asia/Shanghai" if what == "zone" else "America/New_York"  # one in the morning there
    _, person = borrower(sqlite, NUMBER, lang="en", zone=zone, region="US-NY")
    with sqlite.write() as session:
        if what == "stopped":
            stop_person(session, person, "cease", clock())
        elif what == "attorney":
            session.get_one(Person, person).attorney = True
    if what == "night":
        clock.forward(hours=11)
    refusal = dial(sqlite, clock)
    assert refusal is not None and NUMBER not in refusal
    if what in ("zone", "night"):
        assert refusal.startswith("hours.outside: ") and "allowed from 2026-11-1" in refusal
    with sqlite.read() as session:
        assert session.scalars(sa.select(Record.id)).all() == [], "nothing was entered"


def test_a_second_word_on_a_call_changes_nothing(sqlite: Database) -> None:
    clock = Clock(NOON)
    assert dial(sqlite, clock) is None
    books = SingleDials(sqlite, clock=clock)
    books.settle("a", CallResult("promise_to_pay"))
    books.settle("a", CallResult("trunk_error"))
    books.settle("never dialled", CallResult("stop_contact"))
    with sqlite.read() as session:
        assert {r.kind: r.void for r in session.scalars(sa.select(Record))} == {"attempt": False, "conversation": False}


@pytest.mark.parametrize(
    ("restriction", "field"), [("legal_representation", "attorney"), ("deceased_or_incapacitated", "deceased")]
)
def test_what_was_said_in_a_call_that_ended_otherwise_protects_the_person(
    sqlite: Database, restriction: str, field: str
) -> None:
    from campaigns.provider import DialOrder
    from campaigns.settling import Settling

    clock = Clock()
    borrower(sqlite)
    number = campaign(sqlite, clock)
    books = ledger(sqlite, clock)
    (reserved,) = books.reserve(number, 1, "fake")
    assert isinstance(books.dial(reserved.attempt_id), DialOrder)
    Settling(sqlite, clock).settle(reserved.attempt_id, CallResult("hung_up", restrictions=(restriction,)))
    with sqlite.read() as session:
        assert getattr(session.scalars(sa.select(Person)).one(), field) is True
    clock.forward(days=1)
    assert ledger(sqlite, clock).reserve(number, 1, "fake") == []
