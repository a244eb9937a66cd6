"""People and keys: links and keys are shown once, what was done is audited, the last admin stays."""

from __future__ import annotations

import re
from collections.abc import Callable

import httpx
from fastapi import FastAPI
from fastapi.testclient import TestClient

from archive.audit import AuditLog
from console.context import Context
from console.people import People

SignIn = Callable[..., httpx.Client]
ORIGIN, PASSWORD = "http://testserver", "correct horse battery"


def kinds(context: Context) -> list[str]:
    with context.database.read() as session:
        return [entry.kind for entry in AuditLog(session).entries()]


def test_an_invitation_is_shown_once_and_opens_the_door_once(app: FastAPI, sign_in: SignIn, context: Context) -> None:
    admin = sign_in("admin")
    page = admin.post("/people/invite", data={"name": "rita", "role": "reviewer", "lang": "en"})
    found = re.search(r"http://testserver(/welcome/[\w-]+)", page.text)
    assert page.status_code == 200 and found is not None
    assert found[1] not in admin.get("/people").text and "invited" in admin.get("/people").text
    stranger = TestClient(app, headers={"origin": ORIGIN}, follow_redirects=False)
    answer = stranger.post(found[1], data={"password": PASSWORD, "again": PASSWORD})
    assert answer.status_code == 303 and stranger.get("/queue").status_code == 200
    assert stranger.get(found[1]).status_code == 404
    assert "people.invited" in kinds(context)


def test_roles_change_and_people_are_disabled_at_once(sign_in: SignIn, context: Context) -> None:
    admin, rita = sign_in("admin"), sign_in("reviewer")
    assert admin.post("/people/role", data={"name": "reviewer", "role": "operator"}).status_code == 303
    assert rita.get("/queue", headers={"accept": "*/*"}).status_code == 401, "the old role's session has ended"
    assert admin.post("/people/disable", data={"name": "reviewer"}).status_code == 303
    with context.database.read() as session:
        person = People(session).find("reviewer")
        assert person is not None and person.role == "operator" and person.disabled_at is not None
    page = admin.get("/people").text
    assert "disabled" in page and 'name="name" value="reviewer"' not in page
    assert {"people.role_set", "people.disabled"} <= set(kinds(context))


def test_what_cannot_be_done_is_told(sign_in: SignIn) -> None:
    admin = sign_in("admin")
    for path, data, told in (
        ("disable", {"name": "admin"}, "this is the last admin"),
        ("role", {"name": "admin", "role": "reviewer"}, "this is the last admin"),
        ("role", {"name": "nobody", "role": "reviewer"}, "there is nobody of that name"),
        ("role", {"name": "admin", "role": "root"}, "there is no role"),
        ("invite", {"name": "a b", "role": "reviewer"}, "2 to 64 letters"),
        ("invite", {"name": "rita", "role": "root"}, "there is no role"),
        ("keys", {"name": "x", "role": "auditor"}, "a key needs a name"),
        ("keys/revoke", {"id": "77"}, "there is no such key"),
    ):
        answer = admin.post(f"/people/{path}", data=data)
        assert answer.status_code == 422 and told in answer.text, (path, data)


def test_a_key_is_shown_once_and_revoked(app: FastAPI, sign_in: SignIn) -> None:
    admin = sign_in("admin")
    page = admin.post("/people/keys", data={"name": "etl", "role": "auditor"}).text
    found = re.search(r'<code id="key" class="secret">([\w-]{30,})</code>', page)
    assert found is not None and found[1] not in admin.get("/people").text
    bearer = {"authorization": f"Bearer {found[1]}"}
    program = TestClient(app)
    assert program.get("/queue", headers=bearer).status_code == 200
    number = re.search(r'name="id" value="(\d+)"', admin.get("/people").text)
    assert number is not None
    assert admin.post("/people/keys/revoke", data={"id": number[1]}).status_code == 303
    assert program.get("/queue", headers=bearer).status_code == 401
    assert "revoked" in admin.get("/people").text


def test_names_are_escaped_and_spoken_in_chinese(sign_in: SignIn) -> None:
    admin = sign_in("admin", "zh")
    page = admin.post("/people/invite", data={"name": "<b>x</b>", "role": "reviewer"}).text
    assert "<b>x</b>" not in page and "姓名须为 2 到 64 个字母" in page and "邀请人员" in page
