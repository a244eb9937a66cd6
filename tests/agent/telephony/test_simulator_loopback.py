"""The simulator as a real WebSocket client, against a small agent that answers with tones on 127.0.0.1.

The agent counts frames instead of reading a clock, so its delays are known to 20 ms however busy the machine is.
"""

from __future__ import annotations

import asyncio
import http
import json
import os
import subprocess
import sys
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from agent.telephony import media_streams as wire
from agent.telephony.media_streams import Dtmf, Inbound, MarkEcho, Media, MediaStreamReader, ProtocolViolation, Stopped
from agent.telephony.simulator import FAULTS, Fault, Scenario, Step, load_scenario, run_call
from audio.espeak import Voice
from audio.g711 import decode, encode, to_float, to_pcm16
from audio.telephone import Line

TOKEN = "T0KEN-of-the-call"
VOICE = Voice("en-us")
CLEAN = Line(snr_db=45.0)


def tone(seconds: float, hertz: float = 600.0) -> bytes:
    t = np.arange(int(seconds * 8000)) / 8000
    return encode(to_pcm16((0.3 * np.cos(2 * np.pi * hertz * t)).astype(np.float32)))


class Agent:
    """Base: reads the stream with our own reader, keeps what came; subclasses answer in ``on_frame``."""

    def __init__(self) -> None:
        self.reader = MediaStreamReader()
        self.frames: list[tuple[float, Media]] = []
        self.events: list[tuple[int, Inbound]] = []  # with the number of frames before it
        self.violation: ProtocolViolation | None = None
        self.socket: ServerConnection | None = None

    async def run(self, socket: ServerConnection) -> None:
        self.socket = socket
        try:
            async for message in socket:
                for event in self.reader.feed(message):
                    self.events.append((len(self.frames), event))
                    if isinstance(event, Media):
                        self.frames.append((time.monotonic(), event))
                        await self.on_frame(len(self.frames))
        except ProtocolViolation as e:
            self.violation = e
            await socket.close(1008, e.code)
        except ConnectionClosed:
            pass

    async def on_frame(self, n: int) -> None:
        """Called after the n-th frame."""

    async def play(self, mulaw: bytes, mark: str = "") -> None:
        assert self.socket is not None
        for at in range(0, len(mulaw), 800):
            await self.socket.send(wire.media(self.reader.stream_sid, mulaw[at : at + 800]))
        if mark:
            await self.socket.send(wire.mark(self.reader.stream_sid, mark))

    def echoed(self, name: str) -> int:
        return next(n for n, event in self.events if event == MarkEcho(name))


@asynccontextmanager
async def serving(*agents: Agent) -> AsyncIterator[str]:
    waiting = list(agents)

    async def handle(socket: ServerConnection) -> None:
        await waiting.pop(0).run(socket)

    def guard(socket: ServerConnection, request: Request) -> Response | None:
        if request.path.endswith(TOKEN):
            return None
        return socket.respond(http.HTTPStatus.FORBIDDEN, "no such call\n")

    async with serve(handle, "127.0.0.1", 0, process_request=guard, close_timeout=0.5) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/media/twilio/{TOKEN}"


class Answering(Agent):
    """Greets with a tone, then answers each utterance 25 frames after its last loud one; hangs up after ``answers``."""

    DELAY = 25

    def __init__(self, answers: int) -> None:
        super().__init__()
        self.left = answers
        self.last_loud = 0

    async def on_frame(self, n: int) -> None:
        if n == 10:
            await self.play(tone(0.6), "greeting")
        sound = to_float(decode(self.frames[-1][1].payload))
        # Our tones are never in what we receive. The borrower's noise is 45 dB below the voice.
        if np.sqrt(np.mean(sound**2)) > 0.005:
            self.last_loud = n
        if self.last_loud and n - self.last_loud == self.DELAY and self.left:
            self.left -= 1
            await self.play(tone(0.5, 900 + 500 * self.left), f"answer {self.left}")
        if any(event == MarkEcho("answer 0") for _, event in self.events):
            assert self.socket is not None
            await self.socket.close()


def scene(*steps: Step) -> Scenario:
    return Scenario("promise", "en", "test", "refused", steps, "", (), ring_s=0.05)


async def test_a_whole_call(tmp_path: Path) -> None:
    script = scene(Step(say=("Yes",), think_ms=(0, 0)), Step(say=("No",), think_ms=(0, 0), dtmf="42"))
    gap_ms = pytest.approx(Answering.DELAY * 20 + 10, abs=25)
    for _ in range(3):  # delays are judged to 25 ms: a call in which the machine stood still tells nothing of ours
        agent = Answering(answers=2)
        async with serving(agent) as url:
            report = await run_call(url, script, seed=3, out_dir=tmp_path, call_id="call-9", voice=VOICE, line=CLEAN)
        took = agent.frames[-1][0] - agent.frames[0][0]
        if all(gap == gap_ms for gap in report.gaps_ms) and abs(took - (len(agent.frames) - 1) * 0.02) < 0.1:
            break

    assert report.hung_up_by == "agent" and report.error is None and report.protocol_errors == ()
    assert report.marks_echoed == ("greeting", "answer 1", "answer 0")
    assert report.missed_steps == () and report.unplayed_ms == 0 and report.answered_at is not None
    assert [t.who for t in report.turns] == ["agent", "borrower", "agent", "borrower", "agent"]
    assert [t.text for t in report.turns if t.who == "borrower"] == ["Yes", "No"]
    assert [event.digit for _, event in agent.events if isinstance(event, Dtmf)] == ["4", "2"]
    started = agent.events[1][1]
    assert isinstance(started, wire.Started) and started.custom["call_id"] == "call-9"

    # Response gaps: the agent sent its answer 25 frames after the last loud frame; it plays in the frame after.
    assert len(report.gaps_ms) == 2
    for gap in report.gaps_ms:
        assert gap == gap_ms

    # The borrower waited 0.7 s after the greeting as played, which took 0.6 s.
    greeting, first = report.turns[0], report.turns[1]
    assert greeting.end - greeting.start == pytest.approx(0.6, abs=0.025)
    assert first.start - greeting.end == pytest.approx(0.7, abs=0.04)

    # The greeting's mark was sent at frame 10 and came back when its 30 frames were played.
    assert 40 <= agent.echoed("greeting") <= 44

    # Pacing: a frame each 20 ms, none missing, on the wall clock.
    chunks = [media.chunk for _, media in agent.frames]
    assert chunks == list(range(1, len(chunks) + 1))
    assert all(media.timestamp_ms == (media.chunk - 1) * 20 and len(media.payload) == 160 for _, media in agent.frames)
    wall = agent.frames[-1][0] - agent.frames[0][0]
    assert wall == pytest.approx((len(chunks) - 1) * 0.02, abs=0.1)

    # Line noise in every frame, speech or not.
    assert min(np.std(decode(media.payload).astype(np.float32)) for _, media in agent.frames) > 5

    # The recording: both channels on one clock, as the turns say.
    assert report.recording == tmp_path / "heard.wav"
    with wave.open(str(report.recording)) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (2, 8000, 2)
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    assert len(sound) / 8000 == pytest.approx(report.duration_s, abs=0.02)
    said = np.concatenate([decode(media.payload) for _, media in agent.frames])
    assert np.array_equal(sound[: len(said), 0], said[: len(sound)])
    for turn in report.turns:
        channel = sound[:, 0 if turn.who == "borrower" else 1].astype(np.float32) / 32768
        inside = channel[int(turn.start * 8000) : int(turn.end * 8000)]
        before = channel[max(0, int((turn.start - 0.1) * 8000)) : int(turn.start * 8000) - 8]
        assert np.sqrt(np.mean(inside**2)) > 8 * np.sqrt(np.mean(before**2))


class Talkative(Agent):
    """Queues three seconds at frame 5 and clears it at frame 40."""

    async def on_frame(self, n: int) -> None:
        assert self.socket is not None
        if n == 5:
            await self.play(tone(3.0), "late")
        if n == 40:
            await self.socket.send(wire.clear(self.reader.stream_sid))
        if n == 75:
            await self.socket.send("nonsense")
            await self.socket.close()


async def test_clear_stops_what_is_heard_and_echoes_the_mark_at_once() -> None:
    agent = Talkative()
    async with serving(agent) as url:
        report = await run_call(url, load_scenario("silence", "zh"), seed=1, out_dir=None, voice=Voice("cmn"))
    assert report.clears_received == 1 and report.marks_echoed == ("late",)
    assert 40 <= agent.echoed("late") < 60  # uncleared: 155; a busy machine is late
    (turn,) = report.turns
    assert turn.end - turn.start == pytest.approx(35 * 0.02, abs=0.3)
    assert report.gaps_ms == () and report.recording is None
    assert report.protocol_errors == ("a message is not JSON",)
    assert json.loads(json.dumps(report.as_json()))["hung_up_by"] == "agent"


async def test_the_borrower_hangs_up_in_mid_sentence() -> None:
    agent = Answering(answers=0)
    words = "I really do not have the time for any of this"
    script = scene(Step(say=(words,), think_ms=(0, 0), cut_after_s=0.6, hang_up=True))
    async with serving(agent) as url:
        report = await run_call(url, script, seed=3, out_dir=None, voice=Voice("en-us"))
    assert report.hung_up_by == "borrower" and report.close_code == 1000
    assert report.turns[-1].end - report.turns[-1].start == pytest.approx(0.6, abs=0.03)
    assert isinstance(agent.events[-1][1], Stopped)


EXPECTED = {
    "early_media": "early_media", "wrong_rate": "wrong_format", "malformed_json": "not_json",
    "not_object": "not_object", "oversized": "oversized", "binary": "binary", "bad_base64": "bad_base64",
    "wrong_stream": "wrong_stream", "second_start": "second_start", "unknown_events": "unknown_event",
    "flood": "too_fast",
}  # fmt: skip


async def test_every_fault_reaches_the_other_side_and_only_that_call() -> None:
    script = replace(load_scenario("silence", "en"), ring_s=0.0)

    async def drill(kind: str) -> None:
        agent = Agent()
        async with serving(agent) as url:
            report = await run_call(url, script, seed=1, out_dir=None, faults=[Fault(kind, 0.2)], max_seconds=0.9)
        frames = len(agent.frames)
        if kind in EXPECTED:
            assert agent.violation is not None and agent.violation.code == EXPECTED[kind], kind
            assert report.hung_up_by == "agent" and report.close_code == 1008, kind
        elif kind == "wrong_token":
            assert report.hung_up_by == "refused" and report.answered_at is None and "403" in str(report.error)
        else:
            assert agent.violation is None, kind
            assert report.hung_up_by == ("carrier" if kind == "drop" else "limit"), kind
        if kind == "unknown_event":
            assert agent.reader.counters["unknown_event"] == 5 and frames == 45
        if kind == "out_of_order":
            chunks = [media.chunk for _, media in agent.frames]
            assert chunks == sorted(set(chunks)) and agent.reader.counters["duplicate"] > 5
        if kind == "go_silent":
            assert frames == 10 and isinstance(agent.events[-1][1], Stopped)
        if kind == "drop":
            assert frames == 10 and not any(isinstance(event, Stopped) for _, event in agent.events)

    await asyncio.gather(*(drill(kind) for kind in FAULTS))


async def test_nobody_listens() -> None:
    async with serving() as url:
        pass
    report = await run_call(url, replace(load_scenario("silence", "en"), ring_s=0.0), seed=1, out_dir=None)
    assert report.hung_up_by == "refused" and report.error is not None and "\n" not in report.error


def test_unknown_fault() -> None:
    with pytest.raises(ValueError, match="unknown fault 'earthquake'"):
        Fault("earthquake")


async def test_as_a_process(tmp_path: Path) -> None:
    agent = Talkative()
    async with serving(agent) as url:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "agent.telephony.simulator", "--url", url, "--scenario", "silence", "--lang", "zh",
            "--call-id", "call-1", "--seed", "7", "--out", str(tmp_path), "--report", str(tmp_path / "r.json"),
            "--voice", "cmn+f2:170", "--line", "poor",
            stdout=subprocess.PIPE, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )  # fmt: skip
        out, _ = await process.communicate()
    assert process.returncode == 0
    document = json.loads(out)
    assert document == json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (document["call_id"], document["hung_up_by"], document["voice"]) == ("call-1", "agent", "cmn+f2")
    assert (tmp_path / "heard.wav").stat().st_size > 10_000


@pytest.mark.parametrize(("extra", "named"), [
    (["--fault", "earthquake"], "unknown fault"), (["--fault", "drop@soon"], "--fault 'drop@soon'"),
    (["--voice", "cmn:fast"], "--voice"), (["--case", "/nonexistent.json"], "nonexistent"),
    (["--voice", "nobody"], "no voice 'nobody'"),
])  # fmt: skip
def test_unusable_input(extra: list[str], named: str, capsys: pytest.CaptureFixture[str]) -> None:
    from agent.telephony.simulator.__main__ import main

    assert main(["--url", "ws://127.0.0.1:9/x", "--scenario", "promise", *extra]) == 2
    error = capsys.readouterr().err
    assert named in error and error.count("\n") == 1
