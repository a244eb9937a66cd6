"""Safety recall and false alarms on colloquial utterances, as a recogniser writes them.

``safety_utterances.jsonl``: the rules were widened with batch "tuned" in sight; batch "fresh" was written afterwards
and nothing was tuned on it, so its floors say what to expect of unseen wording. ``benign`` rows want no safety intent.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from sentiment.rules import PRIORITY, cleared, fired
from sentiment.understand import Understander

ROWS = [
    json.loads(line) for line in (Path(__file__).parent / "safety_utterances.jsonl").read_text("utf-8").splitlines()
]
MONDAY = date(2026, 11, 23)


@pytest.fixture(scope="module")
def reader() -> Understander:
    return Understander.load()


@pytest.fixture(scope="module")
def found(reader: Understander) -> Callable[[str, str], set[str]]:
    """The intents of a text, read once for all tests."""

    @cache
    def intents(text: str, lang: str) -> set[str]:
        return {name for name, _ in reader.understand(text, lang, today=MONDAY).intents}

    return intents


def recall(found: Callable[[str, str], set[str]], batch: str, lang: str, intents: set[str]) -> float:
    rows = [r for r in ROWS if (r["batch"], r["lang"]) == (batch, lang) and r["intent"] in intents]
    return sum(r["intent"] in found(r["text"], lang) for r in rows) / len(rows)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(
    ("batch", "intents", "floor"),
    [
        ("tuned", set(PRIORITY), 0.97),
        ("tuned", {"crisis"}, 0.95),
        ("fresh", set(PRIORITY), 0.83),
        ("fresh", {"crisis"}, 0.55),
    ],
)
def test_recall(found: Callable[[str, str], set[str]], lang: str, batch: str, intents: set[str], floor: float) -> None:
    assert recall(found, batch, lang, intents) >= floor


@pytest.mark.parametrize(
    ("batch", "intents", "floor"),
    [("tuned", set(PRIORITY), 0.98), ("fresh", set(PRIORITY), 0.94), ("fresh", {"crisis"}, 0.85)],
)
def test_recall_in_english(found: Callable[[str, str], set[str]], batch: str, intents: set[str], floor: float) -> None:
    assert recall(found, batch, "en", intents) >= floor


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(("batch", "most"), [("tuned", 0.01), ("fresh", 0.05)])
def test_rules_keep_quiet_on_look_alikes(lang: str, batch: str, most: float) -> None:
    rows = [r["text"] for r in ROWS if (r["batch"], r["lang"], r["intent"]) == (batch, lang, "benign")]
    assert sum(bool(fired(text, lang)) for text in rows) / len(rows) <= most


def test_misheard_phrases_and_denied_suicide_still_count() -> None:
    assert "crisis" in fired("一聊百了", "zh")
    assert "crisis" in fired("我不享活了", "zh")
    assert "crisis" in fired("我没有要自杀", "zh")
    assert "crisis" in fired("i'm not suicidal", "en")
    assert "crisis" in cleared("热死人了这天", "zh")


@pytest.mark.parametrize(
    ("text", "lang", "expects", "intent"),
    [
        ("我昨天已经还了", "zh", "date_amount", "already_paid"),
        ("昨天用银行卡转的", "zh", "date", "already_paid"),
        ("i paid it two days ago", "en", "date_amount", "already_paid"),
        ("yesterday by bank transfer", "en", "date", "already_paid"),
        ("我明天转", "zh", "date", "promise_to_pay"),
        ("i'll pay by card on friday", "en", "date", "promise_to_pay"),
        ("this is alex morgan", "en", "identity", "confirm_identity"),
        ("我是张明", "zh", "identity", "confirm_identity"),
        ("this is his wife", "en", "identity", "third_party"),
    ],
)
def test_answers_in_context(reader: Understander, text: str, lang: str, expects: str, intent: str) -> None:
    assert reader.understand(text, lang, today=MONDAY, expects=expects).intent == intent
