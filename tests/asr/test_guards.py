"""What is believed of a transcript, and what is asked for again."""

from __future__ import annotations

import math

import pytest

from asr.guards import Guards, compression_ratio, doubt, loops, turn_doubt, units
from asr.transcriber import Lang, Transcription

SURE = math.log(0.9)


def judged(text: str, lang: Lang, *, seconds: float = 3.0, p: float = 0.9, no_speech: float = 0.02) -> str | None:
    return doubt(text, lang, seconds=seconds, log_probability=math.log(p), no_speech=no_speech)


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("我下周三还三千五百", "zh"),
        ("好的，谢谢", "zh"),
        ("不不不不不，我没借过", "zh"),
        ("对对对，是的是的", "zh"),
        ("零零零零零零零零", "zh"),
        ("下期再还行吗", "zh"),
        ("你们的字写错了", "zh"),
        ("no no no no, I never borrowed it", "en"),
        ("zero zero zero zero zero zero zero zero", "en"),
        ("Thank you, bye.", "en"),
        ("I paid by subscription", "en"),
        ("OK", "en"),
        ("3,500", "en"),
    ],
)
def test_what_people_say_is_believed(text: str, lang: Lang) -> None:
    assert judged(text, lang) is None


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("请不吝点赞 订阅 转发 打赏支持明镜与点点栏目", "zh"),
        ("字幕由志愿者提供", "zh"),
        ("谢谢大家观看", "zh"),
        ("感谢收看，我们下期再见", "zh"),
        ("Thanks for watching!", "zh"),
        ("Thank you so much for watching.", "en"),
        ("Please subscribe to my channel", "en"),
        ("Subtitles by the Amara.org community", "en"),
        ("Transcription by CastingWords", "en"),
        ("See you in the next video.", "en"),
        ("谢谢观看", "en"),
    ],
)
def test_credits_of_subtitles_are_phantoms(text: str, lang: Lang) -> None:
    assert judged(text, lang) == "phantom"


def test_a_word_that_people_say_is_a_phantom_only_over_doubt() -> None:
    assert judged("Thank you.", "en") is None
    assert judged("Thank you.", "en", no_speech=0.5) == "phantom"
    assert judged("谢谢", "zh", p=0.4) == "phantom"
    assert judged("我下周还", "zh", no_speech=0.5) is None


def test_nothing_but_punctuation_is_no_words() -> None:
    for text in ("", "  ", "……", "?!", "，。"):
        assert judged(text, "zh") == "no words"


def test_silence_by_its_own_word() -> None:
    assert judged("我知道了", "zh", p=0.3, no_speech=0.8) == "silence"
    assert judged("我知道了", "zh", p=0.6, no_speech=0.8) is None


def test_unsure_text_is_asked_for_again() -> None:
    assert judged("我知道了", "zh", p=0.15) == "unsure"


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("嗯嗯嗯嗯嗯嗯嗯嗯嗯嗯", "zh"),
        ("我没钱我没钱我没钱我没钱我没钱我没钱", "zh"),
        ("I said that I said that I said that I said that I said that I said that", "en"),
        ("the the the the the the the the", "en"),
    ],
)
def test_loops_are_repetition(text: str, lang: Lang) -> None:
    assert judged(text, lang, seconds=10) == "repetition"


def test_loops_count_repeats_of_one_length() -> None:
    assert not loops("a b c a b d a b e", 2, 2)
    assert loops("x y x y x y", 6, 2)
    assert not loops("x y x y", 6, 2)
    assert not loops("", 1, 1)


def test_more_words_than_a_mouth_can_say() -> None:
    long = "我想问一下你们这个利息到底是怎么算的为什么比上个月多了这么多钱"
    assert judged(long, "zh", seconds=4.0) is None
    assert judged(long, "zh", seconds=1.0) == "too fast"


def test_words_are_characters_in_chinese() -> None:
    assert units("我有 two apples 了") == ["我", "有", "two", "apples", "了"]
    assert units("ok吧 i'm") == ["ok", "吧", "i'm"]


def test_compression() -> None:
    assert compression_ratio("") == 0.0
    assert compression_ratio("abc " * 60) > 2.4 > compression_ratio("I would like to pay it next week")


def test_a_turn_is_held_to_a_higher_standard() -> None:
    heard = Transcription("我没钱", "zh", (), 0.3, 0.0)
    assert turn_doubt(heard, 1.0) == "unsure"
    assert doubt("我没钱", "zh", seconds=1.0, log_probability=math.log(0.3), no_speech=0.0) is None
    assert turn_doubt(Transcription("我没钱", "zh", (), 0.8, 0.0), 1.0) is None
    assert turn_doubt(Transcription("", "zh", (), 0.0, 1.0), 1.0) == "no words"


def test_bounds_can_be_set() -> None:
    strict = Guards(garbage=math.log(0.95))
    assert doubt("我没钱", "zh", seconds=1, log_probability=SURE, no_speech=0.0, guards=strict) == "unsure"


def test_hardly_a_word_in_long_speech_is_not_believed() -> None:
    def why(text: str, seconds: float) -> str | None:
        return turn_doubt(Transcription(text, "zh", (), 0.9, 0.0), seconds)

    assert why("来老", 9.0) == "unsure"
    assert why("来老", 2.0) is None
    assert why("四零七二", 6.0) is None
    assert why("我下周三还三千块", 9.0) is None
