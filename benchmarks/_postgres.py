"""PostgreSQL for the benchmarks: the server that the tests start, with all that keeps its data safe left on."""

from __future__ import annotations

import sys
from pathlib import Path

import sqlalchemy as sa

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # last: the tests' folders have names of packages of ours

import postgres
from postgres import Server

__all__ = ["Kept", "Server", "binaries"]


class Kept(Server):
    """A server whose folder may hold a cluster that an earlier run left."""

    def _run(self, program: str, *arguments: str) -> None:
        if program == "initdb" and (self.folder / "data").exists():
            return
        super()._run(program, *arguments)

    def database(self, name: str) -> str:
        """The URL of the database, made if it is missing."""
        engine = sa.create_engine(self.url(), poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            there = connection.scalar(sa.text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
        engine.dispose()
        return self.url(name) if there else super().database(name)


def binaries() -> Path | None:
    """The folder of PostgreSQL's programs, ``None`` where it is not installed."""
    try:
        return postgres.binaries()
    except postgres.NoPostgres:
        return None
