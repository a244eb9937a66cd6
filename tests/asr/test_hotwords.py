"""Hot words: where they go, and that a recogniser which recites them is not believed.

No published checkpoint can be loaded here. The embedded model takes no prompts; as one that does stands its decoder
with ``takes_prompts``, and for the fault that prompts bring, a decoder that answers any sound with its own prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from faster_whisper import WhisperModel

from asr.guards import doubt, recites
from asr.transcriber import Lang, Utterance
from asr.whisper import EMBEDDED, FasterWhisper
from audio.espeak import Voice, synthesize
from audio.g711 import Floats, to_float
from audio.telephone import RATE, Line, noise, telephone

ZH = "张明，安信消费金融，消费贷款，3500元，三期分期还款"
EN = "Alex Morgan, Harbor Lending, personal loan, $350, three month payment plan"
WORDS: dict[Lang, str] = {"zh": ZH, "en": EN}


class Reciting:
    """A CTranslate2 Whisper that says what it was told to expect, with the certainty that it is given."""

    def __init__(self, model: Any, score: float, no_speech: float) -> None:
        self._model, self._score, self._no_speech = model, score, no_speech
        self.prompts: list[list[int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, _encoded: Any, prompts: list[list[int]], **_: Any) -> list[Any]:
        self.prompts += prompts
        return [
            SimpleNamespace(sequences_ids=[prompt], scores=[self._score], no_speech_prob=self._no_speech)
            for prompt in prompts
        ]


@pytest.fixture(scope="module")
def embedded() -> Iterator[WhisperModel]:
    yield WhisperModel(str(EMBEDDED), device="cpu", cpu_threads=1)


def reciting(embedded: WhisperModel, score: float, no_speech: float) -> tuple[FasterWhisper, Reciting]:
    model = WhisperModel.__new__(WhisperModel)
    model.__dict__.update(embedded.__dict__)
    decoder = Reciting(embedded.model, score, no_speech)
    model.model = decoder
    return FasterWhisper(model, max_tokens=120, takes_prompts=True, words=False), decoder


def street(seconds: float = 3.0) -> Floats:
    return noise(int(seconds * RATE), 1.4, np.random.default_rng(5)) * np.float32(0.02)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize(("score", "no_speech"), [(-0.05, 0.01), (-0.3, 0.5), (-0.9, 0.9)])
def test_a_recogniser_that_recites_its_hot_words_is_not_believed(
    embedded: WhisperModel, lang: Lang, score: float, no_speech: float
) -> None:
    model, _ = reciting(embedded, score, no_speech)
    assert model.transcribe(street(), RATE, lang, hotwords=WORDS[lang]).text == ""


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_one_hot_word_over_doubtful_sound_is_not_believed(embedded: WhisperModel, lang: Lang) -> None:
    unsure, _ = reciting(embedded, -0.8, 0.4)
    first = WORDS[lang].replace("，", ",").split(",")[0]
    assert unsure.transcribe(street(), RATE, lang, hotwords=first).text == ""
    sure, _ = reciting(embedded, -0.05, 0.01)
    assert sure.transcribe(street(), RATE, lang, hotwords=first).text != ""  # "Harbor Lending?" is a fair question


def test_silence_is_nothing_whatever_is_expected(embedded: WhisperModel) -> None:
    model, decoder = reciting(embedded, -0.05, 0.01)
    assert model.transcribe(np.zeros(2 * RATE, np.float32), RATE, "zh", hotwords=ZH).text == ""
    assert not decoder.prompts


def test_hot_words_stand_before_the_text_and_cannot_be_tokens(embedded: WhisperModel) -> None:
    model, decoder = reciting(embedded, -0.05, 0.01)
    token = embedded.hf_tokenizer.token_to_id
    for words in (ZH, "张明<|endoftext|><|translate|>", "<|nospeech|>"):
        model.transcribe(street(), RATE, "zh", hotwords=words)
    for prompt in decoder.prompts:
        assert token("<|endoftext|>") not in prompt
        assert token("<|translate|>") not in prompt
        assert token("<|nospeech|>") not in prompt
        assert prompt.count(token("<|startoftranscript|>")) == 1
    assert [p[0] == token("<|startofprev|>") for p in decoder.prompts] == [True, True, True]


def test_the_embedded_model_ignores_them() -> None:
    model = FasterWhisper.load()
    pcm, rate = synthesize("我下周三还款", Voice("cmn+f2"))
    sound = to_float(telephone(to_float(pcm), rate, Line(snr_db=25), np.random.default_rng(3)))
    plain, told = (model.transcribe(sound, RATE, "zh", hotwords=words) for words in (None, ZH))
    assert told == plain
    assert plain.text
    for words in (None, ZH):
        assert model.transcribe(street(10.0), RATE, "zh", hotwords=words).text == ""
    assert model.shape(Utterance(sound, RATE, "zh", ZH))[1] == model.shape(Utterance(sound, RATE, "zh", None))[1]  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "sure", "recited"),
    [
        ("张明 安信消费金融 消费贷款", True, True),
        ("安信消费金融", True, False),
        ("安信消费金融", False, True),
        ("我欠安信消费金融 3500元", False, False),
        ("", False, False),
    ],
)
def test_reciting_is_told_from_speaking_of_it(text: str, sure: bool, recited: bool) -> None:
    assert recites(text, ZH, sure=sure) is recited


def test_what_somebody_says_about_the_loan_is_believed() -> None:
    said = "yes this is alex morgan is it about the personal loan"
    assert doubt(said, "en", seconds=3.0, log_probability=-0.3, no_speech=0.1, hotwords=EN) is None
    assert doubt("harbor lending", "en", seconds=1.0, log_probability=-0.1, no_speech=0.1, hotwords=EN) is None
