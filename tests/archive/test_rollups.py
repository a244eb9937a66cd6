"""Sums kept beforehand say what the calls say, whatever happened since they were summed up."""

from __future__ import annotations

import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive import days, rollups
from archive.dashboards import Dashboards
from archive.models import Call, Summary, SummaryCell, SummaryDay, SummaryStale
from archive.queries import CallFilter, CallQueries
from archive.summaries import EMOTIONS, doc_of
from archive.writer import CallArchive, NewCall

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any

START = datetime(2026, 3, 2, tzinfo=UTC)


def fill(session: Session, calls: int, seed: int) -> list[str]:
    rng, ids = random.Random(seed), []
    for _ in range(calls):
        at = START + timedelta(microseconds=rng.randrange(3 * 24 * 3_600_000_000))
        ids.append(str(uuid.UUID(int=rng.getrandbits(128))))
        same = {
            "lang": rng.choice(["zh", "en"]), "status": "ended", "scenario": None, "stage": rng.choice(["a", None]),
            "campaign": rng.choice(["x", "y", None]), "script_id": rng.choice(["s", "t"]),
            "disposition": rng.choice(["promise_to_pay", "human_handoff", "hung_up", None]),
        }  # fmt: skip
        session.execute(sa.insert(Call), [{**same, "id": ids[-1], "models": {}, "started_at": at, "response_gap_n": 0}])
        theirs = rng.randrange(4)
        row = {
            **same, "doc": doc_of(at), "call_id": ids[-1], "review": "none", "severity": rng.randrange(3), "flags": 0,
            "seconds": rng.random() * 90, "turns": theirs, "borrower_turns": theirs, "valence_sum": rng.random(),
            "arousal_sum": rng.random(), "refusals": rng.randrange(2), "gap_p95_ms": None,
            **{name: rng.random() < 0.5 for name in ("right_party", "opt_out", "complaint")},
            **{name: rng.randrange(2) for name in EMOTIONS},
            "promise_due": (day := 20514 + rng.randrange(9)), "promise_reached": rng.choice([None, day]),
        }  # fmt: skip
        session.execute(sa.insert(Summary), [row])
    return ids


def figures(archive: Archive) -> list[Any]:
    """Everything a dashboard asks for, rounded where floats were added up in another order."""
    asked: list[Any] = []
    whole = CallFilter(started_from=START, started_before=START + timedelta(days=2), utc_offset_min=480)
    with archive.database.read() as session:
        for wanted in (CallFilter(), replace(whole, lang="zh"), replace(whole, utc_offset_min=330)):
            boards = Dashboards(session)
            asked.append(boards.totals(wanted))
            asked += [*boards.by("campaign", wanted), *boards.by("disposition", wanted), *boards.by("hour", wanted)]
            asked += [*boards.over_time("day", wanted), *boards.over_time("week", wanted)]
    return [_rounded(each) for each in asked]


def _rounded(each: Any) -> Any:
    if hasattr(each, "numbers"):
        return replace(each, numbers=_rounded(each.numbers))
    floats = {name: getattr(each, name) for name in ("seconds", "valence", "arousal")}
    return replace(each, **{name: value and round(value, 6) for name, value in floats.items()})


def of_the_calls(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    with monkeypatch.context() as patch:
        patch.setattr(rollups, "_kept", lambda *_: False)
        return figures(archive)


def stale(archive: Archive) -> int:
    with archive.database.read() as session:
        return session.scalar(sa.select(sa.func.count(sa.distinct(SummaryStale.hour)))) or 0


def test_the_cells_say_what_the_calls_say(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    with archive.database.write() as session:
        ids = fill(session, 120, 1)
    assert stale(archive) > rollups.FEW_HOURS
    with archive.database.read() as session:
        assert rollups.behind(session)
    assert figures(archive) == of_the_calls(archive, monkeypatch), "all of it still noted as stale"
    assert rollups.refresh(archive.database, limit=10) is True
    assert figures(archive) == of_the_calls(archive, monkeypatch), "a part of it summed up"
    while rollups.refresh(archive.database, limit=20):
        pass
    assert stale(archive) == 0
    summed = figures(archive)
    assert summed == of_the_calls(archive, monkeypatch)
    assert summed[0].calls == 120

    with archive.database.write() as session:
        fill(session, 3, 2)
        session.execute(sa.update(Summary).where(Summary.call_id == ids[0]).values(disposition="refused", severity=4))
        session.execute(sa.delete(Call).where(Call.id == ids[1]))  # its summary goes with it
        CallQueries(session).set_review(ids[5:9], "open", actor="li")
    assert 3 <= stale(archive) <= 5, "what reviewers do changes no sum"
    changed = figures(archive)
    assert changed == of_the_calls(archive, monkeypatch) and changed != summed
    rollups.refresh(archive.database)
    assert figures(archive) == changed and stale(archive) == 0
    assert rollups.refresh(archive.database) is False


@pytest.mark.parametrize("minutes", [0, 480, -300, 330])
def test_days_say_what_the_calls_say(archive: Archive, monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """Whichever midnight they are kept from, and whatever is asked: at 330 minutes no days are kept at all."""
    with archive.database.write() as session:
        ids = fill(session, 90, 3)
    with archive.database.read() as session:
        assert days.can_keep(session, minutes) is (minutes != 330)
    while rollups.refresh(archive.database, limit=15, midnight=minutes):
        assert figures(archive) == of_the_calls(archive, monkeypatch)
    whole = figures(archive)
    assert whole == of_the_calls(archive, monkeypatch)
    with archive.database.read() as session:
        assert bool(session.scalar(sa.select(sa.func.count()).select_from(SummaryDay))) is (minutes != 330)
        assert not days.can_keep(session, minutes)
    with archive.database.write() as session:
        fill(session, 2, 4)
        session.execute(sa.delete(Call).where(Call.id == ids[7]))
    changed = figures(archive)
    assert changed == of_the_calls(archive, monkeypatch) and changed != whole, "a day with a stale hour is not used"
    rollups.refresh(archive.database)
    assert figures(archive) == changed
    rollups.refresh(archive.database, midnight=60)  # another console, or the clocks change, with nothing stale
    assert figures(archive) == changed
    assert first_hours(archive) == {23} | ({-minutes // 60 % 24} if minutes != 330 else set())


def first_hours(archive: Archive) -> set[int]:
    with archive.database.read() as session:
        return {hour % 24 for hour in session.scalars(sa.select(SummaryDay.hour).distinct())}


def test_consoles_in_different_time_zones_keep_their_own_days(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with archive.database.write() as session:
        fill(session, 60, 6)
    zones = [480, -300, 0, 720, -720, 60, 120]  # the fifth's midnight is the fourth's
    for _ in range(2):
        for minutes in zones:
            while rollups.refresh(archive.database, midnight=minutes):
                pass
            assert figures(archive) == of_the_calls(archive, monkeypatch), minutes
    assert first_hours(archive) == {16, 5, 0, 12, 23, 22}
    with archive.database.write() as session:
        fill(session, 3, 7)
        assert not any(days.can_keep(session, minutes) for minutes in zones)
        assert not days.can_keep(session, 180) and days.midnight_of(session, 180) is None, "there are enough"
        assert days.midnight_of(session, 30) is None and days.midnight_of(session, -720) == 12
    written: list[str] = []
    sa.event.listen(archive.database.engine, "before_cursor_execute", lambda *a: written.append(a[2]))
    rollups.refresh(archive.database, midnight=-300)
    assert figures(archive) == of_the_calls(archive, monkeypatch), "what changed is changed in everybody's days"
    written.clear()
    for minutes in (480, 0, -300):
        assert rollups.refresh(archive.database, midnight=minutes) is False
    assert not any("summary_days" in each for each in written), "nobody sums up what another has"


def test_charts_by_day_read_days(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    with archive.database.write() as session:
        fill(session, 30, 5)
    while rollups.refresh(archive.database, midnight=480):
        pass
    read: list[Any] = []
    kept = rollups._of_cells
    monkeypatch.setattr(rollups, "_of_cells", lambda *given: read.append(given[1]) or kept(*given))
    wanted = CallFilter(
        started_from=START - timedelta(hours=8), started_before=START + timedelta(hours=40), utc_offset_min=480
    )
    with archive.database.read() as session:
        Dashboards(session).over_time("week", wanted)
        Dashboards(session).by("campaign", wanted)
        assert set(read) == {SummaryDay}
        for other in (replace(wanted, utc_offset_min=420), replace(wanted, started_before=START)):
            read.clear()
            Dashboards(session).over_time("day", other)
            assert read == [SummaryCell]


def test_a_machines_greeting_is_no_conversation(archive: Archive) -> None:
    for disposition, intent in (
        ("voicemail", None),
        ("voicemail", "greeting"),
        ("hung_up", "voicemail"),
        ("hung_up", "other"),
    ):
        with CallArchive.begin(archive.database, archive.home, NewCall("en", started_at=START)) as call:
            call.turn("borrower", 0, 5, "You have reached Pat", intent=intent, emotion="positive", valence=0.9)
            call.turn("agent", 5, 6, "Please call us back")
            call.finish(disposition)  # type: ignore[arg-type]
    with archive.database.read() as session:
        numbers = Dashboards(session).totals(CallFilter())
        assert (numbers.calls, numbers.conversations, numbers.borrower_turns) == (4, 1, 1)
        assert numbers.contact_rate == 0.25 and dict(numbers.emotions)["positive"] == 1
        found = CallQueries(session).page(CallFilter(conversation=True)).calls
        assert [listed.summary.disposition for listed in found] == ["hung_up"]
        assert len(CallQueries(session).page(CallFilter(text="reached")).calls) == 4, "its words are found all the same"


def test_reasons_of_a_queue_follow_the_review(archive: Archive) -> None:
    first, second = archive.call(sound=False), archive.call(sound=False)
    with archive.database.write() as session:
        queries = CallQueries(session)
        assert queries.reasons(CallFilter(review="open")) == [("refused_utterance", 2, 4)]
        queries.set_review([first], "done", actor="li")
        assert queries.reasons(CallFilter(review="open")) == [("refused_utterance", 1, 4)]
        assert queries.reasons(CallFilter(review="done", lang="en")) == [("refused_utterance", 1, 4)]
        assert queries.values("campaign") == []
    assert second
