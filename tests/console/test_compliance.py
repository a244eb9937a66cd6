"""Compliance: two people approve a script, differences are readable, packs cite their sources, a person's ledger."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from archive.audit import AuditLog
from archive.database import Database
from campaigns.models import Debt, Number, Person, PersonNumber, Record
from campaigns.store import attach
from console.context import Context
from console.people import People
from console.scripts_desk import Scripts, lines, spans
from scripts.loader import ROOT, load_script

SignIn = Callable[..., httpx.Client]
ACall = Callable[..., str]
NAME = "zh/v2.yaml"


@pytest.fixture
def folder(context: Context, tmp_path: Path) -> Path:
    """An operator's folder: the script that ships, and a second version of it that nobody has approved."""
    made = tmp_path / "scripts"
    (made / "zh").mkdir(parents=True)
    shutil.copy(ROOT / "zh" / "days_1_15_reminder.yaml", made / "zh" / "v1.yaml")
    text = (made / "zh" / "v1.yaml").read_text("utf-8").partition("\napprovals:")[0]
    text = text.replace("version: 1\n", "version: 2\n").replace("您好，我是智能语音助手", "您好，这里是智能语音助手")
    (made / "zh" / "v2.yaml").write_text(text + "\n", "utf-8")
    (made / "zh" / "broken.yaml").write_text("id: x\nid: <script>\n", "utf-8")
    context.scripts = made
    return made


def second_person(app: FastAPI, context: Context, name: str = "dora", role: str = "supervisor") -> httpx.Client:
    with context.database.write() as session:
        people = People(session)
        people.accept(people.invite(name, role, by="test", lang="en"), "correct horse battery")
    client = TestClient(app, headers={"origin": "http://testserver", "accept": "text/html"}, follow_redirects=False)
    client.post("/sign-in", data={"name": name, "password": "correct horse battery"})
    return client


def hash_on(page: str) -> str:
    found = re.search(r'name="hash" value="(\w{64})"', page)
    assert found is not None
    return found[1]


def test_scripts_are_listed_with_their_approvals(sign_in: SignIn, folder: Path) -> None:
    page = sign_in("compliance").get("/compliance").text
    assert "legal@example.org" in page and "approved" in page and "not approved" in page
    assert "given twice" in page and "<script>" not in page.partition("</head>")[2]


def test_it_takes_two_different_people_of_two_roles(
    app: FastAPI, sign_in: SignIn, context: Context, folder: Path
) -> None:
    first = sign_in("compliance")
    page = first.get(f"/compliance/script?file={NAME}").text
    form = {"file": NAME, "hash": hash_on(page), "days": "30"}
    assert first.post("/compliance/script/approve", data=form).status_code == 303
    with pytest.raises(ValueError, match="approv"):
        load_script(folder / NAME)
    again = first.post("/compliance/script/approve", data=form)
    assert again.status_code == 422 and "needs a second person" in again.text
    assert "another person" in first.get(f"/compliance/script?file={NAME}").text
    assert "waits for a person of another role" in first.get("/compliance").text
    colleague = second_person(app, context, "carl", "compliance")
    assert "must come from another role" in colleague.get(f"/compliance/script?file={NAME}").text
    refused = colleague.post("/compliance/script/approve", data=form)
    assert refused.status_code == 422 and "needs a person of another role" in refused.text
    with pytest.raises(ValueError, match="approv"):
        load_script(folder / NAME)
    second = second_person(app, context)
    assert second.post("/compliance/script/approve", data=form).status_code == 303
    script = load_script(folder / NAME)
    assert {a.who: a.role for a in script.approvals} == {"compliance": "compliance", "dora": "supervisor"}
    assert script.version == 2
    left = script.approvals[0].expires - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)
    with context.database.read() as session:
        entries = AuditLog(session).entries(kinds=["script.approved"])
    assert {entry.actor for entry in entries} == {"compliance", "dora"}
    assert f"approved/{script.content_hash}.yaml" in Scripts(folder, context.home / "approved_scripts").versions()


def test_a_script_that_ships_is_approved_as_a_copy(app: FastAPI, sign_in: SignIn, context: Context) -> None:
    context.scripts = None
    name = "zh/days_1_15_reminder.yaml"
    before = (ROOT / name).read_bytes()
    client = sign_in("compliance")
    page = client.get(f"/compliance/script?file={name}").text
    assert "callgate scripts copy" in page and "/compliance/script/approve" not in page
    found = load_script(ROOT / name)
    form = {"file": name, "hash": found.content_hash, "days": "30"}
    refused = client.post("/compliance/script/approve", data=form)
    assert refused.status_code == 422 and "approve a copy of your own" in refused.text
    assert (ROOT / name).read_bytes() == before


def test_an_approval_is_withdrawn_by_one(app: FastAPI, sign_in: SignIn, context: Context, folder: Path) -> None:
    client = sign_in("compliance")
    page = client.get("/compliance/script?file=zh/v1.yaml").text
    form = {"file": "zh/v1.yaml", "hash": hash_on(page)}
    before = (folder / "zh" / "v1.yaml").read_text("utf-8")
    load_script(folder / "zh" / "v1.yaml")
    assert client.post("/compliance/script/withdraw", data=form | {"hash": "0" * 64}).status_code == 422
    assert client.post("/compliance/script/withdraw", data=form | {"file": "../x"}).status_code == 404
    assert client.post("/compliance/script/withdraw", data=form).status_code == 303
    with pytest.raises(ValueError, match="expired"):
        load_script(folder / "zh" / "v1.yaml")
    after = (folder / "zh" / "v1.yaml").read_text("utf-8")
    assert after.partition("\napprovals:")[0] == before.partition("\napprovals:")[0], "the content stays byte for byte"
    again = client.post("/compliance/script/withdraw", data=form)
    assert again.status_code == 422 and "nobody has approved this" in again.text
    with context.database.read() as session:
        (entry,) = AuditLog(session).entries(kinds=["script.withdrawn"])
    assert entry.actor == "compliance" and form["hash"] in entry.payload
    for each in (client, second_person(app, context)):
        assert each.post("/compliance/script/approve", data=form).status_code == 303, "it can be approved anew"
    load_script(folder / "zh" / "v1.yaml")


def test_two_approvals_of_one_role_are_not_enough(sign_in: SignIn, folder: Path) -> None:
    path = folder / "zh" / "v1.yaml"
    path.write_text(path.read_text("utf-8").replace("role: legal", "role: Compliance"), "utf-8")
    page = sign_in("auditor").get("/compliance/script?file=zh/v1.yaml").text
    assert "waits for a person of another role" in page and "A person of another role must approve too" in page
    with pytest.raises(ValueError, match="2 different roles"):
        load_script(path)


def test_what_was_not_read_is_not_approved(sign_in: SignIn, folder: Path) -> None:
    client = sign_in("compliance")
    form = {"file": NAME, "hash": hash_on(client.get(f"/compliance/script?file={NAME}").text)}
    path = folder / NAME
    path.write_text(path.read_text("utf-8").replace("max_turns: 40", "max_turns: 39"), "utf-8")
    answer = client.post("/compliance/script/approve", data=form)
    assert answer.status_code == 422 and "changed after you read it" in answer.text
    assert "approvals" not in path.read_text("utf-8")


def test_a_program_and_a_reader_cannot_approve(app: FastAPI, sign_in: SignIn, context: Context, folder: Path) -> None:
    with context.database.write() as session:
        key = People(session).make_key("bot", "compliance", by="test")
    form = {"file": NAME, "hash": "0" * 64}
    program = TestClient(app).post("/compliance/script/approve", data=form, headers={"authorization": f"Bearer {key}"})
    assert program.status_code == 422 and "two people" in program.json()["error"]
    auditor = sign_in("auditor")
    assert auditor.post("/compliance/script/approve", data=form).status_code == 403
    assert 'name="hash"' not in auditor.get(f"/compliance/script?file={NAME}").text


def test_a_folder_that_cannot_be_written_is_said_so(
    sign_in: SignIn, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in("compliance")
    form = {"file": NAME, "hash": hash_on(client.get(f"/compliance/script?file={NAME}").text)}
    monkeypatch.setattr("console.scripts_desk.os.access", lambda path, mode: False)  # tests may run as root
    page = client.get(f"/compliance/script?file={NAME}").text
    assert "cannot be written from here" in page and 'name="hash"' not in page
    answer = client.post("/compliance/script/approve", data=form)
    assert answer.status_code == 422 and "cannot be written" in answer.text


def test_only_scripts_are_opened(sign_in: SignIn, folder: Path) -> None:
    client = sign_in("compliance")
    for name in ("../../etc/passwd", "/etc/passwd", "zh/none.yaml", "zh", "approved/x.yaml", "approved/../zh/v1.yaml"):
        assert client.get("/compliance/script", params={"file": name}).status_code == 404
        assert client.get("/compliance/diff", params={"before": name, "after": NAME}).status_code == 404
        form = {"file": name, "hash": "0" * 64}
        assert client.post("/compliance/script/approve", data=form).status_code == 404


def test_differences_are_shown_place_by_place_and_line_by_line(sign_in: SignIn, folder: Path) -> None:
    client = sign_in("compliance")
    page = client.get(f"/compliance/diff?before=zh/v1.yaml&after={NAME}").text
    assert "lines.disclosure.text" in page and "<mark>这里</mark>是智能" in page and "<mark>我</mark>是智能" in page
    assert "equal lines" in page
    same = client.get("/compliance/diff?before=zh/v1.yaml&after=zh/v1.yaml").text
    assert "Both say the same" in same
    data = (folder / NAME).read_bytes()
    upload = client.post("/compliance/diff", data={"before": "zh/v1.yaml"}, files={"after": ("mine.yaml", data)})
    assert upload.status_code == 200 and "<mark>这里</mark>" in upload.text and "mine.yaml" in upload.text
    bad = client.post("/compliance/diff", data={"before": "zh/v1.yaml"}, files={"after": ("x.yaml", b"\xff\x00")})
    assert bad.status_code == 422 and "not UTF-8" in bad.text


def test_line_differences() -> None:
    before = "\n".join(f"line {n}" for n in range(20))
    after = before.replace("line 9", "line nine") + "\nline 20"
    rows = lines(before, after)
    assert [(r.old, r.new) for r in rows if r.changed] == [("line 9", "line nine"), (None, "line 20")]
    assert sum(r.skipped for r in rows) + sum(not r.skipped and r.old is not None for r in rows) == 20
    numbered = [r for r in rows if r.new == "line 20"]
    assert numbered[0].new_no == 21 and numbered[0].old_no is None
    assert spans("abc", "xyz") == ((), ()), "two texts with nothing in common are not picked apart"


def test_packs_say_where_they_stand(sign_in: SignIn) -> None:
    client = sign_in("compliance")
    page = client.get("/compliance/packs").text
    assert "/compliance/packs/cn-gbt45251" in page and "secondary reading" in page and "Where packs differ" in page
    pack = client.get("/compliance/packs/us-fdcpa").text
    assert ("needs review" in pack and "1692" in pack) or "1006" in pack
    assert "at most 7" in pack, "the limit is said in words"
    assert client.get("/compliance/packs/nothing").status_code == 404
    assert "待核实" in sign_in("auditor", "zh").get("/compliance/packs/us-fdcpa").text


def test_a_broken_pack_of_the_operators_is_told(sign_in: SignIn, context: Context, tmp_path: Path) -> None:
    context.packs = tmp_path / "packs"
    context.packs.mkdir()
    (context.packs / "mine.yaml").write_text("id: mine\nsurprise: 1\n")
    answer = sign_in("compliance").get("/compliance/packs")
    assert answer.status_code == 422 and "mine.yaml" in answer.text


def test_refusals_lead_to_their_calls(sign_in: SignIn, a_call: ACall) -> None:
    call = a_call()
    client = sign_in("compliance")
    page = client.get("/compliance/refusals?lang=zh").text
    found = re.search(r'href="(/queue\?[^"]*rule=threat\.open[^"]*)"', page)
    assert found is not None and "review=all" in found[1] and "lang=zh" in found[1]
    assert call in client.get(found[1].replace("&amp;", "&")).text
    assert "threat.open" not in client.get("/compliance/refusals?lang=en").text
    assert client.get("/compliance/refusals?from=x").status_code == 422


@pytest.fixture
def person(database: Database) -> int:
    """Somebody who was called yesterday; a debt of theirs, three conversations today."""
    attach(database)
    now = datetime.now(UTC)
    with database.write() as session:
        row = Person(key="k", name="张明", country="CN", consents=[], created_at=now, updated_at=now)
        session.add(row)
        session.add(Number(number="+8613800000001"))
        session.flush()
        session.add(PersonNumber(person_id=row.id, number="+8613800000001", position=0))
        debt = Debt(
            lender="安信", account="A-77", person_id=row.id, lang="zh", time_zone="Asia/Shanghai", region="CN",
            amount_due=Decimal("3500.00"), currency="CNY", due_date=date.today() - timedelta(days=5), facts={},
            state="open", row_hash="", as_of=date.today(), created_at=now, updated_at=now,
        )  # fmt: skip
        session.add(debt)
        session.flush()
        for n in range(4):
            session.add(
                Record(
                    source=f"s{n}", person_id=row.id, debt_id=debt.id, number="+8613800000001", at=now,
                    kind="conversation", channel="voice", answered=True,
                )
            )  # fmt: skip
        return row.id


def test_a_persons_ledger_and_what_the_rules_say(sign_in: SignIn, context: Context, person: int) -> None:
    page = sign_in("compliance").get(f"/compliance/person?q={person}").text
    assert "张明" in page and "no call now" in page and "next allowed" in page and "contact.limit." in page
    assert "13800000001" not in page and "+86" in page, "numbers are masked even for who may read names"
    assert page.count("conversation</td>") == 4
    masked = sign_in("auditor").get("/compliance/person?q=A-77").text
    assert "no call now" in masked and "张明" not in masked
    with context.database.read() as session:
        entries = AuditLog(session).entries(kinds=["person.ledger_read"])
    assert {e.actor for e in entries} == {"compliance", "auditor"} and "张明" not in entries[0].subject


def test_a_stop_is_final(sign_in: SignIn, database: Database, person: int) -> None:
    with database.write() as session:
        row = session.get_one(Person, person)
        row.stopped_at, row.stopped_reason = datetime.now(UTC), "stop_contact"
    page = sign_in("compliance").get(f"/compliance/person?q={person}").text
    assert "never to be contacted" in page and "waiting does not help" in page and "contact.cease_requested" in page


def test_nobody(sign_in: SignIn, person: int) -> None:
    client = sign_in("compliance")
    for q in ("999999", "nobody", "9" * 60, "' OR 1=1 --", "１"):
        answer = client.get("/compliance/person", params={"q": q})
        assert answer.status_code == 200 and "Nobody of that number" in answer.text, q


def test_without_a_portfolio(sign_in: SignIn) -> None:
    assert "No portfolio" in sign_in("compliance").get("/compliance/person?q=1").text
