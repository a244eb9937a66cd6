"""The whispered hand-over: what it says, who may fetch it, and what each provider lets whom hear.

The providers here do what their documentation says they do with a transfer, over our own door, and keep what each of
the two ears heard.
"""

from __future__ import annotations

import base64
import io
import json
import re
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from agent import handing_over
from agent.case import demo_case
from agent.dialing import StatusBoard
from agent.dialogue_types import State
from agent.errors import UnapprovedSpeech
from agent.events import Lang, Party
from agent.telephony import plivo, twilio
from agent.telephony.plivo import PlivoCarrier
from agent.telephony.telnyx import TelnyxCarrier
from agent.telephony.twilio import TwilioCarrier
from agent.telephony.webhooks import webhook_routes
from agent.telephony.whisper import FETCHES, LIFE, MAX_KEPT, Whisper, WhisperShelf
from compliance_checks.gate import Gate

BASE, QUEUE, CALLER = "https://calls.example.com", "+8610000001", "+8610000000"
TODAY = date(2026, 11, 21)
PROMISE = (date(2026, 11, 25), Decimal("350.00"))


def state(lang: Lang, party: Party, *said: str, promise: tuple[date, Decimal] | None = None) -> State:
    policy = "cn" if lang == "zh" else "us"
    settled = {} if promise is None else {"promise_date": promise[0].isoformat(), "promise_amount": f"{promise[1]:.2f}"}
    return State("x", lang, policy, party, counts=tuple((each, 1) for each in said), **settled)


def told(gate: Gate, lang: Lang, party: Party, reason: str, *said: str, **options: Any) -> str:
    promise = options.pop("promise", None)
    now = state(lang, party, *said, promise=promise)
    line, _ = handing_over.approved(gate, demo_case(lang, TODAY), now, reason, promise, TODAY, **options)
    assert line is not None
    assert line.line_id == handing_over.SUMMARY
    return line.text


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate.load()


@pytest.fixture(scope="module")
def whisper(gate: Gate) -> Whisper:
    line, _ = handing_over.approved(gate, demo_case("en"), state("en", "borrower"), "request_human", None, TODAY)
    assert line is not None
    return Whisper(line, (9000 * np.sin(np.arange(8000) / 3)).astype(np.int16))


# what is said ------------------------------------------------------------------------------------------------------


def test_a_verified_borrower_is_named_with_reason_troubles_and_promise(gate: Gate) -> None:
    en = told(gate, "en", "borrower", "request_human", "hardship", "dispute_amount", promise=PROMISE)
    assert en == (
        "Hand-over: Alex Morgan, identity verified. The reason: the person asked for a human. Also mentioned: "
        "hardship, disputes the amount. Promised three hundred fifty dollars on November twenty-fifth."
    )
    zh = told(gate, "zh", "borrower", "hardship", "hardship", promise=(PROMISE[0], Decimal("3500.00")), key="1")
    assert zh == "转接来电，张明，身份已核实。原因是对方有经济困难。对方承诺十一月二十五日还三千五百元。请按一接听。"


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("party", ["unverified", "third_party"])
def test_of_anybody_else_neither_name_nor_troubles_nor_promise_is_said(gate: Gate, lang: Lang, party: Party) -> None:
    text = told(gate, lang, party, "not_verified", "hardship", promise=PROMISE)
    case = demo_case(lang)
    assert case.borrower_name not in text and case.lender not in text
    assert not re.search(r"promise|承诺|hardship|困难|\d", text.lower())
    assert re.search(r"verify|核实|disclose nothing|不要透露", text)


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_reason_of_the_scripts_passes_the_gate(gate: Gate, lang: Lang) -> None:
    from scripts.loader import find_scripts

    named = {r for p in find_scripts() for r in re.findall(r"transfer: \{reason: (\w+)", p.read_text("utf-8"))}
    assert len(named) > 8 and named <= set(handing_over.REASONS), named - set(handing_over.REASONS)
    for reason in sorted(named | {"a_reason_of_tomorrow"}):
        for party in ("borrower", "unverified", "third_party"):
            for key in ("", "1"):
                assert told(gate, lang, party, reason, *handing_over.TROUBLES, promise=PROMISE, key=key)  # type: ignore[arg-type]


def test_what_the_gate_refuses_is_replaced_by_a_sentence_without_particulars(gate: Gate) -> None:
    from dataclasses import replace

    case = replace(demo_case("zh"), borrower_name="再不还钱就报警抓你")
    line, verdicts = handing_over.approved(gate, case, state("zh", "borrower"), "complaint", None, TODAY)
    assert line is not None and line.line_id == handing_over.PLAIN and "报警" not in line.text
    assert [verdict.decision == "allow" for _, verdict in verdicts] == [False, True]


def test_only_an_approved_line_can_be_whispered(whisper: Whisper) -> None:
    with pytest.raises(UnapprovedSpeech):
        Whisper("pay now", whisper.pcm)  # type: ignore[arg-type]


def test_the_sound_is_a_wav_that_providers_play(whisper: Whisper) -> None:
    with wave.open(io.BytesIO(whisper.wav())) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2)
        assert np.array_equal(np.frombuffer(file.readframes(8000), "<i2"), whisper.pcm)


# who may fetch it --------------------------------------------------------------------------------------------------


def test_a_whisper_is_fetched_a_few_times_within_two_minutes(whisper: Whisper) -> None:
    now = 0.0
    shelf = WhisperShelf(lambda: now)
    token, other = shelf.put(whisper), shelf.put(whisper)
    assert token != other and len(token) >= 32
    assert [shelf.take(token) is not None for _ in range(FETCHES + 1)] == [True] * FETCHES + [False]
    assert not shelf.known(token) and shelf.take("guess") is None
    now = LIFE
    assert not shelf.known(other) and shelf.take(other) is None


def test_the_shelf_does_not_grow_without_end(whisper: Whisper) -> None:
    shelf = WhisperShelf(lambda: 0.0)
    tokens = [shelf.put(whisper) for _ in range(MAX_KEPT + 5)]
    assert len(shelf._kept) == MAX_KEPT and not shelf.known(tokens[0]) and shelf.known(tokens[-1])


# what each provider does with it -----------------------------------------------------------------------------------


@dataclass
class Ears:
    person: list[bytes] = field(default_factory=list)
    human: list[bytes] = field(default_factory=list)
    joined: bool = False


@dataclass
class Provider:
    """The provider's side of one live call: our door for its requests, and a queue that answers at once."""

    door: httpx.AsyncClient
    ears: Ears = field(default_factory=Ears)
    pressed: str = ""
    asked: list[str] = field(default_factory=list)

    async def fetch(self, url: str) -> bytes:
        assert url.startswith(BASE)
        answer = await self.door.get(url.removeprefix(BASE))
        self.asked.append(url.removeprefix(BASE))
        return answer.content if answer.status_code == 200 else b""

    async def post(self, url: str, sign: Any) -> ElementTree.Element:
        form = {"CallUUID": "u-1", "To": QUEUE}
        answer = await self.door.post(url.removeprefix(BASE), data=form, headers=sign(url, form))
        assert answer.status_code == 200, answer.text
        return ElementTree.fromstring(answer.text)

    async def play(self, document: ElementTree.Element, ear: list[bytes]) -> None:
        assert document.tag == "Response"
        for verb in document:
            assert verb.tag == "Play", "nothing but Play is allowed here"
            ear.append(await self.fetch(verb.text or ""))


def by_twilio(url: str, form: dict[str, str]) -> dict[str, str]:
    return {"x-twilio-signature": twilio.signature("secret", url, form.items())}


def by_plivo(url: str, form: dict[str, str]) -> dict[str, str]:
    signed = plivo.signature("secret", url, "n-1", form.items())
    return {"x-plivo-signature-v3": signed, "x-plivo-signature-v3-nonce": "n-1"}


async def twilio_side(provider: Provider, request: httpx.Request) -> None:
    """TwiML of a redirected call: when the number answers, its ``url`` is asked and played to it alone."""
    twiml = ElementTree.fromstring(dict(parse_qsl(request.content.decode()))["Twiml"])
    number = twiml.find("./Dial/Number")
    assert number is not None and number.text == QUEUE
    if (url := number.get("url")) is not None:
        await provider.play(await provider.post(url, by_twilio), provider.ears.human)
    provider.ears.joined = True


async def telnyx_side(provider: Provider, request: httpx.Request) -> None:
    """A transfer's ``audio_url`` is played when the destination answers, before the bridge."""
    body = json.loads(request.content)
    assert body["to"] == QUEUE and request.url.path.endswith("/actions/transfer")
    if "audio_url" in body:
        provider.ears.human.append(await provider.fetch(body["audio_url"]))
    provider.ears.joined = True


async def plivo_side(provider: Provider, request: httpx.Request) -> None:
    """``aleg_url`` says what the person's leg does; ``confirmSound`` is played to the number, which presses a key."""
    xml = await provider.post(json.loads(request.content)["aleg_url"], by_plivo)
    dial = xml.find("Dial")
    assert dial is not None and dial.findtext("Number") == QUEUE
    if (url := dial.get("confirmSound")) is not None:
        await provider.play(await provider.post(url, by_plivo), provider.ears.human)
        provider.ears.joined = provider.pressed == dial.get("confirmKey")
    else:
        provider.ears.joined = True


SIDES = {"twilio": twilio_side, "telnyx": telnyx_side, "plivo": plivo_side}


@pytest.fixture
async def door() -> AsyncIterator[tuple[StatusBoard, httpx.AsyncClient]]:
    board, app = StatusBoard(), FastAPI()
    key = base64.b64encode(bytes(32)).decode()
    app.include_router(
        webhook_routes(board, BASE, twilio_token="secret", telnyx_key=key, plivo_token="secret", transfer_to=QUEUE)
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.0.0.7") as http:
        yield board, http


async def handed_over(name: str, provider: Provider, token: str | None) -> None:
    async def handler(request: httpx.Request) -> httpx.Response:
        await SIDES[name](provider, request)
        return httpx.Response(200, json={})

    client = httpx.AsyncClient(transport=httpx.MockTransport(handler))
    carrier: Any = {
        "twilio": lambda: TwilioCarrier("AC1", "secret", CALLER, BASE, client=client),
        "telnyx": lambda: TelnyxCarrier("key", "conn-1", CALLER, BASE, client=client),
        "plivo": lambda: PlivoCarrier("MA1", "secret", CALLER, BASE, client=client),
    }[name]()
    provider.pressed = carrier.whisper_key
    await carrier.transfer("provider-call", QUEUE, token)
    await carrier.close()


@pytest.mark.parametrize("name", list(SIDES))
async def test_the_human_hears_the_summary_and_the_person_nothing(
    door: tuple[StatusBoard, httpx.AsyncClient], whisper: Whisper, name: str
) -> None:
    board, http = door
    provider = Provider(http)
    await handed_over(name, provider, board.whispers.put(whisper))
    assert provider.ears == Ears(person=[], human=[whisper.wav()], joined=True)


@pytest.mark.parametrize("name", list(SIDES))
@pytest.mark.parametrize("token", [None, "x" * 32])
async def test_a_whisper_that_is_gone_does_not_stand_in_the_way(
    door: tuple[StatusBoard, httpx.AsyncClient], name: str, token: str | None
) -> None:
    provider = Provider(door[1])
    await handed_over(name, provider, token)
    assert provider.ears.joined and not any(provider.ears.human)


async def test_what_is_whispered_is_asked_for_with_a_signature(
    door: tuple[StatusBoard, httpx.AsyncClient], whisper: Whisper
) -> None:
    board, http = door
    token = board.whispers.put(whisper)
    for path in (f"/webhooks/twilio/whisper/{token}", f"/webhooks/plivo/whisper/{token}"):
        assert (await http.post(path, data={"CallSid": "CA1"})).status_code == 403
        forged = {"x-twilio-signature": "AAAA", "x-plivo-signature-v3": "AAAA", "x-plivo-signature-v3-nonce": "1"}
        assert (await http.post(path, data={"CallSid": "CA1"}, headers=forged)).status_code == 403
    assert (await http.get("/whispers/guess.wav")).status_code == 404
    sound = await http.get(f"/whispers/{token}.wav")
    assert sound.headers["cache-control"] == "no-store" and sound.content == whisper.wav()
