"""A supervisor's hand on a real call: the script says goodbye or hands over, and nobody is recorded as asking."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agent.call import run_call
from agent.case import demo_case
from agent.clock import CallClock
from agent.demo import daytime
from agent.desk import CallDesk
from agent.live import CallOutcome
from agent.models import Models
from agent.settings import Settings
from agent.speech.cache import PromptCache
from agent.telephony.whisper import Whisper
from archive.repository import CallRepository
from compliance_checks.gate import Gate
from sentiment.understand import Understander
from tests.agent.lines import MemoryLine
from tests.agent.test_call import Broken, quiet
from tests.agent.test_following import Beeper


@pytest.fixture
def desk(gate: Gate, tmp_path: Path) -> Iterator[CallDesk]:
    desk = CallDesk(Settings(home=tmp_path / "home"), Models(Broken(), Understander.load(), gate))
    desk.cache = PromptCache(Beeper())
    yield desk
    desk.close()


async def supervised(desk: CallDesk, command: str) -> tuple[CallOutcome, list[str], bytes]:
    """A call on which nobody speaks, steered after its first line; what the supervisor heard of it."""
    case = demo_case("en")
    call = await desk.prepare(case, "en", at=daytime(case))
    done: list[str] = []

    async def hand_over(whisper: Whisper | None) -> None:
        assert whisper is not None and len(whisper.pcm) > 0
        done.append(whisper.line.text)

    call.hand_over = hand_over
    line = MemoryLine(CallClock())
    far_end = asyncio.create_task(quiet(line))
    running = asyncio.create_task(run_call(desk, call, line))
    heard = bytearray()
    try:
        async with asyncio.timeout(60):
            async for change in desk.hub.changes():
                if change.get("text"):
                    break
            async for piece in desk.hub.sound(call.call_id):
                heard += piece
                if len(heard) >= 16000:
                    break
            await (desk.hub.end if command == "end" else desk.hub.take_over)(call.call_id)
            outcome = await running
    finally:
        far_end.cancel()
        running.cancel()
    assert desk.hub.snapshot() == []
    return outcome, done, bytes(heard)


@pytest.mark.parametrize(("command", "disposition"), [("end", "hung_up"), ("take_over", "human_handoff")])
async def test_the_script_does_what_the_supervisor_asks(desk: CallDesk, command: str, disposition: str) -> None:
    outcome, done, heard = await supervised(desk, command)
    assert outcome.disposition == disposition and outcome.error is None
    told = "Hand-over: not verified, please verify first. The reason: the person asked for a human."
    assert done == ([] if command == "end" else [told])
    assert np.abs(np.frombuffer(heard, "<i2").astype(int)).max() > 0, "the line's sound reached the supervisor"
    with desk.database.read() as session:
        repository = CallRepository(session)
        turns = repository.turns(outcome.call_id)
        assert all(turn.who == "agent" for turn in turns)
        said = [turn.line_id for turn in turns]
        assert said[-1] == ("goodbye" if command == "end" else "handoff")
        whispered = [e.payload["line"] for e in repository.events(outcome.call_id) if e.kind == "whispered"]
        assert whispered == ([] if command == "end" else ["handoff_summary"]), "archived, and no turn of the call"
        assert [e.payload["command"] for e in repository.events(outcome.call_id) if e.kind == "supervised"] == [command]
