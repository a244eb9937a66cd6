"""One recogniser for all calls: the same text as alone, finals first, nothing kept, full queues refuse partials."""

from __future__ import annotations

import threading
from collections.abc import Hashable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import numpy as np
import pytest

from asr.engine import Engine, EngineBusy, EngineClosed
from asr.training.evaluate import spoken
from asr.transcriber import Lang, Transcription, Utterance
from asr.whisper import FasterWhisper
from audio.g711 import Floats
from audio.telephone import RATE


@pytest.fixture(scope="module")
def model() -> FasterWhisper:
    return FasterWhisper.load(num_workers=2)


@pytest.fixture(scope="module")
def said() -> list[tuple[Lang, Floats]]:
    """Both languages, lengths from one to nine seconds, in an order that mixes them."""
    clips: list[tuple[Lang, Floats]] = []
    for lang in ("zh", "en"):
        short = [audio for _, audio, _, _ in spoken("zh" if lang == "zh" else "en", "unseen", 9, seed=21)]
        clips += [("zh" if lang == "zh" else "en", audio) for audio in short]
        clips.append(("zh" if lang == "zh" else "en", np.concatenate(short[:4])))  # longer than one window
    order = np.random.default_rng(0).permutation(len(clips))
    return [clips[i] for i in order]


def tight(t: Transcription) -> tuple[str, tuple[str, ...]]:
    return t.text, tuple(w.text for w in t.words)


def test_a_batch_gives_what_each_gives_alone(model: FasterWhisper, said: list[tuple[Lang, Floats]]) -> None:
    alone = [model.transcribe(audio, RATE, lang) for lang, audio in said]
    together = model.transcribe_all([Utterance(audio, RATE, lang) for lang, audio in said])
    assert [tight(t) for t in together] == [tight(t) for t in alone]
    assert sum(bool(t.text) for t in alone) > len(said) * 0.8
    for a, b in zip(alone, together, strict=True):
        assert b.lang == a.lang
        assert b.confidence == pytest.approx(a.confidence, abs=1e-3)
        assert [w.start for w in b.words] == pytest.approx([w.start for w in a.words], abs=0.05)


def test_silence_and_open_languages_stand_in_a_batch(model: FasterWhisper, said: list[tuple[Lang, Floats]]) -> None:
    nothing = np.zeros(RATE, np.float32)
    asked = [Utterance(nothing, RATE)] + [Utterance(audio, RATE) for _, audio in said[:6]]
    together = model.transcribe_all(asked)
    assert together[0].text == ""
    assert [t.text for t in together[1:]] == [model.transcribe(audio, RATE).text for _, audio in said[:6]]


def test_many_calls_at_once_hear_what_they_would_alone(model: FasterWhisper, said: list[tuple[Lang, Floats]]) -> None:
    alone = [model.transcribe(audio, RATE, lang).text for lang, audio in said]
    with Engine(model, workers=2, max_batch=4) as engine, ThreadPoolExecutor(8) as calls:
        for _ in range(2):  # nothing is left of the first round
            heard = list(calls.map(lambda pair: engine.transcribe(pair[1], RATE, pair[0]).text, said))
            assert heard == alone
        load = engine.load
    assert load.decoded == 2 * len(said)
    assert load.waiting == load.refused == 0
    assert load.batches < load.decoded  # some went together


class Held:
    """A transcriber that decodes when it is told to, and notes what it was given together. A sample's first value
    is its number."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def transcribe(
        self, samples: Floats, rate: int, lang: Lang | None = None, *, hotwords: str | None = None
    ) -> Transcription:
        return self.transcribe_all([Utterance(samples, rate, lang, hotwords)])[0]

    def transcribe_all(self, utterances: Sequence[Utterance], *, batch_size: int = 16) -> list[Transcription]:
        numbers = [int(u.samples[0]) for u in utterances]
        self.batches.append(numbers)
        self.begun.release()
        assert self.go.acquire(timeout=10)
        if any(n < 0 for n in numbers):
            raise ValueError("cannot be heard")
        return [Transcription(str(n), u.lang or "zh", (), 1.0, 0.0) for n, u in zip(numbers, utterances, strict=True)]

    def shape(self, utterance: Utterance) -> Hashable:
        return utterance.lang, len(utterance.samples)


def sound(number: int, length: int = 10) -> Floats:
    return np.full(length, number, np.float32)


def held_up(engine: Engine, held: Held) -> Future[Transcription]:
    """Keep the only worker busy."""
    first = engine.submit(sound(0), RATE, "zh")
    assert held.begun.acquire(timeout=10)
    return first


def test_finals_go_first_and_equal_shapes_go_together() -> None:
    held = Held()
    with Engine(held, workers=1, max_batch=3) as engine:
        futures = [held_up(engine, held)]
        futures += [engine.submit(sound(n), RATE, "zh", final=False) for n in (1, 2)]
        futures += [engine.submit(sound(n), RATE, "zh") for n in (3, 4)]
        futures.append(engine.submit(sound(5, 20), RATE, "zh"))
        futures += [engine.submit(sound(n), RATE, "zh") for n in (6, 7)]
        held.go.release(20)
        assert [f.result(10).text for f in futures] == ["0", "1", "2", "3", "4", "5", "6", "7"]
    assert held.batches == [[0], [3, 4, 6], [5], [7], [1, 2]]


def test_a_cancelled_request_is_not_decoded() -> None:
    held = Held()
    with Engine(held, workers=1) as engine:
        running = held_up(engine, held)
        gone, kept = engine.submit(sound(1), RATE, "zh"), engine.submit(sound(2), RATE, "zh")
        assert gone.cancel()
        assert not running.cancel()  # being decoded: not stopped
        held.go.release(20)
        assert kept.result(10).text == "2"
        with pytest.raises(CancelledError):
            gone.result(10)
    assert held.batches == [[0], [2]]


def test_a_full_queue_refuses_partials_and_a_final_takes_their_place() -> None:
    held = Held()
    with Engine(held, workers=1, max_waiting=2) as engine:
        held_up(engine, held)
        oldest, partial = (engine.submit(sound(n), RATE, "zh", final=False) for n in (1, 2))
        with pytest.raises(EngineBusy):
            engine.submit(sound(3), RATE, "zh", final=False)
        final = engine.submit(sound(4), RATE, "zh")
        with pytest.raises(EngineBusy):
            oldest.result(10)
        engine.submit(sound(5), RATE, "zh")
        with pytest.raises(EngineBusy):
            partial.result(10)
        with pytest.raises(EngineBusy, match="2 utterances"):
            engine.submit(sound(6), RATE, "zh")  # none but finals waits
        assert engine.load.refused == 4
        held.go.release(20)
        assert final.result(10).text == "4"


def test_what_cannot_be_decoded_fails_alone() -> None:
    held = Held()
    with Engine(held, workers=1) as engine:
        held_up(engine, held)
        futures = [engine.submit(sound(n), RATE, "zh") for n in (1, -2, 3)]
        held.go.release(20)
        assert [futures[i].result(10).text for i in (0, 2)] == ["1", "3"]
        with pytest.raises(ValueError, match="cannot be heard"):
            futures[1].result(10)
        assert engine.submit(sound(4), RATE, "zh").result(10).text == "4"


def test_closing_fails_what_waits_and_finishes_what_runs() -> None:
    held = Held()
    engine = Engine(held, workers=1)
    running, waiting = held_up(engine, held), engine.submit(sound(1), RATE, "zh")
    held.go.release(20)
    engine.close()
    assert running.result(10).text == "0"
    if waiting.exception(10) is not None:  # it may have been taken before the engine closed
        with pytest.raises(EngineClosed):
            waiting.result(10)
    with pytest.raises(EngineClosed):
        engine.submit(sound(2), RATE, "zh")


def test_bad_arguments_are_refused_at_once() -> None:
    held = Held()
    with Engine(held) as engine:
        with pytest.raises(ValueError, match="mono"):
            engine.submit(np.zeros((2, 5), np.float32), RATE)
        with pytest.raises(ValueError, match="rate"):
            engine.submit(np.zeros(5, np.float32), 0)
    with pytest.raises(ValueError, match="at least 1"):
        Engine(held, workers=0)
