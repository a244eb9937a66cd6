"""Placing one prepared call through a carrier, and seeing it through to its outcome."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Final

from agent.call import run_call
from agent.desk import CallDesk, PreparedCall
from agent.errors import LineError
from agent.live import CallOutcome
from agent.telephony.carrier import (
    Carrier,
    DialFailed,
    DialRequest,
    DialStatus,
    DialUnknown,
    Failure,
    HostedCarrier,
    Progress,
)
from agent.telephony.whisper import Whisper, WhisperShelf
from campaigns.settling import CallResult

log = logging.getLogger(__name__)

ANSWER_SLACK = 30.0
"""Seconds beyond the ring time until a hosted carrier must have opened its socket or said why not."""
MEDIA_LIMIT = 10.0
"""Seconds from a hosted carrier's "answered" until its media socket must be open: a person is on the line."""
CALL_LIMIT = 1200.0
NETWORK_OUTCOMES: Final[Mapping[Failure, str]] = {
    "busy": "busy",
    "no_answer": "no_answer",
    "rejected": "rejected",
    "invalid_number": "invalid_number",
    "unreachable": "trunk_error",
    "carrier_error": "trunk_error",
    "cancelled": "canceled",
}
"""Why nobody answered, as the campaigns' outcomes."""
OnPlaced = Callable[[str | None], None]
"""Told once, with the carrier's own id of the call; ``None`` where nobody can say whether it was placed."""


class MediaMissing(LineError):  # noqa: N818 - what happened to the call
    """Somebody answered, but the carrier never opened the call's media socket: they heard silence."""


class StatusBoard:
    """Where the webhooks of hosted carriers arrive: one attempt, one listener. Unknown attempts are refused."""

    def __init__(self) -> None:
        self._listeners: dict[str, Progress] = {}
        self.media_paths: dict[str, str] = {}
        self.whispers = WhisperShelf()

    @contextlib.contextmanager
    def watch(self, attempt_id: str, listener: Progress, media_path: str = "") -> Iterator[None]:
        """Have statuses of ``attempt_id`` passed to ``listener``; ``media_path`` for carriers that ask for it."""
        self._listeners[attempt_id] = listener
        self.media_paths[attempt_id] = media_path
        try:
            yield
        finally:
            self._listeners.pop(attempt_id, None)
            self.media_paths.pop(attempt_id, None)

    def post(self, attempt_id: str, status: DialStatus) -> bool:
        """Pass ``status`` on; false if nobody waits for this attempt."""
        listener = self._listeners.get(attempt_id)
        if listener is None:
            return False
        listener(status)
        return True


async def place_on_pbx(
    desk: CallDesk,
    call: PreparedCall,
    carrier: Carrier,
    request: DialRequest,
    *,
    transfer_to: str | None = None,
    progress: Progress | None = None,
    on_placed: OnPlaced | None = None,
) -> CallOutcome:
    """Dial through a PBX and run the conversation. Raises ``DialFailed``, ``DialUnknown`` or what ``run_call`` does.

    The PBX's id of the call is the attempt's; ``on_placed`` is told when it has taken the dial.
    """
    if desk.full:
        raise DialFailed("carrier_error", "too many live calls")
    placed = False

    def told(status: DialStatus) -> None:
        nonlocal placed
        if not placed and on_placed is not None:
            on_placed(request.attempt_id)
        placed = True
        if progress is not None:
            progress(status)

    with desk:
        answered = await carrier.dial(request, told)
        call.claimed = True
        if transfer_to is not None:
            call.hand_over = lambda whisper: carrier.transfer(request.attempt_id, transfer_to, whisper=whisper)
        return await run_call(desk, call, answered.line)


async def place_hosted(
    desk: CallDesk,
    call: PreparedCall,
    carrier: HostedCarrier,
    request: DialRequest,
    board: StatusBoard,
    *,
    transfer_to: str | None = None,
    progress: Progress | None = None,
    on_placed: OnPlaced | None = None,
) -> CallOutcome:
    """Ask a provider for the call and wait for the outcome of the conversation on the socket that it opens to us.

    Raises ``DialFailed`` when it was not answered, ``DialUnknown`` when nobody can tell, ``MediaMissing`` when it was
    answered in vain. Where the provider never answered the request, the call may ring all the same: with
    ``on_placed``, which is told so, its webhooks and its socket are waited for nevertheless.
    """
    loop = asyncio.get_running_loop()
    ended = handed_over = False

    def fail(error: LineError) -> None:
        if not call.claimed and not call.outcome.done():
            call.outcome.set_exception(error)

    def on_status(status: DialStatus) -> None:
        nonlocal ended
        if progress is not None:
            progress(status)
        if status.state == "answered":
            loop.call_later(MEDIA_LIMIT, fail, MediaMissing("answered, but the media socket was never opened"))
        elif status.state == "ended":
            ended = True
            fail(
                MediaMissing("answered and ended before the media socket was opened")
                if status.failure is None
                else DialFailed(status.failure, status.cause)
            )

    provider_id: str | None = None

    async def hand_over(whisper: Whisper | None) -> None:
        nonlocal handed_over
        if provider_id is None or transfer_to is None:
            raise LineError("a call that the carrier never confirmed cannot be handed over")
        await carrier.transfer(provider_id, transfer_to, board.whispers.put(whisper) if whisper is not None else None)
        handed_over = True

    with board.watch(request.attempt_id, on_status, request.media_path):
        try:
            doubt: DialUnknown | None = None
            try:
                provider_id = await carrier.place(request)
            except DialUnknown as e:
                if on_placed is None:
                    raise
                doubt = e
            if on_placed is not None:
                on_placed(provider_id)
            if transfer_to is not None and provider_id is not None:
                call.hand_over, call.whisper_key = hand_over, carrier.whisper_key
            await asyncio.wait({call.outcome}, timeout=request.ring_timeout + ANSWER_SLACK)
            if not call.outcome.done() and not call.claimed:
                raise doubt or await _unanswered(carrier, provider_id or "")
            await asyncio.wait({call.outcome}, timeout=CALL_LIMIT)
            if not call.outcome.done():
                raise LineError("the call did not end in time")
            return call.outcome.result()
        finally:
            desk.forget(call.call_id)
            if provider_id is not None and not ended and not handed_over:
                # The end of the stream is not the end of the call with every provider.
                await _end(carrier.hang_up(provider_id))


def result_of(outcome: CallOutcome) -> CallResult:
    """What a conversation came to, for the campaigns' ledger."""
    return CallResult(
        outcome.disposition,
        outcome.call_id,
        outcome.promise,
        callback=outcome.callback,
        third_party_refused="relay_refused" in outcome.restrictions,
        restrictions=outcome.restrictions,
        verified=outcome.verified,
    )


async def _unanswered(carrier: HostedCarrier, provider_id: str) -> LineError:
    """Neither a socket nor a webhook came: ask, and believe only what the provider says."""
    try:
        status = await carrier.status(provider_id)
    except LineError as e:
        return DialUnknown(f"the provider said nothing of the call: {e}")
    if status.state == "ended":
        return DialFailed(status.failure or "no_answer", status.cause)
    if status.state == "answered":
        return MediaMissing("answered, but the media socket was never opened")
    return DialFailed("no_answer", status.cause)


async def _end(hanging_up: Awaitable[None]) -> None:
    try:
        await hanging_up
    except LineError as e:
        log.error("a call could not be ended at the provider: %s", e)
