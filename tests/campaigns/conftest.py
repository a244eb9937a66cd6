from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from archive.database import Database
from campaigns.models import Base
from campaigns.store import open_campaigns

HERE = Path(__file__).parent
for folder in (HERE, HERE.parents[1] / "benchmarks"):
    if str(folder) not in sys.path:
        sys.path.append(str(folder))  # last: benchmarks/console.py is not our console


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """A PostgreSQL server of the test session's own."""
    import _postgres

    if _postgres.binaries() is None:
        pytest.skip("PostgreSQL is not installed here (Debian: apt-get install postgresql)")
    # A short path that the server's own user can reach: a socket's name has at most 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="callgate-pg-"))
    folder.chmod(0o755)
    server = _postgres.Server(folder / "s", "fsync=off", "full_page_writes=off")
    yield server
    server.stop("immediate")
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def _migrated(postgres: Any) -> str:
    url = str(postgres.database("campaigns"))
    open_campaigns(url).close()
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'home' / 'archive.db'}"


@pytest.fixture
def postgres_url(_migrated: str) -> str:
    """The server's database, emptied: making one anew takes longer than most tests."""
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
