"""The line of a hosted carrier: a WebSocket that the provider opened to our server, in that provider's dialect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from agent.errors import LineError
from agent.telephony import media_streams as wire
from agent.telephony.line import AudioReceived, DigitPressed, LineClosed, LineEvent, MarkPlayed
from audio import g711
from audio.g711 import Pcm16

START_LIMIT = 10.0
"""Seconds a carrier has from the socket's opening to its ``start`` message."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one provider writes what all of them say.

    ``translate`` turns a provider's message into the Twilio form that ``MediaStreamReader`` checks; ``media``,
    ``mark`` and ``clear`` write ours, given the stream's id. ``greets``: the provider sends ``connected`` before
    ``start``.
    """

    carrier: str
    translate: Callable[[dict[str, Any]], dict[str, Any]]
    media: Callable[[str, bytes], str]
    mark: Callable[[str, str], str]
    clear: Callable[[str], str]
    greets: bool = True


class MediaSocketLine:
    """One call's media socket. Make it with ``answer``, which waits for the stream's ``start``."""

    def __init__(
        self, dialect: Dialect, socket: WebSocket, reader: wire.MediaStreamReader, started: wire.Started
    ) -> None:
        self._dialect = dialect
        self._socket = socket
        self._reader = reader
        self.started = started
        self._closed = False

    @property
    def carrier(self) -> str:
        return self._dialect.carrier

    @classmethod
    async def answer(cls, dialect: Dialect, socket: WebSocket, limits: wire.Limits | None = None) -> MediaSocketLine:
        """Read up to ``start``. Raises ``LineError`` naming what the carrier did wrong."""
        reader = wire.MediaStreamReader(limits, translate=dialect.translate, greets=dialect.greets)
        try:
            async with asyncio.timeout(START_LIMIT):
                while True:
                    message = await _receive(socket)
                    if message is None:
                        raise LineError("the carrier closed the socket before its start message")
                    for event in reader.feed(message):
                        if isinstance(event, wire.Started):
                            return cls(dialect, socket, reader, event)
        except TimeoutError:
            raise LineError(f"no start message within {START_LIMIT:.0f} s") from None
        except wire.ProtocolViolation as e:
            raise LineError(f"{e.code}: {e.message}") from e

    async def events(self) -> AsyncIterator[LineEvent]:
        """See ``Line.events``. Raises ``LineError`` when the carrier breaks the protocol."""
        while True:
            message = await _receive(self._socket)
            if message is None:
                yield LineClosed("hung up")
                return
            try:
                events = self._reader.feed(message)
            except wire.ProtocolViolation as e:
                raise LineError(f"{e.code}: {e.message}") from e
            for event in events:
                if isinstance(event, wire.Media):
                    yield AudioReceived(g711.decode(event.payload))
                elif isinstance(event, wire.MarkEcho):
                    yield MarkPlayed(event.name)
                elif isinstance(event, wire.Dtmf):
                    yield DigitPressed(event.digit)
                elif isinstance(event, wire.Stopped):
                    yield LineClosed("hung up")
                    return

    async def send_audio(self, pcm: Pcm16) -> None:
        await self._send(self._dialect.media(self.started.stream_sid, g711.encode(pcm)))

    async def send_mark(self, name: str) -> None:
        await self._send(self._dialect.mark(self.started.stream_sid, name))

    async def clear(self) -> None:
        await self._send(self._dialect.clear(self.started.stream_sid))

    async def hang_up(self, reason: str) -> None:
        """Close the socket: the provider then goes on to what it was told to do after the stream."""
        if self._closed:
            return
        self._closed = True
        if self._socket.application_state is WebSocketState.CONNECTED:
            try:
                async with asyncio.timeout(2.0):
                    await self._socket.close(1000, reason[:100])
            except (TimeoutError, RuntimeError, OSError, WebSocketDisconnect):
                return  # the far end is gone already: that is what was wanted

    @property
    def counters(self) -> dict[str, int]:
        """What the carrier sent that was tolerated, by kind."""
        return dict(self._reader.counters)

    async def _send(self, message: str) -> None:
        if self._closed or self._socket.application_state is not WebSocketState.CONNECTED:
            return
        try:
            await self._socket.send_text(message)
        except (RuntimeError, OSError, WebSocketDisconnect):
            self._closed = True  # the reading side reports it


async def _receive(socket: WebSocket) -> str | bytes | None:
    """The next message, or ``None`` when the socket is closed."""
    try:
        message = await socket.receive()
    except RuntimeError:  # starlette: receive after disconnect
        return None
    if message["type"] == "websocket.disconnect":
        return None
    text: str | None = message.get("text")
    if text is not None:
        return text
    data: bytes = message.get("bytes") or b""
    return data
