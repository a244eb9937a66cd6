"""The two ends of the pipeline: the line's sound in, approved speech out.

``LineOutput`` is the last lock: it plays a ``SpeechFrame`` whose ``ApprovedLine`` still bears the gate's seal,
and refuses every other frame that could carry words or sound.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from pipecat.frames.frames import (
    AggregatedTextProgressFrame,
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    LLMThoughtTextFrame,
    OutputAudioRawFrame,
    OutputDTMFFrame,
    OutputDTMFUrgentFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
    TextFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.clock import CallClock
from agent.echo import OwnVoice
from agent.errors import LineError
from agent.events import Span, Spoken
from agent.frames import (
    ApprovedFrame,
    BargeInFrame,
    DigitFrame,
    EventFrame,
    FlagFrame,
    GoOnFrame,
    HoldFrame,
    LineClosedFrame,
    LineStartedFrame,
    MarkPlayedFrame,
    ProposedFrame,
    SpeechFrame,
    SpokenFrame,
)
from agent.telephony.line import AudioReceived, DigitPressed, Line, MarkPlayed
from agent.telephony.playback import FRAME, Playback, heard_part
from archive.recorder import Recorder
from audio.telephone import RATE
from compliance_checks.approved import is_approved

LEAD = 0.06
"""Seconds of audio kept ahead of playback, so that a late tick is not heard as a gap."""
HOLD_LIMIT = 3.0
"""Seconds after which a held line goes on by itself: nobody may be left in silence because a verdict is missing."""
MARK_PATIENCE = 5.0
"""Seconds after the last sample should have sounded before a missing mark counts as played. A connection that stalls
for a few seconds brings what was held up in one burst; a goodbye must not be cut off because of it."""

UNGATED = (
    TextFrame
    | TTSSpeakFrame
    | AggregatedTextProgressFrame
    | LLMThoughtTextFrame
    | OutputAudioRawFrame
    | OutputDTMFFrame
    | OutputDTMFUrgentFrame
    | OutputTransportMessageFrame
    | OutputTransportMessageUrgentFrame
)
"""Frame types by which words or sound could leave a pipecat pipeline. None of them passes speech or the line."""


async def refuse_ungated(processor: FrameProcessor, frame: Frame) -> None:
    """Drop ``frame`` and flag the call: something tried to speak past the gate."""
    kind = type(frame).__name__
    await processor.push_frame(EventFrame("ungated_speech_refused", {"frame": kind}), FrameDirection.UPSTREAM)
    await processor.push_frame(FlagFrame(f"ungated speech refused: {kind}", "critical"), FrameDirection.UPSTREAM)


class LineInput(FrameProcessor):
    """Turns the line's events into frames, records the borrower, and notices a carrier that goes silent."""

    def __init__(self, line: Line, clock: CallClock, recorder: Recorder, *, silence_limit: float = 6.0) -> None:
        super().__init__(name="line-in")
        self._line = line
        self._clock = clock
        self._recorder = recorder
        self._silence_limit = silence_limit
        self._last_media = time.monotonic()
        self._stopped = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._last_media = time.monotonic()
            self._tasks = [self.create_task(self._receive()), self.create_task(self._watch())]
        elif isinstance(frame, EndFrame | CancelFrame):
            await self._stop()

    async def cleanup(self) -> None:
        await self._stop()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def _stop(self) -> None:
        self._stopped.set()
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await self.cancel_task(task)

    async def _receive(self) -> None:
        try:
            async for event in self._line.events():
                if isinstance(event, AudioReceived):
                    self._last_media = time.monotonic()
                    self._recorder.write("borrower", event.pcm)
                    await self.push_frame(InputAudioRawFrame(event.pcm.tobytes(), RATE, 1))
                elif isinstance(event, MarkPlayed):
                    await self.push_frame(MarkPlayedFrame(event.name))
                elif isinstance(event, DigitPressed):
                    await self.push_frame(DigitFrame(event.digit))
                else:
                    await self.push_frame(LineClosedFrame(event.reason, event.error))
                    return
        except LineError as e:
            await self.push_frame(LineClosedFrame("line error", str(e)))

    async def _watch(self) -> None:
        # Its own clock: a dead media path delivers no frames that could drive a timer.
        while (quiet := time.monotonic() - self._last_media) < self._silence_limit:
            try:
                async with asyncio.timeout(self._silence_limit - quiet + 0.01):
                    await self._stopped.wait()
                    return
            except TimeoutError:
                continue
        await self.push_frame(
            LineClosedFrame("carrier silent", f"no media from the carrier for {self._silence_limit:.0f} s")
        )


@dataclass(slots=True)
class _Playing:
    speech: SpeechFrame
    at: Playback
    cut: bool = False
    held: bool = False
    silent: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """``cut`` or ``held`` has changed."""


def _beginning(speech: SpeechFrame, start: float) -> _Playing:
    return _Playing(speech, Playback(speech.pcm, start, start))


class LineOutput(FrameProcessor):
    """Plays approved lines in real time, holds and cuts them when talked over, and reports what was heard.

    A ``HoldFrame`` silences the line at once, a ``GoOnFrame`` lets it take up its last phrase again, a
    ``BargeInFrame`` ends it. Lines that may not be interrupted hear of none of the three.
    """

    def __init__(self, line: Line, clock: CallClock, recorder: Recorder, own: OwnVoice | None = None) -> None:
        """``own`` is told what sounds, for whoever must know our own voice from others."""
        super().__init__(name="line-out")
        self._line = line
        self._clock = clock
        self._recorder = recorder
        self._own = own or OwnVoice()
        self._queue: deque[SpeechFrame] = deque()
        self._wake = asyncio.Event()
        self._playing: _Playing | None = None
        self._finishing: dict[asyncio.Task[None], _Playing] = {}  # sent whole, mark not yet back
        self._free_at = 0.0  # when what was sent will have sounded
        self._marks: dict[str, asyncio.Event] = {}
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, SpeechFrame):
            if not is_approved(frame.line):
                await refuse_ungated(self, frame)
                return
            self._queue.append(frame)
            self._wake.set()
        elif isinstance(frame, UNGATED | ProposedFrame | ApprovedFrame):
            await refuse_ungated(self, frame)
        elif isinstance(frame, BargeInFrame | HoldFrame | GoOnFrame):
            self._talked_over(frame)
        elif isinstance(frame, MarkPlayedFrame):
            if waiting := self._marks.get(frame.mark):
                waiting.set()
        else:
            await self.push_frame(frame, direction)
            if isinstance(frame, StartFrame):
                self._task = self.create_task(self._play_all())
            elif isinstance(frame, EndFrame | CancelFrame | LineClosedFrame):
                await self._stop()

    async def cleanup(self) -> None:
        await self._stop()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def _stop(self) -> None:
        """Stop playing; what was audible of the current line is still reported."""
        task, self._task = self._task, None
        if task is None:
            return
        await self.cancel_task(task)
        self._queue.clear()
        now = self._clock.now()
        for sent, playing in list(self._finishing.items()):
            await self.cancel_task(sent)
            await self._report(playing, now, complete=now >= playing.at.end)
        if (playing_now := self._playing) is not None:
            self._playing = None
            await self._report(playing_now, now, complete=False)

    def _talked_over(self, frame: BargeInFrame | HoldFrame | GoOnFrame) -> None:
        playing = self._playing
        if playing is None:
            return
        waiting = (playing.speech, *self._queue)
        if isinstance(frame, GoOnFrame) or not all(speech.line.interruptible for speech in waiting):
            playing.held = False
        elif isinstance(frame, HoldFrame):
            playing.held = True
        else:
            playing.cut = True
        playing.changed.set()

    async def _play_all(self) -> None:
        while True:
            while not self._queue:
                self._wake.clear()
                await self._wake.wait()
            await self._play(self._queue.popleft())

    async def _play(self, speech: SpeechFrame) -> None:
        """Send one line in real time. The next one may follow without a gap: nobody waits for this one's mark here."""
        playing = self._playing = _beginning(speech, max(self._clock.now(), self._free_at))
        way = playing.at
        await self.push_frame(LineStartedFrame(speech.line, way.start), FrameDirection.UPSTREAM)
        while way.sent < len(speech.pcm) and not playing.cut:
            if playing.held:
                await self._hold(playing)
                continue
            at = way.due
            if await self._wait(playing, at - LEAD):
                continue
            chunk = speech.pcm[way.sent : way.sent + FRAME]
            await self._line.send_audio(np.pad(chunk, (0, FRAME - len(chunk))))
            self._recorder.write("agent", chunk, at=at)
            self._own.say(at, chunk)
            way.sent += len(chunk)
        self._playing = None
        if playing.cut:
            await self._cut_short(playing)
            return
        self._free_at = way.end
        played = self.create_task(self._finish(playing))
        self._finishing[played] = playing
        played.add_done_callback(lambda task: self._finishing.pop(task, None))

    async def _hold(self, playing: _Playing) -> None:
        """Be silent until the line may go on, or is cut."""
        stopped = await self._silence(playing)
        playing.changed.clear()
        while playing.held and not playing.cut:
            if not await self._wait(playing, stopped + HOLD_LIMIT):
                playing.held = False
        if playing.cut:
            return
        now = self._clock.now()
        playing.silent = False
        again = playing.at.go_on(now)
        line = playing.speech.line.line_id
        payload = {"line": line, "at": round(stopped, 3), "seconds": round(now - stopped, 3), "again": round(again, 3)}
        await self.push_frame(EventFrame("line_held", payload), FrameDirection.UPSTREAM)

    async def _silence(self, playing: _Playing) -> float:
        """Throw away what was sent and has not sounded. Returns when the last sample sounded."""
        if playing.silent:
            return playing.at.due
        playing.silent = True
        now = self._clock.now()
        stopped = self._free_at = playing.at.stop(now)
        await self._line.clear()
        self._recorder.truncate("agent", min(stopped, now))
        self._own.stop(min(stopped, now))
        return stopped

    async def _cut_short(self, playing: _Playing) -> None:
        now = await self._silence(playing)
        await self._report(playing, now, complete=False)
        dropped = list(self._queue)
        self._queue.clear()
        for waiting in dropped:
            await self._report(_beginning(waiting, now), now, complete=False)

    async def _finish(self, playing: _Playing) -> None:
        end = playing.at.end
        await self._await_mark(end)
        await self._report(playing, end, complete=True)

    async def _wait(self, playing: _Playing, until: float) -> bool:
        """Until call time ``until``, or until something changed for ``playing``; whether it did."""
        delay = until - self._clock.now()
        if delay <= 0:
            await asyncio.sleep(0)
        else:
            try:
                async with asyncio.timeout(delay):
                    await playing.changed.wait()
            except TimeoutError:
                pass
        changed = playing.changed.is_set()
        playing.changed.clear()
        return changed

    async def _await_mark(self, expected: float) -> None:
        self._count += 1
        name = f"line-{self._count}"
        played = self._marks[name] = asyncio.Event()
        await self._line.send_mark(name)
        try:
            async with asyncio.timeout(max(0.0, expected - self._clock.now()) + MARK_PATIENCE):
                await played.wait()
        except TimeoutError:
            await self.push_frame(EventFrame("mark_missing", {"mark": name}), FrameDirection.UPSTREAM)
        finally:
            del self._marks[name]

    async def _report(self, playing: _Playing, end: float, *, complete: bool) -> None:
        line, way = playing.speech.line, playing.at
        heard = line.text if complete else heard_part(line.text, way.pcm, way.heard(end))
        if not complete:
            end = min(end, way.due)
        span = Span(way.start, max(way.start, end))
        await self.push_frame(
            SpokenFrame(Spoken(line.line_id, line.text, heard, span, interrupted=not complete), line),
            FrameDirection.UPSTREAM,
        )
