"""Opening: folders, schema up and down, damaged, foreign and newer files, and what every column gives back."""

from __future__ import annotations

import os
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from agent.events import Disposition
from archive.database import Database, DatabaseError, alembic_config, migrate_to, open_database
from archive.errors import ArchiveError
from archive.layout import Layout, default_home
from archive.models import Base, Call
from archive.repository import CallRepository

CALL_ID = "6a4e9a7c-0d0b-4c43-8d52-3d7f6f5a0001"
MOMENT = datetime(2026, 1, 30, 8, 15, 30, 123456, tzinfo=UTC)


def call_values(**values: Any) -> dict[str, Any]:
    return {
        "id": CALL_ID,
        "lang": "zh",
        "status": "live",
        "models": {},
        "started_at": MOMENT,
        "response_gap_n": 0,
        **values,
    }


def test_opening_makes_the_folder_and_the_schema(home: Path) -> None:
    url = Layout(home / "deep" / "er").database_url
    database = open_database(url)
    with database.engine.connect() as connection:
        options = {"include_name": lambda name, kind, _: kind != "table" or not name.startswith("call_fts")}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10000
    database.close()
    assert (home / "deep" / "er").stat().st_mode & 0o077 == 0
    assert Layout(home / "deep" / "er").database.stat().st_mode & 0o077 == 0


def test_down_to_nothing_and_up_again(home: Path) -> None:
    url = Layout(home).database_url
    open_database(url).close()
    revisions = [r.revision for r in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
    for revision in [*revisions[1:], "base"]:
        migrate_to(url, revision)
    with sqlite3.connect(Layout(home).database) as connection:
        assert connection.execute("SELECT name FROM sqlite_master WHERE type='table'").fetchall() == [
            ("alembic_version",)
        ]
    connection.close()
    open_database(url).close()
    migrate_to(url, "head")
    with pytest.raises(ArchiveError, match="cannot migrate"):
        migrate_to(url, "no-such-revision")


def test_a_migration_that_fails_changes_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise sa.exc.OperationalError("CREATE INDEX", {}, sqlite3.OperationalError("database or disk is full"))

    with monkeypatch.context() as patch:
        patch.setattr("alembic.op.create_index", fail)
        with pytest.raises(ArchiveError, match=r"database or disk is full$"):
            open_database(Layout(home).database_url)
    database = open_database(Layout(home).database_url)
    database.close()


def test_the_schema_knows_every_disposition(database: Database) -> None:
    with database.write() as session:
        for index, disposition in enumerate(get_args(Disposition)):
            identity = f"6a4e9a7c-0d0b-4c43-8d52-3d7f6f5a{index:04d}"
            CallRepository(session).add_call(call_values(id=identity, disposition=disposition))


def test_eight_processes_worth_of_threads_may_open_it_first(home: Path) -> None:
    url = Layout(home).database_url
    with ThreadPoolExecutor(8) as pool:
        for database in pool.map(open_database, [url] * 8):
            database.close()


def damaged(path: Path) -> None:
    path.write_bytes(b"\x00\x01garbage" * 1000)


def half(path: Path) -> None:
    open_database(f"sqlite:///{path}").close()
    os.truncate(path, path.stat().st_size // 2)


def scribbled(path: Path) -> None:
    open_database(f"sqlite:///{path}").close()
    with path.open("r+b") as file:
        file.seek(100)
        file.write(os.urandom(4000))


def newer(path: Path) -> None:
    open_database(f"sqlite:///{path}").close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()


def foreign(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE bookmarks (id INTEGER)")
    connection.close()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (damaged, "damaged or not a SQLite database"),
        (half, "malformed"),
        (scribbled, "malformed"),
        (newer, "a newer Callgate wrote it .schema 9999, this one knows up to 0"),
        (foreign, "another program's database"),
        (Path.mkdir, "it is a folder"),
    ],
)
def test_an_unusable_file_is_named_in_one_line(tmp_path: Path, make: Any, words: str) -> None:
    path = tmp_path / "archive.db"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(ArchiveError, match=words) as caught:
        open_database(f"sqlite:///{path}")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    if make in (damaged, newer):
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "not a SQLAlchemy URL"),
        ("archive.db", "not a SQLAlchemy URL"),
        ("nosuchdialect://x", "not a SQLAlchemy URL"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:////dev/null/x/archive.db", "folder"),
    ],
)
def test_an_unusable_url_is_named_in_one_line(url: str, words: str) -> None:
    with pytest.raises(ArchiveError, match=words) as caught:
        open_database(url)
    assert "\n" not in str(caught.value)


def test_a_password_is_not_told() -> None:
    with pytest.raises(ArchiveError) as caught:
        open_database("postgresql+psycopg://callgate:s3cret@127.0.0.1:1/callgate")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("offset", [timedelta(0), timedelta(hours=8), timedelta(hours=-9, minutes=-30)])
def test_moments_come_back_as_they_were(database: Database, offset: timedelta) -> None:
    moment = datetime(2026, 3, 29, 1, 30, 0, 999999, tzinfo=timezone(offset))
    with database.write() as session:
        CallRepository(session).add_call(call_values(started_at=moment))
    with database.read() as session:
        call = CallRepository(session).call(CALL_ID)
        assert call is not None
        assert call.started_at == moment
        assert call.started_at.utcoffset() == timedelta(0)
        assert [c.id for c in CallRepository(session).calls(started_from=moment)] == [CALL_ID]
        assert not CallRepository(session).calls(started_before=moment)


def test_a_moment_without_zone_is_refused(database: Database) -> None:
    with pytest.raises(DatabaseError, match="time zone") as caught, database.write() as session:
        CallRepository(session).add_call(call_values(started_at=datetime(2026, 1, 1)))
    assert caught.value.row_at_fault


@pytest.mark.parametrize("amount", ["0.1", "3500.00", "99999999999999.999", "-0.01", "1E+3"])
def test_money_is_exact(database: Database, amount: str) -> None:
    with database.write() as session:
        values = call_values(promise_amount=Decimal(amount), promise_date=date(2026, 2, 28))
        CallRepository(session).add_call(values)
    with database.read() as session:
        call = session.get(Call, CALL_ID)
        assert call is not None
        assert call.promise_amount == Decimal(amount)
        assert call.promise_date == date(2026, 2, 28)


@pytest.mark.parametrize(
    "values",
    [
        {"lang": "fr"},
        {"status": "gone"},
        {"disposition": "x'; DROP TABLE calls; --"},
        {"response_gap_n": -1},
        {"promise_amount": Decimal("NaN")},
    ],
)
def test_the_schema_refuses_what_cannot_be(database: Database, values: dict[str, Any]) -> None:
    with pytest.raises(DatabaseError) as caught, database.write() as session:
        CallRepository(session).add_call(call_values(**values))
    assert caught.value.row_at_fault
    assert "\n" not in str(caught.value)
    with database.read() as session:
        assert not CallRepository(session).calls()


def test_rows_belong_to_a_call_that_exists(database: Database) -> None:
    row = {"call_id": CALL_ID, "seq": 0, "at": 0.0, "recorded_at": MOMENT, "kind": "x", "payload": {}}
    with pytest.raises(DatabaseError, match=r"(?i)foreign key"), database.write() as session:
        CallRepository(session).add_records("events", [row])
    with database.write() as session:
        CallRepository(session).add_call(call_values())
        CallRepository(session).add_records("events", [row])
    with pytest.raises(DatabaseError, match=r"(?i)unique"), database.write() as session:
        CallRepository(session).add_records("events", [row])


def test_a_unit_of_work_that_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(KeyError), database.write() as session:
        CallRepository(session).add_call(call_values())
        raise KeyError("somebody else's mistake")
    with database.read() as session:
        assert not CallRepository(session).calls()


def test_calls_are_found_by_what_they_are(database: Database) -> None:
    with database.write() as session:
        repository = CallRepository(session)
        for index in range(6):
            repository.add_call(
                call_values(
                    id=f"6a4e9a7c-0d0b-4c43-8d52-3d7f6f5a{index:04d}",
                    campaign="spring" if index % 2 else None,
                    status="ended" if index < 4 else "live",
                    started_at=MOMENT + timedelta(hours=index),
                )
            )
        starts = [c.started_at.hour for c in repository.calls()]
        assert starts == sorted(starts, reverse=True)
        assert len(repository.calls(campaign="spring", status="ended")) == 2
        assert [c.started_at.hour for c in repository.calls(limit=2, offset=1)] == [12, 11]


def test_where_the_archive_lies(tmp_path: Path) -> None:
    assert default_home({}) == Path.home() / ".local" / "share" / "callgate"
    assert default_home({"CALLGATE_HOME": " "}) == default_home({})
    assert default_home({"CALLGATE_HOME": str(tmp_path)}) == tmp_path
    layout = Layout(tmp_path)
    late = datetime(2026, 1, 1, 1, 0, tzinfo=timezone(timedelta(hours=8)))
    folder = layout.call(CALL_ID.upper(), late).folder
    assert folder == tmp_path / "calls" / "2025-12-31" / CALL_ID
    assert layout.absolute(layout.relative(folder / "recording.wav")) == folder / "recording.wav"
    assert layout.absolute(layout.relative(Path("/elsewhere/r.wav"))) == Path("/elsewhere/r.wav")


@pytest.mark.parametrize("call_id", ["", "../../etc/passwd", "a/b", "6a4e9a7c", "\x00", None, 7])
def test_no_id_names_a_path_outside(tmp_path: Path, call_id: Any) -> None:
    with pytest.raises(ArchiveError, match="not a call id"):
        Layout(tmp_path).call(call_id, MOMENT)


def test_every_migration_can_be_undone() -> None:
    for script in ScriptDirectory.from_config(alembic_config()).walk_revisions():
        assert re.search(r"def downgrade\(\) -> None:\n    (?!pass)", Path(script.path).read_text())
