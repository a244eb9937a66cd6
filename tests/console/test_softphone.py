"""The softphone's page and requests: who may call, from where, how much, how often. Who answers is a fake here."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from archive.audit import AuditLog
from console.app import create_app
from console.context import Context
from console.i18n import translator
from console.pages import softphone as page
from console.permissions import GRANTS, ROLES
from console.security import AttemptLimit
from console.softphone import SoftphoneRefused

SignIn = Callable[..., httpx.Client]
SDP = {"content-type": "application/sdp"}
ICE = [{"urls": ["turn:relay.example:3478"], "username": "1:c-1", "credential": "secret"}]
WANTED = {"lang": "zh", "script": "reminder", "case": {"borrower_name": "张明"}}
CASE: dict[str, Any] = {
    "borrower_name": "张明", "id_last4": "4072", "lender": "安信", "product": "贷款", "amount_due": "3500.00",
    "currency": "CNY", "min_payment": None, "days_past_due": 6, "due_date": "2026-11-16", "payee": "安信",
    "agent_name": "小安", "time_zone": "Asia/Shanghai", "call_back_number": "", "plans": ["三期"], "fees_allowed": [],
    "lawsuit_filed": False, "credit_report_due": True,
}  # fmt: skip


class FakePhone:
    """Answers as ``refusal`` says; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.refusal: SoftphoneRefused | None = None
        self.lacking: str | None = None

    def _take(self, *what: Any) -> None:
        self.asked.append(what)
        if self.refusal is not None:
            raise self.refusal

    def missing(self) -> str | None:
        return self.lacking

    def scripts(self) -> Mapping[str, Sequence[Mapping[str, str]]]:
        return {lang: [{"id": "reminder", "title": f"<{lang}> reminder"}] for lang in ("zh", "en")}

    def case(self, lang: str) -> Mapping[str, Any]:
        return {**CASE, "borrower_name": "张明" if lang == "zh" else 'Alex "A" Morgan'}

    async def prepare(self, person: str, lang: str, script: str, case: Mapping[str, Any]) -> Mapping[str, Any]:
        self._take("prepare", person, lang, script, dict(case))
        return {"ticket": "t-1", "call_id": "c-1", "as_if": None, "rule": None, "ice_servers": ICE}

    async def answer(self, person: str, ticket: str, offer: str) -> tuple[str, str]:
        self._take("answer", person, ticket, offer)
        return "c-1", "v=0\r\n"

    async def hang_up(self, person: str, call_id: str) -> None:
        self._take("hang_up", person, call_id)

    def state(self, person: str, call_id: str) -> Mapping[str, Any]:
        self._take("state", person, call_id)
        return {"live": False, "disposition": "promise_to_pay"}


@pytest.fixture
def phone(context: Context, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakePhone]:
    context.softphone = fake = FakePhone()
    monkeypatch.setattr(page, "CALLS", AttemptLimit(10, 60.0))
    yield fake
    context.softphone = None


def requests(client: httpx.Client) -> list[httpx.Response]:
    return [
        client.get("/softphone"),
        client.post("/softphone/calls", json=WANTED),
        client.post("/softphone/calls/t-1/offer", content="v=0", headers=SDP),
        client.get("/softphone/calls/c-1"),
        client.post("/softphone/calls/c-1/hang-up"),
    ]


def test_who_may_call(phone: FakePhone, app: FastAPI, sign_in: SignIn) -> None:
    stranger = TestClient(app, headers={"origin": "http://testserver"}, follow_redirects=False)
    assert [answer.status_code for answer in requests(stranger)] == [401] * 5
    may = {role for role in ROLES if "softphone.use" in GRANTS[role]}
    assert {"supervisor", "compliance", "operator"} == may
    for role in sorted(ROLES, key=lambda role: role in may):
        codes = [answer.status_code for answer in requests(sign_in(role))]
        if role in may:
            assert codes == [200, 201, 201, 200, 204], role
        else:
            assert codes == [403] * 5 and phone.asked == [], role


def test_a_call_is_prepared_answered_and_put_down(phone: FakePhone, sign_in: SignIn) -> None:
    client = sign_in("supervisor")
    ready = client.post("/softphone/calls", json=WANTED)
    assert ready.json() == {"ticket": "t-1", "call_id": "c-1", "as_if": None, "rule": None, "ice_servers": ICE}
    answer = client.post("/softphone/calls/t-1/offer", content="v=0\r\no=x", headers=SDP)
    assert answer.headers["content-type"].startswith("application/sdp") and answer.text == "v=0\r\n"
    assert answer.headers["location"] == "/softphone/calls/c-1"
    client.post("/softphone/calls/c-1/hang-up")
    assert client.get("/softphone/calls/c-1").json() == {
        "live": False, "disposition": "promise_to_pay", "name": translator("en")("promise_to_pay"),
    }  # fmt: skip
    assert phone.asked == [
        ("prepare", "supervisor", "zh", "reminder", {"borrower_name": "张明"}),
        ("answer", "supervisor", "t-1", "v=0\r\no=x"),
        ("hang_up", "supervisor", "c-1"),
        ("state", "supervisor", "c-1"),
    ]


def test_a_call_is_in_the_audit_chain_before_there_is_a_ticket(
    phone: FakePhone, context: Context, sign_in: SignIn
) -> None:
    client = sign_in("compliance")
    client.post("/softphone/calls", json=WANTED)
    with context.database.read() as session:
        entries = [(entry.kind, entry.actor) for entry in AuditLog(session).entries(subject="c-1")]
    assert entries == [("softphone.called", "compliance")]


def test_another_site_cannot_make_a_browser_call(phone: FakePhone, sign_in: SignIn) -> None:
    client = sign_in("supervisor")
    client.headers.pop("origin")
    elsewhere: list[dict[str, str]] = [
        {}, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"},
    ]  # fmt: skip
    for headers in elsewhere:
        assert client.post("/softphone/calls", json=WANTED, headers=headers).status_code == 403
        assert client.post("/softphone/calls/t-1/offer", content="v=0", headers={**SDP, **headers}).status_code == 403
        assert client.post("/softphone/calls/c-1/hang-up", headers=headers).status_code == 403
    assert phone.asked == []


def test_an_offer_is_bounded_whatever_it_says_of_its_length(phone: FakePhone, sign_in: SignIn) -> None:
    client = sign_in("supervisor")
    big = "v=0\r\n" + "a" * page.MAX_OFFER

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(big), 1000):
            yield big[at : at + 1000].encode()

    for content in (big, pieces()):
        answer = client.post("/softphone/calls/t-1/offer", content=content, headers=SDP)
        assert answer.status_code == 413, answer.text
    case = {**WANTED, "case": {"note": "x" * page.MAX_CASE}}
    assert client.post("/softphone/calls", json=case).status_code == 413
    assert phone.asked == []


def test_what_makes_no_sense_is_refused_with_a_reason(phone: FakePhone, sign_in: SignIn) -> None:
    client = sign_in("supervisor")
    client.headers["accept"] = "application/json"
    for body, kind, status in (
        (b"v=0", "text/plain", 415), (b"v=0", "application/json", 415), (b"\xff\xfe\x00", "application/sdp", 422),
    ):  # fmt: skip
        answer = client.post("/softphone/calls/t-1/offer", content=body, headers={"content-type": kind})
        assert answer.status_code == status and answer.json()["error"], body
    for body in (
        b"", b"{", b"[]", b"null", b'{"lang": "zh"}', b'{"lang": 1, "script": "x", "case": {}}', b"[" * 30_000,
        b'{"lang": "zh", "script": "x", "case": []}',
    ):  # fmt: skip
        answer = client.post("/softphone/calls", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422 and answer.json()["error"], body
    assert phone.asked == []


def test_a_refusal_is_told_in_the_persons_language(phone: FakePhone, sign_in: SignIn) -> None:
    phone.refusal = SoftphoneRefused(409, "you are in a call already")
    for role, lang, told in (("supervisor", "zh", "您已在通话中"), ("compliance", "en", "you are in a call already")):
        client = sign_in(role, lang=lang)
        answer = client.post("/softphone/calls", json=WANTED, headers={"accept": "application/json"})
        assert (answer.status_code, answer.json()["error"]) == (409, told)
    assert client.post("/softphone/calls/x/offer", content="v=0", headers=SDP).status_code == 409
    assert client.get("/softphone/calls/x").status_code == 409


def test_nobody_calls_without_end(phone: FakePhone, sign_in: SignIn) -> None:
    client = sign_in("supervisor")
    codes = [client.post("/softphone/calls", json=WANTED).status_code for _ in range(12)]
    assert codes == [201] * 10 + [429] * 2
    assert len(phone.asked) == 10
    other = sign_in("compliance")
    assert other.post("/softphone/calls", json=WANTED).status_code == 201, "one person's limit is not another's"


def test_the_page_shows_the_case_and_runs_no_inline_script(phone: FakePhone, sign_in: SignIn) -> None:
    client = sign_in("supervisor")
    shown = client.get("/softphone?call_lang=en")
    assert "Alex &#34;A&#34; Morgan" in shown.text and "&lt;en&gt; reminder" in shown.text
    assert "<script>" not in shown.text and " onclick=" not in shown.text
    assert "turn:" not in shown.text and "secret" not in shown.text, "a relay's password comes with a call alone"
    assert 'id="no-human"' in shown.text and "data-no-human=" in shown.text
    policy = shown.headers["content-security-policy"]
    assert "script-src 'self';" in policy and "unsafe" not in policy
    assert "microphone" not in shown.headers["permissions-policy"], "the page may ask for the microphone"
    assert client.get("/softphone?call_lang=<x>").status_code == 200


def test_the_page_says_what_is_missing(phone: FakePhone, sign_in: SignIn) -> None:
    phone.lacking = "aiortc"
    shown = sign_in("supervisor").get("/softphone").text
    assert "The softphone needs aiortc, which is not installed: pip install callgate[softphone]" in shown
    assert 'id="phone-call"' not in shown


def test_without_calls_in_the_process_the_page_says_so(context: Context, sign_in: SignIn) -> None:
    client = sign_in("supervisor")
    assert "No calls run in this process" in client.get("/softphone").text
    assert client.post("/softphone/calls", json=WANTED).status_code == 404
    assert create_app(context) is not None
