from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import httpx
import numpy as np
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.testclient import TestClient
from starlette.datastructures import State

from agent.events import Heard, Proposed, RuleHit, Span, Spoken, Understood, Verdict
from archive.database import Database, open_database
from archive.layout import Layout
from archive.recorder import Recorder
from archive.writer import CallArchive, NewCall, Promise
from console.app import create_app
from console.context import Context
from console.pages import session as session_page
from console.people import People, secrets
from console.permissions import ROLES
from console.security import AttemptLimit

PASSWORD = "correct horse battery"
ORIGIN = "http://testserver"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty archive with the console's tables: copying it saves each test the migrations."""
    layout = Layout(tmp_path_factory.mktemp("template"))
    empty = open_database(layout.database_url)
    Context(empty, layout.home)
    empty.close()
    return layout.database


@pytest.fixture
def database(tmp_path: Path, template: Path) -> Iterator[Database]:
    shutil.copyfile(template, Layout(tmp_path).database)
    opened = open_database(Layout(tmp_path).database_url)
    yield opened
    opened.close()


@pytest.fixture
def context(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    # Cheap hashes: what is tested is who gets in, not how long a guess takes.
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(secrets, "_HASHER", cheap)
    monkeypatch.setattr(secrets, "_NOBODY", cheap.hash("nobody's"))
    monkeypatch.setattr(session_page, "BY_NAME", AttemptLimit(5, 300.0))
    monkeypatch.setattr(session_page, "BY_ADDRESS", AttemptLimit(30, 300.0))
    return Context(database, tmp_path)


@pytest.fixture(scope="session")
def routed(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """An application with its routes, of which making a hundred takes longer than most tests."""
    layout = Layout(tmp_path_factory.mktemp("routed"))
    database = open_database(layout.database_url)
    made = create_app(Context(database, layout.home))
    database.close()
    return made


@pytest.fixture
def app(context: Context, routed: FastAPI) -> FastAPI:
    """That one over the test's own database: all that a console keeps is in ``state``."""
    if context.oidc is not None:
        return create_app(context)
    routed.state = State({"context": context, "provider": None, "guarded": routed.state.guarded})
    return routed


@pytest.fixture
def sign_in(app: FastAPI, context: Context) -> Callable[..., httpx.Client]:
    """A browser in which somebody of a role is signed in; the person is made when first asked for."""

    def signed_in(role: str, lang: str = "en") -> httpx.Client:
        assert role in ROLES
        with context.database.write() as session:
            people = People(session)
            if people.find(role) is None:
                people.accept(people.invite(role, role, by="test", lang=lang), PASSWORD)
        client = TestClient(app, headers={"origin": ORIGIN, "accept": "text/html"}, follow_redirects=False)
        answer = client.post("/sign-in", data={"name": role, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        return client

    return signed_in


@pytest.fixture
def a_call(context: Context) -> Callable[..., str]:
    """Archives one finished call and returns its id."""

    def archived(
        *,
        text: str = "我下周三还三千五",
        lang: str = "zh",
        disposition: str = "promise_to_pay",
        flag: tuple[str, str] | None = ("crisis", "critical"),
        campaign: str | None = None,
    ) -> str:
        moment = datetime(2026, 11, 22, 2, 0, tzinfo=UTC) + timedelta(seconds=archived.count)  # type: ignore[attr-defined]
        archived.count += 1  # type: ignore[attr-defined]
        new = NewCall(lang=lang, started_at=moment, campaign=campaign, script_id="s", policy="cn", models={})  # type: ignore[arg-type]
        call = CallArchive.begin(context.database, context.home, new, clock=lambda: 4.0)
        call.answered()
        with Recorder(call.files.recording, lambda: 4.0, start=0.0) as recorder:
            sound = (8000 * np.sin(np.arange(32000) / 5)).astype(np.int16)
            recorder.write("borrower", sound)
        proposed = Proposed("ask_date", "请问您什么时候方便还款？", lang)  # type: ignore[arg-type]
        number = call.verdict(Verdict("allow", proposed.text), proposed)
        call.spoken(Spoken("ask_date", proposed.text, "请问您什么", Span(0.2, 1.2), interrupted=True), verdict=number)
        heard = Heard(text, lang, Span(1.6, 3.4), (), 0.9)  # type: ignore[arg-type]
        call.understood(Understood(heard, "promise_to_pay", 0.9, emotion="anxious", arousal=0.3, valence=-0.4))
        rule = RuleHit(
            "threat.open", "threat", "GB/T 45251-2025", 0, 4, "needs_review", {"zh": "威胁", "en": "A threat"}
        )
        call.verdict(Verdict("refuse", "", (rule,)), Proposed("free", "我们报警抓你", lang))  # type: ignore[arg-type]
        if flag is not None:
            call.flag(flag[0], flag[1])  # type: ignore[arg-type]
        call.finish(disposition, Promise(moment.date(), Decimal("3500.00"), currency="CNY"))  # type: ignore[arg-type]
        call.close()
        return call.call_id

    archived.count = 0  # type: ignore[attr-defined]
    return archived
