"""Texts and webhooks: what leaves for other systems."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook, WebhookVerificationError
from world import MORNING, Clock, borrower, campaign, config, ledger

from archive.database import Database
from campaigns.errors import ConfigError, PlaceRefused, PlaceUncertain
from campaigns.messages import FileMessenger, NotSent, TextDesk, TwilioMessenger
from campaigns.models import Message, Outgoing, PersonNumber, Record
from campaigns.outbox import Delivered, Outbox, secret_from
from campaigns.provider import DialOrder, TextOrder
from campaigns.receivers import INTERNAL, Allowed
from campaigns.settling import CallResult, Settling, stop_person
from compliance_checks import Gate

SECRET = b"0123456789abcdef01234567"
HERE = Allowed((ip_network("127.0.0.0/8"),))
FACTS = {
    "product": "消费贷款", "payee": "安信消费金融官方应用", "call_back_number": "400-555-0136", "agent_name": "小安",
}  # fmt: skip
PROMISE = {"promise_date": "2026-11-20", "promise_amount": "3500.00"}


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate.load()


@contextmanager
def web(answers: list[int], body: bytes = b"{}") -> Iterator[tuple[str, list[tuple[str, dict[str, str], bytes]]]]:
    """A receiver on loopback that answers with these statuses in turn; yields its URL and what it was sent."""
    got: list[tuple[str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            got.append((self.path, dict(self.headers), self.rfile.read(length)))
            self.send_response(answers[min(len(got), len(answers)) - 1])
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            return None

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def settled(database: Database, clock: Clock, url: str) -> None:
    borrower(database, account="A-1")
    book = ledger(database, clock)
    (reserved,) = book.reserve(campaign(database, clock, webhooks={"url": url}), 1, "fake")
    assert isinstance(book.dial(reserved.attempt_id), DialOrder)
    promise = (date(2026, 11, 20), Decimal("3500.00"))
    Settling(database, clock).settle(reserved.attempt_id, CallResult("promise_to_pay", promise=promise))


async def test_webhooks_are_signed_and_retried_until_taken(database: Database) -> None:
    clock = Clock()
    with web([500, 200, 200]) as (url, got):
        settled(database, clock, url + "/hook")
        outbox = Outbox(database, SECRET, clock, allowed=HERE)
        assert await outbox.deliver() == Delivered(delivered=1, failed=1)
        assert await outbox.deliver() == Delivered()
        clock.forward(seconds=5)
        assert await outbox.deliver() == Delivered(delivered=1)
        clock.forward(days=2)
        assert await outbox.deliver() == Delivered()
    ids = [headers["webhook-id"] for _, headers, _ in got]
    assert ids[0] == ids[2] != ids[1], "a repetition carries the event's own id"
    for path, headers, body in got:
        assert path == "/hook"
        told = Webhook(SECRET).verify(body, dict(headers))
        for secret, changed, late in ((SECRET, b" ", 0), (b"another secret of bytes!", b"", 0), (SECRET, b"", 301)):
            old = str(int(headers["webhook-timestamp"]) - late)
            with pytest.raises(WebhookVerificationError):
                Webhook(secret).verify(body + changed, {**dict(headers), "webhook-timestamp": old})
        assert told["id"] == headers["webhook-id"]
        assert told["data"]["outcome"] == "promise_to_pay" and "+86" not in body.decode()
    assert {json.loads(body)["type"] for _, _, body in got} == {"disposition", "promise"}


async def test_a_receiver_that_is_gone_is_given_up(sqlite: Database) -> None:
    clock = Clock()
    with web([410]) as (url, got):
        settled(sqlite, clock, url)
        assert await Outbox(sqlite, SECRET, clock, allowed=HERE).deliver() == Delivered(dead=2)
        assert len(got) == 2


async def test_an_internal_receiver_is_not_reached_unless_it_is_allowed(sqlite: Database) -> None:
    clock = Clock()
    with web([200, 200]) as (url, got):
        settled(sqlite, clock, url)
        assert await Outbox(sqlite, SECRET, clock).deliver() == Delivered(failed=2)
        with sqlite.read() as session:
            assert set(session.scalars(sa.select(Outgoing.error))) == {INTERNAL}
        clock.forward(seconds=5)
        assert not got
        assert await Outbox(sqlite, SECRET, clock, allowed=HERE).deliver() == Delivered(delivered=2)


async def test_a_redirect_is_not_followed(sqlite: Database) -> None:
    clock = Clock()
    with web([302, 302]) as (url, got):
        settled(sqlite, clock, url)
        assert await Outbox(sqlite, SECRET, clock, allowed=HERE).deliver() == Delivered(failed=2)
        assert [path for path, _, _ in got] == ["/", "/"]


async def test_nobody_listens_for_a_day(sqlite: Database) -> None:
    clock = Clock()
    settled(sqlite, clock, "http://127.0.0.1:9/")
    outbox = Outbox(sqlite, SECRET, clock, timeout=0.5, allowed=HERE)
    for _ in range(12):
        await outbox.deliver()
        clock.forward(hours=9)
    with sqlite.read() as session:
        rows = session.scalars(sa.select(Outgoing)).all()
    assert {row.state for row in rows} == {"dead"} and {row.tries for row in rows} == {10}


def test_unsigned_webhooks_are_not_sent() -> None:
    short = base64.b64encode(SECRET[:23]).decode()
    for given in (None, "", short, "whsec_", "not base64 but long enough for a secret!"):
        with pytest.raises(ConfigError, match="CALLGATE_WEBHOOK_SECRET"):
            secret_from({} if given is None else {"CALLGATE_WEBHOOK_SECRET": given})
    whole = base64.b64encode(SECRET).decode()
    assert secret_from({"CALLGATE_WEBHOOK_SECRET": whole}) == SECRET
    assert secret_from({"CALLGATE_WEBHOOK_SECRET": f"whsec_{whole}"}) == SECRET


class Broken:
    name = "broken"

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.tries = 0

    async def send(self, order: TextOrder) -> str:
        self.tries += 1
        raise self.error


def promised(database: Database, *, verified: bool = True) -> int:
    debt, person = borrower(database, lender="安信消费金融")
    with database.write() as session:
        session.execute(sa.text("UPDATE campaign_debts SET facts = :facts"), {"facts": json.dumps(FACTS)})
        if verified:
            session.execute(sa.update(PersonNumber).values(verified_at=MORNING))
    assert person
    return debt


async def test_a_confirmation_is_gated_sent_once_and_counted(sqlite: Database, gate: Gate, tmp_path: Path) -> None:
    debt = promised(sqlite)
    path = tmp_path / "texts.jsonl"
    desk = TextDesk(sqlite, gate, FileMessenger(path), Clock())
    sent = await desk.send(config(), debt, "promise_confirmation", "attempt-1", PROMISE)
    assert isinstance(sent, str)
    assert await desk.send(config(), debt, "promise_confirmation", "attempt-1", PROMISE) == NotSent(
        "message.sent_before"
    )
    (line,) = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert line["to"] == "+8613800000001" and "2026-11-20" in line["text"] and "3500.00" in line["text"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with sqlite.read() as session:
        assert session.scalars(sa.select(Record.kind)).all() == ["text"]
        assert session.scalars(sa.select(Message.state)).all() == ["sent"]


async def test_a_link_is_the_campaigns_own_and_https(sqlite: Database, gate: Gate, tmp_path: Path) -> None:
    debt = promised(sqlite)
    path = tmp_path / "texts.jsonl"
    desk = TextDesk(sqlite, gate, FileMessenger(path), Clock())
    assert isinstance(await desk.send(config(), debt, "payment_link", "a", {"link": "https://pay.example/x"}), str)
    assert "https://pay.example/x" in path.read_text(encoding="utf-8")
    for bad in ("http://pay.example", "https://pay.example/?next=//evil", "javascript:alert(1)"):
        with pytest.raises(ConfigError, match="messages"):
            config(messages={"link": bad})


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("nobody answered there", "message.number_not_verified"),
        ("stopped", "contact.cease_requested"),
        ("night", "hours.outside"),
        ("a threat in the payee", "gate"),
        ("a slot is missing", "message.slot_missing"),
    ],
)
async def test_texts_that_are_not_sent(sqlite: Database, gate: Gate, tmp_path: Path, change: str, reason: str) -> None:
    clock = Clock()
    debt = promised(sqlite, verified=change != "nobody answered there")
    extra = dict(PROMISE)
    if change == "stopped":
        with sqlite.write() as session:
            stop_person(session, 1, "cease", clock())
    elif change == "night":
        clock.now = datetime(2026, 11, 18, 15, 0, tzinfo=UTC)
    elif change == "a threat in the payee":
        extra["payee"] = "不还就报警抓你全家"
    elif change == "a slot is missing":
        del extra["promise_date"]
    path = tmp_path / "texts.jsonl"
    sent = await TextDesk(sqlite, gate, FileMessenger(path), clock).send(
        config(), debt, "promise_confirmation", "a", extra
    )
    assert isinstance(sent, NotSent)
    assert sent.reason == reason or reason == "gate", sent
    assert not path.exists()
    with sqlite.read() as session:
        assert session.scalars(sa.select(Message)).all() == []


@pytest.mark.parametrize(
    ("error", "state", "counts"),
    [(PlaceRefused("rejected"), "failed", False), (TimeoutError(), "unknown", True)],
)
async def test_a_text_of_unknown_fate_is_never_sent_again(
    sqlite: Database, gate: Gate, error: Exception, state: str, counts: bool
) -> None:
    debt = promised(sqlite)
    broken = Broken(error)
    desk = TextDesk(sqlite, gate, broken, Clock())
    await desk.send(config(), debt, "promise_confirmation", "a", PROMISE)
    await desk.send(config(), debt, "promise_confirmation", "a", PROMISE)
    assert broken.tries == 1
    with sqlite.read() as session:
        assert session.scalars(sa.select(Message.state)).all() == [state]
        assert session.scalars(sa.select(Record.void)).all() == [not counts]


ORDER = TextOrder("m-1", "+12125550123", "+12125550100", "Hello & goodbye")


async def test_twilio_is_asked_as_its_documentation_says() -> None:
    with web([201], b'{"sid": "SM1"}') as (url, got):
        assert await TwilioMessenger("AC1", "token", base_url=url).send(ORDER) == "SM1"
    path, headers, body = got[0]
    assert path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert headers["Authorization"].startswith("Basic ")
    form = parse_qs(body.decode())
    assert form == {"To": [ORDER.number], "From": [ORDER.sender], "Body": [ORDER.text]}


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, b'{"code": 21211, "message": "invalid"}', PlaceRefused),
        (429, b"slow down", PlaceRefused),
        (500, b"", PlaceUncertain),
        (201, b"not json", PlaceUncertain),
        (201, b'{"sid": ""}', PlaceUncertain),
    ],
)
async def test_twilio_says_no_or_nobody_knows(status: int, body: bytes, error: type[Exception]) -> None:
    with web([status], body) as (url, _), pytest.raises(error):
        await TwilioMessenger("AC1", "token", base_url=url).send(ORDER)


async def test_twilio_unreachable_is_certain_and_slow_is_not() -> None:
    with pytest.raises(PlaceRefused):
        await TwilioMessenger("AC1", "token", base_url="http://127.0.0.1:9").send(ORDER)

    over = asyncio.Event()
    closed = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()
        await writer.wait_closed()
        closed.set()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with pytest.raises(PlaceUncertain):
        await TwilioMessenger("AC1", "token", base_url=f"http://127.0.0.1:{port}", timeout=0.2).send(ORDER)
    over.set()
    await closed.wait()
    server.close()
    await server.wait_closed()


def test_twilio_needs_its_secrets() -> None:
    with pytest.raises(ConfigError, match="CALLGATE_TWILIO_AUTH_TOKEN"):
        TwilioMessenger.from_environment({"CALLGATE_TWILIO_ACCOUNT_SID": "AC1"})
