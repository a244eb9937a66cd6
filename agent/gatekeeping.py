"""Gate: every proposal is judged here; only what the gate approves goes on to speech."""

from __future__ import annotations

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent import tracing
from agent.frames import ApprovedFrame, ProposedFrame, VerdictFrame
from agent.telephony.stages import UNGATED, refuse_ungated
from compliance_checks.gate import Gate
from scripts.schema import Script


class GateKeeper(FrameProcessor):
    """``ProposedFrame`` in; a ``VerdictFrame`` back, and an ``ApprovedFrame`` on if it may be spoken."""

    def __init__(self, gate: Gate, script: Script | None = None) -> None:
        """With ``script``, a proposal that claims another content hash than the approved script's is refused."""
        super().__init__(name="gate")
        self._gate = gate
        self._script = script

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, ProposedFrame):
            with tracing.stage("gate") as span:
                verdict, line = self._gate.approve(frame.proposed, frame.facts, self._script)
                span.set_attribute("callgate.decision", verdict.decision)
            await self.push_frame(VerdictFrame(frame.proposed, verdict), FrameDirection.UPSTREAM)
            if line is not None:
                await self.push_frame(ApprovedFrame(line))
        elif isinstance(frame, UNGATED) and direction is FrameDirection.DOWNSTREAM:
            await refuse_ungated(self, frame)
        else:
            await self.push_frame(frame, direction)
