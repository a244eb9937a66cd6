"""Placing one prepared call through a carrier, and seeing it through to its outcome."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator

from agent.call import run_call
from agent.desk import CallDesk, PreparedCall
from agent.errors import LineError
from agent.live import CallOutcome
from agent.telephony.carrier import Carrier, DialFailed, DialRequest, DialStatus, HostedCarrier, Progress

log = logging.getLogger(__name__)

ANSWER_SLACK = 30.0
"""Seconds beyond the ring time until a hosted carrier must have opened its socket or said why not."""
CALL_LIMIT = 1200.0


class StatusBoard:
    """Where the webhooks of hosted carriers arrive: one attempt, one listener. Unknown attempts are refused."""

    def __init__(self) -> None:
        self._listeners: dict[str, Progress] = {}
        self.media_paths: dict[str, str] = {}

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
) -> CallOutcome:
    """Dial through a PBX and run the conversation. Raises ``DialFailed``, ``DialUnknown`` or what ``run_call`` does."""
    if desk.full:
        raise LineError("too many live calls")
    with desk:
        answered = await carrier.dial(request, progress)
        if transfer_to is not None:
            call.hand_over = lambda: carrier.transfer(request.attempt_id, transfer_to)
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
) -> CallOutcome:
    """Ask a provider for the call and wait for the outcome of the conversation on the socket that it opens to us.

    Raises ``DialFailed`` when it was not answered, ``DialUnknown`` when nobody can tell.
    """
    answered = asyncio.Event()

    def on_status(status: DialStatus) -> None:
        if progress is not None:
            progress(status)
        if status.state == "answered":
            answered.set()
        elif status.state == "ended" and not answered.is_set() and not call.outcome.done():
            call.outcome.set_exception(DialFailed(status.failure or "no_answer", status.cause))

    with board.watch(request.attempt_id, on_status, request.media_path):
        provider_id = await carrier.place(request)
        if transfer_to is not None:
            call.hand_over = lambda: carrier.transfer(provider_id, transfer_to)
        try:
            waited = {call.outcome}
            await asyncio.wait(waited, timeout=request.ring_timeout + ANSWER_SLACK)
            if not call.outcome.done() and not answered.is_set() and not call.claimed:
                raise await _unanswered(carrier, provider_id)
            await asyncio.wait(waited, timeout=CALL_LIMIT)
            if not call.outcome.done():
                raise LineError("the call did not end in time")
            return call.outcome.result()
        finally:
            desk.forget(call.call_id)
            if not call.outcome.done():
                await _end(lambda: carrier.hang_up(provider_id))


async def _unanswered(carrier: HostedCarrier, provider_id: str) -> LineError:
    """Neither a socket nor a webhook came: ask, and believe only what the provider says."""
    status = await carrier.status(provider_id)
    await _end(lambda: carrier.hang_up(provider_id))
    if status.state == "ended":
        return DialFailed(status.failure or "no_answer", status.cause)
    if status.state == "answered":
        return DialFailed("carrier_error", "answered, but the media socket was never opened")
    return DialFailed("no_answer", status.cause)


async def _end(hang_up: Callable[[], object]) -> None:
    try:
        result = hang_up()
        if asyncio.iscoroutine(result):
            await result
    except LineError as e:
        log.error("a call could not be ended at the provider: %s", e)
