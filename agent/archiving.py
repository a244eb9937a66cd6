"""Archive: stands in the middle of the pipeline, where everything that happens passes, and writes it down.

In the line rather than beside it: an observer's queue may be dropped at the end of a call, a stage's may not.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from pipecat.frames.frames import ErrorFrame, Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.clock import CallClock
from agent.frames import (
    BargeInFrame,
    DigitFrame,
    EventFrame,
    FlagFrame,
    LineClosedFrame,
    LineStartedFrame,
    NotHeardFrame,
    SpokenFrame,
    UnderstoodFrame,
    VerdictFrame,
)
from agent.live import LiveTurn, News
from archive.writer import CallArchive

MAX_GAP = 6.0
"""Seconds after which the agent's next line no longer answers what the person said (it follows a silence)."""


class Archivist(FrameProcessor):
    """Passes every frame on; archives turns, verdicts, events and flags; tells the listener."""

    def __init__(self, archive: CallArchive, clock: CallClock, listener: Callable[[News], None] | None = None) -> None:
        super().__init__(name="archive")
        self._archive = archive
        self._clock = clock
        self._listener = listener
        self._verdicts: dict[str, tuple[int, str]] = {}  # by line id: number in the archive, decision
        self._spoke_until: float | None = None
        self._gap: float | None = None
        self._agent_until = 0.0
        self._sounding = 0  # lines begun and not yet reported
        self._machine = False
        self.gaps_ms: list[float] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self._record(frame)
        await self.push_frame(frame, direction)

    def _record(self, frame: Frame) -> None:
        if isinstance(frame, UnderstoodFrame):
            self._understood(frame)
        elif isinstance(frame, NotHeardFrame):
            self._spoke_until = frame.span.end
            span = {"start": round(frame.span.start, 3), "end": round(frame.span.end, 3)}
            self._event("not_heard", {"reason": frame.reason, **span})
        elif isinstance(frame, VerdictFrame):
            number = self._archive.verdict(frame.verdict, frame.proposed)
            self._verdicts[frame.proposed.line_id] = (number, frame.verdict.decision)
        elif isinstance(frame, LineStartedFrame):
            self._line_started(frame)
        elif isinstance(frame, SpokenFrame):
            self._spoken(frame)
        elif isinstance(frame, BargeInFrame):
            self._event("barge_in", {})
        elif isinstance(frame, DigitFrame):
            self._event("digit", {})  # which one may be part of a secret
        elif isinstance(frame, LineClosedFrame):
            self._event("line_closed", {"reason": frame.reason, "error": frame.error})
        elif isinstance(frame, EventFrame):
            self._machine = self._machine or frame.payload.get("party") == "voicemail"
            self._event(frame.kind, frame.payload)
        elif isinstance(frame, FlagFrame):
            self._archive.flag(frame.reason, frame.severity)
            self._tell(News("flag", self._clock.now(), text=frame.reason, details={"severity": frame.severity}))
        elif isinstance(frame, ErrorFrame):
            kind = type(frame.exception).__name__ if frame.exception else "unknown"
            self._event("pipeline_error", {"stage": str(frame.processor), "error": kind})
            self._archive.flag("pipeline error", "high")

    def _understood(self, frame: UnderstoodFrame) -> None:
        understood = frame.understood
        span = understood.heard.span
        entered = self._archive.understood(understood)
        self._spoke_until = span.end
        turn = LiveTurn(
            "borrower",
            span.start,
            span.end,
            entered.text,  # not what was heard: digits that prove who somebody is are for nobody's eyes
            intent=understood.intent,
            emotion=understood.emotion,
            confidence=understood.confidence,
        )
        self._tell(News("turn", span.end, turn))

    def _line_started(self, frame: LineStartedFrame) -> None:
        spoke, self._spoke_until = self._spoke_until, None
        answers = self._sounding == 0  # a line that follows another of the same turn answers nothing
        self._sounding += 1
        if spoke is None or not answers or self._machine or spoke < self._agent_until:
            return  # nobody waited: a machine, or somebody who spoke while we did
        if 0 < frame.at - spoke <= MAX_GAP:
            self._gap = (frame.at - spoke) * 1000
            self.gaps_ms.append(self._gap)

    def _spoken(self, frame: SpokenFrame) -> None:
        spoken, line = frame.spoken, frame.line
        self._sounding = max(0, self._sounding - 1)
        self._agent_until = max(self._agent_until, spoken.span.end)
        number, decision = self._verdicts.get(spoken.line_id, (None, line.decision))
        gap, self._gap = self._gap, None
        entered = self._archive.spoken(spoken, verdict=number, script_hash=line.script_hash, response_gap_ms=gap)
        turn = LiveTurn(
            "agent",
            spoken.span.start,
            spoken.span.end,
            entered.text,
            verdict=decision,
            line=spoken.line_id,
            interrupted=spoken.interrupted,
            gap_ms=gap,
        )
        self._tell(News("turn", spoken.span.end, turn))

    def _event(self, kind: str, payload: dict[str, object]) -> None:
        plain: dict[str, Any] = {k: str(v) if isinstance(v, Decimal) else v for k, v in payload.items()}
        self._archive.event(kind, **plain)
        self._tell(News("event", self._clock.now(), text=kind, details=payload))

    def _tell(self, news: News) -> None:
        if self._listener is not None:
            self._listener(news)
