"""A PostgreSQL server for the tests: the installed binaries on a folder of their own, reached over a Unix socket.

Runs as an unprivileged user, because PostgreSQL refuses to run as root. Nothing survives the test run.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

URL_VARIABLE = "CALLGATE_TEST_POSTGRES_URL"
_PLACES = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt")
# Nothing here needs to survive a power cut.
_OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "listen_addresses=", "max_connections=60")


class NoPostgres(Exception):  # noqa: N818 - a reason, not a failure
    """There is no PostgreSQL to test with. ``str()`` says why."""


def binaries() -> Path:
    """The folder with ``initdb`` and ``pg_ctl``, the newest version's. Raises ``NoPostgres``."""
    found = shutil.which("initdb")
    if found is not None:
        return Path(found).resolve().parent
    folders = [p.parent for place in _PLACES for p in Path(place).glob("*/bin/initdb")]
    if not folders:
        raise NoPostgres(f"no PostgreSQL here: install Debian's package postgresql, or set {URL_VARIABLE}")
    return max(folders, key=lambda p: [int(n) for n in p.parent.name.split(".") if n.isdigit()])


def _user() -> str | None:
    """Whom the server runs as; ``None``: whoever runs the tests."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise NoPostgres("PostgreSQL does not run as root, and there is no other user here")


@contextmanager
def server() -> Iterator[str]:
    """The URL of a running, empty server. Raises ``NoPostgres`` where there are no binaries."""
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield given
        return
    bin_, user = binaries(), _user()
    folder = Path(tempfile.mkdtemp(prefix="callgate-pg-"))  # short: a socket's path has 107 characters
    try:
        if user is not None:
            shutil.chown(folder, user)
        data, log = folder / "data", folder / "log"

        def run(*command: str) -> None:
            done = subprocess.run(
                [str(bin_ / command[0]), *command[1:]],
                **({} if user is None else {"user": user}),
                cwd=folder,
                capture_output=True,
                text=True,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
                timeout=120,
            )
            if done.returncode != 0:
                told = log.read_text(errors="replace") if log.exists() else ""
                raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()} {told[-2000:]}")

        run("initdb", "-D", str(data), "-U", "callgate", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        options = " ".join(f"-c {option}" for option in (*_OPTIONS, f"unix_socket_directories={folder}"))
        # The log goes to a file: a pipe would be held open by the server, and pg_ctl's caller would wait for its end.
        run("pg_ctl", "-D", str(data), "-l", str(log), "-w", "-s", "-o", options, "start")
        try:
            yield f"postgresql+psycopg://callgate@/postgres?host={folder}"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "-s", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def fresh_database(server_url: str, template: str | None = None) -> Iterator[str]:
    """The URL of a database of its own on the server, made (as a copy of ``template``) now and dropped afterwards."""
    name = f"callgate_{uuid.uuid4().hex[:12]}"
    url = sa.make_url(server_url)
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        engine.dispose()
