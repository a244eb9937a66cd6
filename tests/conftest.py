"""What tests of several packages share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))  # `import postgres`: tests are no package

from fresh_speech import forget
from postgres import NoPostgres, fresh_database, server

settings.register_profile("repeatable", deadline=None, derandomize=True, database=None)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile("repeatable")  # the same examples in every run; `--hypothesis-profile=random` looks for new ones

QUICK_ON_POSTGRES = ("tests/archive/test_database.py", "tests/campaigns/test_ledger.py")
"""Files that the default run tries on PostgreSQL too; the others wait for the slow run, which CI always makes."""


def pytest_configure() -> None:
    """No call is drawn for review at random: its id is new in every run, and so would be the calls that are flagged.

    The rules that ship are compiled once a process, not once a gate: they are read-only, and take a second.
    """
    os.environ["CALLGATE_REVIEW_SAMPLE"] = "0"

    from compliance_checks import gate
    from compliance_checks.rulebook import Rulebook

    shipped = cache(Rulebook)

    def compiled(rules_dir: Path | None = None) -> Rulebook:
        return shipped() if rules_dir is None else Rulebook(rules_dir)

    gate.Rulebook = compiled  # type: ignore[assignment,misc]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "postgres" in item.nodeid.partition("[")[2] and not item.nodeid.startswith(QUICK_ON_POSTGRES):
            item.add_marker(pytest.mark.slow)


@pytest.hookimpl(tryfirst=True)
def pytest_collectstart(collector: pytest.Collector) -> None:
    forget()  # some modules speak when they are imported


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    forget()


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    forget()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    forget()


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
