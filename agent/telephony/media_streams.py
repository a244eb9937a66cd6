"""The wire protocol of Twilio Media Streams, without any IO.

Source: Twilio, "Media Streams - WebSocket Messages" (voice/media-streams/websocket-messages): JSON text messages,
``connected`` and ``start`` first, then ``media`` (base64 mu-law, 8 kHz, usually 20 ms), ``dtmf``, ``mark`` (the
echo of ours) and ``stop`` in; ``media``, ``mark`` and ``clear`` out.

The peer is not trusted. What a healthy carrier could never send raises ``ProtocolViolation`` and the reader is
finished: the call ends, alone. What a healthy carrier may send on a bad day is tolerated and counted in
``MediaStreamReader.counters``:

``out_of_order``    a chunk that came before its predecessor; put back in order within ``reorder_window`` chunks
``duplicate``       a chunk already delivered or held; dropped
``late``            a chunk whose place was given up; dropped
``lost``            a place that was given up
``empty_media``     a media message without a sample; dropped
``outbound_track``  media of our own voice; dropped
``unknown_event``   an event this reader does not know; ignored up to ``unknown_events``, then fatal
``after_stop``      anything after ``stop``; ignored
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NoReturn

RATE = 8000
FRAME_BYTES = 160
"""20 ms of mu-law at 8 kHz: the usual payload of one media message."""
ENCODING = "audio/x-mulaw"
_DTMF = frozenset("0123456789*#ABCD")
_NAMED_LENGTH = 256


class ProtocolViolation(Exception):  # noqa: N818 - the domain's word
    """The peer broke the protocol; the call cannot go on. ``code`` is stable, ``str()`` is one line for people.

    Neither holds any payload: at most a field's name and the shape of its value.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


@dataclass(frozen=True, slots=True)
class Limits:
    """What one stream may cost us. ``burst`` messages are free, after that ``rate`` messages a second."""

    message_bytes: int = 32 * 1024
    payload_bytes: int = 8000
    unknown_events: int = 20
    reorder_window: int = 5
    timestamp_slack_ms: int = 10_000
    rate: float = 200.0
    burst: int = 600
    custom_parameters: int = 32


@dataclass(frozen=True, slots=True)
class Connected:
    protocol: str
    version: str


@dataclass(frozen=True, slots=True)
class Started:
    """The stream's metadata. ``custom`` holds the parameters of the ``<Stream>`` noun, strings to strings."""

    stream_sid: str
    call_sid: str
    custom: Mapping[str, str]
    rate: int = RATE


@dataclass(frozen=True, slots=True)
class Media:
    """Sound of the person on the line: mu-law bytes at 8 kHz; ``timestamp_ms`` since the stream's start."""

    payload: bytes
    timestamp_ms: int
    chunk: int
    track: str = "inbound"


@dataclass(frozen=True, slots=True)
class Dtmf:
    digit: str


@dataclass(frozen=True, slots=True)
class MarkEcho:
    """Our mark came back: everything sent before it was played, or dropped by our ``clear``."""

    name: str


@dataclass(frozen=True, slots=True)
class Stopped:
    reason: str


Inbound = Connected | Started | Media | Dtmf | MarkEcho | Stopped


class MediaStreamReader:
    """Turns one stream's messages into events, in order. One reader a connection; not thread-safe.

    ``clock`` gives seconds, monotonic; it is only read for the rate limit and the timestamps' sanity. ``translate``
    turns another provider's record into Twilio's form before anything of it is believed; it must not raise for any
    JSON object. ``greets`` false: the provider sends no ``connected`` message.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        translate: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        greets: bool = True,
    ) -> None:
        self.limits = limits or Limits()
        self._translate = translate
        self.counters: Counter[str] = Counter()
        self.stream_sid = ""
        self._clock = clock
        self._connected = not greets
        self._stopped = False
        self._failure: ProtocolViolation | None = None
        self._allowance = float(self.limits.burst)
        self._seen_at = clock()
        self._next_chunk: int | None = None
        self._held: dict[int, Media] = {}
        self._given_up: set[int] = set()
        self._last_time: tuple[int, float] | None = None  # timestamp in ms, our clock in s

    def feed(self, message: str | bytes) -> tuple[Inbound, ...]:
        """One WebSocket message in, zero or more events out.

        Raises ``ProtocolViolation``; every later call raises it again.
        """
        if self._failure is not None:
            raise self._failure
        try:
            return self._feed(message)
        except ProtocolViolation as e:
            self._failure = e
            raise

    def _feed(self, message: str | bytes) -> tuple[Inbound, ...]:
        now = self._clock()
        self._throttle(now)
        record = self._parse(message)
        if self._translate is not None:
            record = self._translate(record)
        event = record.get("event")
        if not isinstance(event, str):
            _fail("bad_type", f"message has no event name (event is {_kind(event)})")
        if self._stopped:
            self.counters["after_stop"] += 1
            return ()
        if event == "connected":
            return self._on_connected(record)
        if event == "start":
            return self._on_start(record)
        if event not in ("media", "dtmf", "mark", "stop"):
            self.counters["unknown_event"] += 1
            if self.counters["unknown_event"] > self.limits.unknown_events:
                _fail("unknown_event", f"more than {self.limits.unknown_events} messages with unknown events")
            return ()
        if not self.stream_sid:
            code = "early_media" if event == "media" else "order"
            _fail(code, f"{event} message before start")
        sid = record.get("streamSid")
        if sid != self.stream_sid:
            _fail("wrong_stream", f"{event} message is for another stream (streamSid does not match start)")
        if event == "media":
            return self._on_media(_object(record, "media"), now)
        if event == "dtmf":
            digit = _text(_object(record, "dtmf"), "digit", "dtmf.digit")
            if digit not in _DTMF:
                _fail("bad_value", "dtmf.digit is not one of 0-9, *, #, A-D")
            return (Dtmf(digit),)
        if event == "mark":
            return (MarkEcho(_text(_object(record, "mark"), "name", "mark.name")),)
        return self._on_stop(record)

    def _throttle(self, now: float) -> None:
        self._allowance = min(
            float(self.limits.burst), self._allowance + max(0.0, now - self._seen_at) * self.limits.rate
        )
        self._seen_at = now
        self._allowance -= 1
        if self._allowance < 0:
            _fail("too_fast", f"more than {self.limits.rate:g} messages a second, sustained")

    def _parse(self, message: str | bytes) -> dict[str, Any]:
        if not isinstance(message, str):
            _fail("binary", "binary message: Media Streams are JSON text")
        limit = self.limits.message_bytes
        if len(message) > limit or len(message.encode("utf-8", "surrogatepass")) > limit:
            _fail("oversized", f"message is longer than {limit} bytes")
        try:
            record = json.loads(message, parse_constant=_no_constant)
        except (ValueError, RecursionError):  # the decoder's own text would quote the message
            _fail("not_json", "message is not valid JSON")
        if not isinstance(record, dict):
            _fail("not_object", f"message is {_kind(record)}, not a JSON object")
        return record

    def _on_connected(self, record: dict[str, Any]) -> tuple[Inbound, ...]:
        if self._connected:
            _fail("order", "second connected message")
        protocol, version = _text(record, "protocol", "protocol"), _text(record, "version", "version")
        if protocol != "Call":
            _fail("bad_value", f"protocol is {_shown(protocol)}, expected 'Call'")
        self._connected = True
        return (Connected(protocol, version),)

    def _on_start(self, record: dict[str, Any]) -> tuple[Inbound, ...]:
        if self.stream_sid:
            _fail("second_start", "second start message")
        if not self._connected:
            _fail("order", "start message before connected")
        start = _object(record, "start")
        form = start.get("mediaFormat")
        if not isinstance(form, dict):
            _fail("bad_type", f"start.mediaFormat is {_kind(form)}, not an object")
        if form.get("encoding") != ENCODING:
            _fail(
                "wrong_format", f"start.mediaFormat.encoding is {_shown(form.get('encoding'))}, expected {ENCODING!r}"
            )
        for name, wanted in (("sampleRate", RATE), ("channels", 1)):
            value = form.get(name)
            if value != str(wanted) and (isinstance(value, bool) or value != wanted):
                _fail("wrong_format", f"start.mediaFormat.{name} is {_shown(value)}, expected {wanted}")
        sid = _text(start, "streamSid", "start.streamSid")
        if record.get("streamSid", sid) != sid:
            _fail("wrong_stream", "streamSid and start.streamSid differ")
        call_sid = _text(start, "callSid", "start.callSid")
        custom = self._custom(start.get("customParameters", {}))
        self.stream_sid = sid
        return (Started(sid, call_sid, custom),)

    def _custom(self, custom: object) -> Mapping[str, str]:
        if not isinstance(custom, dict):
            _fail("bad_type", f"start.customParameters is {_kind(custom)}, not an object")
        if len(custom) > self.limits.custom_parameters:
            _fail("bad_value", f"start.customParameters has more than {self.limits.custom_parameters} entries")
        for key, value in custom.items():
            if not isinstance(value, str) or not _encodable(key) or not _encodable(value):
                _fail("bad_type", "start.customParameters holds something that is not text")
        return MappingProxyType(dict(custom))

    def _on_media(self, media: dict[str, Any], now: float) -> tuple[Inbound, ...]:
        track = _text(media, "track", "media.track")
        if track not in ("inbound", "outbound"):
            _fail("bad_value", f"media.track is {_shown(track)}, expected 'inbound'")
        chunk = _integer(media, "chunk", "media.chunk")
        timestamp = _integer(media, "timestamp", "media.timestamp")
        encoded = media.get("payload")
        if not isinstance(encoded, str):
            _fail("bad_type", f"media.payload is {_kind(encoded)}, not text")
        if len(encoded) > (self.limits.payload_bytes + 2) // 3 * 4:
            _fail("oversized", f"media.payload is longer than {self.limits.payload_bytes} bytes of audio")
        try:
            payload = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            _fail("bad_base64", "media.payload is not valid base64")
        if len(payload) > self.limits.payload_bytes:
            _fail("oversized", f"media.payload is longer than {self.limits.payload_bytes} bytes of audio")
        if track == "outbound":
            self.counters["outbound_track"] += 1
            return ()
        self._check_time(timestamp, now)
        if not payload:
            self.counters["empty_media"] += 1
        return self._in_order(Media(payload, timestamp, chunk, track))

    def _check_time(self, timestamp: int, now: float) -> None:
        slack = self.limits.timestamp_slack_ms
        if self._last_time is None:
            self._last_time = (timestamp, now)
            return
        last, seen = self._last_time
        ahead = timestamp - last
        # A line that was silent for a minute may jump by a minute, but not by more than really passed.
        if ahead < -slack or ahead > (now - seen) * 1000 + slack:
            _fail("timestamp", f"media.timestamp jumps by {ahead} ms")
        if ahead >= 0:
            self._last_time = (timestamp, now)

    def _in_order(self, media: Media) -> tuple[Inbound, ...]:
        if self._next_chunk is None:
            # Streams count from 1; one that was joined later counts from where it is.
            near = media.chunk <= 1 + self.limits.reorder_window
            self._next_chunk = min(1, media.chunk) if near else media.chunk
        if media.chunk < self._next_chunk:
            late = media.chunk in self._given_up
            self._given_up.discard(media.chunk)
            self.counters["late" if late else "duplicate"] += 1
            return ()
        if media.chunk in self._held:
            self.counters["duplicate"] += 1
            return ()
        if self._held and media.chunk < max(self._held):
            self.counters["out_of_order"] += 1
        self._held[media.chunk] = media
        return self._release(len(self._held) > self.limits.reorder_window)

    def _release(self, give_up: bool) -> tuple[Inbound, ...]:
        """Hand out what is next in line; with ``give_up`` everything held, and count the holes as lost."""
        assert self._next_chunk is not None
        out: list[Inbound] = []
        while self._held and (give_up or self._next_chunk in self._held):
            chunk = min(self._held)
            missing = chunk - self._next_chunk
            if missing:
                self.counters["lost"] += missing
                self._given_up = {c for c in self._given_up if c > chunk - 100}
                self._given_up.update(range(max(self._next_chunk, chunk - 100), chunk))
            media = self._held.pop(chunk)
            self._next_chunk = chunk + 1
            if media.payload:
                out.append(media)
        return tuple(out)

    def _on_stop(self, record: dict[str, Any]) -> tuple[Inbound, ...]:
        stop = _object(record, "stop")
        reason = stop.get("reason", "stop")
        if not isinstance(reason, str):
            _fail("bad_type", f"stop.reason is {_kind(reason)}, not text")
        self._stopped = True
        rest = self._release(give_up=True) if self._held else ()
        return (*rest, Stopped(reason))


def media(stream_sid: str, mulaw: bytes) -> str:
    """The message that queues ``mulaw`` (8 kHz, any length above zero) for playing to the person on the line."""
    if not mulaw:
        raise ValueError("a media message needs at least one sample")
    payload = base64.b64encode(mulaw).decode("ascii")
    return json.dumps({"event": "media", "streamSid": stream_sid, "media": {"payload": payload}})


def mark(stream_sid: str, name: str) -> str:
    """The message that asks for an echo of ``name`` when everything queued before it was played."""
    if not name or len(name) > _NAMED_LENGTH:
        raise ValueError(f"a mark's name has 1 to {_NAMED_LENGTH} characters")
    return json.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}})


def clear(stream_sid: str) -> str:
    """The message that drops what is queued; the marks among it are echoed at once."""
    return json.dumps({"event": "clear", "streamSid": stream_sid})


def _fail(code: str, message: str) -> NoReturn:
    raise ProtocolViolation(code, message) from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)  # NaN and Infinity are not JSON


def _kind(value: object) -> str:
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "a boolean"
    names: dict[type, str] = {str: "text", int: "a number", float: "a number", list: "an array", dict: "an object"}
    return names.get(type(value), "of another type")


def _shown(value: object) -> str:
    """A protocol word for an error message: short, one line, ASCII."""
    if isinstance(value, str):
        return ascii(value) if len(value) <= 40 else f"{value[:37]!a}..."
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9:
        return str(value)
    return _kind(value)


def _encodable(text: str) -> bool:
    return not any("\ud800" <= c <= "\udfff" for c in text)


def _object(record: dict[str, Any], name: str) -> dict[str, Any]:
    value = record.get(name)
    if not isinstance(value, dict):
        _fail("bad_type", f"{name} is {_kind(value)}, not an object")
    return value


def _text(record: dict[str, Any], key: str, name: str) -> str:
    value = record.get(key)
    if not isinstance(value, str):
        _fail("bad_type", f"{name} is {_kind(value)}, not text")
    if not value or len(value) > _NAMED_LENGTH or not _encodable(value):
        _fail("bad_value", f"{name} must be 1 to {_NAMED_LENGTH} characters of text")
    return value


def _integer(record: dict[str, Any], key: str, name: str) -> int:
    """A whole number from zero, as Twilio writes it: decimal digits in text, or a JSON number."""
    value = record.get(key)
    if isinstance(value, str):
        if not (value.isascii() and value.isdigit() and len(value) <= 16):
            _fail("bad_value", f"{name} is not a whole number")
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        _fail("bad_type", f"{name} is {_kind(value)}, not a whole number")
    if not 0 <= value < 10**16:  # milliseconds since 1970 fit
        _fail("bad_value", f"{name} is out of range")
    return value
