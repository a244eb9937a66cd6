"""What tests of several packages share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `import postgres`: tests are no package

from postgres import NoPostgres, fresh_database, server


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A running PostgreSQL server's URL: ``CALLGATE_TEST_POSTGRES_URL``, or a server started for this test run."""
    running = server()
    try:
        url = running.__enter__()
    except NoPostgres as e:
        pytest.skip(str(e))
    yield url
    running.__exit__(None, None, None)


@pytest.fixture
def new_postgres(postgres_url: str) -> Iterator[str]:
    """The URL of an empty PostgreSQL database of the test's own."""
    with fresh_database(postgres_url) as url:
        yield url
