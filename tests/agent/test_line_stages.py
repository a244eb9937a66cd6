"""The last stage before the line: real-time pacing, barge-in, marks, and what was heard."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from agent.clock import CallClock
from agent.frames import (
    BargeInFrame,
    EventFrame,
    GoOnFrame,
    HoldFrame,
    LineClosedFrame,
    SpeechFrame,
    SpokenFrame,
)
from agent.telephony import stages
from agent.telephony.line import AudioReceived
from agent.telephony.playback import heard_part
from agent.telephony.stages import LineInput, LineOutput
from archive.recorder import Recorder
from compliance_checks.gate import Gate
from tests.agent.lines import Collector, MemoryLine, Running, approved, tone


class Ends:
    """Both ends of a line with nothing between them but a collector."""

    def __init__(self, folder: Path, silence_limit: float = 6.0) -> None:
        self.clock = CallClock()
        self.line = MemoryLine(self.clock)
        self.recorder = Recorder(folder / "call.wav", self.clock.now, start=0.0)
        self.collector = Collector()
        self.stages = [
            LineInput(self.line, self.clock, self.recorder, silence_limit=silence_limit),
            self.collector,
            LineOutput(self.line, self.clock, self.recorder),
        ]

    def channels(self) -> tuple[np.ndarray, np.ndarray]:
        self.recorder.close()
        with wave.open(str(self.recorder.path)) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), np.int16).reshape(-1, 2)
        return pcm[:, 0], pcm[:, 1]


async def test_a_line_is_played_in_real_time_and_reported_when_its_mark_returns(tmp_path: Path, gate: Gate) -> None:
    ends = Ends(tmp_path)
    async with Running(ends.stages) as worker:
        await worker.queue_frame(SpeechFrame(approved(gate), tone(0.8)))
        (spoken,) = await ends.collector.wait_for(SpokenFrame)
    assert spoken.spoken.heard_text == "Thank you for your time."
    assert not spoken.spoken.interrupted
    assert not ends.collector.of(EventFrame)  # its mark came back in time
    assert spoken.spoken.span.duration == pytest.approx(0.8, abs=0.02)
    assert np.array_equal(ends.line.audio, tone(0.8))
    first, last = ends.line.sent[0][0], ends.line.sent[-1][0]
    assert 0.6 < last - first < 1.2  # 0.8 s of sound, at most 60 ms of it ahead
    _, agent = ends.channels()
    begin = int(np.argmax(np.abs(agent) > 1000)) / 8000
    assert begin == pytest.approx(spoken.spoken.span.start, abs=0.04)


async def test_barge_in_cuts_an_interruptible_line_and_keeps_what_was_heard(tmp_path: Path, gate: Gate) -> None:
    ends = Ends(tmp_path)
    line = approved(gate, "You can pay in the application or talk to one of our colleagues about a plan.")
    async with Running(ends.stages) as worker:
        await worker.queue_frame(SpeechFrame(line, tone(4.0)))
        await worker.queue_frame(SpeechFrame(approved(gate, line_id="later"), tone(1.0)))
        while len(ends.line.sent) < 50:
            await _tick()
        await worker.queue_frame(BargeInFrame(ends.clock.now()))
        cut, dropped = await ends.collector.wait_for(SpokenFrame, 2)
    assert cut.spoken.interrupted and dropped.spoken.interrupted
    assert 0.8 < cut.spoken.span.duration < 1.6
    assert line.text.startswith(cut.spoken.heard_text) and 0 < len(cut.spoken.heard_text) < len(line.text) // 2
    assert dropped.spoken.heard_text == ""
    assert len(ends.line.cleared) == 1
    _, agent = ends.channels()
    audible = np.flatnonzero(np.abs(agent) > 1000)
    assert audible[-1] / 8000 == pytest.approx(cut.spoken.span.end, abs=0.05)


async def test_a_held_line_is_silent_at_once_and_says_its_last_phrase_again(tmp_path: Path, gate: Gate) -> None:
    ends = Ends(tmp_path)
    pcm = np.concatenate([tone(0.6), np.zeros(1600, np.int16), 2 * tone(1.4)])
    async with Running(ends.stages) as worker:
        await worker.queue_frame(SpeechFrame(approved(gate), pcm))
        while len(ends.line.sent) < 60:  # 1.2 s: 0.4 s into the second phrase
            await _tick()
        await worker.queue_frame(HoldFrame(ends.clock.now()))
        while not ends.line.cleared:
            await _tick()
        sent = len(ends.line.sent)
        stopped = ends.line.cleared[0]
        while ends.clock.now() < stopped + 0.5:
            await _tick()
        assert len(ends.line.sent) == sent
        await worker.queue_frame(GoOnFrame(ends.clock.now()))
        (spoken,) = await ends.collector.wait_for(SpokenFrame)
    assert not spoken.spoken.interrupted
    assert spoken.spoken.heard_text == spoken.spoken.text
    (held,) = [f.payload for f in ends.collector.of(EventFrame) if f.kind == "line_held"]
    assert held["at"] == pytest.approx(stopped, abs=0.05)
    assert 0.45 < held["seconds"] < 0.9
    assert 0.2 < held["again"] < 0.45
    assert np.array_equal(
        np.concatenate([p for _, p in ends.line.sent[sent:]])[: 160 * 70], pcm[6400 : 6400 + 160 * 70]
    )
    assert spoken.spoken.span.duration == pytest.approx(2.2 + held["seconds"] + held["again"], abs=0.1)
    _, agent = ends.channels()
    quiet = agent[int((stopped + 0.08) * 8000) : int((stopped + held["seconds"] - 0.08) * 8000)]
    assert len(quiet) > 2000 and not quiet.any()  # the archive has the silence that was heard
    assert np.count_nonzero(agent) == pytest.approx(np.count_nonzero(pcm) + held["again"] * 8000, rel=0.06)


async def test_a_line_may_be_cut_while_it_is_held(tmp_path: Path, gate: Gate) -> None:
    ends = Ends(tmp_path)
    line = approved(gate, "You can pay in the application or talk to one of our colleagues about a plan.")
    async with Running(ends.stages) as worker:
        await worker.queue_frame(SpeechFrame(line, tone(4.0)))
        while len(ends.line.sent) < 50:
            await _tick()
        await worker.queue_frame(HoldFrame(ends.clock.now()))
        while not ends.line.cleared:
            await _tick()
        await worker.queue_frame(BargeInFrame(ends.clock.now()))
        (cut,) = await ends.collector.wait_for(SpokenFrame)
    assert cut.spoken.interrupted
    assert cut.spoken.span.end == pytest.approx(ends.line.cleared[0], abs=0.05)
    assert len(ends.line.cleared) == 1
    assert 0 < len(cut.spoken.heard_text) < len(line.text) // 2


async def test_a_held_line_goes_on_by_itself_if_nobody_decides(
    tmp_path: Path, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stages, "HOLD_LIMIT", 0.2)
    ends = Ends(tmp_path)
    async with Running(ends.stages) as worker:
        await worker.queue_frame(SpeechFrame(approved(gate), tone(1.0)))
        while len(ends.line.sent) < 20:
            await _tick()
        await worker.queue_frame(HoldFrame(ends.clock.now()))
        (spoken,) = await ends.collector.wait_for(SpokenFrame)
    assert not spoken.spoken.interrupted


async def test_a_disclosure_is_neither_held_nor_cut_nor_is_what_stands_before_one(tmp_path: Path, gate: Gate) -> None:
    ends = Ends(tmp_path)
    async with Running(ends.stages) as worker:
        await worker.queue_frame(SpeechFrame(approved(gate), tone(0.6)))
        await worker.queue_frame(SpeechFrame(approved(gate, interruptible=False, line_id="must"), tone(0.6)))
        for count in (15, 45):
            while len(ends.line.sent) < count:
                await _tick()
            await worker.queue_frame(HoldFrame(ends.clock.now()))
            await worker.queue_frame(BargeInFrame(ends.clock.now()))
        spoken = await ends.collector.wait_for(SpokenFrame, 2)
    assert [f.spoken.interrupted for f in spoken] == [False, False]
    assert not ends.line.cleared
    assert not [f for f in ends.collector.of(EventFrame) if f.kind == "line_held"]


async def test_a_disclosure_is_not_cut(tmp_path: Path, gate: Gate) -> None:
    ends = Ends(tmp_path)
    line = approved(gate, interruptible=False)
    async with Running(ends.stages) as worker:
        await worker.queue_frame(SpeechFrame(line, tone(1.0)))
        while len(ends.line.sent) < 20:
            await _tick()
        await worker.queue_frame(BargeInFrame(ends.clock.now()))
        (spoken,) = await ends.collector.wait_for(SpokenFrame)
    assert not spoken.spoken.interrupted
    assert not ends.line.cleared
    assert len(ends.line.audio) == 8000


async def test_a_missing_mark_does_not_hang_the_call(tmp_path: Path, gate: Gate) -> None:
    ends = Ends(tmp_path)
    ends.line.echo_marks = False
    async with Running(ends.stages) as worker:
        await worker.queue_frame(SpeechFrame(approved(gate), tone(0.2)))
        (spoken,) = await ends.collector.wait_for(SpokenFrame)
    assert not spoken.spoken.interrupted
    assert [frame.kind for frame in ends.collector.of(EventFrame)] == ["mark_missing"]


async def test_a_carrier_that_goes_silent_closes_the_line(tmp_path: Path) -> None:
    ends = Ends(tmp_path, silence_limit=0.3)
    async with Running(ends.stages):
        ends.line.inbound.put_nowait(AudioReceived(tone(0.02)))
        (closed,) = await ends.collector.wait_for(LineClosedFrame)
    assert closed.error == "no media from the carrier for 0 s"


async def test_the_borrower_is_recorded_on_the_left(tmp_path: Path) -> None:
    ends = Ends(tmp_path)
    async with Running(ends.stages):
        for start in range(0, 4000, 160):
            ends.line.inbound.put_nowait(AudioReceived(tone(0.5)[start : start + 160]))
        while not ends.line.inbound.empty():
            await _tick()
        await _tick()
    borrower, agent = ends.channels()
    assert np.abs(borrower).max() > 7000
    assert not agent.any()


def test_what_was_heard_ends_with_a_whole_word() -> None:
    text = "You can pay in the application"
    assert heard_part(text, tone(3.0), 1.5) == "You can pay in"
    assert heard_part(text, tone(3.0), 3.0) == text
    assert heard_part(text, tone(3.0), 0.0) == ""
    assert heard_part("请您在应用里还款", tone(2.0), 1.0) == "请您在应"


async def _tick() -> None:
    import asyncio

    await asyncio.sleep(0.005)
