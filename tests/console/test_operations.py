"""Operations: imports with their errors, campaigns started and stopped, unknown calls resolved, lines and models."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import sqlalchemy as sa

from archive.audit import AuditLog
from archive.database import Database
from campaigns.ledger import Ledger
from campaigns.models import Attempt, Campaign, Debt
from console.context import Context

SignIn = Callable[..., httpx.Client]
DUE = (datetime.now(UTC) - timedelta(days=6)).date().isoformat()
HEADING = (
    "account,lender,borrower_name,phone,lang,time_zone,product,payee,agent_name,amount_due,currency,due_date,id_last4\n"
)
CAMPAIGN = """
name: november
caller_ids: {default: "+861055550100"}
trunk: {name: main, channels: 5, per_minute: 30}
"""


def row(account: str, phone: str = "+8613800000001", amount: str = "3500.00") -> str:
    return f"{account},Anxin,张明,{phone},zh,Asia/Shanghai,消费贷,安信,小安,{amount},CNY,{DUE},1234\n"


def upload(client: httpx.Client, text: str, mode: str, **data: str) -> httpx.Response:
    files = {"file": ("portfolio.csv", text.encode("utf-8"))}
    return client.post("/operations/import", data={"mode": mode, **data}, files=files)


def debts(database: Database) -> int:
    with database.read() as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Debt)) or 0


def audited(context: Context, kind: str) -> list[str]:
    with context.database.read() as session:
        return [entry.subject for entry in AuditLog(session).entries(kinds=[kind])]


def test_a_checked_file_changes_nothing_and_its_errors_are_shown(sign_in: SignIn, database: Database) -> None:
    client = sign_in("operator")
    page = upload(client, HEADING + row("A1") + row("A2", amount="3.5.0") + row("A3", phone="x"), "check").text
    assert "checked, nothing changed" in page and "is no amount" in page and "amount_due" in page and "phone" in page
    assert re.search(r'<td class="num">3</td><td>amount_due</td>', page), "lines are counted as an editor does"
    assert debts(database) == 0 and "张明" not in page


def test_all_or_nothing_and_the_good_rows(sign_in: SignIn, database: Database, context: Context) -> None:
    client = sign_in("operator")
    text = HEADING + row("A1") + row("A2", amount="no")
    assert "not imported" in upload(client, text, "all").text and debts(database) == 0
    page = upload(client, text, "good").text
    assert "new 1" in page and "cannot be used 1" in page and debts(database) == 1
    assert "unchanged 1" in upload(client, HEADING + row("A1"), "all").text
    listed = client.get("/operations").text
    assert listed.count("<td>debts</td>") == 2 and audited(context, "campaign.imported")


def test_a_file_that_cannot_be_read_is_told(sign_in: SignIn) -> None:
    client = sign_in("operator")
    konto = HEADING.replace("account", "konto") + row("A")
    for text, told in (("", "is empty"), (konto, "is no field"), ("a\x00b", "NUL"), ("PK\x03\x04", "Excel")):
        answer = upload(client, text, "all")
        assert answer.status_code == 422 and told in answer.text and "/tmp" not in answer.text, told


def test_a_mapping_goes_with_the_file(sign_in: SignIn, database: Database) -> None:
    text = (HEADING + row("A1")).replace("account,", "合同号,")
    files = {"file": ("p.csv", text.encode()), "mapping": ("m.yaml", "columns: {account: 合同号}".encode())}
    page = sign_in("operator").post("/operations/import", data={"mode": "all"}, files=files)
    assert page.status_code == 200 and debts(database) == 1
    files["mapping"] = ("m.yaml", b"columns: {surprise: x}")
    assert sign_in("operator").post("/operations/import", data={"mode": "all"}, files=files).status_code == 422


@pytest.fixture
def campaign(sign_in: SignIn) -> httpx.Client:
    """An operator's browser, with a portfolio and a campaign that has not started."""
    client = sign_in("operator")
    assert upload(client, HEADING + row("A1") + row("A2", "+8613800000002"), "all").status_code == 200
    assert client.post("/operations/campaigns", data={"config": CAMPAIGN}).status_code == 303
    return client


def state(database: Database) -> tuple[str, str | None]:
    with database.read() as session:
        found = session.scalars(sa.select(Campaign)).one()
        return found.state, found.stop_mode


def test_a_campaign_is_saved_started_and_stopped(campaign: httpx.Client, context: Context) -> None:
    assert state(context.database) == ("ready", None)
    page = campaign.get("/operations").text
    assert "november" in page and "5 channels" in page and "30 calls a minute" in page and "waiting 2" in page
    assert campaign.post("/operations/start", data={"name": "november"}).status_code == 303
    assert state(context.database)[0] == "running"
    assert "nothing is dialled" in campaign.get("/operations").text, "it says that no dialer is up"
    assert campaign.post("/operations/stop", data={"name": "november"}).status_code == 303
    assert state(context.database) == ("stopped", "graceful")
    assert campaign.post("/operations/stop", data={"name": "november", "at_once": "1"}).status_code == 303
    assert state(context.database) == ("stopped", "now")
    for kind in ("campaign.saved", "campaign.started", "campaign.stopped"):
        assert set(audited(context, kind)) == {"campaign:november"}


def test_what_cannot_be_done_is_told(campaign: httpx.Client) -> None:
    for path, data, status, told in (
        ("start", {"name": "none"}, 404, "there is no such campaign"),
        ("stop", {"name": "none"}, 422, "no campaign"),
        ("campaigns", {"config": "[1"}, 422, "not YAML"),
        ("campaigns", {"config": "name: x"}, 422, "caller_ids"),
        ("campaigns", {"config": "- a"}, 422, "must hold a mapping"),
        ("resolve", {"attempt": "x", "outcome": "busy"}, 422, "no such attempt"),
        ("import", {"mode": "all"}, 422, "file: Field required"),
    ):
        answer = campaign.post(f"/operations/{path}", data=data)
        assert answer.status_code == status and told in answer.text, (path, data)


def test_an_unknown_call_waits_for_a_persons_word(campaign: httpx.Client, context: Context, database: Database) -> None:
    campaign.post("/operations/start", data={"name": "november"})
    noon = datetime(2026, 11, 18, 2, 0, tzinfo=UTC)
    with database.write() as session:
        for debt in session.scalars(sa.select(Debt)):
            debt.due_date = noon.date() - timedelta(days=6)
        session.execute(sa.text("UPDATE campaign_contacts SET next_at = '2026-11-01 00:00:00.000000'"))
    ledger = Ledger(database, "one", clock=lambda: noon)
    ledger.beat()
    (taken, *_) = ledger.reserve(1, 1, "test")
    ledger.dial(taken.attempt_id)
    ledger.uncertain(taken.attempt_id, "timeout")
    page = campaign.get("/operations").text
    assert taken.attempt_id in page and "Calls of unknown fate: 1" in page
    done = campaign.post("/operations/resolve", data={"attempt": taken.attempt_id, "outcome": "no_answer"})
    assert done.status_code == 303 and "unknown fate" not in campaign.get("/operations").text
    with database.read() as session:
        assert session.get_one(Attempt, taken.attempt_id).outcome == "no_answer"
    again = campaign.post("/operations/resolve", data={"attempt": taken.attempt_id, "outcome": "no_answer"})
    assert again.status_code == 422 and "in no doubt" in again.text


def test_readers_see_and_do_not_touch(campaign: httpx.Client, sign_in: SignIn, database: Database) -> None:
    auditor = sign_in("auditor")
    page = auditor.get("/operations").text
    assert "november" in page and '<button class="primary">Start' not in page and "Import a file" not in page
    assert auditor.post("/operations/start", data={"name": "november"}).status_code == 403
    assert upload(auditor, HEADING, "all").status_code == 403 and state(database)[0] == "ready"


def test_lines_and_models(sign_in: SignIn, context: Context) -> None:
    client = sign_in("operator")
    page = client.get("/operations").text
    assert "No lines run in this process." in page and "No models are loaded" in page and "No campaign yet" in page
    context.models = {"asr": "callgate-whisper"}
    context.lines = lambda: {"asterisk": {"state": "registered", "calls": 2}, "twilio": "healthy"}
    page = sign_in("operator").get("/operations").text
    assert "asterisk" in page and "registered" in page and "callgate-whisper" in page and "speech recognition" in page

    def broken() -> dict[str, str]:
        raise OSError("no route")

    context.lines = broken
    assert "OSError" in client.get("/operations").text
