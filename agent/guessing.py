"""What a call's recogniser is asked while the person still speaks or pauses, one decode at a time.

Everything here runs beside the frames: a pause is decoded at once, its words are judged, the voice is asked where
they leave it open, and whoever waits is told how much silence ends the turn. A guess that speech has overtaken is
dropped, before it costs anything if it still waits; a decode under way cannot be stopped, but nobody asks for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, cast

from agent.events import Expects, Lang
from agent.turn_evidence import evidence
from asr.engine import Engine
from asr.guards import turn_doubt
from asr.languages import decodes, transcribe_either
from asr.transcriber import Transcriber, Transcription
from asr.turns import TurnModel, TurnPolicy
from audio.g711 import Floats
from audio.telephone import RATE


@dataclass(frozen=True, slots=True)
class Failed:
    """The recogniser could not hear this: ``error`` is the kind of its exception."""

    error: str


Text = Transcription | Failed | None
"""What a decode gives; ``None`` if it was dropped before its turn came."""


@dataclass(slots=True, eq=False)
class Guess:
    """A pause at ``at`` (seconds of stream), the audio before it, and its text to be."""

    at: float
    audio: Floats
    dropped: bool = False
    text: asyncio.Task[Text] | None = None
    waits: asyncio.Future[Transcription] | None = None

    def drop(self) -> None:
        """Nobody asks for it any more: what still waits in an engine's queue is taken out."""
        self.dropped = True
        if self.waits is not None:
            self.waits.cancel()


class Guesser:
    """One a call. ``spawn`` makes tasks that die with the call."""

    def __init__(
        self,
        transcriber: Transcriber,
        lang: Lang,
        spawn: Callable[[Coroutine[Any, Any, Any]], asyncio.Task[Any]],
        *,
        model: Callable[[], TurnModel] | None,
        policy: TurnPolicy,
        hotwords: str | None = None,
    ) -> None:
        """``model`` is called in a thread each time it is wanted; ``None`` leaves open turns to the clock."""
        self.lang: Lang = lang
        self.expects: Expects | None = None
        self._policy = policy
        self._transcriber = transcriber
        self._spawn = spawn
        self._model = model
        self._hotwords = hotwords
        self._one = asyncio.Lock()

    @property
    def busy(self) -> bool:
        """Whether a decode is under way."""
        return self._one.locked()

    def hear(self, audio: Floats, guess: Guess | None = None, *, final: bool = True) -> asyncio.Task[Text]:
        """Decode ``audio`` after what is being decoded now, unless ``guess`` is dropped before. Not ``final``: words of
        somebody who still speaks, which an engine short of time need not give."""
        return self._spawn(self._hear(audio, guess, final))

    def guess(
        self,
        at: float,
        audio: Floats,
        heard: Callable[[Guess, Transcription], Coroutine[Any, Any, None]],
        decided: Callable[[Guess, float, bool], Coroutine[Any, Any, None]],
    ) -> Guess:
        """Begin on a pause. ``heard`` is told the text, if it is believed; ``decided`` the silence that ends the turn,
        by the words and then perhaps by the voice, and whether they are believed. Neither hears of a guess that was
        dropped.
        """
        guess = Guess(at, audio)
        guess.text = self.hear(audio, guess)
        self._spawn(self._judge(guess, guess.text, heard, decided))
        return guess

    async def _hear(self, audio: Floats, guess: Guess | None, final: bool) -> Text:
        async with self._one:
            if guess is not None and guess.dropped:
                return None
            try:
                if isinstance(self._transcriber, Engine):
                    return await self._queued(self._transcriber, audio, guess, final)
                return await asyncio.to_thread(
                    transcribe_either, self._transcriber, audio, RATE, self.lang, hotwords=self._hotwords
                )
            except asyncio.CancelledError:
                if guess is not None and guess.dropped:
                    return None
                raise
            except Exception as e:  # the recogniser is a foreign library: whatever it throws ends this turn only
                return Failed(type(e).__name__)

    async def _queued(self, engine: Engine, audio: Floats, guess: Guess | None, final: bool) -> Transcription:
        """``transcribe_either`` through the queue of all calls: no thread waits, and who gives up leaves the queue."""
        steps = decodes(self.lang, len(audio) / RATE)
        asked = next(steps)
        while True:
            waits = asyncio.wrap_future(engine.submit(audio, RATE, asked, hotwords=self._hotwords, final=final))
            if guess is not None:
                guess.waits = waits
            heard = await waits
            try:
                asked = steps.send(heard)
            except StopIteration as done:
                return cast(Transcription, done.value)

    async def _judge(
        self,
        guess: Guess,
        text: asyncio.Task[Text],
        heard: Callable[[Guess, Transcription], Coroutine[Any, Any, None]],
        decided: Callable[[Guess, float, bool], Coroutine[Any, Any, None]],
    ) -> None:
        result = await text
        if not isinstance(result, Transcription) or guess.dropped:
            return
        believed = turn_doubt(result, len(guess.audio) / RATE) is None
        words = evidence(result.text, result.lang, self.expects) if believed else "open"
        if believed:
            await heard(guess, result)
        await decided(guess, self._policy.patience(words), believed)
        if words != "open" or self._model is None or guess.dropped:
            return
        finished = await asyncio.to_thread(lambda model: model().finished(guess.audio, RATE), self._model)
        if not guess.dropped:
            await decided(guess, self._policy.patience(words, finished), believed)
