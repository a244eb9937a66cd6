"""Who gets in, and how far: every route with every role, sign-in, sessions, and what a stranger may try."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.testclient import TestClient

from archive.database import Database
from archive.errors import ArchiveError
from console.context import Context
from console.guard import GuardedRoute
from console.pages.session import local
from console.people import People
from console.people.secrets import verify_password
from console.people.store import SESSION_IDLE, SESSION_LIFE, PeopleError
from console.permissions import GRANTS, ROLES, allowed
from console.security import client_address

ORIGIN, PASSWORD = "http://testserver", "correct horse battery"
SignIn = Callable[..., httpx.Client]
SIGN_IN = {"/sign-in", "/sign-in/oidc", "/sign-in/oidc/callback"}
OPEN = SIGN_IN | {"/sign-out", "/welcome/{token}", "/preferences", "/healthz"}


def guarded(app: FastAPI) -> list[GuardedRoute]:
    routes = app.state.guarded.routes
    assert all(isinstance(route, GuardedRoute) for route in routes)
    return list(routes)


def test_a_route_that_names_no_permission_cannot_be_registered() -> None:
    router = APIRouter(route_class=GuardedRoute)
    with pytest.raises(TypeError, match="who may use it"):
        router.get("/leak")(lambda: "secret")


def test_only_the_sign_in_pages_are_open(app: FastAPI) -> None:
    routes = guarded(app)
    assert len(routes) > 15
    assert {route.path for route in routes if route.permission is None} == OPEN
    others = [r for r in app.routes if getattr(r, "original_router", None) is not app.state.guarded]
    assert [getattr(r, "path", "") for r in others] == ["/static"], "beside the assets nothing goes round the guard"


@pytest.mark.parametrize("role", ROLES)
def test_every_route_and_role(app: FastAPI, sign_in: SignIn, role: str) -> None:
    client = sign_in(role)
    for route in guarded(app):
        if route.permission is None:
            continue
        path = route.path.replace("{call_id}", "none").replace("{token}", "x")
        path = path if "{" not in path else path.split("{")[0] + "1" + path.rsplit("}", 1)[-1]
        for method in route.methods - {"HEAD"}:
            answer = client.request(method, path)
            refused = answer.status_code == 403
            assert refused != allowed(role, route.permission), (method, path, answer.status_code)


def test_a_stranger_gets_nothing(app: FastAPI) -> None:
    client = TestClient(app, headers={"origin": ORIGIN}, follow_redirects=False)
    for route in guarded(app):
        if route.permission is None:
            continue
        path = route.path.split("{")[0] + ("x" if "{" in route.path else "")
        if "{" in route.path:
            path = route.path.replace("{call_id}", "x")
        if "{" in path:
            continue
        for method in route.methods - {"HEAD"}:
            assert client.request(method, path).status_code == 401, (method, path)
    page = client.get("/queue?q=1", headers={"accept": "text/html"})
    assert page.status_code == 303 and page.headers["location"] == "/sign-in?next=/queue%3Fq%3D1"


def test_roles_hold_only_what_is_written() -> None:
    assert not allowed("root", "calls.read")
    assert not any("calls.listen" in GRANTS[role] for role in ("operator", "admin"))
    assert not any("personal.read" in GRANTS[role] for role in ("operator", "auditor", "admin"))
    assert [role for role in ROLES if "secrets.hear" in GRANTS[role]] == ["compliance"]


def test_a_wrong_password_and_a_wrong_name_look_the_same(app: FastAPI, sign_in: SignIn) -> None:
    sign_in("reviewer")
    client = TestClient(app, headers={"origin": ORIGIN}, follow_redirects=False)
    answers = [client.post("/sign-in", data={"name": name, "password": "wrong"}) for name in ("reviewer", "nobody")]
    assert [a.status_code for a in answers] == [401, 401]
    assert answers[0].text.replace(answers[0].headers["content-security-policy"], "") == answers[1].text.replace(
        answers[1].headers["content-security-policy"], ""
    )


def test_a_password_is_checked_before_anything_is_locked(
    app: FastAPI, sign_in: SignIn, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Checking takes a tenth of a second, and anybody may ask for it: others write meanwhile, and are believed."""
    sign_in("reviewer")
    people_written = []

    def slowly(stored: str | None, password: str) -> bool:
        with context.database.write() as session:  # on SQLite there is one writer: this would wait for ever
            People(session).disable("reviewer", by="test")
        people_written.append(True)
        return verify_password(stored, password)

    monkeypatch.setattr("console.pages.session.verify_password", slowly)
    client = TestClient(app, headers={"origin": ORIGIN}, follow_redirects=False)
    assert client.post("/sign-in", data={"name": "reviewer", "password": PASSWORD}).status_code == 401
    assert people_written, "disabled while the password was being checked: the door stays closed"


def test_guessing_is_slowed_down(app: FastAPI, sign_in: SignIn) -> None:
    sign_in("reviewer")
    client = TestClient(app, headers={"origin": ORIGIN}, follow_redirects=False)
    codes = [client.post("/sign-in", data={"name": "reviewer", "password": "x"}).status_code for _ in range(6)]
    assert codes == [401] * 5 + [429]
    assert client.post("/sign-in", data={"name": "reviewer", "password": PASSWORD}).status_code == 429


def test_a_planted_session_is_worth_nothing_after_signing_in(app: FastAPI, sign_in: SignIn) -> None:
    sign_in("reviewer")
    client = TestClient(
        app, headers={"origin": ORIGIN}, follow_redirects=False, cookies={"callgate_session": "planted"}
    )
    client.post("/sign-in", data={"name": "reviewer", "password": PASSWORD})
    cookie = next(c for c in client.cookies.jar if c.name == "callgate_session" and c.value != "planted")
    assert len(cookie.value or "") > 30
    other = TestClient(app, follow_redirects=False, cookies={"callgate_session": "planted"})
    assert other.get("/account").status_code == 401


def test_the_session_cookie_is_out_of_reach_of_scripts(app: FastAPI, sign_in: SignIn) -> None:
    sign_in("reviewer")
    client = TestClient(app, headers={"origin": ORIGIN}, follow_redirects=False)
    header = client.post("/sign-in", data={"name": "reviewer", "password": PASSWORD}).headers["set-cookie"].lower()
    assert "httponly" in header and "samesite=lax" in header


def test_signing_out_ends_the_session_on_the_server(sign_in: SignIn) -> None:
    client = sign_in("reviewer")
    token = client.cookies["callgate_session"]
    assert client.get("/account").status_code == 200
    client.post("/sign-out")
    client.cookies.set("callgate_session", token)
    assert client.get("/account", headers={"accept": "application/json"}).status_code == 401


@pytest.mark.parametrize("after", [SESSION_IDLE + timedelta(minutes=1), SESSION_LIFE + timedelta(minutes=1)])
def test_sessions_end_by_themselves(context: Context, after: timedelta) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with context.database.write() as session:
        people = People(session, start)
        token = people.accept(people.invite("rita", "reviewer", by="test"), PASSWORD)
    with context.database.read() as session:
        assert People(session, start + timedelta(minutes=5)).by_session(token) is not None
        assert People(session, start + after).by_session(token) is None


@pytest.mark.parametrize(
    "headers",
    [{}, {"origin": "https://evil.example"}, {"referer": "https://evil.example/x"}, {"sec-fetch-site": "cross-site"},
     {"origin": "null"}],
)  # fmt: skip
def test_a_request_from_elsewhere_changes_nothing(sign_in: SignIn, headers: dict[str, str]) -> None:
    client = sign_in("reviewer")
    client.headers.pop("origin")
    answer = client.post("/queue/bulk", data={"action": "done", "call": "x"}, headers=headers)
    assert answer.status_code == 403


def test_an_invitation_works_once_and_for_a_day(context: Context) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    with context.database.write() as session:
        people = People(session, start)
        token = people.invite("rita", "reviewer", by="test")
        assert People(session, start + timedelta(hours=25)).invited(token) is None
        with pytest.raises(PeopleError, match="12 to 256"):
            people.accept(token, "short")
        people.accept(token, PASSWORD)
        with pytest.raises(PeopleError, match="used already"):
            people.accept(token, PASSWORD)


def test_the_last_admin_stays(context: Context) -> None:
    with context.database.write() as session:
        people = People(session)
        people.accept(people.invite("adam", "admin", by="test"), PASSWORD)
        for change in (lambda: people.disable("adam", by="x"), lambda: people.set_role("adam", "reviewer", by="x")):
            with pytest.raises(PeopleError, match="last admin"):
                change()
        people.accept(people.invite("eve", "admin", by="test"), PASSWORD)
        people.disable("adam", by="eve")


def test_a_key_opens_what_its_role_may_and_no_more(app: FastAPI, context: Context, sign_in: SignIn) -> None:
    with context.database.write() as session:
        people = People(session)
        key = people.make_key("etl", "auditor", by="test")
    client = TestClient(app, follow_redirects=False)
    bearer = {"authorization": f"Bearer {key}"}
    assert client.get("/queue", headers=bearer).status_code == 200
    assert client.post("/queue/bulk", data={"action": "done", "call": "x"}, headers=bearer).status_code == 403
    browser = sign_in("reviewer")
    assert browser.get("/queue", headers={"authorization": "Bearer wrong", "accept": "*/*"}).status_code == 401
    with context.database.write() as session:
        People(session).revoke_key(People(session).keys()[0].id, by="test")
    assert client.get("/queue", headers=bearer).status_code == 401


@pytest.mark.parametrize(
    "target", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\\..\\b", "/a\nb"]
)
def test_nobody_is_sent_elsewhere(target: str) -> None:
    assert local(target) == "/"


def test_a_page_that_is_not_there_keeps_the_readers_language_and_way_back(sign_in: SignIn) -> None:
    page = sign_in("reviewer", "zh").get("/nothing")
    assert page.status_code == 404 and "没有这个页面" in page.text and 'href="/queue"' in page.text
    assert "Not Found" not in page.text


def test_answers_carry_strict_headers(app: FastAPI) -> None:
    answer = TestClient(app).get("/sign-in")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_passwords_are_not_kept(context: Context) -> None:
    with context.database.write() as session:
        people = People(session)
        people.accept(people.invite("rita", "reviewer", by="test"), PASSWORD)
        person = people.find("rita")
        assert person is not None and person.password is not None
        assert person.password.startswith("$argon2id$") and PASSWORD not in person.password


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "address"),
    [
        ("203.0.113.9", "198.51.100.1", "", "203.0.113.9"),  # a stranger's own word counts for nothing
        ("127.0.0.1", "198.51.100.1", "", "198.51.100.1"),
        ("127.0.0.1", "1.1.1.1, 198.51.100.1", "", "198.51.100.1"),
        ("10.0.0.5", "198.51.100.1", "", "10.0.0.5"),
        ("10.0.0.5", "6.6.6.6, 198.51.100.1, 10.0.0.7", "10.0.0.0/24", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1", "10.0.0.0/24", "127.0.0.1"),
        ("127.0.0.1", "", "", "127.0.0.1"),
        ("127.0.0.1", "nonsense", "", "nonsense"),
        ("::1", "2001:db8::7", "", "2001:db8::7"),
    ],
)
def test_whose_tries_are_counted_behind_a_proxy(
    monkeypatch: pytest.MonkeyPatch, peer: str, forwarded: str, proxies: str, address: str
) -> None:
    monkeypatch.setenv("CALLGATE_TRUSTED_PROXIES", proxies)
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    request = Request({"type": "http", "client": (peer, 1), "headers": headers})
    assert client_address(request) == address


def test_a_proxy_that_is_no_network_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, database: Database, tmp_path: Path
) -> None:
    monkeypatch.setenv("CALLGATE_TRUSTED_PROXIES", "10.0.0.0/24, nginx")
    with pytest.raises(ArchiveError, match="CALLGATE_TRUSTED_PROXIES: 'nginx'"):
        Context(database, tmp_path)


def test_one_guesser_behind_a_proxy_does_not_lock_the_others_out(app: FastAPI, sign_in: SignIn) -> None:
    sign_in("reviewer")
    client = TestClient(app, headers={"origin": ORIGIN}, follow_redirects=False, client=("127.0.0.1", 5))
    guesser = {"x-forwarded-for": "198.51.100.1"}
    codes = [
        client.post("/sign-in", data={"name": f"n{n}", "password": "x"}, headers=guesser).status_code for n in range(31)
    ]
    assert codes == [401] * 30 + [429]
    colleague = {"x-forwarded-for": "198.51.100.2"}
    data = {"name": "reviewer", "password": PASSWORD}
    assert client.post("/sign-in", data=data, headers=colleague).status_code == 303
