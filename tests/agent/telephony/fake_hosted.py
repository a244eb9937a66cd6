"""The providers' side of Twilio, Telnyx and Plivo, as their documentation describes it, over real sockets.

They are asked to dial by REST, tell how it goes by signed webhooks (each twice, as happens), open the media socket in
their own dialect when the phone is answered, and sign what they sign. What a phone does is chosen by its number.
``public`` is the address that they were given for us; ``door`` is where that leads.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import socket
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl
from xml.etree import ElementTree

import httpx
import uvicorn
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus

from agent.telephony import plivo, twilio

Kind = Literal["twilio", "telnyx", "plivo"]
SECRET = "provider-secret"
KEY = Ed25519PrivateKey.from_private_bytes(b"t" * 32)
PUBLIC_KEY = base64.b64encode(KEY.public_key().public_bytes_raw()).decode()
SILENCE = base64.b64encode(b"\xff" * 160).decode()


@dataclass(frozen=True)
class Phone:
    """``fate`` is answered, busy, no-answer or invalid. ``talks``: seconds until the person hangs up. ``lost``: the
    request is taken and its answer never sent. ``person`` holds a conversation, given the URL of a media socket."""

    fate: str = "answered"
    talks: float = 0.4
    lost: bool = False
    mute: bool = False
    person: Callable[[str], Awaitable[object]] | None = None


@dataclass
class Call:
    id: str
    to: str
    caller: str
    hook: str
    media: str = ""
    state: str = "queued"
    over: asyncio.Event = field(default_factory=asyncio.Event)


_FINAL: dict[str, dict[str, Any]] = {
    "busy": {"twilio": ("busy", "486"), "telnyx": "user_busy", "plivo": "busy"},
    "no-answer": {"twilio": ("no-answer", ""), "telnyx": "timeout", "plivo": "no-answer"},
    "invalid": {"twilio": ("failed", "404"), "telnyx": "unallocated_number", "plivo": "failed"},
    "answered": {"twilio": ("completed", ""), "telnyx": "normal_clearing", "plivo": "completed"},
}
_RECORD = {"answered": "ANSWER", "busy": "BUSY", "no-answer": "NO_ANSWER", "invalid": "FAILED"}
"""Plivo's word for a fate in the record of a call that is over."""


class FakeHosted:
    def __init__(self, kind: Kind, public: str, door: str, phones: dict[str, Phone]) -> None:
        self.kind, self.public, self.door, self.phones = kind, public, door, phones
        self.calls: dict[str, Call] = {}
        self.dialled: list[str] = []
        self.refused: list[int] = []  # what we answered to webhooks and sockets that should have been taken
        self.forged: list[int] = []  # and to those that nobody signed
        self._tasks: set[asyncio.Task[None]] = set()
        self._http = httpx.AsyncClient(timeout=10, trust_env=False)
        self.app = FastAPI()
        self.app.add_api_route("/{path:path}", self._rest, methods=["GET", "POST", "DELETE"], response_model=None)

    # what we are asked -----------------------------------------------------------------------------------------

    async def _rest(self, path: str, request: Request) -> Response:
        wanted = "Bearer " + SECRET
        if self.kind != "telnyx":
            user = "AC1" if self.kind == "twilio" else "MA1"
            wanted = "Basic " + base64.b64encode(f"{user}:{SECRET}".encode()).decode()
        if request.headers.get("authorization") != wanted:
            return Response(status_code=401)
        raw = await request.body()
        body: dict[str, Any] = json.loads(raw) if raw[:1] == b"{" else dict(parse_qsl(raw.decode()))
        known = next((call for call in self.calls.values() if call.id in path), None)
        if known is None:
            return await self._dial(body) if request.method == "POST" else Response(status_code=404)
        if request.method == "DELETE" or body.get("Status") == "completed" or path.endswith("hangup"):
            known.over.set()
            return JSONResponse({}, 200 if self.kind != "plivo" else 202)
        return self._look_up(known, live=request.query_params.get("status") == "live")

    def _look_up(self, call: Call, live: bool) -> Response:
        """Each provider's own words for how a call stands; Plivo keeps calls that live and calls that were apart."""
        fate, over = self.phones[call.to].fate, call.state == "ended"
        if self.kind == "twilio":
            return JSONResponse({"sid": call.id, "status": _FINAL[fate]["twilio"][0] if over else call.state})
        if self.kind == "telnyx":
            return JSONResponse({"data": {"is_alive": not call.over.is_set() and not over}})
        if live != over:
            ended = {"call_state": _RECORD[fate], "end_time": "2026-11-18 21:06:00+08:00"}
            return JSONResponse(ended if over else {"call_status": call.state, "call_uuid": call.id})
        return JSONResponse({"error": "not found"}, 404)

    async def _dial(self, body: dict[str, Any]) -> Response:
        call_id = uuid.uuid4().hex
        if self.kind == "twilio":
            stream = ElementTree.fromstring(body["Twiml"]).find("Connect/Stream")
            assert stream is not None
            call = Call(call_id, body["To"], body["From"], body["StatusCallback"], stream.attrib["url"])
            answer, status = {"sid": call_id, "status": "queued"}, 201
        elif self.kind == "telnyx":
            call = Call(call_id, body["to"], body["from"], body["webhook_url"], body["stream_url"])
            answer, status = {"data": {"call_control_id": call_id}}, 200
        else:
            call = Call(call_id, body["to"], body["from"], body["ring_url"])
            answer, status = {"request_uuid": call_id, "message": "call fired"}, 201
        self.calls[call_id] = call
        self.dialled.append(call.to)
        task = asyncio.create_task(self._live(call, self.phones[call.to]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self.phones[call.to].lost:
            return Response(status_code=502)
        return JSONResponse(answer, status)

    # what we tell ----------------------------------------------------------------------------------------------

    async def _live(self, call: Call, phone: Phone) -> None:
        await self._tell(call, "ringing")
        await self._pause(call, 0.1)
        if phone.fate != "answered":
            call.state = "ended"
            await self._tell(call, "ended", phone.fate)
            return
        call.state = "in-progress"
        await self._tell(call, "answered")
        if self.kind == "plivo":
            call.media = await self._ask_what_to_do(call)
        if call.media and not phone.mute:
            await self._media(call, phone)
        elif phone.mute:
            await call.over.wait()
        call.state = "ended"
        await self._tell(call, "ended", "answered")

    async def _pause(self, call: Call, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(call.over.wait(), seconds)

    async def _tell(self, call: Call, state: str, fate: str = "") -> None:
        url = call.hook
        if self.kind == "telnyx":
            kind = {"ringing": "call.initiated", "answered": "call.answered", "ended": "call.hangup"}[state]
            payload = {"call_control_id": call.id} | ({"hangup_cause": _FINAL[fate]["telnyx"]} if fate else {})
            body = json.dumps({"data": {"event_type": kind, "payload": payload}}).encode()
            stamp = str(int(time.time()))
            signed = KEY.sign(stamp.encode() + b"|" + body)
            headers = {"telnyx-timestamp": stamp, "telnyx-signature-ed25519": base64.b64encode(signed).decode()}
        elif self.kind == "twilio":
            word, sip = _FINAL[fate]["twilio"] if fate else ({"answered": "in-progress"}.get(state, state), "")
            form = {"CallSid": call.id, "CallStatus": word, "SipResponseCode": sip, "To": call.to}
            body = httpx.QueryParams(form).__str__().encode()
            headers = {"x-twilio-signature": twilio.signature(SECRET, url, form.items())}
        else:
            word = _FINAL[fate]["plivo"] if fate else {"answered": "in-progress"}.get(state, state)
            form = {"CallUUID": call.id, "CallStatus": word, "To": call.to}
            body, headers = self._plivo(url, form)
        first = await self._post(url, body, headers)
        again = await self._post(url, body, headers)
        self.refused += [status for status in (first, again) if status != 204]
        self.forged.append(await self._post(url, body + b" ", {}))

    def _plivo(self, url: str, form: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        nonce = uuid.uuid4().hex
        signed = plivo.signature(SECRET, url, nonce, form.items())
        headers = {"x-plivo-signature-v3": signed, "x-plivo-signature-v3-nonce": nonce}
        return str(httpx.QueryParams(form)).encode(), headers

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        kind = "application/json" if self.kind == "telnyx" else "application/x-www-form-urlencoded"
        local = url.replace(self.public, self.door)
        answer = await self._http.post(local, content=body, headers={**headers, "content-type": kind})
        return answer.status_code

    async def _ask_what_to_do(self, call: Call) -> str:
        url = f"{call.hook}/answer"
        body, headers = self._plivo(url, {"CallUUID": call.id, "Event": "StartApp"})
        kind = {"content-type": "application/x-www-form-urlencoded"}
        answer = await self._http.post(url.replace(self.public, self.door), content=body, headers={**headers, **kind})
        found = re.search(r"wss://[^<]+", answer.text)
        if answer.status_code != 200 or found is None:
            self.refused.append(answer.status_code)
            return ""
        return found.group()

    # sound -----------------------------------------------------------------------------------------------------

    async def _media(self, call: Call, phone: Phone) -> None:
        wss = self.public.replace("https://", "wss://")
        headers = {"x-twilio-signature": twilio.signature(SECRET, call.media)} if self.kind == "twilio" else {}
        url = call.media.replace(wss, self.door.replace("http://", "ws://"))
        try:
            async with connect(url, additional_headers=headers, proxy=None, compression=None) as ours:
                if phone.person is None:
                    await self._quiet(call, phone, ours)
                else:
                    await self._converse(call, phone.person, ours)
        except InvalidStatus as e:
            self.refused.append(e.response.status_code)
        except ConnectionClosed:
            pass

    async def _start(self, call: Call, ours: ClientConnection) -> None:
        form = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}
        if self.kind == "twilio":
            start: dict[str, Any] = {"callSid": call.id, "streamSid": "MZ1", "tracks": ["inbound"], "mediaFormat": form}
            messages = [
                {"event": "connected", "protocol": "Call", "version": "1.0.0"},
                {"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": start},
            ]
        elif self.kind == "telnyx":
            pcmu = {"encoding": "PCMU", "sample_rate": 8000, "channels": 1}
            start = {"call_control_id": call.id, "media_format": pcmu}
            messages = [
                {"event": "connected", "version": "1.0.0"},
                {"event": "start", "sequence_number": "1", "stream_id": "MZ1", "start": start},
            ]
        else:
            start = {"callId": call.id, "streamId": "MZ1", "tracks": ["inbound"], "mediaFormat": form}
            messages = [{"event": "start", "sequenceNumber": 0, "start": start}]
        for message in messages:
            await ours.send(json.dumps(message))

    def _theirs(self, event: str, inner: dict[str, Any]) -> str:
        """A media or mark event of the person's side in this provider's dialect."""
        if self.kind == "plivo" and event == "mark":
            return json.dumps({"event": "playedStream", "streamId": "MZ1", "name": inner["name"]})
        stream = {"twilio": "streamSid", "telnyx": "stream_id", "plivo": "streamId"}[self.kind]
        return json.dumps({"event": event, stream: "MZ1", event: inner})

    def _read(self, raw: str | bytes, stream: str) -> dict[str, Any]:
        """A message of ours as Twilio would have it."""
        message = json.loads(raw)
        event = {"playAudio": "media", "checkpoint": "mark", "clearAudio": "clear"}.get(
            message["event"], message["event"]
        )
        plain: dict[str, Any] = {"event": event, "streamSid": stream}
        if event == "media":
            plain["media"] = {"payload": message["media"]["payload"]}
        elif event == "mark":
            plain["mark"] = {"name": message["name"] if self.kind == "plivo" else message["mark"]["name"]}
        return plain

    async def _quiet(self, call: Call, phone: Phone, ours: ClientConnection) -> None:
        """A person who says nothing and hangs up."""
        await self._start(call, ours)

        async def echo() -> None:
            async for raw in ours:
                if (message := self._read(raw, "MZ1"))["event"] == "mark":
                    await ours.send(self._theirs("mark", message["mark"]))

        listening = asyncio.ensure_future(echo())
        for n in range(int(phone.talks * 50)):
            if call.over.is_set() or listening.done():
                break
            media = {"track": "inbound", "chunk": str(n + 1), "timestamp": str(n * 20), "payload": SILENCE}
            await ours.send(self._theirs("media", media))
            await asyncio.sleep(0.02)
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)

    async def _converse(self, call: Call, person: Callable[[str], Awaitable[object]], ours: ClientConnection) -> None:
        """A simulated person, who speaks Twilio's dialect: everything passes through this provider's own."""

        async def wire(theirs: ServerConnection) -> None:
            stream = ""

            async def hear() -> None:
                async for raw in ours:
                    await theirs.send(json.dumps(self._read(raw, stream)))
                await theirs.close()

            hearing: asyncio.Future[None] | None = None
            async for raw in theirs:
                message = json.loads(raw)
                if message["event"] == "start":
                    stream = message["streamSid"]
                    await self._start(call, ours)
                    hearing = asyncio.ensure_future(hear())
                elif message["event"] in ("media", "mark"):
                    await ours.send(self._theirs(message["event"], message[message["event"]]))
            if hearing is not None:
                hearing.cancel()
                await asyncio.gather(hearing, return_exceptions=True)
            await ours.close()

        async with serve(wire, "127.0.0.1", 0) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            await person(f"ws://127.0.0.1:{port}/")

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        listener = socket.create_server(("127.0.0.1", 0))
        config = uvicorn.Config(
            self.app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=5
        )
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for call in self.calls.values():
                call.over.set()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            server.should_exit = True
            await task
            listener.close()
            await self._http.aclose()
