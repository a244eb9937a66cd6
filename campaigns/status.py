"""How campaigns stand: counts only, and the attempts that a person must resolve."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from archive.database import Database
from campaigns.errors import ConfigError, LedgerError
from campaigns.ledger import Ledger
from campaigns.models import LIVE, Attempt, Campaign, Contact, Dialer, Message, Outgoing, Trunk
from campaigns.outcomes import EFFECTS
from campaigns.reaper import LEASE
from campaigns.settling import CallResult, Settling


@dataclass(frozen=True, slots=True)
class CampaignStatus:
    """``contacts`` by state, ``outcomes`` of ended attempts, ``reasons`` of contacts that wait, are held or done.

    ``contacted`` are contacts of whom somebody answered, ``reached`` those of whom the borrower did, as they showed.
    ``callbacks`` are those that people asked for and that are still to come. ``unknown`` are ids of attempts of
    unknown fate.
    """

    name: str
    state: str
    stop_mode: str | None
    contacts: dict[str, int]
    attempts: int
    live: dict[str, int]
    outcomes: dict[str, int]
    contacted: int
    reached: int
    promises: int
    reasons: dict[str, int]
    unknown: tuple[str, ...]
    next_at: datetime | None
    callbacks: int
    next_callback_at: datetime | None
    channels: int
    per_minute: float
    trunk_closed_until: datetime | None
    dialers: int
    webhooks: dict[str, int]
    messages: dict[str, int]

    def as_json(self) -> dict[str, Any]:
        plain = asdict(self)
        for key in ("next_at", "next_callback_at", "trunk_closed_until"):
            plain[key] = plain[key].isoformat() if plain[key] is not None else None
        plain["unknown"] = list(self.unknown)
        return plain


def names(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(sa.select(Campaign.name).order_by(Campaign.name)))


def status(database: Database, name: str, now: datetime) -> CampaignStatus:
    """Raises ``ConfigError`` for an unknown campaign."""
    with database.read() as session:
        campaign = session.scalar(sa.select(Campaign).where(Campaign.name == name))
        if campaign is None:
            raise ConfigError(f"no campaign {name!r}")
        here = Contact.campaign_id == campaign.id
        attempts = sa.select(Attempt.id).join(Contact, Contact.id == Attempt.contact_id).where(here).subquery()
        mine = Attempt.id.in_(sa.select(attempts.c.id))

        def count(column: Any, *where: Any) -> dict[str, int]:
            wanted = sa.select(column, sa.func.count()).where(*where).group_by(column).order_by(column)
            return {str(key): n for key, n in session.execute(wanted) if key is not None}

        contacts = sa.func.count(sa.distinct(Attempt.contact_id))
        outcomes = count(Attempt.outcome, mine, Attempt.state.in_(("ended", "failed")))
        waiting = (here, Contact.state == "waiting")
        booked = (*waiting, Contact.outcome == "callback_booked", Contact.next_at > now)
        trunk = session.get(Trunk, campaign.trunk)
        alive = (
            sa.select(sa.func.count())
            .select_from(Dialer)
            .where(Dialer.stopped_at.is_(None), Dialer.seen_at > now - LEASE)
        )
        return CampaignStatus(
            name=campaign.name,
            state=campaign.state,
            stop_mode=campaign.stop_mode,
            contacts=count(Contact.state, here),
            attempts=session.scalar(sa.select(sa.func.count()).where(mine, Attempt.dialing_at.is_not(None))) or 0,
            live=count(Attempt.state, mine, Attempt.state.in_(LIVE)),
            outcomes=outcomes,
            reached=session.scalar(sa.select(contacts).where(mine, Attempt.verified)) or 0,
            contacted=session.scalar(sa.select(contacts).where(mine, Attempt.answered_at.is_not(None))) or 0,
            promises=outcomes.get("promise_to_pay", 0),
            reasons=count(Contact.reason, here, Contact.state != "live"),
            unknown=tuple(session.scalars(sa.select(Attempt.id).where(mine, Attempt.state == "unknown"))),
            next_at=session.scalar(sa.select(sa.func.min(Contact.next_at)).where(*waiting)),
            callbacks=session.scalar(sa.select(sa.func.count()).select_from(Contact).where(*booked)) or 0,
            next_callback_at=session.scalar(sa.select(sa.func.min(Contact.next_at)).where(*booked)),
            channels=trunk.channels if trunk is not None else 0,
            per_minute=trunk.per_minute if trunk is not None else 0.0,
            trunk_closed_until=trunk.closed_until if trunk is not None else None,
            dialers=session.scalar(alive) or 0,
            webhooks=count(Outgoing.state, Outgoing.payload["campaign"].as_string() == campaign.name),
            messages=count(Message.state, Message.debt_id.in_(sa.select(Contact.debt_id).where(here))),
        )


def resolve(ledger: Ledger, attempt_id: str, *, outcome: str | None, redial: bool) -> None:
    """A person's word on an attempt of unknown fate: what came of it, or (``outcome`` unset) that it never rang.

    ``redial`` puts the contact back in the queue; without it a contact whose call never rang stays held. Raises
    ``LedgerError`` for an attempt that is in no doubt.
    """
    settling = Settling(ledger.database, ledger.clock)
    with ledger.database.read() as session:
        attempt = session.get(Attempt, attempt_id)
        state = attempt.state if attempt is not None else None
    if state not in ("unknown", "absent"):
        raise LedgerError(f"attempt {attempt_id}: {'no such attempt' if state is None else f'is {state}, in no doubt'}")
    if outcome is not None:
        if outcome not in EFFECTS:
            raise LedgerError(f"no outcome {outcome!r}; there are: {', '.join(sorted(EFFECTS))}")
        settling.settle(attempt_id, CallResult(outcome))
    elif state == "unknown":
        settling.absent(attempt_id, "unknown")
    if redial:
        now = ledger.clock()
        with ledger.database.write() as session:
            row = session.get_one(Attempt, attempt_id)
            contact = session.get_one(Contact, row.contact_id, with_for_update=True)
            if contact.state == "held":
                contact.state, contact.next_at, contact.updated_at = "waiting", now, now
