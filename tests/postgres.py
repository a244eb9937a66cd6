"""A PostgreSQL server of one's own: the installed binaries on a folder of their own, reached over a Unix socket.

For the tests, and for the benchmarks. Wants only the binaries (Debian's package ``postgresql``): the system's own
cluster is not touched. Runs as an unprivileged user, because PostgreSQL refuses to run as root.
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
_OPTIONS = ("listen_addresses=", "max_connections=60", "shared_buffers=32MB")
NOTHING_TO_LOSE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
"""For tests: nothing there needs to survive a power cut. A figure is measured without them."""


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


class Server:
    """A running server in ``folder`` (a short path: a socket's has at most 107 characters), which others may enter.

    ``options`` are settings of postgresql.conf. Raises ``NoPostgres`` where there are no binaries.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        self._bin, self._user = binaries(), _user()
        self.folder = folder
        self._options = " ".join(f"-c {each}" for each in (*_OPTIONS, *options, f"unix_socket_directories={folder}"))
        folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._run("initdb", "-U", "callgate", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        self.start()

    def start(self) -> None:
        # The log goes to a file: a pipe would be held open by the server, and pg_ctl's caller would wait for its end.
        self._run("pg_ctl", "-l", str(self.folder / "log"), "-w", "-s", "-t", "60", "-o", self._options, "start")

    def stop(self, mode: str = "immediate") -> None:
        """``immediate`` is a crash: nothing is flushed, the next start recovers."""
        self._run("pg_ctl", "-m", mode, "-w", "-s", "stop")

    def url(self, name: str = "postgres") -> str:
        """The SQLAlchemy URL of a database."""
        return f"postgresql+psycopg://callgate@/{name}?host={self.folder}"

    def database(self, name: str) -> str:
        """Make an empty database; returns its URL."""
        engine = sa.create_engine(self.url(), isolation_level="AUTOCOMMIT", poolclass=sa.pool.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
        engine.dispose()
        return self.url(name)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), "-D", str(self.folder / "data"), *arguments],
            **({} if self._user is None else {"user": self._user}),
            cwd=self.folder,
            capture_output=True,
            text=True,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
            timeout=120,
        )
        if done.returncode != 0:
            log = self.folder / "log"
            told = log.read_text(errors="replace") if log.exists() else ""
            raise RuntimeError(f"{program} failed: {done.stderr.strip()} {told[-2000:]}")


@contextmanager
def own_server(*options: str) -> Iterator[Server]:
    """A server in a folder that goes with it. Raises ``NoPostgres`` where there are no binaries."""
    folder = Path(tempfile.mkdtemp(prefix="callgate-pg-"))
    folder.chmod(0o755)
    try:
        running = Server(folder / "s", *options)
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def server() -> Iterator[str]:
    """The URL of a running server: the one at ``CALLGATE_TEST_POSTGRES_URL``, else an empty one. See ``own_server``."""
    given = os.environ.get(URL_VARIABLE)
    if given:
        yield given
        return
    with own_server(*NOTHING_TO_LOSE) as running:
        yield running.url()


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
