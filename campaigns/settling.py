"""What comes back of a call: progress from the provider, the outcome, and what follows from it.

Every function may be called any number of times and in any order, from a webhook, from the process that runs the
call, from the reaper: progress only moves forward, an outcome is entered once, and what protects a person (a stop)
takes effect whenever it arrives.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from archive.database import Database
from campaigns import pacing
from campaigns.config import CampaignConfig, read_config
from campaigns.ledger import lock_attempt, lock_contact
from campaigns.models import Attempt, Campaign, Contact, Debt, Number, Outgoing, Person, PersonNumber, Record
from campaigns.outcomes import Effect, callback_at, effect, retry_at
from campaigns.provider import CallStatus

_RANK: dict[str, int] = {"reserved": 0, "dialing": 1, "unknown": 1, "placed": 2, "ringing": 3, "answered": 4,
                         "closing": 5}  # fmt: skip
_RESTING = {"done": "done", "hold": "held"}
_REVIVABLE = ("absent", "failed", "released")
PROVEN = frozenset({"promise_to_pay", "plan_requested"})
"""What only a verified borrower's call can come to: the number is theirs."""
Applied = Literal["applied", "ignored", "no_such_call"]


@dataclass(frozen=True, slots=True)
class CallResult:
    """What came of a call. ``outcome`` is one of ``campaigns.outcomes.OUTCOMES``; dates and times are local.

    ``callback`` is the booked callback (day, time), each ``None`` where not said. ``restrictions`` are the reasons,
    given in the conversation, for which contact is to stop or be limited: they hold whatever the call ended as.
    ``verified``: the person had shown that they are the borrower.
    """

    outcome: str
    call_id: str | None = None
    promise: tuple[date, Decimal] | None = None
    callback: tuple[date | None, time | None] | None = None
    third_party_refused: bool = False
    restrictions: tuple[str, ...] = ()
    verified: bool = False


class Settling:
    """Enters progress and outcomes. One per process; safe between threads."""

    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self.database = database
        self.clock = clock

    def progress(
        self,
        status: CallStatus,
        *,
        attempt_id: str | None = None,
        provider: str = "",
        provider_call_id: str | None = None,
        outcome: str | None = None,
    ) -> Applied:
        """A provider's word on a call, found by our attempt id or by the provider's own. Duplicates are ignored.

        ``ended`` with an ``outcome`` settles a call that nobody answered; without one, or after an answer, the call
        waits for its ``settle``.
        """
        now = self.clock()
        with self.database.write() as session:
            found = attempt_id or _by_provider(session, provider, provider_call_id)
            attempt = lock_attempt(session, found) if found else None
            if attempt is None or (provider and attempt.provider != provider):
                return "no_such_call"
            if provider_call_id and attempt.provider_call_id not in (None, provider_call_id):
                return "no_such_call"  # somebody else's call with our reference
            if attempt.state in _REVIVABLE:
                if attempt.dialing_at is None or not _revive(session, attempt, now):
                    return "ignored"
            elif attempt.state == "ended":
                attempt.provider_call_id = attempt.provider_call_id or provider_call_id
                return "ignored"
            return self._progress(session, attempt, status, provider_call_id, outcome, now)

    def _progress(
        self,
        session: Session,
        attempt: Attempt,
        status: CallStatus,
        provider_call_id: str | None,
        outcome: str | None,
        now: datetime,
    ) -> Applied:
        if attempt.state == "reserved":
            return "ignored"  # we have not asked for this call yet
        attempt.provider_call_id = attempt.provider_call_id or provider_call_id
        attempt.placed_at = attempt.placed_at or now
        if status == "ended":
            attempt.ended_at = attempt.ended_at or now
            if outcome is not None and attempt.answered_at is None and attempt.state != "closing":
                _settle(session, attempt, CallResult(outcome), now)
                return "applied"
            status_now = "closing"
        else:
            status_now = status
        if status == "answered":
            attempt.answered_at = attempt.answered_at or now
        if _RANK[status_now] <= _RANK[attempt.state]:
            return "ignored"
        attempt.state, attempt.reason, attempt.updated_at = status_now, None, now
        return "applied"

    def settle(self, attempt_id: str, result: CallResult) -> Applied:
        """Enter what came of the call, once. A later one only adds what protects the person."""
        now = self.clock()
        with self.database.write() as session:
            attempt = lock_attempt(session, attempt_id)
            if attempt is None or attempt.dialing_at is None:
                return "no_such_call"
            if attempt.settled_at is not None:
                if attempt.state in _REVIVABLE and _revive(session, attempt, now):
                    _settle(session, attempt, result, now)
                    return "applied"
                _protect(session, attempt, effect(result.outcome), result, now)
                attempt.call_id = attempt.call_id or result.call_id
                return "ignored"
            _settle(session, attempt, result, now)
            return "applied"

    def refused(self, attempt_id: str, cause: str) -> None:
        """The provider refused for certain: no telephone rang."""
        now = self.clock()
        with self.database.write() as session:
            attempt = lock_attempt(session, attempt_id)
            if attempt is not None and attempt.settled_at is None and attempt.state in ("dialing", "unknown"):
                _settle(session, attempt, CallResult(cause), now, state="failed")

    def absent(self, attempt_id: str, seen: str) -> bool:
        """The provider never had the call (and ``seen`` is still its state): the contact waits for a person.

        Nothing is redialled: should the request arrive after all, the attempt comes back to life.
        """
        now = self.clock()
        with self.database.write() as session:
            attempt = lock_attempt(session, attempt_id)
            if attempt is None or attempt.state != seen or seen not in ("dialing", "unknown"):
                return False
            contact = lock_contact(session, attempt)
            attempt.state, attempt.reason, attempt.updated_at = "absent", "never_placed", now
            attempt.settled_at = now
            contact.state, contact.reason, contact.updated_at = "held", "unknown_attempt", now
            _void(session, attempt.id, True)
            contact.dialed -= 1
            return True


def _by_provider(session: Session, provider: str, provider_call_id: str | None) -> str | None:
    if not provider_call_id:
        return None
    wanted = sa.select(Attempt.id).where(Attempt.provider == provider, Attempt.provider_call_id == provider_call_id)
    return session.scalar(wanted)


def _revive(session: Session, attempt: Attempt, now: datetime) -> bool:
    """A call that was given up exists after all. It counts; its contact is live again unless another call took it."""
    contact = lock_contact(session, attempt)
    if attempt.state == "failed" or attempt.state == "absent":
        _void(session, attempt.id, False)
        contact.dialed += 1
    try:
        with session.begin_nested():
            attempt.state, attempt.settled_at, attempt.reason, attempt.updated_at = "dialing", None, None, now
            session.flush()
    except IntegrityError:
        session.refresh(attempt)
        return False
    contact.state = "live"
    return True


def _settle(
    session: Session, attempt: Attempt, result: CallResult, now: datetime, state: Literal["ended", "failed"] = "ended"
) -> None:
    contact = lock_contact(session, attempt)
    campaign = session.get_one(Campaign, contact.campaign_id)
    debt = session.get_one(Debt, attempt.debt_id, with_for_update=True, populate_existing=True)
    config = read_config(campaign.config)
    what = effect(result.outcome, config.retries)
    attempt.state, attempt.outcome = state, result.outcome
    attempt.ended_at, attempt.settled_at, attempt.updated_at = attempt.ended_at or now, now, now
    attempt.call_id = result.call_id or attempt.call_id
    trunk = pacing.lock(session, attempt.trunk)
    if trunk is not None:
        pacing.failed(trunk, now) if result.outcome == "trunk_error" else pacing.worked(trunk)
    enter_records(session, attempt, result, what, now)
    if not what.on_borrower:
        contact.dialed = max(0, contact.dialed - 1)
    if result.verified or result.outcome in PROVEN:
        attempt.verified = True
        wanted = (PersonNumber.person_id == attempt.person_id, PersonNumber.number == attempt.number)
        session.execute(sa.update(PersonNumber).where(*wanted).values(verified_at=now))
    _follow(session, contact, debt, what, result, now)
    _protect(session, attempt, what, result, now)
    _tell(session, config, attempt, debt, result, now)


def enter_records(session: Session, attempt: Attempt, result: CallResult, what: Effect, now: datetime) -> None:
    """What the attempt counts as in the frequency ledger, beside the dial itself."""
    if not what.on_borrower:
        _void(session, attempt.id, True)
        return
    answered = attempt.answered_at is not None or what.conversation
    if answered:
        mine = (Record.source == attempt.id, Record.kind == "attempt")
        session.execute(sa.update(Record).where(*mine).values(answered=True))
    kinds = []
    if result.outcome in ("third_party_reached", "wrong_number"):
        kinds.append("third_party_refused" if result.third_party_refused else "third_party")
    elif what.conversation and answered:
        kinds.append("conversation")
    elif result.outcome == "voicemail":
        kinds.append("voicemail")
    for kind in kinds:
        session.add(
            Record(
                source=attempt.id, person_id=attempt.person_id, debt_id=attempt.debt_id, number=attempt.number,
                at=attempt.answered_at or now, kind=kind, channel="voice", answered=True,
            )
        )  # fmt: skip


def _void(session: Session, source: str, void: bool) -> None:
    session.execute(sa.update(Record).where(Record.source == source).values(void=void))


def _follow(session: Session, contact: Contact, debt: Debt, what: Effect, result: CallResult, now: datetime) -> None:
    """When the contact is tried again, if ever."""
    outcome = result.outcome
    row = contact.tries.get(outcome, 0) + 1
    contact.tries = {outcome: row}
    contact.outcome, contact.reason, contact.updated_at = outcome, outcome, now
    contact.requested = False
    if what.does != "retry":
        contact.state = _RESTING[what.does]
        return
    if what.times and row > what.times:
        what = effect(what.then)
        if what.does != "retry":
            contact.state = _RESTING[what.does]
            return
    zone = ZoneInfo(debt.time_zone)
    contact.state, contact.next_at = "waiting", retry_at(now, zone, what)
    if outcome == "callback_booked":
        booked = callback_at(*(result.callback or (None, None)), now, zone)
        if booked is not None:
            contact.next_at, contact.requested = booked, True


def _protect(session: Session, attempt: Attempt, what: Effect, result: CallResult, now: datetime) -> None:
    """Stops: at once, for every campaign, whatever the state of this one."""
    said = result.restrictions
    if what.stop == "person" or "stop_contact" in said:
        stop_person(session, attempt.person_id, result.outcome if what.stop == "person" else "stop_contact", now)
    if what.stop == "number" or "wrong_number" in said:
        stop_number(session, attempt.number, result.outcome if what.stop == "number" else "wrong_number", now)
    if what.debt or "dispute_debt" in said:
        close_debt(session, attempt.debt_id, what.debt or "disputed", result.outcome, now)
    restrict_person(session, attempt.person_id, said, now)


def restrict_person(session: Session, person_id: int, said: Sequence[str], now: datetime) -> None:
    """Enter what the conversation showed of the person: the contact rules of every campaign then hold it."""
    if not {"legal_representation", "deceased_or_incapacitated"}.intersection(said):
        return
    person = session.get_one(Person, person_id, with_for_update=True, populate_existing=True)
    person.attorney = person.attorney or "legal_representation" in said
    person.deceased = person.deceased or "deceased_or_incapacitated" in said
    person.updated_at = now


def stop_person(session: Session, person_id: int, reason: str, now: datetime) -> None:
    """Do not contact this person again, in any campaign, by any channel."""
    person = session.get_one(Person, person_id, with_for_update=True, populate_existing=True)
    if person.stopped_at is None:
        person.stopped_at, person.stopped_reason, person.updated_at = now, reason[:32], now
    waiting = (Contact.person_id == person_id, Contact.state.in_(("waiting", "held")))
    session.execute(
        sa.update(Contact).where(*waiting).values(state="done", reason="contact.do_not_contact", updated_at=now)
    )


def stop_number(session: Session, number: str, reason: str, now: datetime) -> None:
    """Do not dial this number again, for anybody. Contacts that have no other number left are done."""
    row = session.get_one(Number, number, with_for_update=True, populate_existing=True)
    if row.stopped_at is None:
        row.stopped_at, row.stopped_reason = now, reason[:32]
        session.flush()
    people = sa.select(PersonNumber.person_id).where(PersonNumber.number == number)
    reachable = (
        sa.select(PersonNumber.person_id)
        .join(Number, Number.number == PersonNumber.number)
        .where(Number.stopped_at.is_(None))
    )
    stranded = (
        Contact.person_id.in_(people), Contact.person_id.not_in(reachable), Contact.state.in_(("waiting", "held")),
    )  # fmt: skip
    session.execute(
        sa.update(Contact)
        .where(*stranded)
        .values(state="done", reason="contact.no_number", updated_at=now)
        .execution_options(synchronize_session="fetch")
    )


def close_debt(session: Session, debt_id: int, state: str, reason: str, now: datetime) -> None:
    """The debt is paid, disputed or withdrawn: no contact of any campaign is tried for it."""
    debt = session.get_one(Debt, debt_id, with_for_update=True, populate_existing=True)
    debt.state, debt.state_reason, debt.updated_at = state, reason[:32], now
    waiting = (Contact.debt_id == debt_id, Contact.state.in_(("waiting", "held")))
    session.execute(sa.update(Contact).where(*waiting).values(state="done", reason=f"debt.{state}", updated_at=now))


def _tell(
    session: Session, config: CampaignConfig, attempt: Attempt, debt: Debt, result: CallResult, now: datetime
) -> None:
    """Webhooks: entered here, in the transaction whose news they are; ``campaigns.outbox`` delivers them."""
    if config.webhooks is None:
        return
    common: dict[str, object] = {
        "campaign": config.name,
        "attempt_id": attempt.id,
        "call_id": attempt.call_id,
        "lender": debt.lender,
        "account": debt.account,
        "outcome": result.outcome,
        "ended_at": now.isoformat(),
    }
    news: list[tuple[str, dict[str, object]]] = [("disposition", common)]
    if result.promise is not None:
        day, amount = result.promise
        promised = {"date": day.isoformat(), "amount": str(amount), "currency": debt.currency}
        news.append(("promise", {**common, "promise": promised}))
    for kind, payload in news:
        if kind in config.webhooks.events:
            session.add(
                Outgoing(
                    event_id=str(uuid.uuid4()), kind=kind, url=config.webhooks.url, payload=payload, state="waiting",
                    next_at=now, created_at=now,
                )
            )  # fmt: skip


STALE_CLOSING = timedelta(minutes=2)
"""How long a call whose line is down may wait for its outcome from the process that ran it."""
