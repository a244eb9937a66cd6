"""The same calls as over the fake, over a real Asterisk, SIP and RTP: what the fake was written from holds."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio

from agent import handing_over
from agent.events import Proposed
from agent.telephony.asterisk import Ari, AsteriskCarrier
from agent.telephony.asterisk.audiosocket import AudioSocketServer
from agent.telephony.carrier import DialFailed, DialRequest, DialStatus
from agent.telephony.line import AudioReceived, DigitPressed, Line, LineClosed, MarkPlayed
from agent.telephony.whisper import Whisper
from audio.telephone import RATE
from compliance_checks.gate import Gate

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[1]))
from lines import facts
from pbx import PASSWORD, TRUNK, USER, RealAsterisk, Telephone, available, has_websocket

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(available() is not None, reason=str(available())),
    pytest.mark.asyncio(loop_scope="module"),
]
Calls = tuple[RealAsterisk, AsteriskCarrier]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def pbx(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealAsterisk]:
    async with RealAsterisk(tmp_path_factory.mktemp("asterisk")).running() as asterisk:
        yield asterisk


@pytest_asyncio.fixture(params=["websocket", "audiosocket"], loop_scope="module")
async def calls(request: pytest.FixtureRequest, pbx: RealAsterisk) -> AsyncIterator[Calls]:
    if request.param == "websocket" and not has_websocket():
        pytest.skip("this Asterisk has no chan_websocket")
    server = AudioSocketServer("127.0.0.1", 0) if request.param == "audiosocket" else None
    if server is not None:
        await server.start()
    carrier = AsteriskCarrier(Ari(pbx.url, USER, PASSWORD), TRUNK, "95588", audio_socket=server)
    await carrier.start()
    try:
        yield pbx, carrier
        await nobody_left(pbx)
    finally:
        await carrier.close()
        if server is not None:
            await server.close()


def tone(seconds: float, hertz: float = 440.0) -> np.ndarray:
    return (8000 * np.sin(2 * np.pi * hertz * np.arange(int(RATE * seconds)) / RATE)).astype(np.int16)


def heard(telephone: Telephone) -> np.ndarray:
    return np.frombuffer(bytes(telephone.heard[: len(telephone.heard) // 2 * 2]), "<i2")


def share(pcm: np.ndarray, hertz: float) -> float:
    """Share of the sound's energy at ``hertz``."""
    if len(pcm) < RATE // 4 or not pcm.any():
        return 0.0
    spectrum = np.abs(np.fft.rfft(pcm.astype(float))) ** 2
    at = np.fft.rfftfreq(len(pcm), 1 / RATE)
    return float(spectrum[np.abs(at - hertz) < 20].sum() / spectrum.sum())


def loud(pcm: np.ndarray) -> float:
    """Seconds between the first and the last loud sample."""
    at = np.flatnonzero(np.abs(pcm.astype(int)) > 500)
    return float(at[-1] - at[0]) / RATE if len(at) else 0.0


def request(to: str, ring: float = 5) -> DialRequest:
    return DialRequest(str(uuid.uuid4()), to, ring_timeout=ring)


async def until(line: Line, kind: type, limit: float = 30.0) -> list[object]:
    seen: list[object] = []
    async with asyncio.timeout(limit):
        async for event in line.events():
            seen.append(event)
            if isinstance(event, kind):
                return seen
    raise AssertionError(f"the line ended without {kind.__name__}")


async def nobody_left(pbx: RealAsterisk) -> None:
    async with asyncio.timeout(20):
        while await pbx.channels():
            await asyncio.sleep(0.1)


async def holds(what: object, limit: float = 20.0) -> None:
    async with asyncio.timeout(limit):
        while not what():  # type: ignore[operator]
            await asyncio.sleep(0.05)


async def test_a_call_is_answered_spoken_heard_and_ended(calls: Calls) -> None:
    pbx, ours = calls
    told: list[DialStatus] = []
    wanted = request("100")
    line = (await ours.dial(wanted, told.append)).line
    assert [status.state for status in told] == ["dialing", "ringing", "answered"]
    telephone = await pbx.telephone()
    await line.send_audio(tone(2))
    telephone.say(tone(2, 700).tobytes())
    await line.send_mark("all said")
    before = await until(line, MarkPlayed)
    got = [e.pcm for e in before if isinstance(e, AudioReceived)]
    await holds(lambda: loud(heard(telephone)) > 1.9)
    assert 1.9 < loud(heard(telephone)) < 2.5 and share(heard(telephone), 440) > 0.9
    assert share(np.concatenate(got), 700) > 0.9
    await line.hang_up("done")
    await asyncio.wait_for(telephone.gone.wait(), 10)
    assert (await ours.status(wanted.attempt_id)).state == "ended"


async def test_the_number_shown_is_ours(calls: Calls) -> None:
    pbx, ours = calls
    line = (await ours.dial(request("echo"))).line
    await holds(lambda: "shown=95588" in pbx.asked("dialplan show globals"), 5)
    await line.hang_up("done")


async def test_silence_flows_when_nobody_speaks(calls: Calls) -> None:
    pbx, ours = calls
    line = (await ours.dial(request("100"))).line
    telephone = await pbx.telephone()
    start = len(telephone.heard)
    await holds(lambda: len(telephone.heard) - start > 2 * RATE * 2, 4)
    await line.hang_up("done")


async def test_what_is_cleared_is_not_heard_and_its_marks_come_back(calls: Calls) -> None:
    pbx, ours = calls
    line = (await ours.dial(request("100"))).line
    telephone = await pbx.telephone()
    for _ in range(10):
        await line.send_audio(tone(0.5))
    await line.send_mark("never")
    await holds(lambda: loud(heard(telephone)) > 0.3)
    await line.clear()
    assert (await until(line, MarkPlayed))[-1] == MarkPlayed("never")
    await line.send_audio(tone(0.5, 900))
    await line.send_mark("after")
    assert (await until(line, MarkPlayed))[-1] == MarkPlayed("after")
    await holds(lambda: share(heard(telephone)[-RATE // 2 :], 900) > 0.5)
    assert loud(heard(telephone)) < 4, "most of what was cleared was not played"
    await line.hang_up("done")


async def test_keys_count_once_and_who_hangs_up_is_gone(calls: Calls) -> None:
    _, ours = calls
    line = (await ours.dial(request("keys"))).line
    digits = ""
    async with asyncio.timeout(20):
        async for event in line.events():
            if isinstance(event, DigitPressed):
                digits += event.digit
                if event.digit == "#":
                    break
    assert digits == "12#"
    await line.hang_up("done")
    gone = (await ours.dial(request("leaves"))).line
    assert (await until(gone, LineClosed))[-1] == LineClosed("hung up")
    await gone.hang_up("they did")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("busy", "busy"),
        ("nobody", "no_answer"),
        ("no-number", "invalid_number"),
        ("nowhere", "invalid_number"),
        ("refuses", "rejected"),
        ("congested", "carrier_error"),
        ("announced", "no_answer unreachable"),  # Asterisk 20 passes on the other's cause, 22 the SIP status alone
    ],
)
async def test_nobody_answers(calls: Calls, number: str, reason: str) -> None:
    pbx, ours = calls
    with pytest.raises(DialFailed) as failed:
        await ours.dial(request(number, ring=5))
    assert failed.value.reason in reason.split(), str(failed.value)
    await nobody_left(pbx)


async def test_a_dial_that_is_given_up_stops_ringing(calls: Calls) -> None:
    pbx, ours = calls
    dialling = asyncio.create_task(ours.dial(request("nobody", ring=30)))
    async with asyncio.timeout(10):
        while not await pbx.channels():
            await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    dialling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialling
    await nobody_left(pbx)


@pytest.mark.parametrize("desks", ["600", "Local/600@queues", "Local/600@queues/n"])
async def test_a_human_hears_the_whisper_and_then_the_person(calls: Calls, desks: str) -> None:
    pbx, ours = calls
    verdict, said = Gate.load().approve(Proposed("handoff_plain", handing_over.plain("en"), "en"), facts())
    assert said is not None, verdict
    wanted = request("100")
    line = (await ours.dial(wanted)).line
    person = await pbx.telephone()
    with pytest.raises(DialFailed):
        await ours.transfer(wanted.attempt_id, "busy", ring_timeout=5)
    whisper = Whisper(said, tone(1, 600))
    await ours.transfer(wanted.attempt_id, desks, ring_timeout=5, whisper=whisper)
    desk = await pbx.telephone("600")
    await line.hang_up("handed over")
    assert share(heard(desk), 600) > 0.5 and 0.9 < loud(heard(desk)) < 1.5
    assert share(heard(person), 600) < 0.05
    person.say(tone(3, 700).tobytes())
    desk.say(tone(3, 900).tobytes())
    await holds(lambda: share(heard(desk)[-RATE // 2 :], 700) > 0.5 and share(heard(person)[-RATE // 2 :], 900) > 0.5)
    person.hang_up()
    await asyncio.wait_for(desk.gone.wait(), 10)


async def test_calls_of_a_dead_process_are_ended_at_start(calls: Calls) -> None:
    pbx, ours = calls
    await ours.dial(request("100"))
    telephone = await pbx.telephone()
    await ours.close()  # as the kernel would: the sockets are closed, nobody ends the call
    second = AsteriskCarrier(Ari(pbx.url, USER, PASSWORD), TRUNK)
    await second.start()
    await asyncio.wait_for(telephone.gone.wait(), 10)
    await nobody_left(pbx)
    await second.close()


async def test_processes_under_their_own_names_leave_each_other_alone(calls: Calls) -> None:
    pbx, ours = calls
    line = (await ours.dial(request("100"))).line
    telephone = await pbx.telephone()
    server = None if has_websocket() else AudioSocketServer("127.0.0.1", 0)
    if server is not None:
        await server.start()
    second = AsteriskCarrier(Ari(pbx.url, USER, PASSWORD, "callgate-2"), TRUNK, audio_socket=server)
    await second.start()
    other = (await second.dial(request("echo"))).line
    await other.hang_up("done")
    before = len(telephone.heard)
    await holds(lambda: len(telephone.heard) > before + RATE)
    await second.close()
    if server is not None:
        await server.close()
    await line.hang_up("done")
    await asyncio.wait_for(telephone.gone.wait(), 10)


async def test_a_pbx_that_dies_ends_the_call_and_serves_the_next(calls: Calls) -> None:
    pbx, ours = calls
    line = (await ours.dial(request("100"))).line
    await pbx.telephone()
    pbx.kill()
    closed = (await until(line, LineClosed))[-1]
    assert isinstance(closed, LineClosed)
    await line.hang_up("it is gone")
    await pbx.start()
    async with asyncio.timeout(60):
        while True:
            try:
                again = (await ours.dial(request("100"))).line
                break
            except DialFailed:  # the event stream is not back yet
                await asyncio.sleep(0.5)
    await pbx.telephone()
    await again.hang_up("done")
