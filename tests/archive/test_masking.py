"""Digits by which a borrower proves who they are never reach the archive; everything else does."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from agent.events import Expects, Heard, Proposed, SlotValue, Span, Understood, Verdict, Word
from archive.covering import MASK, stretches
from archive.database import Database
from archive.layout import Layout
from archive.masking import Secrets
from archive.models import Call, CallText, Event, Turn, VerdictRow
from archive.repository import CallRepository
from archive.transcript import read_call
from archive.writer import CallArchive

Begin = Callable[[], CallArchive]
SPOKEN = re.compile(
    r"[0-9０-９零〇一二三四五六七八九幺]|\b(zero|oh|one|two|three|four|five|six|seven|eight|nine|forty|seventy|double)\b"
)

# Identifiers, hashes, moments and durations: any four digits stand somewhere in enough of them.
NUMBERS_OF_OURS = re.compile(
    r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{32,}\b|datetime\([^)]*\)|\b\d+\.\d{5,}(e-\d+)?|\b\d{10,}\b"
)


def line(expects: Expects | None, text: str = "…") -> Proposed:
    return Proposed("line", text, "zh", expects=expects)


def asked() -> Secrets:
    secrets = Secrets()
    secrets.proposed(line("digits"), 1.0)
    return secrets


@pytest.mark.parametrize(
    "said",
    [
        "四零七二", "4072", "４０７２", "是四零七二", "嗯，四零……七二", "四 零 七 二", "四千零七十二",
        "后四位是四零七二",
        "幺零七二", "four oh seven two", "Four, zero, seven, two.", "it's four zero seven two", "double four seven two",
        "forty seventy-two", "four uh oh and then seven two", "40 72", "4-0-7-2", "110101199003074072",
        "四", "seven", "四零", "for oh seven two", "四零妻二", "四零七儿", "one two three X",
    ],
)  # fmt: skip
def test_an_answer_to_a_request_for_digits_holds_none(said: str) -> None:
    masked = asked().mask(said, [Word(said, 2.0, 3.0, 0.9)], {"digits": SlotValue("4072", said, 0, len(said))}, 2.0)
    text = masked.text.replace("后四位", "")
    assert not SPOKEN.search(text.lower()), masked.text
    assert masked.digits >= 1 and MASK in masked.words[0].text
    assert not SPOKEN.search(masked.words[0].text.replace("后四位", "").lower())
    slot = masked.slots["digits"]
    assert set(slot["value"]) == {MASK} and slot["candidates"] == [] and "4072" not in str(slot)


@pytest.mark.parametrize(
    "said",
    [
        "你是谁？", "等一下", "我不告诉你", "一会儿再说", "万一是骗子呢", "no one told me that",
        "one moment please", "oh, who is this?",
        "I lost my job", "你再说一遍", "我下周再还三千五百块", "I can only pay 200 dollars", "that one is not mine",
    ],
)  # fmt: skip
def test_what_is_no_secret_stays_though_digits_were_asked_for(said: str) -> None:
    assert asked().mask(said, (), {}, 2.0).text == said


def test_a_promise_after_the_digits_is_whole() -> None:
    secrets = asked()
    secrets.mask("四零七二", (), {}, 2.0)
    secrets.proposed(line("date_amount"), 3.0)
    slots = {"amount": SlotValue("4072", "4072", 7, 11), "date": SlotValue("2026-11-25", "下周三", 1, 4)}
    for said in ("我下周三还三千五百块", "那就是还他 4072 吧", "周三 10 点", "我的电话是13800138000"):
        assert secrets.mask(said, (), slots if "4072" in said else {}, 5.0).text == said
    assert secrets.mask("我说了，四零七二！", (), {}, 5.0).text == "我说了，▇▇▇▇！", (
        "what was given before is no less secret"
    )
    assert secrets.mask_line("You said 4072.") == "You said ▇▇▇▇."
    assert secrets.mask_line("您尾号 1234 的账户欠款 3500 元") == "您尾号 1234 的账户欠款 3500 元"


def test_digits_in_two_turns_are_one_secret() -> None:
    secrets = asked()
    assert [secrets.mask(said, (), {}, 2.0).text for said in ("four oh", "seven two")] == ["▇ ▇", "▇ ▇"]
    secrets.proposed(line("open"), 3.0)
    assert secrets.mask("I told you, four oh seven two", (), {}, 9.0).text == "I told you, ▇ ▇ ▇ ▇"


def test_an_answer_may_come_while_the_next_line_is_decided_on() -> None:
    secrets = asked()
    secrets.proposed(line("open"), 3.0)
    assert secrets.mask("四零七二", (), {}, 3.2).digits == 4
    assert secrets.mask("三千五", (), {}, 3.6).digits == 0


def test_numbers_that_are_somebodys_are_masked_wherever_they_fall() -> None:
    secrets = Secrets()
    for said, left in (
        ("我身份证是110101199003074072", "我身份证是" + MASK * 18),
        ("the last four are 4072", "the last four are " + MASK * 4),
        ("my social is 123-45-6789", "my social is ▇▇▇-▇▇-▇▇▇▇"),
        ("card 6222 0212 3456 7890", "card ▇▇▇▇ ▇▇▇▇ ▇▇▇▇ ▇▇▇▇"),
        ("call me on 415 555 0100", "call me on 415 555 0100"),
    ):
        assert secrets.mask(said, (), {}, 1.0).text == left
    secrets.said("Can you confirm the last four digits of your social security number?", 2.0)
    assert secrets.mask("sure, four oh seven two", (), {}, 3.0).text == "sure, ▇ ▇ ▇ ▇"


def test_slots_beside_the_digits_keep_their_place() -> None:
    said = "四零七二，我叫李明"
    masked = asked().mask(said, (), {"name": SlotValue("李明", "李明", 7, 9)}, 2.0)
    slot = masked.slots["name"]
    assert masked.text[slot["start"] : slot["end"]] == "李明" == slot["value"]
    said = "double four seven two then Li"
    slot = asked().mask(said, (), {"name": SlotValue("Li", "Li", 27, 29)}, 2.0).slots["name"]
    assert slot["value"] == "Li"


def test_nothing_in_the_archive_tells_the_digits(begin: Begin, database: Database, home: Path) -> None:
    archive = begin()
    archive.answered()
    archive.verdict(Verdict("allow", "请说身份证后四位"), line("digits", "请说身份证后四位"))
    archive.turn("agent", 0.0, 2.0, "请说身份证后四位", line_id="line")
    words = tuple(Word(each, 3.0 + n, 3.5 + n, 0.9) for n, each in enumerate("四零七三"))
    slots = {"digits": SlotValue("4073", "四零七三", 0, 4, ("4073", "4013"))}
    archive.understood(Understood(Heard("四零七三", "zh", Span(3.0, 7.0), words, 0.9), "other", 0.5, (), slots))
    archive.verdict(Verdict("allow", "没有对上，请再说一遍"), line("digits", "没有对上，请再说一遍"))
    words = (Word("我是", 8.0, 8.5, 0.9), Word("四零", 9.0, 9.5, 0.9), Word("七二", 9.5, 10.0, 0.9))
    slots = {"digits": SlotValue("4072", "四零七二", 2, 6)}
    archive.understood(Understood(Heard("我是四零七二", "zh", Span(8.0, 10.0), words, 0.9), "other", 0.5, (), slots))
    archive.event("party", party="borrower")
    archive.verdict(Verdict("allow", "您欠款四千元"), line("open", "您欠款四千元"))
    archive.turn("borrower", 12.0, 13.0, "我周三还四千块")
    archive.finish("promise_to_pay")
    assert archive.close() and archive.error is None

    with database.read() as session:
        turns = [turn for turn in CallRepository(session).turns(archive.call_id) if turn.who == "borrower"]
        assert [turn.text for turn in turns] == ["▇▇▇▇", "我是▇▇▇▇", "我周三还四千块"]
        assert [word["text"] for word in turns[1].words] == ["我是", "▇▇", "▇▇"]
        told = [event.payload for event in CallRepository(session).events(archive.call_id, "verification")]
        assert told == [{"turn": turns[0].seq, "verified": False}, {"turn": turns[1].seq, "verified": True}]
        covered = [(round(each.start, 3), round(each.end, 3)) for each in stretches(turns)]
        assert covered == [(2.8, 3.7), (3.8, 4.7), (4.8, 5.7), (5.8, 6.7), (8.8, 10.2)]
        everything = [str(row) for table in (Call, Turn, VerdictRow, Event, CallText) for row in
                      session.execute(sa.select(*sa.inspect(table).local_table.c))]  # fmt: skip
    whole = NUMBERS_OF_OURS.sub("", "".join(everything) + str(read_call(database, home, archive.call_id)))
    assert "promise_to_pay" in whole and "周三" in whole
    for secret in ("4072", "4073", "4013", "四零", "七二", "七三"):
        assert secret not in whole
    database.close()  # the write-ahead log too
    raw = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    assert Layout(home).database.exists()
    for secret in ("四零七", "七二", '"4072"', '"4073"'):
        assert secret.encode() not in raw


def test_digits_that_nobody_judged_before_the_call_ended(begin: Begin, database: Database) -> None:
    archive = begin()
    archive.verdict(Verdict("allow", "…"), line("digits"))
    archive.turn("borrower", 1.0, 2.0, "four oh seven two")
    archive.finish(None)
    assert archive.close()
    with database.read() as session:
        [event] = CallRepository(session).events(archive.call_id, "verification")
        assert event.payload == {"turn": 0, "verified": False}


def test_a_call_that_nobody_decided_has_ended_without_a_disposition(begin: Begin, database: Database) -> None:
    archive = begin()
    archive.finish(None)
    archive.finish("failed")  # the first time counts
    assert archive.close()
    with database.read() as session:
        call = CallRepository(session).call(archive.call_id)
        assert call is not None and (call.status, call.disposition, call.ended_at is not None) == ("ended", None, True)
