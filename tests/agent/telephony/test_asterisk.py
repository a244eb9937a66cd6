"""Calls through a PBX: dialling, joining, hearing, hanging up, and every way in which it goes wrong."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent import handing_over
from agent.errors import ConfigurationError, LineError
from agent.events import Proposed
from agent.telephony.asterisk import Ari, AriError, AsteriskCarrier
from agent.telephony.asterisk.application import Claim, claim
from agent.telephony.asterisk.audiosocket import AudioSocketServer
from agent.telephony.carrier import DialFailed, DialRequest, DialStatus, DialUnknown, failure_of
from agent.telephony.line import AudioReceived, DigitPressed, Line, LineClosed, MarkPlayed
from agent.telephony.whisper import Whisper
from audio import g711
from audio.telephone import RATE
from compliance_checks.gate import Gate

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))
from fake_asterisk import PASSWORD, USER, Channel, FakeAsterisk
from lines import facts


@pytest.fixture
def tone() -> Iterator[np.ndarray]:
    t = np.arange(8000 // 2) / 8000
    yield (8000 * np.sin(2 * np.pi * 440 * t)).astype(np.int16)


@pytest.fixture
async def pbx() -> AsyncIterator[tuple[FakeAsterisk, str]]:
    fake = FakeAsterisk()
    async with fake.serve() as url:
        yield fake, url


@pytest.fixture(params=["websocket", "audiosocket"])
async def carrier(
    request: pytest.FixtureRequest, pbx: tuple[FakeAsterisk, str]
) -> AsyncIterator[tuple[FakeAsterisk, AsteriskCarrier]]:
    fake, url = pbx
    server = AudioSocketServer("127.0.0.1", 0) if request.param == "audiosocket" else None
    if server is not None:
        await server.start()
    carrier = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}@trunk", "95588", audio_socket=server)
    await carrier.start()
    yield fake, carrier
    await carrier.close()
    if server is not None:
        await server.close()


def request(to: str) -> DialRequest:
    return DialRequest(str(uuid.uuid4()), to, ring_timeout=5)


async def until(line: Line, kind: type, limit: float = 20.0) -> list[object]:
    seen: list[object] = []
    async with asyncio.timeout(limit):
        async for event in line.events():
            seen.append(event)
            if isinstance(event, kind):
                return seen
    raise AssertionError(f"the line ended without {kind.__name__}")


async def eventually(holds: object, limit: float = 20.0) -> None:
    async with asyncio.timeout(limit):
        while not holds():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def test_a_call_is_answered_heard_and_ended(
    carrier: tuple[FakeAsterisk, AsteriskCarrier], tone: np.ndarray
) -> None:
    fake, ours = carrier
    told: list[DialStatus] = []
    wanted = request("echo")
    answered = await ours.dial(wanted, told.append)
    assert [status.state for status in told] == ["dialing", "ringing", "answered"]
    assert (await ours.status(wanted.attempt_id)).state == "answered"
    line = answered.line
    await line.send_audio(tone[:100])  # no whole frame: nothing may be lost of it
    await line.send_audio(tone[100:])
    await line.send_mark("all said, and a name longer than a control message may be" * 3)
    before = await until(line, MarkPlayed)
    assert before[-1] == MarkPlayed("all said, and a name longer than a control message may be" * 3)
    phone = fake.channels[f"phone-{wanted.attempt_id}"]
    assert phone.variables["CALLERID(num)"] == "95588"
    heard: list[np.ndarray] = [e.pcm for e in before if isinstance(e, AudioReceived)]
    async with asyncio.timeout(20):
        async for event in line.events():
            assert isinstance(event, AudioReceived)
            heard.append(event.pcm)
            if sum(np.abs(pcm.astype(int)).max() > 4000 for pcm in heard) >= 12:
                break
    await line.hang_up("done")
    await eventually(lambda: not fake.channels and not fake.bridges)
    spoken = bytes(phone.heard)
    sound = g711.decode(spoken) if ours._server is None else np.frombuffer(spoken, "<i2")
    loud = np.flatnonzero(np.abs(sound.astype(int)) > 300)
    assert abs((loud[-1] - loud[0]) - len(tone)) < 200, "the phone heard the tone whole and without a gap"
    assert (await ours.status(wanted.attempt_id)).state == "ended"


async def test_silence_flows_when_nobody_speaks(carrier: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    fake, ours = carrier
    wanted = request("mute")
    answered = await ours.dial(wanted)
    phone = fake.channels[f"phone-{wanted.attempt_id}"]
    await eventually(lambda: len(phone.heard) > 20 * 160)
    await answered.line.hang_up("done")


async def test_what_is_cleared_is_not_heard_and_its_marks_come_back(
    carrier: tuple[FakeAsterisk, AsteriskCarrier], tone: np.ndarray
) -> None:
    fake, ours = carrier
    wanted = request("mute")
    line = (await ours.dial(wanted)).line
    for _ in range(10):
        await line.send_audio(tone)
    await line.send_mark("never")
    await asyncio.sleep(0.1)
    await line.clear()
    assert (await until(line, MarkPlayed))[-1] == MarkPlayed("never")
    await line.send_mark("after")
    assert (await until(line, MarkPlayed))[-1] == MarkPlayed("after")
    await line.hang_up("done")
    heard = len(fake.gone[f"phone-{wanted.attempt_id}"].heard) / (160 if ours._server is None else 320)
    assert heard < 10 * len(tone) / 160 / 2, "most of what was cleared was not played"


async def test_keys_and_hanging_up(carrier: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    _, ours = carrier
    line = (await ours.dial(request("keys"))).line
    digits = ""
    async with asyncio.timeout(20):
        async for event in line.events():
            if isinstance(event, DigitPressed):
                digits += event.digit
                if len(digits) == 3:
                    break
    assert digits == "12#"
    await line.hang_up("done")
    gone = (await ours.dial(request("leaves"))).line
    assert (await until(gone, LineClosed))[-1] == LineClosed("hung up")
    await gone.hang_up("they did")


async def test_a_quick_finger_is_not_forgotten(carrier: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    """What sounded before the answer is; a key, and that the person is gone again, are not."""
    _, ours = carrier
    line: Any = (await ours.dial(request("mute"))).line
    line._put(AudioReceived(np.ones(160, np.int16)))
    line.pressed("7", "media")
    line.far_end_gone()
    line.answered()
    async with asyncio.timeout(20):
        told = [event async for event in line.events()]
    assert [e for e in told if not isinstance(e, AudioReceived)] == [DigitPressed("7"), LineClosed("hung up")]
    assert not any(isinstance(e, AudioReceived) and e.pcm.max() == 1 for e in told)
    await line.hang_up("done")


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("busy", "busy"),
        ("nobody", "no_answer"),
        ("no-trunk", "unreachable"),
        ("no-number", "invalid_number"),
        ("refuses", "rejected"),
    ],
)
async def test_nobody_answers(carrier: tuple[FakeAsterisk, AsteriskCarrier], number: str, reason: str) -> None:
    fake, ours = carrier
    with pytest.raises(DialFailed) as failed:
        await ours.dial(request(number))
    assert failed.value.reason == reason
    await eventually(lambda: not fake.channels and not fake.bridges)


async def test_an_asterisk_without_chan_websocket_is_told_how_to_go_on(pbx: tuple[FakeAsterisk, str]) -> None:
    """As Ubuntu's Asterisk 20.6 answers."""
    fake, url = pbx
    fake.refuse["channels/externalMedia"] = 400
    ours = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}")
    await ours.start()
    with pytest.raises(DialFailed, match=r"chan_websocket.*CALLGATE_ASTERISK_AUDIOSOCKET"):
        await ours.dial(request("echo"))
    assert not fake.channels and not fake.bridges, "no phone rang"
    await ours.close()


async def test_a_person_can_be_handed_over(carrier: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    fake, ours = carrier
    wanted = request("echo")
    line = (await ours.dial(wanted)).line
    with pytest.raises(DialFailed):
        await ours.transfer(wanted.attempt_id, "busy", ring_timeout=5)
    assert f"media-{wanted.attempt_id}" in fake.channels, "nobody took over: the person is still ours"
    await ours.transfer(wanted.attempt_id, "mute", ring_timeout=5)
    await line.hang_up("handed over")
    assert fake.bridges[f"bridge-{wanted.attempt_id}"] == {f"phone-{wanted.attempt_id}", f"desk-{wanted.attempt_id}"}
    await fake.drop_events()  # a reconnect leaves the two of them alone
    await eventually(lambda: len(fake.events) == 1)
    assert f"desk-{wanted.attempt_id}" in fake.channels
    await fake.destroy(fake.channels[f"phone-{wanted.attempt_id}"], 16)
    await eventually(lambda: not fake.channels and not fake.bridges)


async def test_calls_of_a_dead_process_are_ended_at_start(pbx: tuple[FakeAsterisk, str]) -> None:
    fake, url = pbx
    first = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}")
    await first.start()
    await first.dial(request("mute"))
    other = await fake._rest("POST", ["channels", "create"], {"endpoint": "PJSIP/mute", "app": "x", "channelId": "1.1"})
    assert other[0] == 200
    second = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}")
    await second.start()
    assert set(fake.channels) == {"1.1"}, "ours are gone, what is not ours stays"
    await first.close()
    await second.close()


def left_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_processes_at_one_pbx_leave_each_others_calls_alone(
    pbx: tuple[FakeAsterisk, str], tmp_path: Path
) -> None:
    fake, url = pbx

    def carrier(claimed: Claim) -> AsteriskCarrier:
        return AsteriskCarrier(
            Ari(url, USER, PASSWORD, claimed.name), "PJSIP/{to}", abandoned=claimed.abandoned
        )  # fmt: skip

    with claim("callgate", tmp_path) as campaign:
        first = carrier(campaign)
        await first.start()
        await first.dial(request("mute"))
        with claim("callgate", tmp_path) as single:
            assert (campaign.name, single.name) == ("callgate", "callgate-2")
            second = carrier(single)
            await second.start()
            assert len(fake.channels) == 2, "the campaign's call goes on"
            await second.close()
        await first.close()
    assert not left_in(tmp_path)


async def test_the_next_process_ends_what_a_killed_one_left_under_any_name(
    pbx: tuple[FakeAsterisk, str], tmp_path: Path
) -> None:
    fake, url = pbx
    killed = AsteriskCarrier(Ari(url, USER, PASSWORD, "callgate-3"), "PJSIP/{to}")
    await killed.start()
    await killed.dial(request("mute"))
    await killed.close()
    (tmp_path / "asterisk-callgate-3.lock").touch()  # nobody holds it
    with claim("callgate", tmp_path) as claimed:
        assert (claimed.name, claimed.abandoned) == ("callgate", ("callgate-3",))
        ours = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}", abandoned=claimed.abandoned)
        await ours.start()
        claimed.tidied()
        assert not fake.channels
        await ours.close()


async def test_who_loses_the_name_to_another_machine_says_so_and_lets_go(
    pbx: tuple[FakeAsterisk, str], caplog: pytest.LogCaptureFixture
) -> None:
    _, url = pbx
    first, second = (AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}") for _ in range(2))
    await first.start()
    await second.start()
    await eventually(lambda: "CALLGATE_ASTERISK_APPLICATION" in caplog.text)
    with pytest.raises(DialFailed, match="taken over"):
        await first.dial(request("mute"))
    line = (await second.dial(request("mute"))).line
    await line.hang_up("done")
    await first.close()
    await second.close()


async def test_an_event_stream_that_breaks_comes_back_and_misses_nothing(pbx: tuple[FakeAsterisk, str]) -> None:
    fake, url = pbx
    ours = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}")
    await ours.start()
    wanted = request("mute")
    line = (await ours.dial(wanted)).line
    await fake.drop_events()
    await fake.destroy(fake.channels[f"phone-{wanted.attempt_id}"], 16)  # unseen: nobody listens
    assert (await until(line, LineClosed))[-1] == LineClosed("hung up")
    await ours.close()


async def test_an_answered_phone_that_cannot_be_joined_is_unknown(pbx: tuple[FakeAsterisk, str]) -> None:
    fake, url = pbx
    ours = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}")
    await ours.start()
    wanted = request("mute")
    fake.refuse[f"bridges/bridge-{wanted.attempt_id}"] = 500
    with pytest.raises(DialUnknown):
        await ours.dial(wanted)
    await ours.close()


async def test_a_pbx_without_media_never_rings_a_phone(pbx: tuple[FakeAsterisk, str]) -> None:
    fake, url = pbx
    fake.refuse["channels/externalMedia"] = 501
    ours = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}")
    await ours.start()
    with pytest.raises(DialFailed, match="carrier error"):
        await ours.dial(request("echo"))
    assert not any(path == "channels/create" for _, path, _ in fake.requests)
    await ours.close()


async def test_a_wrong_password_and_a_dead_pbx_are_told_apart(pbx: tuple[FakeAsterisk, str]) -> None:
    _, url = pbx
    with pytest.raises(AriError, match="password"):
        await AsteriskCarrier(Ari(url, USER, "wrong")).start()
    dead = Ari("http://127.0.0.1:9", USER, PASSWORD)
    with pytest.raises(AriError, match="event stream"):
        await dead.start(within=0.3)
    with pytest.raises(ConfigurationError):
        Ari("pbx.example", USER, PASSWORD)


async def test_strangers_on_the_audio_socket_are_sent_away() -> None:
    server = AudioSocketServer("127.0.0.1", 0)
    await server.start()
    host, port = server.external_host.split(":")
    with server.expect(str(uuid.uuid4()), lambda: None) as coming:
        for first in (b"\x01\x00\x10" + uuid.uuid4().bytes, b"\x10\xff\xff", b"GET / HTTP/1.1\r\n\r\n"):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(first)
            assert await reader.read() == b""
            writer.close()
        assert not coming.done()
    await server.close()
    blocked = AudioSocketServer("203.0.113.1", 1)
    with pytest.raises(ConfigurationError, match="AudioSocket cannot listen"):
        await blocked.start()


def test_causes_that_only_ringing_tells_apart() -> None:
    assert failure_of(19, rang=True) == "no_answer"
    assert failure_of(19, rang=False) == "unreachable"
    assert failure_of(34, rang=False) == "carrier_error"
    assert failure_of(999, rang=True) == "carrier_error"


@pytest.mark.parametrize("to", ["", "a b", "PJSIP/100@trunk", "1" * 65, "+86 138", "100\n"])
def test_a_number_cannot_smuggle_in_a_dial_string(to: str) -> None:
    with pytest.raises(ValueError, match=r"E\.164"):
        DialRequest("id-1", to)


async def test_flow_control_loses_nothing(pbx: tuple[FakeAsterisk, str]) -> None:
    fake, url = pbx
    ours = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}")
    await ours.start()
    wanted = request("mute")
    line = (await ours.dial(wanted)).line
    media = fake.channels[f"media-{wanted.attempt_id}"]
    sending = asyncio.create_task(_send(line, 950))
    await eventually(lambda: media.xoff)
    for _ in range(20):
        await asyncio.sleep(0)
    queued = len(media.queue)
    await asyncio.sleep(0.1)
    assert len(media.queue) <= queued, "after XOFF nothing more is sent"
    sending.cancel()
    await line.hang_up("done")
    await ours.close()


async def _send(line: Line, frames: int) -> None:
    frame = np.full(160, 1000, np.int16)
    for _ in range(frames):
        await line.send_audio(frame)


async def test_an_unreadable_control_message_ends_the_call(pbx: tuple[FakeAsterisk, str]) -> None:
    fake, url = pbx
    ours = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}")
    await ours.start()
    wanted = request("mute")
    line = (await ours.dial(wanted)).line
    socket = fake.channels[f"media-{wanted.attempt_id}"].socket
    assert socket is not None
    await socket.send_text("MEDIA_XOFF")  # the plain text form: f(json) was ignored
    with pytest.raises(LineError, match="JSON"):
        await until(line, LineClosed)
    await ours.close()


# the whisper of a hand-over ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whisper() -> Whisper:
    verdict, line = Gate.load().approve(Proposed("handoff_plain", handing_over.plain("en"), "en"), facts())
    assert line is not None, verdict
    return Whisper(line, (9000 * np.sin(2 * np.pi * 600 * np.arange(RATE) / RATE)).astype(np.int16))


def heard_by(ours: AsteriskCarrier, channel: Channel | None) -> np.ndarray:
    """What a phone heard: mu-law over the media socket, 16-bit over AudioSocket."""
    sound = bytes(channel.heard) if channel is not None else b""
    return g711.decode(sound) if ours._server is None else np.frombuffer(sound[: len(sound) // 2 * 2], "<i2")


def heard_tone(pcm: np.ndarray, hertz: float = 600.0) -> float:
    """Share of the sound's energy at ``hertz``."""
    pcm = pcm.astype(float)
    if len(pcm) < RATE // 4 or not pcm.any():
        return 0.0
    spectrum = np.abs(np.fft.rfft(pcm)) ** 2
    at = np.fft.rfftfreq(len(pcm), 1 / RATE)
    return float(spectrum[np.abs(at - hertz) < 20].sum() / spectrum.sum())


async def test_the_human_hears_the_whisper_and_the_person_does_not(
    carrier: tuple[FakeAsterisk, AsteriskCarrier], whisper: Whisper
) -> None:
    fake, ours = carrier
    wanted = request("mute")
    line = (await ours.dial(wanted)).line
    person = fake.channels[f"phone-{wanted.attempt_id}"]
    handing = asyncio.create_task(ours.transfer(wanted.attempt_id, "mute", ring_timeout=5, whisper=whisper))
    name = f"desk-{wanted.attempt_id}"
    await eventually(lambda: heard_tone(heard_by(ours, fake.channels.get(name))) > 0.5)
    desk = fake.channels[name]
    assert desk.id not in fake.bridges[f"bridge-{wanted.attempt_id}"], "nobody is joined while it is whispered"
    await handing
    await line.hang_up("handed over")
    assert fake.bridges == {f"bridge-{wanted.attempt_id}": {person.id, desk.id}}, "the whisper's bridge is gone"
    assert set(fake.channels) == {person.id, desk.id}
    assert len(heard_by(ours, desk)) >= len(whisper.pcm) and heard_tone(heard_by(ours, desk)) > 0.5
    assert heard_tone(heard_by(ours, person)) < 0.05
    await fake.destroy(desk, 16)
    await eventually(lambda: not fake.channels and not fake.bridges)


async def test_nobody_is_joined_when_either_hangs_up_during_the_whisper(
    carrier: tuple[FakeAsterisk, AsteriskCarrier], whisper: Whisper
) -> None:
    fake, ours = carrier
    for who in ("desk", "phone"):
        wanted = request("mute")
        await ours.dial(wanted)
        handing = asyncio.create_task(ours.transfer(wanted.attempt_id, "mute", ring_timeout=5, whisper=whisper))
        name = f"desk-{wanted.attempt_id}"
        await eventually(lambda name=name: name in fake.channels and len(fake.channels[name].heard) > 2000)
        await fake.destroy(fake.channels[f"{who}-{wanted.attempt_id}"], 16)
        with pytest.raises(DialFailed):
            await handing
        await ours.hang_up(wanted.attempt_id)
        await eventually(lambda: not fake.channels and not fake.bridges)


async def test_a_hand_over_without_a_media_channel_is_a_hand_over_all_the_same(
    carrier: tuple[FakeAsterisk, AsteriskCarrier], whisper: Whisper
) -> None:
    fake, ours = carrier
    wanted = request("mute")
    line = (await ours.dial(wanted)).line
    fake.refuse["channels/externalMedia"] = 500
    await ours.transfer(wanted.attempt_id, "mute", ring_timeout=5, whisper=whisper)
    await line.hang_up("handed over")
    assert fake.bridges == {f"bridge-{wanted.attempt_id}": {f"phone-{wanted.attempt_id}", f"desk-{wanted.attempt_id}"}}


async def test_a_process_that_dies_during_the_whisper_leaves_nobody_in_silence(
    carrier: tuple[FakeAsterisk, AsteriskCarrier], pbx: tuple[FakeAsterisk, str], whisper: Whisper
) -> None:
    fake, ours = carrier
    wanted = request("mute")
    await ours.dial(wanted)
    handing = asyncio.create_task(ours.transfer(wanted.attempt_id, "mute", ring_timeout=5, whisper=whisper))
    name = f"desk-{wanted.attempt_id}"
    await eventually(lambda: name in fake.channels and len(fake.channels[name].heard) > 2000)
    second = AsteriskCarrier(Ari(pbx[1], USER, PASSWORD), "PJSIP/{to}")
    await second.start()
    with contextlib.suppress(DialFailed):  # the process that should be dead sees its channels go
        await handing
    await eventually(lambda: not fake.channels and not fake.bridges)
    await second.close()
