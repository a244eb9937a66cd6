# ruff: noqa: E501 - tables, one entry a line
"""Dates, times, amounts and digits, spoken and written, against a fixed Monday."""

from __future__ import annotations

import json
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest

from sentiment.corpus.build import FOLDER
from sentiment.slots import Slot, SlotContext, extract

MONDAY = date(2026, 11, 23)


def read(text: str, lang: str, **more: object) -> dict[str, Slot]:
    context = {
        "today": MONDAY,
        "now": datetime(2026, 11, 23, 10, 5),
        "amount_due": Decimal("3500.00"),
        "currency": "CNY" if lang == "zh" else "USD",
        "month_first": True,
    } | more
    return extract(text, lang, SlotContext(**context))  # type: ignore[arg-type]


ZH_DATES = [
    ("明天还", "2026-11-24"),
    ("后天", "2026-11-25"),
    ("大后天吧", "2026-11-26"),
    ("下周三还三千五", "2026-12-02"),
    ("下禮拜三", "2026-12-02"),
    ("这周五可以吗", "2026-11-27"),
    ("周四", "2026-11-26"),
    ("月底一定还", "2026-11-30"),
    ("下个月五号", "2026-12-05"),
    ("下個月五號還兩千", "2026-12-05"),
    ("十五号还", "2026-12-15"),
    ("二十五号", "2026-11-25"),
    ("十二月十五号", "2026-12-15"),
    ("十二月十五还一万二", "2026-12-15"),
    ("1月5日", "2027-01-05"),
    ("2026年12月15日", "2026-12-15"),
    ("三天后", "2026-11-26"),
    ("给我三天时间", "2026-11-26"),
    ("一个礼拜之内", "2026-11-30"),
    ("国庆前还清", "2027-09-30"),
    ("元旦之前", "2026-12-31"),
    ("今年年底", "2026-12-31"),
    ("明天不行后天可以", "2026-11-25"),
    ("明天，哦不对，后天", "2026-11-25"),
    ("不是十五号是十六号", "2026-12-16"),
    ("我昨天没接到电话明天还", "2026-11-24"),
]
EN_DATES = [
    ("I'll pay tomorrow", "2026-11-24"),
    ("the day after tomorrow", "2026-11-25"),
    ("next friday", "2026-12-04"),
    ("this friday", "2026-11-27"),
    ("on Thursday", "2026-11-26"),
    ("on the 15th", "2026-12-15"),
    ("the fifteenth of december", "2026-12-15"),
    ("December 15", "2026-12-15"),
    ("december fifteenth 2026", "2026-12-15"),
    ("by the twenty-first", "2026-12-21"),
    ("the first of the month", "2026-12-01"),
    ("in three days", "2026-11-26"),
    ("in two weeks", "2026-12-07"),
    ("3 weeks from now", "2026-12-14"),
    ("end of the month", "2026-11-30"),
    ("end of next month", "2026-12-31"),
    ("before christmas", "2026-12-24"),
    ("12/15", "2026-12-15"),
    ("tomorrow, no wait, on thursday", "2026-11-26"),
    ("not tomorrow but on thursday", "2026-11-26"),
]


@pytest.mark.parametrize(("text", "day"), ZH_DATES)
def test_mandarin_date(text: str, day: str) -> None:
    assert read(text, "zh")["date"].value == day


@pytest.mark.parametrize(("text", "day"), EN_DATES)
def test_english_date(text: str, day: str) -> None:
    assert read(text, "en")["date"].value == day


@pytest.mark.parametrize(
    ("text", "lang", "first"),
    [
        ("周末还", "zh", "2026-11-28"),
        ("月初吧", "zh", "2026-12-01"),
        ("周三或者周四", "zh", "2026-11-25"),
        ("两三天之内给你", "zh", "2026-11-25"),
        ("十五六号吧", "zh", "2026-12-15"),
        ("十五号左右", "zh", "2026-12-15"),
        ("下周", "zh", "2026-11-30"),
        ("friday or saturday", "en", "2026-11-27"),
        ("in a couple of days", "en", "2026-11-25"),
        ("around the 15th", "en", "2026-12-15"),
        ("sometime next week", "en", "2026-11-30"),
        ("on monday", "en", "2026-11-23"),
    ],
)
def test_open_dates_stay_open(text: str, lang: str, first: str) -> None:
    slot = read(text, lang)["date"]
    assert slot.value is None
    assert slot.candidates[0] == first


@pytest.mark.parametrize(("text", "lang"), [("发工资那天还", "zh"), ("when I get paid", "en"), ("on payday", "en")])
def test_payday_needs_to_be_known(text: str, lang: str) -> None:
    assert read(text, lang)["date"].value is None
    assert read(text, lang, payday=10)["date"].value == "2026-12-10"


def test_past_is_no_promise() -> None:
    assert "date" not in read("上周三你们打过电话", "zh")
    assert read("上周三", "zh", expects="date")["date"].value is None
    assert read("上周三已经还了", "zh", past=True)["date"].value == "2026-11-18"
    assert read("on the 15th", "en", past=True)["date"].value == "2026-11-15"


def test_impossible_date() -> None:
    assert read("二月三十号", "zh")["date"].value is None


def test_day_and_month_order() -> None:
    assert read("3/4", "en", month_first=False)["date"].value == "2027-04-03"
    assert read("3/4", "en", month_first=None)["date"].candidates == ("2027-03-04", "2027-04-03")


@pytest.mark.parametrize("text", ["等一下", "有一点困难", "每周三都加班", "我还没发工资", "十五号楼", "this is the second time", "i may pay", "the first thing"])  # fmt: skip
def test_no_date(text: str) -> None:
    assert "date" not in read(text, "en" if text.isascii() else "zh")


AMOUNTS = [
    ("下周三还三千五", "3500"),
    ("一万二", "12000"),
    ("两百五", "250"),
    ("三千零五十", "3050"),
    ("三千零五", "3005"),
    ("三万五千二百", "35200"),
    ("3500块", "3500"),
    ("3千5", "3500"),
    ("五百块钱行吗", "500"),
    ("一千五百块五", "1500.50"),
    ("先还一半", "1750"),
    ("全部还清", "3500"),
    ("全额", "3500"),
    ("百分之二十", "700"),
    ("借了五千现在能还八百", "800"),
    ("thirty five hundred", "3500"),
    ("two grand", "2000"),
    ("$1,200.50", "1200.50"),
    ("1.5k", "1500"),
    ("a hundred and fifty bucks", "150"),
    ("one thousand two hundred fifty", "1250"),
    ("two hundred dollars and fifty cents", "200.50"),
    ("I can pay half", "1750"),
    ("the full amount on thursday", "3500"),
    ("I owe three thousand but can pay eight hundred", "800"),
]


@pytest.mark.parametrize(("text", "value"), AMOUNTS)
def test_amount(text: str, value: str) -> None:
    assert read(text, "en" if text.isascii() else "zh")["amount"].value == value


@pytest.mark.parametrize(
    ("text", "candidates"),
    [
        ("三五百吧", ("300", "500")),
        ("三百还是五百", ("300", "500")),
        ("三千左右", ("3000",)),
        ("百八十块", ()),
        ("几百块", ()),
        ("a couple hundred", ("200", "300")),
        ("two or three hundred", ("200", "300")),
        ("about five hundred dollars", ("500",)),
        ("a few hundred", ()),
    ],
)
def test_round_amounts_are_not_guessed(text: str, candidates: tuple[str, ...]) -> None:
    slot = read(text, "en" if text.isascii() else "zh")["amount"]
    assert slot.value is None
    assert slot.candidates == candidates


def test_price_or_hundreds() -> None:
    assert read("I can pay twelve fifty", "en")["amount"].candidates == ("1250", "12.50")


def test_half_of_an_unknown_sum() -> None:
    slot = read("先还一半", "zh", amount_due=None)["amount"]
    assert (slot.value, slot.candidates) == (None, ())


def test_another_currency_is_not_taken_for_the_loans() -> None:
    assert read("五百美元", "zh")["amount"].value is None
    assert read("500 pounds", "en")["amount"].candidates == ("500",)


@pytest.mark.parametrize("text", ["一块儿还", "有一点困难", "我没办法一次性还三千", "我有三个孩子", "等一下", "I can't pay the full amount", "I have two kids and one job", "half an hour", "call me at five"])  # fmt: skip
def test_no_amount(text: str) -> None:
    assert "amount" not in read(text, "en" if text.isascii() else "zh")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("下午三点打给我", "15:00"),
        ("三点半", "15:30"),
        ("晚上八点以后", "20:00"),
        ("早上九点一刻", "09:15"),
        ("一个小时后再打", "11:05"),
        ("半小时后", "10:35"),
        ("15:30", "15:30"),
        ("3 pm", "15:00"),
        ("half past two", "14:30"),
        ("a quarter to five", "16:45"),
        ("in an hour", "11:05"),
        ("call me at 9 am", "09:00"),
        ("nine tomorrow morning", "09:00"),
    ],
)
def test_time(text: str, value: str) -> None:
    assert read(text, "en" if text.isascii() and text != "15:30" else "zh")["time"].value == value


def test_bare_hour_with_two_readings() -> None:
    assert read("九点打给我", "zh")["time"].candidates == ("09:00", "21:00")


@pytest.mark.parametrize("text", ["晚一点再说", "有一点事", "早点打", "一点都不想听"])
def test_no_time(text: str) -> None:
    assert "time" not in read(text, "zh")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("四零七二", "4072"),
        ("幺二三四", "1234"),
        ("尾号是四零七二", "4072"),
        ("四 零 七 二", "4072"),
        ("四零七三 不对 四零七二", "4072"),
        ("一二三X", "123X"),
        ("four oh seven two", "4072"),
        ("double two four one", "2241"),
        ("it's 4 0 7 2", "4072"),
        ("forty seventy two", "4072"),
        ("4072", "4072"),
    ],
)
def test_digits(text: str, value: str) -> None:
    assert read(text, "en" if text.isascii() else "zh", expects="digits")["digits"].value == value


def test_two_codes_are_ambiguous() -> None:
    assert read("四零七二还有三三八八", "zh", expects="digits")["digits"].value is None


def test_offsets_point_into_the_given_text() -> None:
    text = "好的， 我　下 周 三 還 三 千 五"
    slots = read(text, "zh")
    for slot in slots.values():
        assert text[slot.start : slot.end] == slot.text
    assert slots["date"].text == "下 周 三"
    assert slots["amount"].value == "3500"


@pytest.mark.parametrize(
    "text", ["", "？！…", "零", "千万", "1" * 500, "二" * 500, "a" * 500, "one " * 200, "\u200b\x00", "999999999/99"]
)
def test_nothing_breaks_the_readers(text: str) -> None:
    for lang in ("zh", "en"):
        for expects in (None, "digits", "date_amount"):
            read(text, lang, expects=expects)


CASES = [json.loads(line) for line in (FOLDER / "slots.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("case", CASES, ids=[c["text"] for c in CASES])
def test_phrases_of_the_benchmark(case: dict[str, Any]) -> None:
    got = {key: slot.value for key, slot in read(case["text"], case["lang"], expects=case.get("expects")).items()}
    assert got.items() >= case["slots"].items()
    assert case["slots"] or not got


def test_two_instalments_are_no_single_promise() -> None:
    slots = read("五号还一千，十五号还一千五", "zh")
    assert slots["date"].candidates == ("2026-12-05", "2026-12-15")
    assert slots["amount"].candidates == ("1000", "1500")
    slots = read("five hundred on the 5th and six hundred on the 15th", "en")
    assert (slots["date"].value, slots["amount"].value) == (None, None)
    assert slots["amount"].candidates == ("500", "600")


@pytest.mark.parametrize(
    ("text", "lang", "date_", "amount"),
    [
        ("can't talk right now i'm driving", "en", None, None),
        ("i'll pay it right now", "en", "2026-11-23", None),
        ("right now", "en", "2026-11-23", None),
        ("能不能先还一千剩下的下个月十号", "zh", None, "1000"),
        ("two hundred now and the rest next month", "en", None, "200"),
        ("明天还一千剩下的月底还", "zh", "2026-11-24", "1000"),
        ("everything is falling apart", "en", None, None),
        ("先还一般吧", "zh", None, "1750"),
        ("我一般月底还", "zh", "2026-11-30", None),
    ],
)
def test_a_date_belongs_to_what_it_was_said_of(text: str, lang: str, date_: str | None, amount: str | None) -> None:
    context = SlotContext(date(2026, 11, 23), expects="date_amount", amount_due=Decimal(3500))
    found = extract(text, lang, context)
    assert (found["date"].value if "date" in found else None) == date_
    assert (found["amount"].value if "amount" in found else None) == amount
