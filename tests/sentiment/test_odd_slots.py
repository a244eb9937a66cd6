"""Odd ways to name a day or a sum: one right reading each, or none where people would ask back."""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sentiment.slots import SlotContext, extract

CASES = [
    json.loads(line) for line in (Path(__file__).parent / "odd_slots.jsonl").read_text(encoding="utf-8").splitlines()
]
MONDAY = datetime(2026, 11, 23, 10, 5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"].replace(" ", "-"))
def test_odd_phrase(case: dict[str, Any]) -> None:
    context = SlotContext(
        today=MONDAY.date(),
        now=MONDAY,
        expects=case["expects"],
        amount_due=Decimal("3500.00"),
        currency="CNY" if case["lang"] == "zh" else "USD",
        payday=case.get("payday"),
        month_first=True,
    )
    found = extract(case["text"], case["lang"], context)
    assert {key: found[key].value if key in found else "absent" for key in case["slots"]} == case["slots"]


def test_a_denied_day_does_not_deny_the_next() -> None:
    context = SlotContext(today=MONDAY.date(), now=MONDAY, expects="date")
    assert extract("十号还不了二十号还一千", "zh", context)["date"].value == "2026-12-20"
    assert extract("wednesday won't work but thursday will", "en", context)["date"].value == "2026-11-26"


@pytest.mark.parametrize("text", ["he died in may", "i was laid off in september", "when did the loan start"])
def test_a_tale_names_no_day(text: str) -> None:
    assert "date" not in extract(text, "en", SlotContext(today=MONDAY.date(), now=MONDAY))


def test_hours_need_the_time_of_day_unless_they_are_whole_days() -> None:
    with_time = SlotContext(today=MONDAY.date(), now=MONDAY, expects="date")
    without = SlotContext(today=MONDAY.date(), expects="date")
    assert extract("三十六小时内", "zh", with_time)["date"].value == "2026-11-24"
    assert extract("三十六小时内", "zh", without)["date"].value is None
    assert extract("within forty eight hours", "en", without)["date"].value == "2026-11-25"
