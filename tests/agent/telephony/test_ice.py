"""Softphones that reach us through a relay: whose credentials expire, come from the environment, and stay there."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import SecretStr

pytest.importorskip("aiortc", reason="the extra softphone is not installed")
sys.path.insert(0, str(Path(__file__).parent))
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCIceServer, RTCIceTransportPolicy
from fake_turn import turn_server
from webrtc_peer import Peer, until

from agent.errors import ConfigurationError
from agent.settings import load_settings
from agent.telephony.browser import BrowserLine
from agent.telephony.ice import LIFE, IceServer, IceServers
from agent.telephony.line import AudioReceived

RELAY = ("turn:relay.example:3478",)
SECRET = SecretStr("north")


def expected(name: str) -> str | None:
    """What coturn computes of a name under a shared secret, while the name is good."""
    if int(name.partition(":")[0]) < 1000:
        return None
    return base64.b64encode(hmac.new(b"north", name.encode(), hashlib.sha1).digest()).decode()


def test_a_shared_secret_makes_a_name_that_ends_with_the_call() -> None:
    servers = IceServers(("stun:s.example:3478",), RELAY, secret=SECRET, clock=lambda: 5000.0)
    stun, turn = servers.for_call("c-1")
    assert stun.plain() == {"urls": ["stun:s.example:3478"]}
    assert turn.username == f"{5000 + LIFE}:c-1" and turn.credential == expected(turn.username)
    assert servers.for_call("c-2")[1].credential != turn.credential
    assert "north" not in repr(servers.for_call("c-1")) and str(turn.credential) not in repr(turn)


def test_a_name_and_a_password() -> None:
    (turn,) = IceServers((), RELAY, user="u", password=SecretStr("p")).for_call("c-1")
    assert turn.plain() == {"urls": list(RELAY), "username": "u", "credential": "p"}
    assert IceServers().for_call("c-1") == ()


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"SERVERS": "turn:r.example:3478"}, "CALLGATE_TURN_SECRET"),
        ({"SERVERS": "turn:r.example:3478", "USER": "u"}, "CALLGATE_TURN_PASSWORD"),
        ({"SERVERS": "turn:r.example:3478", "USER": "u", "PASSWORD": "p", "SECRET": "s"}, "exclude"),
        ({"SECRET": "s"}, "CALLGATE_TURN_SERVERS"),
        ({"SERVERS": "https://r.example", "SECRET": "s"}, "CALLGATE_TURN_SERVERS"),
        ({"SERVERS": "turn:user:pass@r.example", "SECRET": "s"}, "CALLGATE_TURN_SERVERS"),
    ],
)
def test_settings_that_cannot_be_used_are_named(
    variables: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"CALLGATE_TURN_{name}", value)
    with pytest.raises(ConfigurationError, match=named) as refused:
        IceServers.of(load_settings())
    assert "\n" not in str(refused.value)


def test_settings_that_can_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLGATE_TURN_SERVERS", "turn:r.example:3478, turns:r.example:5349?transport=tcp")
    monkeypatch.setenv("CALLGATE_TURN_SECRET", "north")
    (turn,) = IceServers.of(load_settings()).for_call("c-1")
    assert turn.urls == ("turn:r.example:3478", "turns:r.example:5349?transport=tcp")


async def test_a_call_through_a_relay() -> None:
    """The browser has an address at the relay alone: the call's sound passes through it, both ways."""
    async with turn_server(expected) as (turn, url):
        (server,) = IceServers((), (url,), secret=SECRET).for_call("c-1")
        peer = Peer(
            RTCConfiguration(
                iceServers=[RTCIceServer(url, server.username, server.credential)],
                iceTransportPolicy=RTCIceTransportPolicy.RELAY,
                bundlePolicy=RTCBundlePolicy.MAX_BUNDLE,
            )
        )
        offer = await peer.offer()
        assert offer.count("a=candidate:") == offer.count(" typ relay") > 0
        line = await BrowserLine.open(offer, (server,))
        assert " typ relay" in line.answer
        heard = 0.0

        async def follow() -> None:
            nonlocal heard
            async for event in line.events():
                if isinstance(event, AudioReceived):
                    heard = max(heard, float(np.abs(event.pcm.astype(float)).max()))

        following = asyncio.create_task(follow())
        try:
            await peer.accept(line.answer)
            await line.connected()
            wave = (9000 * np.sin(2 * np.pi * 440 * np.arange(48000) / 48000)).astype(np.int16)
            peer.microphone.say(wave)
            await line.send_audio(wave[::6])
            await until(lambda: heard > 4000 and len(peer.heard) and np.abs(peer.heard).max() > 4000)
            assert turn.relayed > 20
            assert turn.names == {server.username}
        finally:
            await line.hang_up("over")
            await peer.close()
            async with asyncio.timeout(20):
                await following


async def test_a_relay_that_turns_us_away_costs_the_relay_and_not_the_call(caplog: pytest.LogCaptureFixture) -> None:
    async with turn_server(lambda name: None) as (turn, url):
        peer = Peer()
        with caplog.at_level(logging.ERROR):
            line = await BrowserLine.open(await peer.offer(), (IceServer((url,), "u", "wrong"),))
        try:
            await peer.accept(line.answer)
            await line.connected()
        finally:
            await line.hang_up("over")
            await peer.close()
        assert turn.turned_away
    assert "TURN" in caplog.text and "wrong" not in caplog.text.replace("is wrong", "")
