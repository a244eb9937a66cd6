"""The carrier's door: a FastAPI app with the media socket and nothing that is open by default."""

from __future__ import annotations

import logging

from fastapi import FastAPI, WebSocket
from starlette.websockets import WebSocketDisconnect

from agent.call import run_call
from agent.desk import CallDesk
from agent.errors import CallgateError, LineError
from agent.telephony import plivo, telnyx, twilio
from agent.telephony.media_socket import MediaSocketLine
from agent.telephony.tokens import TokenRejected

log = logging.getLogger(__name__)

MAX_MESSAGE = 64 * 1024
"""Bytes of one WebSocket message that the server reads at all; the protocol's own limit is lower."""
DIALECTS = {dialect.carrier: dialect for dialect in (twilio.DIALECT, telnyx.DIALECT, plivo.DIALECT)}
REFUSED, BUSY, FAILED = 4403, 4429, 4500
"""WebSocket close codes of our own: wrong token, no room, the call could not be run."""


def media_app(desk: CallDesk, *, twilio_token: str | None = None, public_url: str | None = None) -> FastAPI:
    """An app that answers ``/media/{carrier}/{token}`` for calls that ``desk`` expects, and 403 for all else.

    With ``twilio_token`` and ``public_url`` a Twilio socket must also bear Twilio's signature.
    """
    app = FastAPI(
        title="Callgate media", docs_url=None, redoc_url=None, openapi_url=None,
        telemetry={"tracing": False, "logs": False},  # paths carry tokens: no trace may
    )  # fmt: skip

    @app.websocket("/media/{carrier}/{token}")
    async def media(socket: WebSocket, carrier: str, token: str) -> None:
        dialect = DIALECTS.get(carrier)
        if dialect is None:
            await socket.close(REFUSED, "no such carrier")
            return
        if carrier == "twilio" and twilio_token and public_url and not _signed(socket, twilio_token, public_url):
            log.warning("media socket refused: Twilio's signature does not hold")
            await socket.close(REFUSED, "the signature does not hold")
            return
        try:
            call = desk.claim(desk.tokens.redeem(token))
        except TokenRejected as e:
            log.warning("media socket refused: %s", e)
            await socket.close(REFUSED, str(e))  # before accept: the client sees HTTP 403
            return
        if call is None:
            await socket.close(REFUSED, "no such call")
            return
        if desk.full:
            log.error("media socket refused: %d calls are live", desk.settings.max_calls)
            await socket.close(BUSY, "too many live calls")
            call.outcome.set_exception(LineError("too many live calls"))
            return
        await socket.accept()
        with desk:
            try:
                line = await MediaSocketLine.answer(dialect, socket)
                outcome = await run_call(desk, call, line)
            except (CallgateError, WebSocketDisconnect) as e:
                log.error("call %s failed: %s", call.call_id, e)
                if not call.outcome.done():
                    call.outcome.set_exception(e if isinstance(e, CallgateError) else LineError("socket closed"))
                await _close(socket, str(e))
                return
            if not call.outcome.done():
                call.outcome.set_result(outcome)

    return app


def _signed(socket: WebSocket, token: str, public_url: str) -> bool:
    """Twilio signs the stream's request over the wss URL that it was told to open."""
    url = "wss://" + public_url.split("://", 1)[-1].rstrip("/") + socket.url.path
    return twilio.is_signed(socket.headers.get("x-twilio-signature"), token, url)


async def _close(socket: WebSocket, reason: str) -> None:
    try:
        await socket.close(FAILED, reason[:100])
    except (RuntimeError, WebSocketDisconnect):
        return  # closed by the far end already
