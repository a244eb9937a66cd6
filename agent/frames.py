"""Our values on pipecat's conveyor: one frame class for each step of the call.

``System`` frames overtake queued work (pipecat handles them at once); the others keep their order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pipecat.frames.frames import DataFrame, SystemFrame

from agent.events import CallFacts, Expects, Heard, Proposed, Span, Spoken, Understood, Verdict
from archive.models import Severity
from audio.g711 import Floats, Pcm16
from audio.tones import ToneKind
from compliance_checks.approved import ApprovedLine


@dataclass
class HeardFrame(DataFrame):
    """Downstream from hearing: one turn of the person, with its audio (float32, 8 kHz).

    ``foreign_turns``: how many turns in a row, this one included, were in another language than the script's.
    """

    heard: Heard
    audio: Floats
    foreign_turns: int = 0


@dataclass
class GuessFrame(SystemFrame):
    """Downstream from hearing to understanding and no further: what a ``HeardFrame`` will say if the person has
    finished, so that understanding can begin in the pause."""

    heard: Heard
    audio: Floats


@dataclass
class UnderstoodFrame(DataFrame):
    """Downstream from understanding."""

    understood: Understood


@dataclass
class ProposedFrame(DataFrame):
    """Downstream from the dialogue to the gate, with the facts the gate may rely on."""

    proposed: Proposed
    facts: CallFacts


@dataclass
class VerdictFrame(SystemFrame):
    """Upstream from the gate: what it decided of a proposal."""

    proposed: Proposed
    verdict: Verdict


@dataclass
class ApprovedFrame(DataFrame):
    """Downstream from the gate: the only thing that speech accepts."""

    line: ApprovedLine


@dataclass
class SpeechFrame(DataFrame):
    """Downstream from speech: an approved line and its sound (8 kHz)."""

    line: ApprovedLine
    pcm: Pcm16


@dataclass
class LineStartedFrame(SystemFrame):
    """Upstream from the line: the first sample of an approved line is on its way."""

    line: ApprovedLine
    at: float


@dataclass
class SpokenFrame(SystemFrame):
    """Upstream from the line: a line was heard to its end, or was cut."""

    spoken: Spoken
    line: ApprovedLine


@dataclass
class ListenFrame(SystemFrame):
    """Upstream from the dialogue: what the last line asked for."""

    expects: Expects | None


@dataclass
class CallerStartedFrame(SystemFrame):
    """Downstream from hearing: the person began to speak ``at`` seconds into the call."""

    at: float


@dataclass
class NotHeardFrame(DataFrame):
    """Downstream from hearing: somebody spoke, but no words could be trusted."""

    span: Span
    reason: str


@dataclass
class BargeInFrame(SystemFrame):
    """Downstream from hearing: the person is talking over the agent and means it."""

    at: float


@dataclass
class HoldFrame(SystemFrame):
    """Downstream from hearing: somebody makes a sound while the agent talks. Be silent until it is known what."""

    at: float


@dataclass
class GoOnFrame(SystemFrame):
    """Downstream from hearing: the sound that held the line was a back-channel, or nobody's. Take up the line again."""

    at: float


@dataclass
class MarkPlayedFrame(SystemFrame):
    """Downstream from the line: the carrier played everything before this mark (``name`` is pipecat's own)."""

    mark: str


@dataclass
class DigitFrame(SystemFrame):
    """Downstream from the line: a key was pressed."""

    digit: str


@dataclass
class ToneFrame(SystemFrame):
    """Downstream from the tone watch: a machine's tone, ``at`` seconds after the first sample."""

    kind: ToneKind
    at: float
    duration: float


@dataclass
class LineClosedFrame(SystemFrame):
    """Downstream from the line: nobody is there any more. ``error`` names the carrier's fault, if it was one."""

    reason: str
    error: str | None = None


@dataclass
class EventFrame(SystemFrame):
    """Anything else worth archiving: ``kind`` and plain values, no personal data."""

    kind: str
    payload: dict[str, object] = field(default_factory=dict)


@dataclass
class FlagFrame(SystemFrame):
    """A reason for a reviewer to look."""

    reason: str
    severity: Severity
