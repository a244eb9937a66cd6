"""The browser softphone: a person with a microphone instead of a telephone, over pipecat's SmallWebRTC connection.

A WebRTC peer (RFC 8825 and those it names) sends and receives Opus at 48 kHz over SRTP; the call pipeline speaks and
hears 8 kHz. libswresample converts between them, 2 ms late; a soxr stream of the same quality hands out its samples in
blocks of 35 to 140 ms, which a caller would hear as a slower answer. Keys and what the page shows travel as JSON on
one data channel.

The peer is not trusted. ``check_offer`` reads an offer before anything of it is acted upon; what a data channel says
is a key, a hang-up, or nothing. Needs aiortc (``pip install "callgate[softphone]"``); importing this module does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import ipaddress
import json
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from agent.errors import LineError
from agent.telephony.ice import IceServer
from agent.telephony.line import AudioReceived, DigitPressed, LineClosed, LineEvent, MarkPlayed
from audio.g711 import Pcm16
from audio.telephone import RATE

if TYPE_CHECKING:
    from aiortc import RTCIceParameters
    from av import AudioFrame
    from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

log = logging.getLogger(__name__)

MAX_OFFER = 24 * 1024
"""Bytes of an offer; browsers write 2 to 6 KiB for sound and a data channel."""
MAX_LINE = 1024
MAX_CANDIDATES = 40
MIN_PORT = 1024
"""No browser receives below it: an offer must not make us knock on a service's door."""
NEGOTIATION = 10.0
"""Seconds for our answer to an offer."""
MAX_MESSAGE = 256
"""Characters of a data channel message that are looked at."""
FRAME = RATE // 50
"""Samples in one 20 ms packet."""
LATE = 0.5
"""Seconds of delay of our own clock after which it is set anew rather than caught up with."""
PLAYOUT = 0.06
"""Seconds a packet waits in a browser before it sounds (its jitter buffer's usual target, and the way there)."""
FLUSH = 50
"""Times 20 ms that the last word to a page may take."""
BACKLOG = 500
"""Events that wait for a pipeline that has stalled; further ones are dropped."""
DIGITS = frozenset("0123456789*#")
_CONNECTION = "pipecat.transports.smallwebrtc.connection"


class OfferRefused(LineError):  # noqa: N818 - what happened to the offer
    """The offer cannot be answered. ``str()`` says why in one line and quotes nothing of it."""


def missing() -> str | None:
    """The package that has to be installed before a browser can call; ``None`` if nothing is missing."""
    return "aiortc" if importlib.util.find_spec("aiortc") is None else None


def check_offer(sdp: str) -> None:
    """Raises ``OfferRefused`` for anything but one two-way Opus sound and at most one data channel.

    Candidates are where we shall send packets to, so they are counted, must be addresses of one host or mDNS names
    (RFC 8835, 3.4), and may not name a well-known port.
    """
    from aiortc.sdp import SessionDescription

    if not 0 < len(sdp.encode(errors="replace")) <= MAX_OFFER:
        raise OfferRefused(f"an offer has 1 to {MAX_OFFER} bytes")
    lines = sdp.splitlines()
    if any(len(line) > MAX_LINE or not line.isprintable() for line in lines):
        raise OfferRefused("the offer has a line that no browser writes")
    if sum(line.startswith("a=candidate:") for line in lines) > MAX_CANDIDATES:
        raise OfferRefused(f"the offer has more than {MAX_CANDIDATES} candidates")
    if sum(line.startswith("m=") for line in lines) > 2:
        raise OfferRefused("the offer must have one sound and at most one data channel")
    try:
        offer = SessionDescription.parse(sdp)
    except (ValueError, AssertionError, LookupError, TypeError, AttributeError, OverflowError) as e:
        raise OfferRefused("the offer is not a session description") from e
    kinds = [media.kind for media in offer.media]
    if kinds not in (["audio"], ["audio", "application"]):
        raise OfferRefused("the offer must have one sound and at most one data channel")
    sound = offer.media[0]
    if sound.direction != "sendrecv":
        raise OfferRefused("the offer's sound must go both ways")
    if not any(codec.mimeType.lower() == "audio/opus" for codec in sound.rtp.codecs):
        raise OfferRefused("the offer's sound must be Opus")
    for media in offer.media:
        if media.dtls is None or not media.dtls.fingerprints or not _credentials(media.ice):
            raise OfferRefused("the offer has no DTLS fingerprint or no ICE credentials")
        for candidate in media.ice_candidates:
            if candidate.protocol.lower() == "udp":
                _check_address(candidate.ip, candidate.port)


def _credentials(ice: RTCIceParameters | None) -> bool:
    return ice is not None and bool(ice.usernameFragment and ice.password)


def _check_address(host: str, port: int) -> None:
    if not MIN_PORT <= port <= 65535:
        raise OfferRefused("the offer has a candidate with a port that no browser uses")
    if host.endswith(".local"):
        return
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise OfferRefused("the offer has a candidate that is no address") from None
    if address.is_multicast or address.is_unspecified or host == "255.255.255.255":
        raise OfferRefused("the offer has a candidate that is not one host")


class BrowserLine:
    """One browser's call. Make it with ``open``, give its ``answer`` back, then wait until it is ``connected``."""

    carrier = "browser"

    def __init__(self, connection: SmallWebRTCConnection) -> None:
        self._connection = connection
        self._inbound: asyncio.Queue[LineEvent] = asyncio.Queue(BACKLOG)
        self._connected = asyncio.Event()
        self._over = self._gone = False  # nobody is there any more; the connection was closed
        self._listening: asyncio.Task[None] | None = None
        self._voice = _voice(self._played)
        self.answer = ""
        """The session description to give back to the browser."""
        for name, handler in (
            ("connected", self._on_connected),
            ("closed", self._on_closed),
            ("failed", self._on_failed),
            ("app-message", self._on_message),
        ):
            connection.add_event_handler(name, handler)

    @classmethod
    async def open(cls, offer: str, ice_servers: Sequence[IceServer] = ()) -> BrowserLine:
        """Answer ``offer`` (SDP). Raises ``OfferRefused``; ``LineError`` where aiortc is not installed."""
        if (lacking := missing()) is not None:
            raise LineError(f"the softphone needs {lacking}, which is not installed: pip install callgate[softphone]")
        check_offer(offer)
        from aiortc import RTCIceServer
        from aiortc.exceptions import InternalError, InvalidAccessError, InvalidStateError, OperationError
        from loguru import logger
        from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection

        logger.disable(_CONNECTION)  # it logs what it cannot parse, word for word
        servers = [RTCIceServer(list(each.urls), each.username, each.credential) for each in ice_servers]
        connection = SmallWebRTCConnection(servers, connection_timeout_secs=20)
        line = cls(connection)
        try:
            async with asyncio.timeout(NEGOTIATION):
                await connection.initialize(offer, "offer")
                connection.replace_audio_track(line._voice)  # type: ignore[no-untyped-call]
                await connection.connect()  # type: ignore[no-untyped-call]
        except (
            InternalError, InvalidAccessError, InvalidStateError, OperationError,
            ValueError, AssertionError, LookupError, TypeError, AttributeError, OSError,
        ) as e:  # fmt: skip
            await line.hang_up("the offer was refused")
            raise OfferRefused(f"the offer cannot be answered ({type(e).__name__})") from e
        except TimeoutError:
            await line.hang_up("the offer was refused")
            raise OfferRefused(f"no answer to the offer within {NEGOTIATION:.0f} s") from None
        answer = connection.get_answer()  # type: ignore[no-untyped-call]
        if answer is None:
            raise OfferRefused("the offer cannot be answered")
        line.answer = str(answer["sdp"])
        if any(each.credential for each in ice_servers) and " typ relay" not in line.answer:
            log.error("the TURN server gave this call no address: its name, password or host is wrong, or it is away")
        return line

    async def connected(self, within: float = 20.0) -> None:
        """Wait until sound can flow. Raises ``LineError`` if the browser does not get through to us."""
        try:
            async with asyncio.timeout(within):
                await self._connected.wait()
        except TimeoutError:
            raise LineError("the browser did not connect") from None
        if self._over:
            raise LineError("the browser hung up before it was connected")

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send the page a message. One that it cannot get any more is dropped."""
        if not self._over:
            self._tell(message)

    def _tell(self, message: Mapping[str, Any]) -> None:
        with contextlib.suppress(ConnectionError, ValueError):
            self._connection.send_app_message(dict(message))

    # the Line --------------------------------------------------------------------------------------------------

    async def events(self) -> AsyncIterator[LineEvent]:
        """See ``Line.events``."""
        if self._listening is None:
            self._listening = asyncio.create_task(self._listen())
        while True:
            event = await self._inbound.get()
            yield event
            if isinstance(event, LineClosed):
                return

    async def send_audio(self, pcm: Pcm16) -> None:
        self._voice.say(pcm)

    async def send_mark(self, name: str) -> None:
        self._voice.mark(name)

    async def clear(self) -> None:
        self._voice.clear()

    async def hang_up(self, reason: str) -> None:
        """Tell the page, wait until it has been told, close the connection."""
        if self._gone:
            return
        self._gone = True
        self._tell({"type": "ended", "reason": reason})
        self._close(LineClosed("hung up"))
        await self._flushed()
        if self._listening is not None:
            self._listening.cancel()
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(5.0):
                await self._connection.disconnect()  # type: ignore[no-untyped-call]

    def leave(self) -> None:
        """The browser's side puts down the telephone."""
        self._close(LineClosed("hung up"))

    async def _flushed(self) -> None:
        channel = self._connection._data_channel  # pipecat offers no way to ask
        if channel is None or channel.readyState != "open":
            return
        for _ in range(FLUSH):
            if channel.bufferedAmount == 0:
                break
            await asyncio.sleep(0.02)
        await asyncio.sleep(0.1)  # sent is not yet read

    # what the browser does -------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """The microphone, as 8 kHz."""
        from aiortc.mediastreams import MediaStreamError
        from av import AudioFrame, AudioResampler

        resampler = AudioResampler("s16", "mono", RATE)
        track = self._connection.audio_input_track()  # type: ignore[no-untyped-call]
        if track is None:
            self._close(LineClosed("line error", "the browser sends no sound"))
            return
        while not self._over:
            try:
                frame = await track.recv()
            except MediaStreamError:
                self._close(LineClosed("hung up"))
                return
            if isinstance(frame, AudioFrame):
                for part in resampler.resample(frame):
                    self._put(AudioReceived(part.to_ndarray().reshape(-1).astype(np.int16, copy=False)))

    async def _on_connected(self, _: object) -> None:
        self._connected.set()

    async def _on_closed(self, _: object) -> None:
        self._close(LineClosed("hung up"))

    async def _on_failed(self, _: object) -> None:
        self._close(LineClosed("connection lost", "the connection to the browser failed"))

    async def _on_message(self, _: object, message: object) -> None:
        if not isinstance(message, dict) or len(json.dumps(message)) > MAX_MESSAGE:
            return
        if message.get("type") == "digit" and message.get("digit") in DIGITS:
            self._put(DigitPressed(message["digit"]))
        elif message.get("type") == "hang-up":
            self._close(LineClosed("hung up"))

    def _played(self, name: str) -> None:
        self._put(MarkPlayed(name))

    def _put(self, event: LineEvent) -> None:
        with contextlib.suppress(asyncio.QueueFull):
            self._inbound.put_nowait(event)

    def _close(self, event: LineClosed) -> None:
        if self._over:
            return
        self._over = True
        self._connected.set()
        if self._inbound.full():
            self._inbound.get_nowait()
        self._inbound.put_nowait(event)


class Playout:
    """What is still to be played: samples, and the marks between them. Sans-IO, in samples since the first one."""

    def __init__(self) -> None:
        self._waiting: deque[Pcm16] = deque()
        self._marks: deque[tuple[int, str]] = deque()
        self._said = self._taken = 0

    def say(self, pcm: Pcm16) -> None:
        if len(pcm):
            self._waiting.append(pcm)
            self._said += len(pcm)

    def mark(self, name: str) -> None:
        self._marks.append((self._said, name))

    def clear(self) -> None:
        """Drop what waits. Its marks count as played: nothing is left that they could wait for."""
        self._waiting.clear()
        self._taken = self._said

    def take(self, samples: int = FRAME) -> tuple[Pcm16, list[str]]:
        """The next ``samples``, silence where there are none, and the marks that lie before their end."""
        out = np.zeros(samples, np.int16)
        filled = 0
        while self._waiting and filled < samples:
            piece = self._waiting.popleft()
            fits = min(len(piece), samples - filled)
            out[filled : filled + fits] = piece[:fits]
            filled += fits
            if fits < len(piece):
                self._waiting.appendleft(piece[fits:])
        self._taken += filled
        passed = []
        while self._marks and self._marks[0][0] <= self._taken:
            passed.append(self._marks.popleft()[1])
        return out, passed


def _voice(played: Any) -> Any:
    """The track that carries the agent's voice: a packet every 20 ms, silence where nothing is to be said."""
    from aiortc.mediastreams import AudioStreamTrack, MediaStreamError
    from av import AudioFrame

    class Voice(AudioStreamTrack):
        def __init__(self) -> None:
            super().__init__()
            self._playout = Playout()
            self._due: float | None = None
            self._at = 0
            self.say, self.mark, self.clear = self._playout.say, self._playout.mark, self._playout.clear

        async def recv(self) -> AudioFrame:
            if self.readyState != "live":
                raise MediaStreamError
            now = time.monotonic()
            if self._due is None or now - self._due > LATE:
                self._due = now
            if self._due > now:
                await asyncio.sleep(self._due - now)
            self._due += FRAME / RATE
            pcm, marks = self._playout.take()
            loop = asyncio.get_running_loop()
            for name in marks:
                loop.call_later(PLAYOUT, played, name)
            frame = AudioFrame.from_ndarray(pcm[None, :], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = RATE, self._at, Fraction(1, RATE)
            self._at += FRAME
            return frame

    return Voice()
