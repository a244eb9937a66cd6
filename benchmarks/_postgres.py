"""PostgreSQL for the benchmarks: the server that the tests start, with all that keeps its data safe left on."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # last: the tests' folders have names of packages of ours

import postgres
from postgres import Server

__all__ = ["Server", "binaries"]


def binaries() -> Path | None:
    """The folder of PostgreSQL's programs, ``None`` where it is not installed."""
    try:
        return postgres.binaries()
    except postgres.NoPostgres:
        return None
