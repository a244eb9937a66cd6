"""The simulated carrier: a WebSocket client that speaks Twilio Media Streams in real time, as Twilio would."""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import json
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from agent.telephony.media_streams import FRAME_BYTES, RATE
from agent.telephony.simulator.borrower import Borrower, HangUp, Press, Say
from agent.telephony.simulator.ear import FRAME_S, Ear
from agent.telephony.simulator.faults import Fault, messages, spoil_token
from agent.telephony.simulator.report import BorrowerReport, HungUpBy, Said, timeline, write_recording
from agent.telephony.simulator.scenario import Scenario
from agent.telephony.simulator.sound import Mouth, Playout
from audio.espeak import Voice
from audio.g711 import decode
from audio.telephone import Line

_OPEN_TIMEOUT_S = 10.0
_KEY_GAP_FRAMES = 12  # 240 ms from one key to the next


async def run_call(
    url: str,
    scenario: Scenario,
    *,
    seed: int,
    out_dir: Path | None,
    faults: Sequence[Fault] | None = None,
    call_id: str = "",
    voice: Voice | None = None,
    line: Line | None = None,
    max_seconds: float = 180.0,
) -> BorrowerReport:
    """Ring, answer, and be the person on the line until somebody hangs up.

    ``url`` is the media socket with its token; ``out_dir`` gets ``heard.wav`` (``None``: no recording).
    ``voice`` and ``line`` override the scenario's. Ends by itself after ``max_seconds``. A refused or broken
    connection is no exception but ``hung_up_by`` and ``error`` in the report.
    """
    borrower = await asyncio.to_thread(Borrower, scenario, seed, voice, line)
    call = _Call(borrower, seed, call_id or str(uuid.uuid4()), tuple(faults or ()))
    await asyncio.sleep(scenario.ring_s)
    if call.has("wrong_token"):
        url = spoil_token(url)
    try:
        async with connect(url, open_timeout=_OPEN_TIMEOUT_S, compression=None, proxy=None) as socket:
            await call.run(socket, max_seconds)
    except InvalidStatus as e:
        call.refused(f"the socket was refused with HTTP {e.response.status_code}")
    except (OSError, TimeoutError, WebSocketException) as e:
        call.refused(f"the socket could not be opened: {e or type(e).__name__}")
    return call.report(out_dir)


class _Call:
    def __init__(self, borrower: Borrower, seed: int, call_id: str, faults: tuple[Fault, ...]) -> None:
        self.borrower = borrower
        self.seed = seed
        self.call_id = call_id
        self.ear = Ear()
        self.mouth = Mouth(borrower.line, borrower.rng)
        self.playout = Playout()
        self.stream_sid = "MZ" + uuid.uuid5(uuid.NAMESPACE_OID, call_id).hex
        self.call_sid = "CA" + uuid.uuid5(uuid.NAMESPACE_URL, call_id).hex
        self.said: list[Said] = []
        self.out = bytearray()
        self.heard = bytearray()
        self.marks: list[str] = []
        self.clears = 0
        self.answered_at: float | None = None
        self.hung_up_by: HungUpBy = "agent"
        self.error: str | None = None
        self.close_code: int | None = None
        self.protocol_errors: list[str] = []
        self._faults = faults
        self._due = sorted((f for f in faults), key=lambda f: f.at_s)
        self._silent = False
        self._swap_until = -1
        self._kept: str | None = None
        self._sequence = 0
        self._keys: list[tuple[int, str]] = []

    def has(self, kind: str) -> bool:
        return any(fault.kind == kind for fault in self._faults)

    def refused(self, why: str) -> None:
        if self.answered_at is None:
            self.hung_up_by = "refused"
        self.error = why

    async def run(self, socket: ClientConnection, max_seconds: float) -> None:
        listener = asyncio.create_task(self._listen(socket))
        try:
            await self._talk(socket, max_seconds)
        except ConnectionClosed:
            pass  # the agent hung up; how is in the close code
        finally:
            with contextlib.suppress(ConnectionClosed):
                await socket.close()
            await listener
            self.close_code = socket.close_code

    async def _talk(self, socket: ClientConnection, max_seconds: float) -> None:
        await socket.send(json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"}))
        if self.has("early_media"):
            await socket.send(self._media(0, b"\xff" * FRAME_BYTES))
        await socket.send(self._start())
        self.answered_at = time.time()
        loop = asyncio.get_running_loop()
        began = loop.time()
        for frame in range(int(max_seconds / FRAME_S)):
            # Each frame has its own deadline, so that a late one delays no other; even when late, the listener
            # gets its turn, so that what has arrived is played.
            await asyncio.sleep(max(0.0, began + frame * FRAME_S - loop.time()))
            if not await self._frame(socket, frame):
                return
        self.hung_up_by = "limit"
        await self._stop(socket)

    async def _frame(self, socket: ClientConnection, frame: int) -> bool:
        """One 20 ms frame both ways; false when we hung up."""
        played, echoes = self.playout.tick()
        self.ear.hear(played)
        going_on = True
        actions = () if self._silent else self.borrower.tick(self.ear, self.mouth.speaking)
        for action in actions:
            if isinstance(action, Say):
                words = action.utterance
                begin = frame * FRAME_BYTES + self.mouth.left
                self.said.append(Said(words.text, begin, begin + words.audible))
                self.mouth.say(words.samples)
            elif isinstance(action, Press):
                self._keys = [(frame + i * _KEY_GAP_FRAMES, key) for i, key in enumerate(action.digits)]
            elif isinstance(action, HangUp):
                going_on = False
        if not going_on:
            self._cut(frame)
            self.hung_up_by = "borrower"
            await self._stop(socket)
            return False
        said = self.mouth.tick()
        self.out += said
        self.heard += played
        if not await self._inject(socket, frame):
            return False
        if not self._silent:
            await self._send_media(socket, frame, said)
            for name in echoes:
                self.marks.append(name)
                await self._send(socket, "mark", {"name": name})
            while self._keys and self._keys[0][0] <= frame:
                await self._send(socket, "dtmf", {"track": "inbound_track", "digit": self._keys.pop(0)[1]})
        return True

    async def _send_media(self, socket: ClientConnection, frame: int, said: bytes) -> None:
        message = self._media(frame, said)
        if frame < self._swap_until and self._kept is None:
            self._kept = message
            return
        await socket.send(message)
        if self._kept is not None:
            await socket.send(self._kept)
            await socket.send(self._kept)
            self._kept = None

    async def _inject(self, socket: ClientConnection, frame: int) -> bool:
        while self._due and self._due[0].at_s <= frame * FRAME_S:
            fault = self._due.pop(0)
            if fault.kind == "drop":
                self.hung_up_by = "carrier"
                socket.transport.abort()
                return False
            if fault.kind == "go_silent":
                self._silent = True
            if fault.kind == "out_of_order":
                self._swap_until = frame + 50
            for message in messages(fault.kind, self.stream_sid, self._start()):
                await socket.send(message)
        return True

    async def _listen(self, socket: ClientConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in socket:
                problem = self._receive(message)
                if problem:
                    self.protocol_errors.append(problem)

    def _receive(self, message: str | bytes) -> str | None:
        """One message of the agent's. Returns what is wrong with it, if anything is."""
        try:
            record: Any = json.loads(message)
        except ValueError:
            return "a message is not JSON"
        if not isinstance(record, dict):
            return "a message is not an object"
        event = record.get("event")
        if record.get("streamSid") != self.stream_sid:
            return f"a {event} message is for another stream"
        inner = record.get(str(event))
        if event == "clear":
            self.clears += 1
            self.playout.clear()
            return None
        if event == "media" and isinstance(inner, dict):
            try:
                self.playout.push(base64.b64decode(inner.get("payload", ""), validate=True))
            except (binascii.Error, TypeError, ValueError):
                return "a media payload is not base64"
            return None
        if event == "mark" and isinstance(inner, dict) and isinstance(inner.get("name"), str):
            self.playout.mark(inner["name"])
            return None
        return f"a message has an event no carrier knows: {event!r}"

    def _start(self) -> str:
        rate = 16000 if self.has("wrong_rate") else RATE
        start = {
            "accountSid": "AC" + "0" * 32,
            "streamSid": self.stream_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": rate, "channels": 1},
            "customParameters": {"call_id": self.call_id},
        }
        self._sequence += 1
        return json.dumps(
            {"event": "start", "sequenceNumber": str(self._sequence), "streamSid": self.stream_sid, "start": start}
        )

    def _media(self, frame: int, said: bytes) -> str:
        inner = {
            "track": "inbound",
            "chunk": str(frame + 1),
            "timestamp": str(frame * 20),
            "payload": base64.b64encode(said).decode("ascii"),
        }
        return self._message("media", inner)

    async def _send(self, socket: ClientConnection, event: str, inner: dict[str, str]) -> None:
        await socket.send(self._message(event, inner))

    def _message(self, event: str, inner: dict[str, str]) -> str:
        self._sequence += 1
        return json.dumps(
            {"event": event, "sequenceNumber": str(self._sequence), "streamSid": self.stream_sid, event: inner}
        )

    async def _stop(self, socket: ClientConnection) -> None:
        await self._send(socket, "stop", {"accountSid": "AC" + "0" * 32, "callSid": self.call_sid})

    def _cut(self, frame: int) -> None:
        """We hang up now: what of the last utterance was not yet said will not be."""
        end = frame * FRAME_BYTES
        if self.said and self.said[-1].end > end:
            last = self.said[-1]
            self.said[-1] = Said(last.text, last.start, max(last.start, end), cut=True)

    def report(self, out_dir: Path | None) -> BorrowerReport:
        self.ear.finish()
        self._cut(len(self.heard) // FRAME_BYTES)
        recording = None
        heard = decode(bytes(self.heard))
        if out_dir is not None and self.heard:
            recording = out_dir / "heard.wav"
            write_recording(recording, bytes(self.out), bytes(self.heard))
        turns, overlaps = timeline(self.said, self.ear.turns, heard)
        scenario = self.borrower.scenario
        return BorrowerReport(
            call_id=self.call_id,
            scenario=scenario.name,
            lang=scenario.lang,
            seed=self.seed,
            expected_disposition=scenario.expected_disposition,
            voice=self.borrower.voice.name,
            answered_at=self.answered_at,
            duration_s=round(len(self.heard) / RATE, 2),
            turns=turns,
            gaps_ms=tuple(turn.gap_ms for turn in turns if turn.gap_ms is not None),
            overlaps=overlaps,
            marks_echoed=tuple(self.marks),
            clears_received=self.clears,
            underruns=self.playout.underruns,
            unplayed_ms=self.playout.pending_ms,
            hung_up_by=self.hung_up_by,
            missed_steps=self.borrower.missed,
            close_code=self.close_code,
            error=self.error,
            protocol_errors=tuple(self.protocol_errors),
            recording=recording,
        )
