"""The sound of an Asterisk channel over chan_websocket: raw mu-law in binary messages, JSON control in text.

Source: Asterisk documentation, "WebSocket channel driver". The traps: control text beyond 128 bytes is dropped; the
queue holds about 1,000 frames, and after MEDIA_XOFF what is sent is lost; FLUSH_MEDIA never returns the marks it
drops; with an empty queue nothing flows towards the phone, so silence is ours to send; inbound messages have the
trunk's packet size, not ours.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from agent.errors import LineError
from agent.telephony.asterisk.keys import Keys
from agent.telephony.line import AudioReceived, LineClosed, LineEvent, MarkPlayed, forget_sound
from audio import g711
from audio.g711 import Pcm16
from audio.telephone import RATE

FRAME = 160
"""Samples, and bytes of mu-law, in 20 ms."""
SILENCE = g711.encode(np.zeros(FRAME, np.int16))
MAX_CONTROL = 127
MAX_AUDIO = 1 << 16
START_LIMIT = 5.0
ABNORMAL = 1006
"""RFC 6455, 7.4.1: the connection went away without a closing handshake."""
TAIL = 0.2
"""Seconds between the last mark and hanging up: a mark says that the audio left Asterisk, not that it was heard."""


class AsteriskLine:
    """One channel's media socket. ``start`` waits for MEDIA_START; ``closed`` is called when we hang up."""

    carrier = "asterisk"

    def __init__(self, socket: ClientConnection, on_hang_up: Callable[[], Any]) -> None:
        self._socket = socket
        self._on_hang_up = on_hang_up
        self._events: asyncio.Queue[LineEvent | LineError] = asyncio.Queue(maxsize=500)
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._started = asyncio.Event()
        self._rest = b""
        self._marks: dict[str, str] = {}  # the id on the wire -> our mark's name
        self._counter = 0
        self._keys = Keys(self._put)
        self._queued_until = 0.0  # when Asterisk will have played what it holds
        self._sending = asyncio.Lock()
        self._failed: LineError | None = None
        self._closed = False
        self._reader: asyncio.Task[None] | None = None
        self._filler: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read from the socket until MEDIA_START, then on in the background. Raises ``LineError``."""
        self._reader = asyncio.create_task(self._read())
        try:
            async with asyncio.timeout(START_LIMIT):
                await self._started.wait()
            if self._failed is not None:
                await self.close()
                raise self._failed
        except TimeoutError:
            await self.close()
            raise LineError(f"Asterisk sent no MEDIA_START within {START_LIMIT:.0f} s") from None

    def answered(self) -> None:
        """The person is there: forget the sound before, and let something flow from now on."""
        forget_sound(self._events)
        if self._filler is None:
            self._filler = asyncio.create_task(self._fill())

    def far_end_gone(self, reason: str = "hung up") -> None:
        """The phone's channel is gone (told by ARI, before the media socket notices)."""
        self._put(LineClosed(reason))

    def pressed(self, digit: str, source: str) -> None:
        """A key, as ``source`` tells it (see ``Keys``)."""
        self._keys.pressed(digit, source)

    async def events(self) -> AsyncIterator[LineEvent]:
        """See ``Line.events``."""
        while True:
            event = await self._events.get()
            if isinstance(event, LineError):
                raise event
            yield event
            if isinstance(event, LineClosed):
                return

    async def send_audio(self, pcm: Pcm16) -> None:
        await self._play(g711.encode(pcm))

    async def send_mark(self, name: str) -> None:
        async with self._sending:
            if self._rest:
                await self._write(self._whole(self._rest, pad=True))
            self._counter += 1
            wire = f"m{self._counter}"
            self._marks[wire] = name
            await self._command("MARK_MEDIA", correlation_id=wire)

    async def clear(self) -> None:
        async with self._sending:
            self._rest = b""
            await self._command("FLUSH_MEDIA")
            self._queued_until = 0.0
            dropped, self._marks = self._marks, {}
        for name in dropped.values():  # Asterisk forgets them; other carriers echo them, and so do we
            self._put(MarkPlayed(name))

    async def hang_up(self, reason: str) -> None:
        if self._closed:
            return
        await asyncio.sleep(TAIL)
        await self._command("HANGUP")
        await self.close()
        result = self._on_hang_up()
        if asyncio.iscoroutine(result):
            await result

    async def close(self) -> None:
        """Let go of the socket, without ending the call."""
        self._closed = True
        for task in (self._filler, self._reader):
            if task is not None and task is not asyncio.current_task():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        with contextlib.suppress(ConnectionClosed, OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                await self._socket.close()
        self._put(LineClosed("hung up"))

    # towards Asterisk ------------------------------------------------------------------------------------------

    async def _play(self, mulaw: bytes) -> None:
        async with self._sending:
            data = self._whole(self._rest + mulaw)
            if data:
                await self._write(data)

    def _whole(self, data: bytes, *, pad: bool = False) -> bytes:
        """Whole frames of ``data``: Asterisk drops what does not fill one. The rest waits for the next call."""
        if pad and len(data) % FRAME:
            data += SILENCE[: FRAME - len(data) % FRAME]
        cut = len(data) // FRAME * FRAME
        self._rest = data[cut:]
        return data[:cut]

    async def _write(self, data: bytes) -> None:
        await self._flowing.wait()
        now = time.monotonic()
        self._queued_until = max(now, self._queued_until) + len(data) / RATE
        with contextlib.suppress(ConnectionClosed):  # the reading side reports it
            await self._socket.send(data)

    async def _command(self, command: str, **fields: str) -> None:
        text = json.dumps({"command": command, **fields}, separators=(",", ":"))
        if len(text) > MAX_CONTROL:
            raise ValueError("a control message of Asterisk has at most 127 bytes")
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(text)

    async def _fill(self) -> None:
        """Silence while we have nothing to say: without RTP, gateways and phones take the line for dead."""
        while not self._closed:
            await asyncio.sleep(0.02)
            if self._queued_until <= time.monotonic() and self._flowing.is_set() and not self._sending.locked():
                await self._play(SILENCE)

    # from Asterisk ---------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        try:
            async for message in self._socket:
                if isinstance(message, bytes):
                    if len(message) > MAX_AUDIO:
                        self._put(LineError("oversized: a media message of Asterisk is longer than 64 KiB"))
                        return
                    if message:
                        self._put(AudioReceived(g711.decode(message)))
                else:
                    self._control(message)
        except ConnectionClosed:
            pass
        self._flowing.set()
        if self._socket.close_code == ABNORMAL:
            self._put(LineClosed("connection lost", "the media socket of Asterisk was cut off"))
        self._put(LineClosed("hung up"))

    def _control(self, message: str) -> None:
        try:
            event = json.loads(message)
        except (ValueError, RecursionError):
            event = None
        if not isinstance(event, dict):
            self._put(LineError("bad_control: Asterisk sent a control message that is not JSON; dial with f(json)"))
            return
        kind = event.get("event")
        if kind == "MEDIA_START":
            if event.get("format") != "ulaw":
                self._put(LineError("wrong_format: Asterisk's media channel is not ulaw"))
                return
            self._started.set()
        elif kind == "MEDIA_XOFF":
            self._flowing.clear()
        elif kind == "MEDIA_XON":
            self._flowing.set()
        elif kind == "MEDIA_MARK_PROCESSED":
            name = self._marks.pop(str(event.get("correlation_id")), None)
            if name is not None:
                self._put(MarkPlayed(name))
        elif kind == "DTMF_END":
            self.pressed(str(event.get("digit")), "media")

    def _put(self, event: LineEvent | LineError) -> None:
        if isinstance(event, LineError) and not self._started.is_set():
            self._failed = event
            self._started.set()  # there is nothing to wait for
        if self._events.full():
            self._events.get_nowait()  # ten seconds unread: the oldest is worth least
        self._events.put_nowait(event)
