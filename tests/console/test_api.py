"""The interface for programs: what each role gets, what bad input does, what it writes down."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from agent.case import demo_case
from agent.events import Proposed, Verdict
from archive.audit import AuditLog
from archive.writer import CallArchive, NewCall
from console.api.route import MAX_BODY
from console.context import Context
from console.guard import GuardedRoute
from console.names import names_in
from console.people import People
from console.scorecard import CHOICES, load_card
from scripts.loader import load_script

ACall = Callable[..., str]
V1 = "/api/v1"


@pytest.fixture
def api(app: FastAPI, context: Context) -> Callable[[str], httpx.Client]:
    """A program with a key of a role."""

    def with_key(role: str) -> httpx.Client:
        with context.database.write() as session:
            key = People(session).make_key(f"{role}-program", role, by="test")
        return TestClient(app, headers={"authorization": f"Bearer {key}"}, follow_redirects=False)

    return with_key


Api = Callable[[str], httpx.Client]


def test_the_description_covers_every_route_and_names_its_permission(app: FastAPI, api: Api) -> None:
    document = api("operator").get(f"{V1}/openapi.json").json()
    ours = [r for r in app.state.guarded.routes if isinstance(r, GuardedRoute) and r.path.startswith(V1)]
    assert set(document["paths"]) == {r.path for r in ours}
    assert document["paths"][f"{V1}/calls"]["get"]["x-permission"] == "calls.read"
    operations = [o["operationId"] for path in document["paths"].values() for o in path.values()]
    assert len(operations) == len(set(operations)) >= 30
    assert all(r.permission is not None for r in ours), "nothing of the interface is open to a stranger"


def test_lists_page_by_cursor_and_filter_as_the_queue_does(api: Api, a_call: ACall) -> None:
    calls = [a_call(campaign="north" if n % 2 else "south") for n in range(5)]
    client = api("reviewer")
    first = client.get(f"{V1}/calls", params={"limit": 2}).json()
    second = client.get(f"{V1}/calls", params={"limit": 2, "cursor": first["next"]}).json()
    third = client.get(f"{V1}/calls", params={"limit": 2, "cursor": second["next"]}).json()
    listed = [c["id"] for page in (first, second, third) for c in page["calls"]]
    assert listed == calls[::-1] and first["total"] == 5 and third["next"] is None
    assert len(client.get(f"{V1}/calls", params={"campaign": "north"}).json()["calls"]) == 2
    assert client.get(f"{V1}/calls", params={"q": "三千五"}).json()["total"] == 5
    assert client.get(f"{V1}/calls", params={"q": "分期"}).json()["total"] == 0
    assert client.get(f"{V1}/calls", params={"reason": "crisis", "severity": "critical"}).json()["total"] == 5
    day = client.get(f"{V1}/calls", params={"from": "2026-11-22", "to": "2026-11-22"}).json()
    assert day["total"] == 5 and client.get(f"{V1}/calls", params={"to": "2026-11-21"}).json()["total"] == 0


def test_one_call_tells_everything_that_was_recorded(api: Api, a_call: ACall) -> None:
    call = api("reviewer").get(f"{V1}/calls/{a_call()}").json()
    assert [t["who"] for t in call["turns"]] == ["agent", "borrower"]
    assert call["turns"][0]["heard_text"] == "请问您什么" and call["turns"][0]["interrupted"]
    assert call["promise"] == {"date": "2026-11-22", "amount": "3500.00", "currency": "CNY"}
    refused = call["verdicts"][1]
    assert refused["decision"] == "refuse" and refused["rules"][0]["clause"] == "GB/T 45251-2025"
    assert {f["reason"] for f in call["flags"]} >= {"crisis"} and call["recorded"] and not call["hidden"]


def test_names_and_numbers_are_covered_for_who_need_not_know(api: Api, context: Context) -> None:
    case, script = demo_case("zh"), load_script("days_1_15_reminder", "zh")
    name = case.borrower_name
    line_id, line = next(
        (k, v) for k, v in script.content.lines.items() if v.text.count("{") == 1 == v.text.count("{borrower_name}")
    )
    new = NewCall(lang="zh", script_id=script.id, script_hash=script.content_hash, policy="cn", models={})
    call = CallArchive.begin(context.database, context.home, new)
    text = line.text.replace("{borrower_name}", name)
    number = call.verdict(Verdict("allow", text), Proposed(line_id, text, "zh"))
    call.turn("agent", 0.0, 1.0, text, line_id=line_id, verdict=number)
    call.turn("borrower", 1.2, 3.0, f"我是{name}，电话 138 0013 8000", slots={"digits": {"value": "13800138000"}})
    call.event("note", key="x", value=f"{name} 13800138000")
    call.finish("hung_up")
    call.close()
    clear = api("reviewer").get(f"{V1}/calls/{call.call_id}").text
    assert name in clear and "13800138000" in clear
    with context.database.write() as session:
        from console.review import Reviews

        Reviews(session).comment(call.call_id, f"{name} 的电话 13800138000", None, by="rita")
    auditor = api("auditor")
    covered = auditor.get(f"{V1}/calls/{call.call_id}")
    said = auditor.get(f"{V1}/calls/{call.call_id}/comments").text
    assert covered.json()["hidden"] and "▇" in covered.text
    for secret in (name, "138 0013", "13800138000"):
        assert secret not in covered.text and secret not in said


def test_a_name_is_found_again_in_a_line_of_the_script(context: Context) -> None:
    class Row:
        line_id, proposed = "x", "nothing"

    class ACall:
        script_id, lang = "no_such_script", "zh"

    assert names_in([Row()], ACall()) == ()  # type: ignore[list-item, arg-type]


def test_the_recording_comes_by_range_to_who_may_listen(api: Api, a_call: ACall, context: Context) -> None:
    call = a_call()
    client = api("reviewer")
    whole = client.get(f"{V1}/calls/{call}/recording")
    part = client.get(f"{V1}/calls/{call}/recording", headers={"range": "bytes=44-143"})
    assert whole.headers["content-type"] == "audio/wav" and part.status_code == 206
    assert part.content == whole.content[44:144]
    assert api("operator").get(f"{V1}/calls/{call}/recording").status_code == 403
    assert client.get(f"{V1}/calls/no-such-call/recording").status_code == 404
    with context.database.read() as session:
        assert {e.actor for e in AuditLog(session).entries(subject=call, kinds=["recording.read"])} == {
            "key:reviewer-program"
        }
    assert len(client.get(f"{V1}/calls/{call}/peaks", params={"bins": 20}).json()["peaks"]) == 2


def test_reviews_are_written_and_read_back(api: Api, a_call: ACall, context: Context) -> None:
    call, client = a_call(), api("reviewer")
    made = client.post(f"{V1}/calls/{call}/comments", json={"text": " too fast ", "at": 1.5})
    assert made.status_code == 201 and made.json()["text"] == "too fast"
    assert [c["id"] for c in client.get(f"{V1}/calls/{call}/comments").json()] == [made.json()["id"]]
    turn = client.get(f"{V1}/calls/{call}").json()["turns"][1]["seq"]
    fixed = client.post(f"{V1}/calls/{call}/corrections", json={"turn": turn, "field": "intent", "value": "hardship"})
    assert fixed.status_code == 201 and fixed.json()["before"] == "promise_to_pay"
    answers = {q.id: CHOICES[q.kind][0] for q in load_card().questions if q.kind != "text"}
    scored = client.put(f"{V1}/calls/{call}/scorecard", json={"answers": answers})
    assert scored.status_code == 200 and 0 <= scored.json()["score"] <= 100
    assert client.put(f"{V1}/calls/{call}/review", json={"state": "done"}).json() == {"changed": True}
    assert client.get(f"{V1}/calls", params={"review": "done"}).json()["calls"][0]["id"] == call
    with context.database.write() as session:
        People(session).invite("rita", "reviewer", by="test")
        People(session).invite("otto", "operator", by="test")
    assert client.put(f"{V1}/calls/{call}/assignment", json={"reviewer": "rita"}).status_code == 200
    assert client.put(f"{V1}/calls/{call}/assignment", json={"reviewer": "otto"}).status_code == 422
    assert client.get(f"{V1}/calls").json()["calls"][0]["reviewer"] == "rita"
    assert api("auditor").put(f"{V1}/calls/{call}/review", json={"state": "open"}).status_code == 403


def test_corrections_come_out_as_training_data(api: Api, a_call: ACall) -> None:
    call, client = a_call(text="我下周三还，三千五"), api("reviewer")
    for field, value in (("intent", "callback_later"), ("emotion", "sad")):
        client.post(f"{V1}/calls/{call}/corrections", json={"turn": 1, "field": field, "value": value})
    client.post(f"{V1}/calls/{call}/corrections", json={"turn": 0, "field": "verdict", "value": "refuse"})
    answer = client.get(f"{V1}/corrections/training.jsonl")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    assert [(r["task"], r["said"], r["label"]) for r in rows] == [
        ("intent", "promise_to_pay", "callback_later"), ("emotion", "anxious", "sad"), ("verdict", "allow", "refuse"),
    ]  # fmt: skip
    assert rows[0]["text"] == "我下周三还，三千五" and rows[2]["text"] == "请问您什么时候方便还款？"
    assert api("auditor").get(f"{V1}/corrections/training.jsonl").status_code == 403
    paged = client.get(f"{V1}/corrections", params={"limit": 2}).json()
    rest = client.get(f"{V1}/corrections", params={"after": paged["next"]}).json()
    assert len(paged["corrections"]) == 2 and len(rest["corrections"]) == 1 and rest["next"] is None


def test_numbers_agree_with_the_calls_behind_them(api: Api, a_call: ACall) -> None:
    for n in range(4):
        a_call(campaign="north" if n else None, lang="en" if n == 3 else "zh", text="hello")
    client = api("admin")
    totals = client.get(f"{V1}/dashboard/totals").json()
    assert totals["calls"] == 4 and totals["promises"] == 4 and totals["promise_rate"] == 1.0
    assert totals["emotions"]["anxious"] == 4
    by = {b["key"]: b["numbers"]["calls"] for b in client.get(f"{V1}/dashboard/by/campaign").json()}
    assert by == {"north": 3, None: 1}
    days = client.get(f"{V1}/dashboard/over-time/day", params={"lang": "en"}).json()
    assert [d["numbers"]["calls"] for d in days] == [1]
    assert client.get(f"{V1}/dashboard/rules").json()[0]["rule"] == "threat.open"
    assert client.get(f"{V1}/dashboard/by/shoe-size").status_code == 422


def test_people_and_keys_are_managed(api: Api, app: FastAPI) -> None:
    admin = api("admin")
    made = admin.post(f"{V1}/people", json={"name": "rita", "role": "reviewer"})
    assert made.status_code == 201
    assert TestClient(app).get(made.json()["link"]).status_code == 200
    assert admin.put(f"{V1}/people/rita/role", json={"role": "auditor"}).json()["role"] == "auditor"
    assert admin.delete(f"{V1}/people/rita").json()["disabled_at"] is not None
    assert admin.delete(f"{V1}/people/nobody").status_code == 404
    key = admin.post(f"{V1}/keys", json={"name": "etl", "role": "auditor"}).json()["key"]
    program = TestClient(app, headers={"authorization": f"Bearer {key}"})
    assert program.get(f"{V1}/me").json()["role"] == "auditor"
    number = next(k["id"] for k in admin.get(f"{V1}/keys").json() if k["name"] == "etl")
    assert key not in admin.get(f"{V1}/keys").text
    assert admin.delete(f"{V1}/keys/{number}").status_code == 200
    assert program.get(f"{V1}/me").status_code == 401
    assert admin.post(f"{V1}/people", json={"name": "a b", "role": "reviewer"}).status_code == 422
    assert admin.post(f"{V1}/people", json={"name": "eve", "role": "root"}).status_code == 422


def test_the_audit_chain_is_read_and_checked(api: Api, a_call: ACall) -> None:
    call, client = a_call(), api("auditor")
    page = client.get(f"{V1}/audit", params={"limit": 1}).json()
    assert len(page["entries"]) == 1 and page["next"] == page["entries"][0]["seq"]
    older = client.get(f"{V1}/audit", params={"before": page["next"], "subject": call}).json()
    assert {e["subject"] for e in older["entries"]} == {call}
    report = client.post(f"{V1}/audit/verify", json={"recordings": True, "expect": page["head"]}).json()
    assert report["intact"] and report["calls"] == 1 and report["recordings"] == 1
    wrong = client.post(f"{V1}/audit/verify", json={"expect": f"1:{'0' * 64}"}).json()
    assert not wrong["intact"] and wrong["findings"][0]["what"] == "chain"


def test_alerts_are_listed_and_acknowledged(api: Api, context: Context) -> None:
    call = CallArchive.begin(context.database, context.home, NewCall(lang="zh", models={}))
    call.flag("crisis", "critical")
    call.finish("crisis_handoff")
    call.close()
    client = api("supervisor")
    alert = client.get(f"{V1}/alerts").json()[0]
    sent = {"call_id": call.call_id, "group": alert["group"], "last": alert["last"]}
    assert client.post(f"{V1}/alerts/acknowledge", json=sent).status_code == 200
    assert client.get(f"{V1}/alerts").json() == []
    assert client.post(f"{V1}/alerts/acknowledge", json=sent).status_code == 422
    assert client.get(f"{V1}/live").json() == []


def test_metrics_tell_sums_and_nobodys_data(api: Api, a_call: ACall) -> None:
    call = a_call(text="我是王小明，电话 13800138000", campaign="north")
    text = api("auditor").get("/metrics").text
    assert 'callgate_calls{disposition="promise_to_pay"} 1.0' in text
    assert 'callgate_refusals{category="threat"} 1.0' in text and "callgate_calls_live 0.0" in text
    assert 'callgate_call_response_gap_p95_seconds_bucket{le="+Inf"}' in text
    assert not any(secret in text for secret in (call, "north", "王小明", "13800138000"))
    assert api("reviewer").get("/metrics").status_code == 403


def test_filters_that_cannot_be_used_are_told(api: Api) -> None:
    client = api("reviewer")
    for query in (
        "limit=0", "limit=1e9", "cursor=x", "cursor=1.9999999999999999999", "from=yesterday", "hour=24",
        "emotion=hungry", "unknown=1", "review=maybe", "severity=5", "from=0001-01-01", "q=" + "x" * 201,
    ):  # fmt: skip
        answer = client.get(f"{V1}/calls?{query}")
        assert answer.status_code == 422 and answer.json()["error"], query


def test_bodies_that_cannot_be_used_are_told(api: Api, a_call: ACall) -> None:
    client, path = api("reviewer"), f"{V1}/calls/{a_call()}/comments"
    for body in (
        b"", b"{", b"[]", b'{"text": ""}', b'{"text": "x", "at": NaN}', b'{"text": "x", "at": 1e999}', b'{"text": 5}',
        b'{"text": "x", "by": "somebody else"}', b"\xff\xfe", b'{"text": "' + b"x" * 4001 + b'"}',
    ):  # fmt: skip
        answer = client.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422) and answer.json()["error"], body


def test_bodies_are_bounded(api: Api, a_call: ACall) -> None:
    client, path = api("reviewer"), f"{V1}/calls/{a_call()}/comments"
    assert client.post(path, content=b" " * (MAX_BODY + 1)).status_code == 413
    assert client.post(path, content=iter([b"{", b"}"])).status_code == 411


def test_an_id_that_cannot_be_one_is_not_found(api: Api) -> None:
    client = api("reviewer")
    for path in ("..%2f..%2fetc%2fpasswd", "%00", "x' OR 1=1--", "a" * 500, "%ff"):
        for tail in ("", "/recording", "/comments", "/peaks"):
            answer = client.get(f"{V1}/calls/{path}{tail}")
            assert answer.status_code == 404 and answer.json()["error"], (path, tail)


def test_a_cookie_alone_changes_nothing_from_elsewhere(
    sign_in: Callable[..., httpx.Client], a_call: ACall
) -> None:  # fmt: skip
    browser, call = sign_in("reviewer"), a_call()
    there = f"{V1}/calls/{call}/review"
    assert browser.put(there, json={"state": "done"}, headers={"origin": "https://evil.example"}).status_code == 403
    assert browser.put(there, json={"state": "done"}).status_code == 200
    assert browser.get(f"{V1}/nothing").json() == {"error": "Not Found"}


def test_no_trace_carries_an_address(app: FastAPI, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export")
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter").InMemorySpanExporter()
    provider = trace.TracerProvider()
    provider.add_span_processor(export.SimpleSpanProcessor(memory))
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
    assert api("reviewer").get(f"{V1}/calls?q=secret").status_code == 200
    TestClient(app).get("/welcome/token")
    assert memory.get_finished_spans() == ()
