"""May this contact be dialled now? The contact rules of the gate, fed from the frequency ledger.

What the rules want to know is read in the caller's transaction, so that no dial is decided on a history that another
process is changing. Anything missing is a refusal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Final, Literal, Protocol, cast
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from campaigns.config import CampaignConfig
from campaigns.errors import ConfigError
from campaigns.models import LIVE, Attempt, Contact, Debt, Number, Person, PersonNumber, Record
from compliance_checks.contact import REQUESTED_CALL, ContactPerson, ContactRecord, may_dial, next_allowed
from compliance_checks.contact.facts import ContactKind
from compliance_checks.policy import Policies, PolicyError

HISTORY: Final = timedelta(days=100)
"""How far back the frequency ledger is read: more than the longest span that a pack counts over."""
LONGEST_CALL: Final = timedelta(hours=2)
"""After which a call by hand that nobody settled runs no more: its process was killed."""
ALWAYS: Final = ("third_party", "third_party_refused")
_CEASED: Final = frozenset({"stop_contact", "cease"})


@dataclass(frozen=True, slots=True)
class Case:
    """A contact with all that decides about it. ``number`` is the one to dial, ``None`` where none may be."""

    contact: Contact
    debt: Debt
    person: Person
    number: str | None
    zones: tuple[str, ...]
    history: tuple[ContactRecord, ...]
    busy: bool


@dataclass(frozen=True, slots=True)
class Allowed:
    policy_hash: str
    caller_id: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """``until``: when to look again; ``None`` and ``final``: never by itself; ``None`` and not: a person decides.

    ``why`` is the rule's reason in words, by language, where it gives one.
    """

    rule: str
    clause: str = ""
    until: datetime | None = None
    final: bool = False
    why: Mapping[str, str] = field(default_factory=dict)


class Rules(Protocol):
    def judge(self, case: Case, config: CampaignConfig, now: datetime) -> Allowed | Refusal: ...


class ContactRules:
    """The rules as they are in force: the debt's state, the campaign's bounds, then the gate's ``may_dial``."""

    def __init__(self, policies: Policies | None = None) -> None:
        self._policies = policies

    def check(self, config: CampaignConfig) -> None:
        """Raises ``ConfigError`` for a policy that does not exist: judged by it, nobody would ever be called."""
        for lang, policy in config.policies.items():
            try:
                (self._policies or Policies()).resolve(policy, lang)
            except PolicyError as e:
                raise ConfigError(f"campaign {config.name}: policies.{lang}: {e}") from e

    def judge(self, case: Case, config: CampaignConfig, now: datetime) -> Allowed | Refusal:
        """``Allowed``, or the first reason against it. Never raises: what cannot be judged is refused."""
        own = _own_rules(case, config, now)
        if own is not None:
            return own
        caller_id = config.caller_id(case.debt.region)
        if caller_id is None:
            return Refusal("campaign.no_caller_id")
        verdict = self.permits(case, config, now)
        return verdict if isinstance(verdict, Refusal) else Allowed(verdict, caller_id)

    def permits(self, case: Case, config: CampaignConfig, now: datetime) -> str | Refusal:
        """The gate's contact rules alone: the hash of the policy that allows, or the refusal."""
        lang: Literal["zh", "en"] = "zh" if case.debt.lang == "zh" else "en"
        policy = config.policy(lang)
        person = contact_person(case)
        verdict = may_dial(now, person, case.history, policy, lang=lang, policies=self._policies)
        if verdict.decision == "allow":
            return verdict.policy_hash
        first = verdict.rules[0] if verdict.rules else None
        until = next_allowed(now, person, case.history, policy, lang=lang, policies=self._policies)
        rule = first.id if first is not None else "contact.cannot_judge"
        final = until is None and rule in ("contact.do_not_contact", "contact.cease_requested", "contact.deceased")
        if first is None:
            return Refusal(rule, "", until, final)
        return Refusal(rule, first.clause, until, final, first.explanation)


def _own_rules(case: Case, config: CampaignConfig, now: datetime) -> Refusal | None:
    contact, debt = case.contact, case.debt
    if debt.state != "open":
        return Refusal(f"debt.{debt.state}", final=True)
    if case.number is None:
        return Refusal("contact.no_number", final=True)
    # A callback that the person asked for is owed to them, whatever the campaign's own bounds: the law's still hold.
    if contact.dialed >= config.max_attempts and not contact.requested:
        return Refusal("campaign.max_attempts", final=True)
    days = days_past_due(debt, now)
    if days is None:
        return Refusal("hours.unknown_zone")
    if days > config.select.max_days_past_due and not contact.requested:
        return Refusal("campaign.stage_passed", final=True)
    if days < config.select.min_days_past_due:
        return Refusal("campaign.stage_not_reached", until=now + timedelta(days=1))
    return None


def days_past_due(debt: Debt, now: datetime) -> int | None:
    """Whole days since the due date, today in the debt's time zone; ``None`` where the zone is not known."""
    try:
        return (now.astimezone(ZoneInfo(debt.time_zone)).date() - debt.due_date).days
    except (KeyError, ValueError, OSError):
        return None


def number_key(number: str) -> str:
    """An opaque name of a number, so that none reaches the gate or its messages."""
    return hashlib.blake2b(number.encode(), digest_size=12).hexdigest()


def contact_person(case: Case) -> ContactPerson:
    """The borrower as the gate's contact rules want them."""
    person, debt = case.person, case.debt
    consents = set(person.consents)
    if case.contact.requested:
        consents.add(REQUESTED_CALL)
    never, ceased = stop_reasons([person])
    only = None
    if person.only_from is not None and person.only_to is not None:
        only = (time.fromisoformat(person.only_from), time.fromisoformat(person.only_to))
    return ContactPerson(
        person_id=str(person.id),
        debt_id=str(debt.id),
        time_zones=case.zones,
        country=person.country,
        consents=frozenset(consents),
        do_not_contact=never,
        cease_requested=ceased,
        attorney=person.attorney,
        deceased=person.deceased,
        bankrupt=person.bankrupt,
        disputed=debt.state == "disputed",
        number_key=number_key(case.number) if case.number else "",
        risk=debt.risk,
        only_between=only,
        not_before=person.not_before_at,
        robot=True,
    )


def stop_reasons(people: Sequence[Person]) -> tuple[bool, bool]:
    """Whether any of them is not to be contacted, and whether any of them asked for that."""
    reasons = [person.stopped_reason for person in people if person.stopped_at is not None]
    return any(each not in _CEASED for each in reasons), any(each in _CEASED for each in reasons)


def fetch_cases(
    session: Session, contact_ids: Sequence[int], now: datetime, *, attempt: Attempt | None = None
) -> list[Case]:
    """The cases of ``contact_ids``, in that order. With ``attempt`` its own number, and itself does not count."""
    rows = session.execute(
        sa.select(Contact, Debt, Person)
        .join(Debt, Debt.id == Contact.debt_id)
        .join(Person, Person.id == Contact.person_id)
        .where(Contact.id.in_(contact_ids))
    ).all()
    by_id = {contact.id: (contact, debt, person) for contact, debt, person in rows}
    return cases_of(session, [by_id[each] for each in contact_ids if each in by_id], now, attempt=attempt)


def cases_of(
    session: Session, rows: Sequence[tuple[Contact, Debt, Person]], now: datetime, *, attempt: Attempt | None = None
) -> list[Case]:
    """The same for rows that are at hand; their contacts need not be stored."""
    people = sorted({person.id for _, _, person in rows})
    if not people:
        return []
    numbers = _numbers(session, people)
    every = sorted({number for each in numbers.values() for number, _ in each})
    zones = _zones(session, people)
    by_person, by_number = records_of(session, people, every, now)
    busy_people, busy_numbers = busy_now(session, people, every, now, attempt=attempt)
    cases = []
    for contact, debt, person in rows:
        mine = numbers.get(person.id, [])
        number = next((number for number, stopped in mine if not stopped), None)
        if attempt is not None:
            number = attempt.number if (attempt.number, False) in mine else None
        history = dict(by_person.get(person.id, {}))
        if number is not None:
            history |= by_number.get(number, {})
        busy = person.id in busy_people or number in busy_numbers
        cases.append(Case(contact, debt, person, number, zones.get(person.id, ()), tuple(history.values()), busy))
    return cases


def _numbers(session: Session, people: Sequence[int]) -> dict[int, list[tuple[str, bool]]]:
    found: dict[int, list[tuple[str, bool]]] = {}
    wanted = (
        sa.select(PersonNumber.person_id, PersonNumber.number, Number.stopped_at)
        .join(Number, Number.number == PersonNumber.number)
        .where(PersonNumber.person_id.in_(people))
        .order_by(PersonNumber.person_id, PersonNumber.position)
    )
    for person_id, number, stopped_at in session.execute(wanted):
        found.setdefault(person_id, []).append((number, stopped_at is not None))
    return found


def _zones(session: Session, people: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Every zone that any lender's record of the person names: a call must be lawful in all of them."""
    found: dict[int, set[str]] = {}
    wanted = sa.select(Debt.person_id, Debt.time_zone).where(Debt.person_id.in_(people)).distinct()
    for person_id, zone in session.execute(wanted):
        found.setdefault(person_id, set()).add(zone)
    return {person_id: tuple(sorted(zones)) for person_id, zones in found.items()}


_History = dict[int, ContactRecord]


def records_of(
    session: Session, people: Sequence[int], numbers: Sequence[str], now: datetime
) -> tuple[dict[int, _History], dict[str, _History]]:
    """The ledger's records by person and by number, each record under its id."""
    wanted = sa.select(Record).where(
        sa.or_(Record.person_id.in_(people), Record.number.in_(numbers)),
        sa.or_(Record.at > now - HISTORY, Record.kind.in_(ALWAYS)),
        Record.void.is_(False),
    )
    by_person: dict[int, _History] = {}
    by_number: dict[str, _History] = {}
    for row in session.scalars(wanted):
        record = ContactRecord(
            at=row.at,
            kind=cast(ContactKind, row.kind),
            debt_id="" if row.debt_id is None else str(row.debt_id),
            channel=cast(Literal["voice", "text", "email", "letter", "visit"], row.channel),
            effective=row.effective,
            answered=row.answered,
            number_key="" if row.number is None else number_key(row.number),
        )
        by_person.setdefault(row.person_id, {})[row.id] = record
        if row.number is not None:
            by_number.setdefault(row.number, {})[row.id] = record
    return by_person, by_number


def busy_now(
    session: Session, people: Sequence[int], numbers: Sequence[str], now: datetime, *, attempt: Attempt | None = None
) -> tuple[set[int], set[str]]:
    """Who of them, and which numbers, are in a call of a campaign or in one placed by hand; ``attempt`` apart."""
    wanted = sa.select(Attempt.id, Attempt.person_id, Attempt.number).where(
        Attempt.state.in_(LIVE), sa.or_(Attempt.person_id.in_(people), Attempt.number.in_(numbers))
    )
    by_hand = sa.select(Record.source, Record.person_id, Record.number).where(
        Record.running, Record.at > now - LONGEST_CALL,
        sa.or_(Record.person_id.in_(people), Record.number.in_(numbers)),
    )  # fmt: skip
    rows = [row for row in session.execute(wanted) if attempt is None or row.id != attempt.id]
    calls = [(row.person_id, row.number) for row in (*rows, *session.execute(by_hand))]
    return {person for person, _ in calls}, {number for _, number in calls if number is not None}
