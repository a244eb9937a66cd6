"""Hear: from the line's audio to turns of text.

Silero scores 32 ms windows, the endpointer decides where a turn begins and pauses, and in every pause the recogniser
is already at work (``agent.guessing``): what the words and the voice say of the turn decides how much silence ends
it, and when it ends, the text is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import CancelFrame, EndFrame, Frame, InputAudioRawFrame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent import smart_turn
from agent.clock import CallClock
from agent.echo import Echo, OwnVoice
from agent.events import Heard, Lang, Span, Word
from agent.frames import (
    BargeInFrame,
    CallerStartedFrame,
    EventFrame,
    FlagFrame,
    GoOnFrame,
    GuessFrame,
    HeardFrame,
    HoldFrame,
    LineStartedFrame,
    ListenFrame,
    NotHeardFrame,
    SpokenFrame,
)
from agent.guessing import Failed, Guess, Guesser, Text
from agent.holding import Holding, Move
from agent.talking_over import TalkOver
from asr.endpointing import Endpointer, Event, Pause, SpeechResumed, SpeechStarted, TurnEnded
from asr.guards import turn_doubt
from asr.transcriber import Transcriber, Transcription
from asr.turns import TurnModel, TurnPolicy
from audio.g711 import Floats, Pcm16, to_float
from audio.telephone import RATE

WINDOW = 256
"""Samples that Silero scores at once at 8 kHz: 32 ms."""
PRE_ROLL = 0.25
POST_ROLL = 0.15
"""Seconds kept before and after what the endpointer calls speech: soft onsets and releases are words too."""
KEEP = 30.0
"""Seconds of audio kept for turns still being spoken."""
STALL = 0.2
"""Seconds without audio in the middle of a turn from which the line counts as silent: packets come in bursts, and
some trunks send none while nobody speaks."""
TICK = 0.05
ECHO_LASTS = 0.5
"""Seconds after an echo in which words do not interrupt: they may be its beginning, before it was known."""
ECHO_FROM = 0.3
"""Speech probability from which a sound is compared with what the agent says."""
DECODE_LIMIT = 12.0
"""Seconds after a turn's end from which its text is no longer waited for."""
SHORT = 0.4
"""Seconds: a shorter sound without believable words was a cough, not something to be asked about."""


@dataclass(slots=True)
class _Turn:
    start: float
    end: float
    audio: Floats
    text: asyncio.Task[Text]


class Hear(FrameProcessor):
    """Audio frames in; ``HeardFrame``, ``NotHeardFrame`` and ``CallerStartedFrame`` out; and where somebody talks over
    the agent, ``HoldFrame``, then ``GoOnFrame`` or ``BargeInFrame``."""

    def __init__(
        self,
        transcriber: Transcriber,
        clock: CallClock,
        lang: Lang,
        *,
        hotwords: str | None = None,
        turn_model: Callable[[], TurnModel] | None = smart_turn.shared,
        policy: TurnPolicy | None = None,
        own: OwnVoice | None = None,
    ) -> None:
        """``lang`` is the script's. ``hotwords``: phrases of this call to expect, for models that take prompts.
        ``turn_model`` is called in a thread; with ``None`` the words and the clock alone end turns. ``own``: what the
        agent says, as the line's end plays it; with ``None`` an echo of it counts as somebody who speaks.
        """
        super().__init__(name="hear")
        self._clock = clock
        self._lang: Lang = lang
        self._vad = SileroVADAnalyzer(sample_rate=RATE)
        self._vad.set_sample_rate(RATE)
        policy = policy or TurnPolicy()
        self._endpointer = Endpointer(patience=policy.blind)
        self._guesser = Guesser(
            transcriber, lang, self.create_task, model=turn_model, policy=policy, hotwords=hotwords
        )  # fmt: skip
        self._turn_model = turn_model
        self._pending = np.zeros(0, np.int16)
        self._kept = np.zeros(0, np.int16)
        self._kept_from = 0  # index of the first kept sample since the first one received
        self._zero: float | None = None  # call time of sample 0
        self._arrived = 0.0  # call time of the last audio
        self._fed = 0
        self._turn_start = 0.0
        self._echo = Echo(own) if own is not None else None
        self._over = TalkOver()
        self._holding = Holding()
        self._echoed_at = -ECHO_LASTS  # stream time of the last echo
        self._echoed = self._perhaps_echoed = 0.0  # seconds of echo in this turn, and of what may prove to be one
        self._sounding: list[object] = []  # lines begun and not yet reported: the next may begin before the report
        self._guess: Guess | None = None
        self._foreign_turns = 0
        self._turns: asyncio.Queue[_Turn] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            await self._listen(np.frombuffer(frame.audio, np.int16))
            return  # sound ends here: nothing downstream may hear or echo it
        if isinstance(frame, LineStartedFrame):
            self._sounding.append(frame.line)
            self._over.new_line()
            self._holding.new_line()
        elif isinstance(frame, SpokenFrame):
            self._sounding = [line for line in self._sounding if line is not frame.line]
        elif isinstance(frame, ListenFrame):
            self._guesser.expects = frame.expects
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            self._tasks = [self.create_task(self._deliver()), self.create_task(self._watch())]
            if self._turn_model is not None:
                self._tasks.append(self.create_task(self._warm_up(self._turn_model)))
        elif isinstance(frame, EndFrame | CancelFrame):
            await self._stop()

    async def cleanup(self) -> None:
        await self._stop()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def _stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            await self.cancel_task(task)

    async def _warm_up(self, turn_model: Callable[[], TurnModel]) -> None:
        await asyncio.to_thread(turn_model)

    # the stream ------------------------------------------------------------------------------------------------

    async def _listen(self, pcm: Pcm16) -> None:
        now = self._arrived = self._clock.now()
        if self._zero is None:
            self._zero = now - len(pcm) / RATE
        received = self._fed + len(self._pending) + len(pcm)
        drift = now - (self._zero + received / RATE)
        if abs(drift) > 0.1:  # a gap or burst on the line: follow the wall clock, not the sample count
            self._zero += drift
        self._pending = np.concatenate([self._pending, pcm])
        while len(self._pending) >= WINDOW:
            window, self._pending = self._pending[:WINDOW], self._pending[WINDOW:]
            self._keep(window)
            await self._hear_window(*self._speech(window))

    async def _watch(self) -> None:
        """A clock of its own: where no audio comes, no frame would ever end the turn."""
        while True:
            await asyncio.sleep(TICK)
            now = self._clock.now()
            if self._zero is None or not self._endpointer.in_turn or now - self._arrived < STALL:
                continue
            self._pending = self._pending[:0]
            silent = np.zeros(WINDOW, np.int16)
            while self._endpointer.in_turn and self._zero + (self._fed + WINDOW) / RATE <= now:
                self._keep(silent)
                await self._hear_window(0.0, 0.0)

    def _speech(self, window: Pcm16) -> tuple[float, float]:
        """Probabilities that somebody else than ourselves speaks in the newest window: as far as can be told, and
        surely, which is what may hold a line."""
        probability = float(np.squeeze(self._vad.voice_confidence(window.tobytes())))
        if self._echo is None or probability < ECHO_FROM:
            return probability, probability
        at = self._fed / RATE
        verdict = self._echo.judge(to_float(self._kept[-RATE:]), self._call_time(at))
        if verdict == "echo":
            self._echoed_at, self._echoed = at, self._echoed + self._perhaps_echoed + WINDOW / RATE
            self._perhaps_echoed = 0.0
            return 0.0, 0.0
        self._perhaps_echoed = self._perhaps_echoed + WINDOW / RATE if verdict == "perhaps" else 0.0
        if verdict == "perhaps":
            return (probability if self._endpointer.in_turn else 0.0), 0.0
        return probability, probability

    async def _hear_window(self, probability: float, surely: float) -> None:
        await self._take(self._endpointer.feed(probability))
        now, in_turn = self._fed / RATE, self._endpointer.in_turn
        await self._move(self._holding.heard(surely, now, in_turn=in_turn, sounding=bool(self._sounding)))
        if self._sounding and self._endpointer.speaking:
            await self._notice_talking_over(now)

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

    # turns -----------------------------------------------------------------------------------------------------

    async def _take(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, SpeechStarted):
                self._turn_start, self._echoed = event.at, 0.0
                self._over.began(event.at)
                await self.push_frame(CallerStartedFrame(self._call_time(event.at)))
            elif isinstance(event, Pause):
                audio = self._cut_out(event.start, event.at)
                self._guess = self._guesser.guess(event.at, audio, self._guessed, self._decided)
            elif isinstance(event, SpeechResumed):
                self._over.began(event.at)
                self._drop_guess()
            else:
                self._end_turn(event)

    def _drop_guess(self) -> None:
        guess, self._guess = self._guess, None
        if guess is not None:
            guess.drop()

    async def _guessed(self, guess: Guess, text: Transcription) -> None:
        """The words of a pause are known: understanding may begin, and talking over the agent may prove meant."""
        if self._sounding and self._over.meant_by(text):
            await self._barge_in()
        span = Span(self._call_time(self._turn_start), self._call_time(guess.at))
        await self.push_frame(GuessFrame(Heard(text.text, text.lang, span, (), text.confidence), guess.audio))

    async def _decided(self, guess: Guess, patience: float, believed: bool) -> None:
        if guess is self._guess:
            await self._move(self._holding.decided(believed))
            for event in self._endpointer.allow(patience):
                assert isinstance(event, TurnEnded)
                self._end_turn(event)

    def _end_turn(self, turn: TurnEnded) -> None:
        self._over.ended()
        if self._echoed > (turn.end - turn.start) / 2:  # it began before it was known as our own
            self._drop_guess()
            span = Span(self._call_time(turn.start), self._call_time(turn.end))
            self.create_task(self.push_frame(NotHeardFrame(span, "no words")))
            return
        audio = self._cut_out(turn.start, turn.end)
        guess, self._guess = self._guess, None
        if guess is not None and guess.text is not None and abs(guess.at - turn.end) < 0.01:
            text, audio = guess.text, guess.audio  # nothing was said after it
        else:
            if guess is not None:
                guess.drop()
            text = self._guesser.hear(audio)
        self._turns.put_nowait(_Turn(self._call_time(turn.start), self._call_time(turn.end), audio, text))

    # talking over the agent --------------------------------------------------------------------------------------

    async def _notice_talking_over(self, now: float) -> None:
        if self._over.meant_at(now):
            await self._barge_in()
        elif self._over.wants_words(now) and not self._guesser.busy:
            self._over.asked(now)
            self.create_task(self._ask_for_words(self._guesser.hear(self._cut_out(self._turn_start, now), final=False)))

    async def _ask_for_words(self, words: asyncio.Task[Text]) -> None:
        text = await words
        if isinstance(text, Transcription) and self._sounding and self._over.meant_by(text):
            await self._barge_in()

    async def _move(self, move: Move | None) -> None:
        if move is not None:
            await self.push_frame((HoldFrame if move == "hold" else GoOnFrame)(self._clock.now()))

    async def _barge_in(self) -> None:
        if self._fed / RATE - self._echoed_at < ECHO_LASTS:
            return
        self._over.told()
        self._holding.cut()
        await self.push_frame(BargeInFrame(self._clock.now()))

    # delivery ----------------------------------------------------------------------------------------------------

    async def _deliver(self) -> None:
        while True:
            turn = await self._turns.get()
            span = Span(turn.start, turn.end)
            await asyncio.wait({turn.text}, timeout=DECODE_LIMIT)
            result = turn.text.result() if turn.text.done() and not turn.text.cancelled() else Failed("TimeoutError")
            if not isinstance(result, Transcription):
                error = result.error if result is not None else "Dropped"
                await self.push_frame(EventFrame("hearing_failed", {"error": error}))
                await self.push_frame(NotHeardFrame(span, "recogniser failed"))
                continue
            doubt = turn_doubt(result, len(turn.audio) / RATE)
            if doubt is not None:
                unsaid = doubt in ("silence", "phantom") and span.duration < SHORT
                await self.push_frame(NotHeardFrame(span, "no words" if unsaid else doubt))
                continue
            await self._note_language(result.lang)
            words = tuple(
                Word(w.text, turn.start - PRE_ROLL + w.start, turn.start - PRE_ROLL + w.end, w.probability)
                for w in result.words
            )
            heard = Heard(result.text, result.lang, span, words, result.confidence)
            await self.push_frame(HeardFrame(heard, turn.audio, self._foreign_turns))

    async def _note_language(self, lang: Lang) -> None:
        """Count turns in another language than the script's; from the second in a row on it is expected first."""
        self._foreign_turns = self._foreign_turns + 1 if lang != self._lang else 0
        if self._foreign_turns >= 2 or lang == self._lang:
            self._guesser.lang = lang
        if self._foreign_turns in (1, 2):
            kind = "other_language_heard" if self._foreign_turns == 1 else "language_changed"
            await self.push_frame(EventFrame(kind, {"script": self._lang, "heard": lang}))
        if self._foreign_turns == 2:
            await self.push_frame(FlagFrame(f"the person speaks {lang}, the script {self._lang}", "medium"))
