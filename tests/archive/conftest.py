from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from archive.database import Database, open_database
from archive.layout import Layout
from archive.writer import CallArchive, NewCall


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
