"""What dialer processes share of a trunk: channels, the rate's token bucket, the circuit breaker.

Every function works on a row that its caller has locked, inside the caller's transaction: channels and tokens are
exact however many processes dial.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.orm import Session

from campaigns.config import TrunkConfig
from campaigns.models import LIVE, Attempt, Trunk

UNKNOWN_HOLDS = timedelta(minutes=15)
"""How long an attempt of unknown fate still takes up a channel; no unanswered call rings longer."""
BREAK_AFTER = 3
"""Trunk errors in a row after which the circuit breaks: for one minute, then two, at most five."""


def set_up(session: Session, config: TrunkConfig, now: datetime) -> None:
    """Make the trunk or give it the new bounds."""
    trunk = session.get(Trunk, config.name, with_for_update=True)
    if trunk is None:
        session.add(
            Trunk(
                name=config.name, channels=config.channels, per_minute=config.per_minute, tokens=1.0, filled_at=now,
                failures=0, closed_until=None,
            )
        )  # fmt: skip
    else:
        trunk.channels, trunk.per_minute = config.channels, config.per_minute


def lock(session: Session, name: str) -> Trunk | None:
    """The trunk's row, locked until the transaction ends."""
    return session.get(Trunk, name, with_for_update=True, populate_existing=True)


def free_channels(session: Session, trunk: Trunk, now: datetime) -> int:
    """Channels that no live attempt holds; 0 while the circuit is broken."""
    if trunk.closed_until is not None and trunk.closed_until > now:
        return 0
    held = (
        sa.select(sa.func.count())
        .select_from(Attempt)
        .where(
            Attempt.trunk == trunk.name,
            Attempt.state.in_(LIVE),
            sa.or_(Attempt.state != "unknown", Attempt.dialing_at > now - UNKNOWN_HOLDS),
        )
    )
    return max(0, trunk.channels - (session.scalar(held) or 0))


def take_token(trunk: Trunk, now: datetime) -> timedelta | None:
    """Take one call from the rate, or say how long to wait for the next. The bucket holds one second's worth."""
    if trunk.per_minute <= 0:
        return None
    rate = trunk.per_minute / 60
    passed = max(0.0, (now - trunk.filled_at).total_seconds())
    tokens = min(max(1.0, rate), trunk.tokens + passed * rate)
    trunk.filled_at = max(now, trunk.filled_at)
    if tokens >= 1.0:
        trunk.tokens = tokens - 1.0
        return None
    trunk.tokens = tokens
    return timedelta(seconds=(1.0 - tokens) / rate)


def broken_for(trunk: Trunk, now: datetime) -> timedelta | None:
    """How long the circuit stays broken, ``None`` where it is whole."""
    if trunk.closed_until is None or trunk.closed_until <= now:
        return None
    return trunk.closed_until - now


def failed(trunk: Trunk, now: datetime) -> None:
    """A trunk error: break the circuit after ``BREAK_AFTER`` in a row."""
    trunk.failures += 1
    if trunk.failures >= BREAK_AFTER:
        trunk.closed_until = now + timedelta(minutes=min(5, trunk.failures - BREAK_AFTER + 1))


def worked(trunk: Trunk) -> None:
    """The network answered in some way: the circuit is whole."""
    trunk.failures, trunk.closed_until = 0, None
