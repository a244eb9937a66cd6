from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.desk import CallDesk
from agent.models import Models, load_models
from agent.settings import Settings


@pytest.fixture(scope="session")
def models() -> Models:
    return load_models(Settings())


@pytest.fixture(scope="session")
def desk(models: Models, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CallDesk]:
    home: Path = tmp_path_factory.mktemp("archive")
    desk = CallDesk(Settings(home=home, max_calls=40), models)
    yield desk
    desk.close()


@pytest.fixture(scope="session")
def run() -> Callable[[Coroutine[Any, Any, Any]], Any]:
    """Runs a coroutine to its end in a loop of its own."""
    return asyncio.run
