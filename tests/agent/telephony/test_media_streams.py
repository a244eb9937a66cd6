"""The wire protocol: a healthy stream, every malformed message, and what is tolerated."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from agent.telephony import media_streams as wire
from agent.telephony.media_streams import (
    Connected,
    Dtmf,
    Limits,
    MarkEcho,
    Media,
    MediaStreamReader,
    ProtocolViolation,
    Started,
    Stopped,
)

SID = "MZ0123456789abcdef0123456789abcdef"
CONNECTED: dict[str, Any] = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
FORMAT: dict[str, Any] = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def start(**changes: Any) -> dict[str, Any]:
    inner: dict[str, Any] = {
        "accountSid": "AC1", "streamSid": SID, "callSid": "CA1", "tracks": ["inbound"],
        "mediaFormat": FORMAT, "customParameters": {"call_id": "c-1"},
    }  # fmt: skip
    return {"event": "start", "sequenceNumber": "1", "streamSid": SID, "start": {**inner, **changes}}


def media(chunk: object = 1, payload: object = None, timestamp: object = None, **changes: Any) -> dict[str, Any]:
    if timestamp is None:
        timestamp = str(max(0, int(str(chunk)) - 1) * 20) if str(chunk).isdigit() else "0"
    encoded = base64.b64encode(bytes([0x7F] * 160)).decode() if payload is None else payload
    inner = {"track": "inbound", "chunk": chunk, "timestamp": timestamp, "payload": encoded, **changes}
    return {"event": "media", "sequenceNumber": "2", "streamSid": SID, "media": inner}


def reader(*, started: bool = True, limits: Limits | None = None, clock: Clock | None = None) -> MediaStreamReader:
    r = MediaStreamReader(limits, clock or Clock())
    if started:
        r.feed(json.dumps(CONNECTED))
        r.feed(json.dumps(start()))
    return r


def chunks(r: MediaStreamReader, *numbers: int) -> list[int]:
    out: list[int] = []
    for n in numbers:
        out += [e.chunk for e in r.feed(json.dumps(media(str(n)))) if isinstance(e, Media)]
    return out


def test_a_healthy_stream() -> None:
    r = MediaStreamReader(clock=Clock())
    assert r.feed(json.dumps(CONNECTED)) == (Connected("Call", "1.0.0"),)
    (started,) = r.feed(json.dumps(start()))
    assert isinstance(started, Started)
    assert (started.stream_sid, started.call_sid, dict(started.custom)) == (SID, "CA1", {"call_id": "c-1"})
    assert started.rate == 8000
    assert r.feed(json.dumps(media("1"))) == (Media(b"\x7f" * 160, 0, 1),)
    assert r.feed(json.dumps(media(2, timestamp=20))) == (Media(b"\x7f" * 160, 20, 2),)
    key = {"event": "dtmf", "streamSid": SID, "dtmf": {"track": "inbound_track", "digit": "#"}}
    assert r.feed(json.dumps(key)) == (Dtmf("#"),)
    echo = {"event": "mark", "streamSid": SID, "mark": {"name": "goodbye"}}
    assert r.feed(json.dumps(echo)) == (MarkEcho("goodbye"),)
    stop = {"event": "stop", "streamSid": SID, "stop": {"accountSid": "AC1", "callSid": "CA1"}}
    assert r.feed(json.dumps(stop)) == (Stopped("stop"),)
    assert r.feed(json.dumps(media("3"))) == ()
    assert dict(r.counters) == {"after_stop": 1}


def test_custom_parameters_cannot_be_changed() -> None:
    r = MediaStreamReader(clock=Clock())
    r.feed(json.dumps(CONNECTED))
    (started,) = r.feed(json.dumps(start()))
    assert isinstance(started, Started)
    with pytest.raises(TypeError):
        started.custom["call_id"] = "other"  # type: ignore[index]


SECRET = "c2VjcmV0IHZvaWNl"
MALFORMED: list[tuple[str, Any, str]] = [
    ("text that is not JSON", "hello", "not_json"),
    ("empty", "", "not_json"),
    ("cut off", json.dumps(media())[:-3], "not_json"),
    ("NaN", '{"event": NaN}', "not_json"),
    ("nested too deep", "[" * 30_000, "not_json"),
    ("a number with 5,000 digits", '{"event": "media", "x": ' + "9" * 5000 + "}", "not_json"),
    ("array", '["media"]', "not_object"),
    ("null", "null", "not_object"),
    ("binary", b"\xff" * 160, "binary"),
    ("long text", json.dumps(media()) + " " * 33_000, "oversized"),
    ("long in bytes only", json.dumps({"event": "x" + "语" * 11_000}, ensure_ascii=False), "oversized"),
    ("long payload", media(payload=base64.b64encode(b"\xff" * 8001).decode()), "oversized"),
    ("no event", {"streamSid": SID}, "bad_type"),
    ("event is a number", {"event": 7}, "bad_type"),
    ("second connected", CONNECTED, "order"),
    ("second start", start(), "second_start"),
    ("no stream", {k: v for k, v in media().items() if k != "streamSid"}, "wrong_stream"),
    ("other stream", {**media(), "streamSid": "MZ0"}, "wrong_stream"),
    ("stream is a list", {**media(), "streamSid": [SID]}, "wrong_stream"),
    ("media is text", {**media(), "media": SECRET}, "bad_type"),
    ("media is missing", {"event": "media", "streamSid": SID}, "bad_type"),
    ("payload is a number", media(payload=5), "bad_type"),
    ("payload is not base64", media(payload="@@@@"), "bad_base64"),
    ("payload lacks padding", media(payload="QUI"), "bad_base64"),
    ("payload is url-safe base64", media(payload="_-_-"), "bad_base64"),
    ("payload with line break", media(payload="QUJD\n"), "bad_base64"),
    ("payload in full-width letters", media(payload="ＱＵＪＤ"), "bad_base64"),
    ("chunk is a word", media("one"), "bad_value"),
    ("chunk is negative", media(-1, timestamp="0"), "bad_value"),
    ("chunk is a fraction", media(1.5, timestamp="0"), "bad_type"),
    ("chunk is true", media(True, timestamp="0"), "bad_type"),
    ("chunk is enormous", media("9" * 17), "bad_value"),
    ("chunk in Arabic digits", media("١"), "bad_value"),
    ("no timestamp", media(timestamp={}), "bad_type"),
    ("track unknown", media(track="sideways"), "bad_value"),
    ("track missing", media(track=None), "bad_type"),
    ("dtmf is a word", {"event": "dtmf", "streamSid": SID, "dtmf": {"digit": "12"}}, "bad_value"),
    ("dtmf is a number", {"event": "dtmf", "streamSid": SID, "dtmf": {"digit": 1}}, "bad_type"),
    ("mark without name", {"event": "mark", "streamSid": SID, "mark": {}}, "bad_type"),
    ("mark with a long name", {"event": "mark", "streamSid": SID, "mark": {"name": "m" * 300}}, "bad_value"),
    (
        "mark with half a character",
        json.dumps({"event": "mark", "streamSid": SID, "mark": {"name": "\ud800"}}),
        "bad_value",
    ),
    ("stop without object", {"event": "stop", "streamSid": SID}, "bad_type"),
]


@pytest.mark.parametrize(("message", "code"), [m[1:] for m in MALFORMED], ids=[m[0] for m in MALFORMED])
def test_malformed_messages_end_the_call_and_say_why(message: Any, code: str) -> None:
    r = reader()
    with pytest.raises(ProtocolViolation) as caught:
        r.feed(json.dumps(message) if isinstance(message, dict) else message)
    assert caught.value.code == code
    text = str(caught.value)
    assert text and "\n" not in text and len(text) < 120 and SECRET not in text
    with pytest.raises(ProtocolViolation) as again:
        r.feed(json.dumps(media()))
    assert again.value is caught.value


BAD_STARTS: list[tuple[str, dict[str, Any], str, str]] = [
    ("16 kHz", start(mediaFormat={**FORMAT, "sampleRate": 16000}), "wrong_format", "sampleRate is 16000"),
    ("rate as true", start(mediaFormat={**FORMAT, "sampleRate": True}), "wrong_format", "sampleRate"),
    ("linear", start(mediaFormat={**FORMAT, "encoding": "audio/l16"}), "wrong_format", "encoding is 'audio/l16'"),
    ("stereo", start(mediaFormat={**FORMAT, "channels": 2}), "wrong_format", "channels is 2"),
    ("channels true", start(mediaFormat={**FORMAT, "channels": True}), "wrong_format", "channels"),
    ("no format", start(mediaFormat=None), "bad_type", "mediaFormat"),
    ("no stream", start(streamSid=""), "bad_value", "streamSid"),
    ("stream differs", {**start(), "streamSid": "MZ9"}, "wrong_stream", "differ"),
    ("no call", start(callSid=None), "bad_type", "callSid"),
    ("parameters a list", start(customParameters=[1]), "bad_type", "customParameters"),
    ("a parameter a number", start(customParameters={"a": 1}), "bad_type", "customParameters"),
    ("many parameters", start(customParameters={str(i): "" for i in range(40)}), "bad_value", "customParameters"),
    ("no object", {"event": "start"}, "bad_type", "start"),
]  # fmt: skip


@pytest.mark.parametrize(("message", "code", "named"), [b[1:] for b in BAD_STARTS], ids=[b[0] for b in BAD_STARTS])
def test_bad_start(message: dict[str, Any], code: str, named: str) -> None:
    r = MediaStreamReader(clock=Clock())
    r.feed(json.dumps(CONNECTED))
    with pytest.raises(ProtocolViolation, match=named) as caught:
        r.feed(json.dumps(message))
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("messages", "code"),
    [
        ([CONNECTED, media()], "early_media"),
        ([media()], "early_media"),
        ([start()], "order"),
        ([{**CONNECTED, "protocol": "Chat"}], "bad_value"),
        ([CONNECTED, {"event": "stop", "streamSid": SID, "stop": {}}], "order"),
        ([CONNECTED, {"event": "mark", "streamSid": SID, "mark": {"name": "m"}}], "order"),
        ([CONNECTED, {"event": "dtmf", "streamSid": SID, "dtmf": {"digit": "1"}}], "order"),
    ],
)
def test_order_of_the_opening(messages: list[dict[str, Any]], code: str) -> None:
    r = MediaStreamReader(clock=Clock())
    for message in messages[:-1]:
        r.feed(json.dumps(message))
    with pytest.raises(ProtocolViolation) as caught:
        r.feed(json.dumps(messages[-1]))
    assert caught.value.code == code


def test_sample_rate_may_be_written_as_text() -> None:
    r = MediaStreamReader(clock=Clock())
    r.feed(json.dumps(CONNECTED))
    form = {"encoding": "audio/x-mulaw", "sampleRate": "8000", "channels": "1"}
    assert isinstance(r.feed(json.dumps(start(mediaFormat=form)))[0], Started)


@pytest.mark.parametrize(
    ("arriving", "delivered", "counters"),
    [
        ((1, 2, 3), [1, 2, 3], {}),
        ((2, 1, 3), [1, 2, 3], {"out_of_order": 0}),
        ((1, 3, 2, 4), [1, 2, 3, 4], {"out_of_order": 1}),
        ((1, 1, 2, 2), [1, 2], {"duplicate": 2}),
        ((1, 3, 3, 2), [1, 2, 3], {"duplicate": 1, "out_of_order": 1}),
        ((1, 3, 4, 5, 6, 7, 8), [1, 3, 4, 5, 6, 7, 8], {"lost": 1}),
        ((1, 3, 4, 5, 6, 7, 8, 2, 9), [1, 3, 4, 5, 6, 7, 8, 9], {"lost": 1, "late": 1}),
        ((500, 501), [500, 501], {}),
        ((0, 1, 2), [0, 1, 2], {}),
    ],
)
def test_chunks_are_put_in_order(arriving: tuple[int, ...], delivered: list[int], counters: dict[str, int]) -> None:
    r = reader()
    assert chunks(r, *arriving) == delivered
    for name in ("out_of_order", "duplicate", "late", "lost"):
        if name == "out_of_order" and counters.get(name) == 0:
            continue
        assert r.counters[name] == counters.get(name, 0), name


def test_held_chunks_are_delivered_at_stop() -> None:
    r = reader()
    assert chunks(r, 1, 3, 4) == [1]
    events = r.feed(json.dumps({"event": "stop", "streamSid": SID, "stop": {"reason": "hangup"}}))
    assert [type(e) for e in events] == [Media, Media, Stopped]
    assert events[-1] == Stopped("hangup")


def test_empty_and_outbound_media_are_dropped_and_counted() -> None:
    r = reader()
    assert r.feed(json.dumps(media("1", payload=""))) == ()
    assert r.feed(json.dumps(media("1", track="outbound"))) == ()
    assert chunks(r, 2) == [2]
    assert (r.counters["empty_media"], r.counters["outbound_track"], r.counters["lost"]) == (1, 1, 0)


def test_unknown_events_are_tolerated_up_to_a_limit() -> None:
    r = reader()
    for _ in range(20):
        assert r.feed('{"event": "weather"}') == ()
    with pytest.raises(ProtocolViolation) as caught:
        r.feed('{"event": "weather"}')
    assert caught.value.code == "unknown_event"


@pytest.mark.parametrize(("jump_ms", "passed_s", "fatal"), [
    (5_000, 0.0, False), (15_000, 0.0, True), (60_000, 58.0, False), (-5_000, 0.0, False), (-11_000, 0.0, True),
])  # fmt: skip
def test_timestamps_may_not_jump_further_than_time(jump_ms: int, passed_s: float, fatal: bool) -> None:
    clock = Clock()
    r = reader(clock=clock)
    r.feed(json.dumps(media("1", timestamp="100000")))
    clock.now += passed_s
    message = json.dumps(media("2", timestamp=str(100_000 + jump_ms)))
    if not fatal:
        assert len(r.feed(message)) == 1
        return
    with pytest.raises(ProtocolViolation) as caught:
        r.feed(message)
    assert caught.value.code == "timestamp"


def test_a_burst_is_tolerated_a_flood_is_not() -> None:
    clock = Clock()
    r = reader(clock=clock)
    for n in range(1, 501):  # ten seconds of sound after a stall
        r.feed(json.dumps(media(str(n))))
    for n in range(501, 1501):  # and on in real time
        clock.now += 0.02
        r.feed(json.dumps(media(str(n))))
    with pytest.raises(ProtocolViolation) as caught:
        for n in range(1501, 4501):
            clock.now += 0.004  # 250 a second
            r.feed(json.dumps(media(str(n))))
    assert caught.value.code == "too_fast"


def test_outbound_messages() -> None:
    assert json.loads(wire.media(SID, b"\xff\x7f")) == {
        "event": "media", "streamSid": SID, "media": {"payload": base64.b64encode(b"\xff\x7f").decode()},
    }  # fmt: skip
    assert json.loads(wire.mark(SID, "bye")) == {"event": "mark", "streamSid": SID, "mark": {"name": "bye"}}
    assert json.loads(wire.clear(SID)) == {"event": "clear", "streamSid": SID}
    with pytest.raises(ValueError, match="at least one sample"):
        wire.media(SID, b"")
    with pytest.raises(ValueError, match="mark's name"):
        wire.mark(SID, "")
