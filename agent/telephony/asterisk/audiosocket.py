"""The sound of an Asterisk channel over AudioSocket, for an Asterisk without chan_websocket.

Source: Asterisk documentation, "AudioSocket": TCP, each message one byte of type, two bytes of length (big endian)
and the payload: 0x00 hang-up, 0x01 the call's UUID, 0x03 a DTMF digit, 0x10 signed linear 16 bit 8 kHz mono (little
endian), 0xff an error. The playout clock is ours: a frame every 20 ms, silence where there is nothing to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import numpy as np

from agent.errors import ConfigurationError, LineError
from agent.telephony.asterisk.keys import Keys
from agent.telephony.line import AudioReceived, LineClosed, LineEvent, MarkPlayed, forget_sound
from audio.g711 import Pcm16

HANG_UP, ID, DTMF, AUDIO, ERROR = 0x00, 0x01, 0x03, 0x10, 0xFF
FRAME = 160
"""Samples in 20 ms."""
TICK = 0.02
MAX_PAYLOAD = 8192
ID_LIMIT = 3.0
"""Seconds a connection has to say which call it is."""
TAIL = 0.2
"""Seconds between the last frame and hanging up: what was sent is still on its way to the ear."""


class AudioSocketLine:
    """One connection from Asterisk. Both directions run in the background from construction on."""

    carrier = "asterisk"

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_hang_up: Callable[[], Any]
    ) -> None:
        self._reader, self._writer, self._on_hang_up = reader, writer, on_hang_up
        self._events: asyncio.Queue[LineEvent | LineError] = asyncio.Queue(maxsize=500)
        self._queue: deque[Pcm16 | str] = deque()  # frames and, between them, marks
        self._rest = np.zeros(0, np.int16)
        self._closed = False
        self._keys = Keys(self._put)
        self._tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._play())]

    def answered(self) -> None:
        """The person is there: forget the sound before."""
        forget_sound(self._events)

    def far_end_gone(self, reason: str = "hung up") -> None:
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
        data = np.concatenate([self._rest, pcm])
        cut = len(data) // FRAME * FRAME
        self._queue.extend(data[i : i + FRAME] for i in range(0, cut, FRAME))
        self._rest = data[cut:]

    async def send_mark(self, name: str) -> None:
        if len(self._rest):
            self._queue.append(np.pad(self._rest, (0, FRAME - len(self._rest))))
            self._rest = self._rest[:0]
        self._queue.append(name)

    async def clear(self) -> None:
        dropped = [item for item in self._queue if isinstance(item, str)]
        self._queue.clear()
        self._rest = self._rest[:0]
        for name in dropped:
            self._put(MarkPlayed(name))

    async def hang_up(self, reason: str) -> None:
        if self._closed:
            return
        await asyncio.sleep(TAIL)
        with contextlib.suppress(OSError):
            self._writer.write(bytes([HANG_UP, 0, 0]))
            await self._writer.drain()
        await self.close()
        result = self._on_hang_up()
        if asyncio.iscoroutine(result):
            await result

    async def close(self) -> None:
        """Let go of the connection, without ending the call."""
        self._closed = True
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(2.0):
                await self._writer.wait_closed()
        self._put(LineClosed("hung up"))

    async def _play(self) -> None:
        silence = np.zeros(FRAME, np.int16)
        due = time.monotonic()
        with contextlib.suppress(OSError):
            while True:
                while self._queue and isinstance(self._queue[0], str):
                    self._put(MarkPlayed(str(self._queue.popleft())))
                frame = self._queue.popleft() if self._queue else silence
                assert not isinstance(frame, str)
                payload = frame.astype("<i2").tobytes()
                self._writer.write(bytes([AUDIO]) + len(payload).to_bytes(2, "big") + payload)
                await self._writer.drain()
                due += TICK
                late = time.monotonic() - due
                if late > 0.2:  # the machine slept: do not catch up with a burst
                    due += late
                await asyncio.sleep(max(0.0, -late))

    async def _read(self) -> None:
        try:
            while True:
                kind, payload = await read_message(self._reader)
                if kind == AUDIO:
                    self._put(AudioReceived(np.frombuffer(payload[: len(payload) // 2 * 2], "<i2").astype(np.int16)))
                elif kind == DTMF and payload:
                    self.pressed(chr(payload[0]), "media")
                elif kind == ERROR:
                    self._put(LineError("AudioSocket: Asterisk reported an error"))
                    return
                elif kind == HANG_UP:
                    break
        except LineError as e:
            self._put(e)
            return
        except (OSError, asyncio.IncompleteReadError):
            pass
        self._put(LineClosed("hung up"))

    def _put(self, event: LineEvent | LineError) -> None:
        if self._events.full():
            self._events.get_nowait()  # ten seconds unread: the oldest is worth least
        self._events.put_nowait(event)


async def read_message(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next message. Raises ``LineError`` for one that is too long, ``IncompleteReadError`` at the end."""
    head = await reader.readexactly(3)
    length = int.from_bytes(head[1:], "big")
    if length > MAX_PAYLOAD:
        raise LineError(f"oversized: an AudioSocket message of {length} bytes")
    return head[0], await reader.readexactly(length) if length else b""


class AudioSocketServer:
    """Where Asterisk connects to. Connections that name no expected call are closed at once."""

    def __init__(self, host: str, port: int, external_host: str | None = None) -> None:
        self._host, self._port = host, port
        self._external = external_host
        self._expected: dict[bytes, tuple[asyncio.Future[AudioSocketLine], Callable[[], Any]]] = {}
        self._server: asyncio.Server | None = None

    @property
    def external_host(self) -> str:
        """``host:port`` as Asterisk reaches it."""
        return self._external or f"{self._host}:{self._port}"

    async def start(self) -> None:
        """Raises ``ConfigurationError`` where the address cannot be used."""
        try:
            self._server = await asyncio.start_server(self._connected, self._host, self._port)
        except OSError as e:
            raise ConfigurationError(f"AudioSocket cannot listen on {self._host}:{self._port}: {e.strerror}") from e
        self._port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @contextlib.contextmanager
    def expect(self, call_id: str, on_hang_up: Callable[[], Any]) -> Iterator[asyncio.Future[AudioSocketLine]]:
        """The line of the call ``call_id`` (a UUID), once Asterisk connects with it."""
        key = uuid.UUID(call_id).bytes
        coming: asyncio.Future[AudioSocketLine] = asyncio.get_running_loop().create_future()
        self._expected[key] = (coming, on_hang_up)
        try:
            yield coming
        finally:
            self._expected.pop(key, None)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ID_LIMIT):
                kind, payload = await read_message(reader)
        except (TimeoutError, LineError, OSError, asyncio.IncompleteReadError):
            kind, payload = ERROR, b""
        expected = self._expected.pop(payload, None) if kind == ID else None
        if expected is None or expected[0].done():
            writer.close()
            return
        coming, on_hang_up = expected
        coming.set_result(AudioSocketLine(reader, writer, on_hang_up))
