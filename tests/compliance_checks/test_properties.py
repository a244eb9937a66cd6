"""Laws that hold for any text."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.events import CallFacts, Decision, Lang
from compliance_checks import Gate
from compliance_checks.normalise import fold, han_view, word_view
from compliance_checks.rulebook import Rulebook

GATE = Gate.load()
BOOK = Rulebook()
LANGS = st.sampled_from(["zh", "en"])
PARTIES = st.sampled_from(["unverified", "borrower", "third_party", "voicemail"])
PIECES = st.sampled_from(
    [
        "我们",
        "不会",
        "报警",
        "您",
        "还款",
        "，",
        "。",
        " ",
        "\u200b",
        "3500",
        "元",
        "一三八",
        "police",
        "we will",
        "not ",
        "!",
        "ｐ",
        "報",
        "$",
    ]
)
TEXTS = st.one_of(st.text(max_size=200), st.lists(PIECES, max_size=30).map("".join))
QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@QUICK
@given(TEXTS, LANGS, PARTIES)
def test_never_raises_and_offsets_are_in_range(text: str, lang: Lang, party: str) -> None:
    verdict = GATE.judge(text, CallFacts(lang, party))  # type: ignore[arg-type]
    assert verdict.decision in get_args(Decision)
    assert (verdict.decision == "allow") == (not verdict.rules)
    assert verdict.text == (text if verdict.decision == "allow" else verdict.text)
    for hit in verdict.rules:
        assert 0 <= hit.start <= hit.end <= len(text)


@QUICK
@given(TEXTS)
def test_folding_is_idempotent_and_maps_back(text: str) -> None:
    once = fold(text)
    assert fold(once.text).text == once.text
    for view in (once, han_view(once), word_view(once, BOOK.matchers["en"].vocabulary)):
        assert len(view.text) == len(view.starts) == len(view.ends)
        assert all(
            0 <= a < b <= len(text) for a, b, c in zip(view.starts, view.ends, view.text, strict=True) if c != " "
        )
        assert list(view.starts) == sorted(view.starts)


SAFE = {
    "zh": ["您好，请问您方便接听电话吗？", "谢谢您的配合，祝您生活愉快。", "请问您打算什么时候还款？"],
    "en": ["Hello, is this a good time to talk?", "Thank you for your time.", "When do you plan to pay?"],
}
BAD = {
    "zh": [
        "再不还钱就报警抓你。",
        "你就是个老赖。",
        "我们会联系你的单位领导。",
        "我是公安局的。",
        "我们已经起诉您了。",
    ],
    "en": [
        "We will have you arrested.",
        "You are a deadbeat.",
        "We will tell your employer.",
        "I am a police officer.",
    ],
}


@QUICK
@given(st.data(), LANGS, st.booleans())
def test_adding_a_violation_never_makes_a_sentence_pass(data: st.DataObject, lang: Lang, first: bool) -> None:
    good = data.draw(st.sampled_from(SAFE[lang]))
    bad = data.draw(st.sampled_from(BAD[lang]))
    assert GATE.judge(good, CallFacts(lang, "borrower")).decision == "allow"
    text = f"{bad} {good}" if first else f"{good} {bad}"
    assert GATE.judge(text, CallFacts(lang, "borrower")).decision != "allow"


@QUICK
@given(st.data(), LANGS)
def test_invisible_characters_hide_nothing(data: st.DataObject, lang: Lang) -> None:
    bad = data.draw(st.sampled_from(BAD[lang]))
    at = data.draw(st.lists(st.integers(0, len(bad)), max_size=6))
    mark = data.draw(st.sampled_from(["\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u0301"]))
    text = "".join((mark if i in at else "") + c for i, c in enumerate(bad))
    assert GATE.judge(text, CallFacts(lang, "borrower")).decision != "allow"


@pytest.mark.parametrize("mark", [".", "*", " ", "-", "_", "·", "|", "★"])
def test_separators_inside_chinese_words_hide_nothing(mark: str) -> None:
    for bad in BAD["zh"]:
        assert GATE.judge(mark.join(bad[:-1]), CallFacts("zh", "borrower")).decision != "allow"
