"""Opening the archive's database: its folder, its schema, its pragmas, and units of work.

SQLite runs in WAL mode with full synchronisation, so that a committed row survives a power cut and readers never
wait for the writer. Units of work that write begin with ``BEGIN IMMEDIATE``: they queue for the write lock up
to ``BUSY_TIMEOUT_S`` instead of failing half-way when another process wrote first. On PostgreSQL a unit of work that
reads is ``REPEATABLE READ``, one that writes ``READ COMMITTED``.

Other packages keep their tables in the same database under Alembic histories of their own: see :func:`migrate`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.orm import Session

from archive.errors import ArchiveError, one_line
from archive.layout import private_folder

BUSY_TIMEOUT_S = 10.0
CACHE_KB = 65_536
"""Of SQLite, a connection: its own default of 2 MB is read again and again by a chart over a hundred thousand calls."""
_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 0x43616C6C67617465 >> 1  # any number that no other program takes: "Callgate", in 63 bits
_SQLITE_MAGIC = b"SQLite format 3\x00"


@dataclass(frozen=True, slots=True)
class History:
    """One package's Alembic history: the folder of its revision files, and the table that keeps its state."""

    folder: Path
    version_table: str


ARCHIVE = History(_MIGRATIONS / "versions", "alembic_version")


class DatabaseError(ArchiveError):
    """The database refused a unit of work, which was rolled back.

    ``row_at_fault`` is true where the rows themselves were refused (a constraint, a bad value), so that trying
    others makes sense; false where the database as a whole fails (full, locked, corrupt, unreachable).
    """

    def __init__(self, message: str, *, row_at_fault: bool) -> None:
        super().__init__(message)
        self.row_at_fault = row_at_fault


class Database:
    """An open archive database with its schema at head. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._before_close: list[Callable[[], None]] = []
        self._writing = engine.execution_options(sqlite_begin="IMMEDIATE")
        self._reading = engine
        if engine.dialect.name == "postgresql":
            self._reading = engine.execution_options(isolation_level="REPEATABLE READ")

    @property
    def name(self) -> str:
        """How messages name the database: the file, or the URL without its password."""
        return _name(self.engine.url)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A unit of work that reads one consistent state. Raises ``DatabaseError``."""
        with self._session(self._reading) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A unit of work: committed when the block ends, rolled back when it raises. Raises ``DatabaseError``."""
        with self._session(self._writing) as session:
            yield session
            session.commit()

    @contextmanager
    def _session(self, engine: Engine) -> Iterator[Session]:
        try:
            with Session(engine, expire_on_commit=False) as session:
                yield session
        except (SQLAlchemyError, ValueError, TypeError) as e:
            at_fault = not isinstance(e, sa.exc.OperationalError | sa.exc.InternalError | sa.exc.InterfaceError)
            if type(e) is sa.exc.DatabaseError:  # SQLite's "malformed" and "not a database"
                at_fault = False
            raise DatabaseError(f"the archive {self.name}: {one_line(e)}", row_at_fault=at_fault) from e

    def scrub(self) -> None:
        """Leave no trace of deleted rows in the database's files, as far as the database can: SQLite's search index
        and write-ahead log are rewritten. PostgreSQL's vacuum does this in its own time. Raises ``DatabaseError``."""
        if self.engine.dialect.name != "sqlite":
            return
        with self.write() as session:
            session.execute(sa.text("INSERT INTO call_fts(call_fts) VALUES ('optimize')"))
        with self.engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            connection.rollback()  # a checkpoint waits for no transaction of its own
            driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def before_close(self, task: Callable[[], None]) -> None:
        """Run ``task`` when the database is closed."""
        self._before_close.append(task)

    def close(self) -> None:
        """Commit what still waits to be written, then give all connections back."""
        while self._before_close:
            self._before_close.pop()()
        self.engine.dispose()


def open_database(url: str) -> Database:
    """Open the archive at a SQLAlchemy URL, making and migrating it as needed.

    Raises ``ArchiveError`` (one line) for an unusable URL, a missing driver, a file that is no database or a
    damaged one, a foreign database, and a schema that a newer version of Callgate wrote.
    """
    parsed = _parse(url)
    if parsed.get_backend_name() == "sqlite":
        _check_sqlite_file(parsed)
    engine = _engine(parsed)
    try:
        _migrate(engine, ARCHIVE)
    except ArchiveError:
        engine.dispose()
        raise
    except (SQLAlchemyError, CommandError) as e:
        engine.dispose()
        raise ArchiveError(f"cannot open the archive {_name(parsed)}: {one_line(e)}") from e
    return Database(engine)


def _name(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    return url.render_as_string(hide_password=True)


def _parse(url: str) -> URL:
    try:
        parsed = sa.make_url(url)
        parsed.get_backend_name()
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError) as e:
        raise ArchiveError("the archive's database URL is not a SQLAlchemy URL (scheme://…) of a known kind") from e
    if url.startswith("postgresql://"):  # without a driver's name: the one that Callgate brings
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


def _check_sqlite_file(url: URL) -> None:
    if not url.database or url.database == ":memory:":
        raise ArchiveError("the archive needs a database file: one in memory would be lost with the process")
    path = Path(url.database)
    private_folder(path.parent)
    if path.is_dir():
        raise ArchiveError(f"cannot open the archive {path}: it is a folder")
    try:
        if not path.exists():
            path.touch(mode=0o600)
            return
        with path.open("rb") as file:
            head = file.read(len(_SQLITE_MAGIC))
    except OSError as e:
        raise ArchiveError(f"cannot open the archive {path}: {e.strerror or one_line(e)}") from e
    if head and head != _SQLITE_MAGIC:
        raise ArchiveError(f"cannot open the archive {path}: the file is damaged or not a SQLite database")


def _dumps(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _engine(url: URL, *, foreign_keys: bool = True) -> Engine:
    try:
        engine = sa.create_engine(url, json_serializer=_dumps, hide_parameters=True, pool_pre_ping=True)
    except ModuleNotFoundError as e:
        raise ArchiveError(f"the archive's database URL needs the Python package {e.name!r}") from e
    except (SQLAlchemyError, TypeError) as e:
        raise ArchiveError(f"the archive's database URL is unusable: {one_line(e)}") from e
    if url.get_backend_name() != "sqlite":

        @sa.event.listens_for(engine, "connect")
        def _on_postgres(connection: Any, _record: object) -> None:
            # Compiling a query takes longer than any of ours runs: PostgreSQL expects them to cost more than they do.
            connection.autocommit = True
            connection.execute("SET jit = off")
            connection.autocommit = False

        return engine

    @sa.event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # transactions are begun below, not by the driver's guess
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(BUSY_TIMEOUT_S * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute(f"PRAGMA cache_size = -{CACHE_KB}")
        cursor.execute("PRAGMA secure_delete = ON")  # what is erased is overwritten, not only forgotten
        cursor.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get('sqlite_begin', 'DEFERRED')}")

    return engine


def alembic_config(connection: Connection | None = None, history: History | None = None) -> Config:
    """Alembic's configuration for a history (default: the archive's own); commands run on ``connection``."""
    history = history or ARCHIVE
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("version_locations", str(history.folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    config.attributes["version_table"] = history.version_table
    return config


def migrate(engine: Engine, folder: Path, version_table: str) -> None:
    """Bring another package's tables in the archive's database to the head of its own Alembic history.

    ``folder`` holds that history's revision files (``0001_….py`` with ``revision``, ``down_revision``,
    ``upgrade``, ``downgrade``; no ``env.py`` is needed) and nothing else; ``version_table`` is where its state is
    kept, a name of its own such as ``campaigns_version``. The archive's own tables are brought to head first, so
    foreign keys to ``calls.id`` are good. Safe to call at every start and from several processes at a time; the
    whole upgrade is one transaction. Raises ``ArchiveError`` in one line.
    """
    if version_table == ARCHIVE.version_table:
        raise ValueError(f"{version_table!r} is the archive's own history")
    _migrate(engine, ARCHIVE)
    _migrate(engine, History(folder, version_table))


def migrate_to(url: str, revision: str, history: History | None = None) -> None:
    """Bring a history (default: the archive's own) to ``revision`` ("head", "base", or a number), up or down.

    Raises ``ArchiveError``.
    """
    history = history or ARCHIVE
    engine = _engine(_parse(url), foreign_keys=False)
    try:
        with engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
            if engine.dialect.name == "postgresql":  # SQLite's writer lock does this there
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            config = alembic_config(connection, history)
            known = [r.revision for r in ScriptDirectory.from_config(config).walk_revisions()]
            current = _revision(connection, history)
            steps_down = revision == "base" or (
                current in known and revision in known and known.index(revision) > known.index(current)
            )
            (command.downgrade if steps_down else command.upgrade)(config, revision)
    except (SQLAlchemyError, CommandError) as e:
        raise ArchiveError(f"cannot migrate the archive {_name(engine.url)}: {one_line(e)}") from e
    finally:
        engine.dispose()


def _revision(connection: Connection, history: History) -> str | None:
    options = {"version_table": history.version_table}
    return MigrationContext.configure(connection, opts=options).get_current_revision()


def _migrate(engine: Engine, history: History) -> None:
    scripts = ScriptDirectory.from_config(alembic_config(history=history))
    head = scripts.get_current_head()
    with engine.connect() as connection:
        current = _revision(connection, history)
        tables = set(sa.inspect(connection).get_table_names())
    if current == head:
        return
    # A database of ours has the archive's history, whatever other histories it has beside it.
    if history == ARCHIVE and current is None and tables - {history.version_table}:
        raise ArchiveError(f"cannot open the archive {_name(engine.url)}: it is another program's database")
    if current is not None and current not in {r.revision for r in scripts.walk_revisions()}:
        raise ArchiveError(
            f"cannot open the archive {_name(engine.url)}: a newer Callgate wrote it "
            f"(schema {current}, this one knows up to {head})"
        )
    migrate_to(engine.url.render_as_string(hide_password=False), "head", history)
