"""Twilio: dialling, signed webhooks, Media Streams.

Sources: Twilio, "Make outbound calls" (Calls resource), "Media Streams – WebSocket Messages", "Webhooks security"
(X-Twilio-Signature), "Answering Machine Detection". There is no idempotency key: a dial whose answer is lost may
have rung, and is ``DialUnknown``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterable
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import httpx

from agent.telephony import media_streams as wire
from agent.telephony.carrier import AnsweredBy, DialFailed, DialRequest, DialState, DialStatus, DialUnknown, Failure
from agent.telephony.media_socket import Dialect
from agent.telephony.rest import TIMEOUT, ask

API = "https://api.twilio.com"

DIALECT = Dialect("twilio", lambda record: record, wire.media, wire.mark, wire.clear)

_STATES: dict[str, tuple[DialState, Failure | None]] = {
    "queued": ("queued", None),
    "initiated": ("dialing", None),
    "ringing": ("ringing", None),
    "in-progress": ("answered", None),
    "completed": ("ended", None),
    "busy": ("ended", "busy"),
    "no-answer": ("ended", "no_answer"),
    "canceled": ("ended", "cancelled"),
    "failed": ("ended", "carrier_error"),
}
_SIP: dict[str, Failure] = {
    "404": "invalid_number",
    "484": "invalid_number",
    "486": "busy",
    "480": "unreachable",
    "403": "rejected",
    "603": "rejected",
    "607": "rejected",
    "608": "rejected",
}
_INVALID = {13223, 13224, 21211, 21214, 21217, 21401, 21421}
"""Error codes of numbers that are none (docs: error dictionary)."""


class TwilioCarrier:
    """Twilio's REST side. ``base_url`` is the public https address under which Twilio reaches us."""

    name = "twilio"
    whisper_key = ""

    def __init__(
        self,
        account_sid: str,
        auth_token: str,
        caller_id: str,
        base_url: str,
        *,
        api: str = API,
        detect_machines: bool = True,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._account, self._token, self._caller_id = account_sid, auth_token, caller_id
        self._base_url = base_url.rstrip("/")
        self._calls = f"{api}/2010-04-01/Accounts/{account_sid}/Calls"
        self._detect = detect_machines
        self._client = client or httpx.AsyncClient(auth=(account_sid, auth_token), timeout=TIMEOUT)

    async def close(self) -> None:
        await self._client.aclose()

    async def place(self, request: DialRequest) -> str:
        """See ``HostedCarrier.place``. The call's media socket is opened when somebody answers."""
        hook = f"{self._base_url}/webhooks/twilio/{request.attempt_id}"
        form: dict[str, str | list[str]] = {
            "To": request.to,
            "From": request.caller_id or self._caller_id,
            "Twiml": stream_twiml(self._base_url, request.media_path),
            "Timeout": str(int(request.ring_timeout)),
            "StatusCallback": hook,
            "StatusCallbackMethod": "POST",
            "StatusCallbackEvent": ["initiated", "ringing", "answered", "completed"],
        }
        if self._detect:
            # Asynchronous: the conversation starts at once, and the verdict comes as a webhook of its own.
            form |= {"MachineDetection": "Enable", "AsyncAmd": "true", "AsyncAmdStatusCallback": hook}
        status, answer = await ask(self._client, "POST", f"{self._calls}.json", form=form)
        sid = answer.get("sid")
        if status in (200, 201) and isinstance(sid, str):
            return sid
        if status == 429:
            raise DialFailed("carrier_error", "Twilio asks us to slow down (429)")
        if 400 <= status < 500:
            code = answer.get("code")
            raise DialFailed("invalid_number" if code in _INVALID else "carrier_error", f"Twilio {status}, code {code}")
        raise DialUnknown(f"Twilio answered {status} without a call")

    async def status(self, provider_id: str) -> DialStatus:
        status, answer = await ask(self._client, "GET", f"{self._calls}/{provider_id}.json")
        return read_status(answer) if status == 200 else DialStatus("unknown", cause=str(status))

    async def hang_up(self, provider_id: str) -> None:
        await ask(self._client, "POST", f"{self._calls}/{provider_id}.json", form={"Status": "completed"})

    async def transfer(self, provider_id: str, to: str, whisper: str | None = None) -> None:
        """Replace what the call does by a dial to ``to``. Raises ``DialFailed`` when Twilio will not.

        When ``to`` answers, Twilio asks our whisper URL and plays the answer to them alone before it joins the two.
        """
        url = f" url={quoteattr(f'{self._base_url}/webhooks/twilio/whisper/{whisper}')}" if whisper else ""
        twiml = f"<Response><Dial><Number{url}>{escape(to)}</Number></Dial></Response>"
        status, _ = await ask(self._client, "POST", f"{self._calls}/{provider_id}.json", form={"Twiml": twiml})
        if status != 200:
            raise DialFailed("carrier_error", f"Twilio refused the transfer ({status})")


def stream_twiml(base_url: str, media_path: str) -> str:
    """What the call does once answered: a two-way stream to our socket (``<Start>`` would be one-way)."""
    url = "wss://" + base_url.split("://", 1)[-1].rstrip("/") + media_path
    return f"<Response><Connect><Stream url={quoteattr(url)}/></Connect></Response>"


def read_status(form: dict[str, Any]) -> DialStatus:
    """A call resource, or a status webhook's form, as a status. Unknown words give ``unknown``."""
    word = str(form.get("CallStatus") or form.get("status") or "")
    state, failure = _STATES.get(word, ("unknown", None))
    sip = str(form.get("SipResponseCode") or "")
    if word in ("failed", "busy", "no-answer"):
        failure = _SIP.get(sip, failure)
    answered_by = str(form.get("AnsweredBy") or form.get("answered_by") or "")
    who: AnsweredBy = "unknown"
    if answered_by == "human":
        who = "person"
    elif answered_by.startswith("machine"):
        who = "machine"
    elif answered_by == "fax":
        who = "fax"
    return DialStatus(state, failure, who, sip or word)


def signature(auth_token: str, url: str, form: Iterable[tuple[str, str]] = ()) -> str:
    """X-Twilio-Signature: base64 HMAC-SHA1 over the exact public URL and the POST fields, sorted, joined.

    The stream's WebSocket request is signed the same way, without fields.
    """
    signed = url + "".join(name + value for name, value in sorted(form))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def is_signed(given: str | None, auth_token: str, url: str, form: Iterable[tuple[str, str]] = ()) -> bool:
    """Whether ``given`` is the signature of this request, in constant time."""
    return given is not None and hmac.compare_digest(given.encode(), signature(auth_token, url, form).encode())
