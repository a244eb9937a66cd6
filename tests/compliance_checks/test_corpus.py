"""The labelled sentences: recall and false positives by language, and that every category is there."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import compliance_checks
from agent.events import CallFacts, Lang
from compliance_checks import Gate

CORPUS = Path(compliance_checks.__file__).parent / "corpus"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (CORPUS / name).read_text(encoding="utf-8").splitlines()]


def rates(gate: Gate, sentences: list[dict[str, Any]]) -> tuple[float, float, list[str]]:
    """Recall, false-positive rate, and the ids judged wrongly."""
    count: Counter[tuple[str, bool]] = Counter()
    wrong = []
    for row in sentences:
        refused = gate.judge(row["text"], CallFacts(row["lang"], row["party"], None, row["facts"])).decision != "allow"
        count[row["label"], refused] += 1
        if refused != (row["label"] == "violation"):
            wrong.append(row["id"])
    bad = count["violation", True] + count["violation", False]
    good = count["compliant", True] + count["compliant", False]
    return count["violation", True] / bad, count["compliant", True] / good, wrong


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_development_sentences(gate: Gate, lang: Lang) -> None:
    recall, false_positives, wrong = rates(gate, rows(f"{lang}.jsonl"))
    assert recall >= 0.97, wrong
    assert false_positives <= 0.02, wrong


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_no_category_is_forgotten(gate: Gate, lang: Lang) -> None:
    bad = [row for row in rows(f"{lang}.jsonl") if row["label"] == "violation"]
    for category in sorted({row["category"] for row in bad}):
        of_it = [row for row in bad if row["category"] == category]
        assert len(of_it) >= 2, category
        good = [row for row in rows(f"{lang}.jsonl") if row["label"] == "compliant"][:1]
        recall, _, wrong = rates(gate, of_it + good)
        assert recall >= 0.9, (category, wrong)


def test_ids_and_texts_are_unique() -> None:
    everything = rows("zh.jsonl") + rows("en.jsonl") + rows("heldout.jsonl") + rows("heldout2.jsonl")
    assert len(everything) >= 600
    assert len({row["id"] for row in everything}) == len(everything)
    keys = [(row["text"], row["party"], json.dumps(row["facts"], sort_keys=True)) for row in everything]
    assert len(set(keys)) == len(keys)


def test_held_out_sentences_do_not_get_worse(gate: Gate) -> None:
    """A floor against losing ground only; the honest first measurement stands in corpus/README.md."""
    recall, false_positives, _ = rates(gate, rows("heldout.jsonl"))
    assert recall >= 0.9
    assert false_positives <= 0.05


@pytest.mark.parametrize(("lang", "floor"), [("zh", 0.75), ("en", 0.67)])
def test_untouched_sentences_do_not_get_worse(gate: Gate, lang: Lang, floor: float) -> None:
    """No rule was written against these: the figures are the ones a stranger's sentences meet."""
    unseen = [row for row in rows("heldout2.jsonl") if row["lang"] == lang]
    recall, false_positives, _ = rates(gate, unseen)
    assert recall >= floor
    assert false_positives <= 0.05


def test_a_benign_frame_does_not_excuse_pressure(gate: Gate) -> None:
    """Naming the borrower's people is refused by default, and lifted only by sympathy, privacy or no obligation."""
    said = {
        "en": [
            ("I wonder what your wife would make of all this.", False),
            ("I hope your wife gets well soon.", True),
            ("Your sister has no obligation to pay.", True),
        ],
        "zh": [("您岳父还不知道这件事吧？", False), ("祝您父亲早日康复。", True), ("您的家人没有义务替您还款。", True)],
    }
    for lang, sentences in said.items():
        for text, fine in sentences:
            facts = CallFacts("zh" if lang == "zh" else "en", "borrower", None, rows(f"{lang}.jsonl")[0]["facts"])
            assert (gate.judge(text, facts).decision == "allow") is fine, text


@pytest.mark.parametrize(("text", "lang"), [("废w物一个。", "zh"), ("You st*pid man.", "en")])
def test_letters_and_stars_inside_words_hide_nothing(gate: Gate, text: str, lang: Lang) -> None:
    assert gate.judge(text, CallFacts(lang, "borrower", None, {})).decision != "allow"
