"""The browser's line: offers that are refused, and a real WebRTC peer on loopback that speaks, listens and keys."""

from __future__ import annotations

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip("aiortc", reason="the extra softphone is not installed")
sys.path.insert(0, str(Path(__file__).parent))
from webrtc_peer import Peer, until

from agent.telephony import browser
from agent.telephony.browser import BrowserLine, OfferRefused, Playout, check_offer
from agent.telephony.line import AudioReceived, DigitPressed, LineClosed, LineEvent, MarkPlayed

RATE = 8000


def tone(hertz: float, seconds: float, rate: int = RATE) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return (9000 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.int16)


def strength(pcm: np.ndarray[tuple[int], np.dtype[np.int16]], hertz: float) -> float:
    """How much of the loudest second of ``pcm`` is a tone of ``hertz``: 0 to 1."""
    if len(pcm) < RATE:
        return 0.0
    starts = range(0, len(pcm) - RATE + 1, RATE // 10)
    best = max(starts, key=lambda at: float(np.sum(pcm[at : at + RATE].astype(float) ** 2)))
    spectrum = np.abs(np.fft.rfft(pcm[best : best + RATE] * np.hanning(RATE))) ** 2
    near = slice(int(hertz) - 15, int(hertz) + 16)
    return float(spectrum[near].sum() / max(1.0, spectrum.sum()))


@pytest.fixture(scope="module")
def offer() -> str:
    async def made() -> str:
        peer = Peer()
        try:
            return await peer.offer()
        finally:
            await peer.close()

    return asyncio.run(made())


@contextlib.asynccontextmanager
async def call() -> AsyncIterator[tuple[Peer, BrowserLine, list[LineEvent]]]:
    """A peer that is through to a line, and what the line has told so far."""
    peer, events = Peer(), []
    line = await BrowserLine.open(await peer.offer())

    async def follow() -> None:
        async for event in line.events():
            events.append(event)

    following = asyncio.create_task(follow())
    try:
        await peer.accept(line.answer)
        await line.connected()
        await until(lambda: peer.channel.readyState == "open")
        yield peer, line, events
    finally:
        await line.hang_up("over")
        await peer.close()
        async with asyncio.timeout(20):
            await following


def sound(events: list[LineEvent]) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.concatenate([np.zeros(0, np.int16), *(e.pcm for e in events if isinstance(e, AudioReceived))])


# offers ----------------------------------------------------------------------------------------------------------


def test_what_a_browser_offers_is_taken(offer: str) -> None:
    check_offer(offer)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda o: "", "1 to"),
        (lambda o: o + "a=x:" + "y" * browser.MAX_OFFER, "bytes"),
        (lambda o: o + "a=" + "z" * 2000 + "\r\n", "line"),
        (lambda o: o.replace("a=mid:0", "a=mid:0\x00"), "line"),
        (lambda o: "v=0\r\nnot a session", "session description|one sound"),
        (lambda o: "{}", "session description|one sound"),
        (lambda o: o.replace("m=audio", "m=video"), "one sound|session description"),
        (lambda o: o + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:2\r\n", "one sound"),
        (lambda o: o.replace("m=audio", "m=application", 1), "one sound|session description"),
        (lambda o: o.replace("opus/48000", "nonsense/48000"), "Opus"),
        (lambda o: o.replace("a=sendrecv", "a=recvonly"), "both ways"),
        (lambda o: re.sub(r"a=fingerprint:.*\r\n", "", o), "fingerprint|session description"),
        (lambda o: re.sub(r"a=ice-pwd:.*\r\n", "", o), "ICE|session description"),
        (lambda o: o + "a=candidate:1 1 udp 1 10.0.0.1 5000 typ host\r\n" * 60, "candidates"),
        (lambda o: re.sub(r"(a=candidate:\S+ 1 udp \d+) \S+ \d+", r"\1 10.0.0.1 53", o), "port"),
        (lambda o: re.sub(r"(a=candidate:\S+ 1 udp \d+) \S+", r"\1 239.1.2.3", o), "one host"),
        (lambda o: re.sub(r"(a=candidate:\S+ 1 udp \d+) \S+", r"\1 0.0.0.0", o), "one host"),
        (lambda o: re.sub(r"(a=candidate:\S+ 1 udp \d+) \S+", r"\1 db.internal", o), "no address"),
        (lambda o: re.sub(r"(a=candidate:\S+) 1 udp", r"\1", o), "session description|port|address"),
        (lambda o: o.replace("m=audio ", "m=audio x"), "session description|one sound"),
    ],
)  # fmt: skip
def test_a_hostile_offer_is_refused_with_a_reason(offer: str, change: Callable[[str], str], why: str) -> None:
    changed = change(offer)
    assert changed != offer
    with pytest.raises(OfferRefused, match=why) as refused:
        check_offer(changed)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 120


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_damage_to_an_offer_is_more_than_a_refusal(offer: str, data: st.DataObject) -> None:
    """Whatever is cut, doubled or put into an offer, it is taken or refused: nothing else is raised."""
    lines = offer.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        what = data.draw(st.sampled_from(["cut", "double", "swap", "text"]))
        if what == "cut":
            lines[at] = lines[at][: data.draw(st.integers(0, len(lines[at])))] + "\r\n"
        elif what == "double":
            lines.insert(at, lines[at])
        elif what == "swap":
            other = data.draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        else:
            lines[at] = lines[at].rstrip() + data.draw(st.text(max_size=12)) + "\r\n"
    with contextlib.suppress(OfferRefused):
        check_offer("".join(lines))


async def test_an_offer_that_reads_well_but_cannot_be_answered_is_refused(offer: str) -> None:
    with pytest.raises(OfferRefused, match="cannot be answered"):
        await BrowserLine.open(offer.replace("a=rtcp-mux\r\n", ""))


async def test_without_aiortc_one_line_says_so(monkeypatch: pytest.MonkeyPatch, offer: str) -> None:
    assert browser.missing() is None
    monkeypatch.setattr(browser.importlib.util, "find_spec", lambda name: None)
    assert browser.missing() == "aiortc"
    with pytest.raises(browser.LineError, match=r"needs aiortc.*pip install callgate\[softphone\]"):
        await BrowserLine.open(offer)


# playing ---------------------------------------------------------------------------------------------------------


def test_marks_pass_when_what_was_said_before_them_has_been_taken() -> None:
    playout = Playout()
    playout.mark("nothing before")
    playout.say(np.arange(1, 241, dtype=np.int16))
    playout.mark("all")
    first, passed = playout.take(160)
    assert passed == ["nothing before"] and first[-1] == 160
    second, passed = playout.take(160)
    assert passed == ["all"] and second[79] == 240 and not second[80:].any()
    silence, passed = playout.take(160)
    assert passed == [] and not silence.any()


def test_what_is_cleared_is_not_played_and_nobody_waits_for_it() -> None:
    playout = Playout()
    playout.say(np.ones(1000, np.int16))
    playout.mark("cut")
    playout.clear()
    pcm, passed = playout.take()
    assert passed == ["cut"] and not pcm.any()
    playout.say(np.full(160, 7, np.int16))
    playout.mark("after")
    pcm, passed = playout.take()
    assert (pcm == 7).all() and passed == ["after"]


# a peer ----------------------------------------------------------------------------------------------------------


async def test_both_hear_each_other_and_marks_come_back() -> None:
    async with call() as (peer, line, events):
        peer.microphone.say(tone(700, 1.6, 48000))
        for at in range(0, len(said := tone(450, 1.6)), 160):
            await line.send_audio(said[at : at + 160])
        await line.send_mark("said")
        await until(lambda: MarkPlayed("said") in events)
        await until(lambda: strength(peer.heard, 450) > 0.9)
        await until(lambda: strength(sound(events), 700) > 0.9)
        assert all(len(e.pcm) <= 2 * 160 for e in events if isinstance(e, AudioReceived))


async def test_barge_in_silences_what_was_queued() -> None:
    async with call() as (peer, line, events):
        await line.send_audio(tone(450, 20.0))
        await line.send_mark("end")
        await until(lambda: strength(peer.heard, 450) > 0.9)
        await line.clear()
        await until(lambda: MarkPlayed("end") in events)
        heard = len(peer.heard)
        await until(lambda: len(peer.heard) > heard + RATE)
        assert np.abs(peer.heard[-RATE // 2 :].astype(int)).max() < 200


async def test_keys_reach_the_line_and_nothing_else_does() -> None:
    async with call() as (peer, _, events):
        peer.send(type="digit", digit="4")
        peer.send(type="digit", digit="44")
        peer.send(type="digit", digit=["1"])
        peer.send(type="digit", digit="#" * 5000)
        peer.send(type="say", text="pay now")
        peer.channel.send("{not json")
        peer.channel.send(b"\x00\x01")
        peer.channel.send("[1]")
        peer.send(type="digit", digit="#")
        await until(lambda: DigitPressed("#") in events)
        assert [e for e in events if not isinstance(e, AudioReceived)] == [DigitPressed("4"), DigitPressed("#")]


@pytest.mark.parametrize("how", ["message", "closed"])
async def test_the_browser_hangs_up(how: str) -> None:
    async with call() as (peer, _, events):
        if how == "message":
            peer.send(type="hang-up")
        else:
            await peer.connection.close()
        await until(lambda: LineClosed("hung up") in events)


async def test_we_hang_up_and_the_page_is_told() -> None:
    async with call() as (peer, line, events):
        line.tell({"type": "turn", "who": "agent", "text": "您好"})
        await line.hang_up("call ended")
        await line.hang_up("again")
        line.tell({"type": "turn", "who": "agent", "text": "too late"})
        await until(lambda: len(peer.told) >= 2)
        assert [m["type"] for m in peer.told if m["type"] != "signalling"] == ["turn", "ended"]
        assert LineClosed("hung up") in events
        await until(lambda: peer.connection.connectionState in ("closed", "failed"))


async def test_a_browser_that_never_comes_is_not_waited_for() -> None:
    peer = Peer()
    line = await BrowserLine.open(await peer.offer())
    with pytest.raises(browser.LineError, match="did not connect"):
        await line.connected(within=0.2)
    await line.hang_up("nobody there")
    await peer.close()
