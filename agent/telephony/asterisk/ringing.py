"""Dialling a phone's channel and waiting until it is up, or until it is known why it is not."""

from __future__ import annotations

import asyncio
from typing import Any

from agent.telephony.asterisk.ari import Ari, AriError
from agent.telephony.asterisk.calls import LOST, PbxCall
from agent.telephony.asterisk.opening import SETTLE
from agent.telephony.carrier import DialFailed, DialStatus, DialUnknown, failure_of


async def ring(ari: Ari, call: PbxCall, channel: str, endpoint: str, ring_timeout: float, caller: str | None) -> None:
    """Create and dial ``channel``, and wait until it is up. Raises ``DialFailed``, ``DialUnknown``, ``AriError``."""
    await ari.request(
        "POST",
        "channels/create",
        endpoint=endpoint,
        app=ari.application,
        channelId=channel,
        # Both laws: a phone or a trunk that speaks one of them only would refuse an offer of the other (488).
        formats="ulaw,alaw",
    )
    call.created = True
    # Asterisk answers before the channel has entered our application, and refuses (409) what is asked of it until then.
    # If the event never comes, what is asked next will tell.
    await _either(call.entered, call, SETTLE)
    # What an outgoing PJSIP channel writes into From is its connected line; its caller ID is what we would see.
    for variable in ("CALLERID(num)", "CONNECTEDLINE(num,i)") if caller else ():
        await ari.request("POST", f"channels/{channel}/variable", variable=variable, value=caller or "")
    try:
        await ari.request("POST", f"channels/{channel}/dial", timeout=int(ring_timeout))
    except AriError as e:
        if e.sent and not e.status:
            raise DialUnknown(f"Asterisk did not say whether it dialled: {e}") from e
        raise
    call.tell(DialStatus("dialing"))
    await _either(call.up, call, ring_timeout + SETTLE)
    if call.up.is_set():
        return
    if not call.ended.done():
        await _look(ari, call, channel)
    if call.up.is_set():
        return
    if call.ended.done():
        cause = call.ended.result()
        if cause == LOST:
            raise DialUnknown("the call ended while nobody heard what Asterisk told of it")
        raise DialFailed(failure_of(cause, rang=call.rang), f"cause {cause}")
    raise DialFailed("no_answer" if call.rang else "unreachable", "Asterisk reported no end")


async def _either(event: asyncio.Event, call: PbxCall, seconds: float) -> None:
    """Wait for ``event``, the end of the call, or the end of the time."""
    waiting = asyncio.create_task(event.wait())
    either: set[asyncio.Future[Any]] = {waiting, call.ended}
    try:
        await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


async def _look(ari: Ari, call: PbxCall, channel: str) -> None:
    """Ask for the channel once its time is over and no event has told what became of it."""
    try:
        found = await ari.request("GET", f"channels/{channel}")
    except AriError as e:
        if e.status == 404:
            call.seen(None)
        return
    call.seen(found.get("state") if isinstance(found, dict) and isinstance(found.get("state"), str) else "")
