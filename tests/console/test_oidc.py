"""Signing in at an identity provider: who gets in as what, and everything that must not be believed."""

from __future__ import annotations

import base64
import hashlib
import hmac
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient

from agent.errors import ConfigurationError
from archive.audit import AuditLog
from archive.database import open_database
from archive.layout import Layout
from console.app import create_app
from console.context import Context
from console.models import OidcAttempt, Person
from console.oidc import OidcSettings
from console.pages import oidc as oidc_page
from console.people import People
from console.security import AttemptLimit

pytest.importorskip("authlib", reason="the extra oidc is not installed")
from joserfc import jwt
from joserfc.jwk import RSAKey

_spec = importlib.util.spec_from_file_location("identity_provider", Path(__file__).parent / "identity_provider.py")
assert _spec is not None and _spec.loader is not None
fake = importlib.util.module_from_spec(_spec)
sys.modules["identity_provider"] = fake
_spec.loader.exec_module(fake)

ORIGIN, PASSWORD = "http://testserver", "correct horse battery"
SignIn = Callable[..., httpx.Client]


@pytest.fixture
def idp() -> Iterator[Any]:
    provider = fake.IdentityProvider()
    yield provider
    provider.close()


@pytest.fixture
def settings(idp: Any) -> OidcSettings:
    found = OidcSettings.from_environment(
        {
            "CALLGATE_OIDC_ISSUER": idp.issuer,
            "CALLGATE_OIDC_CLIENT_ID": idp.client_id,
            "CALLGATE_OIDC_CLIENT_SECRET": idp.client_secret,
            "CALLGATE_OIDC_ROLES": '{"loan-compliance": "compliance", "loan-qa": "reviewer"}',
            "CALLGATE_PUBLIC_URL": ORIGIN,
        }
    )
    assert found is not None
    return found


@pytest.fixture
def site(context: Context, settings: OidcSettings, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    monkeypatch.setattr(oidc_page, "BEGUN", AttemptLimit(30, 300.0))
    context.oidc = settings
    return create_app(context)


def browser(site: FastAPI, **cookies: str) -> TestClient:
    return TestClient(site, headers={"accept": "text/html", "accept-language": "en"}, follow_redirects=False,
                      cookies=cookies)  # fmt: skip


def at_the_provider(location: str) -> str:
    """What the browser does at the provider; the path and query it is sent back to."""
    answer = httpx.get(location, trust_env=False, verify=False)
    back = answer.headers["location"]
    assert answer.status_code == 302 and back.startswith(f"{ORIGIN}/sign-in/oidc/callback?")
    return str(back.removeprefix(ORIGIN))


def round_trip(client: TestClient, next: str = "/") -> httpx.Response:
    out = client.get("/sign-in/oidc", params={"next": next})
    assert out.status_code == 303, out.text
    return client.get(at_the_provider(out.headers["location"]))


def refusals(context: Context) -> list[str]:
    with context.database.read() as session:
        return [json.loads(e.payload)["reason"] for e in AuditLog(session).entries(kinds=["sign_in.refused"])]


def test_who_is_known_there_gets_in_here_with_the_role_of_their_group(
    site: FastAPI, context: Context, idp: Any
) -> None:
    client = browser(site)
    assert "Sign in with 127.0.0.1" in client.get("/sign-in").text
    back = round_trip(client, "/queue?q=1")
    assert back.status_code == 303 and back.headers["location"] == "/queue?q=1"
    cookie = back.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=lax" in cookie
    assert client.get("/queue").status_code == 200 and client.get("/compliance").status_code == 403
    account = client.get("/account").text
    assert "wei.chen" in account and 'name="old"' not in account, "there is no password to change here"
    with context.database.read() as session:
        person = People(session).find("wei.chen")
        assert person is not None and person.role == "reviewer" and person.password is None
        assert person.subject is not None and "u-1" not in person.subject
        assert session.scalar(sa.select(sa.func.count()).select_from(OidcAttempt)) == 0
    (asked,) = idp.asked
    assert asked["redirect_uri"] == f"{ORIGIN}/sign-in/oidc/callback" and "client_secret" not in asked
    guess = client.post("/sign-in", data={"name": "wei.chen", "password": "x"}, headers={"origin": ORIGIN})
    assert guess.status_code == 401


def test_the_session_is_a_new_one_and_the_old_one_ends(site: FastAPI, sign_in: SignIn, context: Context) -> None:
    old = sign_in("auditor").cookies["callgate_session"]
    client = browser(site, callgate_session=old)
    assert round_trip(client).status_code == 303
    new = next(c.value for c in client.cookies.jar if c.name == "callgate_session" and c.value != old)
    with context.database.read() as session:
        people = People(session)
        assert people.by_session(old) is None
        found = people.by_session(new or "")
        assert found is not None and found.name == "wei.chen"


def test_the_role_follows_the_provider_and_nobody_else(
    site: FastAPI, context: Context, idp: Any, sign_in: SignIn
) -> None:
    client = browser(site)
    round_trip(client)
    idp.claims = {"groups": ["canteen", "loan-qa", "loan-compliance"], "preferred_username": "renamed"}
    second = browser(site)
    assert round_trip(second).status_code == 303
    with context.database.read() as session:
        person = People(session).find("wei.chen")
        assert person is not None and person.role == "compliance", "the first of the map that the person holds"
        assert People(session).find("renamed") is None, "the records keep the name that they began with"
    assert client.get("/queue").status_code == 303, "what was opened with the old role has ended"
    admin = sign_in("admin")
    for path, data in (
        ("role", {"name": "wei.chen", "role": "admin"}),
        ("invite", {"name": "wei.chen", "role": "admin"}),
    ):
        answer = admin.post(f"/people/{path}", data=data)
        assert answer.status_code == 422 and "identity provider" in answer.text
    idp.claims = {"groups": []}
    assert round_trip(browser(site)).status_code == 403
    assert second.get("/queue").status_code == 303, "without a role every session ends"


def test_who_holds_no_mapped_group_gets_in_nowhere(site: FastAPI, context: Context, idp: Any) -> None:
    strange = (None, [], ["canteen"], "loan", {"loan-qa": True}, ["LOAN-QA"], [["loan-qa"]], True)
    for groups in strange:
        idp.claims = {"groups": groups}
        client = browser(site)
        answer = round_trip(client)
        assert answer.status_code == 403 and "has no role here" in answer.text, groups
        assert client.get("/account").status_code == 303, groups
    with context.database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Person)) == 0
    assert set(refusals(context)) == {"your account at the identity provider has no role here"}


def test_roles_may_lie_deeper_or_at_the_userinfo_endpoint(site: FastAPI, context: Context, idp: Any) -> None:
    site.state.provider.settings = replace(site.state.provider.settings, role_claim="realm_access.roles")
    idp.claims = {"realm_access": {"roles": ["loan-qa"]}}
    assert round_trip(browser(site)).status_code == 303
    idp.claims, idp.info = (
        {"sub": "u-2", "preferred_username": "li"},
        {"sub": "u-2", "realm_access": {"roles": ["loan-qa"]}},
    )
    site.state.provider._forget("metadata")
    assert round_trip(browser(site)).status_code == 303
    idp.claims = {"sub": "u-3", "preferred_username": "eve"}
    answer = round_trip(browser(site))
    assert answer.status_code == 401 and "somebody else" in answer.text, "UserInfo tells of u-2"


def test_a_name_that_somebody_holds_here_is_not_taken_over(site: FastAPI, sign_in: SignIn, idp: Any) -> None:
    sign_in("admin")
    idp.claims = {"preferred_username": "admin"}
    answer = round_trip(browser(site))
    assert answer.status_code == 403 and "holds your name" in answer.text
    for name in ("key:etl", "x", "a b", None, 7, "wei\nchen"):
        idp.claims = {"preferred_username": name}
        assert round_trip(browser(site)).status_code == 403, name


def test_who_was_disabled_here_stays_out(site: FastAPI, context: Context) -> None:
    client = browser(site)
    round_trip(client)
    with context.database.write() as session:
        People(session).disable("wei.chen", by="test")
    assert client.get("/queue").status_code == 303
    answer = round_trip(browser(site))
    assert answer.status_code == 403 and "disabled" in answer.text


def unsigned(claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    parts = (header or {"alg": "none", "typ": "JWT"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).rstrip(b"=").decode() for p in parts) + "."


def tampered(idp: Any) -> Callable[[dict[str, Any]], str]:
    def sign(claims: dict[str, Any]) -> str:
        head, _, tail = idp.rs256(claims).split(".")
        body = base64.urlsafe_b64encode(json.dumps(claims | {"groups": ["loan-compliance"]}).encode())
        return f"{head}.{body.rstrip(b'=').decode()}.{tail}"

    return sign


def by_another_key(claims: dict[str, Any]) -> str:
    other = RSAKey.import_key(fake.KEYS[1].as_dict(private=True) | {"kid": "first"})
    return jwt.encode({"alg": "RS256", "kid": "first"}, claims, other)


def by_the_public_key_as_a_secret(idp: Any) -> Callable[[dict[str, Any]], str]:
    """What a library that trusts the token's own ``alg`` would believe."""

    def sign(claims: dict[str, Any]) -> str:
        signed = unsigned(claims, {"alg": "HS256", "kid": "first"}).removesuffix(".")
        mac = hmac.new(idp.key.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    return sign


NOW = time.time()
UNBELIEVABLE: dict[str, tuple[dict[str, Any], Callable[[Any], Callable[[dict[str, Any]], str]] | None]] = {
    "another issuer": ({"iss": "https://evil.example"}, None),
    "no issuer": ({"iss": None}, None),
    "another audience": ({"aud": "another-client"}, None),
    "another audience, though meant for us": ({"aud": "another-client", "azp": "callgate"}, None),
    "several audiences, the party is another": ({"aud": ["callgate", "b"], "azp": "b"}, None),
    "several audiences, no party": ({"aud": ["callgate", "b"]}, None),
    "no audience": ({"aud": None}, None),
    "another nonce": ({"nonce": "n" * 48}, None),
    "no nonce": ({"nonce": None}, None),
    "expired": ({"iat": NOW - 4000, "exp": NOW - 3600}, None),
    "never expires": ({"exp": None}, None),
    "from the future": ({"iat": NOW + 3600, "exp": NOW + 7200}, None),
    "not good yet": ({"nbf": NOW + 3600}, None),
    "no subject": ({"sub": None}, None),
    "an empty subject": ({"sub": ""}, None),
    "another access token": ({"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"}, None),
    "not signed": ({}, lambda idp: unsigned),
    "signed by somebody else": ({}, lambda idp: by_another_key),
    "changed after signing": ({}, tampered),
    "signed with the public key as a secret": ({}, by_the_public_key_as_a_secret),
    "no token at all": ({}, lambda idp: lambda claims: "not.a.token"),
}


def test_a_token_that_cannot_be_believed_opens_nothing(site: FastAPI, context: Context, idp: Any) -> None:
    for what, (claims, sign) in UNBELIEVABLE.items():
        idp.claims, idp.sign = claims, sign(idp) if sign is not None else None
        client = browser(site)
        answer = round_trip(client)
        assert answer.status_code == 401 and "callgate_session" not in client.cookies, what
        assert "cannot be believed" in answer.text or "somebody else" in answer.text, what
        assert client.get("/account").status_code == 303, what
    assert len(refusals(context)) == len(UNBELIEVABLE)
    idp.claims, idp.sign = {}, None
    assert round_trip(browser(site)).status_code == 303, "it was the token's fault every time"


def test_a_new_key_of_the_providers_is_asked_for(site: FastAPI, idp: Any) -> None:
    assert round_trip(browser(site)).status_code == 303
    idp.rotate()
    assert round_trip(browser(site)).status_code == 303


def test_only_the_browser_that_set_out_comes_back_and_once(site: FastAPI, context: Context) -> None:
    client = browser(site)
    back = at_the_provider(client.get("/sign-in/oidc").headers["location"])
    stranger = browser(site)
    assert stranger.get(back).status_code == 400, "a link that was slipped to somebody signs nobody in"
    assert client.get(back.replace("state=", "state=x")).status_code == 400
    assert client.get(back).status_code == 400, "the attempt is used up"
    assert "begun in another window" in client.get(back).text and "callgate_session" not in client.cookies
    late = browser(site)
    back = at_the_provider(late.get("/sign-in/oidc").headers["location"])
    with context.database.write() as session:
        session.execute(sa.update(OidcAttempt).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    assert late.get(back).status_code == 400


def test_a_code_of_another_sign_in_is_not_taken(site: FastAPI) -> None:
    """An attacker's code in the victim's way back: the provider refuses it, for the verifier is another."""
    attacker, victim = browser(site), browser(site)
    theirs = at_the_provider(attacker.get("/sign-in/oidc").headers["location"])
    ours = at_the_provider(victim.get("/sign-in/oidc").headers["location"])
    code = parse_qs(urlsplit(theirs).query)["code"][0]
    mixed = ours.replace(parse_qs(urlsplit(ours).query)["code"][0], code)
    answer = victim.get(mixed)
    assert answer.status_code == 401 and "did not accept" in answer.text


def test_a_refusal_at_the_provider_is_told(site: FastAPI) -> None:
    said = {"error=access_denied": 401, "iss=https%3A%2F%2Fevil.example&code=x": 400, "": 401, "code=nonsense": 401}
    for query, status in said.items():
        client = browser(site)
        out = client.get("/sign-in/oidc", params={"next": "/audit"}).headers["location"]
        state = parse_qs(urlsplit(out).query)["state"][0]
        answer = client.get(f"/sign-in/oidc/callback?state={state}&{query}")
        assert answer.status_code == status and 'role="alert"' in answer.text and 'value="/audit"' in answer.text, query


def test_nobody_is_sent_elsewhere_afterwards(site: FastAPI) -> None:
    for target in ("https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"):
        assert round_trip(browser(site), target).headers["location"] == "/", target


def test_a_provider_that_lies_or_fails_is_told_without_a_server_error(site: FastAPI, idp: Any) -> None:
    provider = site.state.provider
    for wrong in (
        {"issuer": "https://evil.example"}, {"authorization_endpoint": None},
        {"authorization_endpoint": "http://evil.example/authorize"}, {"authorization_endpoint": "javascript:alert(1)"},
    ):  # fmt: skip
        idp.metadata = wrong
        provider._forget("metadata")
        assert browser(site).get("/sign-in/oidc").status_code == 502, wrong
    idp.metadata = {}
    provider._forget("metadata")
    client = browser(site)
    back = at_the_provider(client.get("/sign-in/oidc").headers["location"])
    idp.close()
    answer = client.get(back)
    assert answer.status_code == 401 and "did not answer" in answer.text
    provider._forget("metadata")
    assert "did not answer" in browser(site).get("/sign-in/oidc").text
    idp.__post_init__()  # the fixture closes it


def test_setting_out_is_slowed_down(site: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oidc_page, "BEGUN", AttemptLimit(2, 300.0))
    client = browser(site)
    assert [client.get("/sign-in/oidc").status_code for _ in range(3)] == [303, 303, 429]


def test_it_is_off_unless_it_is_set_up(app: FastAPI) -> None:
    client = browser(app)
    assert "/sign-in/oidc" not in client.get("/sign-in").text
    assert client.get("/sign-in/oidc").status_code == 404
    assert client.get("/sign-in/oidc/callback?code=x&state=y").status_code == 404


GOOD = {
    "CALLGATE_OIDC_ISSUER": "https://login.example.org", "CALLGATE_OIDC_CLIENT_ID": "callgate",
    "CALLGATE_OIDC_ROLES": '{"qa": "reviewer"}', "CALLGATE_PUBLIC_URL": "https://callgate.example.org",
}  # fmt: skip


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"CALLGATE_OIDC_ISSUER": "http://login.example.org"}, "OIDC_ISSUER"),
        ({"CALLGATE_OIDC_ISSUER": "login.example.org"}, "OIDC_ISSUER"),
        ({"CALLGATE_OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID"),
        ({"CALLGATE_OIDC_ROLES": ""}, "OIDC_ROLES"),
        ({"CALLGATE_OIDC_ROLES": "{}"}, "OIDC_ROLES"),
        ({"CALLGATE_OIDC_ROLES": '{"qa": "root"}'}, "'root' is no role"),
        ({"CALLGATE_OIDC_ROLES": '{"qa": ["admin"]}'}, "is no role"),
        ({"CALLGATE_PUBLIC_URL": ""}, "PUBLIC_URL"),
        ({"CALLGATE_OIDC_SCOPES": "profile"}, "SCOPES"),
    ],
)
def test_settings_that_cannot_be_used_name_the_variable(change: dict[str, str], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        OidcSettings.from_environment({**GOOD, **change})


def test_settings() -> None:
    assert OidcSettings.from_environment({}) is None
    found = OidcSettings.from_environment({**GOOD, "CALLGATE_OIDC_CLIENT_SECRET": "hush"})
    assert found is not None and found.label == "login.example.org" and not found.loopback
    assert found.redirect_uri == "https://callgate.example.org/sign-in/oidc/callback"
    assert "hush" not in repr(found)


def test_people_and_sessions_of_before_live_on(tmp_path: Path) -> None:
    """The upgrade on SQLite must not copy the table of people: their sessions hang on it."""
    from archive.database import History, migrate_to
    from console.context import _MIGRATIONS, VERSION_TABLE

    database = open_database(Layout(tmp_path).database_url)
    context = Context(database, tmp_path)
    with database.write() as session:
        people = People(session)
        token = people.accept(people.invite("rita", "reviewer", by="test"), PASSWORD)
    url = Layout(tmp_path).database_url
    context.database.close()
    migrate_to(url, "0001", History(_MIGRATIONS, VERSION_TABLE))
    again = open_database(url)
    Context(again, tmp_path)
    with again.read() as session:
        assert People(session).by_session(token) is not None
    again.close()
