from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa
from postgres import fresh_database

from agent.events import Heard, Proposed, RuleHit, Span, Understood, Verdict
from archive.database import Database, open_database
from archive.layout import Layout
from archive.recorder import Recorder
from archive.store import Store
from archive.writer import CallArchive, NewCall


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no store."""
    for name in ("KEYS", "ENCRYPTION", "STORE", "LOCAL"):
        monkeypatch.delenv(f"CALLGATE_RECORDING_{name}", raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty archive: copying it saves each test the migrations."""
    layout = Layout(tmp_path_factory.mktemp("template"))
    open_database(layout.database_url).close()
    return layout.database


@pytest.fixture
def database(home: Path, template: Path) -> Iterator[Database]:
    home.mkdir(mode=0o700)
    shutil.copyfile(template, home / template.name)
    database = open_database(Layout(home).database_url)
    yield database
    database.close()


@pytest.fixture
def begin(database: Database, home: Path) -> Iterator[Callable[[], CallArchive]]:
    archives = []

    def make() -> CallArchive:
        archives.append(CallArchive.begin(database, home, NewCall("en")))
        return archives[-1]

    yield make
    for archive in archives:
        archive.close()


@dataclass(frozen=True)
class Archive:
    """An archive on one of the two databases, with a home for its files."""

    database: Database
    store: Store

    @property
    def home(self) -> Path:
        return self.store.layout.home

    @property
    def url(self) -> str:
        return self.database.engine.url.render_as_string(hide_password=False)

    def tamper(self, *statements: str) -> None:
        """What somebody with the database's password can do past the program, triggers included."""
        with self.database.engine.begin() as connection:
            if connection.dialect.name == "sqlite":
                for what in ("update", "delete"):
                    connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS audit_no_{what}")
            else:
                connection.exec_driver_sql("ALTER TABLE audit DISABLE TRIGGER ALL")
            for statement in statements:
                connection.exec_driver_sql(statement)

    def call(self, *, sound: bool = True, **values: Any) -> str:
        """A short whole call, ended and sealed: two turns, a refused sentence, a flag, two seconds of sound."""
        new = NewCall(**{"lang": "en", "script_hash": "s1", "models": {"asr": "base"}, **values})
        archive = CallArchive.begin(self.database, self.home, new)
        if sound:
            now = [0.0]
            recorder = Recorder(archive.files.recording, lambda: now[0], background=False)
            recorder.write("agent", np.full(8000, 900, np.int16), at=0.0)
            recorder.write("borrower", np.full(8000, -700, np.int16), at=1.0)
            now[0] = 2.0
            recorder.close()
        archive.answered()
        number = archive.verdict(Verdict("allow", "May I speak with Mr Li?"), Proposed("greeting", "", "en"))
        archive.turn("agent", 0.0, 1.0, "May I speak with Mr Li?", line_id="greeting", verdict=number)
        heard = Heard("I lost my job, 我下个月还三千五", "en", Span(1.0, 2.0), (), 0.9)
        archive.understood(Understood(heard, "hardship", 0.9, (("hardship", 0.9),), {}, "sad", {"sad": 1.0}, 0.1, -0.5))
        hit = RuleHit("threat.jail", "threat", "GB/T 45251 6.2", 0, 4)
        archive.verdict(Verdict("refuse", "", (hit,)), text="You will go to jail")
        archive.flag("refused utterance", "critical")
        archive.finish("plan_requested")
        assert archive.close()
        assert archive.error is None
        return archive.call_id


@pytest.fixture(scope="session")
def postgres_template(postgres_url: str) -> Iterator[tuple[str, str]]:
    """An empty archive on PostgreSQL: copying it saves each test the migrations."""
    with fresh_database(postgres_url) as url:
        open_database(url).close()
        yield postgres_url, str(sa.make_url(url).database)


@pytest.fixture(params=["sqlite", "postgresql"])
def archive(request: pytest.FixtureRequest, home: Path) -> Iterator[Archive]:
    """An empty archive, once on each database."""
    home.mkdir(mode=0o700, exist_ok=True)
    if request.param == "sqlite":
        shutil.copyfile(request.getfixturevalue("template"), Layout(home).database)
        database = open_database(Layout(home).database_url)
        yield Archive(database, Store(Layout(home)))
        database.close()
        return
    server, template = request.getfixturevalue("postgres_template")
    with fresh_database(server, template) as url:
        database = open_database(url)
        yield Archive(database, Store(Layout(home)))
        database.close()
