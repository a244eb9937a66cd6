"""Setting a campaign up, and saying whom it would call when, and why not the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.database import Database
from campaigns import pacing
from campaigns.config import CampaignConfig
from campaigns.errors import ConfigError
from campaigns.models import Campaign, Contact, Debt, Person
from campaigns.rules import ContactRules, Refusal, Rules, cases_of

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Planned:
    """One debt of the campaign. ``at`` (aware, in the borrower's zone): when it would be called, ``None``: not.

    ``reason`` is the rule's id where something forbids the call now, ``clause`` its source; ``number`` is masked.
    """

    lender: str
    account: str
    lang: str
    number: str
    at: datetime | None
    reason: str
    clause: str
    state: str


def set_up(database: Database, config: CampaignConfig, now: datetime, *, start: bool) -> int:
    """Make or refresh the campaign, its trunk, and a contact for each selected debt that has none; returns its id.

    ``start`` also sets it running. Raises ``ConfigError`` while it runs on another trunk.
    """
    with database.write() as session:
        pacing.set_up(session, config.trunk, now)
        campaign = session.scalar(sa.select(Campaign).where(Campaign.name == config.name).with_for_update())
        if campaign is None:
            campaign = Campaign(
                name=config.name, trunk=config.trunk.name, config=config.plain(), state="ready", created_at=now,
                updated_at=now,
            )  # fmt: skip
            session.add(campaign)
            session.flush()
        elif campaign.trunk != config.trunk.name and campaign.state == "running":
            raise ConfigError(f"campaign {config.name}: its trunk cannot change while it runs")
        campaign.trunk, campaign.config, campaign.updated_at = config.trunk.name, config.plain(), now
        if start:
            campaign.state, campaign.stop_mode = "running", None
        have = sa.select(Contact.debt_id).where(Contact.campaign_id == campaign.id)
        rows: list[dict[str, object]] = []
        for debt in _selected(session, config, now):
            rows.append(
                {
                    "campaign_id": campaign.id, "debt_id": debt.id, "person_id": debt.person_id, "state": "waiting",
                    "next_at": now, "n": 0, "dialed": 0, "tries": {}, "requested": False, "updated_at": now,
                }
            )  # fmt: skip
        known = set(session.scalars(have))
        fresh = [row for row in rows if row["debt_id"] not in known]
        if fresh:
            session.execute(sa.insert(Contact), fresh)
        return campaign.id


def stop(database: Database, name: str, now: datetime, *, at_once: bool) -> Campaign:
    """Ask the campaign's dialers to finish their calls, or (``at_once``) to hang up. Raises ``ConfigError``."""
    with database.write() as session:
        campaign = session.scalar(sa.select(Campaign).where(Campaign.name == name).with_for_update())
        if campaign is None:
            raise ConfigError(f"no campaign {name!r}")
        live = sa.select(Contact.id).where(Contact.campaign_id == campaign.id, Contact.state == "live").limit(1)
        campaign.stop_mode = "now" if at_once else "graceful"
        campaign.state = "stopping" if session.scalar(live) is not None else "stopped"
        campaign.updated_at = now
        return campaign


def plan(database: Database, config: CampaignConfig, now: datetime, rules: Rules | None = None) -> Iterator[Planned]:
    """Every debt that the campaign selects or already has, in order of account. Reads only."""
    judge = rules or ContactRules()
    with database.read() as session:
        campaign = session.scalar(sa.select(Campaign).where(Campaign.name == config.name))
        contacts: dict[int, Contact] = {}
        if campaign is not None:
            contacts = {
                contact.debt_id: contact
                for contact in session.scalars(sa.select(Contact).where(Contact.campaign_id == campaign.id))
            }
        chosen = {debt.id: debt for debt in _selected(session, config, now)}
        missing = [debt_id for debt_id in contacts if debt_id not in chosen]
        for start in range(0, len(missing), _CHUNK):
            part = missing[start : start + _CHUNK]
            chosen |= {debt.id: debt for debt in session.scalars(sa.select(Debt).where(Debt.id.in_(part)))}
        debts = sorted(chosen.values(), key=lambda debt: (debt.lender, debt.account))
        for start in range(0, len(debts), _CHUNK):
            yield from _judge(session, config, judge, now, debts[start : start + _CHUNK], contacts)


def _judge(
    session: Session,
    config: CampaignConfig,
    rules: Rules,
    now: datetime,
    debts: Sequence[Debt],
    contacts: dict[int, Contact],
) -> Iterator[Planned]:
    ids = {debt.person_id for debt in debts}
    people = {person.id: person for person in session.scalars(sa.select(Person).where(Person.id.in_(ids)))}
    rows = [(contacts.get(debt.id) or _fresh(debt, now), debt, people[debt.person_id]) for debt in debts]
    for case in cases_of(session, rows, now):
        contact, debt = case.contact, case.debt
        reason = clause = ""
        moment: datetime | None = None
        if contact.state in ("done", "held", "live"):
            reason = contact.reason or contact.state
        else:
            moment = max(now, contact.next_at)
            if contact.next_at > now:
                reason = contact.reason or ""
            verdict = rules.judge(case, config, moment)
            if isinstance(verdict, Refusal):
                moment, reason, clause = verdict.until, verdict.rule, verdict.clause
        yield Planned(
            debt.lender, debt.account, debt.lang, mask(case.number or ""),
            None if moment is None else moment.astimezone(ZoneInfo(debt.time_zone)), reason, clause, contact.state,
        )  # fmt: skip


def _fresh(debt: Debt, now: datetime) -> Contact:
    return Contact(
        debt_id=debt.id, person_id=debt.person_id, state="waiting", next_at=now, n=0, dialed=0, tries={},
        requested=False, updated_at=now,
    )  # fmt: skip


def _selected(session: Session, config: CampaignConfig, now: datetime) -> list[Debt]:
    want = config.select
    today = now.date()
    # A day of slack for the time zones; the exact bound is the rules', at the moment of dialling.
    first = today - timedelta(days=want.max_days_past_due + 1)
    last = today - timedelta(days=want.min_days_past_due - 1)
    wanted = sa.select(Debt).where(Debt.state == "open", Debt.due_date >= first, Debt.due_date <= last)
    for column, values in (
        (Debt.lender, want.lenders), (Debt.lang, want.langs), (Debt.currency, want.currencies), (Debt.risk, want.risks),
    ):  # fmt: skip
        if values:
            wanted = wanted.where(column.in_(values))
    found = session.scalars(wanted.order_by(Debt.id))
    return [debt for debt in found if debt.amount_due > max(Decimal(0), want.min_amount - Decimal("0.01"))]


def mask(number: str) -> str:
    """A number as a plan or a report may show it: the country and the last two digits."""
    return f"{number[:3]}{'*' * max(0, len(number) - 5)}{number[-2:]}" if number else ""
