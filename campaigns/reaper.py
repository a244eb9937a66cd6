"""The reaper: finds out what became of attempts whose process died, or whose provider never answered.

It asks the provider. It never dials, and what it cannot find out stays ``unknown`` for a person to resolve.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from campaigns.ledger import Ledger
from campaigns.models import LIVE, Attempt, Dialer
from campaigns.provider import Absent, CannotTell, DialOrder, Found, Provider
from campaigns.settling import STALE_CLOSING, CallResult, Settling

LEASE = timedelta(seconds=30)
"""A dialer that has not been heard of for so long is dead. Dialers beat every few seconds."""
SETTLED = timedelta(seconds=60)
"""How old a dial must be before a provider's "I never had it" is believed: longer than any request may travel."""


@dataclass(frozen=True, slots=True)
class Reaped:
    """What one round did: attempts by what became of them."""

    released: int = 0
    found: int = 0
    settled: int = 0
    absent: int = 0
    unknown: int = 0
    hung_up: int = 0


@dataclass(frozen=True, slots=True)
class _Stale:
    id: str
    state: str
    provider: str
    orphan: bool
    answered: bool
    updated_at: datetime


async def reap(ledger: Ledger, settling: Settling, providers: Mapping[str, Provider]) -> Reaped:
    """One round over all live attempts that nobody looks after. Safe to run in several processes at a time."""
    counts = dict.fromkeys(("released", "found", "settled", "absent", "unknown", "hung_up"), 0)
    for stale in await asyncio.to_thread(_stale, ledger):
        for what in await _one(ledger, settling, providers, stale):
            counts[what] += 1
    return Reaped(**counts)


def _stale(ledger: Ledger) -> list[_Stale]:
    now = ledger.clock()
    wanted = (
        sa.select(Attempt, Dialer.seen_at, Dialer.stopped_at)
        .outerjoin(Dialer, Dialer.id == Attempt.dialer)
        .where(Attempt.state.in_(LIVE))
        .order_by(Attempt.reserved_at)
    )
    found = []
    with ledger.database.read() as session:
        for attempt, seen_at, stopped_at in session.execute(wanted):
            orphan = seen_at is None or stopped_at is not None or seen_at < now - LEASE
            late = attempt.state == "closing" and attempt.updated_at < now - STALE_CLOSING
            if orphan or late or attempt.state == "unknown":
                found.append(
                    _Stale(
                        attempt.id, attempt.state, attempt.provider, orphan, attempt.answered_at is not None,
                        attempt.updated_at,
                    )
                )  # fmt: skip
    return found


async def _one(ledger: Ledger, settling: Settling, providers: Mapping[str, Provider], stale: _Stale) -> tuple[str, ...]:
    if stale.state == "reserved":
        await asyncio.to_thread(ledger.give_back, stale.id, "dialer_died")
        return ("released",)
    if stale.state == "closing":
        # The process that ran the call can no longer say what came of it.
        await asyncio.to_thread(settling.settle, stale.id, CallResult("failed"))
        return ("settled",)
    order = await asyncio.to_thread(ledger.order, stale.id)
    provider = providers.get(stale.provider)
    if order is None:
        return ()
    answer = await provider.lookup(order) if provider is not None else CannotTell("no such provider here")
    if isinstance(answer, Found):
        return await _found(settling, provider, order, stale, answer)
    if isinstance(answer, Absent) and ledger.clock() - order.dialing_at >= SETTLED:
        if await asyncio.to_thread(settling.absent, stale.id, stale.state):
            return ("absent",)
        return ()
    if stale.state == "dialing":
        await asyncio.to_thread(ledger.uncertain, stale.id, "dialer_died")
    return ("unknown",)


async def _found(
    settling: Settling, provider: Provider | None, order: DialOrder, stale: _Stale, answer: Found
) -> tuple[str, ...]:
    await asyncio.to_thread(
        settling.progress,
        answer.status,
        attempt_id=stale.id,
        provider_call_id=answer.provider_call_id,
        outcome=answer.outcome,
    )
    if answer.status == "ended":
        if answer.outcome is None and stale.orphan:
            await asyncio.to_thread(settling.settle, stale.id, CallResult("failed"))
        return ("settled",)
    if stale.orphan and provider is not None:
        # Nobody is there to speak: a ringing call must not be answered by silence. The provider then says it ended.
        await provider.hang_up(order)
        return ("found", "hung_up")
    return ("found",)
