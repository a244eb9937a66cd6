"""``callgate scripts``: what is printed and with which exit status."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scripts.cli import app
from scripts.loader import load_script

SOURCE = Path(__file__).parents[2] / "scripts" / "en" / "days_1_15_reminder.yaml"
runner = CliRunner()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(shutil.copy(SOURCE, tmp_path / "script.yaml"))


def changed(path: Path) -> Path:
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("Thank you for your time. Goodbye.", "Goodbye."), encoding="utf-8")
    return path


def test_list() -> None:
    result = runner.invoke(app, ["list", "--json"])
    rows = json.loads(result.stdout)
    assert result.exit_code == 0 and {row["lang"] for row in rows} == {"zh", "en"}
    assert all(row["usable"] and len(row["hash"]) == 64 for row in rows)
    assert "usable" in runner.invoke(app, ["list"]).stdout


def test_check(path: Path, tmp_path: Path) -> None:
    assert runner.invoke(app, ["check"]).exit_code == 0
    assert runner.invoke(app, ["check", "days_1_15_reminder", "--lang", "zh"]).exit_code == 0
    result = runner.invoke(app, ["check", str(changed(path)), "--json"])
    assert result.exit_code == 1
    assert "changed after approval" in json.loads(result.stdout)[0]["problem"]
    for wrong in (["check", str(tmp_path / "gone.yaml")], ["check", "nobody"], ["check", "x", "--lang", "fr"]):
        result = runner.invoke(app, wrong)
        assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1


def test_approve_takes_two_people_of_two_roles(path: Path) -> None:
    changed(path)
    later = (datetime.now(UTC) + timedelta(days=60)).date().isoformat()
    first = runner.invoke(app, ["approve", str(path), "--who", "a@example.org", "--role", "compliance"])
    assert first.exit_code == 0 and "waits for a person of another role" in first.stdout
    again = runner.invoke(app, ["approve", str(path), "--who", "A@example.org", "--role", "legal", "--json"])
    assert not json.loads(again.stdout)["script"]["usable"], "one person in two roles is one person"
    before = path.read_bytes()
    colleague = runner.invoke(app, ["approve", str(path), "--who", "c@example.org", "--role", "Legal "])
    assert colleague.exit_code == 2 and "a person of another role" in colleague.stderr
    assert path.read_bytes() == before, "a desk does not approve its own work"
    compliance = runner.invoke(app, ["approve", str(path), "--who", "a@example.org", "--role", "compliance"])
    assert compliance.exit_code == 0, "an approval is renewed, in another role too"
    second = runner.invoke(app, ["approve", str(path), "--who", "b@example.org", "--role", "legal", "--expires", later])
    assert second.exit_code == 0 and load_script(path, "en")


@pytest.mark.parametrize("expires", ["2020-01-01", "2999-01-01", "soon"])
def test_approve_needs_a_sensible_end(path: Path, expires: str) -> None:
    before = path.read_bytes()
    result = runner.invoke(
        app, ["approve", str(path), "--who", "a@example.org", "--role", "legal", "--expires", expires]
    )
    assert result.exit_code == 2 and len(result.stderr.splitlines()) == 1
    assert path.read_bytes() == before


def test_diff(path: Path) -> None:
    assert runner.invoke(app, ["diff", str(SOURCE), str(path)]).exit_code == 0
    result = runner.invoke(app, ["diff", str(SOURCE), str(changed(path)), "--json"])
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {"where": "lines.goodbye.text", "before": "Thank you for your time. Goodbye.", "after": "Goodbye."}
    ]
    assert "lines.goodbye.text" in runner.invoke(app, ["diff", str(SOURCE), str(path)]).stdout
    assert runner.invoke(app, ["diff", str(SOURCE), "nothing.yaml"]).exit_code == 2


def test_copy(tmp_path: Path) -> None:
    folder = tmp_path / "own" / "scripts"
    result = runner.invoke(app, ["copy", str(folder)])
    assert result.exit_code == 0 and len(result.stdout.splitlines()) == 2
    assert load_script(folder / "en" / SOURCE.name, "en").content_hash == load_script(SOURCE, "en").content_hash
    (folder / "zh" / SOURCE.name).write_text("mine")
    (folder / "en" / SOURCE.name).unlink()
    again = runner.invoke(app, ["copy", str(folder)])
    assert again.exit_code == 2 and "is there already" in again.stderr and len(again.stderr.splitlines()) == 1
    assert (folder / "zh" / SOURCE.name).read_text() == "mine", "what is yours stays"
    assert not (folder / "en" / SOURCE.name).exists(), "all or nothing"
    (tmp_path / "file").touch()
    blocked = runner.invoke(app, ["copy", str(tmp_path / "file" / "below")])
    assert blocked.exit_code == 2 and len(blocked.stderr.splitlines()) == 1
