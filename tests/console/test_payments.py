"""Payments that lenders tell the campaigns of decide what became of promises, on the dashboard too."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import sqlalchemy as sa

from archive.dashboards import Dashboards
from archive.database import Database
from archive.queries import CallFilter
from archive.writer import CallArchive, NewCall, Promise
from campaigns.importing.updates import DebtUpdate, apply_update, import_updates
from campaigns.models import Debt, Person
from campaigns.store import open_campaigns
from console.context import Context
from console.payments import case_of

SignIn = Callable[..., httpx.Client]
NOW = datetime(2026, 11, 20, 4, tzinfo=UTC)


def debts(context: Context, *accounts: str) -> dict[str, int]:
    open_campaigns(context.database.engine.url.render_as_string(hide_password=False)).close()
    with context.database.write() as session:
        person = {
            "key": "p", "name": "Li", "consents": [], "country": "CN", "attorney": False, "deceased": False,
            "bankrupt": False, "created_at": NOW, "updated_at": NOW,
        }  # fmt: skip
        owner = session.execute(sa.insert(Person).returning(Person.id), [person]).scalar_one()
        row = {
            "lender": "Harbor", "person_id": owner, "lang": "zh", "time_zone": "Asia/Shanghai", "region": "",
            "risk": "", "amount_due": Decimal(3500), "currency": "CNY", "due_date": date(2026, 10, 1), "facts": {},
            "state": "open", "row_hash": "x", "as_of": date(2026, 11, 1), "created_at": NOW, "updated_at": NOW,
        }  # fmt: skip
        return {
            account: session.execute(sa.insert(Debt).returning(Debt.id), [{**row, "account": account}]).scalar_one()
            for account in accounts
        }


def promised(database: Database, home: Path, debt: int) -> None:
    call = NewCall("zh", case_id=case_of(debt), campaign="autumn", started_at=NOW - timedelta(days=9))
    with CallArchive.begin(database, home, call) as archive:
        archive.turn("borrower", 0.0, 1.0, "好的")
        archive.finish("promise_to_pay", Promise(date(2026, 11, 15), Decimal("500.00"), "CNY"))


def test_payments_by_file_and_by_call_reach_the_dashboard(context: Context, sign_in: SignIn, tmp_path: Path) -> None:
    found = debts(context, "A1", "A2", "A3", "A4")
    for debt in found.values():
        promised(context.database, context.home, debt)
    client = sign_in("supervisor")
    page = "/dashboard?from=2026-11-01&to=2026-11-30"

    def tile() -> str:
        tiles = dict(
            re.findall(r'<dt>([^<]+)</dt><dd><span class="big">\s*(?:<a [^>]*>)?\s*([^<\s]+)', client.get(page).text)
        )
        return tiles["Promise-kept rate"]

    assert tile() == "0.0%"
    news = tmp_path / "updates.csv"
    news.write_text("account,kind,reference,amount,date\nA1,payment,r1,200,2026-11-12\nA1,payment,r2,300,2026-11-15\n")
    assert import_updates(context.database, news, NOW, lender="Harbor").counts["applied"] == 2
    partial = DebtUpdate("Harbor", "A2", "payment", "r3", datetime(2026, 11, 14, 12, tzinfo=UTC), Decimal(499))
    assert apply_update(context.database, partial, NOW)
    back = DebtUpdate("Harbor", "A3", "withdraw", "r4", datetime(2026, 11, 13, 12, tzinfo=UTC))
    assert apply_update(context.database, back, NOW)
    assert tile() == "33.3%"
    with context.database.read() as session:
        numbers = Dashboards(session).totals(CallFilter(campaign="autumn"))
    assert (numbers.promises, numbers.promises_kept, numbers.promises_broken) == (4, 1, 2)
    client = sign_in("compliance")
    answer = client.get(page)
    assert answer.status_code == 200
    rates = client.get("/dashboard/rates.csv?from=2026-11-01&to=2026-11-30").content.decode("utf-8-sig").splitlines()
    assert "Promise-kept rate" in rates[0] and "0.3333" in rates[1]
    kept = client.get("/queue?review=all&promise=kept").text
    assert len(set(re.findall(r"/calls/([0-9a-f-]{36})", kept))) == 1
    assert client.get("/queue?promise=never").status_code == 422
