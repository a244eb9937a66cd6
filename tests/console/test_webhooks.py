"""Webhooks from the console: an endpoint is added, tested, disabled; what failed is seen and sent again."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
import sqlalchemy as sa
from fastapi import FastAPI
from fastapi.testclient import TestClient
from standardwebhooks import Webhook, WebhookVerificationError

from archive.audit import AuditLog
from archive.database import Database
from campaigns.config import read_config
from campaigns.models import Campaign, Outgoing
from campaigns.outbox import SECRET_VARIABLE, Outbox
from campaigns.planning import set_up
from campaigns.receivers import ALLOW_VARIABLE
from campaigns.store import attach
from console.context import Context
from console.people import People

SignIn = Callable[..., httpx.Client]
SECRET = b"a secret of 24 bytes and more"
V1 = "/api/v1"


@dataclass
class Receiver:
    """A lender's server: takes what is sent, or refuses it."""

    status: int = 204
    taken: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    valid: list[bool] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            try:
                Webhook(SECRET).verify(body, dict(self.headers))
                found.valid.append(True)
            except WebhookVerificationError:
                found.valid.append(False)
            found.taken.append((dict(self.headers), json.loads(body)))
            self.send_response(found.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    found.url = f"http://127.0.0.1:{server.server_address[1]}/hook?token=of-the-receiver"
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def campaign(database: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv(SECRET_VARIABLE, base64.b64encode(SECRET).decode())
    monkeypatch.setenv(ALLOW_VARIABLE, "127.0.0.1")
    config = read_config({"name": "november", "caller_ids": {"default": "+861055550100"}})
    set_up(attach(database), config, datetime.now(UTC), start=False)
    return database


def webhooks_of(database: Database) -> dict[str, Any] | None:
    with database.read() as session:
        found: dict[str, Any] | None = session.scalars(sa.select(Campaign)).one().config["webhooks"]
        return found


def news(database: Database, url: str, state: str = "waiting", error: str | None = None) -> int:
    """A piece of news as ``campaigns.settling`` enters it."""
    with database.write() as session:
        row = Outgoing(
            event_id=f"e-{datetime.now(UTC).timestamp()}"[:36], kind="promise", url=url, state=state, error=error,
            payload={"campaign": "november", "account": "A-77", "promise": {"amount": "3500.00"}},
            tries=int(bool(error)), next_at=datetime.now(UTC) - timedelta(seconds=1), created_at=datetime.now(UTC),
        )  # fmt: skip
        session.add(row)
        session.flush()
        return row.id


def test_an_endpoint_is_added_tested_and_disabled(
    sign_in: SignIn, campaign: Database, receiver: Receiver, context: Context
) -> None:
    client = sign_in("operator")
    page = client.get("/operations/webhooks").text
    assert "no address" in page and "Add an address" in page and "Nothing was sent yet" in page
    sent = {"campaign": "november", "url": receiver.url, "event": "promise"}
    assert client.post("/operations/webhooks", data=sent).status_code == 303
    assert webhooks_of(campaign) == {"url": receiver.url, "events": ["promise"]}
    tested = client.post("/operations/webhooks/test", data={"campaign": "november"}).text
    assert "took the test" in tested and receiver.valid == [True]
    headers, body = receiver.taken[0]
    assert body["type"] == "test" and body["data"] == {"campaign": "november"} and headers["webhook-id"] == body["id"]
    waiting = news(campaign, receiver.url)
    assert client.post("/operations/webhooks/disable", data={"campaign": "november"}).status_code == 303
    assert webhooks_of(campaign) is None
    with campaign.read() as session:
        row = session.get_one(Outgoing, waiting)
        assert (row.state, row.error) == ("dead", "disabled")
    asyncio.run(Outbox(campaign, SECRET, lambda: datetime.now(UTC)).deliver())
    assert len(receiver.taken) == 1, "nothing more is sent"
    kinds = ["webhook.set", "webhook.tested", "webhook.disabled"]
    with context.database.read() as session:
        entries = AuditLog(session).entries(kinds=kinds)
    assert [e.kind for e in entries] == kinds[::-1] and {e.actor for e in entries} == {"operator"}
    assert all("token" not in e.payload for e in entries), "an address may hold the receiver's secret"


def test_a_failure_is_seen_and_sent_again(sign_in: SignIn, campaign: Database, receiver: Receiver) -> None:
    client = sign_in("operator")
    client.post("/operations/webhooks", data={"campaign": "november", "url": receiver.url, "event": "promise"})
    receiver.status = 500
    tested = client.post("/operations/webhooks/test", data={"campaign": "november"}).text
    assert "did not take the test: the receiver answered with 500" in tested
    dead = news(campaign, "http://127.0.0.1:9/old", "dead", "status 410")
    page = client.get("/operations/webhooks?state=dead&campaign=november").text
    assert page.count("Send again<") == 1, "a test is not sent again"
    assert "A-77" not in page and "3500.00" not in page, "what is told is for the receiver"
    receiver.status = 200
    assert client.post("/operations/webhooks/retry", data={"delivery": dead}).status_code == 303
    asyncio.run(Outbox(campaign, SECRET, lambda: datetime.now(UTC)).deliver())
    assert receiver.taken[-1][1]["data"]["account"] == "A-77", "to where the campaign's news go now"
    assert client.post("/operations/webhooks/retry", data={"delivery": dead}).status_code == 422
    assert "delivered 1" in client.get("/operations/webhooks").text


def test_a_test_without_an_answer_does_not_wait_for_the_retries(sign_in: SignIn, campaign: Database) -> None:
    client = sign_in("operator")
    client.post("/operations/webhooks", data={"campaign": "november", "url": "http://127.0.0.1:9/", "event": "promise"})
    assert "could not be reached" in client.post("/operations/webhooks/test", data={"campaign": "november"}).text
    with campaign.read() as session:
        assert session.scalars(sa.select(Outgoing.state)).all() == ["dead"]


def test_what_cannot_be_done_is_told(sign_in: SignIn, campaign: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    client = sign_in("operator")
    good = {"campaign": "november", "url": "https://x.example/h", "event": "promise"}
    for path, data, told in (
        ("", good | {"campaign": "none"}, "no such campaign"), ("", good | {"url": "ftp://x"}, "url"),
        ("", {"campaign": "november", "url": "https://x"}, "at least one kind"),
        ("", good | {"event": "all"}, "of the kinds"),
        ("", good | {"url": "https://u:p@x.example"}, "no password"),
        ("/test", {"campaign": "november"}, "no endpoint"),
        ("/disable", {"campaign": "november"}, "no endpoint"), ("/retry", {"delivery": "7"}, "no such delivery"),
    ):  # fmt: skip
        answer = client.post(f"/operations/webhooks{path}", data=data)
        assert answer.status_code == 422 and told in answer.text, (path, data)
    assert client.get("/operations/webhooks?state=x").status_code == 422
    client.post("/operations/webhooks", data=good)
    monkeypatch.delenv(SECRET_VARIABLE)
    assert f"no {SECRET_VARIABLE}" in client.get("/operations/webhooks").text
    assert client.post("/operations/webhooks/test", data={"campaign": "november"}).status_code == 422


def test_an_internal_address_is_not_reached(
    sign_in: SignIn, campaign: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = sign_in("operator")
    monkeypatch.delenv(ALLOW_VARIABLE)
    for url in (receiver.url, "http://169.254.169.254/latest/meta-data", "http://[::1]:5432/", "http://localhost/",
                "http://[::ffff:10.0.0.1]/"):  # fmt: skip
        sent = {"campaign": "november", "url": url, "event": "promise"}
        answer = client.post("/operations/webhooks", data=sent)
        assert answer.status_code == 422 and "is an internal one" in answer.text, url
    # A name is judged when it is resolved.
    client.post("/operations/webhooks", data=sent | {"url": "http://lender.example:1/hook"})

    async def rebound(host: str, port: int) -> list[str]:
        return ["93.184.216.34", "127.0.0.1"]

    monkeypatch.setattr("campaigns.receivers._resolve", rebound)
    tested = client.post("/operations/webhooks/test", data={"campaign": "november"}).text
    assert "did not take the test: the host is at an internal address" in tested
    assert receiver.taken == []


def test_readers_see_no_secret_and_change_nothing(sign_in: SignIn, campaign: Database, receiver: Receiver) -> None:
    sign_in("operator").post(
        "/operations/webhooks", data={"campaign": "november", "url": receiver.url, "event": "promise"}
    )
    auditor = sign_in("auditor")
    page = auditor.get("/operations/webhooks").text
    assert "http://127.0.0.1" in page and "of-the-receiver" not in page and "Send a test" not in page
    assert auditor.post("/operations/webhooks/test", data={"campaign": "november"}).status_code == 403


def test_without_campaigns_the_page_says_so(sign_in: SignIn) -> None:
    assert "Webhooks belong to a campaign" in sign_in("operator").get("/operations/webhooks").text


def test_the_interface_does_the_same(app: FastAPI, context: Context, campaign: Database, receiver: Receiver) -> None:
    with context.database.write() as session:
        people = People(session)
        keys = {role: people.make_key(f"{role}-key", role, by="test") for role in ("operator", "auditor")}
    client = TestClient(app, headers={"authorization": f"Bearer {keys['operator']}"})
    put = client.put(f"{V1}/webhooks/november", json={"url": receiver.url})
    assert put.json() == {"changed": True} and webhooks_of(campaign)["events"] == ["disposition", "promise"]  # type: ignore[index]
    assert client.post(f"{V1}/webhooks/november/test").json()["state"] == "delivered"
    dead = news(campaign, receiver.url, "dead", "ConnectError")
    listed = client.get(f"{V1}/webhooks/deliveries?limit=1").json()
    assert [d["id"] for d in listed["deliveries"]] == [dead] and listed["next"] == dead
    assert client.get(f"{V1}/webhooks/deliveries?before={dead}").json()["deliveries"][0]["kind"] == "test"
    assert client.post(f"{V1}/webhooks/deliveries/{dead}/retry").json()["state"] == "waiting"
    (endpoint,) = client.get(f"{V1}/webhooks", headers={"authorization": f"Bearer {keys['auditor']}"}).json()
    assert endpoint["url"] == receiver.url.split("/hook")[0]
    assert client.delete(f"{V1}/webhooks/november").status_code == 200
    assert client.delete(f"{V1}/webhooks/november").status_code == 422
    assert client.put(f"{V1}/webhooks/november", json={"url": "javascript:x"}).status_code == 422
