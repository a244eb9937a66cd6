"""Simulated calls for the console: marked as such, the same each time, entered once, sealed like real ones."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from agent.cli import app
from agent.seeding import DAYS, Seeded, Simulator
from agent.seeding_archive import fill
from archive.covering import MASK
from archive.dashboards import Dashboards
from archive.models import Call, Turn, VerdictRow
from archive.queries import CallFilter, CallQueries
from archive.verify import verify
from compliance_checks.gate import Gate
from console.context import Context
from sentiment.understand import Understander

UNTIL = datetime(2026, 11, 22, 2, 0, tzinfo=UTC)


@lru_cache(maxsize=1)
def models() -> tuple[Understander, Gate]:
    return Understander.load(), Gate.load()


def played(seed: int, calls: int) -> list[Seeded]:
    simulator = Simulator(*models(), UNTIL, seed)
    return [simulator.call(number) for number in range(calls)]


@lru_cache(maxsize=1)
def of_seed_five() -> list[Seeded]:
    return played(5, 30)


def test_the_same_seed_gives_the_same_calls() -> None:
    assert played(3, 4) == played(3, 4)
    assert [c.call["id"] for c in played(3, 4)] != [c.call["id"] for c in played(4, 4)]


def test_calls_are_entered_once_and_sealed(context: Context) -> None:
    simulator = Simulator(*models(), UNTIL, 3)
    first = fill(context.database, context.store, simulator, 24, recordings=1)
    again = fill(context.database, context.store, simulator, 24, recordings=1)
    assert (first.made, first.there) == (24, 0) and (again.made, again.there) == (0, 24)
    report = verify(context.database, context.store)
    assert report.intact and report.calls == 24 and report.unsealed == 0 and report.recordings == 1
    with context.database.read() as session:
        calls = session.scalars(sa.select(Call)).all()
        assert all(c.scenario and (c.campaign or "").startswith("demo ") for c in calls), "nobody takes them for real"
        assert {c.lang for c in calls} == {"zh", "en"} and len({c.disposition for c in calls}) >= 4
        assert len({c.started_at.date() for c in calls}) >= 5
        for call in calls:
            zone = ZoneInfo("Asia/Shanghai" if call.lang == "zh" else "America/New_York")
            assert 9 <= call.started_at.astimezone(zone).hour < 20
            assert 0 < (UNTIL - call.started_at).days <= DAYS + 1
        said = session.scalars(sa.select(Turn).where(Turn.who == "agent")).all()
        judged = {(v.call_id, v.seq): v.decision for v in session.scalars(sa.select(VerdictRow))}
        assert said and all(judged[t.call_id, t.verdict_seq or 0] == "allow" for t in said), "the gate judged each line"
        numbers = Dashboards(session).totals(CallFilter())
        assert numbers.calls == 24 and numbers.promises and numbers.seconds > 24 * 10
        assert CallQueries(session).page(CallFilter(text="本人")).calls


def test_the_digits_that_prove_who_somebody_is_are_masked_as_in_any_call(context: Context) -> None:
    fill(context.database, context.store, Simulator(*models(), UNTIL, 5), 12)
    plain = {t["text"] for call in of_seed_five()[:12] for t in call.rows["turns"] if "digits" in t["slots"]}
    with context.database.read() as session:
        turns = session.scalars(sa.select(Turn).where(Turn.who == "borrower")).all()
    answers = [t for t in turns if "digits" in (t.slots or {})]
    assert len(plain) >= 3 and not plain & {t.text for t in turns}
    assert answers and all(MASK * 4 in t.text.replace(" ", "") for t in answers)
    assert not any(re.search(r"\d{4}", str(t.slots["digits"]["value"])) for t in answers)


def test_people_say_and_feel_different_things() -> None:
    calls = of_seed_five()
    theirs = [t for c in calls for t in c.rows["turns"] if t["who"] == "borrower"]
    assert len(Counter(t["intent"] for t in theirs)) >= 8
    assert len({t["emotion"] for t in theirs}) >= 3
    assert any(c.rows["flags"] for c in calls)
    for call in calls:
        turns = call.rows["turns"]
        assert all(a["start"] <= b["start"] for a, b in pairwise(turns))


@pytest.mark.parametrize("until", ["yesterday", "2026-13-01"])
def test_a_day_that_is_none_is_told(until: str) -> None:
    result = CliRunner().invoke(app, ["console", "seed", "--until", until])
    assert result.exit_code == 2 and "--until" in result.output
