"""A real carrier as a campaign's provider: each attempt is dialled, followed to its outcome and entered.

What the carrier says goes into the ledger in the order in which it came, while the call goes on. An attempt that the
carrier never confirmed is ``unknown`` in the ledger, and still listened for: its webhooks and its media socket may
come all the same.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

import sqlalchemy as sa

from agent.campaigning import CampaignCalls, written
from agent.carriers import Exchange
from agent.desk import PreparedCall
from agent.dialing import NETWORK_OUTCOMES, StatusBoard
from agent.errors import LineError
from agent.live import News
from agent.telephony.asterisk import AsteriskCarrier
from agent.telephony.carrier import DialFailed, DialStatus, DialUnknown
from archive.database import Database, DatabaseError
from campaigns.errors import PlaceRefused, PlaceUncertain
from campaigns.ledger import Ledger
from campaigns.models import Attempt
from campaigns.provider import CallStatus, CannotTell, DialOrder, Found, Lookup
from campaigns.settling import Settling

log = logging.getLogger(__name__)

STATUS: Final[Mapping[str, CallStatus]] = {
    "queued": "placed", "dialing": "placed", "ringing": "ringing", "answered": "answered", "ended": "ended",
}  # fmt: skip


@dataclass(slots=True)
class _Followed:
    call: PreparedCall
    placed: asyncio.Future[str]
    news: asyncio.Queue[DialStatus | None] = field(default_factory=asyncio.Queue)
    task: asyncio.Task[None] | None = None


class CarrierProvider:
    """A ``campaigns.provider.Provider`` over an exchange: Asterisk, Twilio, Telnyx or Plivo."""

    def __init__(self, exchange: Exchange, calls: CampaignCalls, ledger: Ledger, settling: Settling) -> None:
        self._exchange, self._calls, self._ledger, self._settling = exchange, calls, ledger, settling
        self._followed: dict[str, _Followed] = {}

    @property
    def name(self) -> str:
        return self._exchange.carrier.name

    async def place(self, order: DialOrder) -> str:
        """See ``Provider.place``: returns once the carrier has the call. It is seen through in the background."""
        call = self._calls.call(order.attempt_id)
        if call is None:
            raise PlaceRefused("not_prepared")
        followed = _Followed(call, asyncio.get_running_loop().create_future())
        followed.placed.add_done_callback(lambda placed: placed.cancelled() or placed.exception())
        followed.task = asyncio.create_task(self._see_through(order, followed))
        self._followed[order.attempt_id] = followed
        followed.task.add_done_callback(lambda _: self._followed.pop(order.attempt_id, None))
        return await asyncio.shield(followed.placed)

    async def lookup(self, order: DialOrder) -> Lookup:
        """What the carrier says of a call. Of one that it never confirmed nobody can say that it never rang: a hosted
        carrier knows calls by its own ids alone. A PBX knows ours: one that still lives is found there, and ended; of
        one that does not it keeps no memory."""
        if order.attempt_id in self._followed:
            return CannotTell("it is being followed")
        on_pbx = isinstance(self._exchange.carrier, AsteriskCarrier)
        if order.provider_call_id is None and not on_pbx:
            return CannotTell("the carrier never confirmed it")
        try:
            status = await self._exchange.status(order.attempt_id, order.provider_call_id)
        except LineError as e:
            return CannotTell(type(e).__name__)
        if status.state == "unknown" or (status.state == "ended" and order.provider_call_id is None):
            return CannotTell("the carrier does not know")
        return Found(order.provider_call_id or order.attempt_id, STATUS[status.state], _outcome(status))

    async def hang_up(self, order: DialOrder) -> None:
        """End the call: one that rings is let go, one that was answered ends as when the other side hangs up."""
        followed = self._followed.get(order.attempt_id)
        if followed is not None and followed.task is not None and not followed.call.claimed:
            followed.task.cancel()
            return
        await self._exchange.hang_up(order.attempt_id, order.provider_call_id)

    async def drained(self) -> None:
        """Wait until no call is left."""
        tasks = [each.task for each in self._followed.values() if each.task is not None]
        await asyncio.gather(*tasks, return_exceptions=True)

    # one attempt -----------------------------------------------------------------------------------------------

    async def _see_through(self, order: DialOrder, followed: _Followed) -> None:
        attempt_id, call, placed = order.attempt_id, followed.call, followed.placed
        call.listener = _answered(call.listener, followed.news)
        writing = asyncio.create_task(self._enter(attempt_id, followed.news))

        def on_placed(provider_id: str | None) -> None:
            if placed.done():
                return
            if provider_id is None:
                placed.set_exception(PlaceUncertain("the carrier did not answer"))
            else:
                placed.set_result(provider_id)

        async def entered() -> None:
            followed.news.put_nowait(None)
            await writing

        try:
            outcome = await self._exchange.place(
                call, order.number, attempt_id, caller_id=order.caller_id, ring_timeout=order.ring_seconds,
                progress=followed.news.put_nowait, on_placed=on_placed,
            )  # fmt: skip
            await entered()
            await written(lambda: self._settling.progress("ended", attempt_id=attempt_id))
            await self._calls.answered(attempt_id, outcome)
        except asyncio.CancelledError:
            await entered()
            if not placed.done():
                placed.set_exception(PlaceUncertain("hung up before the carrier answered"))
            await self._calls.unanswered(attempt_id, "canceled")
        except DialFailed as e:
            await entered()
            if placed.done():
                await self._calls.unanswered(attempt_id, NETWORK_OUTCOMES[e.reason])
            else:
                placed.set_exception(PlaceRefused(NETWORK_OUTCOMES[e.reason]))
        except DialUnknown as e:
            await entered()
            log.error("attempt %s: %s", attempt_id, e)
            if call.claimed:
                await self._calls.lost(attempt_id)
            elif placed.done():
                await written(lambda: self._ledger.uncertain(attempt_id, "carrier_silent"))
            else:
                placed.set_exception(PlaceUncertain("the carrier did not answer"))
        except Exception as e:
            await entered()
            # Errors of ours hold no personal data; of others the kind is told.
            log.error("attempt %s broke: %s", attempt_id, e if isinstance(e, LineError) else type(e).__name__)
            if placed.done():
                await self._calls.lost(attempt_id)
            else:
                placed.set_exception(PlaceUncertain(type(e).__name__))

    async def _enter(self, attempt_id: str, news: asyncio.Queue[DialStatus | None]) -> None:
        """Write down how the call goes, in order. How it ended is entered with its outcome, once."""
        while (status := await news.get()) is not None:
            state = STATUS.get(status.state)
            if state in ("ringing", "answered"):
                await written(lambda state=state: self._settling.progress(state, attempt_id=attempt_id))  # type: ignore[misc]


class CampaignBoard(StatusBoard):
    """Webhooks of calls that this process follows go to them; of the ledger's other attempts, into the ledger.

    The others are those of a dialer that died: what the carrier says of them must not be lost.
    """

    def __init__(self, database: Database, settling: Settling, carrier: str) -> None:
        super().__init__()
        self._database, self._settling, self._carrier = database, settling, carrier
        self._tasks: set[asyncio.Task[None]] = set()

    def post(self, attempt_id: str, status: DialStatus) -> bool:
        if super().post(attempt_id, status):
            return True
        wanted = sa.select(Attempt.id).where(Attempt.id == attempt_id, Attempt.provider == self._carrier)
        try:
            with self._database.read() as session:
                if session.scalar(wanted) is None:
                    return False
        except DatabaseError:
            return False  # the carrier tries again
        task = asyncio.create_task(written(lambda: self._enter(attempt_id, status)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    def _enter(self, attempt_id: str, status: DialStatus) -> None:
        self._settling.progress(STATUS[status.state], attempt_id=attempt_id, outcome=_outcome(status))


def _outcome(status: DialStatus) -> str | None:
    return NETWORK_OUTCOMES[status.failure] if status.failure is not None else None


def _answered(
    listener: Callable[[News], None] | None, news: asyncio.Queue[DialStatus | None]
) -> Callable[[News], None]:
    """The media socket's opening is an answer, whether or not the carrier's webhook says so."""

    def told(item: News) -> None:
        if item.kind == "answered":
            news.put_nowait(DialStatus("answered"))
        if listener is not None:
            listener(item)

    return told
