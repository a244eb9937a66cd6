"""The case file of an imported debt, as it stands today."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from agent.case import CaseFile
from archive.database import Database
from campaigns.errors import LedgerError
from campaigns.models import Debt
from campaigns.rules import days_past_due


def case_of(database: Database, debt_id: int, now: datetime) -> CaseFile:
    """What a call about the debt may rely on, with today's amount and days past due.

    Raises ``LedgerError`` for an unknown debt or zone, ``CaseError`` for stored facts that make no case.
    """
    with database.read() as session:
        debt = session.get(Debt, debt_id)
        if debt is None:
            raise LedgerError(f"no debt {debt_id}")
    days = days_past_due(debt, now)
    if days is None:
        raise LedgerError(f"debt {debt_id}: its time zone is not known")
    facts = dict(debt.facts)
    if "min_payment" in facts and Decimal(facts["min_payment"]) > debt.amount_due:
        del facts["min_payment"]  # after a payment less is due than the least that was to be paid
    return CaseFile.from_dict(
        {
            **facts,
            "lender": debt.lender,
            "amount_due": f"{debt.amount_due:.2f}",
            "currency": debt.currency,
            "due_date": debt.due_date.isoformat(),
            "days_past_due": max(0, days),
            "time_zone": debt.time_zone,
        }
    )
