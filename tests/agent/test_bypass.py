"""Nothing reaches the line without the gate: every frame that pipecat can carry words or sound in is tried."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import inspect
import warnings
from pathlib import Path
from typing import Any, get_origin, get_type_hints

import numpy as np
import pytest
from pipecat.frames import frames as pipecat_frames
from pipecat.frames.frames import (
    AggregatedTextFrame,
    EndFrame,
    Frame,
    LLMTextFrame,
    OutputAudioRawFrame,
    StartFrame,
    TextFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
    TTSTextFrame,
)
from pipecat.processors.frame_processor import FrameProcessor

from agent.clock import CallClock
from agent.errors import UnapprovedSpeech
from agent.events import Proposed, Verdict
from agent.frames import ApprovedFrame, EventFrame, FlagFrame, ProposedFrame, SpeechFrame, SpokenFrame
from agent.gatekeeping import GateKeeper
from agent.speech.cache import PromptCache
from agent.speech.speaker import EspeakSpeaker, VoiceStyle
from agent.speech.stage import Speak
from agent.telephony.stages import LineOutput
from archive.recorder import Recorder
from compliance_checks.approved import ApprovedLine
from compliance_checks.gate import Gate
from tests.agent.lines import Collector, MemoryLine, Running, approved, facts, tone

POISON = "Pay today or we will tell your employer."
CONTROL = (StartFrame, EndFrame)


class Way:
    """Gate, speech and line, as in a call."""

    def __init__(self, gate: Gate, folder: Path) -> None:
        clock = CallClock()
        self.line = MemoryLine(clock)
        self.recorder = Recorder(folder / "call.wav", clock.now, start=0.0)
        self.collector = Collector()
        self.cache = PromptCache(EspeakSpeaker())
        self.gate, self.speak = GateKeeper(gate), Speak(self.cache, VoiceStyle())
        self.output = LineOutput(self.line, clock, self.recorder)
        self.stages: list[FrameProcessor] = [self.collector, self.gate, self.speak, self.output]


def _value(hint: Any) -> Any:
    """Some value of a field's type, with the poison wherever text fits."""
    if hint is str or hint is Any:
        return POISON
    if hint is bytes:
        return tone(0.1).tobytes()
    if hint is int:
        return 1
    if hint is float:
        return 0.1
    if hint is bool:
        return False
    origin = get_origin(hint)
    if origin in (list, tuple, set):
        return origin()
    if origin is dict:
        return {"text": POISON}
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return next(iter(hint))
    return None


def _instances() -> list[Frame]:
    out = []
    for name, kind in sorted(vars(pipecat_frames).items()):
        if not (inspect.isclass(kind) and issubclass(kind, Frame) and dataclasses.is_dataclass(kind)):
            continue
        if name.startswith("_") or kind in (Frame, *CONTROL) or issubclass(kind, CONTROL) or _ends(name):
            continue
        try:
            hints = get_type_hints(kind, vars(pipecat_frames))
        except NameError:  # annotations of things that pipecat imports for type checkers only
            hints = {}
        values = {f.name: _value(hints.get(f.name, Any)) for f in dataclasses.fields(kind) if _needed(f)}
        if issubclass(kind, pipecat_frames.DTMFFrame):
            values |= {"button": pipecat_frames.KeypadEntry.ONE}
        if issubclass(kind, OutputAudioRawFrame | pipecat_frames.AudioRawFrame):
            values |= {"audio": tone(0.2).tobytes(), "sample_rate": 8000, "num_channels": 1}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # frames on their way out must be refused too
            out.append(kind(**values))
    return out


def _ends(name: str) -> bool:
    """Frames that end, stop or pause the pipeline say nothing, and would end the test."""
    return name.startswith(("Cancel", "Stop", "FrameProcessor", "End", "Interruption", "Fatal"))


def _needed(f: dataclasses.Field[Any]) -> bool:
    required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    return f.init and (required or f.name in ("text", "message", "content"))


FRAMES = _instances()


def test_the_suite_covers_every_text_frame() -> None:
    kinds = {type(frame) for frame in FRAMES}
    assert {TextFrame, LLMTextFrame, AggregatedTextFrame, TTSTextFrame, TTSSpeakFrame, TTSAudioRawFrame} <= kinds
    carriers = [frame for frame in FRAMES if getattr(frame, "text", None) == POISON]
    assert len(carriers) >= 10


@pytest.mark.parametrize("at", ["before the gate", "before speech", "before the line"])
async def test_no_frame_of_pipecat_makes_a_sound(at: str, gate: Gate, tmp_path: Path) -> None:
    way = Way(gate, tmp_path)
    skip = {"before the gate": 1, "before speech": 2, "before the line": 3}[at]
    async with Running([way.collector, *way.stages[skip:]]) as worker:
        for frame in _instances():
            await worker.queue_frame(frame)
        # The proof that the way itself works: an approved line is heard, and nothing before it was.
        line = approved(gate)
        await worker.queue_frame(SpeechFrame(line, tone(0.2)) if skip == 3 else ApprovedFrame(line))
        await way.collector.wait_for(SpokenFrame)
    own = tone(0.2) if skip == 3 else way.cache.get(line, VoiceStyle())
    heard = way.line.audio
    assert np.array_equal(heard[: len(own)], own) and len(heard) - len(own) < 160
    events = way.collector.of(EventFrame)
    refused = {event.payload["frame"] for event in events if event.kind == "ungated_speech_refused"}
    assert {"TextFrame", "LLMTextFrame", "TTSSpeakFrame", "AggregatedTextFrame", "TTSAudioRawFrame"} <= refused
    assert way.collector.of(FlagFrame)


async def test_a_proposal_does_not_pass_without_the_gate(gate: Gate, tmp_path: Path) -> None:
    way = Way(gate, tmp_path)
    proposed = ProposedFrame(Proposed("x", "Thank you for your time.", "en"), facts())
    async with Running([way.collector, way.speak, way.output]) as worker:
        await worker.queue_frame(proposed)
        await way.collector.wait_for(FlagFrame)
    assert not way.line.sent


async def test_what_the_gate_refuses_is_not_spoken(gate: Gate, tmp_path: Path) -> None:
    way = Way(gate, tmp_path)
    async with Running(way.stages) as worker:
        await worker.queue_frame(ProposedFrame(Proposed("x", POISON, "en"), facts()))
        await worker.queue_frame(ProposedFrame(Proposed("y", "Thank you for your time.", "en"), facts()))
        (spoken,) = await way.collector.wait_for(SpokenFrame)
    assert spoken.spoken.line_id == "y"


async def test_a_forged_line_is_refused_at_every_door(gate: Gate, tmp_path: Path) -> None:
    forged: Any = object.__new__(ApprovedLine)
    for name in ("text", "lang", "line_id"):
        object.__setattr__(forged, name, {"text": POISON, "lang": "en", "line_id": "x"}[name])
    cache = PromptCache(EspeakSpeaker())
    for thing in (forged, POISON, Proposed("x", POISON, "en"), Verdict("allow", POISON), None):
        with pytest.raises(UnapprovedSpeech):
            cache.get(thing, VoiceStyle())  # type: ignore[arg-type]
        with pytest.raises(UnapprovedSpeech):
            EspeakSpeaker().render(thing, VoiceStyle())  # type: ignore[arg-type]
    way = Way(gate, tmp_path)
    async with Running([way.collector, way.speak, way.output]) as worker:
        await worker.queue_frame(ApprovedFrame(forged))
        await worker.queue_frame(SpeechFrame(forged, tone(0.2)))
        await way.collector.wait_for(FlagFrame, 2)
    assert not way.line.sent


async def test_a_line_changed_after_its_approval_is_refused(gate: Gate, tmp_path: Path) -> None:
    line = approved(gate)
    object.__setattr__(line, "text", POISON)
    way = Way(gate, tmp_path)
    async with Running([way.collector, way.output]) as worker:
        await worker.queue_frame(SpeechFrame(line, tone(0.2)))
        await way.collector.wait_for(FlagFrame)
    assert not way.line.sent
    await asyncio.sleep(0)
