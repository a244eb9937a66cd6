"""Telnyx: dialling with an idempotent ``command_id``, Ed25519-signed webhooks, media streaming.

Sources: Telnyx, "Dial" (Call Control), "Media Streaming over WebSockets", "Webhook signing". Field names are snake
case, the stream must be opened with ``stream_bidirectional_mode=rtp``, and frames may come out of order.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import httpx
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.telephony import media_streams as wire
from agent.telephony.carrier import AnsweredBy, DialFailed, DialRequest, DialState, DialStatus, DialUnknown, Failure
from agent.telephony.media_socket import Dialect
from agent.telephony.rest import TIMEOUT, ask
from agent.telephony.whisper import sound_path

API = "https://api.telnyx.com"
TOLERANCE = 300
"""Seconds a signed webhook may be old: older ones are replays."""

_CAUSES: dict[str, Failure] = {
    "user_busy": "busy",
    "timeout": "no_answer",
    "no_answer": "no_answer",
    "call_rejected": "rejected",
    "unallocated_number": "invalid_number",
    "invalid_number_format": "invalid_number",
    "originator_cancel": "cancelled",
    "subscriber_absent": "unreachable",
}
_EVENTS: dict[str, DialState] = {
    "call.initiated": "dialing",
    "call.answered": "answered",
    "call.bridged": "answered",
    "call.hangup": "ended",
}


def translate(record: dict[str, Any]) -> dict[str, Any]:
    """Telnyx's snake case as Twilio's form. Never raises; what is not there stays missing and is refused later."""
    event = record.get("event")
    if event == "connected":
        return {"event": "connected", "protocol": "Call", "version": record.get("version", "1.0.0")}
    out = {**record, "streamSid": record.get("stream_id")}
    start = record.get("start")
    if event == "start" and isinstance(start, dict):
        form = start.get("media_format")
        form = form if isinstance(form, dict) else {}
        encoding = {"PCMU": wire.ENCODING}.get(str(form.get("encoding")), form.get("encoding"))
        out["start"] = {
            "streamSid": record.get("stream_id"),
            "callSid": start.get("call_control_id"),
            "mediaFormat": {
                "encoding": encoding,
                "sampleRate": form.get("sample_rate"),
                "channels": form.get("channels"),
            },
            "customParameters": {},
        }
    if event == "stop":
        out["stop"] = {}
    if event == "error":
        out["event"] = "telnyx-error"  # counted and ignored, a burst of them ends the call
    return out


def _media(_stream: str, mulaw: bytes) -> str:
    return json.dumps({"event": "media", "media": {"payload": base64.b64encode(mulaw).decode("ascii")}})


def _mark(_stream: str, name: str) -> str:
    return json.dumps({"event": "mark", "mark": {"name": name}})


def _clear(_stream: str) -> str:
    return json.dumps({"event": "clear"})


DIALECT = Dialect("telnyx", translate, _media, _mark, _clear)


class TelnyxCarrier:
    """Telnyx's Call Control. ``base_url`` is the public https address under which Telnyx reaches us."""

    name = "telnyx"
    whisper_key = ""

    def __init__(
        self,
        api_key: str,
        connection_id: str,
        caller_id: str,
        base_url: str,
        *,
        api: str = API,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._connection, self._caller_id, self._base_url = connection_id, caller_id, base_url.rstrip("/")
        self._calls = f"{api}/v2/calls"
        self._client = client or httpx.AsyncClient(headers={"Authorization": f"Bearer {api_key}"}, timeout=TIMEOUT)

    async def close(self) -> None:
        await self._client.aclose()

    async def place(self, request: DialRequest) -> str:
        """See ``HostedCarrier.place``. Telnyx ignores a second request with the same ``command_id``."""
        body = {
            "connection_id": self._connection,
            "to": request.to,
            "from": request.caller_id or self._caller_id,
            "timeout_secs": int(request.ring_timeout),
            "command_id": request.attempt_id,
            "client_state": base64.b64encode(request.attempt_id.encode()).decode(),
            "webhook_url": f"{self._base_url}/webhooks/telnyx/{request.attempt_id}",
            "answering_machine_detection": "detect",
            "stream_url": "wss://" + self._base_url.split("://", 1)[-1] + request.media_path,
            "stream_track": "inbound_track",
            "stream_codec": "PCMU",
            "stream_bidirectional_mode": "rtp",
            "stream_bidirectional_codec": "PCMU",
        }
        status, answer = await ask(self._client, "POST", self._calls, body=body)
        data = answer.get("data")
        call = data.get("call_control_id") if isinstance(data, dict) else None
        if status == 200 and isinstance(call, str):
            return call
        if 400 <= status < 500:
            errors = answer.get("errors")
            code = errors[0].get("code") if isinstance(errors, list) and errors and isinstance(errors[0], dict) else ""
            # 10016: the number is not E.164 (Telnyx error list)
            raise DialFailed("invalid_number" if str(code) == "10016" else "carrier_error", f"Telnyx {status}, {code}")
        raise DialUnknown(f"Telnyx answered {status} without a call")

    async def status(self, provider_id: str) -> DialStatus:
        status, answer = await ask(self._client, "GET", f"{self._calls}/{provider_id}")
        data = answer.get("data")
        if status != 200 or not isinstance(data, dict):
            return DialStatus("unknown", cause=str(status))
        return DialStatus("answered" if data.get("is_alive") else "ended")

    async def hang_up(self, provider_id: str) -> None:
        await ask(self._client, "POST", f"{self._calls}/{provider_id}/actions/hangup", body={})

    async def transfer(self, provider_id: str, to: str, whisper: str | None = None) -> None:
        """Have Telnyx dial ``to``, play them the whisper, and join the two. Raises ``DialFailed``."""
        body = {"to": to}
        if whisper:
            body["audio_url"] = self._base_url + sound_path(whisper)
        status, _ = await ask(self._client, "POST", f"{self._calls}/{provider_id}/actions/transfer", body=body)
        if status != 200:
            raise DialFailed("carrier_error", f"Telnyx refused the transfer ({status})")


def read_status(webhook: dict[str, Any]) -> DialStatus:
    """A webhook's body as a status; anything else than a known call event gives ``unknown``."""
    data = webhook.get("data")
    if not isinstance(data, dict) or not isinstance(data.get("payload"), dict):
        return DialStatus("unknown")
    kind, payload = str(data.get("event_type")), data["payload"]
    if kind == "call.machine.detection.ended":
        who: AnsweredBy = {"human": "person", "machine": "machine", "fax_detected": "fax"}.get(  # type: ignore[assignment]
            str(payload.get("result")), "unknown"
        )
        return DialStatus("answered", answered_by=who)
    state = _EVENTS.get(kind, "unknown")
    cause = str(payload.get("hangup_cause") or "")
    failure = None if state != "ended" or cause in ("normal_clearing", "") else _CAUSES.get(cause, "carrier_error")
    return DialStatus(state, failure, "unknown", cause or kind)


def is_signed(public_key: str, signature: str | None, timestamp: str | None, body: bytes, now: float) -> bool:
    """Whether ``body`` bears Telnyx's Ed25519 signature over ``timestamp|body`` and is not older than five minutes."""
    if signature is None or timestamp is None or not timestamp.isdigit() or len(timestamp) > 12:
        return False
    if abs(now - int(timestamp)) > TOLERANCE:
        return False
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(public_key, validate=True))
        key.verify(base64.b64decode(signature, validate=True), timestamp.encode() + b"|" + body)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True
