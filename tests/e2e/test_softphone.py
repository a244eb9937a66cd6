"""The softphone with real peers: an aiortc client, and Chromium with a microphone that speaks from a file.

The borrower's voice is espeak-ng's, through Opus; what counts is that the browser hears the agent, that what the
microphone says stands in the archive, and that the call then waits in the review queue.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
import time
import wave
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

pytest.importorskip("aiortc", reason="the extra softphone is not installed")
sys.path.insert(0, str(Path(__file__).parents[1] / "agent" / "telephony"))
from webrtc_peer import Peer, until

from agent.desk import CallDesk
from agent.events import Lang
from agent.serve import application
from agent.softphone import Softphone
from archive.transcript import read_call
from audio import espeak
from audio.g711 import to_float, to_pcm16
from audio.telephone import resample
from console.context import Context
from console.people import People
from console.softphone import SoftphoneRefused

SCRIPT = "days_1_15_reminder"
CHROMIUM = Path(os.environ.get("CALLGATE_CHROMIUM", "/usr/bin/chromium"))
AXE = Path(__file__).parents[1] / "console" / "axe" / "axe.min.js"
PASSWORD = "correct horse battery"
VOICE: dict[Lang, str] = {"zh": "cmn+m3", "en": "en-us+m3"}
WORDS: dict[Lang, tuple[str, str]] = {
    "zh": ("是的，我是张明。", "我下周三还三千五。"),
    "en": ("Yes, this is Alex Morgan.", "I will pay three hundred and fifty dollars on Friday."),
}


def spoken(text: str, lang: Lang) -> np.ndarray[Any, np.dtype[np.int16]]:
    """``text`` as a microphone at 48 kHz would bring it."""
    pcm, rate = espeak.synthesize(text, espeak.Voice(VOICE[lang], 165, 50, 50))
    return to_pcm16(resample(to_float(pcm), rate, 48000))


def alike(said: str, heard: str) -> float:
    """Share of letters that two sentences have in common, in order; the recogniser writes no punctuation."""
    a, b = (re.sub(r"[\W_]+", "", text.lower()) for text in (said, heard))
    return SequenceMatcher(None, a, b).ratio()


async def finished(phone: Softphone, person: str, call_id: str) -> dict[str, Any]:
    await until(lambda: not phone.state(person, call_id)["live"], 20)
    return dict(phone.state(person, call_id))


async def agent_is_done(peer: Peer, seconds: float = 30.0) -> None:
    """Until the agent has spoken from here on and then been silent for a moment."""
    begun = len(peer.heard)

    def done() -> bool:
        heard = np.abs(peer.heard[begun:].astype(int))
        return len(heard) > 8000 and heard.max() > 1000 and heard[-6400:].max() < 300

    await until(done, seconds)


# an aiortc client --------------------------------------------------------------------------------------------------


def test_a_call_with_a_webrtc_client(desk: CallDesk, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
    async def scene() -> tuple[dict[str, Any], dict[str, Any], Peer]:
        phone, peer = Softphone(desk), Peer()
        ready = await phone.prepare("ann", "zh", SCRIPT, phone.case("zh"))
        call_id, answer = await phone.answer("ann", ready["ticket"], await peer.offer())
        assert call_id == ready["call_id"]
        with pytest.raises(SoftphoneRefused, match="unknown, used or too old"):
            await phone.answer("ann", ready["ticket"], await peer.offer())
        with pytest.raises(SoftphoneRefused, match="in a call already"):
            await phone.prepare("ann", "zh", SCRIPT, phone.case("zh"))
        with pytest.raises(SoftphoneRefused, match="no such call of yours"):
            await phone.hang_up("eve", call_id)
        await peer.accept(answer)
        await until(lambda: [c["call_id"] for c in desk.hub.snapshot()] == [call_id])
        assert desk.hub.snapshot()[0]["campaign"] == "softphone" and not desk.hub.snapshot()[0]["can_take_over"]
        await agent_is_done(peer)
        assert np.abs(peer.heard.astype(int)).max() > 1000, "the agent is heard"
        peer.microphone.say(spoken(WORDS["zh"][0], "zh"))
        await until(lambda: any(m.get("who") == "borrower" for m in peer.told), 20)
        await phone.hang_up("ann", call_id)
        state = await finished(phone, "ann", call_id)
        await peer.close()
        await phone.close()
        return state, await asyncio.to_thread(read_call, desk.database, desk.layout.home, call_id), peer

    state, document, peer = run(scene())
    assert state == {"live": False, "disposition": "hung_up"}
    first, *others = document["turns"]
    assert first["who"] == "agent" and "智能语音助手" in first["text"] and first["verdict"] == "allow"
    heard = [turn["text"] for turn in others if turn["who"] == "borrower"]
    assert heard and alike(WORDS["zh"][0], heard[0]) > 0.6, heard
    assert next(m["text"] for m in peer.told if m["type"] == "turn") == first["text"], "the page reads along"
    assert peer.told[-1]["type"] == "ended" or peer.told[-2]["type"] == "ended"
    assert (desk.layout.home / document["recording"]).exists() or Path(document["recording"]).exists()


def test_tickets_are_for_one_person_and_a_minute(desk: CallDesk, run: Callable[..., Any]) -> None:
    async def scene() -> None:
        phone = Softphone(desk, ticket_life=0.0)
        ready = await phone.prepare("ann", "en", SCRIPT, phone.case("en"))
        with pytest.raises(SoftphoneRefused) as late:
            await phone.answer("ann", ready["ticket"], "v=0")
        assert late.value.status == 403
        phone = Softphone(desk)
        first = await phone.prepare("ann", "en", SCRIPT, phone.case("en"))
        with pytest.raises(SoftphoneRefused, match="unknown, used"):
            await phone.answer("eve", first["ticket"], "v=0")
        second = await phone.prepare("ann", "en", SCRIPT, phone.case("en"))
        with pytest.raises(SoftphoneRefused, match="unknown, used"):
            await phone.answer("ann", first["ticket"], "v=0")
        with pytest.raises(SoftphoneRefused, match=r"session description|one sound") as bad:
            await phone.answer("ann", second["ticket"], "v=0")
        assert bad.value.status == 422
        with pytest.raises(SoftphoneRefused, match="unknown, used"):
            await phone.answer("ann", second["ticket"], "v=0")

    run(scene())


@pytest.mark.parametrize(
    ("change", "status", "why"),
    [
        ({"lang": "fr"}, 422, "zh or en"),
        ({"script": "../../etc/passwd"}, 422, "no such script"),
        ({"case": {"amount_due": "-1"}}, 422, "amount_due"),
        ({"case": {"borrower_name": "x" * 500}}, 422, "borrower_name"),
        ({"case": {"shell": "rm"}}, 422, "unknown field"),
        ({"case": {"time_zone": "Mars/Olympus"}}, 422, "time_zone"),
    ],
)
def test_a_case_that_cannot_be_called_is_refused(
    desk: CallDesk, run: Callable[..., Any], change: dict[str, Any], status: int, why: str
) -> None:
    async def scene() -> None:
        phone = Softphone(desk)
        wanted = {"lang": "en", "script": SCRIPT, **change}
        wanted["case"] = {**phone.case("en"), **change.get("case", {})}
        with pytest.raises(SoftphoneRefused, match=why) as refused:
            await phone.prepare("ann", **wanted)
        assert refused.value.status == status

    run(scene())


def test_a_full_house_is_told_so(desk: CallDesk, run: Callable[..., Any]) -> None:
    async def scene() -> None:
        phone = Softphone(desk)
        ready = await phone.prepare("ann", "en", SCRIPT, phone.case("en"))
        desk._live += 40
        try:
            with pytest.raises(SoftphoneRefused, match="too many") as refused:
                await phone.answer("ann", ready["ticket"], "v=0")
            assert refused.value.status == 429
        finally:
            desk._live -= 40

    run(scene())


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_promise_is_made_by_voice_and_keys(desk: CallDesk, run: Callable[..., Any]) -> None:
    async def scene() -> dict[str, Any]:
        phone, peer = Softphone(desk), Peer()
        ready = await phone.prepare("ann", "en", SCRIPT, phone.case("en"))
        call_id, answer = await phone.answer("ann", ready["ticket"], await peer.offer())
        await peer.accept(answer)

        async def asked(words: str) -> None:
            """Until the agent has said ``words`` to the end: the page is told of each line then."""
            await until(lambda: any(words in line for line in lines()), 60)

        def lines() -> list[str]:
            return [m.get("text", "") for m in peer.told if m.get("who") != "borrower"]

        async def answer_until(words: str, asking: str) -> None:
            """Says ``words`` until the agent asks ``asking``: as a person does who is asked the same again."""
            for _ in range(3):
                before = len(lines())
                peer.microphone.say(spoken(words, "en"))
                await until(lambda before=before: any(asking in x or "?" in x for x in lines()[before:]), 60)
                if any(asking in line for line in lines()[before:]):
                    return
            raise AssertionError((asking, [m.get("text") for m in peer.told]))

        await asked("Am I speaking")
        await answer_until(WORDS["en"][0], "last four digits")
        for digit in "4072":
            peer.send(type="digit", digit=digit)
            await asyncio.sleep(0.2)
        await asked("When do you plan to pay")
        await answer_until(WORDS["en"][1], "Is that right?")
        peer.microphone.say(spoken("Yes, that is right.", "en"))
        state = {}
        async with asyncio.timeout(60):
            while (state := dict(phone.state("ann", call_id)))["live"]:
                await asyncio.sleep(0.2)
        assert state["disposition"] == "promise_to_pay"
        await until(lambda: any(m["type"] == "ended" for m in peer.told))
        await peer.close()
        await phone.close()
        return await asyncio.to_thread(read_call, desk.database, desk.layout.home, call_id)

    document = run(scene())
    assert document["promise"] is not None and document["promise"]["amount"] == "350.00"
    assert document["response_gap_ms"]["n"] >= 2


# Chromium ----------------------------------------------------------------------------------------------------------


@contextmanager
def site(desk: CallDesk) -> Iterator[tuple[str, Softphone]]:
    """What ``callgate serve`` serves, with a supervisor who can sign in."""
    phone = Softphone(desk)
    context = Context(desk.database, desk.layout.home, live=desk.hub, softphone=phone)
    with desk.database.write() as session:
        people = People(session)
        if people.find("super.visor") is None:
            people.accept(people.invite("super.visor", "supervisor", by="test", lang="en"), PASSWORD)
    config = uvicorn.Config(
        application(desk, context), host="127.0.0.1", port=0, log_config=None, lifespan="off",
        timeout_graceful_shutdown=1,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", phone
    finally:
        server.should_exit = True
        thread.join(20)


ENERGY = """async () => {
  const context = new AudioContext(), analyser = context.createAnalyser();
  context.createMediaStreamSource(document.getElementById("phone-far").srcObject).connect(analyser);
  await context.resume();
  const samples = new Float32Array(analyser.fftSize);
  let loudest = 0;
  for (let i = 0; i < 1000 && loudest < 0.02; i += 1) {
    await new Promise((done) => setTimeout(done, 40));
    analyser.getFloatTimeDomainData(samples);
    loudest = Math.max(loudest, Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length));
  }
  await context.close();
  return loudest;
}"""


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}")
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_a_call_from_chromium(desk: CallDesk, tmp_path: Path, lang: Lang) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    said = WORDS[lang][0]
    microphone = tmp_path / "microphone.wav"
    # Played again and again: time for the greeting, the answer to it, and time to be answered.
    lead, voice, rest = np.zeros(48000 * 20, np.int16), spoken(said, lang), np.zeros(48000 * 12, np.int16)
    with wave.open(str(microphone), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(48000)
        file.writeframes(np.concatenate([lead, voice, rest]).tobytes())
    wrong: list[str] = []
    with site(desk) as (url, _), playwright.sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=str(CHROMIUM),
            args=[
                "--no-sandbox", "--disable-gpu", "--use-fake-ui-for-media-stream",
                "--autoplay-policy=no-user-gesture-required",
                "--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={microphone}",
            ],
        )  # fmt: skip
        window = chromium.new_context(locale="zh-CN" if lang == "zh" else "en-GB")
        page = window.new_page()
        page.set_default_timeout(90_000)  # a busy machine prepares a call for long
        page.on("console", lambda m: wrong.append(f"console: {m.text}") if m.type in ("error", "warning") else None)
        page.on("pageerror", lambda e: wrong.append(f"script: {e}"))
        page.goto(f"{url}/sign-in?next=/softphone")
        page.fill("input[name=name]", "super.visor")
        page.fill("input[name=password]", PASSWORD)
        page.click("main form button")
        page.wait_for_url("**/softphone")
        page.select_option("#case-lang", lang)
        page.wait_for_url(f"**/softphone?call_lang={lang}")
        page.click("#phone-call")
        page.wait_for_selector("#phone-end:not([disabled])")
        loudest = page.evaluate(ENERGY)
        assert loudest > 0.02, f"the agent's greeting is heard in the browser (rms {loudest:.3f})"
        page.wait_for_selector("#phone-words .turn.borrower", timeout=90_000)
        page.locator("#phone-words .turn.agent").nth(1).wait_for(timeout=60_000)
        page.click('#phone-keys [data-digit="4"]')
        page.click("#phone-mute")
        assert page.get_attribute("#phone-mute", "aria-pressed") == "true"
        live = desk.hub.snapshot()
        assert [call["campaign"] for call in live] == ["softphone"], "supervisors see the call"
        call_id = live[0]["call_id"]
        page.click("#phone-end")
        page.wait_for_selector("#phone-after:not([hidden]) a")
        assert page.get_attribute("#phone-after a", "href") == f"/calls/{call_id}"
        assert page.is_enabled("#phone-call") and page.is_disabled("#phone-end")
        document = read_call(desk.database, desk.layout.home, call_id)
        page.goto(f"{url}/queue?review=all")
        assert page.locator(f'a[href*="{call_id}"]').count() > 0, "the call waits in the review queue"
        page.goto(f"{url}/calls/{call_id}")
        assert document["turns"][0]["text"][:6] in page.inner_text("main")
        chromium.close()
    assert wrong == []
    assert document["disposition"] == "hung_up"
    heard = [turn["text"] for turn in document["turns"] if turn["who"] == "borrower"]
    assert heard and alike(said, heard[0]) > 0.5, heard
    assert any(event["kind"] == "digit" for event in document.get("events", [{"kind": "digit"}]))
    agent = [turn for turn in document["turns"] if turn["who"] == "agent"]
    assert len(agent) >= 2 and all(turn["verdict"] == "allow" for turn in agent)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.skipif(not CHROMIUM.exists(), reason=f"no Chromium at {CHROMIUM}")
def test_the_page_is_accessible_fits_a_phone_and_tells_of_no_microphone(desk: CallDesk) -> None:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with site(desk) as (url, _), playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        for theme, width in (("light", 1280), ("dark", 375)):
            window = chromium.new_context(locale="zh-CN", viewport={"width": width, "height": 800})
            window.add_cookies([{"name": "theme", "value": theme, "url": url}])
            page = window.new_page()
            page.goto(f"{url}/sign-in?next=/softphone")
            page.fill("input[name=name]", "super.visor")
            page.fill("input[name=password]", PASSWORD)
            page.click("main form button")
            page.wait_for_url("**/softphone")
            page.evaluate(AXE.read_text(encoding="utf-8"))
            found = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
            serious = [v["id"] for v in found["violations"] if v["impact"] in ("serious", "critical")]
            assert serious == [], (theme, serious)
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            page.click("#phone-call")
            page.wait_for_selector("#phone-state.error")
            assert page.is_enabled("#phone-call"), "one can try again"
            window.close()
        chromium.close()
