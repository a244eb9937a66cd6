"""Opening the campaigns' tables in the archive's database."""

from __future__ import annotations

from pathlib import Path

from archive.database import Database, migrate, open_database

VERSION_TABLE = "alembic_version_campaigns"
MIGRATIONS = Path(__file__).parent / "migrations"


def open_campaigns(url: str) -> Database:
    """Open the database at a SQLAlchemy URL with the archive's tables and the campaigns' at head.

    Raises ``ArchiveError`` (one line) for whatever ``archive.database`` refuses.
    """
    database = open_database(url)
    try:
        attach(database)
    except Exception:
        database.close()
        raise
    return database


def attach(database: Database) -> Database:
    """Bring the campaigns' tables of an open archive to head; returns the same database."""
    migrate(database.engine, MIGRATIONS, VERSION_TABLE)
    return database
