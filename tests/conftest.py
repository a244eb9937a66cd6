"""What tests of several packages share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `import postgres`: tests are no package

from postgres import NoPostgres, fresh_database, server

QUICK_ON_POSTGRES = ("tests/archive/test_database.py", "tests/campaigns/test_ledger.py")
"""Files that the default run tries on PostgreSQL too; the others wait for the slow run, which CI always makes."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "postgres" in item.nodeid.partition("[")[2] and not item.nodeid.startswith(QUICK_ON_POSTGRES):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """A running PostgreSQL server's URL: ``CALLGATE_TEST_POSTGRES_URL``, or a server started for this test run."""
    running = server()
    try:
        url = running.__enter__()
    except NoPostgres as e:
        pytest.skip(str(e))
    yield url
    running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def postgres_url(postgres_server_url: str) -> str:
    """The same. A package may mean a database of its own by it."""
    return postgres_server_url


@pytest.fixture
def new_postgres(postgres_url: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of the test's own."""
    with fresh_database(postgres_url) as url:
        yield url
