"""A whole conversation through a PBX: the borrower holds a phone behind Asterisk instead of a carrier's socket."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from agent.case import demo_case
from agent.demo import daytime
from agent.desk import CallDesk
from agent.dialing import place_on_pbx
from agent.events import Lang
from agent.live import CallOutcome
from agent.telephony.asterisk import Ari, AsteriskCarrier
from agent.telephony.asterisk.audiosocket import AudioSocketServer
from agent.telephony.carrier import DialRequest
from agent.telephony.simulator import load_scenario, run_call
from archive.transcript import read_call
from audio import g711

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[1] / "agent" / "telephony"))
from fake_asterisk import PASSWORD, USER, Channel, FakeAsterisk
from pbx import PASSWORD as PBX_PASSWORD
from pbx import TRUNK, RealAsterisk, Telephone, available, has_websocket
from pbx import USER as PBX_USER

FRAME = 160


class Ear:
    """What a telephone behind a real Asterisk hears, in mu-law as on the wire."""

    def __init__(self, telephone: Telephone) -> None:
        self._telephone = telephone
        self._law = bytearray()

    @property
    def heard(self) -> bytearray:
        new = bytes(self._telephone.heard[2 * len(self._law) :])
        self._law += g711.encode(np.frombuffer(new[: len(new) // 2 * 2], "<i2"))
        return self._law


async def hold_phone(
    channel: Channel | Ear, send: Callable[[bytes], Awaitable[None]], scenario: str, lang: Lang
) -> None:
    """Let a simulated borrower speak into, and listen to, the phone of ``channel`` until they hang up."""

    async def wire(socket: ServerConnection) -> None:
        async def listen() -> None:
            heard = 0
            while True:
                await asyncio.sleep(0.02)
                while len(channel.heard) - heard >= FRAME:
                    sound = base64.b64encode(channel.heard[heard : heard + FRAME]).decode()
                    heard += FRAME
                    await socket.send(json.dumps({"event": "media", "streamSid": stream, "media": {"payload": sound}}))

        listening: asyncio.Task[None] | None = None
        stream = ""
        async for raw in socket:
            message = json.loads(raw)
            if message["event"] == "start":
                stream = message["streamSid"]
                listening = asyncio.create_task(listen())
            elif message["event"] == "media":
                await send(base64.b64decode(message["media"]["payload"]))
        if listening is not None:
            listening.cancel()

    async with serve(wire, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        await run_call(f"ws://127.0.0.1:{port}/", load_scenario(scenario, lang), seed=5, out_dir=None, max_seconds=150)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.parametrize(("scenario", "lang"), [("promise", "zh"), ("wants_human", "en")])
def test_a_conversation_over_asterisk(desk: CallDesk, run: Callable[..., Any], scenario: str, lang: Lang) -> None:
    async def scene() -> tuple[FakeAsterisk, CallOutcome, dict[str, Any], str]:
        fake = FakeAsterisk()
        fake.person = lambda channel, send: hold_phone(channel, send, scenario, lang)
        async with fake.serve() as url:
            carrier = AsteriskCarrier(Ari(url, USER, PASSWORD), "PJSIP/{to}")
            await carrier.start()
            case = demo_case(lang)
            call = await desk.prepare(case, lang, at=daytime(case), label=f"pbx {scenario}")
            request = DialRequest(str(uuid.uuid4()), "person")
            outcome = await place_on_pbx(desk, call, carrier, request, transfer_to="mute")
            if scenario == "wants_human":
                assert f"desk-{request.attempt_id}" in fake.channels, "the queue's phone is joined with the person's"
            else:
                async with asyncio.timeout(5):
                    while fake.channels:
                        await asyncio.sleep(0.05)
            await carrier.close()
        return fake, outcome, await asyncio.to_thread(read_call, desk.database, desk.layout.home, call.call_id), url

    _, outcome, document, _ = run(scene())
    assert outcome.error is None
    assert outcome.disposition == load_scenario(scenario, lang).expected_disposition
    assert [turn["who"] for turn in document["turns"]].count("borrower") >= 2


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(available() is not None, reason=str(available()))
@pytest.mark.parametrize(("scenario", "lang"), [("promise", "zh"), ("wants_human", "en")])
def test_a_conversation_over_a_real_asterisk(
    desk: CallDesk, run: Callable[..., Any], scenario: str, lang: Lang, tmp_path: Path
) -> None:
    """SIP and RTP between the borrower and us; the person who is handed over is heard at the queue's telephone."""

    async def person(pbx: RealAsterisk) -> None:
        telephone = await pbx.telephone()

        async def send(sound: bytes) -> None:
            telephone.say(g711.decode(sound).tobytes())

        await hold_phone(Ear(telephone), send, scenario, lang)
        telephone.hang_up()

    async def scene() -> tuple[CallOutcome, dict[str, Any], int]:
        async with RealAsterisk(tmp_path).running() as pbx:
            server = None if has_websocket() else AudioSocketServer("127.0.0.1", 0)
            if server is not None:
                await server.start()
            carrier = AsteriskCarrier(Ari(pbx.url, PBX_USER, PBX_PASSWORD), TRUNK, audio_socket=server)
            await carrier.start()
            borrower = asyncio.create_task(person(pbx))
            case = demo_case(lang)
            call = await desk.prepare(case, lang, at=daytime(case), label=f"asterisk {scenario}")
            request = DialRequest(str(uuid.uuid4()), "100")
            outcome = await place_on_pbx(desk, call, carrier, request, transfer_to="600")
            heard = 0
            if scenario == "wants_human":
                queue = await pbx.telephone("600")
                heard = int(np.abs(np.frombuffer(bytes(queue.heard[: len(queue.heard) // 2 * 2]), "<i2")).max())
                queue.hang_up()
            await borrower
            async with asyncio.timeout(10):
                while await pbx.channels():
                    await asyncio.sleep(0.1)
            await carrier.close()
            if server is not None:
                await server.close()
        return outcome, await asyncio.to_thread(read_call, desk.database, desk.layout.home, call.call_id), heard

    outcome, document, whispered = run(scene())
    assert outcome.error is None
    assert outcome.disposition == load_scenario(scenario, lang).expected_disposition
    assert [turn["who"] for turn in document["turns"]].count("borrower") >= 2
    assert (whispered > 1000) == (scenario == "wants_human"), "the summary is heard at the queue"
