"""What can go wrong on the carrier's side, on purpose: one fault or several, each at its time in the call."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

FAULTS: tuple[str, ...] = (
    "wrong_token",  # another token than the one that was issued
    "early_media",  # media before start
    "wrong_rate",  # start announces 16 kHz
    "malformed_json",
    "not_object",
    "oversized",
    "binary",
    "bad_base64",
    "wrong_stream",
    "second_start",
    "unknown_event",  # five of them: tolerated
    "unknown_events",  # a hundred: not tolerated
    "flood",  # 2,000 messages at once
    "out_of_order",  # for a second neighbouring chunks are swapped and doubled: tolerated
    "go_silent",  # the socket stays open, nothing comes any more
    "drop",  # the connection is cut without a word
)
AT_START = frozenset({"wrong_token", "early_media", "wrong_rate"})


@dataclass(frozen=True, slots=True)
class Fault:
    """``kind`` is one of ``FAULTS``; ``at_s`` seconds after the answer (without effect on those in ``AT_START``)."""

    kind: str
    at_s: float = 1.0

    def __post_init__(self) -> None:
        if self.kind not in FAULTS:
            raise ValueError(f"unknown fault {self.kind!r}: expected one of {', '.join(FAULTS)}")


def spoil_token(url: str) -> str:
    """``url`` with the last character but four of its path changed: a token that nobody signed."""
    place = len(url) - 5
    return url[:place] + ("A" if url[place] != "A" else "B") + url[place + 1 :]


def messages(kind: str, stream_sid: str, start: str) -> tuple[str | bytes, ...]:
    """What to send for a fault that consists of sending something. Empty for the others."""
    if kind == "malformed_json":
        return ('{"event": "media", "media": {',)
    if kind == "not_object":
        return ('["media"]',)
    if kind == "oversized":
        return (_media(stream_sid, base64.b64encode(b"\xff" * 40_000).decode()),)
    if kind == "binary":
        return (b"\xff" * 160,)
    if kind == "bad_base64":
        return (_media(stream_sid, "@@@@"),)
    if kind == "wrong_stream":
        return (_media("MZ" + "0" * 32, base64.b64encode(b"\xff" * 160).decode()),)
    if kind == "second_start":
        return (start,)
    if kind in ("unknown_event", "unknown_events"):
        one = json.dumps({"event": "weather", "streamSid": stream_sid})
        return (one,) * (5 if kind == "unknown_event" else 100)
    if kind == "flood":
        return (json.dumps({"event": "mark", "streamSid": stream_sid, "mark": {"name": "flood"}}),) * 2000
    return ()


def _media(stream_sid: str, payload: str) -> str:
    inner = {"track": "inbound", "chunk": "999999", "timestamp": "20", "payload": payload}
    return json.dumps({"event": "media", "sequenceNumber": "9", "streamSid": stream_sid, "media": inner})
