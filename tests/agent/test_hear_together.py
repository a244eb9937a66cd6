"""Calls that share one engine: decoded together, each as by itself, and out of the queue when nobody asks any more."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pytest

from agent.frames import HeardFrame
from agent.guessing import Failed, Guesser
from agent.models import load_hearing
from agent.settings import Settings
from asr.engine import Engine
from asr.transcriber import Lang, Transcription, Utterance
from asr.turns import TurnPolicy
from asr.whisper import FasterWhisper
from audio.espeak import Voice, synthesize
from audio.g711 import Floats, to_float
from audio.telephone import RATE, Line, telephone
from tests.agent.hearing_playbook import Scripted, call


class Gated:
    """Tells the length of what it hears, when it is let. ``foreign``: it is sure of nothing but English."""

    def __init__(self, *, foreign: bool = False) -> None:
        self.batches: list[int] = []
        self.open = threading.Event()
        self.begun = threading.Event()
        self._foreign = foreign

    def transcribe(
        self, samples: Floats, rate: int, lang: Lang | None = None, *, hotwords: str | None = None
    ) -> Transcription:
        return self.transcribe_all([Utterance(samples, rate, lang, hotwords)])[0]

    def transcribe_all(self, utterances: Sequence[Utterance], *, batch_size: int = 16) -> list[Transcription]:
        self.batches.append(len(utterances))
        self.begun.set()
        assert self.open.wait(10)
        return [self._heard(u) for u in utterances]

    def shape(self, utterance: Utterance) -> Hashable:
        return 0

    def _heard(self, u: Utterance) -> Transcription:
        lang: Lang = u.lang or "zh"
        if self._foreign and lang == "zh":
            return Transcription("艾", lang, (), 0.2, 0.0)
        return Transcription(f"words {len(u.samples)}" if lang == "en" else f"字{len(u.samples)}", lang, (), 0.9, 0.0)


def guesser(engine: Engine, lang: Lang = "zh") -> Guesser:
    def spawn(work: Any) -> asyncio.Task[Any]:
        return asyncio.ensure_future(work)

    return Guesser(engine, lang, spawn, model=None, policy=TurnPolicy())


def sound(seconds: float) -> Floats:
    return np.zeros(int(seconds * RATE), np.float32)


async def nothing(*_: object) -> None:
    return


async def begun(model: Gated) -> None:
    assert await asyncio.to_thread(model.begun.wait, 10)


async def queued(engine: Engine, count: int) -> None:
    async with asyncio.timeout(10):
        while engine.load.waiting < count:
            await asyncio.sleep(0)


async def test_turns_of_several_calls_are_decoded_together() -> None:
    model = Gated()
    with Engine(model, workers=1, max_batch=8) as engine:
        first = guesser(engine).hear(sound(0.1))
        await begun(model)
        others = [guesser(engine).hear(sound(0.2 + i / 10)) for i in range(4)]
        await queued(engine, 4)
        model.open.set()
        texts = [t.text for t in await asyncio.gather(first, *others) if isinstance(t, Transcription)]
        assert model.batches == [1, 4]
        assert texts == [f"字{int((0.1 + i / 10) * RATE)}" for i in range(5)]


async def test_a_turn_in_the_other_language_is_queued_twice() -> None:
    model = Gated(foreign=True)
    model.open.set()
    with Engine(model, workers=1) as engine:
        heard = await guesser(engine).hear(sound(1.0))
        assert isinstance(heard, Transcription)
        assert (heard.lang, heard.text) == ("en", "words 8000")
        assert model.batches == [1, 1]


async def test_a_guess_that_speech_overtook_leaves_the_queue() -> None:
    model = Gated()
    with Engine(model, workers=1) as engine:
        first = guesser(engine).hear(sound(0.1))
        await begun(model)
        waiting = guesser(engine)
        guess = waiting.guess(1.0, sound(0.5), nothing, nothing)
        await queued(engine, 1)
        guess.drop()
        assert guess.text is not None
        assert await guess.text is None
        then = waiting.hear(sound(0.3))
        model.open.set()
        heard = await then
        assert isinstance(heard, Transcription)
        assert heard.text == "字2400"
        await first
        assert model.batches == [1, 1]


async def test_a_call_that_ends_leaves_the_queue() -> None:
    model = Gated()
    with Engine(model, workers=1) as engine:
        first = guesser(engine).hear(sound(0.1))
        await begun(model)
        last = guesser(engine).hear(sound(0.5))
        await queued(engine, 1)
        last.cancel()
        with pytest.raises(asyncio.CancelledError):
            await last
        model.open.set()
        await first
        assert model.batches == [1]


async def test_a_full_queue_refuses_words_of_unfinished_speech_first() -> None:
    model = Gated()
    with Engine(model, workers=1, max_waiting=1) as engine:
        first = guesser(engine).hear(sound(0.1))
        await begun(model)
        partial = guesser(engine).hear(sound(0.2), final=False)
        await queued(engine, 1)
        final = guesser(engine).hear(sound(0.3))
        assert await partial == Failed("EngineBusy")
        assert await guesser(engine).hear(sound(0.4), final=False) == Failed("EngineBusy")
        model.open.set()
        heard = await final
        assert isinstance(heard, Transcription)
        assert heard.text == "字2400"
        await first


async def test_a_call_hears_through_an_engine_as_without() -> None:
    class Batched(Scripted):
        def transcribe_all(self, utterances: Sequence[Utterance], *, batch_size: int = 16) -> list[Transcription]:
            return [self.transcribe(u.samples, u.rate, u.lang, hotwords=u.hotwords) for u in utterances]

        def shape(self, utterance: Utterance) -> Hashable:
            return 0

    with Engine(Batched({0.2: "对没错"})) as engine:
        async with call(engine) as play:
            await play.expect("yes_no")
            await play.say(0.8)
            await play.wait_until_ended()
            assert [f.heard.text for f in await play.got(HeardFrame)] == ["对没错"]


def test_one_setting_makes_calls_share_an_engine() -> None:
    alone = load_hearing(Settings())
    shared = load_hearing(Settings(whisper_batch=4))
    assert isinstance(alone, FasterWhisper)
    assert isinstance(shared, Engine)
    pcm, rate = synthesize("我下周三还三千块钱", Voice("cmn+f3"))
    audio = to_float(telephone(to_float(pcm), rate, Line(snr_db=28), np.random.default_rng(1)))
    with shared:
        several = [shared.submit(audio[: len(audio) - 800 * i], RATE, "zh") for i in range(4)]
        assert [f.result().text for f in several] == [
            alone.transcribe(audio[: len(audio) - 800 * i], RATE, "zh").text for i in range(4)
        ]
    assert several[0].result().text
