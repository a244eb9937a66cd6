"""Traces: routes by template, stages by name, and not a word, name, number or address of anybody in any of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from agent import tracing
from agent.errors import ConfigurationError
from console.app import create_app
from console.context import Context
from console.people import People

export = pytest.importorskip("opentelemetry.sdk.trace.export", reason="the extra otel is not installed")
memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
ACall = Callable[..., str]
SECRETS = (
    "13800000001",
    "张明",
    "我下周三还三千五",
    "hush-hush",
    "wei.chen",
    "correct horse",
    "testserver",
    "127.0.0.1",
)


@pytest.fixture
def spans() -> Any:
    return memory.InMemorySpanExporter()


@pytest.fixture
def traced(context: Context, spans: Any, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    made = tracing.provider_for([spans])
    monkeypatch.setattr(tracing, "provider", lambda: made)
    return create_app(context)


def everything(spans: Any) -> str:
    """All that an exporter could send, as one text."""
    return "\n".join(json.dumps(json.loads(span.to_json()), ensure_ascii=False) for span in spans.get_finished_spans())


def test_routes_are_traced_by_template_and_nothing_else_is_told(
    traced: FastAPI, context: Context, a_call: ACall, spans: Any
) -> None:
    call = a_call()
    with context.database.write() as session:
        key = People(session).make_key("etl", "reviewer", by="test")
    client = TestClient(traced, headers={"authorization": f"Bearer {key}", "accept": "text/html"})
    assert client.get(f"/calls/{call}").status_code == 200
    assert client.get("/queue", params={"q": "我下周三还三千五", "review": "all"}).status_code == 200
    assert client.get("/calls/13800000001").status_code == 404
    assert client.get("/wei.chen/13800000001").status_code == 404
    client.post("/sign-in", data={"name": "wei.chen", "password": "correct horse"}, headers={"cookie": "a=hush-hush"})
    client.get("/welcome/hush-hush", headers={"user-agent": "hush-hush", "baggage": "user=hush-hush"})
    client.post(f"/api/v1/calls/{call}/comments", json={"text": "张明"})
    client.request("HUSH-HUSH", "/queue")
    names = {span.name for span in spans.get_finished_spans()}
    assert {"GET /calls/{call_id}", "GET /queue", "POST /sign-in", "GET /welcome/{token}"} <= names
    assert "POST /api/v1/calls/{call_id}/comments" in names and "GET" in names, "an unknown path has no template"
    told = everything(spans)
    for secret in (*SECRETS, call, key, "url.path", "url.query", "user_agent", "client.address"):
        assert secret not in told, secret
    first = next(span for span in spans.get_finished_spans() if span.name == "GET /calls/{call_id}")
    assert dict(first.attributes)["http.response.status_code"] == 200
    assert set(first.attributes) <= tracing.ALLOWED and first.end_time > first.start_time


def test_an_error_names_its_kind_and_not_what_was_said(spans: Any) -> None:
    made = tracing.provider_for([spans])
    with pytest.raises(ValueError, match="张明"), tracing.stage("hear", through=made):
        raise ValueError("张明 said 我下周三还三千五")
    (span,) = spans.get_finished_spans()
    assert span.attributes == {"error.type": "ValueError"} and span.status.description is None and not span.events
    assert not any(secret in everything(spans) for secret in SECRETS)


async def test_stages_are_children_of_their_call_also_in_tasks(spans: Any) -> None:
    made = tracing.provider_for([spans])

    async def hear() -> None:
        with tracing.stage("hear", through=made):
            await asyncio.sleep(0)

    with tracing.call("zh", "days_1_15_reminder", through=made) as span:
        await asyncio.gather(asyncio.create_task(hear()), asyncio.create_task(hear()))
        with tracing.stage("gate", through=made, decision="refuse") as gate:
            gate.set_attribute("callgate.text", "我下周三还三千五")
            gate.set_attribute("callgate.disposition", "13800000001")
        span.set_attribute("callgate.disposition", "promise_to_pay")
    found = {}
    for each in spans.get_finished_spans():
        found.setdefault(each.name, []).append(each)
    (whole,) = found["callgate.call"]
    assert len(found["callgate.hear"]) == 2
    assert all(
        each.parent.span_id == whole.context.span_id for each in (*found["callgate.hear"], *found["callgate.gate"])
    )
    assert whole.attributes == {
        "callgate.lang": "zh", "callgate.script": "days_1_15_reminder", "callgate.disposition": "promise_to_pay",
    }  # fmt: skip
    assert found["callgate.gate"][0].attributes == {"callgate.decision": "refuse"}


def test_a_name_that_is_no_template_is_not_told(spans: Any) -> None:
    made = tracing.provider_for([spans])
    for name in ("GET /calls/张明", "call of wei chen", "GET /queue?q=x", "张明"):
        made.get_tracer("another library").start_span(name).end()
    assert {span.name for span in spans.get_finished_spans()} == {"callgate.other"}


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_it_is_off_unless_asked_for(environment: dict[str, str], on: bool) -> None:
    assert tracing.wanted(environment) is on


def test_off_costs_nothing_and_sends_nothing(app: FastAPI, spans: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    other = tracing.provider_for([spans])
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", other)  # somebody else's, for the whole process
    assert TestClient(app).get("/sign-in").status_code == 200
    with tracing.call("zh", "s") as span, tracing.stage("hear"):
        assert not span.is_recording()
    assert spans.get_finished_spans() == ()


def test_without_the_extra_the_setting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(__import__("sys").modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(ConfigurationError, match=r"callgate\[otel\]"):
        tracing.provider.__wrapped__()


def test_spans_reach_a_collector_by_otlp(monkeypatch: pytest.MonkeyPatch) -> None:
    """What leaves the process, byte for byte: read as a collector reads it."""
    proto = pytest.importorskip("opentelemetry.proto.collector.trace.v1.trace_service_pb2")
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    import threading
    from http.server import BaseHTTPRequestHandler, HTTPServer

    bodies: list[bytes] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = tracing.provider.__wrapped__()
    assert made is not None
    with tracing.stage("speak", through=made) as span:
        span.set_attribute("callgate.words", "我下周三还三千五")
    assert made.force_flush(10_000)
    made.shutdown()
    server.shutdown()
    server.server_close()
    thread.join()
    sent = proto.ExportTraceServiceRequest.FromString(bodies[0])
    (only,) = sent.resource_spans[0].scope_spans[0].spans
    assert only.name == "callgate.speak" and not only.attributes
    resource = {each.key: each.value.string_value for each in sent.resource_spans[0].resource.attributes}
    assert resource["service.name"] == "callgate" and "三千五".encode() not in bodies[0]
