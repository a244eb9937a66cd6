"""``callgate archive`` where something is wrong: one clear line, status 2, and nothing half done."""

from __future__ import annotations

import resource
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from archive import database as database_module
from archive.cli import app
from archive.keys import new_key
from archive.layout import Layout

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any

Run = Callable[..., str]
NOBODY = "6a4e9a7c-0d0b-4c43-8d52-3d7f6f5a0001"


@pytest.fixture
def run(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command that must be refused, and gives its one line."""
    monkeypatch.setenv("CALLGATE_HOME", str(archive.home))
    monkeypatch.setenv("CALLGATE_DATABASE_URL", archive.url)

    def invoke(*words: str) -> str:
        result: Result = CliRunner().invoke(app, list(words))
        assert isinstance(result.exception, SystemExit), result.exception
        assert (result.exit_code, result.stdout) == (2, "")
        assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("callgate: ")
        assert "Traceback" not in result.stderr and "[SQL" not in result.stderr
        return result.stderr.strip().removeprefix("callgate: ")

    return invoke


def test_an_id_that_is_none(run: Run, tmp_path: Path) -> None:
    out = str(tmp_path / "x.zip")
    assert run("export", "--call", NOBODY, "-o", out) == f"the archive has no call '{NOBODY}'"
    assert "no call" in run("export", "--call", "../../etc/passwd", "-o", out)
    assert "no call" in run("export", "--call", "", "-o", out)
    assert "no sealed call" in run("reprocess", "--call", NOBODY)
    assert run("hold", "place", "--call", NOBODY, "--reason", "court") == f"the archive has no call '{NOBODY}'"
    assert "nothing of this person" in run("export", "--person", "nobody", "-o", out)
    assert not Path(out).exists()


def test_a_wrong_key(archive: Archive, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLGATE_RECORDING_KEYS", new_key("first"))
    call_id, out = archive.call(), tmp_path / "x.zip"
    export = ("export", "--call", call_id, "-o", str(out))
    for keys, words in (
        (new_key("first"), "the master key 'first' does not open this recording's key"),
        (new_key("second"), "the master key 'first' is not among those in CALLGATE_RECORDING_KEYS"),
        ("first:not-base64", "entry 1 is not ID:BASE64 of 32 bytes"),
    ):
        monkeypatch.setenv("CALLGATE_RECORDING_KEYS", keys)
        assert words in run(*export)
        if not words.endswith("key"):
            assert words in run("rotate-keys")
    monkeypatch.delenv("CALLGATE_RECORDING_KEYS")
    assert "set CALLGATE_RECORDING_KEYS" in run(*export)
    monkeypatch.setenv("CALLGATE_SIGNING_KEY", "short")
    assert "CALLGATE_SIGNING_KEY" in run(*export)
    assert list(tmp_path.glob("x.zip*")) == []


@contextmanager
def full_disk(room: int) -> Iterator[None]:
    """No file grows past ``room`` bytes: what a full disk does, to this process alone."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full(archive: Archive, run: Run, tmp_path: Path) -> None:
    call_id, out = archive.call(person_id="p"), tmp_path / "x.zip"
    sqlite = archive.database.engine.dialect.name == "sqlite"
    if sqlite:
        archive.database.scrub()
    for words in (("--call", call_id), ("--person", "p")):
        with full_disk(2000):  # on SQLite its own log cannot grow; on PostgreSQL the server is not ours to starve
            told = run("export", *words, "-o", str(out))
        assert ("full" in told or "I/O" in told or "too large" in told) and len(told) < 400
        assert list(tmp_path.glob("x.zip*")) == [], "no half of a file is left"
    with full_disk(0):
        assert "cannot write the anchors" in run("anchor", "-o", str(tmp_path / "anchors"))
    done = CliRunner().invoke(app, ["verify"])
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("archive", ["sqlite"], indirect=True)
def test_a_locked_database(archive: Archive, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.05)
    call_id = archive.call(sound=False)
    other = sqlite3.connect(Layout(archive.home).database, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        for words in (
            ("export", "--call", call_id, "-o", str(tmp_path / "x.zip")),
            ("hold", "place", "--call", call_id, "--reason", "court"),
        ):
            assert run(*words).endswith("archive.db: database is locked")
        assert CliRunner().invoke(app, ["verify"]).exit_code == 0, "reading waits for no writer"
    finally:
        other.close()
    assert list(tmp_path.glob("x.zip*")) == []


@pytest.mark.parametrize("archive", ["sqlite"], indirect=True)
def test_files_that_cannot_be_used(archive: Archive, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is none in it" in run("verify", "--anchors", "/dev/null")
    assert "cannot read the anchors" in run("verify", "--anchors", str(tmp_path / "nothing"))
    assert "cannot write" in run("anchor", "-o", str(tmp_path / "no" / "folder"))
    monkeypatch.setenv("CALLGATE_DATABASE_URL", f"sqlite:///{tmp_path}/archive.db")
    (tmp_path / "archive.db").write_bytes(b"\x00garbage" * 1000)
    assert "damaged or not a SQLite database" in run("verify")
    monkeypatch.setenv("CALLGATE_DATABASE_URL", "postgresql://callgate@/none?host=/no/such/folder")
    assert "cannot open the archive" in run("verify") and "No such file" in run("verify")
