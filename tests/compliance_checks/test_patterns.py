"""The pattern language, numbers and normalisation, each alone."""

from __future__ import annotations

from decimal import Decimal

import pytest

from agent.events import Lang
from compliance_checks.checks.identifiers import id_checksum, luhn
from compliance_checks.homophones import split_pinyin
from compliance_checks.normalise import Vocabulary, fold, han_view, word_view
from compliance_checks.numbers import chinese_number, digit_strings, english_number
from compliance_checks.patterns import Layout, Matcher, PatternError

LEXICON = {"we": ["我们"], "end": ["报警", "起诉"], "all": ["<end>"]}


def found(pattern: str, text: str, lang: Lang = "zh") -> list[str]:
    lexicon = LEXICON if lang == "zh" else {"we": ["we"], "end": ["sue*", "call_the_police"], "all": ["<end>"]}
    matcher = Matcher(lang, lexicon, frozenset({"end"}), [("r", pattern)])
    base = fold(text)
    view = han_view(base) if lang == "zh" else word_view(base, matcher.vocabulary)
    return [view.text[m.start : m.end] for _, m in matcher.matches(view, Layout(view, lang), matcher.hits(view))]


def test_gaps_and_clauses() -> None:
    assert found("<we> .. <end>", "我们马上报警") == ["我们马上报警"]
    assert found("<we> .. <end>", "我们，马上报警") == []
    assert found("<we> .... <end>", "我们，马上报警") == ["我们，马上报警"]
    assert found("<we> .... <end>", "我们。马上报警") == []
    assert found("<we> <end>", "我们报警") == ["我们报警"]
    assert found("<we> .. <end>", "我们一二三四五六七八九报警") == []


def test_alternatives_options_inclusion_and_stems() -> None:
    assert found("<we>|公司 要? 起诉", "公司要起诉") == ["公司要起诉"]
    assert found("<all>", "起诉") == ["起诉"]
    assert found("<we> .. <end>", "We sued you", "en") == ["we sued"]
    assert found("<end>", "we may call the police today", "en") == ["call the police"]
    assert found("<end>", "an issue", "en") == []


def test_bad_patterns_are_named() -> None:
    for pattern in ("<nobody>", "..", "a ..", "^"):
        with pytest.raises(PatternError):
            found(pattern, "x")
    with pytest.raises(PatternError, match="circular"):
        Matcher("zh", {"a": ["<b>"], "b": ["<a>"]}, frozenset(), [])


def test_homophones_spare_words_and_grammar() -> None:
    assert found("<end>", "我要报井") == ["报井"]
    assert found("<end>", "baojing") == ["baojing"]
    assert found("<end>", "保安报 警") == ["报警"]
    assert split_pinyin("baojing") == ("bao", "jing")
    assert split_pinyin("xyz") == ()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("三千五", 3500),
        ("三千零五", 3005),
        ("三万二", 32000),
        ("一万零八百", 10800),
        ("两百五", 250),
        ("十五", 15),
        ("3.5万", 35000),
        ("一二三", 123),
        ("三点五", "3.5"),
        ("三亿两千万", 320_000_000),
    ],
)
def test_chinese_numbers(text: str, value: int | str) -> None:
    assert chinese_number(text) == Decimal(value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("three thousand five hundred", 3500), ("thirty five hundred", 3500), ("3.5k", 3500), ("a hundred and five", 105)],
)
def test_english_numbers(text: str, value: int) -> None:
    assert english_number(text) == value


def test_digit_strings_written_and_spoken() -> None:
    for text in ("13800138000", "138-0013-8000", "一三八 零零一三 八零零零", "幺三八零零幺三八零零零"):
        assert [d for d, _, _ in digit_strings(fold(text))] == ["13800138000"]
    assert [d for d, _, _ in digit_strings(fold("four one five, double five five, oh one three two"))] == ["4155550132"]


def test_checksums() -> None:
    assert id_checksum("11010519491231002X")
    assert not id_checksum("110105194912310021")
    assert luhn("4111111111111111")
    assert not luhn("4111111111111112")


def test_english_disguises() -> None:
    known = Vocabulary(frozenset({"police", "legal", "loser", "employer"}), ())

    def heard(text: str) -> str:
        return word_view(fold(text), known).text

    assert heard("p o l i c e") == "police"
    assert heard("p.o.l.i.c.e.") == "police"
    assert heard("p0l1ce l3gal") == "police legal"
    assert heard("looooser") == "loser"
    assert heard("em-ployer") == "employer"
    assert heard("ｐｏｌｉｃｅ") == "police"
    assert heard("We won't, I'm") == "we will not , i am"
    assert heard("third-party on the 15th at 3,500.00") == "third party on the 15th at 3500.00"
