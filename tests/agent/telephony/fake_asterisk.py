"""The Asterisk side of ARI, chan_websocket and AudioSocket, as its documentation describes it, over real sockets.

What a phone does is chosen by the number dialled: see ``PHONES``. Every channel keeps what the phone heard.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import socket
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from starlette.websockets import WebSocketDisconnect

USER, PASSWORD = "callgate", "pbx-secret"
FRAME = 160
TRUNK_FRAME = 240  # the trunk sends 30 ms


@dataclass(frozen=True)
class Phone:
    rings: bool = True
    answers: bool = True
    cause: int = 19
    hangs_up_after: float | None = None
    presses: str = ""
    silent: bool = False
    person: bool = False
    early: bool = False  # 183 with the network's own ringing or announcement, and no 180
    still: bool = False  # does nothing: the test tells its events


PHONES = {
    "echo": Phone(),
    "busy": Phone(answers=False, cause=17),
    "nobody": Phone(answers=False, cause=19),
    "no-trunk": Phone(rings=False, answers=False, cause=19),
    "no-number": Phone(rings=False, answers=False, cause=1),
    "refuses": Phone(answers=False, cause=21),
    "leaves": Phone(hangs_up_after=0.3),
    "keys": Phone(presses="12#"),
    "mute": Phone(silent=True),
    "early": Phone(answers=False, cause=19, early=True),
    "still": Phone(still=True),
    "person": Phone(person=True),  # a simulated borrower holds it: see ``FakeAsterisk.person``
}


@dataclass
class Channel:
    id: str
    name: str
    app: str = ""
    state: str = "Down"
    entered: bool = False
    phone: Phone | None = None
    variables: dict[str, str] = field(default_factory=dict)
    heard: bytearray = field(default_factory=bytearray)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    # of a media channel
    connection: str = ""
    socket: WebSocket | None = None
    writer: asyncio.StreamWriter | None = None
    queue: deque[bytes | str] = field(default_factory=deque)
    xoff: bool = False
    commands: list[dict[str, Any]] = field(default_factory=list)
    dropped_control: int = 0

    def document(self) -> dict[str, Any]:
        return {"id": self.id, "name": self.name, "state": self.state, "channelvars": {}}


class FakeAsterisk:
    def __init__(self) -> None:
        self.channels: dict[str, Channel] = {}
        self.gone: dict[str, Channel] = {}
        self.bridges: dict[str, set[str]] = {}
        self.events: list[WebSocket] = []
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.refuse: dict[str, int] = {}  # path prefix -> status
        self.stall: dict[str, float] = {}  # last part of a path -> seconds until its answer comes, when all is done
        self.plain_text = False  # an Asterisk that does not know f(json)
        self.person: Callable[[Channel, Callable[[bytes], Awaitable[None]]], Awaitable[None]] | None = None
        self.app = self._app()

    # REST ------------------------------------------------------------------------------------------------------

    def _app(self) -> FastAPI:
        app = FastAPI()

        @app.websocket("/ari/events")
        async def events(ws: WebSocket) -> None:
            if ws.query_params.get("api_key") != f"{USER}:{PASSWORD}":
                await ws.close(4401)
                return
            await ws.accept()
            for other in self.events:  # one listener to an application; the other stays connected and hears no more
                await other.send_text(json.dumps({"type": "ApplicationReplaced"}))
            self.events[:] = [ws]
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                while True:
                    await ws.receive_text()
            if ws in self.events:
                self.events.remove(ws)

        @app.websocket("/media/{connection}")
        async def media(ws: WebSocket, connection: str) -> None:
            channel = next((c for c in self.channels.values() if c.connection == connection), None)
            if channel is None or "media" not in ws.scope["subprotocols"]:
                await ws.close(4404)
                return
            await ws.accept(subprotocol="media")
            channel.socket = ws
            await self._media_socket(channel)

        @app.api_route("/ari/{path:path}", methods=["GET", "POST", "DELETE"])
        async def rest(path: str, request: Request) -> Response:
            wanted = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            if request.headers.get("authorization") != wanted:
                return Response(status_code=401)
            query = dict(request.query_params)
            self.requests.append((request.method, path, query))
            for prefix, status in self.refuse.items():
                if path.startswith(prefix) and request.method == "POST":
                    return Response(status_code=status)
            status, answer = await self._rest(request.method, path.split("/"), query)
            if request.method == "POST":
                await asyncio.sleep(self.stall.get(path.split("/")[-1], 0))
            return JSONResponse(answer, status) if answer is not None else Response(status_code=status)

        return app

    async def _rest(self, method: str, path: list[str], query: dict[str, str]) -> tuple[int, Any]:
        if path == ["channels"] and method == "GET":
            return 200, [c.document() for c in self.channels.values()]
        if path[0] == "applications":
            return 200, {"name": path[1], "channel_ids": [c.id for c in self.channels.values() if c.app == path[1]]}
        if path == ["bridges"] and method == "POST":
            self.bridges[query["bridgeId"]] = set()
            return 200, {"id": query["bridgeId"]}
        if path == ["channels", "externalMedia"]:
            return await self._external_media(query)
        if path == ["channels", "create"]:
            number = query["endpoint"].split("/", 1)[1].split("@")[0]
            if query["channelId"] in self.channels:
                return 409, {"message": "Channel with given unique ID already exists"}
            channel = Channel(query["channelId"], query["endpoint"], query["app"], phone=PHONES[number])
            self.channels[channel.id] = channel
            channel.tasks.append(asyncio.create_task(self._enter(channel)))
            return 200, channel.document()
        if path[0] == "bridges" and path[-1] == "addChannel":
            for name in query["channel"].split(","):
                if name not in self.channels:
                    return 400, {"message": "Channel not found"}
                self.bridges[path[1]].add(name)
            return 204, None
        if path[0] == "bridges" and path[-1] == "removeChannel":
            if query["channel"] not in self.bridges.get(path[1], set()):
                return 422, {"message": "Channel not in this bridge"}
            self.bridges[path[1]].discard(query["channel"])
            return 204, None
        if path[0] == "bridges" and method == "DELETE":
            return (
                (204, None) if self.bridges.pop(path[1], None) is not None else (404, {"message": "Bridge not found"})
            )
        channel = self.channels.get(path[1]) if path[0] == "channels" else None
        if channel is None:
            return 404, {"message": "Channel not found"}
        if method == "GET" and len(path) == 2:
            return 200, channel.document()
        if not channel.entered and len(path) > 2:
            return 409, {"message": "Channel not in Stasis application"}
        if method == "GET" and path[2] == "variable":
            return 200, {"value": channel.variables[query["variable"]]}
        if path[2:] == ["variable"]:
            channel.variables[query["variable"]] = query["value"]
            return 204, None
        if path[2:] == ["dial"]:
            channel.tasks.append(asyncio.create_task(self._phone(channel)))
            return 204, None
        if method == "DELETE":
            await self.destroy(channel, 16)
            return 204, None
        return 400, {"message": "unknown"}

    async def _enter(self, channel: Channel) -> None:
        """A created channel enters the application on a thread of its own, a little after it was created."""
        await asyncio.sleep(0.02)
        channel.entered = True
        await self.tell("StasisStart", channel=channel.document(), args=[])

    async def _external_media(self, query: dict[str, str]) -> tuple[int, Any]:
        channel = Channel(query["channelId"], "WebSocket/INCOMING", query["app"], entered=True)
        self.channels[channel.id] = channel
        if query["encapsulation"] == "audiosocket":
            host, port = query["external_host"].rsplit(":", 1)
            channel.tasks.append(asyncio.create_task(self._audio_socket(channel, host, int(port), query["data"])))
            return 200, channel.document()
        assert query["external_host"] == "INCOMING" and query["connection_type"] == "server"
        channel.connection = str(uuid.uuid4())
        channel.variables["MEDIA_WEBSOCKET_CONNECTION_ID"] = channel.connection
        return 200, channel.document()

    # the phone -------------------------------------------------------------------------------------------------

    async def _phone(self, channel: Channel) -> None:
        phone = channel.phone
        assert phone is not None
        await asyncio.sleep(0.02)
        if phone.still:
            return
        if phone.early:
            await self.tell("Dial", dialstatus="PROGRESS", peer=channel.document())
        elif phone.rings:
            channel.state = "Ringing"
            await self.tell("Dial", dialstatus="RINGING", peer=channel.document())
            await asyncio.sleep(0.05)
        if not phone.answers:
            await self.tell("Dial", dialstatus="NOANSWER", peer=channel.document())
            await self.destroy(channel, phone.cause)
            return
        channel.state = "Up"
        await self.tell("ChannelStateChange", channel=channel.document())
        await self.tell("Dial", dialstatus="ANSWER", peer=channel.document())
        if phone.hangs_up_after is not None:
            await asyncio.sleep(phone.hangs_up_after)
            await self.destroy(channel, 16)

    def _partner(self, channel: Channel) -> Channel | None:
        for members in self.bridges.values():
            if channel.id in members:
                for name in members - {channel.id}:
                    return self.channels.get(name)
        return None

    async def _phone_to_us(self, channel: Channel) -> None:
        """A phone that answered and is joined: sends 30 ms packets, echoes what it heard, presses its keys."""
        while (partner := self._partner(channel)) is None:
            await asyncio.sleep(0.01)
        phone = partner.phone
        assert phone is not None
        for digit in phone.presses:
            await self._send(channel, {"event": "DTMF_END", "channel_id": channel.id, "digit": digit})
        if phone.person and self.person is not None:
            await self.person(partner, lambda packet: self._send_audio(channel, packet))
            await self.destroy(partner, 16)
            return
        position = 0
        while not phone.silent:
            await asyncio.sleep(0.03)
            packet = bytes(partner.heard[position : position + TRUNK_FRAME])
            if len(packet) < TRUNK_FRAME:
                packet = packet + b"\xff" * (TRUNK_FRAME - len(packet))
            position = min(position + TRUNK_FRAME, len(partner.heard))
            await self._send_audio(channel, packet)

    # media -----------------------------------------------------------------------------------------------------

    async def _media_socket(self, channel: Channel) -> None:
        ws = channel.socket
        assert ws is not None
        channel.state = "Up"
        if self.plain_text:
            await ws.send_text(f"MEDIA_START connection_id:{channel.connection} format:ulaw optimal_frame_size:{FRAME}")
        await self._send(
            channel,
            {
                "event": "MEDIA_START", "connection_id": channel.connection, "channel": channel.name,
                "channel_id": channel.id, "format": "ulaw", "optimal_frame_size": FRAME, "ptime": 20,
                "channel_variables": {},
            },
        )  # fmt: skip
        await self.tell("StasisStart", channel=channel.document(), args=[])
        channel.tasks.append(asyncio.create_task(self._playout(channel)))
        channel.tasks.append(asyncio.create_task(self._phone_to_us(channel)))
        try:
            while True:
                message = await ws.receive()
                if message["type"] == "websocket.disconnect":
                    break
                if (text := message.get("text")) is not None:
                    await self._command(channel, text)
                else:
                    await self._take(channel, message["bytes"])
        except (WebSocketDisconnect, RuntimeError):
            pass
        await self.destroy(channel, 16)

    async def _take(self, channel: Channel, data: bytes) -> None:
        assert len(data) <= 65500, "a message beyond 65,500 bytes closes the socket"
        for i in range(0, len(data) // FRAME * FRAME, FRAME):
            if len(channel.queue) < 1000:
                channel.queue.append(data[i : i + FRAME])
        if len(channel.queue) >= 900 and not channel.xoff:
            channel.xoff = True
            await self._send(channel, {"event": "MEDIA_XOFF", "channel_id": channel.id})

    async def _command(self, channel: Channel, text: str) -> None:
        if len(text) > 127:
            channel.dropped_control += 1
            return
        command = json.loads(text)
        channel.commands.append(command)
        kind = command["command"]
        if kind == "MARK_MEDIA":
            channel.queue.append(command["correlation_id"])
        elif kind == "FLUSH_MEDIA":
            channel.queue.clear()
        elif kind == "HANGUP":
            await self.destroy(channel, 16)

    async def _playout(self, channel: Channel) -> None:
        while True:
            await asyncio.sleep(0.02)
            while channel.queue and isinstance(channel.queue[0], str):
                mark = channel.queue.popleft()
                await self._send(
                    channel, {"event": "MEDIA_MARK_PROCESSED", "channel_id": channel.id, "correlation_id": mark}
                )
            partner = self._partner(channel)
            if channel.queue and partner is not None:
                frame = channel.queue.popleft()
                assert isinstance(frame, bytes)
                partner.heard += frame
            if channel.xoff and len(channel.queue) <= 800:
                channel.xoff = False
                await self._send(channel, {"event": "MEDIA_XON", "channel_id": channel.id})

    async def _audio_socket(self, channel: Channel, host: str, port: int, call: str) -> None:
        reader, writer = await asyncio.open_connection(host, port)
        channel.writer, channel.state = writer, "Up"
        writer.write(b"\x01\x00\x10" + uuid.UUID(call).bytes)
        await self.tell("StasisStart", channel=channel.document(), args=[])
        channel.tasks.append(asyncio.create_task(self._phone_to_us(channel)))
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                head = await reader.readexactly(3)
                payload = await reader.readexactly(int.from_bytes(head[1:], "big"))
                if head[0] == 0:
                    break
                assert head[0] == 0x10 and len(payload) == 320
                if (partner := self._partner(channel)) is not None:
                    partner.heard += payload
        writer.close()
        await self.destroy(channel, 16)

    async def _send(self, channel: Channel, event: dict[str, Any]) -> None:
        if channel.socket is not None:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await channel.socket.send_text(json.dumps(event))
        elif channel.writer is not None and event["event"] == "DTMF_END":
            channel.writer.write(b"\x03\x00\x01" + event["digit"].encode())

    async def _send_audio(self, channel: Channel, packet: bytes) -> None:
        if channel.socket is not None:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await channel.socket.send_bytes(packet)
        elif channel.writer is not None:
            channel.writer.write(b"\x10" + len(packet).to_bytes(2, "big") + packet)

    # events ----------------------------------------------------------------------------------------------------

    async def destroy(self, channel: Channel, cause: int) -> None:
        if self.channels.pop(channel.id, None) is None:
            return
        self.gone[channel.id] = channel
        for members in self.bridges.values():
            members.discard(channel.id)
        await self.tell("StasisEnd", channel=channel.document())
        await self.tell("ChannelDestroyed", channel=channel.document(), cause=cause, cause_txt="")
        if channel.socket is not None:
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await channel.socket.close()
        if channel.writer is not None:
            channel.writer.close()
        for task in channel.tasks:
            if task is not asyncio.current_task():
                task.cancel()

    async def tell(self, kind: str, **fields: Any) -> None:
        for ws in tuple(self.events):
            with contextlib.suppress(RuntimeError, WebSocketDisconnect):
                await ws.send_text(json.dumps({"type": kind, "application": "callgate", **fields}))

    async def answer(self, channel: Channel) -> None:
        """What a phone that is picked up tells."""
        channel.state = "Up"
        await self.tell("ChannelStateChange", channel=channel.document())
        await self.tell("Dial", dialstatus="ANSWER", peer=channel.document())

    async def drop_events(self) -> None:
        """The event stream breaks; calls go on."""
        for ws in tuple(self.events):
            await ws.close(1011)
        self.events.clear()

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[str]:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            self.app, log_config=None, access_log=False, ws="websockets-sansio", lifespan="off",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = uvicorn.Server(config)
        task = asyncio.create_task(server._serve(sockets=[listener]))
        try:
            while not server.started:
                await asyncio.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            for channel in tuple(self.channels.values()):
                await self.destroy(channel, 16)
            server.should_exit = True
            await task
            listener.close()
