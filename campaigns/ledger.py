"""The attempt ledger: how a contact becomes exactly one dial.

``reserve`` takes contacts that are due (slot, channel, ``FOR UPDATE SKIP LOCKED``), ``dial`` decides in one
transaction whether the call may be placed *now* and commits it as ``dialing``; only then is the provider asked. What
the provider says comes back through ``campaigns.settling``.

A process that dies between two steps leaves a row that says how far it got: ``reserved`` was never dialled,
``dialing`` may have been, and only the provider can tell (``campaigns.reaper``).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from archive.database import Database
from campaigns import pacing
from campaigns.config import CampaignConfig, read_config
from campaigns.errors import LedgerError
from campaigns.models import LIVE, Attempt, Campaign, Contact, Debt, Dialer, Number, Person, Record, Trunk
from campaigns.provider import DialOrder
from campaigns.rules import Case, ContactRules, Refusal, Rules, fetch_cases

COLLISION_WAIT = timedelta(minutes=2)
"""When to look again at a contact whose person or number is in another call just now."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """A contact that is about to be dialled, with all that preparing the call needs."""

    attempt_id: str
    contact_id: int
    debt_id: int
    lang: Literal["zh", "en"]


@dataclass(frozen=True, slots=True)
class NotNow:
    """The rate or the trunk says to wait: the reservation still stands."""

    wait: timedelta
    reason: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The reservation was given back: a rule, a stop, or a restriction came in between. ``reason`` names it."""

    reason: str


def utc_now() -> datetime:
    return datetime.now(UTC)


class Ledger:
    """One worker's view of the ledger; any number of processes may have one on the same PostgreSQL database."""

    def __init__(
        self,
        database: Database,
        worker: str,
        *,
        clock: Callable[[], datetime] = utc_now,
        rules: Rules | None = None,
    ) -> None:
        self.database = database
        self.worker = worker
        self.clock = clock
        self.rules: Rules = rules or ContactRules()

    def beat(self) -> None:
        """Say that this worker lives. Attempts of a worker that has not said so for a while are the reaper's."""
        now = self.clock()
        with self.database.write() as session:
            row = session.get(Dialer, self.worker)
            if row is None:
                session.add(Dialer(id=self.worker, started_at=now, seen_at=now, stopped_at=None))
            else:
                row.seen_at, row.stopped_at = now, None

    def sign_off(self) -> None:
        """This worker has ended in good order."""
        with self.database.write() as session:
            if (row := session.get(Dialer, self.worker)) is not None:
                row.stopped_at = self.clock()

    def reserve(self, campaign_id: int, limit: int, provider: str) -> list[Reservation]:
        """Up to ``limit`` contacts that are due and allowed, each with an attempt row ``reserved`` for this worker.

        Contacts that a rule refuses are moved to the next allowed moment, or held, with the rule's id as reason.
        """
        if limit < 1:
            return []
        now = self.clock()
        with self.database.write() as session:
            campaign = session.get(Campaign, campaign_id)
            if campaign is None or campaign.state != "running":
                return []
            config = read_config(campaign.config)
            trunk = pacing.lock(session, campaign.trunk)
            if trunk is None:
                raise LedgerError(f"campaign {campaign.name}: its trunk is not set up")
            free = min(limit, pacing.free_channels(session, trunk, now))
            if free < 1:
                return []
            due = _due(session, campaign_id, now, free * 2 + 4)
            taken: list[Reservation] = []
            for case in fetch_cases(session, due, now):
                if len(taken) == free:
                    break
                reserved = self._reserve(session, case, config, trunk, provider, now)
                if reserved is not None:
                    taken.append(reserved)
            return taken

    def _reserve(
        self, session: Session, case: Case, config: CampaignConfig, trunk: Trunk, provider: str, now: datetime
    ) -> Reservation | None:
        contact = case.contact
        if case.busy:
            _wait(contact, now + COLLISION_WAIT, "person_in_a_call", now)
            return None
        verdict = self.rules.judge(case, config, now)
        if isinstance(verdict, Refusal):
            _refuse(contact, verdict, now)
            return None
        assert case.number is not None and verdict.caller_id is not None
        attempt_id = str(uuid.uuid4())
        row = Attempt(
            id=attempt_id, contact_id=contact.id, n=contact.n + 1, person_id=case.person.id, debt_id=case.debt.id,
            number=case.number, caller_id=verdict.caller_id, trunk=trunk.name, provider=provider, dialer=self.worker,
            state="reserved", policy_hash=verdict.policy_hash, reserved_at=now, updated_at=now,
        )  # fmt: skip
        try:
            with session.begin_nested():
                session.add(row)
                session.flush()
        except IntegrityError:  # another process took the same person or number by another contact
            _wait(contact, now + COLLISION_WAIT, "person_in_a_call", now)
            return None
        contact.state, contact.n, contact.reason, contact.updated_at = "live", contact.n + 1, None, now
        return Reservation(attempt_id, contact.id, case.debt.id, cast(Literal["zh", "en"], case.debt.lang))

    def dial(self, attempt_id: str) -> DialOrder | NotNow | GivenUp:
        """Decide, now, and commit the attempt as ``dialing``; ask the provider only with the order this returns.

        In the same transaction: stops and restrictions as they stand, the contact rules over the whole history of
        person, debt and number, the circuit breaker, one token of the rate, and the record in the frequency ledger.
        """
        now = self.clock()
        with self.database.write() as session:
            _durable(session)
            attempt = lock_attempt(session, attempt_id)
            if attempt is None or attempt.state != "reserved" or attempt.dialer != self.worker:
                return GivenUp("not_reserved")
            contact = lock_contact(session, attempt)
            campaign = session.get_one(Campaign, contact.campaign_id, populate_existing=True)
            if campaign.state != "running":
                _release(attempt, contact, "campaign_stopped", now)
                return GivenUp("campaign_stopped")
            session.get(Number, attempt.number, with_for_update=True, populate_existing=True)
            (case,) = fetch_cases(session, [contact.id], now, attempt=attempt)
            verdict = self.rules.judge(case, read_config(campaign.config), now)
            if isinstance(verdict, Refusal):
                _release(attempt, contact, verdict.rule, now)
                _refuse(contact, verdict, now)
                return GivenUp(verdict.rule)
            trunk = pacing.lock(session, attempt.trunk)
            if trunk is None:
                raise LedgerError(f"trunk {attempt.trunk!r} is not set up")
            if (wait := pacing.broken_for(trunk, now)) is not None:
                return NotNow(wait, "trunk_broken")
            if (wait := pacing.take_token(trunk, now)) is not None:
                return NotNow(wait, "rate")
            attempt.state, attempt.dialing_at, attempt.updated_at = "dialing", now, now
            attempt.policy_hash = verdict.policy_hash
            contact.dialed += 1
            session.add(
                Record(
                    source=attempt_id, person_id=attempt.person_id, debt_id=attempt.debt_id, number=attempt.number,
                    at=now, kind="attempt", channel="voice",
                )
            )  # fmt: skip
            return order_of(attempt, campaign, case.debt)

    def uncertain(self, attempt_id: str, reason: str) -> None:
        """Nobody can say whether it rings: ``unknown``, until the provider or a person says more."""
        with self.database.write() as session:
            attempt = lock_attempt(session, attempt_id)
            if attempt is not None and attempt.state in ("dialing", "placed", "ringing"):
                attempt.state, attempt.reason, attempt.updated_at = "unknown", reason[:64], self.clock()

    def give_back(self, attempt_id: str, reason: str, *, hold: bool = False, wait: timedelta = timedelta(0)) -> None:
        """Release a reservation that was not dialled. ``hold`` keeps the contact for a person to look at; else it is
        looked at again after ``wait``."""
        now = self.clock()
        with self.database.write() as session:
            attempt = lock_attempt(session, attempt_id)
            if attempt is None or attempt.state != "reserved":
                return
            contact = lock_contact(session, attempt)
            _release(attempt, contact, reason, now)
            contact.next_at = now + wait
            if hold:
                contact.state = "held"

    def order(self, attempt_id: str) -> DialOrder | None:
        """The order of an attempt that was dialled, for asking its provider."""
        with self.database.read() as session:
            attempt = session.get(Attempt, attempt_id)
            if attempt is None or attempt.dialing_at is None:
                return None
            contact = session.get_one(Contact, attempt.contact_id)
            campaign = session.get_one(Campaign, contact.campaign_id)
            debt = session.get_one(Debt, attempt.debt_id)
            return order_of(attempt, campaign, debt)

    def live(self, *, mine: bool = True) -> list[tuple[str, str]]:
        """Ids and states of live attempts, this worker's or everybody's."""
        wanted = sa.select(Attempt.id, Attempt.state).where(Attempt.state.in_(LIVE)).order_by(Attempt.reserved_at)
        if mine:
            wanted = wanted.where(Attempt.dialer == self.worker)
        with self.database.read() as session:
            return [(row.id, row.state) for row in session.execute(wanted)]

    def to_hang_up(self) -> list[str]:
        """This worker's calls that must end now: the person said stop elsewhere, or the campaign stops at once."""
        unanswered = sa.and_(
            Attempt.state.in_(("placed", "ringing")),
            sa.or_(Person.stopped_at.is_not(None), Number.stopped_at.is_not(None), Debt.state != "open"),
        )
        now = sa.and_(Attempt.state.in_(("placed", "ringing", "answered")), Campaign.stop_mode == "now")
        wanted = (
            sa.select(Attempt.id)
            .join(Contact, Contact.id == Attempt.contact_id)
            .join(Campaign, Campaign.id == Contact.campaign_id)
            .join(Person, Person.id == Attempt.person_id)
            .join(Debt, Debt.id == Attempt.debt_id)
            .join(Number, Number.number == Attempt.number)
            .where(Attempt.dialer == self.worker, sa.or_(unanswered, now))
        )
        with self.database.read() as session:
            return list(session.scalars(wanted))


def order_of(attempt: Attempt, campaign: Campaign, debt: Debt) -> DialOrder:
    assert attempt.dialing_at is not None
    return DialOrder(
        attempt_id=attempt.id,
        contact_id=attempt.contact_id,
        debt_id=attempt.debt_id,
        person_id=attempt.person_id,
        campaign=campaign.name,
        n=attempt.n,
        number=attempt.number,
        caller_id=attempt.caller_id,
        lang=cast(Literal["zh", "en"], debt.lang),
        ring_seconds=float(campaign.config.get("ring_seconds", 30.0)),
        dialing_at=attempt.dialing_at,
        provider_call_id=attempt.provider_call_id,
    )


def _due(session: Session, campaign_id: int, now: datetime, limit: int) -> Sequence[int]:
    """Contacts that are due, locked together with their people; those that another process holds are skipped."""
    wanted = (
        sa.select(Contact.id)
        .join(Person, Person.id == Contact.person_id)
        .where(Contact.campaign_id == campaign_id, Contact.state == "waiting", Contact.next_at <= now)
        .order_by(Contact.requested.desc(), Contact.next_at, Contact.id)
        .limit(limit)
        .with_for_update(skip_locked=True, of=[Contact, Person])
    )
    return session.scalars(wanted).all()


def lock_attempt(session: Session, attempt_id: str) -> Attempt | None:
    return session.get(Attempt, attempt_id, with_for_update=True, populate_existing=True)


def lock_contact(session: Session, attempt: Attempt) -> Contact:
    """The attempt's contact, locked after its person: everybody locks in this order, so nobody waits in a circle."""
    session.get(Person, attempt.person_id, with_for_update=True, populate_existing=True)
    return session.get_one(Contact, attempt.contact_id, with_for_update=True, populate_existing=True)


def _wait(contact: Contact, until: datetime, reason: str, now: datetime) -> None:
    contact.state, contact.next_at, contact.reason, contact.updated_at = "waiting", until, reason, now


def _refuse(contact: Contact, refusal: Refusal, now: datetime) -> None:
    """Move a refused contact to when the rules allow it, or out of the queue."""
    if refusal.until is not None:
        _wait(contact, max(refusal.until, now + timedelta(seconds=1)), refusal.rule, now)
        return
    contact.state = "done" if refusal.final else "held"
    contact.reason, contact.updated_at = refusal.rule, now


def _durable(session: Session) -> None:
    """This commit must outlive the server: a PostgreSQL that answers before it has written (``synchronous_commit``
    off) would forget, on a crash, a call whose telephone already rings."""
    if session.get_bind().dialect.name == "postgresql":
        weak = "current_setting('synchronous_commit') = 'off'"
        session.execute(sa.text(f"SELECT set_config('synchronous_commit', 'on', true) WHERE {weak}"))


def _release(attempt: Attempt, contact: Contact, reason: str, now: datetime) -> None:
    attempt.state, attempt.reason, attempt.settled_at, attempt.updated_at = "released", reason[:64], now, now
    contact.state, contact.reason, contact.next_at, contact.updated_at = "waiting", reason[:64], now, now
