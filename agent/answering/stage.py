"""Listens for machine tones in the first minute of a call, beside the words."""

from __future__ import annotations

import numpy as np
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.frames import ToneFrame
from audio.telephone import RATE
from audio.tones import ToneDetector

WATCH = 60.0
"""Seconds of the call in which a machine may still show itself."""


class ToneWatch(FrameProcessor):
    """Passes everything on; ``ToneFrame`` for every machine tone."""

    def __init__(self) -> None:
        super().__init__(name="tone-watch")
        self._detector = ToneDetector()
        self._heard = 0

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame) and self._heard < WATCH * RATE:
            pcm = np.frombuffer(frame.audio, np.int16)
            self._heard += len(pcm)
            for kind, tone in self._detector.feed(pcm):
                await self.push_frame(ToneFrame(kind, tone.start, tone.duration))
        await self.push_frame(frame, direction)
