"""Speak: approved lines become sound. Any other text that pipecat could carry here is refused and flagged."""

from __future__ import annotations

import asyncio

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.errors import SpeechError, UnapprovedSpeech
from agent.frames import ApprovedFrame, EventFrame, FlagFrame, LineClosedFrame, ProposedFrame, SpeechFrame
from agent.speech.cache import PromptCache
from agent.speech.speaker import VoiceStyle
from agent.telephony.stages import UNGATED, refuse_ungated


class Speak(FrameProcessor):
    """``ApprovedFrame`` in, ``SpeechFrame`` out."""

    def __init__(self, cache: PromptCache, style: VoiceStyle) -> None:
        super().__init__(name="speak")
        self._cache = cache
        self._style = style

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, ApprovedFrame):
            await self._speak(frame)
        elif isinstance(frame, UNGATED | ProposedFrame) and direction is FrameDirection.DOWNSTREAM:
            await refuse_ungated(self, frame)
        else:
            await self.push_frame(frame, direction)

    async def _speak(self, frame: ApprovedFrame) -> None:
        try:
            pcm = await asyncio.to_thread(self._cache.get, frame.line, self._style)
        except UnapprovedSpeech:
            await refuse_ungated(self, frame)
        except SpeechError as e:
            # A voice that fails mid-call cannot even say goodbye: end this call, keep what was recorded.
            await self.push_frame(EventFrame("speech_failed", {"line": frame.line.line_id}), FrameDirection.UPSTREAM)
            await self.push_frame(FlagFrame("speech failed", "critical"), FrameDirection.UPSTREAM)
            await self.push_frame(LineClosedFrame("speech failed", str(e)), FrameDirection.UPSTREAM)
        else:
            await self.push_frame(SpeechFrame(frame.line, pcm))
