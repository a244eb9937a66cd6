"""Was every call that was placed within the rules? Judged again, afterwards, from the ledger alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.database import Database
from campaigns.config import read_config
from campaigns.errors import ConfigError
from campaigns.models import Attempt, Campaign, Contact, Debt, Person, Record
from campaigns.rules import Case, ContactRules, Refusal, cases_of
from compliance_checks.policy import Policies


@dataclass(frozen=True, slots=True)
class Audit:
    """``dials`` that were judged again; ``outside`` the rules, by rule; ``overlaps``: two calls at a time to one
    person or number.

    ``changed``: dials whose person or debt has been changed since, by the call itself or by a later word. What
    protects them now (a lawyer, a dispute) has no date of its own, so those are judged without it: by the hours, the
    counts, the pauses and the stops, which have one. ``other_policy``: dials that were judged by other rules than
    those in force now.
    """

    dials: int
    outside: dict[str, int]
    overlaps: int
    changed: int = 0
    other_policy: int = 0

    @property
    def clean(self) -> bool:
        return not self.outside and not self.overlaps

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def audit(database: Database, name: str, policies: Policies | None = None) -> Audit:
    """Replay the campaign's dials in order, each with the history as it was when it was placed.

    ``policies``: the packs in force, the operator's own among them; those that ship where ``None``. Raises
    ``ConfigError`` for an unknown campaign.
    """
    outside: dict[str, int] = {}
    changed = other_policy = 0
    rules = ContactRules(policies)
    with database.read() as session:
        campaign = session.scalar(sa.select(Campaign).where(Campaign.name == name))
        if campaign is None:
            raise ConfigError(f"no campaign {name!r}")
        config = read_config(campaign.config)
        wanted = (
            sa.select(Attempt, Contact, Debt, Person)
            .join(Contact, Contact.id == Attempt.contact_id)
            .join(Debt, Debt.id == Attempt.debt_id)
            .join(Person, Person.id == Attempt.person_id)
            .where(Contact.campaign_id == campaign.id, Attempt.dialing_at.is_not(None))
            .order_by(Attempt.dialing_at)
        )
        rows = session.execute(wanted).all()
        spans: list[tuple[datetime, datetime | None, int, str]] = []
        for attempt, contact, debt, person in rows:
            at = attempt.dialing_at
            assert at is not None
            changed += person.updated_at > at or debt.updated_at > at
            verdict = rules.permits(_as_then(session, attempt, contact, debt, person, at), config, at)
            if isinstance(verdict, Refusal):
                outside[verdict.rule] = outside.get(verdict.rule, 0) + 1
            elif verdict != attempt.policy_hash:
                other_policy += 1
            spans.append((at, attempt.ended_at, person.id, attempt.number))
    return Audit(len(rows), outside, _overlaps(spans), changed, other_policy)


def _overlaps(spans: list[tuple[datetime, datetime | None, int, str]]) -> int:
    """How many calls began while another to the same person or number was not over."""
    found = 0
    latest: dict[int | str, datetime | None] = {}  # by person and by number: when the last call so far was over
    for start, end, person_id, number in spans:
        keys: tuple[int | str, int | str] = (person_id, number)
        busy = [key for key in keys if key in latest and ((over := latest[key]) is None or start < over)]
        found += bool(busy)
        for key in keys:
            before = latest.get(key, end)
            latest[key] = None if before is None or end is None else max(before, end)
    return found


def _as_then(session: Session, attempt: Attempt, contact: Contact, debt: Debt, person: Person, at: datetime) -> Case:
    """The case as it was at ``at``, as far as what has changed since bears a date."""
    (case,) = cases_of(session, [(contact, debt, person)], at)
    own = set(session.scalars(sa.select(Record.at).where(Record.source == attempt.id)))
    history = tuple(record for record in case.history if record.at < at and record.at not in own)
    stopped = person.stopped_at is not None and person.stopped_at <= at
    known = person.updated_at <= at
    then = Person(
        id=person.id, key=person.key, name="", country=person.country, consents=person.consents,
        stopped_at=person.stopped_at if stopped else None, stopped_reason=person.stopped_reason if stopped else None,
        attorney=person.attorney and known, deceased=person.deceased and known, bankrupt=person.bankrupt and known,
        only_from=person.only_from, only_to=person.only_to, not_before_at=person.not_before_at,
        created_at=person.created_at, updated_at=person.updated_at,
    )  # fmt: skip
    matter = Debt(
        id=debt.id, lang=debt.lang, time_zone=debt.time_zone, region=debt.region, risk=debt.risk,
        due_date=debt.due_date, state=debt.state if debt.updated_at <= at else "open",
    )  # fmt: skip
    # Asked for by the person: whether this very attempt was, its contact no longer says.
    wish = Contact(id=contact.id, requested=_requested(session, attempt))
    return Case(wish, matter, then, attempt.number, case.zones, history, False)


def _requested(session: Session, attempt: Attempt) -> bool:
    """Whether the attempt before this one of the same contact ended in a booked callback."""
    before = (
        sa.select(Attempt.outcome)
        .where(Attempt.contact_id == attempt.contact_id, Attempt.n < attempt.n, Attempt.outcome.is_not(None))
        .order_by(Attempt.n.desc())
        .limit(1)
    )
    return session.scalar(before) == "callback_booked"
