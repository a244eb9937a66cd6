from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from archive.database import Database
from campaigns.models import Base, Import, Person
from campaigns.store import open_campaigns

sys.path.append(str(Path(__file__).parent))  # `import world`: tests are no package

from postgres import NOTHING_TO_LOSE, NoPostgres, Server, fresh_database, own_server
from world import count


@pytest.fixture(scope="session")
def _migrated(request: pytest.FixtureRequest) -> Iterator[str]:
    """A database with the campaigns' tables, on the test run's server."""
    with fresh_database(request.getfixturevalue("postgres_server_url")) as url:
        open_campaigns(url).close()
        yield url


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One database for all of a module's imports that are refused: none of them may leave anything in it."""
    database = open_campaigns(f"sqlite:///{tmp_path_factory.mktemp('empty') / 'home' / 'archive.db'}")
    yield database
    assert count(database) == count(database, Person) == count(database, Import) == 0
    database.close()


@pytest.fixture
def stoppable_postgres() -> Iterator[Server]:
    """A server of the test's own, for one that stops it."""
    try:
        with own_server(*NOTHING_TO_LOSE) as running:
            yield running
    except NoPostgres as e:
        pytest.skip(str(e))


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database with the campaigns' tables: copying it saves each test the migrations."""
    path = tmp_path_factory.mktemp("template") / "home" / "archive.db"
    open_campaigns(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def sqlite_url(tmp_path: Path, template: Path) -> str:
    path = tmp_path / "home" / "archive.db"
    path.parent.mkdir(mode=0o700)
    shutil.copyfile(template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(_migrated: str) -> str:
    """That database, emptied: making one anew takes longer than most tests."""
    engine = sa.create_engine(_migrated)
    with engine.begin() as connection:
        names = ", ".join(table.name for table in Base.metadata.tables.values())
        connection.exec_driver_sql(f"TRUNCATE {names} RESTART IDENTITY CASCADE")
    engine.dispose()
    return _migrated


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = open_campaigns(url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    opened = open_campaigns(sqlite_url)
    yield opened
    opened.close()
