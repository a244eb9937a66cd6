"""Dialling through Asterisk: media first, then the phone, joined the moment it is answered.

The order matters: with the media channel standing before the phone rings, the person is joined within milliseconds
of answering; the other way round a dead media server looks like a bad number. Every resource of an attempt has an
id made of what it is and the attempt's UUID (in that order: Asterisk also finds channels by prefix).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Coroutine, Sequence
from typing import Any

from agent.errors import LineError
from agent.telephony.asterisk.ari import Ari, AriError
from agent.telephony.asterisk.audiosocket import AudioSocketLine, AudioSocketServer
from agent.telephony.asterisk.calls import PbxCall
from agent.telephony.asterisk.media import AsteriskLine
from agent.telephony.asterisk.opening import BRIDGE, DESK, MEDIA, PHONE, SETTLE, open_media
from agent.telephony.asterisk.ringing import ring
from agent.telephony.carrier import (
    Answered,
    DialFailed,
    DialRequest,
    DialStatus,
    DialUnknown,
    Progress,
)
from agent.telephony.line import MarkPlayed
from agent.telephony.whisper import Whisper
from audio.telephone import RATE

log = logging.getLogger(__name__)

_DIAL_STRING = re.compile(r"[A-Za-z]{2,16}/[A-Za-z0-9_.+@:/-]{1,80}")
"""The second slash: ``Local/600@queues/n``, ``PJSIP/trunk/sip:600@pbx``."""


class AsteriskCarrier:
    """One Asterisk. ``endpoint`` is a dial string with ``{to}``, such as ``PJSIP/{to}@trunk``. Call ``start`` first.

    Media goes over chan_websocket; for an Asterisk without it, over AudioSocket to ``audio_socket``, which must listen.
    ``abandoned`` are the names of applications whose processes are dead: their calls are ended at the start.
    """

    name = "asterisk"

    def __init__(
        self,
        ari: Ari,
        endpoint: str = "PJSIP/{to}",
        caller_id: str | None = None,
        *,
        audio_socket: AudioSocketServer | None = None,
        abandoned: Sequence[str] = (),
    ) -> None:
        if "{to}" not in endpoint:
            raise ValueError("the Asterisk endpoint must contain {to}")
        self._ari = ari
        self._endpoint = endpoint
        self._caller_id = caller_id
        self._server = audio_socket
        self._abandoned = tuple(abandoned)
        self._calls: dict[str, PbxCall] = {}
        self._handed_over: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Connect, and deal with what a former process left behind. Raises ``AriError``."""
        self._ari.listen(self._on_event)
        await self._ari.start(self._resynchronise)

    async def close(self) -> None:
        await self._ari.close()

    async def dial(self, request: DialRequest, progress: Progress | None = None) -> Answered:
        """See ``Carrier.dial``."""
        attempt = request.attempt_id
        if attempt in self._calls:
            raise ValueError("this attempt is being dialled already")
        call = self._calls[attempt] = PbxCall(attempt, progress)
        try:
            line = call.line = await self._media(call)
            caller = request.caller_id or self._caller_id
            endpoint = self._endpoint.replace("{to}", request.to)
            await ring(self._ari, call, f"{PHONE}{attempt}", endpoint, request.ring_timeout, caller)
            await self._join(call)
            line.answered()
            if call.ended.done():
                line.far_end_gone()  # they hung up as they were joined
        except AriError as e:
            await self._clean_up(attempt)
            if call.up.is_set():
                raise DialUnknown(f"the phone was answered, but could not be joined: {e}") from e
            raise DialFailed("carrier_error", str(e)) from e
        except BaseException:
            await self._clean_up(attempt)
            raise
        call.tell(DialStatus("answered"))
        return Answered(line, attempt)

    async def status(self, attempt_id: str) -> DialStatus:
        """From the PBX's own list of live channels: it remembers no ended ones."""
        try:
            channel = await self._ari.request("GET", f"channels/{PHONE}{attempt_id}")
        except AriError as e:
            if e.status == 404:
                return DialStatus("ended", cause="no such channel")
            return DialStatus("unknown", cause=str(e))
        state = channel.get("state") if isinstance(channel, dict) else None
        if state == "Up":
            return DialStatus("answered")
        return DialStatus("ringing" if state in ("Ringing", "Ring") else "dialing", cause=str(state))

    async def hang_up(self, attempt_id: str) -> None:
        await self._clean_up(attempt_id)

    async def transfer(
        self, attempt_id: str, to: str, *, ring_timeout: float = 30.0, whisper: Whisper | None = None
    ) -> None:
        """Ring ``to`` while the person waits on the bridge; once answered, our media channel leaves.

        ``to`` is a number or an extension for the endpoint, or a dial string of its own, such as
        ``Local/600@queues`` for a queue of the dialplan.

        The whisper is played on a bridge of its own, where only the desk's phone and a media channel of ours are.
        """
        endpoint = self._desk_endpoint(attempt_id, to, ring_timeout)
        call = PbxCall(f"{DESK}{attempt_id}", None)
        self._calls[call.attempt_id] = call
        try:
            if whisper is not None:
                await self._prepare_whisper(call)
            await ring(self._ari, call, call.attempt_id, endpoint, ring_timeout, self._caller_id)
            if whisper is not None and call.line is not None:
                await self._whisper(call, call.line, whisper)
            if self._hung_up(attempt_id):
                raise DialFailed("cancelled", "the person hung up before they were joined")
            await self._ari.request("POST", f"bridges/{BRIDGE}{attempt_id}/addChannel", channel=call.attempt_id)
        except AriError as e:
            await self._delete(f"channels/{call.attempt_id}")
            raise DialFailed("carrier_error", str(e)) from e
        except BaseException:
            await self._delete(f"channels/{call.attempt_id}")
            raise
        finally:
            if call.line is not None:
                await self._drop_whisper(call)
            self._calls.pop(call.attempt_id, None)
        self._handed_over.add(attempt_id)  # from here on the two of them talk, until either hangs up
        ours = self._calls.pop(attempt_id, None)
        if ours is not None and ours.line is not None:
            await ours.line.close()
        await self._delete(f"channels/{MEDIA}{attempt_id}")

    async def _prepare_whisper(self, call: PbxCall) -> None:
        """A media channel for the desk's phone, before it rings. Without one there is a hand-over all the same."""
        try:
            call.line = await self._media(call)
        except AriError as e:
            log.warning("nothing can be whispered: %s", e)
            await self._drop_whisper(call)

    async def _whisper(self, call: PbxCall, line: AsteriskLine | AudioSocketLine, whisper: Whisper) -> None:
        """Play to the desk's phone alone. Raises ``DialFailed`` if it hangs up meanwhile."""
        bridge = f"bridges/{BRIDGE}{call.attempt_id}"
        await self._ari.request("POST", f"{bridge}/addChannel", channel=f"{call.attempt_id},{MEDIA}{call.attempt_id}")
        line.answered()
        await line.send_audio(whisper.pcm)
        await line.send_mark("whispered")
        try:
            async with asyncio.timeout(len(whisper.pcm) / RATE + SETTLE):
                async for event in line.events():
                    if isinstance(event, MarkPlayed):
                        break
        except TimeoutError:
            log.warning("a whisper's end was not reported")
        except LineError as e:
            log.warning("a whisper was cut short: %s", e)
        if call.ended.done():
            raise DialFailed("rejected", "the desk hung up during the whisper")
        await self._ari.request("POST", f"{bridge}/removeChannel", channel=call.attempt_id)

    async def _drop_whisper(self, call: PbxCall) -> None:
        if call.line is not None:
            await call.line.close()
        for path in (f"channels/{MEDIA}{call.attempt_id}", f"bridges/{BRIDGE}{call.attempt_id}"):
            await self._delete(path)

    def _hung_up(self, attempt_id: str) -> bool:
        call = self._calls.get(attempt_id)
        return call is not None and call.ended.done()

    # one attempt -----------------------------------------------------------------------------------------------

    async def _media(self, call: PbxCall) -> AsteriskLine | AudioSocketLine:
        return await open_media(self._ari, self._server, call, lambda: self._clean_up(call.attempt_id))

    def _desk_endpoint(self, attempt_id: str, to: str, ring_timeout: float) -> str:
        """Raises ``DialFailed`` for what Asterisk could not dial."""
        if _DIAL_STRING.fullmatch(to):
            return to
        try:
            DialRequest(attempt_id, to, ring_timeout=ring_timeout)
        except ValueError as e:
            raise DialFailed("invalid_number", str(e)) from e
        return self._endpoint.replace("{to}", to)

    async def _join(self, call: PbxCall) -> None:
        """Phone and media on the bridge. Somebody who has hung up meanwhile has answered all the same."""
        attempt = call.attempt_id
        try:
            await self._ari.request(
                "POST", f"bridges/{BRIDGE}{attempt}/addChannel", channel=f"{PHONE}{attempt},{MEDIA}{attempt}"
            )
        except AriError as e:
            if e.status not in (400, 404, 409, 422):
                raise
            await asyncio.wait({call.ended}, timeout=1.0)
            if not call.ended.done():
                raise

    async def _clean_up(self, attempt: str) -> None:
        call = self._calls.pop(attempt, None)
        if call is not None and call.line is not None:
            await call.line.close()
        for path in (f"channels/{PHONE}{attempt}", f"channels/{MEDIA}{attempt}", f"bridges/{BRIDGE}{attempt}"):
            await self._delete(path)

    async def _end_hand_over(self, attempt: str) -> None:
        await self._delete(f"channels/{DESK}{attempt}")
        await self._clean_up(attempt)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _delete(self, path: str) -> None:
        with contextlib.suppress(AriError):  # gone already, or the PBX is: either way it is not ours any more
            await self._ari.request("DELETE", path)

    # what Asterisk tells ---------------------------------------------------------------------------------------

    def _on_event(self, event: dict[str, Any]) -> None:
        kind = event.get("type")
        if kind == "BridgeDestroyed":
            self._bridge_gone(event.get("bridge"))
            return
        channel = event.get("peer") if kind == "Dial" else event.get("channel")
        if not isinstance(channel, dict) or not isinstance(channel.get("id"), str):
            return
        name: str = channel["id"]
        if name.startswith(MEDIA):
            call = self._calls.get(name.removeprefix(MEDIA))
            if call is not None and kind == "StasisStart":
                call.media_in.set()
            elif call is not None and kind == "ChannelDestroyed" and call.line is not None:
                call.line.far_end_gone("media channel gone")
            return
        attempt = name.removeprefix(PHONE).removeprefix(DESK)
        if attempt in self._handed_over:
            if kind == "ChannelDestroyed":  # either of the two hung up: let the other go as well
                self._let_go(attempt)
            return
        call = self._calls.get(name.removeprefix(PHONE)) if name.startswith(PHONE) else self._calls.get(name)
        if call is not None:
            call.on_phone_event(event, channel)

    def _bridge_gone(self, bridge: object) -> None:
        """Somebody else took the bridge away: whoever was on it hears nothing any more, so the call ends."""
        name = bridge.get("id") if isinstance(bridge, dict) else None
        if not isinstance(name, str) or not name.startswith(BRIDGE):
            return
        attempt = name.removeprefix(BRIDGE)
        call = self._calls.get(attempt)
        if call is not None and call.line is not None:
            call.line.far_end_gone("bridge gone")
        elif attempt in self._handed_over:
            self._let_go(attempt)

    def _let_go(self, attempt: str) -> None:
        self._handed_over.discard(attempt)
        self._in_background(self._end_hand_over(attempt))

    async def _resynchronise(self) -> None:
        """After every (re)connect: end our application's channels that nobody is behind, notice which ended meanwhile.

        Asterisk keeps a call up when its ARI client dies. A conversation cannot be taken up again in the middle,
        so a person left on such a line hears the call end, and nobody is left in silence.
        """
        answer = await self._ari.request("GET", "channels")
        channels = answer if isinstance(answer, list) else []
        found = {c["id"]: str(c.get("state")) for c in channels if isinstance(c, dict) and isinstance(c.get("id"), str)}
        abandoned, self._abandoned = self._abandoned, ()
        owned = [await self._ari.channels_of(name) for name in (self._ari.application, *abandoned)]
        alive = frozenset(found).intersection(frozenset().union(*owned))
        orphans = set()
        for name in alive:
            attempt = name.removeprefix(DESK)
            # While a desk's phone rings or is whispered to, our media channel is still with the person.
            if name.startswith(DESK) and f"{PHONE}{attempt}" in alive and f"{MEDIA}{attempt}" not in alive:
                self._handed_over.add(attempt)  # two people talk: leave them
        for name in alive:
            for prefix in (PHONE, MEDIA, DESK):
                attempt = name.removeprefix(prefix)
                if name.startswith(prefix) and attempt not in self._calls and attempt not in self._handed_over:
                    orphans.add(attempt)
        for attempt in orphans:
            log.warning("ending a call that a former connection left behind")
            await self._end_hand_over(attempt)
        for attempt in tuple(self._handed_over):
            if not {f"{PHONE}{attempt}", f"{DESK}{attempt}"} <= alive:
                self._let_go(attempt)  # one of the two hung up unseen: the other waits in silence
        for attempt, call in tuple(self._calls.items()):
            if call.created:
                call.seen(found.get(attempt if attempt.startswith(DESK) else f"{PHONE}{attempt}"))
