"""A PostgreSQL server of one's own, for benchmarks and tests: made in a folder, gone with it, reached by a socket.

Wants Debian's package ``postgresql`` (only its binaries: the system's own cluster is not touched).
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import psycopg

SETTINGS = ("listen_addresses=''", "max_connections=60", "shared_buffers=32MB", "log_min_messages=fatal")


def binaries() -> Path | None:
    """The newest server's folder of programs, ``None`` where PostgreSQL is not installed."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if folders:
        return max(folders, key=lambda folder: float(folder.parent.name))
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


class Server:
    """A running server. PostgreSQL refuses to run as root, so root runs it as the user ``postgres`` (or nobody)."""

    def __init__(self, folder: Path, *settings: str) -> None:
        bin_folder = binaries()
        if bin_folder is None:
            raise RuntimeError("PostgreSQL is not installed (Debian: apt-get install postgresql)")
        self._bin = bin_folder
        self.folder = folder
        self._data = folder / "data"
        self._settings = (*SETTINGS, *settings, f"unix_socket_directories={folder}")
        self._user = _unprivileged()
        folder.mkdir(parents=True, exist_ok=True)
        if self._user is not None:
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._run("initdb", "-D", self._data, "-U", "callgate", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C")
        self.start()

    def start(self) -> None:
        options = " ".join(f"-c {setting}" for setting in self._settings)
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self._data, "-l", log, "-w", "-t", "60", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """``immediate`` is a crash: nothing is flushed, the next start recovers."""
        self._run("pg_ctl", "-D", self._data, "-m", mode, "-w", "stop")

    def database(self, name: str) -> str:
        """Make an empty database; returns its SQLAlchemy URL."""
        with psycopg.connect(f"host={self.folder} user=callgate dbname=postgres", autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://callgate@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str | Path) -> None:
        """As the unprivileged user; output goes to a file, for ``pg_ctl`` leaves its own open in the server."""
        with (Path(f"{self.folder}.out")).open("ab") as out:
            done = subprocess.run(
                [self._bin / program, *arguments],
                stdout=out,
                stderr=out,
                stdin=subprocess.DEVNULL,
                cwd="/",
                user=self._user.pw_uid if self._user else None,
                group=self._user.pw_gid if self._user else None,
                extra_groups=[] if self._user else None,
                check=False,
            )
        if done.returncode:
            said = Path(f"{self.folder}.out").read_text(errors="replace").strip().splitlines()
            raise RuntimeError(f"{program} failed: {said[-1] if said else done.returncode}")


def _unprivileged() -> pwd.struct_passwd | None:
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("no unprivileged user to run PostgreSQL as")
