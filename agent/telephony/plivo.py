"""Plivo: dialling, signed answer and status requests, audio streaming.

Sources: Plivo, "Make a call", "Stream XML", "Audio streaming – WebSocket events", "Signature validation V3". A call
asks our answer URL for what to do; the stream starts without a ``connected`` message.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from xml.sax.saxutils import escape, quoteattr

import httpx

from agent.telephony import media_streams as wire
from agent.telephony.carrier import AnsweredBy, DialFailed, DialRequest, DialState, DialStatus, DialUnknown, Failure
from agent.telephony.media_socket import Dialect
from agent.telephony.rest import TIMEOUT, ask

API = "https://api.plivo.com"
CONTENT_TYPE = "audio/x-mulaw;rate=8000"

_STATES: dict[str, tuple[DialState, Failure | None]] = {
    "queued": ("queued", None),
    "ringing": ("ringing", None),
    "in-progress": ("answered", None),
    "completed": ("ended", None),
    "busy": ("ended", "busy"),
    "no-answer": ("ended", "no_answer"),
    "timeout": ("ended", "no_answer"),
    "cancel": ("ended", "cancelled"),
    "failed": ("ended", "carrier_error"),
}


def translate(record: dict[str, Any]) -> dict[str, Any]:
    """Plivo's events as Twilio's form. Never raises; what is not there stays missing and is refused later."""
    event = record.get("event")
    stream = record.get("streamId")
    out = {**record, "streamSid": stream}
    start = record.get("start")
    if event == "start" and isinstance(start, dict):
        form = start.get("mediaFormat")
        form = form if isinstance(form, dict) else {}
        stream = start.get("streamId", stream)
        out["streamSid"] = stream
        out["start"] = {
            "streamSid": stream,
            "callSid": start.get("callId"),
            "mediaFormat": {"encoding": form.get("encoding"), "sampleRate": form.get("sampleRate"), "channels": 1},
            "customParameters": {},
        }
    elif event == "playedStream":
        out["event"], out["mark"] = "mark", {"name": record.get("name")}
    elif event == "clearedAudio":
        out["event"] = "plivo-cleared"
    elif event == "stop":
        out["stop"] = {}
    return out


def _media(stream: str, mulaw: bytes) -> str:
    payload = base64.b64encode(mulaw).decode("ascii")
    sound = {"contentType": "audio/x-mulaw", "sampleRate": wire.RATE, "payload": payload}
    return json.dumps({"event": "playAudio", "streamId": stream, "media": sound})


def _mark(stream: str, name: str) -> str:
    return json.dumps({"event": "checkpoint", "streamId": stream, "name": name})


def _clear(stream: str) -> str:
    return json.dumps({"event": "clearAudio", "streamId": stream})


DIALECT = Dialect("plivo", translate, _media, _mark, _clear, greets=False)


class PlivoCarrier:
    """Plivo's Voice API. ``base_url`` is the public https address under which Plivo reaches us."""

    name = "plivo"
    whisper_key = "1"

    def __init__(
        self,
        auth_id: str,
        auth_token: str,
        caller_id: str,
        base_url: str,
        *,
        api: str = API,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._caller_id, self._base_url = caller_id, base_url.rstrip("/")
        self._calls = f"{api}/v1/Account/{auth_id}/Call/"
        self._client = client or httpx.AsyncClient(auth=(auth_id, auth_token), timeout=TIMEOUT)

    async def close(self) -> None:
        await self._client.aclose()

    async def place(self, request: DialRequest) -> str:
        """See ``HostedCarrier.place``. The stream's address is given when Plivo asks the answer URL."""
        answer_url = f"{self._base_url}/webhooks/plivo/{request.attempt_id}"
        body = {
            "from": request.caller_id or self._caller_id,
            "to": request.to,
            "answer_url": f"{answer_url}/answer",
            "answer_method": "POST",
            "ring_url": answer_url,
            "hangup_url": answer_url,
            "ring_timeout": int(request.ring_timeout),
            "machine_detection": "true",
            "machine_detection_url": answer_url,
        }
        status, answer = await ask(self._client, "POST", self._calls, body=body)
        call = answer.get("request_uuid")
        if status in (200, 201, 202) and isinstance(call, str):
            return call
        if 400 <= status < 500:
            raise DialFailed("carrier_error", f"Plivo {status}")
        raise DialUnknown(f"Plivo answered {status} without a call")

    async def status(self, provider_id: str) -> DialStatus:
        """Calls that live and calls that are over are kept apart; of one in neither place nobody can tell."""
        status, answer = await ask(self._client, "GET", f"{self._calls}{provider_id}/?status=live")
        if status == 200:
            return read_status({"CallStatus": answer.get("call_status")})
        status, answer = await ask(self._client, "GET", f"{self._calls}{provider_id}/")
        if status != 200 or not answer.get("end_time"):
            return DialStatus("unknown", cause=str(status))
        word = str(answer.get("call_state") or "").lower().replace("_", "-")
        failure = _STATES[word][1] if word in _STATES else None
        return DialStatus("ended", failure, cause=str(answer.get("hangup_cause_name") or word))

    async def hang_up(self, provider_id: str) -> None:
        await ask(self._client, "DELETE", f"{self._calls}{provider_id}/")

    async def transfer(self, provider_id: str, to: str, whisper: str | None = None) -> None:
        """Have Plivo ask our transfer URL what to do now, which dials the people's queue. Raises ``DialFailed``."""
        url = f"{self._base_url}/webhooks/plivo/{provider_id}/transfer"
        if whisper:
            url += f"/{whisper}"
        body = {"legs": "aleg", "aleg_url": url, "aleg_method": "POST"}
        status, _ = await ask(self._client, "POST", f"{self._calls}{provider_id}/", body=body)
        if status not in (200, 202):
            raise DialFailed("carrier_error", f"Plivo refused the transfer ({status})")


def stream_xml(base_url: str, media_path: str) -> str:
    """The answer to Plivo's answer URL: a two-way stream that lasts as long as the call."""
    url = "wss://" + base_url.split("://", 1)[-1].rstrip("/") + media_path
    return (
        f'<Response><Stream bidirectional="true" keepCallAlive="true" contentType="{CONTENT_TYPE}">'
        f"{escape(url)}</Stream></Response>"
    )


def dial_xml(to: str, whisper_url: str | None = None) -> str:
    """The answer to the transfer URL: dial ``to``; with a whisper, they hear it and press a key to take the person."""
    sound = (
        f" confirmSound={quoteattr(whisper_url)} confirmKey={quoteattr(PlivoCarrier.whisper_key)}"
        if whisper_url
        else ""
    )
    return f"<Response><Dial{sound}><Number>{escape(to)}</Number></Dial></Response>"


def read_status(form: Mapping[str, Any]) -> DialStatus:
    """A webhook's form as a status. Unknown words give ``unknown``."""
    word = str(form.get("CallStatus") or "")
    state, failure = _STATES.get(word, ("unknown", None))
    who: AnsweredBy = "unknown"
    if str(form.get("Machine", "")).lower() == "true":
        who = "machine"
    return DialStatus(state, failure, who, str(form.get("HangupCause") or word))


def signature(auth_token: str, url: str, nonce: str, form: Iterable[tuple[str, str]] = ()) -> str:
    """X-Plivo-Signature-V3: base64 HMAC-SHA256 over the URL with its sorted query, the sorted POST fields and a nonce.

    The parts are joined as Plivo's own libraries do: ``url?query.fields.nonce``, the first full stop only where
    there are both query and fields.
    """
    parts = urlsplit(url)
    query = "&".join(f"{name}={value}" for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True)))
    fields = "".join(name + value for name, value in sorted(form))
    base = f"{parts.scheme}://{parts.netloc}{parts.path}"
    if query or fields:
        base += f"?{query}"
    if query and fields:
        base += "."
    signed = f"{base}{fields}.{nonce}"
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha256).digest()).decode()


def is_signed(
    given: str | None, nonce: str | None, auth_token: str, url: str, form: Iterable[tuple[str, str]] = ()
) -> bool:
    """Whether one of the comma-separated signatures in ``given`` is that of this request, in constant time."""
    if given is None or nonce is None or len(nonce) > 256:
        return False
    wanted = signature(auth_token, url, nonce, form).encode()
    return any(hmac.compare_digest(each.strip().encode(), wanted) for each in given.split(",")[:4])
