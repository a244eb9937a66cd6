"""Understand: what the person meant, read against what the agent had asked."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.clock import CallClock
from agent.events import Expects, SlotValue, Understood
from agent.frames import HeardFrame, ListenFrame, UnderstoodFrame
from audio.telephone import RATE
from sentiment.understand import Understander, Understanding


class Understand(FrameProcessor):
    """``HeardFrame`` in, ``UnderstoodFrame`` out."""

    def __init__(
        self,
        understander: Understander,
        clock: CallClock,
        *,
        today: date,
        time_zone: str,
        currency: str,
        amount_due: Decimal,
    ) -> None:
        super().__init__(name="understand")
        self._understander = understander
        self._clock = clock
        self._today = today
        self._time_zone = time_zone
        self._currency = currency
        self._amount_due = amount_due
        self._expects: Expects | None = "identity"

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, ListenFrame):
            self._expects = frame.expects
        if isinstance(frame, HeardFrame):
            understanding = await asyncio.to_thread(self._read, frame)
            await self.push_frame(UnderstoodFrame(to_event(frame, understanding)))
        else:
            await self.push_frame(frame, direction)

    def _read(self, frame: HeardFrame) -> Understanding:
        return self._understander.understand(
            frame.heard.text,
            frame.heard.lang,
            audio=frame.audio,
            rate=RATE,
            today=self._today,
            time_zone=self._time_zone,
            now=self._clock.wall(),
            expects=self._expects,
            currency=self._currency,
            amount_due=self._amount_due,
        )


def to_event(frame: HeardFrame, u: Understanding) -> Understood:
    """The layer's own result as the call's event (``sentiment`` does not know ``agent``)."""
    slots = {
        name: SlotValue(slot.value, slot.text, slot.start, slot.end, tuple(slot.candidates))
        for name, slot in u.slots.items()
    }
    return Understood(
        frame.heard, u.intent, u.confidence, tuple(u.intents), slots, u.emotion, dict(u.scores), u.arousal, u.valence
    )
