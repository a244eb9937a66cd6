"""Twilio, Telnyx and Plivo: their REST sides, their webhooks and their streams, as their documentation shows them."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx
import numpy as np
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, WebSocket
from websockets.asyncio.client import connect

from agent.errors import LineError
from agent.telephony import plivo, telnyx, twilio
from agent.telephony.carrier import DialFailed, DialRequest, DialStatus, DialUnknown
from agent.telephony.line import AudioReceived, DigitPressed, LineClosed, LineEvent, MarkPlayed
from agent.telephony.media_socket import Dialect, MediaSocketLine
from agent.telephony.webhooks import webhook_routes
from agent.telephony.whisper import WhisperShelf

BASE = "https://calls.example.com"
REQUEST = DialRequest("attempt-1", "+8613800138000", ring_timeout=30, media_path="/media/x/token")
Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(handler))


def carriers(handler: Handler) -> list[Any]:
    return [
        twilio.TwilioCarrier("AC1", "secret", "+8610000000", BASE, client=client(handler)),
        telnyx.TelnyxCarrier("key", "conn-1", "+8610000000", BASE, client=client(handler)),
        plivo.PlivoCarrier("MA1", "secret", "+8610000000", BASE, client=client(handler)),
    ]


# dialling ------------------------------------------------------------------------------------------------------------


async def test_twilio_is_asked_for_a_two_way_stream_with_machine_detection() -> None:
    seen: list[list[tuple[str, str]]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/2010-04-01/Accounts/AC1/Calls.json"
        seen.append(parse_qsl(request.content.decode()))
        return httpx.Response(201, json={"sid": "CA1", "status": "queued"})

    assert await carriers(handler)[0].place(REQUEST) == "CA1"
    form = dict(seen[0])
    assert form["Twiml"] == (
        '<Response><Connect><Stream url="wss://calls.example.com/media/x/token"/></Connect></Response>'
    )
    assert (form["To"], form["From"], form["Timeout"]) == (REQUEST.to, "+8610000000", "30")
    assert form["AsyncAmd"] == "true", "the conversation does not wait for the machine's verdict"
    assert [v for k, v in seen[0] if k == "StatusCallbackEvent"] == ["initiated", "ringing", "answered", "completed"]


async def test_telnyx_dials_idempotently_and_both_ways() -> None:
    seen: list[dict[str, Any]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(json.loads(request.content))
        return httpx.Response(200, json={"data": {"call_control_id": "v3:abc"}})

    assert await carriers(handler)[1].place(REQUEST) == "v3:abc"
    assert seen[0]["command_id"] == REQUEST.attempt_id
    assert seen[0]["stream_bidirectional_mode"] == "rtp"
    assert seen[0]["stream_url"] == "wss://calls.example.com/media/x/token"


@pytest.mark.parametrize(
    ("live", "record", "wanted"),
    [
        ((200, {"call_status": "in-progress"}), (404, {}), DialStatus("answered", cause="in-progress")),
        ((404, {}), (200, {"call_state": "ANSWER", "end_time": "2026"}), DialStatus("ended", cause="answer")),
        (
            (404, {}),
            (200, {"call_state": "NO_ANSWER", "end_time": "2026", "hangup_cause_name": "No Answer"}),
            DialStatus("ended", "no_answer", cause="No Answer"),
        ),
        ((404, {}), (200, {"call_state": "ANSWER", "end_time": None}), DialStatus("unknown", cause="200")),
        ((404, {}), (404, {}), DialStatus("unknown", cause="404")),
    ],
)
async def test_plivo_keeps_calls_that_live_and_calls_that_were_apart(
    live: tuple[int, dict[str, Any]], record: tuple[int, dict[str, Any]], wanted: DialStatus
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        status, body = live if request.url.params.get("status") == "live" else record
        return httpx.Response(status, json=body)

    carrier = plivo.PlivoCarrier("MA1", "secret", "+8610000000", BASE, client=client(answer))
    assert await carrier.status("u-1") == wanted


async def test_plivo_is_told_where_to_ask() -> None:
    seen: list[dict[str, Any]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.url.path == "/v1/Account/MA1/Call/"
        seen.append(json.loads(request.content))
        return httpx.Response(201, json={"request_uuid": "r-1", "message": "call fired"})

    assert await carriers(handler)[2].place(REQUEST) == "r-1"
    assert seen[0]["answer_url"] == f"{BASE}/webhooks/plivo/attempt-1/answer"


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_a_refusal_was_surely_not_dialled(which: int) -> None:
    carrier = carriers(lambda _: httpx.Response(400, json={"code": 20003, "errors": [{"code": "10015"}]}))[which]
    with pytest.raises(DialFailed) as failed:
        await carrier.place(REQUEST)
    assert failed.value.reason == "carrier_error"


@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("fault", ["time-out", "torn", "500", "nonsense"])
async def test_an_answer_that_never_came_may_have_rung(which: int, fault: str) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        if fault == "time-out":
            raise httpx.ReadTimeout("late", request=request)
        if fault == "torn":
            raise httpx.RemoteProtocolError("closed", request=request)
        return httpx.Response(500) if fault == "500" else httpx.Response(200, text="<html>")

    with pytest.raises(DialUnknown):
        await carriers(handler)[which].place(REQUEST)


@pytest.mark.parametrize("which", [0, 1, 2])
async def test_without_a_connection_nothing_was_dialled(which: int) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    with pytest.raises(DialFailed, match="no connection"):
        await carriers(handler)[which].place(REQUEST)


@pytest.mark.parametrize("code", [21211, 21217])
async def test_twilio_knows_numbers_that_are_none(code: int) -> None:
    with pytest.raises(DialFailed) as failed:
        await carriers(lambda _: httpx.Response(400, json={"code": code}))[0].place(REQUEST)
    assert failed.value.reason == "invalid_number"


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"CallStatus": "ringing"}, DialStatus("ringing", cause="ringing")),
        ({"CallStatus": "in-progress", "AnsweredBy": "human"}, DialStatus("answered", None, "person", "in-progress")),
        ({"CallStatus": "in-progress", "AnsweredBy": "machine_end_beep"},
         DialStatus("answered", None, "machine", "in-progress")),
        ({"CallStatus": "busy", "SipResponseCode": "486"}, DialStatus("ended", "busy", cause="486")),
        ({"CallStatus": "failed", "SipResponseCode": "404"}, DialStatus("ended", "invalid_number", cause="404")),
        ({"CallStatus": "failed", "SipResponseCode": "503"}, DialStatus("ended", "carrier_error", cause="503")),
        ({"CallStatus": "on fire"}, DialStatus("unknown", cause="on fire")),
        ({}, DialStatus("unknown")),
    ],
)  # fmt: skip
def test_twilio_statuses(form: dict[str, str], status: DialStatus) -> None:
    assert twilio.read_status(form) == status


def test_telnyx_statuses() -> None:
    def event(kind: str, **payload: str) -> DialStatus:
        return telnyx.read_status({"data": {"event_type": kind, "payload": payload}})

    assert event("call.answered").state == "answered"
    assert event("call.hangup", hangup_cause="user_busy").failure == "busy"
    assert event("call.hangup", hangup_cause="normal_clearing").failure is None
    assert event("call.machine.detection.ended", result="machine").answered_by == "machine"
    assert telnyx.read_status({"data": []}).state == "unknown"


# signatures ----------------------------------------------------------------------------------------------------------


def test_twilios_signature_is_that_of_its_documentation() -> None:
    """The worked example of Twilio's "Webhooks security" page: auth token 12345."""
    form = {
        "CallSid": "CA1234567890ABCDE", "Caller": "+12349013030", "Digits": "1234", "From": "+12349013030",
        "To": "+18005551212",
    }  # fmt: skip
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert twilio.signature("12345", url, form.items()) == "0/KCTR6DLpKmkAf8muzZqo1nDgQ="
    assert twilio.is_signed("0/KCTR6DLpKmkAf8muzZqo1nDgQ=", "12345", url, form.items())
    assert not twilio.is_signed("0/KCTR6DLpKmkAf8muzZqo1nDgQ=", "12346", url, form.items())
    assert not twilio.is_signed(None, "12345", url, form.items())


class Board:
    def __init__(self) -> None:
        self.media_paths = {"attempt-1": "/media/plivo/token"}
        self.posted: list[tuple[str, DialStatus]] = []
        self.whispers = WhisperShelf()

    def post(self, attempt_id: str, status: DialStatus) -> bool:
        self.posted.append((attempt_id, status))
        return attempt_id == "attempt-1"


KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
PUBLIC = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
NOW = 1_700_000_000.0


@pytest.fixture
async def door() -> AsyncIterator[tuple[Board, httpx.AsyncClient]]:
    board = Board()
    app = FastAPI()
    app.include_router(
        webhook_routes(
            board, BASE, twilio_token="secret", telnyx_key=PUBLIC, plivo_token="secret", transfer_to="+8610",
            clock=lambda: NOW,
        )
    )  # fmt: skip
    # The address that the request shows is a proxy's: signatures must hold for the public one.
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://10.0.0.7:8080") as c:
        yield board, c


async def test_signed_webhooks_are_believed(door: tuple[Board, httpx.AsyncClient]) -> None:
    board, http = door
    form = {"CallStatus": "busy", "SipResponseCode": "486", "To": "+86 138"}
    signed = {"x-twilio-signature": twilio.signature("secret", f"{BASE}/webhooks/twilio/attempt-1", form.items())}
    assert (await http.post("/webhooks/twilio/attempt-1", data=form, headers=signed)).status_code == 204
    body = json.dumps({"data": {"event_type": "call.answered", "payload": {}}}).encode()
    stamp = str(int(NOW) - 10)
    headers = {
        "telnyx-timestamp": stamp,
        "telnyx-signature-ed25519": base64.b64encode(KEY.sign(stamp.encode() + b"|" + body)).decode(),
    }
    assert (await http.post("/webhooks/telnyx/attempt-1", content=body, headers=headers)).status_code == 204
    url = f"{BASE}/webhooks/plivo/attempt-1/answer"
    plivo_form = {"CallUUID": "u-1", "Event": "StartApp"}
    plivo_signed = {
        "x-plivo-signature-v3": plivo.signature("secret", url, "n-1", plivo_form.items()),
        "x-plivo-signature-v3-nonce": "n-1",
    }
    answer = await http.post("/webhooks/plivo/attempt-1/answer", data=plivo_form, headers=plivo_signed)
    assert "wss://calls.example.com/media/plivo/token" in answer.text and 'bidirectional="true"' in answer.text
    assert [status.state for _, status in board.posted] == ["ended", "answered", "answered"]


async def test_forged_replayed_and_oversized_webhooks_are_refused(door: tuple[Board, httpx.AsyncClient]) -> None:
    board, http = door
    form = {"CallStatus": "completed"}
    good = twilio.signature("secret", f"{BASE}/webhooks/twilio/attempt-1", form.items())
    for path, data, headers, wanted in [
        ("twilio/attempt-1", form, {}, 403),
        ("twilio/attempt-1", form, {"x-twilio-signature": "AAAA"}, 403),
        ("twilio/attempt-1", {"CallStatus": "busy"}, {"x-twilio-signature": good}, 403),
        ("twilio/attempt-2", form, {"x-twilio-signature": good}, 403),
        ("twilio/attempt-1", {"x": "y" * 40_000}, {"x-twilio-signature": good}, 413),
        ("plivo/attempt-1", form, {"x-plivo-signature-v3": "AAAA", "x-plivo-signature-v3-nonce": "1"}, 403),
        ("plivo/attempt-1/answer", form, {}, 403),
    ]:
        content = urlencode(data)
        kind = {"content-type": "application/x-www-form-urlencoded"}
        answer = await http.post(f"/webhooks/{path}", content=content, headers={**kind, **headers})
        assert answer.status_code == wanted, (path, headers)
    body, old = b"{}", str(int(NOW) - 301)
    replayed = {
        "telnyx-timestamp": old,
        "telnyx-signature-ed25519": base64.b64encode(KEY.sign(old.encode() + b"|" + body)).decode(),
    }
    assert (await http.post("/webhooks/telnyx/attempt-1", content=body, headers=replayed)).status_code == 403
    assert board.posted == []


async def test_a_signed_webhook_for_an_unknown_attempt_is_refused(door: tuple[Board, httpx.AsyncClient]) -> None:
    _, http = door
    form = {"CallStatus": "busy"}
    signed = {"x-twilio-signature": twilio.signature("secret", f"{BASE}/webhooks/twilio/other", form.items())}
    assert (await http.post("/webhooks/twilio/other", data=form, headers=signed)).status_code == 404


async def test_carriers_without_a_secret_have_no_door() -> None:
    app = FastAPI()
    app.include_router(webhook_routes(Board(), BASE))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://x") as http:
        for path in ("twilio/a", "telnyx/a", "plivo/a", "plivo/a/answer"):
            assert (await http.post(f"/webhooks/{path}", content=b"")).status_code == 404


# streams -------------------------------------------------------------------------------------------------------------

MULAW = base64.b64encode(bytes([0x2A] * 160)).decode()
STREAMS: dict[str, tuple[Dialect, list[dict[str, Any]], Callable[[dict[str, Any]], dict[str, Any] | None]]] = {
    "twilio": (
        twilio.DIALECT,
        [
            {"event": "connected", "protocol": "Call", "version": "1.0.0"},
            {"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": {
                "accountSid": "AC1", "streamSid": "MZ1", "callSid": "CA1", "tracks": ["inbound"],
                "customParameters": {},
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}}},
            {"event": "media", "sequenceNumber": "2", "streamSid": "MZ1", "media": {
                "track": "inbound", "chunk": "1", "timestamp": "5", "payload": MULAW}},
            {"event": "dtmf", "streamSid": "MZ1", "sequenceNumber": "5", "dtmf": {
                "track": "inbound_track", "digit": "7"}},
        ],
        lambda m: {"event": "mark", "streamSid": "MZ1", "mark": m["mark"]} if m["event"] == "mark" else None,
    ),
    "telnyx": (
        telnyx.DIALECT,
        [
            {"event": "connected", "version": "1.0.0"},
            {"event": "start", "sequence_number": "1", "stream_id": "32DE", "start": {
                "user_id": "u", "call_control_id": "v2:T02", "client_state": "aGk=",
                "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}}},
            {"event": "media", "sequence_number": "4", "stream_id": "32DE", "media": {
                "track": "inbound", "chunk": "1", "timestamp": "5", "payload": MULAW}},
            {"event": "dtmf", "stream_id": "32DE", "occurred_at": "2026-11-22T08:00:00Z", "sequence_number": "5",
             "dtmf": {"digit": "7"}},
        ],
        lambda m: {"event": "mark", "stream_id": "32DE", "sequence_number": "9", "mark": m["mark"]}
        if m["event"] == "mark" else None,
    ),
    "plivo": (
        plivo.DIALECT,
        [
            {"sequenceNumber": 0, "event": "start", "start": {
                "callId": "c-1", "streamId": "20170b7d", "accountId": "1", "tracks": ["inbound"],
                "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000}}, "extra_headers": "{}"},
            {"sequenceNumber": 1, "streamId": "20170b7d", "event": "media", "media": {
                "track": "inbound", "timestamp": "1675085468906", "chunk": 1, "payload": MULAW}},
            {"event": "dtmf", "streamId": "20170b7d", "dtmf": {
                "track": "inbound", "digit": "7", "timestamp": "1675085469000"}},
        ],
        lambda m: {"event": "playedStream", "streamId": "20170b7d", "sequenceNumber": 2, "name": m["name"]}
        if m["event"] == "checkpoint" else None,
    ),
}  # fmt: skip


@pytest.fixture
async def stream_server() -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Our side of a stream: everything that comes is kept; a tone and a mark are sent; hung up after the mark."""
    app = FastAPI()
    kept: dict[str, Any] = {"events": []}

    @app.websocket("/media/{name}")
    async def media(ws: WebSocket, name: str) -> None:
        await ws.accept()
        try:
            line = await MediaSocketLine.answer(STREAMS[name][0], ws)
        except LineError as e:
            kept["error"] = str(e)
            await ws.close(4500)
            return
        kept["call"] = line.started.call_sid
        await line.send_audio(np.full(320, 1000, np.int16))
        await line.send_mark("goodbye")
        await line.clear()
        events: list[LineEvent] = kept["events"]
        async for event in line.events():
            events.append(event)
            if isinstance(event, MarkPlayed):
                await line.hang_up("done")
                return

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, ws="websockets-sansio", lifespan="off", timeout_graceful_shutdown=1)
    )
    task = asyncio.create_task(server._serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.01)
    yield f"ws://127.0.0.1:{listener.getsockname()[1]}/media/", kept
    server.should_exit = True
    await task
    listener.close()


@pytest.mark.parametrize("name", list(STREAMS))
async def test_a_stream_in_every_dialect(name: str, stream_server: tuple[str, dict[str, Any]]) -> None:
    url, kept = stream_server
    _, messages, echo = STREAMS[name]
    sounded = b""
    async with connect(url + name, proxy=None) as ws:
        for message in messages:
            await ws.send(json.dumps(message))
        async for raw in ws:
            message = json.loads(raw)
            if message["event"] in ("media", "playAudio"):
                sounded += base64.b64decode(message["media"]["payload"])
            if (answer := echo(message)) is not None:
                await ws.send(json.dumps(answer))
    assert len(sounded) == 320
    kinds = [type(e) for e in kept["events"]]
    assert kinds == [AudioReceived, DigitPressed, MarkPlayed], kinds
    assert kept["events"][1] == DigitPressed("7") and kept["events"][2] == MarkPlayed("goodbye")
    assert kept["call"] in ("CA1", "v2:T02", "c-1")


@pytest.mark.parametrize("name", list(STREAMS))
async def test_a_stream_in_another_codec_is_refused(name: str, stream_server: tuple[str, dict[str, Any]]) -> None:
    url, kept = stream_server
    messages = json.loads(json.dumps(STREAMS[name][1]))
    start = next(m for m in messages if m["event"] == "start")["start"]
    start.get("media_format", start.get("mediaFormat"))["encoding"] = "OPUS"
    async with connect(url + name, proxy=None) as ws:
        for message in messages[:2]:
            await ws.send(json.dumps(message))
        await ws.wait_closed()
    assert "wrong_format" in kept["error"]


@pytest.mark.parametrize("name", list(STREAMS))
@pytest.mark.parametrize("junk", [{}, {"event": 3}, {"event": "media", "media": []}, {"event": "start", "start": 1}])
async def test_junk_is_refused_in_every_dialect(
    name: str, junk: dict[str, Any], stream_server: tuple[str, dict[str, Any]]
) -> None:
    url, kept = stream_server
    async with connect(url + name, proxy=None) as ws:
        await ws.send(json.dumps(junk))
        await ws.wait_closed()
    assert kept["error"]


async def test_the_end_of_a_stream_is_the_end_of_the_call(stream_server: tuple[str, dict[str, Any]]) -> None:
    url, kept = stream_server
    async with connect(url + "telnyx", proxy=None) as ws:
        for message in STREAMS["telnyx"][1][:2]:
            await ws.send(json.dumps(message))
        await ws.send(json.dumps({"event": "stop", "stream_id": "32DE", "stop": {"user_id": "u"}}))
        await asyncio.wait_for(ws.recv(), 20)
    async with asyncio.timeout(20):
        while not kept["events"]:
            await asyncio.sleep(0.01)
    assert kept["events"] == [LineClosed("hung up")]
