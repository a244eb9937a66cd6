"""Dialling through Asterisk: media first, then the phone, joined the moment it is answered.

The order matters: with the media channel standing before the phone rings, the person is joined within milliseconds
of answering; the other way round a dead media server looks like a bad number. Every resource of an attempt has an
id made of what it is and the attempt's UUID (in that order: Asterisk also finds channels by prefix).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from agent.errors import LineError
from agent.telephony.asterisk.ari import Ari, AriError
from agent.telephony.asterisk.audiosocket import AudioSocketLine, AudioSocketServer
from agent.telephony.asterisk.media import AsteriskLine
from agent.telephony.carrier import (
    Answered,
    DialFailed,
    DialRequest,
    DialStatus,
    DialUnknown,
    Progress,
    failure_of,
)
from agent.telephony.line import MarkPlayed
from agent.telephony.whisper import Whisper
from audio.telephone import RATE

log = logging.getLogger(__name__)

PHONE, MEDIA, BRIDGE, DESK = "phone-", "media-", "bridge-", "desk-"
SETTLE = 5.0
"""Seconds that Asterisk has to report what became of a channel after its ring time ran out."""


@dataclass(slots=True)
class _Call:
    """What is known of one attempt. ``ended`` holds the phone channel's Q.850 cause once it is gone."""

    attempt_id: str
    progress: Progress | None
    media_in: asyncio.Event = field(default_factory=asyncio.Event)
    up: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    rang: bool = False
    line: AsteriskLine | AudioSocketLine | None = None


class AsteriskCarrier:
    """One Asterisk. ``endpoint`` is a dial string with ``{to}``, such as ``PJSIP/{to}@trunk``. Call ``start`` first.

    Media goes over chan_websocket; for an Asterisk without it, over AudioSocket to ``audio_socket``, which must listen.
    """

    name = "asterisk"

    def __init__(
        self,
        ari: Ari,
        endpoint: str = "PJSIP/{to}",
        caller_id: str | None = None,
        *,
        audio_socket: AudioSocketServer | None = None,
    ) -> None:
        if "{to}" not in endpoint:
            raise ValueError("the Asterisk endpoint must contain {to}")
        self._ari = ari
        self._endpoint = endpoint
        self._caller_id = caller_id
        self._server = audio_socket
        self._calls: dict[str, _Call] = {}
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
        call = self._calls[attempt] = _Call(attempt, progress)
        try:
            line = call.line = await self._media(call)
            await self._ring(call, request)
            await self._ari.request(
                "POST", f"bridges/{BRIDGE}{attempt}/addChannel", channel=f"{PHONE}{attempt},{MEDIA}{attempt}"
            )
            line.answered()
        except AriError as e:
            await self._clean_up(attempt)
            if call.up.is_set():
                raise DialUnknown(f"the phone was answered, but could not be joined: {e}") from e
            raise DialFailed("carrier_error", str(e)) from e
        except BaseException:
            await self._clean_up(attempt)
            raise
        self._tell(call, DialStatus("answered"))
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

        The whisper is played on a bridge of its own, where only the desk's phone and a media channel of ours are.
        """
        desk = DialRequest(attempt_id, to, ring_timeout=ring_timeout)
        call = _Call(f"{DESK}{attempt_id}", None)
        self._calls[call.attempt_id] = call
        try:
            if whisper is not None:
                await self._prepare_whisper(call)
            await self._ring(call, desk, prefix="")
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

    async def _prepare_whisper(self, call: _Call) -> None:
        """A media channel for the desk's phone, before it rings. Without one there is a hand-over all the same."""
        try:
            call.line = await self._media(call)
        except AriError as e:
            log.warning("nothing can be whispered: %s", e)
            await self._drop_whisper(call)

    async def _whisper(self, call: _Call, line: AsteriskLine | AudioSocketLine, whisper: Whisper) -> None:
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

    async def _drop_whisper(self, call: _Call) -> None:
        if call.line is not None:
            await call.line.close()
        for path in (f"channels/{MEDIA}{call.attempt_id}", f"bridges/{BRIDGE}{call.attempt_id}"):
            await self._delete(path)

    def _hung_up(self, attempt_id: str) -> bool:
        call = self._calls.get(attempt_id)
        return call is not None and call.ended.done()

    # one attempt -----------------------------------------------------------------------------------------------

    async def _media(self, call: _Call) -> AsteriskLine | AudioSocketLine:
        """The bridge, the media channel in it and its socket, before any phone rings."""
        attempt = call.attempt_id
        await self._ari.wait_connected()
        await self._ari.request("POST", "bridges", type="mixing", bridgeId=f"{BRIDGE}{attempt}")
        line = await (self._audio_socket(call) if self._server is not None else self._web_socket(call))
        try:
            async with asyncio.timeout(SETTLE):
                await call.media_in.wait()
        except TimeoutError:
            await line.close()
            raise AriError(0, "Asterisk's media channel did not enter our application") from None
        return line

    async def _web_socket(self, call: _Call) -> AsteriskLine:
        attempt = call.attempt_id
        channel = await self._external_media(
            attempt,
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
            answer = await self._ari.request(
                "GET", f"channels/{MEDIA}{attempt}/variable", variable="MEDIA_WEBSOCKET_CONNECTION_ID"
            )
            connection = answer.get("value") if isinstance(answer, dict) else None
        if not isinstance(connection, str) or not connection:
            raise AriError(0, "Asterisk named no media connection: chan_websocket is needed (20.18, 22.8, 23.2)")
        socket = await self._ari.open_media(connection)
        line = AsteriskLine(socket, lambda: self._clean_up(attempt))
        try:
            await line.start()
        except LineError as e:
            raise AriError(0, str(e)) from e
        return line

    async def _audio_socket(self, call: _Call) -> AudioSocketLine:
        server = self._server
        assert server is not None
        attempt = call.attempt_id
        # AudioSocket wants a UUID, which the whisper's name is not.
        identity = str(uuid.uuid4()) if attempt.startswith(DESK) else attempt
        with server.expect(identity, lambda: self._clean_up(attempt)) as coming:
            await self._external_media(
                attempt,
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

    async def _external_media(self, attempt: str, **parameters: str) -> Any:
        parameters |= {"app": self._ari.application, "channelId": f"{MEDIA}{attempt}", "direction": "both"}
        return await self._ari.request("POST", "channels/externalMedia", None, **parameters)

    async def _ring(self, call: _Call, request: DialRequest, prefix: str = PHONE) -> None:
        """Create and dial the phone's channel, and wait until it is up. Raises ``DialFailed``."""
        channel = f"{prefix}{call.attempt_id}"
        await self._ari.request(
            "POST",
            "channels/create",
            endpoint=self._endpoint.replace("{to}", request.to),
            app=self._ari.application,
            channelId=channel,
            formats="ulaw",
        )
        caller = request.caller_id or self._caller_id
        if caller:
            await self._ari.request("POST", f"channels/{channel}/variable", variable="CALLERID(num)", value=caller)
        await self._ari.request("POST", f"channels/{channel}/dial", timeout=int(request.ring_timeout))
        self._tell(call, DialStatus("dialing"))
        up = asyncio.create_task(call.up.wait())
        either: set[asyncio.Future[Any]] = {up, call.ended}
        try:
            await asyncio.wait(either, timeout=request.ring_timeout + SETTLE, return_when=asyncio.FIRST_COMPLETED)
        finally:
            up.cancel()
        if call.up.is_set():
            return
        if call.ended.done():
            cause = call.ended.result()
            raise DialFailed(failure_of(cause, rang=call.rang), f"cause {cause}")
        raise DialFailed("no_answer" if call.rang else "unreachable", "Asterisk reported no end")

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
                self._handed_over.discard(attempt)
                self._in_background(self._end_hand_over(attempt))
            return
        call = self._calls.get(name.removeprefix(PHONE)) if name.startswith(PHONE) else self._calls.get(name)
        if call is None:
            return
        if kind == "Dial" and event.get("dialstatus") in ("RINGING", "PROGRESS"):
            self._ringing(call)
        elif (kind == "Dial" and event.get("dialstatus") == "ANSWER") or channel.get("state") == "Up":
            call.up.set()
        elif kind == "ChannelStateChange" and channel.get("state") in ("Ring", "Ringing"):
            self._ringing(call)
        if kind == "ChannelDestroyed":
            cause = event.get("cause")
            if not call.ended.done():
                call.ended.set_result(cause if isinstance(cause, int) else 0)
            if call.line is not None:
                call.line.far_end_gone()

    def _ringing(self, call: _Call) -> None:
        if not call.rang:
            call.rang = True
            self._tell(call, DialStatus("ringing"))

    def _tell(self, call: _Call, status: DialStatus) -> None:
        if call.progress is not None:
            call.progress(status)

    async def _resynchronise(self) -> None:
        """After every (re)connect: end channels of ours that nobody is behind, notice those that ended meanwhile.

        Asterisk keeps a call up when its ARI client dies. A conversation cannot be taken up again in the middle,
        so a person left on such a line hears the call end, and nobody is left in silence.
        """
        channels = await self._ari.request("GET", "channels")
        alive = {c["id"] for c in channels if isinstance(c, dict) and isinstance(c.get("id"), str)}
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
        for attempt, call in tuple(self._calls.items()):
            if call.up.is_set() and f"{PHONE}{attempt}" not in alive and call.line is not None:
                call.line.far_end_gone()
