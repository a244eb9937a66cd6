"""The n-gram model prefers what people write, decides only among what was heard, and is stored whole."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from asr.ngram import FILE, load, ranked, tokens
from asr.training.lexicon import phrases, words
from asr.training.ngram import build, save
from asr.training.text import common_characters
from asr.transcriber import ModelError
from asr.whisper import EMBEDDED

SAID = [("我下周五还款", 1.0), ("我想还一半", 1.0), ("请问还款日是哪天", 1.0), ("我下个月还款", 1.0)]


def test_probabilities_of_what_may_follow_sum_to_one() -> None:
    vocabulary, model = build("zh", SAID, [("还款日", 2.0)])
    rows = np.array([[1, 1, 1, last] for last in range(2, len(vocabulary) + 3)])
    total = float(np.exp(model.last(rows)).sum())
    assert 0.6 < total <= 1.001, "the rest is for unseen tokens and for long n-grams that were left out"


def test_a_likelier_sentence_wins_unless_the_ear_is_sure() -> None:
    _, model = build("zh", SAID, weight=0.5)
    heard = ["我下周五环宽", "我下周五还款"]
    assert ranked(heard, [-1.0, -1.5], model) == [1, 0]
    assert ranked(heard, [-1.0, -40.0], model) == [0, 1]
    assert ranked(heard, [-1.0, -1.5], None) == [0, 1]
    assert ranked(heard[:1], [-1.0], model) == [0]


def test_the_dictionary_knows_words_that_no_sentence_held() -> None:
    _, without = build("zh", SAID)
    _, model = build("zh", SAID, [("螃蟹", 3.0)])
    assert model.score(["螃蟹"])[0] > without.score(["螃蟹"])[0]
    assert all(math.isfinite(x) for x in model.score(["", "龘", "hello 我", "x" * 500]))


def test_english_is_counted_in_words() -> None:
    assert tokens("I'll pay, on Friday!", "en") == ["i'll", "pay", "on", "friday"]
    _, model = build("en", [("i will pay on friday", 1.0), ("please call me back", 1.0)])
    assert model.score(["i will pay on friday"])[0] > model.score(["eye will pay on friday"])[0]


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    models = {"zh": build("zh", SAID, weight=0.25), "en": build("en", [("call me back", 1.0)], weight=0.1)}
    save(tmp_path / FILE, models)
    found = load(tmp_path)
    assert found["zh"].weight == 0.25
    np.testing.assert_array_equal(found["zh"].score(["我想还款"]), models["zh"][1].score(["我想还款"]))
    assert load(tmp_path / "nowhere") == {}


@pytest.mark.parametrize("content", [b"", b"not a model", b"PK\x03\x04broken"])
def test_a_broken_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(ModelError, match=r"ngram\.npz: not a usable n-gram model"):
        load(tmp_path)


def test_the_embedded_one_knows_both_languages() -> None:
    found = load(EMBEDDED)
    assert found["zh"].score(["出生日期是七月六号"])[0] > found["zh"].score(["出生日七十七月六号"])[0]
    assert found["en"].score(["i'll pay on friday"])[0] > found["en"].score(["aisle pay on friday"])[0]


def test_dictionary_phrases_are_of_common_characters_and_repeatable() -> None:
    common = frozenset(common_characters())
    said = list(phrases(60, 3))
    assert said == list(phrases(60, 3)) and said != list(phrases(60, 4))
    assert all(common.issuperset(phrase) and len(phrase) >= 2 for phrase in said)
    assert len(words()) > 40_000
