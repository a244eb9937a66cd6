"""One setting makes PostgreSQL the archive's database: opening, other packages' tables, whole calls, many at a time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from archive.database import alembic_config, migrate, migrate_to, open_database
from archive.errors import ArchiveError
from archive.layout import Layout
from archive.models import Base
from archive.repository import CallRepository
from archive.transcript import read_call
from archive.verify import verify
from archive.writer import CallArchive, NewCall

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{number}"
down_revision = {before}
branch_labels = depends_on = None


def upgrade() -> None:
    op.create_table(
        "{table}",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("call_id", sa.String(36), sa.ForeignKey("calls.id", ondelete="CASCADE")),
    )


def downgrade() -> None:
    op.drop_table("{table}")
"""


def history(folder: Path, *tables: str) -> Path:
    folder.mkdir(exist_ok=True)
    before = "None"
    for number, table in enumerate(tables, 1):
        text = REVISION.format(number=f"c{number}", before=before, table=table)
        (folder / f"{number:04d}_{table}.py").write_text(text)
        before = repr(f"c{number}")
    return folder


def tables(url: str) -> set[str]:
    engine = sa.create_engine(url)
    names = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    return names


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return Layout(tmp_path / "home").database_url
    url: str = request.getfixturevalue("new_postgres")
    return url


def test_other_packages_keep_histories_of_their_own(empty_url: str, tmp_path: Path) -> None:
    database = open_database(empty_url)
    folder = history(tmp_path / "versions", "ledger")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: migrate(database.engine, folder, "ledger_version"), range(3)))
    migrate(database.engine, history(tmp_path / "others", "notes"), "notes_version")
    history(folder, "ledger", "attempts")
    migrate(database.engine, folder, "ledger_version")
    database.close()
    assert {"ledger", "attempts", "notes", "ledger_version", "notes_version", "calls"} <= tables(empty_url)
    again = open_database(empty_url)  # foreign tables of ours do no harm
    with pytest.raises(ValueError, match="own history"):
        migrate(again.engine, folder, "alembic_version")
    with pytest.raises(ArchiveError, match="a newer Callgate wrote it"):
        migrate(again.engine, history(tmp_path / "older", "ledger2"), "ledger_version")
    again.close()


def test_a_history_may_be_the_first_to_open_the_database(empty_url: str, tmp_path: Path) -> None:
    if empty_url.startswith("sqlite"):
        (tmp_path / "home").mkdir()
    engine = sa.create_engine(empty_url)
    migrate(engine, history(tmp_path / "versions", "ledger"), "ledger_version")
    engine.dispose()
    open_database(empty_url).close()
    assert {"ledger", "calls"} <= tables(empty_url)


def test_another_programs_database_is_left_alone(empty_url: str, tmp_path: Path) -> None:
    if empty_url.startswith("sqlite"):
        (tmp_path / "home").mkdir()
    engine = sa.create_engine(empty_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE bookmarks (id INTEGER)")
    for opens in (lambda: open_database(empty_url), lambda: migrate(engine, tmp_path, "x_version")):
        with pytest.raises(ArchiveError, match="another program's database"):
            opens()
    engine.dispose()
    assert tables(empty_url) == {"bookmarks"}


def test_postgresql_up_and_down(new_postgres: str) -> None:
    url = sa.make_url(new_postgres).set(drivername="postgresql").render_as_string(hide_password=False)
    with ThreadPoolExecutor(3) as pool:  # the driver need not be named; several may be first
        for database in pool.map(open_database, [url] * 3):
            database.close()
    database = open_database(url)
    with database.engine.connect() as connection:
        difference = compare_metadata(MigrationContext.configure(connection), Base.metadata)
        beyond_the_models = {"ix_call_text_vector", "vector"}
        assert [d for d in difference if getattr(d[-1], "name", None) not in beyond_the_models] == []
    database.close()
    revisions = [r.revision for r in ScriptDirectory.from_config(alembic_config()).walk_revisions()]
    for revision in [*revisions[1:], "base"]:
        migrate_to(url, revision)
    assert tables(new_postgres) == {"alembic_version"}
    migrate_to(url, "head")
    assert "audit" in tables(new_postgres)


def test_a_call_reads_back_the_same(archive: Archive) -> None:
    call_id = archive.call(started_at=NewCall("en").started_at)
    document = read_call(archive.database, archive.home, call_id)
    assert [t["text"] for t in document["turns"]] == ["May I speak with Mr Li?", "I lost my job, 我下个月还三千五"]
    assert (document["disposition"], document["flags"][0]["reason"]) == ("plan_requested", "refused utterance")
    with archive.database.read() as session:
        turn = CallRepository(session).turns(call_id)[1]
        assert (turn.scores, turn.valence, turn.recorded_at.tzinfo is not None) == ({"sad": 1.0}, -0.5, True)


def test_threads_of_calls_write_to_one_database(archive: Archive) -> None:
    def one(_: int) -> str:
        with CallArchive.begin(archive.database, archive.home, NewCall("en")) as call:
            for index in range(20):
                call.turn("agent", index, index + 1, "\x00 nul and lone \ud83d", response_gap_ms=index)
            call.finish("refused")
        assert call.error is None
        return call.call_id

    with ThreadPoolExecutor(4) as pool:
        calls = list(pool.map(one, range(8)))
    for call_id in calls:
        assert len(read_call(archive.database, archive.home, call_id)["turns"]) == 20
    report = verify(archive.database, archive.store)
    assert (report.intact, report.calls, report.unsealed) == (True, 8, 0)
