"""``callgate archive``: what it prints, and with which status it ends."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from archive.cli import app
from archive.keys import parse_keys

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any


@pytest.fixture
def run(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command on the archive, as a person who has set the two settings does."""
    monkeypatch.setenv("CALLGATE_HOME", str(archive.home))
    monkeypatch.delenv("CALLGATE_RETENTION", raising=False)
    monkeypatch.setenv("CALLGATE_DATABASE_URL", archive.url)
    runner = CliRunner()

    def invoke(*words: str) -> Result:
        result = runner.invoke(app, list(words))
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


def test_verify(archive: Archive, run: Any) -> None:
    call_id = archive.call()
    whole = run("verify")
    assert (whole.exit_code, "1 calls (0 not sealed), 1 recordings: intact" in whole.stdout) == (0, True)
    head = re.search(r"^head (\d+:[0-9a-f]{64})$", whole.stdout, re.MULTILINE)
    assert head is not None
    assert run("verify", "--expect", head[1]).exit_code == 0
    assert run("verify", "--expect", f"1:{'0' * 64}").exit_code == 1
    archive.tamper("UPDATE audit SET actor = 'x' WHERE seq = 2", f"DELETE FROM flags WHERE call_id = '{call_id}'")
    broken = run("verify", "--json")
    assert broken.exit_code == 1
    document = json.loads(broken.stdout)
    assert document["intact"] is False
    assert document["findings"][0] == {"what": "chain", "where": "2", "problem": "its content (call.ended) was changed"}
    assert document["findings"][1]["where"] == call_id
    assert run("verify").stdout.startswith("chain 2: its content (call.ended) was changed\n")


def test_export_erase_purge_hold(archive: Archive, run: Any, tmp_path: Path) -> None:
    call_id = archive.call(person_id="p-1", case_id="c-1")
    bundle = run("export", "--call", call_id, "--out", str(tmp_path / "e.zip"), "--json")
    assert (bundle.exit_code, len(json.loads(bundle.stdout)["sha256"])) == (0, 64)
    subject = run("export", "--case", "c-1", "-o", str(tmp_path / "s.zip"), "--as", "dpo")
    assert (subject.exit_code, "1 calls, 1 recordings" in subject.stdout) == (0, True)

    held = run("hold", "place", "--person", "p-1", "--reason", "a court", "--json")
    assert held.exit_code == 0
    number = json.loads(held.stdout)["hold"]
    assert json.loads(run("hold", "list", "--json").stdout)["holds"][0]["subject"] == "p-1"
    assert run("erase", "--person", "p-1").exit_code == 1
    assert run("hold", "release", str(number)).exit_code == 0
    assert run("hold", "release", str(number)).exit_code == 2

    dry = json.loads(run("erase", "--person", "p-1", "--dry-run", "--json").stdout)
    assert [d["classes"] for d in dry["destroyed"]] == [["analysis"]]
    erased = run("erase", "--person", "p-1")
    assert erased.exit_code == 1  # floors keep the rest
    assert f"{call_id}: analysis destroyed" in erased.stdout
    assert f"{call_id}: recording kept until 2" in erased.stdout
    assert (run("purge", "--dry-run").exit_code, run("purge", "--json").exit_code) == (0, 0)
    assert run("verify").exit_code == 0


def test_reprocess_and_keys(archive: Archive, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = run("new-key", "first").stdout.strip(), run("new-key", "second").stdout.strip()
    assert parse_keys(f"{first},{second}").current == "first"
    monkeypatch.setenv("CALLGATE_RECORDING_KEYS", first)
    call_id = archive.call()
    monkeypatch.setenv("CALLGATE_RECORDING_KEYS", f"{second},{first}")
    assert json.loads(run("rotate-keys", "--json").stdout) == {"recordings": 1}
    done = run("reprocess", "--call", call_id, "--since", "2020-01-01", "--json")
    assert json.loads(done.stdout) == {"sealed": 0, "failed": 0, "renewed": 1}
    assert run("verify").exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "--expect", "1"),
        ("export", "--out", "x.zip"),
        ("export", "--out", "x.zip", "--call", "nobody"),
        ("export", "--out", "x.zip", "--call", "a", "--case", "b"),
        ("export", "--out", "x.zip", "--case", "nobody"),
        ("erase",),
        ("erase", "--person", "nobody"),
        ("erase", "--person", "a", "--case", "b"),
        ("purge", "--policy", "/no/such/policy.yaml"),
        ("reprocess", "--call", "nobody"),
        ("rotate-keys",),
        ("new-key", "a:b"),
        ("hold", "place", "--reason", "x"),
        ("hold", "place", "--reason", "x", "--call", "a", "--case", "b"),
        ("hold", "release", "7"),
        ("verify", "--home", "/no/such/home"),
    ],
)
def test_unusable_input_is_one_line_and_status_2(
    run: Any, words: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if "--home" in words:
        monkeypatch.delenv("CALLGATE_DATABASE_URL")
    result = run(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.glob("x.zip*")) == []


@pytest.mark.parametrize(
    "command", ["verify", "export", "erase", "purge", "reprocess", "rotate-keys", "new-key", "hold"]
)
def test_every_command_has_help(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.stdout
