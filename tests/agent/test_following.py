"""The dialogue on the line: who speaks first, what is said over the agent, how a call ends. Playbooks without ears."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from agent.case import demo_case
from agent.clock import CallClock
from agent.dialogue import Dialogue
from agent.events import Heard, SlotValue, Span, Understood
from agent.following import Follow
from agent.frames import (
    BargeInFrame,
    CallerStartedFrame,
    EventFrame,
    FlagFrame,
    LineClosedFrame,
    LineStartedFrame,
    NotHeardFrame,
    SpokenFrame,
    UnderstoodFrame,
)
from agent.gatekeeping import GateKeeper
from agent.speech.cache import PromptCache
from agent.speech.speaker import VoiceStyle, require_approved
from agent.speech.stage import Speak
from agent.telephony.stages import LineInput, LineOutput
from archive.recorder import Recorder
from audio.g711 import Pcm16
from compliance_checks.approved import ApprovedLine
from compliance_checks.gate import Gate
from scripts.loader import load_script
from tests.agent.lines import Collector, MemoryLine, Running, tone


class Beeper:
    """A voice that says everything in a tenth of a second (a disclosure in half a second)."""

    name = "beeper"

    def render(self, line: ApprovedLine, style: VoiceStyle) -> Pcm16:
        return tone(0.1 if require_approved(line).interruptible else 0.5)


class Call:
    """The stages from the dialogue to the line, with a test's hand where hearing would be."""

    def __init__(self, gate: Gate, folder: Path) -> None:
        self.clock = CallClock()
        self.line = MemoryLine(self.clock)
        self.recorder = Recorder(folder / "call.wav", self.clock.now, start=0.0)
        self.seen = Collector()
        script = load_script("days_1_15_reminder", "en")
        self.follow = Follow(Dialogue(script, demo_case("en"), date(2026, 11, 21)), self.clock)
        self.running = Running(
            [
                LineInput(self.line, self.clock, self.recorder, silence_limit=60),
                self.seen,
                self.follow,
                GateKeeper(gate),
                Speak(PromptCache(Beeper()), VoiceStyle()),
                LineOutput(self.line, self.clock, self.recorder),
            ]
        )

    async def __aenter__(self) -> Call:
        self.worker = await self.running.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self.running.__aexit__(*error)

    async def says(self, intent: str, text: str = "x", seconds: float = 0.3, **slots: str) -> None:
        await self.worker.queue_frame(CallerStartedFrame(self.clock.now()))
        await asyncio.sleep(0.01)
        now = self.clock.now()
        heard = Heard(text, "en", Span(now - seconds, now), (), 0.9)
        values = {name: SlotValue(value, value, 0, len(value)) for name, value in slots.items()}
        understood = Understood(heard, intent, 0.95, ((intent, 0.95),), values)
        await self.worker.queue_frame(UnderstoodFrame(understood))

    async def hears(self, line_id: str) -> SpokenFrame:
        async with asyncio.timeout(10):
            while True:
                for spoken in self.seen.of(SpokenFrame):
                    if spoken.spoken.line_id == line_id:
                        assert isinstance(spoken, SpokenFrame)
                        return spoken
                self.seen.seen.clear()
                await self.seen.seen.wait()

    async def over(self) -> None:
        async with asyncio.timeout(10):
            await asyncio.shield(self.running.task)

    @property
    def lines(self) -> list[str]:
        return [spoken.spoken.line_id for spoken in self.seen.of(SpokenFrame)]


async def test_nobody_says_hello_so_the_agent_speaks_first(gate: Gate, tmp_path: Path) -> None:
    async with Call(gate, tmp_path) as call:
        await call.hears("ask_name")
        assert call.lines[:2] == ["disclosure", "ask_name"]


async def test_a_machines_greeting_is_waited_out_and_gets_the_limited_message(gate: Gate, tmp_path: Path) -> None:
    async with Call(gate, tmp_path) as call:
        await call.says("voicemail", "please leave a message after the tone", 3.0)
        await call.over()
    assert call.follow.ending is not None and call.follow.ending.disposition == "voicemail"
    assert not any(spoken.spoken.line_id in ("reason_lender", "reason_amount") for spoken in call.seen.of(SpokenFrame))


async def test_a_call_ends_only_when_the_goodbye_was_heard(gate: Gate, tmp_path: Path) -> None:
    async with Call(gate, tmp_path) as call:
        await call.hears("ask_name")
        await call.says("deny_identity", "wrong number")
        await call.over()
    assert call.follow.ending is not None and call.follow.ending.disposition == "wrong_number"
    assert call.follow.ending.spoken


async def test_a_back_channel_over_a_line_changes_nothing(gate: Gate, tmp_path: Path) -> None:
    async with Call(gate, tmp_path) as call:
        await call.seen.wait_for(LineStartedFrame)
        await call.says("greeting", "hello", 0.2)
        await call.hears("ask_name")
        assert call.follow.state is not None and call.follow.state.turns <= 1
        assert call.lines == ["disclosure", "ask_name"]


async def test_a_crisis_said_over_the_disclosure_is_answered_after_it(gate: Gate, tmp_path: Path) -> None:
    async with Call(gate, tmp_path) as call:
        await call.seen.wait_for(LineStartedFrame)
        await call.says("crisis", "I do not want to live")
        await call.worker.queue_frame(BargeInFrame(call.clock.now()))
        await call.over()
    assert call.lines[0] == "disclosure"
    assert not call.seen.of(SpokenFrame)[0].spoken.interrupted
    assert call.follow.ending is not None and call.follow.ending.disposition == "crisis_handoff"
    assert call.follow.transfer is not None


async def test_a_refused_line_is_flagged_and_the_borrower_is_not_left_in_silence(
    gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Gate.approve

    def strict(self: Gate, proposed: Any, facts: Any, script: Any = None) -> Any:
        if proposed.line_id == "ask_last4":
            verdict = self.judge("We will have you arrested.", facts)
            return verdict, None
        return real(self, proposed, facts, script)

    monkeypatch.setattr(Gate, "approve", strict)
    async with Call(gate, tmp_path) as call:
        await call.hears("ask_name")
        await call.says("confirm_identity", "yes it is me")
        await call.over()
    assert "ask_last4" not in call.lines
    assert any(flag.reason == "refused utterance" for flag in call.seen.of(FlagFrame))
    assert call.follow.ending is not None and call.follow.ending.disposition == "human_handoff"
    assert len(call.lines) >= 3  # something was said after the refusal


async def test_hanging_up_ends_the_call(gate: Gate, tmp_path: Path) -> None:
    async with Call(gate, tmp_path) as call:
        await call.hears("disclosure")
        await call.worker.queue_frame(LineClosedFrame("hung up"))
        await call.over()
    assert call.follow.ending is not None and call.follow.ending.disposition == "hung_up"


async def test_a_broken_line_is_a_failure_with_a_flag(gate: Gate, tmp_path: Path) -> None:
    async with Call(gate, tmp_path) as call:
        await call.hears("disclosure")
        await call.worker.queue_frame(LineClosedFrame("line error", "not_json: message is not valid JSON"))
        await call.over()
    assert call.follow.ending is not None and call.follow.ending.disposition == "failed"
    assert any(flag.reason == "line error: line error" for flag in call.seen.of(FlagFrame))


async def test_a_cough_is_not_asked_about_but_mumbling_is(gate: Gate, tmp_path: Path) -> None:
    async with Call(gate, tmp_path) as call:
        await call.hears("ask_name")
        now = call.clock.now()
        await call.worker.queue_frame(NotHeardFrame(Span(now - 0.2, now), "no words"))
        await asyncio.sleep(0.1)
        assert call.lines == ["disclosure", "ask_name"]
        await call.worker.queue_frame(NotHeardFrame(Span(now - 1.5, now), "unsure"))
        await call.seen.wait_for(SpokenFrame, 3)
    assert len(call.lines) >= 3


async def test_a_promise_is_recorded_once_it_is_confirmed(gate: Gate, tmp_path: Path) -> None:
    async with Call(gate, tmp_path) as call:
        await call.hears("ask_name")
        await call.says("confirm_identity", "speaking")
        await call.hears("ask_last4")
        await call.says("affirm", "four zero seven two", digits="4072")
        await call.hears("ask_when")
        await call.says("promise_to_pay", "all of it tomorrow", date="2026-11-22", amount="350.00")
        await call.hears("confirm_promise")
        assert call.follow.promise is None
        await call.says("affirm", "yes")
        await call.over()
    assert call.follow.promise is not None
    assert [str(part) for part in call.follow.promise] == ["2026-11-22", "350.00"]
    assert call.follow.ending is not None and call.follow.ending.disposition == "promise_to_pay"
    assert "promise_recorded" in {event.kind for event in call.seen.of(EventFrame)}
