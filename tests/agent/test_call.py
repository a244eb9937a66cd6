"""A whole call in one process, on an in-memory carrier: what the pipeline does when its surroundings fail."""

from __future__ import annotations

import asyncio
import errno
import os
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.call import run_call
from agent.case import demo_case
from agent.clock import CallClock
from agent.demo import daytime
from agent.desk import CallDesk
from agent.models import Models
from agent.settings import Settings
from agent.speech.cache import PromptCache
from agent.telephony.line import AudioReceived
from archive import recorder as recording
from archive.repository import CallRepository
from asr.transcriber import Transcription
from compliance_checks.gate import Gate
from sentiment.understand import Understander
from tests.agent.lines import MemoryLine
from tests.agent.test_following import Beeper


class Broken:
    """A recogniser that fails on everything."""

    def transcribe(self, samples: Any, rate: int, lang: Any = None, *, hotwords: str | None = None) -> Transcription:
        raise RuntimeError("out of memory")


@pytest.fixture
def desk(gate: Gate, tmp_path: Path) -> Iterator[CallDesk]:
    desk = CallDesk(Settings(home=tmp_path / "home"), Models(Broken(), Understander.load(), gate))
    desk.cache = PromptCache(Beeper())
    yield desk
    desk.close()


async def quiet(line: MemoryLine, seconds: float = 60.0) -> None:
    """A line on which nobody speaks."""
    noise = (np.random.default_rng(1).standard_normal(160) * 20).astype(np.int16)
    for _ in range(int(seconds * 50)):
        line.inbound.put_nowait(AudioReceived(noise))
        await asyncio.sleep(0.02)


async def one_call(desk: CallDesk) -> Any:
    case = demo_case("en")
    call = await desk.prepare(case, "en", at=daytime(case))
    line = MemoryLine(CallClock())
    far_end = asyncio.create_task(quiet(line))
    try:
        async with asyncio.timeout(60):
            return line, await run_call(desk, call, line)
    finally:
        far_end.cancel()


async def test_a_full_disk_ends_the_call_and_keeps_what_was_recorded(
    desk: CallDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = recording._write_all
    written = 0

    def full(fd: int, data: bytes, offset: int) -> None:
        nonlocal written
        written += len(data)
        if written > 160_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(fd, data, offset)

    monkeypatch.setattr(recording, "_write_all", full)
    line, outcome = await one_call(desk)
    assert outcome.disposition == "failed"
    assert "No space left on device" in outcome.error
    assert line.hung_up is not None
    with wave.open(str(outcome.recording)) as file:
        assert file.getnframes() > 4000
    with desk.database.read() as session:
        repository = CallRepository(session)
        row = repository.call(outcome.call_id)
        assert row is not None and (row.status, row.disposition) == ("ended", "failed")
        assert any(turn.line_id == "disclosure" for turn in repository.turns(outcome.call_id))
        assert any("archive failed" in flag.reason for flag in repository.flags(outcome.call_id))


async def test_a_call_that_cannot_be_archived_is_not_made(desk: CallDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    from archive.errors import ArchiveError
    from archive.writer import CallArchive

    def refuse(*_: Any, **__: Any) -> CallArchive:
        raise ArchiveError("the archive's disk is gone")

    monkeypatch.setattr(CallArchive, "begin", refuse)
    case = demo_case("en")
    call = await desk.prepare(case, "en", at=daytime(case))
    line = MemoryLine(CallClock())
    with pytest.raises(ArchiveError):
        await run_call(desk, call, line)
    assert not line.sent


async def test_a_carrier_that_goes_silent_ends_its_call_as_failed(desk: CallDesk) -> None:
    desk.settings = desk.settings.model_copy(update={"carrier_silence": 0.5})
    case = demo_case("en")
    call = await desk.prepare(case, "en", at=daytime(case))
    line = MemoryLine(CallClock())
    line.inbound.put_nowait(AudioReceived(np.zeros(160, np.int16)))
    async with asyncio.timeout(30):
        outcome = await run_call(desk, call, line)
    assert outcome.disposition == "failed"
    assert "no media" in str(outcome.error)
    assert outcome.transcript.exists()
