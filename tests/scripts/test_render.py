"""Values as they are spoken."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scripts.errors import RenderError
from scripts.render import clock, day, digits, fill, money, number_en, number_zh, ordinal_en
from scripts.schema import SlotSpec

TODAY = date(2026, 11, 21)


@pytest.mark.parametrize(
    ("value", "zh", "en"),
    [
        (0, "零", "zero"),
        (2, "二", "two"),
        (10, "十", "ten"),
        (12, "十二", "twelve"),
        (21, "二十一", "twenty-one"),
        (110, "一百一十", "one hundred ten"),
        (105, "一百零五", "one hundred five"),
        (3500, "三千五百", "three thousand five hundred"),
        (10010, "一万零一十", "ten thousand ten"),
        (100500, "十万零五百", "one hundred thousand five hundred"),
        (20000003, "二千万零三", "twenty million three"),
        (100000001, "一亿零一", "one hundred million one"),
    ],
)
def test_numbers(value: int, zh: str, en: str) -> None:
    assert number_zh(value) == zh
    assert number_en(value) == en


def back_zh(words: str) -> int:
    """Mandarin number words to a value, by the place-value rule: an independent reading of what was rendered."""
    total = section = digit = 0
    for char in words:
        if char in "零一二三四五六七八九":
            digit = "零一二三四五六七八九".index(char)
        elif char in "十百千":
            section += (digit or 1) * {"十": 10, "百": 100, "千": 1000}[char]
            digit = 0
        else:
            total += (section + digit) * {"万": 10**4, "亿": 10**8}[char]
            section = digit = 0
    return total + section + digit


@settings(max_examples=300)
@given(st.integers(0, 10**12 - 1))
def test_mandarin_numbers_read_back(value: int) -> None:
    assert back_zh(number_zh(value)) == value
    assert "零零" not in number_zh(value)


@settings(max_examples=300)
@given(st.integers(0, 10**12 - 1))
def test_english_numbers_read_back(value: int) -> None:
    small = {number_en(n): n for n in range(100)}
    total = section = 0
    for word in number_en(value).split():
        if word == "hundred":
            section *= 100
        elif word in ("thousand", "million", "billion"):
            total += section * {"thousand": 10**3, "million": 10**6, "billion": 10**9}[word]
            section = 0
        else:
            section += small[word]
    assert total + section == value


@pytest.mark.parametrize(
    ("value", "currency", "lang", "text"),
    [
        ("3500.00", "CNY", "zh", "三千五百元"),
        ("3500.50", "CNY", "zh", "三千五百元五角"),
        ("3500.05", "CNY", "zh", "三千五百元零五分"),
        ("0.25", "CNY", "zh", "二角五分"),
        ("2200", "CNY", "zh", "两千二百元"),
        ("120000", "CNY", "zh", "十二万元"),
        ("350.00", "USD", "zh", "三百五十美元"),
        ("350.00", "USD", "en", "three hundred fifty dollars"),
        ("1.01", "USD", "en", "one dollar and one cent"),
        ("0.99", "GBP", "en", "ninety-nine pence"),
        ("3500", "CNY", "en", "three thousand five hundred yuan"),
        ("0", "USD", "en", "zero dollars"),
    ],
)
def test_money(value: str, currency: str, lang: str, text: str) -> None:
    assert money(value, currency, lang) == text  # type: ignore[arg-type]
    assert money(Decimal(value), currency, lang) == text  # type: ignore[arg-type]


@pytest.mark.parametrize("value", ["", "abc", "-1", "1.005", "NaN", "Infinity", "1e15"])
def test_money_that_cannot_be_said(value: str) -> None:
    with pytest.raises(RenderError):
        money(value, "CNY", "zh")


def test_dates_times_digits() -> None:
    assert day("2026-12-01", TODAY, "zh") == "十二月一日"
    assert day("2027-01-05", TODAY, "zh") == "二零二七年一月五日"
    assert day("2026-12-22", TODAY, "en") == "December twenty-second"
    assert day("2027-01-30", TODAY, "en") == "January thirtieth, twenty twenty-seven"
    assert clock("15:30", "zh") == "下午三点半" and clock("14:05", "zh") == "下午两点零五分"
    assert clock("09:00", "en") == "nine o'clock in the morning" and clock("12:00", "en") == "noon"
    assert clock("18:45", "en") == "six forty five in the evening"
    assert digits("400-555-0136", "zh") == "四零零，五五五，零幺三六"
    assert digits("800 555", "en") == "eight zero zero, five five five"
    assert [ordinal_en(n) for n in (1, 2, 3, 5, 8, 9, 12, 20, 21, 31)] == [
        "first", "second", "third", "fifth", "eighth", "ninth", "twelfth", "twentieth", "twenty-first", "thirty-first"
    ]  # fmt: skip


@pytest.mark.parametrize("value", ["2026-02-30", "tomorrow", ""])
def test_dates_that_cannot_be_said(value: str) -> None:
    with pytest.raises(RenderError):
        day(value, TODAY, "en")


@pytest.mark.parametrize("value", ["24:00", "7pm", "12:60", "1:2:3"])
def test_times_that_cannot_be_said(value: str) -> None:
    with pytest.raises(RenderError):
        clock(value, "zh")


def test_fill_is_one_pass_and_complete() -> None:
    specs = {"name": SlotSpec(type="name"), "amount": SlotSpec(type="money")}
    said = fill("{name}: {amount}", specs, {"name": "{amount}", "amount": "1"}, "en", currency="USD", today=TODAY)
    assert said == "{amount}: one dollar"
    for values in (
        {"name": "x"},
        {"name": "", "amount": "1"},
        {"name": "a\nb", "amount": "1"},
        {"name": 5, "amount": "1"},
    ):
        with pytest.raises(RenderError, match="slot '"):
            fill("{name}: {amount}", specs, values, "en", currency="USD", today=TODAY)
