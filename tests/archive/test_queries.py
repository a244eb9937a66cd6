"""Lists, search and charts on both databases: what they find, in what order, a page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from agent.events import Heard, RuleHit, Span, Understood, Verdict
from archive.dashboards import Dashboards, Numbers
from archive.errors import ArchiveError
from archive.flagging import Sample, derive, reason_kind
from archive.models import AuditRow, Turn
from archive.queries import CallFilter, CallQueries
from archive.reprocess import reprocess
from archive.tokens import fold, index_tokens, query_tokens
from archive.verify import verify
from archive.writer import CallArchive, NewCall, Promise

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any

DAY = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)  # a Monday
SAID = (
    ("zh", "我下个月十五号还款三千五，别打给我妈妈", "promise_to_pay", "neutral"),
    ("en", "I lost my job and can't pay the 350", "plan_requested", "sad"),
    ("zh", "你們再打電話我就投訴到金融監管局", "stop_contact", "angry"),
    ("en", "Wrong number, I don't know this person", "wrong_number", "neutral"),
)


@pytest.fixture
def filled(archive: Archive) -> Iterator[Archive]:
    """Twelve calls, an hour apart, three of each kind."""
    for index in range(12):
        lang, text, disposition, emotion = SAID[index % 4]
        new = NewCall(
            lang,  # type: ignore[arg-type]
            campaign="spring" if index < 8 else "summer",
            script_id=f"script-{lang}",
            case_id=f"case-{index}",
            person_id=f"person-{index % 2}",
            stage="early" if index % 2 else None,
            started_at=DAY + timedelta(hours=index),
        )
        with CallArchive.begin(archive.database, archive.home, new) as call:
            call.answered()
            call.turn("agent", 0, 1, "您好" if lang == "zh" else "Hello")
            heard = Heard(text, lang, Span(1.0, 2.0), (), 0.9)  # type: ignore[arg-type]
            intents = (("complain", 0.8),) if emotion == "angry" else (("other", 0.8),)
            valence = {"neutral": 0.0, "sad": -0.4, "angry": -0.8}[emotion]
            call.understood(Understood(heard, intents[0][0], 0.8, intents, {}, emotion, {}, 0.5, valence))
            if emotion == "angry":
                call.verdict(Verdict("refuse", "", (RuleHit("threat.police", "threat", "6.2", 0, 1),)), text="报警")
                call.flag("complaint", "high")
                call.flag("line_refused:greeting", "medium")
            if index == 5:
                call.flag("crisis", "critical")
            call.finish(disposition, Promise())  # type: ignore[arg-type]
    return archive


def ids(filled: Archive, **wanted: Any) -> list[int]:
    """The indices (0–11) of the calls that are found, in the order of the list."""
    with filled.database.read() as session:
        found = CallQueries(session).page(CallFilter(**wanted)).calls
    return [round((listed.started_at - DAY) / timedelta(hours=1)) for listed in found]


def test_every_filter_finds_its_calls(filled: Archive) -> None:
    assert ids(filled) == list(range(11, -1, -1))
    assert ids(filled, lang="zh", campaign="summer") == [10, 8]
    assert ids(filled, disposition=("plan_requested", "wrong_number")) == [11, 9, 7, 5, 3, 1]
    assert ids(filled, script_id="script-en", stage="early", min_severity=1) == [5]
    assert ids(filled, reason="line_refused") == [10, 6, 2]
    assert ids(filled, reason="crisis") == [5]
    assert ids(filled, rule="threat.police") == [10, 6, 2]
    assert ids(filled, case_id="case-7") == [7]
    assert ids(filled, person_id="person-1", lang="zh") == []
    assert ids(filled, emotion="angry") == ids(filled, complaint=True) == ids(filled, opt_out=True) == [10, 6, 2]
    assert ids(filled, right_party=True) == [9, 8, 5, 4, 1, 0]
    assert ids(filled, started_from=DAY + timedelta(hours=3), started_before=DAY + timedelta(hours=5)) == [4, 3]
    assert ids(filled, hour=9, utc_offset_min=480) == [0]
    assert ids(filled, review="open") == [10, 6, 5, 2]
    assert ids(filled, campaign="' OR 1=1 --") == []
    with pytest.raises(ArchiveError, match="'sleepy'"):
        ids(filled, emotion="sleepy")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("还款", [8, 4, 0]),
        ("還款", [8, 4, 0]),  # traditional finds simplified
        ("投诉", [10, 6, 2]),  # and the other way round
        ("投诉 监管", [10, 6, 2]),
        ("妈妈 投诉", []),
        ("三千五", [8, 4, 0]),
        ("job", [9, 5, 1]),
        ("JOB lost", [9, 5, 1]),
        ("ＪＯＢ", [9, 5, 1]),
        ("cant", [9, 5, 1]),
        ("can't", [9, 5, 1]),
        ("lo*", [9, 5, 1]),
        ("lo", []),
        ("350", [9, 5, 1]),
        ("hello", [11, 9, 7, 5, 3, 1]),
        ("", []),
        ("  ，!*", []),
        ("\"job' OR * NEAR(", []),
        ("job\x00", [9, 5, 1]),
    ],
)
def test_search_finds_words_in_both_languages(filled: Archive, text: str, found: list[int]) -> None:
    assert ids(filled, text=text) == found
    assert ids(filled, text=text, campaign="summer") == [n for n in found if n >= 8]
    with filled.database.read() as session:
        queries = CallQueries(session)
        assert queries.count(CallFilter(text=text)) == len(found)
        page = queries.page(CallFilter(text=text))
        hits = queries.hits(page.calls, text)
        assert set(hits) == {listed.call_id for listed in page.calls}
        for each in hits.values():
            assert each[0].spans


def test_a_hit_names_the_place(filled: Archive) -> None:
    with filled.database.read() as session:
        queries = CallQueries(session)
        [hit] = queries.hits(queries.page(CallFilter(text="投诉")).calls[:1], "投诉").popitem()[1]
        assert (hit.who, hit.start) == ("borrower", 1.0)
        assert [hit.text[a:b] for a, b in hit.spans] == ["投訴"]


@pytest.mark.parametrize("order", ["newest", "severity"])
@pytest.mark.parametrize(
    "wanted", [CallFilter(), CallFilter(lang="zh"), CallFilter(text="hello"), CallFilter(reason="complaint")]
)
def test_pages_join_up(filled: Archive, order: Any, wanted: CallFilter) -> None:
    with filled.database.read() as session:
        queries = CallQueries(session)
        whole = queries.page(wanted, order=order, limit=500)
        assert whole.next is None
        seen, cursor = [], None
        while True:
            page = queries.page(wanted, order=order, cursor=cursor, limit=2)
            seen += [listed.call_id for listed in page.calls]
            cursor = page.next
            if cursor is None:
                break
        assert seen == [listed.call_id for listed in whole.calls]
        severities = [listed.summary.severity for listed in whole.calls]
        assert order == "newest" or severities == sorted(severities, reverse=True)


@pytest.mark.parametrize("cursor", ["", "x", "1", "1.x", "-1.5", "1." + "9" * 30, "1.2.3"])
def test_a_cursor_that_is_none_of_ours(filled: Archive, cursor: str) -> None:
    with filled.database.read() as session, pytest.raises(ArchiveError, match="cursor"):
        CallQueries(session).page(CallFilter(), cursor=cursor)


def test_reasons_values_and_the_review_queue(filled: Archive) -> None:
    with filled.database.write() as session:
        queries = CallQueries(session)
        assert queries.reasons(CallFilter()) == [("complaint", 3, 3), ("line_refused", 3, 2), ("crisis", 1, 4)]
        assert queries.reasons(CallFilter(lang="en")) == [("crisis", 1, 4)]
        assert queries.values("campaign") == ["spring", "summer"]
        first, second = queries.page(CallFilter(review="open"), order="severity").calls[:2]
        assert (first.reasons, second.reasons) == (("crisis",), ("complaint", "line_refused"))
        assert queries.get(first.call_id) == first
        assert queries.get("nobody") is None
        assert queries.set_review([first.call_id, "nobody"], "done", actor="wang") == 1
    assert ids(filled, review="open") == [10, 6, 2]
    assert ids(filled, review="done") == [5]
    with filled.database.read() as session:
        [row] = session.scalars(sa.select(AuditRow).where(AuditRow.kind == "review.set"))
        assert (row.actor, row.subject, row.payload) == ("wang", first.call_id, '{"review":"done"}')
    done = reprocess(filled.database, filled.store)
    assert (done.sealed, done.renewed) == (0, 12)
    assert ids(filled, review="done") == [5]  # what people did survives
    assert ids(filled, text="job") == [9, 5, 1]
    assert verify(filled.database, filled.store).intact


def test_rates_are_shares_of_what_they_name(filled: Archive) -> None:
    with filled.database.read() as session:
        dashboards = Dashboards(session)
        total = dashboards.totals(CallFilter())
        assert (total.calls, total.conversations, total.right_party, total.promises) == (12, 12, 6, 3)
        assert (total.complaints, total.opt_outs, total.refusals, total.flagged) == (3, 3, 3, 4)
        assert (total.promise_rate, total.complaint_rate) == (0.5, 0.25)
        assert total.valence == pytest.approx((-0.4 - 0.8) / 4)
        assert dict(total.emotions)["neutral"] == 6
        assert dict(total.emotions)["angry"] == 3
        assert dashboards.totals(CallFilter(campaign="none")) == Numbers(emotions=dashboards.totals(
            CallFilter(campaign="none")).emotions)  # fmt: skip
        assert dashboards.totals(CallFilter(campaign="none")).contact_rate is None
        assert dashboards.rules(CallFilter()) == [("threat.police", "threat", "refuse", 3, 3)]
        assert dashboards.rules(CallFilter(campaign="summer")) == [("threat.police", "threat", "refuse", 1, 1)]
        assert dashboards.totals(CallFilter(text="...")).calls == 0


@pytest.mark.parametrize("dimension", ["campaign", "script_id", "stage", "lang", "disposition", "hour"])
def test_every_bucket_leads_to_its_calls(filled: Archive, dimension: Any) -> None:
    wanted = CallFilter(utc_offset_min=480)
    with filled.database.read() as session:
        buckets = Dashboards(session).by(dimension, wanted)
        assert sum(b.numbers.calls for b in buckets) == 12
        for bucket in buckets:
            assert (bucket.calls is None) == (bucket.key is None)
            if bucket.calls is not None:
                assert CallQueries(session).count(bucket.calls) == bucket.numbers.calls
        if dimension == "hour":
            assert [b.key for b in buckets] == list(range(9, 21))


def test_time_goes_by_the_local_day_and_the_week_begins_on_monday(filled: Archive) -> None:
    with filled.database.read() as session:
        dashboards = Dashboards(session)
        wanted = CallFilter(started_from=DAY + timedelta(hours=1), utc_offset_min=-300)
        days = dashboards.over_time("day", wanted)
        assert [(b.key, b.numbers.calls) for b in days] == [
            (datetime(2026, 3, 1, 5, tzinfo=UTC), 3),
            (datetime(2026, 3, 2, 5, tzinfo=UTC), 8),
        ]
        for bucket in days:
            assert bucket.calls is not None
            assert CallQueries(session).count(bucket.calls) == bucket.numbers.calls
        [week] = dashboards.over_time("week", CallFilter())
        assert week.key == datetime(2026, 3, 2, tzinfo=UTC)
        assert len(dashboards.over_time("hour", replace(wanted, utc_offset_min=0))) == 11


def test_words_as_search_sees_them() -> None:
    assert query_tokens("還款 Pay* don't") == [("还款", False), ("pay", True), ("dont", False)]
    assert fold("Ｃａｆé 電話") == "café 电话"
    tokens = index_tokens("要还款项的，别打电话 要").split()
    assert {"还款", "款项", "电话", "要", "别", "话"} <= set(tokens)
    assert len(tokens) == len(set(tokens))
    assert index_tokens("，。!\x00\n") == ""
    assert all(token.isalnum() for token in index_tokens("x'); DROP TABLE -- \u202e 😀 a_b %s").split())
    assert max(map(len, index_tokens("a" * 5000).split())) == 40


def turn(who: str, start: float, end: float, **values: Any) -> Turn:
    return Turn(who=who, start=start, end=end, **{"confidence": 0.9, "emotion": "neutral", **values})


@pytest.mark.parametrize(
    ("turns", "reasons"),
    [
        ([], []),
        ([turn("agent", 0, 1), turn("borrower", 2, 3)], []),
        ([turn("borrower", 0, 1, confidence=0.3), turn("borrower", 2, 3)], ["low_confidence"]),
        ([turn("borrower", 0, 1, confidence=0.3), turn("borrower", 2, 3), turn("borrower", 4, 5)], []),
        ([turn("borrower", 0, 1, emotion="angry"), turn("borrower", 2, 3, emotion="frustrated")], ["repeated_anger"]),
        ([turn("borrower", 0, 1, emotion="angry")], []),
        ([turn("agent", 0, 1), turn("borrower", 12, 13)], ["long_silence"]),
        ([turn("agent", 12, 13)], []),
        ([turn("agent", 0, 5), turn("borrower", 1, 9)], ["talk_over"]),
        ([turn("agent", 0, 5), turn("borrower", 4, 9)], []),
    ],
)
def test_what_only_shows_afterwards_is_flagged(turns: list[Turn], reasons: list[str]) -> None:
    assert [finding.reason for finding in derive(turns)] == reasons


def test_the_random_sample_can_be_checked_by_anybody(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = [str(n) for n in range(10_000) if Sample(0.1, "2026-03").draws(str(n))]
    assert 900 < len(drawn) < 1100
    assert drawn[:20] != [str(n) for n in range(10_000) if Sample(0.1, "2026-04").draws(str(n))][:20]
    assert not Sample(0.0, "x").draws("1")
    assert Sample(1.0, "x").draws("1")
    assert Sample.from_environment({}) == Sample(0.02, "callgate"), "one call in fifty where nobody says otherwise"
    monkeypatch.setenv("CALLGATE_REVIEW_SAMPLE", "1:2026-03")
    call_id = archive.call(sound=False)
    with archive.database.read() as session:
        listed = CallQueries(session).get(call_id)
        assert listed is not None
        assert listed.reasons == ("refused_utterance", "random_sample")
        seal = session.scalar(sa.select(AuditRow.payload).where(AuditRow.kind == "call.sealed"))
        assert seal is not None
        assert '"sample":{"drawn":true,"rate":1.0,"seed":"2026-03"}' in seal
    for wrong in ("2", "-1", "x", ":seed"):
        monkeypatch.setenv("CALLGATE_REVIEW_SAMPLE", wrong)
        with pytest.raises(ArchiveError, match="CALLGATE_REVIEW_SAMPLE"):
            Sample.from_environment()
    assert reason_kind("line error: x") == "line_error"
