"""Understand: what the person meant, read against what the agent had asked.

A person who keeps to another language than the script's is understood in that language, and from the second such turn
on is handed to a human: the agent can only answer in the language of its approved script.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date
from decimal import Decimal

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent import tracing
from agent.clock import CallClock
from agent.events import Expects, Heard, Lang, SlotValue, Understood
from agent.frames import GuessFrame, HeardFrame, ListenFrame, UnderstoodFrame
from audio.g711 import Floats
from audio.telephone import RATE
from sentiment.understand import Understander, Understanding
from sentiment.voice import VoiceBaseline

FOREIGN_TURNS = 2
"""Turns in a row in another language than the script's after which a human has to take over."""
FOREIGN_CONFIDENCE = 0.95
"""Confidence of that wish: nobody uttered it, but the floor of every script answers it rightly."""

WEIGHTIER = frozenset(
    {"crisis", "stop_contact", "legal_representation", "dispute_debt", "deceased_or_incapacitated", "deny_identity",
     "third_party", "voicemail"}
)  # fmt: skip
"""Intents that the script must answer as such, in whatever language."""


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
        voice: Callable[[], bool] = lambda: True,
    ) -> None:
        """``voice`` is asked at every turn whether its sound may be read; words always are."""
        super().__init__(name="understand")
        self._voice = voice
        self._understander = understander
        self._clock = clock
        self._today = today
        self._time_zone = time_zone
        self._currency = currency
        self._amount_due = amount_due
        self._expects: Expects | None = "identity"
        self._baseline = VoiceBaseline()
        self._ahead: tuple[tuple[str, Lang, Expects | None], asyncio.Task[Understanding]] | None = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, ListenFrame):
            self._expects = frame.expects
        if isinstance(frame, GuessFrame):
            self._ahead = self._key(frame.heard), self.create_task(self._begin(frame.heard, frame.audio))
        elif isinstance(frame, HeardFrame):
            understanding = await self._understood(frame)
            if understanding.voice is not None:
                self._baseline = self._baseline.updated(understanding.voice)
            await self.push_frame(UnderstoodFrame(to_event(frame, understanding)))
        else:
            await self.push_frame(frame, direction)

    def _key(self, heard: Heard) -> tuple[str, Lang, Expects | None]:
        return heard.text, heard.lang, self._expects

    async def _understood(self, frame: HeardFrame) -> Understanding:
        """What was begun in the pause, if it was these very words; else from the start."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead[0] == self._key(frame.heard):
            understanding: Understanding | None = await ahead[1]  # pipecat's tasks end with None if they fail
            if understanding is not None:
                return understanding
        return await self._begin(frame.heard, frame.audio)

    async def _begin(self, heard: Heard, audio: Floats) -> Understanding:
        return await asyncio.to_thread(self._read, heard, audio)

    def _read(self, heard: Heard, audio: Floats) -> Understanding:
        with tracing.stage("understand", lang=heard.lang):
            return self._understander.understand(
                heard.text,
                heard.lang,
                audio=audio,
                rate=RATE,
                today=self._today,
                time_zone=self._time_zone,
                now=self._clock.wall(),
                expects=self._expects,
                currency=self._currency,
                amount_due=self._amount_due,
                baseline=self._baseline,
                voice=self._voice(),
            )


def to_event(frame: HeardFrame, u: Understanding) -> Understood:
    """The layer's own result as the call's event (``sentiment`` does not know ``agent``)."""
    slots = {
        name: SlotValue(slot.value, slot.text, slot.start, slot.end, tuple(slot.candidates))
        for name, slot in u.slots.items()
    }
    intents = tuple(u.intents)
    if frame.foreign_turns >= FOREIGN_TURNS and intents[0][0] not in WEIGHTIER:
        intents = (("request_human", FOREIGN_CONFIDENCE), *(i for i in intents if i[0] != "request_human"))
    (intent, confidence), *_ = intents
    return Understood(frame.heard, intent, confidence, intents, slots, u.emotion, dict(u.scores), u.arousal, u.valence)
