"""What a real PBX tells otherwise than a tidy one: twice, late, in another order, or not at all."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from agent.telephony.asterisk import Ari, AsteriskCarrier, calls
from agent.telephony.carrier import Answered, DialFailed, DialRequest, DialStatus, DialUnknown, failure_of
from agent.telephony.line import DigitPressed, Line, LineClosed

sys.path.insert(0, str(Path(__file__).parent))
from fake_asterisk import PASSWORD, USER, Channel, FakeAsterisk


@pytest.fixture
async def pbx(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[FakeAsterisk, AsteriskCarrier]]:
    monkeypatch.setattr(calls, "GRACE", 0.1)
    fake = FakeAsterisk()
    async with fake.serve() as url:
        carrier = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}@trunk", "95588")
        await carrier.start()
        yield fake, carrier
        await carrier.close()


def request(to: str = "still", caller_id: str | None = None) -> DialRequest:
    return DialRequest(str(uuid.uuid4()), to, caller_id, ring_timeout=5)


async def eventually(holds: object, limit: float = 20.0) -> None:
    async with asyncio.timeout(limit):
        while not holds():  # type: ignore[operator]
            await asyncio.sleep(0.01)


async def dialled(
    fake: FakeAsterisk, ours: AsteriskCarrier, wanted: DialRequest, told: list[DialStatus] | None = None
) -> tuple[asyncio.Task[Answered], Channel]:
    """A dial under way, and the phone's channel that does nothing by itself."""
    dial = asyncio.create_task(ours.dial(wanted, (told if told is not None else []).append))
    path = f"channels/phone-{wanted.attempt_id}/dial"
    await eventually(lambda: any(asked == path for _, asked, _ in fake.requests) or dial.done())
    return dial, fake.channels[f"phone-{wanted.attempt_id}"]


async def closed(line: Line, limit: float = 20.0) -> LineClosed:
    async with asyncio.timeout(limit):
        async for event in line.events():
            if isinstance(event, LineClosed):
                return event
    raise AssertionError("the line has no end")


async def test_the_number_is_shown_and_either_law_is_offered(pbx: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    """An outgoing PJSIP channel writes its connected line into From; a phone that speaks A-law alone is no error."""
    fake, ours = pbx
    wanted = request("mute", "+861055550100")
    await ours.dial(wanted)
    phone = fake.channels[f"phone-{wanted.attempt_id}"]
    assert phone.variables["CONNECTEDLINE(num,i)"] == phone.variables["CALLERID(num)"] == "+861055550100"
    created = next(query for _, path, query in fake.requests if path == "channels/create")
    assert set(created["formats"].split(",")) == {"ulaw", "alaw"}
    order = [path.rsplit("/", 1)[-1] for _, path, _ in fake.requests if f"phone-{wanted.attempt_id}" in path]
    assert order.index("variable") < order.index("dial")


@pytest.mark.parametrize(
    ("status", "cause", "reason"),
    [
        ("BUSY", 0, "busy"), ("BUSY", 16, "busy"), ("CONGESTION", 0, "carrier_error"), ("CONGESTION", 17, "busy"),
        ("CHANUNAVAIL", 0, "unreachable"), ("CHANUNAVAIL", 20, "unreachable"), ("NOANSWER", 0, "unreachable"),
        ("CANCEL", 0, "cancelled"), ("", 18, "unreachable"), ("", 102, "carrier_error"), ("", 0, "carrier_error"),
        ("", 32, "unreachable"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("destroyed", [True, False])
async def test_why_nobody_answered(
    pbx: tuple[FakeAsterisk, AsteriskCarrier], status: str, cause: int, reason: str, destroyed: bool
) -> None:
    """The cause decides where it says something; else the dial's own status; and a channel that left our application
    without ever being reported destroyed is gone all the same."""
    fake, ours = pbx
    if not destroyed and not (status and cause == 0):
        return
    dial, phone = await dialled(fake, ours, request())
    if status:
        await fake.tell("Dial", dialstatus=status, peer=phone.document())
    if destroyed:
        await fake.destroy(phone, cause)
    else:
        await fake.tell("StasisEnd", channel=phone.document())
    with pytest.raises(DialFailed) as failed:
        async with asyncio.timeout(3):
            await dial
    assert failed.value.reason == reason


async def test_early_media_is_ringing(pbx: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    """183 and no 180, as networks with ring-back tones of their own send it."""
    _, ours = pbx
    told: list[DialStatus] = []
    with pytest.raises(DialFailed) as failed:
        await ours.dial(request("early"), told.append)
    assert failed.value.reason == "no_answer" and [each.state for each in told] == ["dialing", "ringing"]
    assert failure_of(18, rang=True) == "no_answer" and failure_of(31, rang=True) == "no_answer"


@pytest.mark.parametrize("sources", [("channel",), ("media",), ("channel", "media"), ("media", "channel")])
async def test_every_key_counts_once(pbx: tuple[FakeAsterisk, AsteriskCarrier], sources: tuple[str, ...]) -> None:
    """ARI tells the phone's keys, and so does the media channel of newer versions."""
    fake, ours = pbx
    wanted = request("mute")
    line = (await ours.dial(wanted)).line
    phone, media = (fake.channels[f"{kind}-{wanted.attempt_id}"] for kind in ("phone", "media"))
    for digit in "4407#":
        for source in sources:
            if source == "channel":
                await fake.tell("ChannelDtmfReceived", digit=digit, duration_ms=90, channel=phone.document())
            else:
                await fake._send(media, {"event": "DTMF_END", "channel_id": media.id, "digit": digit})
    await fake.tell("ChannelDtmfReceived", digit="?!", channel=phone.document())
    await asyncio.sleep(0.1)
    await fake.destroy(phone, 16)
    pressed = ""
    async with asyncio.timeout(20):
        async for event in line.events():
            pressed += event.digit if isinstance(event, DigitPressed) else ""
    assert pressed == "4407#"


async def test_answered_while_the_event_stream_is_down(pbx: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    """Nobody may pick up and hear nothing until their ring time is over."""
    fake, ours = pbx
    dial, phone = await dialled(fake, ours, request())
    await fake.drop_events()
    await fake.answer(phone)  # unheard
    async with asyncio.timeout(3):
        answered = await dial
    await answered.line.hang_up("done")


async def test_ended_while_the_event_stream_is_down_is_unknown(pbx: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    """It may have been answered: whoever dials again by itself would dial a person twice."""
    fake, ours = pbx
    dial, phone = await dialled(fake, ours, request())
    await fake.drop_events()
    await fake.destroy(phone, 17)  # unheard
    with pytest.raises(DialUnknown):
        async with asyncio.timeout(3):
            await dial


async def test_a_dial_that_is_not_confirmed_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeAsterisk()
    async with fake.serve() as url:
        client = httpx.AsyncClient(auth=(USER, PASSWORD), timeout=0.5)
        ours = AsteriskCarrier(Ari(url, USER, PASSWORD, client=client), "PJSIP/{to}")
        await ours.start()
        fake.stall["dial"] = 1.0  # the phone rings, and the answer to our request comes too late
        with pytest.raises(DialUnknown):
            await ours.dial(request("mute"))
        assert not fake.channels, "and nobody is left with a ringing phone"
        fake.stall.clear()
        fake.refuse["channels/phone-"] = 500
        with pytest.raises(DialFailed, match="carrier error"):  # refused is refused
            await ours.dial(request("mute"))
        await ours.close()


async def test_a_bridge_that_somebody_takes_away_ends_the_call(pbx: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    fake, ours = pbx
    wanted = request("mute")
    line = (await ours.dial(wanted)).line
    del fake.bridges[f"bridge-{wanted.attempt_id}"]
    await fake.tell("BridgeDestroyed", bridge={"id": f"bridge-{wanted.attempt_id}"})
    await fake.tell("BridgeDestroyed", bridge={"id": "somebody's"})
    assert await closed(line) == LineClosed("bridge gone")
    await line.hang_up("over")
    await eventually(lambda: not fake.channels)


async def test_picked_up_and_put_down_at_once_was_answered(pbx: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    fake, ours = pbx
    dial, phone = await dialled(fake, ours, request())
    fake.refuse["bridges/bridge-"] = 422
    await fake.answer(phone)
    await fake.destroy(phone, 16)
    async with asyncio.timeout(3):
        answered = await dial
    assert await closed(answered.line) == LineClosed("hung up")


async def test_a_queue_of_the_dialplan_takes_a_person(pbx: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    fake, ours = pbx
    wanted = request("mute")
    await ours.dial(wanted)
    with pytest.raises(DialFailed) as failed:
        await ours.transfer(wanted.attempt_id, "six hundred", ring_timeout=5)
    assert failed.value.reason == "invalid_number" and f"media-{wanted.attempt_id}" in fake.channels
    await ours.transfer(wanted.attempt_id, "Local/mute@queues/n", ring_timeout=5)
    assert fake.channels[f"desk-{wanted.attempt_id}"].name == "Local/mute@queues/n"
    await fake.drop_events()
    await fake.destroy(fake.channels[f"desk-{wanted.attempt_id}"], 16)  # unheard
    await eventually(lambda: not fake.channels)  # the person is not left alone on the bridge


async def test_everything_below_a_prefix(pbx: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    """``prefix`` of http.conf."""
    fake = FakeAsterisk()
    outer = FastAPI()
    outer.mount("/asterisk", fake.app)
    fake.app = outer
    async with fake.serve() as url:
        for written in (f"{url}/asterisk", f"{url}/asterisk/ari/"):
            ours = AsteriskCarrier(Ari(written, USER, PASSWORD), "PJSIP/{to}")
            await ours.start()
            await (await ours.dial(request("mute"))).line.hang_up("done")
            await ours.close()


async def test_one_event_that_fails_makes_nobody_deaf(pbx: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    fake, ours = pbx

    def progress(status: DialStatus) -> None:
        if status.state == "ringing":
            raise RuntimeError("the listener has a fault")

    for strange in ({"channel": 5}, {"channel": {"id": ["phone-"]}}, {"bridge": "x"}, {"peer": None}):
        await fake.tell("BridgeDestroyed", **strange)
        await fake.tell("Dial", **strange)
    answered = await ours.dial(request("echo"), progress)
    await answered.line.hang_up("done")


async def test_an_asterisk_without_json_control_says_so_at_once(pbx: tuple[FakeAsterisk, AsteriskCarrier]) -> None:
    fake, ours = pbx
    fake.plain_text = True
    with pytest.raises(DialFailed, match=r"f\(json\)"):
        async with asyncio.timeout(3):
            await ours.dial(request("mute"))
    assert not any(path == "channels/create" for _, path, _ in fake.requests)
