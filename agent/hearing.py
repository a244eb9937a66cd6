"""Hear: from the line's audio to turns of text.

Silero scores 32 ms windows, the endpointer decides where a turn begins and ends, and the recogniser is already
at work while the person pauses: when the pause turns out to be the end, the text is there.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import numpy as np
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import CancelFrame, EndFrame, Frame, InputAudioRawFrame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.clock import CallClock
from agent.events import Expects, Heard, Lang, Span, Word
from agent.frames import (
    BargeInFrame,
    CallerStartedFrame,
    EventFrame,
    HeardFrame,
    LineStartedFrame,
    ListenFrame,
    NotHeardFrame,
    SpokenFrame,
)
from asr.endpointing import Endpointer, Pause, SpeechStarted, TurnEnded
from asr.transcriber import Transcriber, Transcription
from audio.g711 import Floats, Pcm16, to_float
from audio.telephone import RATE

WINDOW = 256
"""Samples that Silero scores at once at 8 kHz: 32 ms."""
PRE_ROLL = 0.25
POST_ROLL = 0.15
"""Seconds kept before and after what the endpointer calls speech: soft onsets and releases are words too."""
KEEP = 30.0
"""Seconds of audio kept for turns still being spoken."""
BARGE_IN = 0.35
"""Seconds of speech over the agent before it is meant: shorter is a cough or a back-channel."""
MIN_CONFIDENCE = 0.35
"""Below this the text is a guess, and the agent asks again."""

# How long a pause ends a turn, by what was asked: a yes is over at once, digits come in groups.
PATIENCE: dict[Expects | None, float] = {
    None: 0.55,
    "yes_no": 0.42,
    "identity": 0.42,
    "date": 0.5,
    "amount": 0.5,
    "date_amount": 0.55,
    "digits": 0.6,
    "open": 0.55,
}


@dataclass(slots=True)
class _Turn:
    start: float
    end: float
    audio: Floats
    text: asyncio.Task[Transcription]


class Hear(FrameProcessor):
    """Audio frames in; ``HeardFrame``, ``NotHeardFrame``, ``CallerStartedFrame`` and ``BargeInFrame`` out."""

    def __init__(self, transcriber: Transcriber, clock: CallClock, lang: Lang) -> None:
        super().__init__(name="hear")
        self._transcriber = transcriber
        self._clock = clock
        self._lang: Lang = lang
        self._vad = SileroVADAnalyzer(sample_rate=RATE)
        self._vad.set_sample_rate(RATE)
        self._endpointer = Endpointer(patience=PATIENCE[None])
        self._pending = np.zeros(0, np.int16)
        self._kept = np.zeros(0, np.int16)
        self._kept_from = 0  # index of the first kept sample since the first one received
        self._zero: float | None = None  # call time of sample 0
        self._fed = 0
        self._speech_since: float | None = None
        self._barged = False
        self._agent_speaking = False
        self._speculation: tuple[float, asyncio.Task[Transcription]] | None = None
        self._turns: asyncio.Queue[_Turn] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self._listen(np.frombuffer(frame.audio, np.int16))
            return  # sound ends here: nothing downstream may hear or echo it
        if isinstance(frame, LineStartedFrame):
            self._agent_speaking = True
        elif isinstance(frame, SpokenFrame):
            self._agent_speaking = False
        elif isinstance(frame, ListenFrame):
            self._endpointer.set_patience(PATIENCE[frame.expects])
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._task = self.create_task(self._deliver())
        elif isinstance(frame, EndFrame | CancelFrame):
            await self._stop()

    async def cleanup(self) -> None:
        await self._stop()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def _stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            await self.cancel_task(task)

    async def _listen(self, pcm: Pcm16) -> None:
        if self._zero is None:
            self._zero = self._clock.now() - len(pcm) / RATE
        received = self._fed + len(self._pending) + len(pcm)
        drift = self._clock.now() - (self._zero + received / RATE)
        if abs(drift) > 0.1:  # a gap or burst on the line: follow the wall clock, not the sample count
            self._zero += drift
        self._pending = np.concatenate([self._pending, pcm])
        while len(self._pending) >= WINDOW:
            window, self._pending = self._pending[:WINDOW], self._pending[WINDOW:]
            await self._score(window)

    async def _score(self, window: Pcm16) -> None:
        self._keep(window)
        probability = float(np.squeeze(self._vad.voice_confidence(window.tobytes())))
        for event in self._endpointer.feed(probability):
            if isinstance(event, SpeechStarted):
                self._speech_since = event.at
                self._barged = False
                await self.push_frame(CallerStartedFrame(self._call_time(event.at)))
            elif isinstance(event, Pause):
                self._speculate(event.start, event.at)
            elif isinstance(event, TurnEnded):
                self._speech_since = None
                self._end_turn(event.start, event.end)
        now = self._fed / RATE
        if (
            self._agent_speaking
            and not self._barged
            and self._speech_since is not None
            and self._endpointer.speaking
            and now - self._speech_since >= BARGE_IN
        ):
            self._barged = True
            await self.push_frame(BargeInFrame(self._clock.now()))

    def _keep(self, window: Pcm16) -> None:
        self._kept = np.concatenate([self._kept, window])
        self._fed += len(window)
        excess = len(self._kept) - int(KEEP * RATE)
        if excess > RATE:  # trimmed a second at a time, so that this stays cheap
            self._kept = self._kept[excess:]
            self._kept_from += excess

    def _call_time(self, at: float) -> float:
        return (self._zero or 0.0) + at

    def _cut_out(self, start: float, end: float) -> Floats:
        first = max(0, int((start - PRE_ROLL) * RATE) - self._kept_from)
        last = max(first, int((end + POST_ROLL) * RATE) - self._kept_from)
        return to_float(self._kept[first:last])

    def _decode(self, audio: Floats) -> asyncio.Task[Transcription]:
        return self.create_task(asyncio.to_thread(self._transcriber.transcribe, audio, RATE, self._lang))

    def _speculate(self, start: float, at: float) -> None:
        self._speculation = (at, self._decode(self._cut_out(start, at)))

    def _end_turn(self, start: float, end: float) -> None:
        audio = self._cut_out(start, end)
        speculation, self._speculation = self._speculation, None
        # The guess stands if nothing was said after it: the turn ends where the pause began.
        task = speculation[1] if speculation and abs(speculation[0] - end) < 0.05 else self._decode(audio)
        self._turns.put_nowait(_Turn(self._call_time(start), self._call_time(end), audio, task))

    async def _deliver(self) -> None:
        while True:
            turn = await self._turns.get()
            span = Span(turn.start, turn.end)
            try:
                result = await turn.text
            except Exception as e:  # the recogniser is a foreign library: whatever it throws ends this turn only
                await self.push_frame(EventFrame("hearing_failed", {"error": type(e).__name__}))
                await self.push_frame(NotHeardFrame(span, "recogniser failed"))
                continue
            if not result.text.strip() or result.confidence < MIN_CONFIDENCE:
                await self.push_frame(NotHeardFrame(span, "no words" if not result.text.strip() else "unsure"))
                continue
            words = tuple(
                Word(w.text, turn.start - PRE_ROLL + w.start, turn.start - PRE_ROLL + w.end, w.probability)
                for w in result.words
            )
            heard = Heard(result.text, self._lang, span, words, result.confidence)
            await self.push_frame(HeardFrame(heard, turn.audio))
