"""The pattern language, numbers and normalisation, each alone."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from agent.events import Lang
from compliance_checks import scope
from compliance_checks.checks.identifiers import id_checksum, luhn
from compliance_checks.english import Vocabulary, word_view
from compliance_checks.folding import fold
from compliance_checks.homophones import split_pinyin
from compliance_checks.layout import Layout
from compliance_checks.mandarin import han_view, without_inserts
from compliance_checks.numbers import chinese_number, digit_strings, english_number
from compliance_checks.patterns import Matcher
from compliance_checks.rulebook import Rulebook
from compliance_checks.terms import PatternError

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


RULE = """
category: threat
rules:
  - id: r.one
    explain: {zh: 一, en: one}
    en: ["police"]
"""


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("category: threat\nrules: [", ["bad.yaml", "line"]),
        ("- a\n- b\n", ["bad.yaml", "mapping"]),
        (RULE.replace("en: [", "english: ["), ["bad.yaml", "r.one", "'english'"]),
        (RULE.replace("explain", "explian"), ["bad.yaml", "r.one", "'explian'"]),
        (RULE.replace(", en: one", ""), ["bad.yaml", "r.one", "explain.en"]),
        (RULE.replace('"police"', "110"), ["bad.yaml", "r.one", "en", "110"]),
        (RULE.replace('"police"', '"<nobody>"'), ["bad.yaml", "r.one", "nobody"]),
        (RULE.replace('"police"', '"police .."'), ["bad.yaml", "r.one", "start and end"]),
        (RULE.replace("category: threat", ""), ["bad.yaml", "r.one", "category"]),
        (RULE + "    decision: scold\n", ["bad.yaml", "r.one", "decision"]),
        (RULE + "    scope: [quiet]\n", ["bad.yaml", "r.one", "scope", "quiet"]),
        (RULE + "    en: [again]\n", ["bad.yaml", "line", "'en'", "twice"]),
        (RULE + "  - just text\n", ["bad.yaml", "rule 2"]),
        ("classes: {we: {zh: {a: b}}}\n" + RULE, ["bad.yaml", "classes.we.zh"]),
        ("classes: {a: {en: <b>}}\n" + RULE, ["bad.yaml", "<a>", "<b>"]),
        (RULE + "frames:\n  - rules: [r.two]\n    en: [x]\n", ["bad.yaml", "frame 1", "r.two"]),
        ("", ["no rule"]),
    ],
)
def test_a_broken_rule_file_is_named_with_its_key(tmp_path: Path, content: str, names: list[str]) -> None:
    (tmp_path / "bad.yaml").write_text(content, encoding="utf-8")
    with pytest.raises(PatternError) as caught:
        Rulebook(tmp_path)
    assert all(name in str(caught.value) for name in names), str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_frame_spares_what_it_spells_out_and_nothing_else(tmp_path: Path) -> None:
    frames = 'frames:\n  - rules: [r.one]\n    en: ["police .. report"]\n'
    (tmp_path / "rules.yaml").write_text(RULE + frames, encoding="utf-8")
    book = Rulebook(tmp_path)
    assert not book.read("attach the police report", "en").readings[0].matches
    assert book.read("attach the police report or the police come", "en").readings[0].matches["r.one"][0].start > 20


def test_stray_letters_are_read_again_only_where_they_stand() -> None:
    plain = "我们今天谈谈还款的事。" * 200
    view = han_view(fold(plain + "废w物一个。" + plain))
    again = without_inserts(view)
    assert again is not None and again.text == "废物一个。"
    assert again.origin(0, 2) == (len(plain), len(plain) + 3)
    long = han_view(fold("好" * 500 + "废w物" + "好" * 500))
    near = without_inserts(long)
    assert near is not None and "废物" in near.text and len(near.text) < 200
    assert without_inserts(han_view(fold(plain))) is None


def test_a_list_is_one_clause() -> None:
    assert han_view(fold("不收解冻费、保证金")).text == "不收解冻费保证金"


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


def test_a_broken_cue_is_named_when_rules_are_loaded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A scope that cannot be read would otherwise come to light in the first call, as refusals of everything."""
    path = tmp_path / "scope.yaml"
    path.write_text(scope._FILE.read_text(encoding="utf-8").replace("- 谨防", "- '谨防('", 1), encoding="utf-8")
    monkeypatch.setattr(scope, "_FILE", path)
    scope._cues.cache_clear()
    try:
        with pytest.raises(PatternError, match=r"^scope\.yaml: cues\.zh\.\w+\.any: no regular expression"):
            Rulebook()
    finally:
        scope._cues.cache_clear()
