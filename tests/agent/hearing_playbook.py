"""Hearing as a playbook: packets on a simulated clock, and the frames that come of them.

The clock moves 20 ms with each packet, and only when everything that a packet set off has been done: decoding takes no
time here unless a test makes it.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from pipecat.frames.frames import InputAudioRawFrame

from agent.clock import CallClock
from agent.echo import OwnVoice
from agent.events import Expects, Lang
from agent.frames import ListenFrame
from agent.hearing import Hear
from asr.transcriber import Transcriber, Transcription
from asr.turns import TurnPolicy
from audio.g711 import Floats, Pcm16
from tests.agent.lines import Collector, Running

PACKET = 160


class Clock(CallClock):
    """Moved by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.t = 0.0

    def now(self) -> float:
        return self.t


@dataclass
class Scripted:
    """A recogniser that knows what was said by how much speech there is. Texts: by least seconds of speech."""

    texts: dict[float, str]
    confidence: float = 0.9
    others: dict[Lang, str] = field(default_factory=dict)
    fails: int = 0
    takes: float = 0.0
    heard: list[float] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def transcribe(
        self, samples: Floats, rate: int, lang: Lang | None = None, *, hotwords: str | None = None
    ) -> Transcription:
        with self._lock:
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        try:
            time.sleep(self.takes)
            seconds = float(np.sum(np.abs(samples) > 0.05)) / rate
            self.heard.append(seconds)
            if self.fails:
                self.fails -= 1
                raise RuntimeError("out of memory")
            if self.others:
                text, confidence = self.others.get(lang or "zh", ""), 0.9 if lang == "en" else 0.3
                return Transcription(text, lang or "zh", (), confidence, 0.0)
            text = next((t for least, t in sorted(self.texts.items(), reverse=True) if seconds >= least - 0.02), "")
            return Transcription(text, lang or "zh", (), self.confidence if text else 0.0, 0.0)
        finally:
            with self._lock:
                self._now -= 1


@dataclass
class Voice:
    """A turn model that always says the same."""

    probability: float
    asked: int = 0

    def finished(self, samples: Floats, rate: int) -> float | None:
        self.asked += 1
        return self.probability


class Playbook:
    """The call's far end. ``say`` and ``quiet`` send packets in simulated time; ``frames`` is what came out."""

    def __init__(self, hear: Hear, clock: Clock, out: Collector, queue: Any, tasks: set[asyncio.Task[Any]]) -> None:
        self.hear, self.clock, self.out, self._queue, self._tasks = hear, clock, out, queue, tasks

    async def say(self, seconds: float) -> None:
        await self._send(seconds, 8000)

    async def quiet(self, seconds: float) -> None:
        await self._send(seconds, 0)

    async def _send(self, seconds: float, level: int) -> None:
        for _ in range(round(seconds / 0.02)):
            await self.send(np.full(PACKET, level, np.int16))

    async def send(self, packet: Pcm16) -> None:
        self.clock.t += 0.02
        before = self.hear._fed + len(self.hear._pending)
        await self._queue(InputAudioRawFrame(packet.tobytes(), 8000, 1))
        async with asyncio.timeout(10):
            while self.hear._fed + len(self.hear._pending) <= before:
                await asyncio.sleep(0)
            await self.settle()

    async def settle(self) -> None:
        """Until nothing that was set off is still going on."""
        async with asyncio.timeout(10):
            while self._tasks:
                await asyncio.wait(set(self._tasks))
                await asyncio.sleep(0)
            for _ in range(20):
                await asyncio.sleep(0)

    async def wait_until_ended(self, most: float = 3.0) -> float:
        """Stay quiet until the turn is over; the seconds of silence that took."""
        started = self.clock.t
        while self.hear._endpointer.in_turn:
            assert self.clock.t - started < most, "the turn does not end"
            await self.quiet(0.02)
        return self.clock.t - started

    async def tell(self, frame: Any, kind: type[Any] | None = None) -> None:
        count = len(self.out.of(type(frame)))
        await self._queue(frame)
        await self.out.wait_for(type(frame), count + 1)

    async def expect(self, expects: Expects | None) -> None:
        await self.tell(ListenFrame(expects))

    async def got(self, kind: type[Any], count: int = 1) -> list[Any]:
        return await self.out.wait_for(kind, count)


@asynccontextmanager
async def call(
    model: Transcriber,
    *,
    lang: Lang = "zh",
    voice: Voice | None = None,
    policy: TurnPolicy | None = None,
    own: OwnVoice | None = None,
    hotwords: str | None = None,
    detector: bool = False,
) -> AsyncIterator[Playbook]:
    """A call's hearing. ``detector``: what is speech is told by the real detector; without it, by loudness."""
    clock = Clock()
    model_of_turns = None if voice is None else lambda: voice
    hear = Hear(model, clock, lang, hotwords=hotwords, turn_model=model_of_turns, policy=policy, own=own)
    if not detector:
        hear._vad.voice_confidence = lambda pcm: float(np.abs(np.frombuffer(pcm, np.int16)).max() > 1000)  # type: ignore[method-assign]
    tasks: set[asyncio.Task[Any]] = set()
    create = hear.create_task

    def spawn(work: Coroutine[Any, Any, Any], *rest: Any) -> asyncio.Task[Any]:
        task = create(work, *rest)
        if work.__name__ in ("_hear", "_judge", "_ask_for_words"):
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return task

    hear.create_task = spawn  # type: ignore[method-assign]
    hear._guesser._spawn = spawn
    out = Collector()
    async with Running([hear, out]) as worker:
        play = Playbook(hear, clock, out, worker.queue_frame, tasks)
        await play.tell(ListenFrame(None))
        yield play
