"""The doors for what hosted carriers tell us. Closed to everything that is unsigned, oversized or unexpected."""

from __future__ import annotations

import json
import logging
import re
import time
from collections.abc import Callable
from typing import Protocol
from urllib.parse import parse_qsl

from fastapi import APIRouter, HTTPException, Request, Response

from agent.telephony import plivo, telnyx, twilio
from agent.telephony.carrier import DialStatus
from agent.telephony.whisper import WhisperShelf, sound_path

log = logging.getLogger(__name__)

MAX_BODY = 32 * 1024
_ATTEMPT = re.compile(r"[A-Za-z0-9-]{1,64}\Z")


class Board(Protocol):
    """Who waits for which attempt."""

    media_paths: dict[str, str]
    whispers: WhisperShelf

    def post(self, attempt_id: str, status: DialStatus) -> bool: ...


def webhook_routes(
    board: Board,
    base_url: str,
    *,
    twilio_token: str | None = None,
    telnyx_key: str | None = None,
    plivo_token: str | None = None,
    transfer_to: str | None = None,
    clock: Callable[[], float] = time.time,
) -> APIRouter:
    """Routes for the carriers whose secret is given; the others answer 404. ``base_url`` is our public address.

    Signatures are computed over the public URL: behind a proxy the one that the request shows is another.
    """
    router = APIRouter()
    base = base_url.rstrip("/")

    @router.post("/webhooks/twilio/{attempt_id}")
    async def from_twilio(attempt_id: str, request: Request) -> Response:
        token = _configured(twilio_token)
        form = _form(await _body(request))
        given = request.headers.get("x-twilio-signature")
        _signed("twilio", twilio.is_signed(given, token, base + request.url.path, form))
        return _post(board, attempt_id, twilio.read_status(dict(form)))

    @router.post("/webhooks/telnyx/{attempt_id}")
    async def from_telnyx(attempt_id: str, request: Request) -> Response:
        key = _configured(telnyx_key)
        body = await _body(request)
        signature, stamp = (request.headers.get(f"telnyx-{name}") for name in ("signature-ed25519", "timestamp"))
        _signed("telnyx", telnyx.is_signed(key, signature, stamp, body, clock()))
        try:
            webhook = json.loads(body)
        except (ValueError, RecursionError):
            raise HTTPException(400, "the body is not JSON") from None
        return _post(board, attempt_id, telnyx.read_status(webhook if isinstance(webhook, dict) else {}))

    async def plivo_form(request: Request) -> dict[str, str]:
        token = _configured(plivo_token)
        form = _form(await _body(request))
        signature, nonce = (request.headers.get(f"x-plivo-signature-v3{part}") for part in ("", "-nonce"))
        _signed("plivo", plivo.is_signed(signature, nonce, token, base + request.url.path, form))
        return dict(form)

    @router.post("/webhooks/plivo/{attempt_id}")
    async def from_plivo(attempt_id: str, request: Request) -> Response:
        return _post(board, attempt_id, plivo.read_status(await plivo_form(request)))

    @router.post("/webhooks/plivo/{attempt_id}/answer")
    async def plivo_answer(attempt_id: str, request: Request) -> Response:
        await plivo_form(request)
        path = board.media_paths.get(attempt_id)
        if not path:
            raise HTTPException(404, "no such attempt")
        board.post(attempt_id, DialStatus("answered"))
        return Response(plivo.stream_xml(base, path), media_type="application/xml")

    @router.post("/webhooks/plivo/{call_uuid}/transfer")
    @router.post("/webhooks/plivo/{call_uuid}/transfer/{whisper}")
    async def plivo_transfer(call_uuid: str, request: Request, whisper: str = "") -> Response:
        await plivo_form(request)
        if transfer_to is None:
            raise HTTPException(404, "no transfer number is set")
        url = f"{base}/webhooks/plivo/whisper/{whisper}" if board.whispers.known(whisper) else None
        return Response(plivo.dial_xml(transfer_to, url), media_type="application/xml")

    # What is played to the human before they are joined. A whisper that is gone is left out: the person waits.

    @router.post("/webhooks/twilio/whisper/{whisper}")
    async def twilio_whisper(whisper: str, request: Request) -> Response:
        token = _configured(twilio_token)
        form = _form(await _body(request))
        given = request.headers.get("x-twilio-signature")
        _signed("twilio", twilio.is_signed(given, token, base + request.url.path, form))
        return _play(whisper)

    @router.post("/webhooks/plivo/whisper/{whisper}")
    async def plivo_whisper(whisper: str, request: Request) -> Response:
        await plivo_form(request)
        return _play(whisper)

    def _play(whisper: str) -> Response:
        play = f"<Play>{base}{sound_path(whisper)}</Play>" if board.whispers.known(whisper) else ""
        return Response(f"<Response>{play}</Response>", media_type="application/xml")

    @router.get("/whispers/{whisper}.wav")
    async def whisper_sound(whisper: str) -> Response:
        """Providers fetch sound without signing: who knows the token may, for as long as it is good."""
        sound = board.whispers.take(whisper)
        if sound is None:
            raise HTTPException(404, "no such sound")
        return Response(sound, media_type="audio/wav", headers={"Cache-Control": "no-store"})

    return router


async def _body(request: Request) -> bytes:
    """The body, never more of it than ``MAX_BODY``."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, "the body is too large")
    return body


def _form(body: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=200)
    except ValueError:
        raise HTTPException(400, "the body is not a form") from None


def _configured(secret: str | None) -> str:
    if not secret:
        raise HTTPException(404, "this carrier is not configured")
    return secret


def _signed(carrier: str, holds: bool) -> None:
    if not holds:
        log.warning("a webhook for %s was refused: its signature does not hold", carrier)
        raise HTTPException(403, "the signature does not hold")


def _post(board: Board, attempt_id: str, status: DialStatus) -> Response:
    if not _ATTEMPT.match(attempt_id):
        raise HTTPException(404, "no such attempt")
    if status.state != "unknown" and not board.post(attempt_id, status):
        raise HTTPException(404, "no such attempt")
    return Response(status_code=204)
