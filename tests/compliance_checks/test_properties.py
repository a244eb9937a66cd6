"""Laws that hold for any text."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from types import FrameType
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.events import CallFacts, Decision, Lang
from compliance_checks import Gate
from compliance_checks.corpus import Example, load
from compliance_checks.english import word_view
from compliance_checks.folding import fold
from compliance_checks.gate import MAX_TEXT
from compliance_checks.mandarin import han_view
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


# ------------------------------------------------------------------------------------- over the whole corpus

ROWS = load()
REFUSED = list(random.Random(1).sample([r for r in ROWS if r.violation], 400))
PASSED = list(random.Random(2).sample([r for r in ROWS if not r.violation], 200))
ANY_UNICODE = st.text(alphabet=st.characters(exclude_categories=()), max_size=400)


def refused(text: str, row: Example) -> bool:
    return GATE.judge(text, row.call()).decision != "allow"


@settings(QUICK, max_examples=150)
@given(st.sampled_from(REFUSED), st.sampled_from(PASSED), st.booleans(), st.sampled_from(["", " ", "\n"]))
def test_a_compliant_sentence_excuses_no_violation_beside_it(
    bad: Example, good: Example, first: bool, gap: str
) -> None:
    """Whatever the gate refuses alone it refuses in the company of any compliant sentence of that language."""
    if bad.lang != good.lang or not refused(bad.text, bad) or refused(good.text, bad):
        return
    end = "" if (good if first else bad).text.rstrip()[-1] in "。！？.!?" else {"zh": "。", "en": ". "}[bad.lang]
    gap = gap or (" " if bad.lang == "en" else "")
    text = f"{bad.text}{end}{gap}{good.text}" if not first else f"{good.text}{end}{gap}{bad.text}"
    assert refused(text, bad), text


@settings(QUICK, max_examples=150)
@given(
    ANY_UNICODE,
    LANGS,
    PARTIES,
    st.dictionaries(st.sampled_from(["borrower_name", "lender", "amount_due"]), ANY_UNICODE),
)
def test_fuzz_any_unicode_in_text_and_facts(text: str, lang: Lang, party: str, case: dict[str, str]) -> None:
    first = GATE.judge(text, CallFacts(lang, party, None, case))  # type: ignore[arg-type]
    assert first.decision in get_args(Decision)
    assert first == GATE.judge(text, CallFacts(lang, party, None, case))  # type: ignore[arg-type]
    assert all(0 <= hit.start <= hit.end <= len(text) for hit in first.rules)


@pytest.mark.slow
@settings(QUICK, max_examples=5000)
@given(ANY_UNICODE, LANGS, PARTIES)
def test_fuzz_any_unicode_at_length(text: str, lang: Lang, party: str) -> None:
    verdict = GATE.judge(text, CallFacts(lang, party))  # type: ignore[arg-type]
    assert (verdict.decision == "allow") == (not verdict.rules)


@settings(QUICK, max_examples=150)
@given(st.text(max_size=80), st.sampled_from(ROWS), st.text(max_size=80))
def test_every_character_of_a_view_comes_from_its_place(before: str, row: Example, after: str) -> None:
    """The stretch of the original that a character maps to folds to that character, or to the mark it became."""
    text = before + row.text + after
    base = fold(text)
    for view in (base, han_view(base)):
        for i, char in enumerate(view.text):
            start, end = view.origin(i, i + 1)
            assert char in fold(text[start:end]).text or char in "，。 "
    for hit in GATE.judge(text, row.call()).rules:
        assert 0 <= hit.start <= hit.end <= len(text)


@settings(QUICK, max_examples=150)
@given(st.sampled_from(ROWS))
def test_a_view_read_again_is_the_same_view(row: Example) -> None:
    """What has been normalised once is normal: reading it again changes nothing."""
    base = fold(row.text)
    assert fold(base.text).text == base.text
    han = han_view(base)
    assert han_view(fold(han.text)).text == han.text


def work(do: Callable[[], object]) -> int:
    """Calls made, of Python functions and of built-in ones: a count that does not depend on the machine."""
    calls = 0

    def count(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        do()
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_work_grows_with_the_length_and_no_faster(lang: Lang) -> None:
    """Reading 10,000 characters makes at most a quarter more calls a character than reading 1,000 like them."""
    fine = " ".join(row.text for row in ROWS if row.lang == lang and not row.violation)
    text = fine[:1000] * 10
    BOOK.read(text, lang)
    short, long = (work(lambda size=size: BOOK.read(text[:size], lang)) / size for size in (1000, 10_000))
    assert long <= 1.25 * short
    facts = CallFacts(lang, "borrower")
    half, whole = (work(lambda size=size: GATE.judge(text[:size], facts)) / size for size in (1000, MAX_TEXT))
    assert whole <= 1.5 * half


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_hostile_text_costs_no_more_than_its_length(lang: Lang) -> None:
    """Repeated terms, symbols and half words, which make matchers backtrack, at full length."""
    pieces = ["报警", "不会", "。", "a-", "a b ", "p.o.l.i.c.e", "bao", "警", "0", "9,", "“", "我们会", "police not "]
    for piece in pieces:
        plain = work(lambda piece=piece: GATE.judge((piece * 500)[:500], CallFacts(lang, "borrower")))
        whole = work(lambda piece=piece: GATE.judge((piece * MAX_TEXT)[:MAX_TEXT], CallFacts(lang, "borrower")))
        assert whole <= 12 * plain + 20_000, piece
