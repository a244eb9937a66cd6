""" "Call me Tuesday at three": from the borrower's words to the next attempt, as they would live it."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from world import Clock, borrower, campaign, config, ledger

from agent.call import callback_of
from agent.case import demo_case
from agent.dialogue import Dialogue, EndCall
from agent.events import Heard, Lang, Span
from agent.frames import HeardFrame
from agent.understanding import to_event
from archive.database import Database
from campaigns.ledger import NotNow
from campaigns.models import PersonNumber
from campaigns.planning import Planned, plan
from campaigns.provider import DialOrder
from campaigns.settling import CallResult, Settling
from campaigns.status import status
from scripts.loader import load_script
from sentiment.understand import Understander

ZONES: dict[Lang, str] = {"zh": "Asia/Shanghai", "en": "America/New_York"}
TEN: dict[Lang, datetime] = {
    "zh": datetime(2026, 11, 18, 2, 0, tzinfo=UTC), "en": datetime(2026, 11, 18, 15, 0, tzinfo=UTC),
}  # fmt: skip
"""Ten in the morning of a Wednesday, where they live."""


@pytest.fixture(scope="module")
def understander() -> Understander:
    return Understander.load()


def called(database: Database, lang: Lang) -> tuple[Clock, Settling, str, int]:
    """A borrower of a running campaign who has just been dialled."""
    clock = Clock(TEN[lang])
    number, region = ("+8613800000001", "CN") if lang == "zh" else ("+12125550100", "US-NY")
    borrower(database, number, lang=lang, zone=ZONES[lang], region=region)
    campaign_id = campaign(database, clock)
    books = ledger(database, clock)
    (reserved,) = books.reserve(campaign_id, 1, "fake")
    assert isinstance(books.dial(reserved.attempt_id), DialOrder)
    return clock, Settling(database, clock), reserved.attempt_id, campaign_id


def said(understander: Understander, lang: Lang, words: str) -> CallResult:
    """What a call comes to in which the person says ``words`` as soon as they hear who it is."""
    today = TEN[lang].date()
    dialogue = Dialogue(load_script("days_1_15_reminder", lang, TEN[lang]), demo_case(lang, today), today)
    state, _ = dialogue.start()
    heard = Heard(words, lang, Span(0, 2), confidence=0.95)
    read = understander.understand(words, lang, today=today, time_zone=ZONES[lang], now=TEN[lang], expects="identity")
    state, actions = dialogue.step(state, to_event(HeardFrame(heard, np.zeros(0, np.float32)), read))
    end = next(action for action in actions if isinstance(action, EndCall))
    return CallResult(end.disposition, "call", callback=callback_of(state), verified=state.party == "borrower")


def planned(database: Database, clock: Clock, **changes: Any) -> Planned:
    (row,) = plan(database, config(**changes), clock())
    return row


@pytest.mark.parametrize(
    ("lang", "words", "wanted"),
    [
        ("zh", "我现在不方便，你下周二下午三点再打给我吧", "2026-11-24T15:00+08:00"),
        ("zh", "在开会呢，明天上午十点再打", "2026-11-19T10:00+08:00"),
        ("en", "I'm driving, call me back on Tuesday at three in the afternoon.", "2026-11-24T15:00-05:00"),
        ("en", "Can you call me tomorrow at 10 am?", "2026-11-19T10:00-05:00"),
    ],
)
def test_the_time_that_was_asked_for_is_the_next_attempt(
    sqlite: Database, understander: Understander, lang: Lang, words: str, wanted: str
) -> None:
    clock, settling, attempt, campaign_id = called(sqlite, lang)
    result = said(understander, lang, words)
    assert result.outcome == "callback_booked", result
    settling.settle(attempt, result)

    row = planned(sqlite, clock)
    at = datetime.fromisoformat(wanted)
    assert row.at == at and row.at.utcoffset() == at.utcoffset(), "in the plan, by the borrower's own clock"
    state = status(sqlite, "november", clock())
    assert (state.callbacks, state.next_callback_at, state.reasons) == (1, at, {"callback_booked": 1})

    books = ledger(sqlite, clock)
    clock.now = at.astimezone(UTC) - timedelta(seconds=1)
    books.beat()
    assert books.reserve(campaign_id, 1, "fake") == [], "not a second earlier"
    clock.now = at.astimezone(UTC)
    (again,) = books.reserve(campaign_id, 1, "fake")
    assert isinstance(books.dial(again.attempt_id), DialOrder | NotNow)
    settling.settle(again.attempt_id, CallResult("no_answer"))
    state = status(sqlite, "november", clock())
    assert (state.callbacks, state.reasons) == (0, {"no_answer": 1}), "one request is one call"


_numbers = itertools.count(10)


def settled(database: Database, result: CallResult, **campaign_changes: Any) -> tuple[Clock, int]:
    clock = Clock(TEN["zh"])
    n = next(_numbers)
    borrower(database, f"+86138000000{n:02d}", due=date(2026, 11, 4))  # the fifteenth day tomorrow
    campaign_id = campaign(database, clock, **campaign_changes)
    books = ledger(database, clock)
    (reserved,) = books.reserve(campaign_id, 1, "fake")
    books.dial(reserved.attempt_id)
    Settling(database, clock).settle(reserved.attempt_id, result)
    return clock, campaign_id


def booked(day: date | None, clock: time | None) -> CallResult:
    return CallResult("callback_booked", callback=(day, clock))


def test_a_time_at_which_nobody_may_be_called_waits_for_one_that_may(sqlite: Database) -> None:
    clock, _ = settled(sqlite, booked(date(2026, 11, 18), time(23, 30)))
    row = planned(sqlite, clock)
    assert row.reason == "hours.outside" and row.at is not None
    assert row.at.isoformat() == "2026-11-19T08:00:00+08:00"


def test_a_callback_is_owed_beyond_the_campaigns_own_bounds(sqlite: Database) -> None:
    """Days past due and attempts are the lender's wishes; that the person asked to be called weighs more."""
    clock, campaign_id = settled(sqlite, booked(date(2026, 11, 24), time(15)), max_attempts=1)
    row = planned(sqlite, clock, max_attempts=1)
    assert row.at is not None and row.at.isoformat() == "2026-11-24T15:00:00+08:00" and row.reason == "callback_booked"
    clock.now = row.at
    assert len(ledger(sqlite, clock).reserve(campaign_id, 1, "fake")) == 1


def test_booking_a_time_does_not_show_whose_number_it_is(sqlite: Database) -> None:
    """A text that names the debt goes only to a number that the borrower was shown to answer."""
    settled(sqlite, booked(date(2026, 11, 24), time(15)))
    with sqlite.read() as session:
        assert session.scalars(sa.select(PersonNumber.verified_at)).all() == [None]
    settled(sqlite, replace(booked(None, time(15)), verified=True), name="second")
    with sqlite.read() as session:
        assert any(session.scalars(sa.select(PersonNumber.verified_at)))


@pytest.mark.parametrize(
    ("day", "at", "wanted"),
    [
        (date(2026, 11, 20), None, "2026-11-20T10:00:00+08:00"),
        (None, time(15, 30), "2026-11-18T15:30:00+08:00"),
        (None, time(9), "2026-11-19T09:00:00+08:00"),
        (None, None, "2026-11-19T09:00:00+08:00"),
        (date(2026, 11, 17), time(9), "2026-11-19T09:00:00+08:00"),
    ],
)
def test_half_a_time_is_completed(sqlite: Database, day: date | None, at: time | None, wanted: str) -> None:
    clock, _ = settled(sqlite, booked(day, at))
    row = planned(sqlite, clock)
    assert row.at is not None and row.at.isoformat() == wanted
