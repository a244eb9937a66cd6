"""The audit page: every entry in order, and a chain whose first broken link is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

import console
from archive.audit import AuditLog
from console.context import Context
from console.pages import audit

SignIn = Callable[..., httpx.Client]
ACall = Callable[..., str]


def tamper(context: Context, *statements: str) -> None:
    """What somebody with the database file could do: past the triggers that refuse it."""
    with context.database.engine.begin() as connection:
        names = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name IN ('audit', 'turns')"
        )
        for name in list(names.scalars()):
            connection.exec_driver_sql(f"DROP TRIGGER {name}")
        for statement in statements:
            assert connection.exec_driver_sql(statement).rowcount == 1


def test_entries_are_paged_without_gap_or_repeat(
    sign_in: SignIn, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "PAGE", 7)
    client = sign_in("auditor")
    with context.database.write() as session:
        for n in range(20):
            AuditLog(session).append("review.set", actor="rita", subject=f"call-{n}")
    seen: list[str] = []
    path = "/audit?kind=review.set"
    for _ in range(3):
        page = client.get(path).text
        seen += [f"call-{n}" for n in range(19, -1, -1) if f">call-{n}<" in page]
        before = page.rpartition("before=")[2].partition('"')[0]
        path = f"/audit?kind=review.set&before={before}"
    assert seen == [f"call-{n}" for n in range(19, -1, -1)]
    assert "Older entries" not in page


def test_filters(sign_in: SignIn, context: Context) -> None:
    client = sign_in("auditor")
    with context.database.write() as session:
        AuditLog(session).append("hold.placed", actor="cora", subject="case:1", why="<i>lawsuit</i>")
    assert "Legal hold placed" in client.get("/audit?actor=cora").text
    assert "case:1" not in client.get("/audit?actor=nobody").text
    page = client.get("/audit?subject=case:1").text
    assert "case:1" in page and "<i>lawsuit" not in page
    for bad in ("before=0", "before=x", "before=99999999999999999999"):
        assert client.get(f"/audit?{bad}").status_code == 422


def test_an_intact_archive_verifies_and_that_is_audited(sign_in: SignIn, a_call: ACall, context: Context) -> None:
    a_call()
    page = sign_in("auditor").post("/audit/verify", data={"recordings": "1"}).text
    assert "Every link holds." in page and "1 calls (0 not sealed), 1 recordings" in page
    with context.database.read() as session:
        (entry,) = AuditLog(session).entries(kinds=["archive.verified"])
    assert entry.actor == "auditor"


def test_the_first_broken_link_is_named(sign_in: SignIn, a_call: ACall, context: Context) -> None:
    a_call()
    client = sign_in("auditor")
    tamper(context, "UPDATE audit SET actor = 'somebody' WHERE seq = 2")
    page = client.post("/audit/verify", data={}).text
    assert "broken" in page and "chain, link 2" in page and "was changed" in page
    assert "第 2" in sign_in("admin", "zh").post("/audit/verify", data={}).text.replace("审计链第 2", "第 2")
    with context.database.read() as session:
        assert not AuditLog(session).entries(kinds=["archive.verified"])


def test_a_deleted_link_and_a_changed_word_are_found(sign_in: SignIn, a_call: ACall, context: Context) -> None:
    call = a_call()
    client = sign_in("auditor")
    tamper(context, "DELETE FROM audit WHERE seq = 1")
    assert "link 1 is missing" in client.post("/audit/verify", data={}).text
    with context.database.engine.begin() as connection:
        connection.execute(sa.text("UPDATE turns SET text = 'never said' WHERE call_id = :c AND seq = 1"), {"c": call})
    page = client.post("/audit/verify", data={}).text
    assert call in page and "turns: a row was changed after sealing" in page


def test_a_swapped_recording_is_found_where_files_are_read(sign_in: SignIn, a_call: ACall, context: Context) -> None:
    a_call()
    (sound,) = [path for path in context.home.rglob("*.wav") if path.is_file()]
    data = bytearray(sound.read_bytes())
    data[-100:] = bytes(100) if any(data[-100:]) else b"\x01" * 100
    sound.write_bytes(bytes(data))
    client = sign_in("auditor")
    assert "Every link holds." in client.post("/audit/verify", data={}).text
    assert "it is not the file that was sealed" in client.post("/audit/verify", data={"recordings": "1"}).text


def test_a_noted_link_is_expected(sign_in: SignIn) -> None:
    client = sign_in("auditor")
    assert client.post("/audit/verify", data={"expect": "nonsense"}).status_code == 422
    page = client.post("/audit/verify", data={"expect": f"1:{'a' * 64}"}).text
    assert "does not hold the link that was noted" in page


def test_one_check_at_a_time(sign_in: SignIn) -> None:
    client = sign_in("auditor")
    with audit._checking:
        assert client.post("/audit/verify", data={}).status_code == 409
    assert client.post("/audit/verify", data={}).status_code == 200


def test_the_filter_offers_every_kind_that_is_written() -> None:
    root = Path(console.__file__).parents[1]
    written = re.compile(r'(?:(?:[aA]udit|AuditLog\(\w+\))\.append\(|_audited\(request,)\s*"([a-z_.]+)"')
    found = {
        kind
        for package in ("archive", "campaigns", "console")
        for path in (root / package).rglob("*.py")
        for kind in written.findall(path.read_text(encoding="utf-8"))
    }
    assert len(found) > 25 and found <= set(audit.KINDS), found - set(audit.KINDS)
