"""Tools of the agent's tests: an in-memory carrier, lines sealed by the gate, a pipeline that runs until it is idle."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
from pipecat.frames.frames import EndFrame, Frame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.workers.runner import WorkerRunner

from agent.clock import CallClock
from agent.events import CallFacts, Proposed
from agent.telephony.line import LineEvent, MarkPlayed
from audio.g711 import Pcm16
from compliance_checks.approved import ApprovedLine
from compliance_checks.gate import Gate


class MemoryLine:
    """A carrier in memory: plays in real time, echoes marks when what was sent before them has been played."""

    carrier = "memory"

    def __init__(self, clock: CallClock) -> None:
        self.clock = clock
        self.inbound: asyncio.Queue[LineEvent] = asyncio.Queue()
        self.sent: list[tuple[float, Pcm16]] = []
        self.cleared: list[float] = []
        self.hung_up: str | None = None
        self.echo_marks = True
        self._until = 0.0
        self._echoes: set[asyncio.Task[None]] = set()

    async def events(self) -> AsyncIterator[LineEvent]:
        while True:
            yield await self.inbound.get()

    async def send_audio(self, pcm: Pcm16) -> None:
        now = self.clock.now()
        self.sent.append((now, pcm))
        self._until = max(self._until, now) + len(pcm) / 8000

    async def send_mark(self, name: str) -> None:
        if self.echo_marks:
            task = asyncio.create_task(self._echo(name, max(0.0, self._until - self.clock.now())))
            self._echoes.add(task)
            task.add_done_callback(self._echoes.discard)

    async def _echo(self, name: str, delay: float) -> None:
        await asyncio.sleep(delay)
        self.inbound.put_nowait(MarkPlayed(name))

    async def clear(self) -> None:
        self.cleared.append(self.clock.now())
        self._until = 0.0

    async def hang_up(self, reason: str) -> None:
        self.hung_up = reason

    @property
    def audio(self) -> Pcm16:
        return np.concatenate([pcm for _, pcm in self.sent]) if self.sent else np.zeros(0, np.int16)


class Collector(FrameProcessor):
    """Remembers the frames that pass it."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []
        self.seen = asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        self.seen.set()
        await self.push_frame(frame, direction)

    def of(self, kind: type[Any]) -> list[Any]:
        return [frame for frame in self.frames if isinstance(frame, kind)]

    async def wait_for(self, kind: type[Any], count: int = 1, seconds: float = 8.0) -> list[Any]:
        async with asyncio.timeout(seconds):
            while len(found := self.of(kind)) < count:
                self.seen.clear()
                await self.seen.wait()
        return found


class Running:
    """A pipeline of ``processors`` as an async context manager; ``worker.queue_frame`` feeds it."""

    def __init__(self, processors: Sequence[FrameProcessor]) -> None:
        self.worker = PipelineWorker(
            Pipeline(list(processors)),
            params=PipelineParams(audio_in_sample_rate=8000, audio_out_sample_rate=8000),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )

    async def __aenter__(self) -> PipelineWorker:
        self.runner = WorkerRunner(handle_sigint=False)
        await self.runner.add_workers(self.worker)
        self.task = asyncio.create_task(self.runner.run())
        return self.worker

    async def __aexit__(self, *_: object) -> None:
        await self.worker.queue_frame(EndFrame())
        async with asyncio.timeout(10):
            await self.task


def facts() -> CallFacts:
    """A verified borrower to whom everything mandatory was said."""
    return CallFacts(
        "en", "borrower", "us", {}, frozenset({"ai_disclosure", "recording_disclosure", "debt_collector_notice"})
    )


def approved(
    gate: Gate, text: str = "Thank you for your time.", *, interruptible: bool = True, line_id: str = "thanks"
) -> ApprovedLine:
    """A line that the real gate has approved."""
    verdict, line = gate.approve(Proposed(line_id, text, "en", interruptible=interruptible), facts())
    assert line is not None, verdict
    return line


def tone(seconds: float) -> Pcm16:
    """A 440 Hz tone at 8 kHz."""
    t = np.arange(int(seconds * 8000)) / 8000
    return (np.sin(2 * np.pi * 440 * t) * 8000).astype(np.int16)
