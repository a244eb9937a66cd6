"""A person's contact ledger as the compliance page shows it: what happened, and what the contact rules say now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.database import Database
from campaigns.config import DEFAULT_POLICIES, read_config
from campaigns.models import Attempt, Campaign, Contact, Debt, Message, Number, Person, PersonNumber, Record
from campaigns.planning import mask
from campaigns.rules import cases_of, contact_person
from compliance_checks.contact import may_dial, next_allowed
from compliance_checks.policy import Policies

LIMIT = 200


@dataclass(frozen=True, slots=True)
class DebtRules:
    """What the contact rules say of one debt now. ``busy``: the person or number is in a call, or in one of unknown
    fate, which comes before any rule. ``reasons`` are the gate's; ``next_at`` is when they next allow a call if nothing
    else happens, ``None`` if no waiting helps."""

    debt: Debt
    campaign: str | None
    policy: str
    allowed: bool
    busy: bool
    reasons: Sequence[Mapping[str, str]]
    next_at: datetime | None


@dataclass(frozen=True, slots=True)
class PersonLedger:
    """``numbers`` are ``(masked, stopped since, why)``; ``records`` and ``attempts`` newest first, at most 200."""

    person: Person
    numbers: Sequence[tuple[str, datetime | None, str | None]]
    rules: Sequence[DebtRules]
    records: Sequence[Record]
    attempts: Sequence[Attempt]
    messages: Sequence[Message]


def has_campaigns(database: Database) -> bool:
    """Whether the archive's database holds the campaigns' tables."""
    return bool(sa.inspect(database.engine).has_table(Campaign.__tablename__))


def find_people(session: Session, wanted: str) -> list[int]:
    """Ids of the people that ``wanted`` names: a person's id, or the account of one of their debts."""
    wanted = wanted.strip()
    found: list[int] = []
    if wanted.isascii() and wanted.isdigit() and len(wanted) <= 15 and session.get(Person, int(wanted)) is not None:
        found.append(int(wanted))
    accounts = sa.select(Debt.person_id).where(Debt.account == wanted[:64]).distinct().limit(20)
    return found + [each for each in session.scalars(accounts) if each not in found]


def read_ledger(session: Session, person_id: int, policies: Policies, lang: str, now: datetime) -> PersonLedger:
    """Reads only. Raises ``NoResultFound`` for somebody who is not there."""
    person = session.get_one(Person, person_id)
    numbers = session.execute(
        sa.select(PersonNumber.number, Number.stopped_at, Number.stopped_reason)
        .join(Number, Number.number == PersonNumber.number)
        .where(PersonNumber.person_id == person_id)
        .order_by(PersonNumber.position)
    ).all()
    return PersonLedger(
        person,
        [(mask(number), since, why) for number, since, why in numbers],
        _rules(session, person, policies, lang, now),
        session.scalars(
            sa.select(Record).where(Record.person_id == person_id).order_by(Record.at.desc()).limit(LIMIT)
        ).all(),
        session.scalars(
            sa.select(Attempt).where(Attempt.person_id == person_id).order_by(Attempt.reserved_at.desc()).limit(LIMIT)
        ).all(),
        session.scalars(
            sa.select(Message).where(Message.person_id == person_id).order_by(Message.created_at.desc()).limit(LIMIT)
        ).all(),
    )  # fmt: skip


def _rules(session: Session, person: Person, policies: Policies, lang: str, now: datetime) -> list[DebtRules]:
    debts = session.scalars(sa.select(Debt).where(Debt.person_id == person.id).order_by(Debt.id)).all()
    newest = sa.select(Contact, Campaign).join(Campaign).where(Contact.person_id == person.id).order_by(Contact.id)
    contacts: dict[int, tuple[Contact, Campaign]] = {c.debt_id: (c, k) for c, k in session.execute(newest)}
    found = []
    for debt in debts:
        contact, campaign = contacts.get(debt.id, (None, None))
        (case,) = cases_of(session, [(contact or _no_contact(debt, now), debt, person)], now)
        spoken: Literal["zh", "en"] = "zh" if debt.lang == "zh" else "en"
        policy = DEFAULT_POLICIES[spoken] if campaign is None else read_config(campaign.config).policy(spoken)
        who = contact_person(case)
        verdict = may_dial(now, who, case.history, policy, lang=spoken, policies=policies)
        reasons: list[Mapping[str, Any]] = [
            {"rule": hit.id, "why": hit.explanation.get(lang, ""), "clause": hit.clause, "review": hit.review}
            for hit in verdict.rules
        ]
        allowed = verdict.decision == "allow" and debt.state == "open" and not case.busy
        at = next_allowed(now, who, case.history, policy, lang=spoken, policies=policies)
        found.append(
            DebtRules(
                debt, campaign.name if campaign is not None else None, policy, allowed, case.busy, reasons,
                at if debt.state == "open" else None,
            )
        )  # fmt: skip
    return found


def _no_contact(debt: Debt, now: datetime) -> Contact:
    """Stands for a contact that no campaign has made; never stored."""
    return Contact(
        debt_id=debt.id, person_id=debt.person_id, state="waiting", next_at=now, n=0, dialed=0, tries={},
        requested=False, updated_at=now,
    )  # fmt: skip
