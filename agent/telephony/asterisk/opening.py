"""The media channel of a call: made, connected to us, and in our application, before any phone rings."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, Final

from agent.errors import LineError
from agent.telephony.asterisk.ari import Ari, AriError
from agent.telephony.asterisk.audiosocket import AudioSocketLine, AudioSocketServer
from agent.telephony.asterisk.calls import PbxCall
from agent.telephony.asterisk.media import AsteriskLine

PHONE, MEDIA, BRIDGE, DESK = "phone-", "media-", "bridge-", "desk-"
"""What an attempt's channels and bridge are called, before its UUID: Asterisk also finds channels by prefix."""
NEEDS: Final = {
    "websocket": "chan_websocket (20.18, 22.8, 23.2); for an Asterisk without it set CALLGATE_ASTERISK_AUDIOSOCKET",
    "audiosocket": "chan_audiosocket and res_audiosocket (18)",
}
"""What Asterisk must have loaded for each way, and since which version it can."""
SETTLE: Final = 5.0
"""Seconds that Asterisk has to do what it was asked: to let a channel enter, or to report what became of one."""


async def open_media(
    ari: Ari, server: AudioSocketServer | None, call: PbxCall, on_hang_up: Callable[[], Any]
) -> AsteriskLine | AudioSocketLine:
    """The bridge, the media channel in it and its socket. Raises ``AriError``."""
    await ari.wait_connected()
    await ari.request("POST", "bridges", type="mixing", bridgeId=f"{BRIDGE}{call.attempt_id}")
    line = await (_audio_socket(ari, server, call, on_hang_up) if server else _web_socket(ari, call, on_hang_up))
    try:
        async with asyncio.timeout(SETTLE):
            await call.media_in.wait()
    except TimeoutError:
        await line.close()
        raise AriError(0, "Asterisk's media channel did not enter our application") from None
    return line


async def _web_socket(ari: Ari, call: PbxCall, on_hang_up: Callable[[], Any]) -> AsteriskLine:
    attempt = call.attempt_id
    channel = await _external_media(
        ari,
        attempt,
        NEEDS["websocket"],
        external_host="INCOMING",
        transport="websocket",
        encapsulation="none",
        connection_type="server",
        format="ulaw",
        transport_data="f(json)",
    )
    variables = channel.get("channelvars") if isinstance(channel, dict) else None
    connection = (variables or {}).get("MEDIA_WEBSOCKET_CONNECTION_ID")
    if not connection:
        answer = await ari.request(
            "GET", f"channels/{MEDIA}{attempt}/variable", variable="MEDIA_WEBSOCKET_CONNECTION_ID"
        )
        connection = answer.get("value") if isinstance(answer, dict) else None
    if not isinstance(connection, str) or not connection:
        raise AriError(0, f"Asterisk named no media connection: it needs {NEEDS['websocket']}")
    socket = await ari.open_media(connection)
    line = AsteriskLine(socket, on_hang_up)
    try:
        await line.start()
    except LineError as e:
        raise AriError(0, str(e)) from e
    return line


async def _audio_socket(
    ari: Ari, server: AudioSocketServer, call: PbxCall, on_hang_up: Callable[[], Any]
) -> AudioSocketLine:
    attempt = call.attempt_id
    # AudioSocket wants a UUID, which the whisper's name is not.
    identity = str(uuid.uuid4()) if attempt.startswith(DESK) else attempt
    with server.expect(identity, on_hang_up) as coming:
        await _external_media(
            ari,
            attempt,
            NEEDS["audiosocket"],
            external_host=server.external_host,
            transport="tcp",
            encapsulation="audiosocket",
            connection_type="client",
            format="slin",
            data=identity,
        )
        try:
            async with asyncio.timeout(SETTLE):
                return await coming
        except TimeoutError:
            raise AriError(0, f"Asterisk did not connect to our AudioSocket at {server.external_host}") from None


async def _external_media(ari: Ari, attempt: str, needs: str, **parameters: str) -> Any:
    parameters |= {"app": ari.application, "channelId": f"{MEDIA}{attempt}", "direction": "both"}
    try:
        return await ari.request("POST", "channels/externalMedia", None, **parameters)
    except AriError as e:
        if e.status in (400, 500, 501):  # an unknown transport, a channel driver that is not there
            raise AriError(e.status, f"Asterisk opened no media channel ({e.status}): it needs {needs}") from e
        raise
