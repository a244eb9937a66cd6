"""Was every call that was placed within the rules? Judged again, afterwards, from the ledger alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from archive.database import Database
from campaigns.config import read_config
from campaigns.models import Attempt, Campaign, Contact, Debt, Person, Record
from campaigns.rules import ContactRules, Refusal, cases_of


@dataclass(frozen=True, slots=True)
class Audit:
    """``dials`` that were judged again; ``outside`` the rules, by rule; ``overlaps``: two calls at a time to one
    person or number."""

    dials: int
    outside: dict[str, int]
    overlaps: int


def audit(database: Database, name: str) -> Audit:
    """Replay the campaign's dials in order, each with the history as it was when it was placed."""
    outside: dict[str, int] = {}
    rules = ContactRules()
    with database.read() as session:
        campaign = session.scalars(sa.select(Campaign).where(Campaign.name == name)).one()
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
            (case,) = cases_of(session, [(contact, debt, person)], at)
            before = sa.select(Record.at).where(Record.source == attempt.id)
            mine = set(session.scalars(before))
            history = tuple(r for r in case.history if r.at < at and r.at not in mine)
            then = type(case)(
                contact, debt, _as_then(person, at), attempt.number, case.zones, history, False
            )  # fmt: skip
            verdict = rules.permits(then, config, at)
            if isinstance(verdict, Refusal):
                outside[verdict.rule] = outside.get(verdict.rule, 0) + 1
            spans.append((at, attempt.ended_at, person.id, attempt.number))
    overlaps = sum(
        1
        for i, (_, end, person_id, number) in enumerate(spans)
        for start, _, other, same in spans[i + 1 :]
        if (other == person_id or same == number) and (end is None or start < end)
    )
    return Audit(len(rows), outside, overlaps)


def _as_then(person: Person, at: datetime) -> Person:
    """The person without a stop that came after the call."""
    stopped = person.stopped_at is not None and person.stopped_at <= at
    return Person(
        id=person.id, key=person.key, name="", country=person.country, consents=person.consents,
        stopped_at=person.stopped_at if stopped else None, stopped_reason=person.stopped_reason if stopped else None,
        attorney=person.attorney, deceased=person.deceased, bankrupt=person.bankrupt, only_from=person.only_from,
        only_to=person.only_to, not_before_at=person.not_before_at, created_at=person.created_at,
        updated_at=person.updated_at,
    )  # fmt: skip
