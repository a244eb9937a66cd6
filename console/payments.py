"""What the campaigns' ledger knows of payments, for the promise-kept rate (:mod:`archive.promises`)."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from archive import days, promises, rollups
from archive.database import Database, DatabaseError
from archive.promises import CaseHistory, Payment
from campaigns.models import Debt, Update
from console.ledger_desk import has_campaigns

_log = logging.getLogger(__name__)
_TAKEN_BACK = ("withdraw", "dispute", "deceased", "bankrupt")
"""News with which a lender takes a debt back: what was promised before is nobody's any more."""
_CASE = re.compile(r"debt-(\d{1,15})\Z")


class LedgerPayments:
    """The lenders' updates, by the cases that campaigns call for (``debt-1``)."""

    name = "campaigns"

    def complete(self, session: Session) -> bool:
        """SQLite has one writer, and the caller is it. On PostgreSQL a number may be taken long before its row is
        there: only while nobody writes are all rows up to the last one visible."""
        if session.get_bind().dialect.name == "sqlite":
            return True
        try:
            with session.begin_nested():
                session.execute(sa.text(f"LOCK TABLE {Update.__tablename__} IN SHARE MODE NOWAIT"))
        except OperationalError:
            return False
        return True

    def news(self, session: Session, after: int, limit: int) -> tuple[Sequence[str], int]:
        kinds = ("payment", *_TAKEN_BACK)
        found = sa.select(Update.id, Update.debt_id).where(Update.id > after, Update.kind.in_(kinds))
        rows = session.execute(found.order_by(Update.id).limit(limit)).all()
        return list(dict.fromkeys(case_of(row.debt_id) for row in rows)), rows[-1].id if rows else after

    def of(self, session: Session, cases: Sequence[str]) -> Mapping[str, CaseHistory]:
        debts = {int(found[1]): case for case in cases if (found := _CASE.match(case)) is not None}
        payments: dict[int, list[Payment]] = {}
        closed: dict[int, datetime] = {}
        updates = sa.select(Update.debt_id, Update.kind, Update.amount, Update.at).where(Update.debt_id.in_(debts))
        for update in session.execute(updates.order_by(Update.at)):
            if update.kind == "payment" and update.amount is not None:
                payments.setdefault(update.debt_id, []).append(Payment(update.at, update.amount))
            elif update.kind in _TAKEN_BACK:
                closed.setdefault(update.debt_id, update.at)
        known = session.execute(sa.select(Debt.id, Debt.time_zone, Debt.currency).where(Debt.id.in_(debts)))
        return {
            debts[row.id]: CaseHistory(row.time_zone, row.currency, payments.get(row.id, ()), closed.get(row.id))
            for row in known
        }


def case_of(debt_id: int) -> str:
    """How the calls of a campaign name the debt."""
    return f"debt-{debt_id}"


def catch_up(database: Database, midnight: int) -> bool:
    """Bring what dashboards read up to date, a bounded part at a time: what became of promises, and the sums.
    ``midnight``: minutes east of Greenwich where days begin. Returns whether promises were looked at. Where another
    writer is in the way, what is there is shown."""
    source = LedgerPayments()
    campaigns = has_campaigns(database)
    with database.read() as session:
        news = campaigns and promises.behind(session, source)
        stale = rollups.behind(session) or days.can_keep(session, midnight)
    try:
        if news:
            promises.refresh(database, source)
        if stale:
            rollups.refresh(database, midnight=midnight)
    except DatabaseError as e:
        _log.warning("the dashboards' figures were not renewed: %s", e)
        return False
    return news
