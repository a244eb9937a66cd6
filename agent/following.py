"""Follow: drives the sans-IO dialogue with what happens on the line, and carries out what it decides.

Everything that happens becomes one event in one queue, taken in order; the dialogue itself knows no clock and no
frames. Timers here do not depend on audio frames arriving.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from pipecat.frames.frames import CancelFrame, EndFrame, EndWorkerFrame, Frame, StartFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent import dialogue_types as d
from agent.answering import Answer, AnswerDetector, machine_in
from agent.answering.detector import LONG_OPENING
from agent.clock import CallClock
from agent.dialogue import Dialogue
from agent.events import Disposition, Proposed, Understood
from agent.frames import (
    CallerStartedFrame,
    DigitFrame,
    EventFrame,
    FlagFrame,
    LineClosedFrame,
    LineStartedFrame,
    ListenFrame,
    NotHeardFrame,
    ProposedFrame,
    SpokenFrame,
    ToneFrame,
    UnderstoodFrame,
    VerdictFrame,
)
from archive.models import Severity

OPENING_PATIENCE = 1.4
"""Seconds to wait for the person's "hello" before greeting first."""
TURN_LIMIT = 15.0
"""Seconds to wait for the text of somebody who began to speak before giving up on it."""
MORE = 2.5
"""Seconds to wait after an opening that may be a machine's: for its beep, or for what it says next."""
FORWARDING = 8.0
"""Seconds to wait when ring-back is heard after the answer: the call is being passed on to somebody."""
LATE_ANSWER = 1.2
"""An utterance that ends within this many seconds of the end of a line it overlapped is an answer to it."""
MIN_WORD = 0.4
"""Seconds: a shorter sound without words is a cough or a click, not something to be asked about."""
BACK_CHANNELS = frozenset({"affirm", "greeting", "other"})
OPENINGS = BACK_CHANNELS | {"ask_who", "confirm_identity", "repeat_request"}
"""What people answer the phone with: the greeting is the answer to it."""
SEVERITY: dict[d.Severity, Severity] = {"info": "low", "warning": "medium", "critical": "critical"}
"""The dialogue's severities as the archive's."""


@dataclass(slots=True)
class Ending:
    """How the call is to end, and after which line."""

    disposition: Disposition
    after: str | None
    spoken: bool = False


class Follow(FrameProcessor):
    """``UnderstoodFrame`` and friends in, ``ProposedFrame`` out; ends the call when the script says so."""

    def __init__(self, dialogue: Dialogue, clock: CallClock) -> None:
        super().__init__(name="follow")
        self._dialogue = dialogue
        self._clock = clock
        self._state: d.State | None = None
        self._inbox: asyncio.Queue[Frame | d.Silence] = asyncio.Queue()
        self._lines: deque[Proposed] = deque()  # still to be proposed, one after the other's verdict
        self._judging: str | None = None  # proposed, no verdict yet
        self._sounding: list[str] = []  # approved, not yet reported as spoken or cut
        self._caller_speaking = False
        self._quiet = asyncio.Event()
        self._last_line_end = 0.0
        self._held: list[UnderstoodFrame | NotHeardFrame] = []
        self._listen: d.Listen | None = None
        self._silence: asyncio.Task[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._ended = False
        self.ending: Ending | None = None
        self.closed: LineClosedFrame | None = None
        self.promise: tuple[date, Decimal] | None = None
        self.transfer: str | None = None
        self.restrictions: list[str] = []

    @property
    def state(self) -> d.State | None:
        return self._state

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, CallerStartedFrame):
            self._caller_speaking = True
            self._stop_silence()
        if isinstance(
            frame,
            UnderstoodFrame | NotHeardFrame | SpokenFrame | VerdictFrame | LineClosedFrame | DigitFrame | ToneFrame,
        ):
            self._inbox.put_nowait(frame)
        if not isinstance(frame, UnderstoodFrame | NotHeardFrame):
            await self.push_frame(frame, direction)
        if isinstance(frame, LineStartedFrame):
            self._stop_silence()
        if isinstance(frame, StartFrame):
            self._task = self.create_task(self._run())
        elif isinstance(frame, EndFrame | CancelFrame):
            await self._stop()

    async def cleanup(self) -> None:
        await self._stop()
        await super().cleanup()  # type: ignore[no-untyped-call]

    async def _stop(self) -> None:
        self._stop_silence()
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            await self.cancel_task(task)

    # the opening -----------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        self._state, actions = self._dialogue.start()
        answer = await self._who_answers()
        if answer is not None:
            payload: dict[str, object] = {"who": answer.who, "evidence": answer.evidence, "detail": answer.detail}
            await self._tell(EventFrame("answered_by", payload))
        if answer is not None and answer.who in ("announcement", "fax"):
            await self._nobody_there()
            return
        if answer is not None and answer.who == "voicemail":
            self._state, actions = self._dialogue.step(self._state, d.MachineDetected())
        await self._carry_out(actions)
        while not self._ended:
            await self._go_on()
            await self._take(await self._inbox.get())

    async def _nobody_there(self) -> None:
        """A network's announcement or a fax: there is nobody to talk to, and no message to leave."""
        self.ending = Ending("no_response", None)
        await self._end()

    async def _who_answers(self) -> Answer | None:
        """Let the far end speak first if it wants to. ``None`` where nothing told; then it is a person's call."""
        detector = AnswerDetector()
        unclear: UnderstoodFrame | None = None
        limit = OPENING_PATIENCE
        while True:
            try:
                async with asyncio.timeout(limit):
                    frame = await self._inbox.get()
            except TimeoutError:
                if self._caller_speaking and limit < TURN_LIMIT:
                    limit = TURN_LIMIT  # somebody speaks: the words are worth waiting for
                    continue
                if self._caller_speaking:
                    return Answer("voicemail", "speech without a breath")
                if unclear is not None:
                    self._held.append(unclear)
                return detector.answer
            if isinstance(frame, ToneFrame):
                answer = detector.tone(frame.kind)
                if frame.kind == "ring_back":
                    limit = FORWARDING
            elif isinstance(frame, UnderstoodFrame):
                self._caller_speaking = False
                understood = frame.understood
                heard = understood.heard
                answer = detector.speech(heard.text, heard.span.duration, understood.intent, understood.confidence)
                if answer is None:
                    unclear, limit = frame, MORE
                elif answer.who == "person" and understood.intent not in OPENINGS:
                    self._held.append(frame)  # said something that matters before we greeted: answer it after greeting
            elif isinstance(frame, NotHeardFrame):
                self._caller_speaking = False
                answer = detector.speech("", frame.span.duration, None)
                if answer is None and frame.span.duration <= LONG_OPENING:
                    return None
                limit = MORE
            else:
                self._inbox.put_nowait(frame)
                return detector.answer
            if answer is not None:
                return answer

    # events ----------------------------------------------------------------------------------------------------

    async def _take(self, frame: Frame | d.Silence) -> None:
        if isinstance(frame, d.Silence):
            if not self._caller_speaking and not self._speaking:
                await self._step(frame)
        elif isinstance(frame, UnderstoodFrame | NotHeardFrame):
            self._caller_speaking = False
            if self._speaking:
                self._held.append(frame)  # decided when the line ends: see _release
            else:
                await self._hear(frame)
        elif isinstance(frame, SpokenFrame):
            await self._spoken(frame)
        elif isinstance(frame, VerdictFrame):
            await self._judged(frame)
        elif isinstance(frame, DigitFrame):
            await self._step(d.Dtmf(frame.digit))
        elif isinstance(frame, LineClosedFrame):
            await self._line_closed(frame)

    async def _hear(self, frame: UnderstoodFrame | NotHeardFrame) -> None:
        if isinstance(frame, UnderstoodFrame):
            machine = machine_in(frame.understood.heard.text) if self._unverified_opening else None
            if machine is not None and machine.kind == "announcement":
                await self._tell(EventFrame("answered_by", {"who": "announcement", "detail": machine.detail}))
                await self._nobody_there()
            elif machine is not None and machine.kind == "voicemail":
                await self._step(d.MachineDetected())
            else:
                await self._step(frame.understood)
        elif frame.reason != "no words" or frame.span.duration >= MIN_WORD:
            await self._step(d.NotHeard())

    @property
    def _unverified_opening(self) -> bool:
        """Nobody has said yet who they are: a machine may still show itself by its words."""
        assert self._state is not None
        return self._state.party == "unverified" and self._state.turns <= 2

    async def _spoken(self, frame: SpokenFrame) -> None:
        spoken = frame.spoken
        self._last_line_end = spoken.span.end
        if spoken.line_id in self._sounding:
            self._sounding.remove(spoken.line_id)
        if self.ending is not None and self.ending.after == spoken.line_id and not spoken.interrupted:
            self.ending.spoken = True  # its mark came back: the goodbye was heard in full
        await self._step(d.LineSpoken(spoken.line_id, not spoken.interrupted))
        # Talked over: what was still to be said is moot, but for what must be said.
        while spoken.interrupted and self._lines and self._lines[0].interruptible:
            await self._step(d.LineSpoken(self._lines.popleft().line_id, complete=False))

    async def _judged(self, frame: VerdictFrame) -> None:
        self._judging = None
        if frame.verdict.decision == "allow":
            self._sounding.append(frame.proposed.line_id)
            return
        self._lines.clear()  # what was to follow made sense only after it; the dialogue says what now
        await self._tell(FlagFrame("refused utterance", "critical"))
        await self._step(d.LineRefused(frame.proposed.line_id, frame.verdict))

    async def _line_closed(self, frame: LineClosedFrame) -> None:
        self.closed = frame
        if frame.error is not None:
            await self._tell(FlagFrame(f"line error: {frame.reason}", "high"))
        await self._step(d.HungUp())
        if self.ending is None:
            self.ending = Ending("failed" if frame.error else "hung_up", None)
        if frame.error is not None and not self.ending.spoken:
            self.ending.disposition = "failed"
        await self._end()

    async def _release(self) -> None:
        """What was said while the agent spoke: an answer, or only a back-channel."""
        held, self._held = self._held, []
        for frame in held:
            if self._speaking:
                self._held.append(frame)
                continue
            if isinstance(frame, NotHeardFrame):
                continue  # noise over our own voice is no reason to ask again
            late = self._last_line_end - frame.understood.heard.span.end <= LATE_ANSWER
            if late or frame.understood.intent not in BACK_CHANNELS:
                await self._step(frame.understood)

    # decisions -------------------------------------------------------------------------------------------------

    async def _step(
        self,
        event: Understood
        | d.LineSpoken
        | d.LineRefused
        | d.Silence
        | d.HungUp
        | d.Dtmf
        | d.NotHeard
        | d.MachineDetected,
    ) -> None:
        assert self._state is not None
        self._state, actions = self._dialogue.step(self._state, event)
        await self._carry_out(actions)

    @property
    def _speaking(self) -> bool:
        return self._judging is not None or bool(self._lines) or bool(self._sounding)

    async def _carry_out(self, actions: tuple[d.Action, ...]) -> None:
        for action in actions:
            if isinstance(action, d.Say):
                self._lines.append(action.proposed)
            elif isinstance(action, d.Listen):
                self._listen = action
                self.ending = None  # the dialogue goes on after all
                await self.push_frame(ListenFrame(action.expects), FrameDirection.UPSTREAM)
            elif isinstance(action, d.EndCall):
                self.ending = Ending(action.disposition, action.after)
            elif isinstance(action, d.RecordPromise):
                self.promise = (action.date, action.amount)
                payload: dict[str, object] = {"date": action.date.isoformat(), "amount": str(action.amount)}
                await self._tell(EventFrame("promise_recorded", payload))
            elif isinstance(action, d.Transfer):
                self.transfer = action.reason
                await self._tell(EventFrame("transfer_requested", {"reason": action.reason, "urgent": action.urgent}))
            elif isinstance(action, d.Restrict):
                self.restrictions.append(action.reason)
                await self._tell(EventFrame("contact_restricted", {"reason": action.reason}))
            elif isinstance(action, d.Flag):
                await self._tell(FlagFrame(action.reason, SEVERITY[action.severity]))
            elif isinstance(action, d.SetParty):
                await self._tell(EventFrame("party", {"party": action.party}))
            elif isinstance(action, d.Note):
                await self._tell(EventFrame("note", {"key": action.key}))

    async def _go_on(self) -> None:
        """The next line if there is one; else what was said meanwhile; else the end, or listening."""
        if self._judging is None and not self._lines and not self._sounding and self._held:
            await self._release()
        if self._judging is None and self._lines:
            await self._propose(self._lines.popleft())
        if self._speaking:
            return
        if self._caller_speaking:
            return
        if self.ending is not None:
            await self._end()
        elif self._listen is not None and self._silence is None:
            self._start_silence(self._listen.silence_timeout)

    async def _tell(self, frame: EventFrame | FlagFrame) -> None:
        """To the archive, which stands upstream."""
        await self.push_frame(frame, FrameDirection.UPSTREAM)

    async def _propose(self, proposed: Proposed) -> None:
        assert self._state is not None
        self._stop_silence()
        self._judging = proposed.line_id
        await self.push_frame(ProposedFrame(proposed, self._state.facts(self._dialogue.case)))

    # silence and ending ----------------------------------------------------------------------------------------

    def _start_silence(self, seconds: float) -> None:
        self._stop_silence()
        self._silence = self.create_task(self._count_silence(seconds))

    def _stop_silence(self) -> None:
        silence, self._silence = self._silence, None
        if silence is not None and silence is not asyncio.current_task():
            silence.cancel()

    async def _count_silence(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._silence = None
        self._inbox.put_nowait(d.Silence(seconds))

    async def _end(self) -> None:
        self._stop_silence()
        if self._ended:
            return
        self._ended = True
        await self.push_frame(EndWorkerFrame(), FrameDirection.UPSTREAM)
