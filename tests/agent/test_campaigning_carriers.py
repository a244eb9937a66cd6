"""Campaigns of a few borrowers over each carrier, against the providers' sides: the ledger afterwards is exact."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest
import sqlalchemy as sa
from standardwebhooks import Webhook

from agent.campaigning_demo import Town
from agent.campaigning_live import everywhere
from agent.campaigning_run import CampaignRun, campaign_run
from agent.live_hub import LiveHub
from agent.models import Models
from agent.settings import Settings
from agent.telephony.plivo import PlivoCarrier
from agent.telephony.telnyx import TelnyxCarrier
from agent.telephony.twilio import TwilioCarrier
from campaigns.config import CampaignConfig, read_config
from campaigns.models import Attempt, Contact, Outgoing, Record
from compliance_checks.gate import Gate
from tests.agent.test_call import Broken
from tests.agent.test_following import Beeper

sys.path.append(str(Path(__file__).parent / "telephony"))
import fake_asterisk
from fake_hosted import PUBLIC_KEY, SECRET, FakeHosted, Phone

KINDS = ("twilio", "telnyx", "plivo", "asterisk")
PUBLIC = "https://calls.example.com"
SIGNED_WITH = b"a secret of the lender alone"
EVENING = datetime(2026, 11, 18, 13, 5, tzinfo=UTC)
"""Five past nine in the evening in Shanghai, five past eight in the morning in New York."""
NUMBERS = ("+8613820000000", "+12122550001", "+8613820000002", "+12122550003")
FATES = dict(zip(NUMBERS, ("answered", "busy", "no-answer", "invalid"), strict=True))
OUTCOMES = dict(zip(NUMBERS, ("hung_up", "busy", "no_answer", "invalid_number"), strict=True))
PBX = {
    "answered": fake_asterisk.Phone(hangs_up_after=0.6), "busy": fake_asterisk.Phone(answers=False, cause=17),
    "no-answer": fake_asterisk.Phone(answers=False, cause=19),
    "invalid": fake_asterisk.Phone(rings=False, answers=False, cause=1),
}  # fmt: skip


@pytest.fixture
def models(gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Models:
    monkeypatch.setattr("agent.desk.EspeakSpeaker", Beeper)
    return Models(cast(Any, Broken()), cast(Any, None), gate)  # nobody says a word


@pytest.fixture
def lender(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The lender's receiver of webhooks: fails the first time, and keeps what is rightly signed after that."""
    monkeypatch.setenv("CALLGATE_WEBHOOK_SECRET", f"whsec_{base64.b64encode(SIGNED_WITH).decode()}")
    monkeypatch.setenv("CALLGATE_WEBHOOK_ALLOW", "127.0.0.1")
    monkeypatch.setattr("campaigns.outbox._PAUSES", (0.1,) * 9)
    monkeypatch.setattr("agent.campaigning_run.DELIVER_EVERY", 0.05)
    got: list[dict[str, Any]] = []
    tries: list[str] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            tries.append(self.headers["webhook-id"])
            told = Webhook(SIGNED_WITH).verify(body, dict(self.headers))
            if len(tries) > 1:
                got.append(told)
            self.send_response(204 if len(tries) > 1 else 503)
            self.end_headers()

        def log_message(self, format: str, *_: object) -> None:
            return None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/hook", got
    server.shutdown()
    thread.join()
    server.server_close()


def free_port() -> int:
    """A port on which nobody listens, below those that the system gives to connections: a test running beside this
    one cannot be given it before the process that is to listen there has started."""
    while True:
        port = random.SystemRandom().randrange(20_000, 32_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def settings_of(kind: str, home: Path, **more: Any) -> Settings:
    return Settings.model_validate(
        {
            "home": home, "carrier": kind, "listen": f"127.0.0.1:{free_port()}", "public_url": PUBLIC,
            "caller_id": "+861055550100", "twilio_account_sid": "AC1", "twilio_auth_token": SECRET,
            "telnyx_api_key": SECRET, "telnyx_connection_id": "c-1", "telnyx_public_key": PUBLIC_KEY,
            "plivo_auth_id": "MA1", "plivo_auth_token": SECRET, "asterisk_user": fake_asterisk.USER,
            "asterisk_password": fake_asterisk.PASSWORD, **more,
        }
    )  # fmt: skip


def config_of(**more: Any) -> CampaignConfig:
    return read_config(
        {
            "name": "november",
            "trunk": {"name": "main", "channels": 4, "per_minute": 0},
            "caller_ids": {"CN": "+861055550100", "US": "+12125550100"},
            "policies": {"zh": "cn", "en": "us+us-tcpa"},
            "ring_seconds": 5,
            **more,
        }
    )


@contextlib.asynccontextmanager
async def provider_of(
    kind: str, settings: Settings, phones: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Any]:
    """The provider's side, and our settings led to it."""
    if kind == "asterisk":
        for number, phone in phones.items():
            monkeypatch.setitem(fake_asterisk.PHONES, number, phone)
        pbx = fake_asterisk.FakeAsterisk()
        async with pbx.serve() as url:
            settings.asterisk_url = url
            yield pbx
        return
    hosted = FakeHosted(cast(Any, kind), PUBLIC, f"http://{settings.listen}", phones)
    async with hosted.serve() as api:
        for name, carrier in (("Twilio", TwilioCarrier), ("Telnyx", TelnyxCarrier), ("Plivo", PlivoCarrier)):
            monkeypatch.setattr(f"agent.carriers.{name}Carrier", partial(cast(Any, carrier), api=api))
        yield hosted


@contextlib.asynccontextmanager
async def running(
    settings: Settings, config: CampaignConfig, models: Models, folder: Path, borrowers: int
) -> AsyncIterator[CampaignRun]:
    began = time.monotonic()
    town = Town(borrowers, 1, date(2026, 11, 18))

    def clock() -> datetime:
        return EVENING + timedelta(seconds=time.monotonic() - began)

    async with campaign_run(
        settings, config, agents=4, clock=clock, models=models,
        before=lambda database: cast(None, town.move_in(database, folder / "files", clock(), [])),
    ) as run:  # fmt: skip
        yield run


async def dial_all(run: CampaignRun) -> None:
    provider = run.provider(cast(Any, None))
    dialer = run.dialer(provider)
    dialer.tick = 0.02
    async with asyncio.timeout(180):
        await dialer.run()
        await provider.drained()


def ledger_of(run: CampaignRun) -> list[Attempt]:
    with run.database.read() as session:
        return list(session.scalars(sa.select(Attempt).order_by(Attempt.contact_id, Attempt.n)))


OFTEN = [pytest.param(kind, marks=() if kind in ("twilio", "asterisk") else pytest.mark.slow) for kind in KINDS]


@pytest.mark.parametrize("kind", OFTEN)
async def test_a_campaign_over_a_carrier(
    kind: str, models: Models, lender: tuple[str, list[Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, got = lender
    monkeypatch.setattr("agent.campaigning_live.LOOK_EVERY", 0.02)
    settings = settings_of(kind, tmp_path / "home")
    phones = {n: PBX[fate] if kind == "asterisk" else Phone(fate, talks=0.6) for n, fate in FATES.items()}
    seen: set[tuple[Any, Any]] = set()
    async with provider_of(kind, settings, phones, monkeypatch) as provider:
        config = config_of(webhooks={"url": url})
        async with (
            running(settings, config, models, tmp_path, 4) as run,
            everywhere(LiveHub(0.01), settings.home) as live,
        ):
            watching = asyncio.create_task(watch(live.changes(), seen))
            await dial_all(run)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            async with asyncio.timeout(30):
                while len(got) < 4 or undelivered(run):
                    await asyncio.sleep(0.05)
            attempts = ledger_of(run)
            with run.database.read() as session:
                contacts = [state for (state,) in session.execute(sa.select(Contact.state))]
                records = [tuple(row) for row in session.execute(sa.select(Record.source, Record.kind, Record.void))]
                calls = [tuple(row) for row in session.execute(sa.text("SELECT id, campaign, disposition FROM calls"))]

    # Plivo's word for a number that does not exist is the one for every other failure.
    wanted = OUTCOMES | ({NUMBERS[3]: "trunk_error"} if kind == "plivo" else {})
    assert {a.number: a.outcome for a in attempts} == wanted, "one attempt a borrower, each with its outcome"
    assert all(a.provider == kind and a.provider_call_id and a.state == "ended" for a in attempts)
    answered = next(a for a in attempts if a.outcome == "hung_up")
    assert answered.answered_at is not None and answered.ended_at is not None
    assert all(a.answered_at is None for a in attempts if a is not answered)
    assert calls == [(answered.call_id, "november", "hung_up")]
    assert seen == {(answered.call_id, "november")}, "the call stood on the live pages of another process"
    by_source = {(source, kind): void for source, kind, void in records if kind == "attempt"}
    assert {a.number: by_source[a.id, "attempt"] for a in attempts} == {
        number: number == NUMBERS[3] for number in NUMBERS
    }
    # A number that does not exist is never dialled again; a fault of the trunk is no word about the number.
    ends = "waiting" if kind == "plivo" else "done"
    assert sorted(contacts) == sorted([ends, "waiting", "waiting", "waiting"])
    assert sorted(event["data"]["outcome"] for event in got) == sorted(wanted.values())
    if kind == "asterisk":
        dialled = [q["endpoint"] for _, path, q in provider.requests if path == "channels/create"]
        assert sorted(dialled) == sorted(f"PJSIP/{n}" for n in NUMBERS) and not provider.channels
    else:
        assert sorted(provider.dialled) == sorted(NUMBERS)
        assert {c.id for c in provider.calls.values()} == {a.provider_call_id for a in attempts}
        assert {c.to: c.caller for c in provider.calls.values()} == {a.number: a.caller_id for a in attempts}
        assert provider.refused == [] and set(provider.forged) == {403}


def undelivered(run: CampaignRun) -> list[str]:
    with run.database.read() as session:
        return list(session.scalars(sa.select(Outgoing.kind).where(Outgoing.state != "delivered")))


async def watch(changes: AsyncIterator[Any], seen: set[tuple[Any, Any]]) -> None:
    async for call in changes:
        if not call.get("ended"):
            seen.add((call["call_id"], call["campaign"]))


@pytest.mark.parametrize(
    "kind", ["twilio", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("telnyx", "plivo"))]
)
async def test_a_provider_that_takes_the_call_and_loses_its_answer(
    kind: str, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rings all the same: the call is had when its socket comes, entered once, and never dialled again."""
    settings = settings_of(kind, tmp_path / "home")
    phones = {NUMBERS[0]: Phone(lost=True, talks=0.8)}
    async with (
        provider_of(kind, settings, phones, monkeypatch) as provider,
        running(settings, config_of(), models, tmp_path, 1) as run,
    ):
        await dial_all(run)
        (attempt,) = ledger_of(run)
    assert (attempt.state, attempt.outcome) == ("ended", "hung_up") and attempt.answered_at is not None
    assert provider.dialled == [NUMBERS[0]] and provider.refused == []


async def test_a_provider_that_answers_and_never_opens_its_socket(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person was on the line and heard nothing: hung up, and counted as a conversation."""
    monkeypatch.setattr("agent.dialing.MEDIA_LIMIT", 0.2)
    settings = settings_of("twilio", tmp_path / "home")
    async with (
        provider_of("twilio", settings, {NUMBERS[0]: Phone(mute=True)}, monkeypatch) as provider,
        running(settings, config_of(), models, tmp_path, 1) as run,
    ):
        await dial_all(run)
        (attempt,) = ledger_of(run)
        with run.database.read() as session:
            kinds = set(session.scalars(sa.select(Record.kind).where(Record.void.is_(False))))
    assert attempt.outcome == "failed" and kinds == {"attempt", "conversation"}
    assert next(iter(provider.calls.values())).over.is_set(), "the provider was told to hang up"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["twilio", "asterisk"])
@pytest.mark.parametrize("answered", [False, True])
async def test_an_immediate_stop_hangs_up(
    kind: str, answered: bool, models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(kind, tmp_path / "home")
    phone: Any = Phone(talks=30)
    if kind == "asterisk":
        phone = fake_asterisk.Phone()
    if not answered and kind == "twilio":
        monkeypatch.setattr(FakeHosted, "_pause", lambda self, call, seconds: call.over.wait())
    elif not answered:
        monkeypatch.setattr(fake_asterisk.FakeAsterisk, "_phone", _rings_for_ever)
    async with (
        provider_of(kind, settings, {NUMBERS[0]: phone}, monkeypatch) as provider,
        running(settings, config_of(), models, tmp_path, 1) as run,
    ):
        dialing = asyncio.create_task(dial_all(run))
        wanted = "answered" if answered else "ringing"
        async with asyncio.timeout(30):
            while [a.state for a in ledger_of(run)] != [wanted]:
                await asyncio.sleep(0.02)
            # The carrier says "answered" before its media socket opens: only then does anybody speak with the agent.
            while answered and not cast(Any, run.calls.call(ledger_of(run)[0].id)).claimed:
                await asyncio.sleep(0.02)
        await asyncio.to_thread(run.stop, True)
        await dialing
        (attempt,) = ledger_of(run)
        if kind == "asterisk":
            assert provider.channels == {}
        else:
            assert next(iter(provider.calls.values())).over.is_set()
    assert attempt.outcome == ("hung_up" if answered else "canceled")


async def _rings_for_ever(self: Any, channel: Any) -> None:
    channel.state = "Ringing"
    await self.tell("Dial", dialstatus="RINGING", peer=channel.document())
    await asyncio.Event().wait()


async def test_simulated_and_real_calls_are_not_mixed(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from campaigns.errors import ConfigError

    settings = settings_of("twilio", tmp_path / "home")
    async with (
        provider_of("twilio", settings, {NUMBERS[0]: Phone(talks=0.1)}, monkeypatch),
        running(settings, config_of(), models, tmp_path, 1) as run,
    ):
        await dial_all(run)
    with pytest.raises(ConfigError, match="real people"):
        async with running(settings.model_copy(update={"carrier": None}), config_of(), models, tmp_path, 1):
            pass
