"""What sounds alike is told apart by sense, but never against the ear, and never where the ear was sure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from asr.homophones import Homophones, placed, readings
from asr.second_hearing import Heard, SecondHearing
from asr.training.ngram import build

SAID = [
    ("我下周五还款", 3.0),
    ("我想还款", 3.0),
    ("把茶几拿过来", 2.0),
    ("几点还款", 1.0),
    ("宽的茶几", 1.0),
    ("插上", 1.0),
]
UNSURE = [False] * 20


@pytest.fixture(scope="module")
def homophones() -> Homophones:
    _, model = build("zh", [*SAID, ("差一点", 1.0), ("姬", 1.0), ("换宽", 0.2)])
    return Homophones(model)


def test_characters_are_read_in_every_way() -> None:
    assert {("huan", "2"), ("hai", "2")} <= readings("还")
    assert readings("a") == readings("，") == frozenset()


def test_what_makes_sense_is_proposed_where_the_ear_was_unsure(homophones: Homophones) -> None:
    assert "我想还款" in homophones.variants(["我想还宽"], [True, True, True, False])
    assert "把茶几拿过来" in homophones.variants(["把插姬拿过来"], [True, False, False, True, True, True])
    assert homophones.variants(["我想还宽"], [True] * 4) == []
    assert all(v.startswith("我想") for v in homophones.variants(["我想换宽"], [True, True, False, False]))


def test_only_hypotheses_of_one_length_are_compared(homophones: Homophones) -> None:
    found = homophones.variants(["我想还宽", "我想还", "我想换宽"], UNSURE[:4])
    assert "我想换宽" in found and all(len(v) == 4 for v in found)
    assert homophones.variants(["我想还宽"], [False]) == [], "nobody knows which characters were sure"


def test_other_scripts_stay_as_they_are(homophones: Homophones) -> None:
    assert all(v.startswith("OK，") for v in homophones.variants(["OK，还宽"], UNSURE[:5]))


def test_a_name_of_this_call_is_tried_where_it_sounds_alike() -> None:
    assert placed("我是章明", [True, True, False, False], "张明，安信消费金融") == ["我是张明"]
    assert placed("我是章明", [True] * 4, "张明") == [], "it was heard well"
    assert (
        placed("我是张明", UNSURE[:4], "张明") == placed("我", UNSURE[:1], "张明") == placed("我", [False], None) == []
    )


class Ear:
    """A recogniser that gives every character of a text one probability."""

    def __init__(self, chances: dict[str, float]) -> None:
        self.model = self
        self.chances = chances
        self.asked: list[str] = []

    def align(self, _view: Any, _start: Any, tokens: list[list[int]], frames: list[int]) -> list[Any]:
        texts = ["".join(map(chr, each)) for each in tokens]
        assert len(frames) == len(texts)
        self.asked += texts
        return [SimpleNamespace(text_token_probs=[self.chances.get(text, 1e-6)] * len(text)) for text in texts]


TOKENIZER: Any = SimpleNamespace(
    sot_sequence=[1], eot=0, encode=lambda text: [ord(c) for c in text], decode=lambda ids: "".join(map(chr, ids))
)
SOUND = np.zeros((2, 10, 4), np.float32)


def choose(ear: Ear, homophones: Homophones, *heard: Heard) -> list[tuple[str, float]]:
    return SecondHearing(ear, homophones).choose(heard, TOKENIZER, SOUND)  # type: ignore[arg-type]


def test_the_likelier_sentence_wins_if_it_fits_the_sound(homophones: Homophones) -> None:
    ear = Ear({"我想还宽": 0.5, "我想还款": 0.4, "把茶几拿过来": 0.5})
    (first, gained), second = choose(
        ear, homophones, Heard(("我想还宽",), 0, 10), Heard(("把茶几拿过来", "把插姬拿过来"), 1, 10)
    )
    assert first == "我想还款" and gained == pytest.approx(4 * np.log(0.4 / 0.5))
    assert second == ("把茶几拿过来", 0.0)


def test_sense_alone_does_not_overrule_the_ear(homophones: Homophones) -> None:
    ear = Ear({"我想还宽": 0.5, "我想还款": 1e-5})
    assert choose(ear, homophones, Heard(("我想还宽",), 0, 10)) == [("我想还宽", 0.0)]


def test_what_was_surely_heard_is_not_asked_again(homophones: Homophones) -> None:
    ear = Ear({"我想还宽": 0.99})
    assert choose(ear, homophones, Heard(("我想还宽",), 0, 10)) == [("我想还宽", 0.0)]
    assert ear.asked == ["我想还宽"]


def test_a_name_needs_no_sense_but_the_sound(homophones: Homophones) -> None:
    ear = Ear({"我是章明": 0.5, "我是张明": 0.4})
    assert choose(ear, homophones, Heard(("我是章明",), 0, 10, "张明"))[0][0] == "我是张明"
    assert choose(ear, homophones, Heard(("我是章明",), 0, 10))[0][0] == "我是章明"
    ear = Ear({"我是章明": 0.5, "我是张明": 0.05})
    assert choose(ear, homophones, Heard(("我是章明",), 0, 10, "张明"))[0][0] == "我是章明", "it does not sound like it"


def test_nothing_heard_is_nothing(homophones: Homophones) -> None:
    assert choose(Ear({}), homophones) == []
