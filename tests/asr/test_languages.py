"""The language is the script's, until the borrower plainly speaks another."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest

from asr.languages import foreign, transcribe_either
from asr.spelling import tidied, tidy
from asr.transcriber import Lang, TimedWord, Transcription
from audio.g711 import Floats

SOUND = np.zeros(16000, np.float32)


@dataclass
class Scripted:
    """A recogniser that hears the same sound as given in each language."""

    zh: tuple[str, float]
    en: tuple[str, float]
    asked: list[Lang | None] = field(default_factory=list)

    def transcribe(
        self, samples: Floats, rate: int, lang: Lang | None = None, *, hotwords: str | None = None
    ) -> Transcription:
        self.asked.append(lang)
        text, confidence = self.zh if lang == "zh" else self.en
        return Transcription(text, lang or "zh", (), confidence, 0.0)


def test_a_sure_transcript_costs_one_decode() -> None:
    model = Scripted(("我下周三还", 0.9), ("walk", 0.99))
    assert transcribe_either(model, SOUND, 8000, "zh").text == "我下周三还"
    assert model.asked == ["zh"]


def test_the_other_language_stands_if_it_is_much_surer() -> None:
    model = Scripted(("艾威佩", 0.3), ("i will pay on friday", 0.85))
    heard = transcribe_either(model, SOUND, 8000, "zh")
    assert (heard.text, heard.lang) == ("i will pay on friday", "en")
    assert model.asked == ["zh", "en"]


def test_letters_of_the_other_language_are_reason_enough_to_ask() -> None:
    model = Scripted(("我下周三还", 0.9), ("我下周三还", 0.7))
    assert transcribe_either(model, SOUND, 8000, "en").lang == "zh"


@pytest.mark.parametrize(
    ("zh", "en"),
    [
        (("我没钱", 0.5), ("woman shan", 0.55)),  # hardly surer
        (("我没钱", 0.5), ("ok", 0.95)),  # a word of both
        (("我没钱", 0.5), ("我没钱", 0.95)),  # Chinese after all
        (("我没钱", 0.3), ("thanks for watching", 0.95)),  # nobody's words
        (("", 0.0), ("what", 0.2)),
    ],
)
def test_else_the_script_s_language_stays(zh: tuple[str, float], en: tuple[str, float]) -> None:
    assert transcribe_either(Scripted(zh, en), SOUND, 8000, "zh").lang == "zh"


def test_foreign_letters() -> None:
    assert foreign("i will pay", "zh")
    assert not foreign("我用 paypal 还", "zh")
    assert foreign("我 will 还 钱", "en")
    assert not foreign("", "zh")
    assert not foreign("3500", "zh")


def test_one_spelling() -> None:
    assert tidy("我 已經 還 錢 了", "zh") == "我已经还钱了"
    assert tidy("我用 Visa 卡 還\u200b款。", "zh") == "我用 Visa 卡还款。"
    assert tidy("  I paid\u00ad  it ", "en") == "I paid it"
    assert tidy("", "en") == ""


def test_words_keep_step_with_the_text() -> None:
    words = tuple(TimedWord(w, i, i + 1, 0.9) for i, w in enumerate(("還", "錢", "\u200b")))
    heard = tidied(Transcription("還錢\u200b", "zh", words, 0.9, 0.0))
    assert heard.text == "".join(w.text for w in heard.words) == "还钱"
