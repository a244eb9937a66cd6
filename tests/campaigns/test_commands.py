"""``callgate campaign``: what an operator sees, and what is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from test_importing import GOOD, many, write
from typer.testing import CliRunner
from world import Clock, borrower, config, ledger

from archive.database import Database
from campaigns.cli import app
from campaigns.config import read_config
from campaigns.errors import ConfigError
from campaigns.planning import plan, set_up
from campaigns.provider import DialOrder
from campaigns.settling import stop_person

CAMPAIGN = {"name": "november", "caller_ids": {"default": "+861055550100"}}


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    return result.exit_code, result.stdout, result.stderr


def test_import_plan_status_stop(tmp_path: Path) -> None:
    home = ("--home", tmp_path / "home")
    good = write(tmp_path / "p.csv", many(2))
    bad = write(tmp_path / "bad.csv", [*many(2), {**GOOD, "account": "B", "phone": "0"}])
    file = tmp_path / "c.yaml"
    file.write_text(yaml.safe_dump(CAMPAIGN))

    code, out, err = run("import", bad, *home, "--as-of", "2026-11-18", "--errors", tmp_path)
    assert code == 2 and f"{tmp_path}: Is a directory" in err
    for skip, done in ((), "would NOT be imported"), (("--skip-bad-rows",), "would be imported"):
        code, out, err = run("import", bad, *home, "--as-of", "2026-11-18", "--dry-run", *skip)
        assert code == 1 and done in out
    code, out, err = run("import", bad, *home, "--as-of", "2026-11-18", "--errors", tmp_path / "errors.csv")
    assert code == 1 and "NOT imported" in out and "line 4, phone" in err
    assert list(csv.reader((tmp_path / "errors.csv").read_text().splitlines()))[1][:2] == ["4", "phone"]
    worse = write(tmp_path / "worse.csv", [{**GOOD, "account": "B", "phone": "0"}])
    code, out, err = run("import", worse, *home, "--as-of", "2026-11-18", "--skip-bad-rows")
    assert code == 1 and "1 refused; NOT imported" in out
    code, out, _ = run("import", good, *home, "--as-of", "2026-11-18", "--json")
    assert (code, json.loads(out)["new"]) == (0, 2)

    code, out, _ = run("plan", file, *home, "--at", "2026-11-18T10:00:00+08:00", "--json")
    rows = json.loads(out)
    assert code == 0 and [row["account"] for row in rows] == ["A0", "A1"]
    assert rows[0]["at"].startswith("2026-11-18T10:00") and rows[0]["reason"] == ""
    assert rows[0]["number"] == "+86*********00"
    code, out, _ = run("plan", file, *home, "--at", "2026-11-18T23:00:00+08:00", "--json")
    row = json.loads(out)[0]
    assert row["at"] == "2026-11-19T08:00:00+08:00" and row["reason"] == "hours.outside" and row["clause"]
    shown = run("plan", file, *home, "--at", "2026-11-18T23:00:00+08:00")[1].strip()
    assert shown.endswith("2 debts: 0 may be called now, 2 later, 0 not")
    assert "2026-11-19 08:00 CST" in shown and "hours.outside" in shown  # in full, in a terminal of 80 columns
    assert run("status", *home)[:2] == (0, "no campaign yet\n")
    assert run("stop", "november", *home)[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("import", "missing.csv"), "missing.csv"),
        (("plan", "missing.yaml"), "missing.yaml"),
        (("status", "nobody"), "no campaign 'nobody'"),
        (("resolve", "x"), "--never-rang"),
        (("resolve", "x", "--never-rang"), "no such attempt"),
    ],
)
def test_unusable_input_is_one_line(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = run(*arguments, "--home", tmp_path / "home")
    assert (code, out) == (2, "")
    assert words in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": "a b"}, "name"),
        ({"caller_ids": {}}, "caller_ids"),
        ({"caller_ids": {"default": "10086"}}, "caller_ids"),
        ({"caller_ids": {"Beijing": "+861055550100"}}, "caller_ids"),
        ({"retry": {"stop_contact": {"after_minutes": 1}}}, "retry"),
        ({"retry": {"busy": {"after_minutes": 0}}}, "retry"),
        ({"trunk": {"channels": 0}}, "trunk.channels"),
        ({"select": {"min_days_past_due": 9, "max_days_past_due": 1}}, "select"),
        ({"webhooks": {"url": "ftp://x"}}, "webhooks.url"),
        ({"max_attempt": 3}, "max_attempt"),
    ],
)
def test_campaign_files_are_checked_whole(change: dict[str, Any], field: str) -> None:
    with pytest.raises(ConfigError, match=field):
        read_config({**CAMPAIGN, **change})


def test_plan_says_why_not(sqlite: Database) -> None:
    clock = Clock()
    borrower(sqlite, account="1")
    _, stopped = borrower(sqlite, "+8613800000092", account="2")
    borrower(sqlite, "+8613800000093", account="3", zone="Asia/Tokyo")
    borrower(sqlite, "+8613800000094", account="4", region="HK")
    with sqlite.write() as session:
        stop_person(session, stopped, "cease", clock())
    clock.forward(hours=11, minutes=30)  # 21:30 in Shanghai, 22:30 in Tokyo
    settings = config(caller_ids={"CN": "+861055550100"})
    before = [(row.account, row.reason, row.at is not None) for row in plan(sqlite, settings, clock())]
    assert before == [
        ("1", "", True),
        ("2", "contact.cease_requested", False),
        ("3", "hours.outside", True),
        ("4", "campaign.no_caller_id", False),
    ]
    number = set_up(sqlite, settings, clock(), start=True)
    (reserved,) = ledger(sqlite, clock).reserve(number, 9, "fake")
    assert reserved.debt_id == 1
    assert [row.state for row in plan(sqlite, settings, clock())] == ["live", "done", "waiting", "held"]


def test_setting_up_again_adds_only_what_is_new(database: Database) -> None:
    clock = Clock()
    borrower(database, account="1")
    number = set_up(database, config(), clock(), start=True)
    (reserved,) = ledger(database, clock).reserve(number, 9, "fake")
    assert isinstance(ledger(database, clock).dial(reserved.attempt_id), DialOrder)
    borrower(database, "+8613800000095", account="2")
    assert set_up(database, config(), clock(), start=True) == number
    assert [row.state for row in plan(database, config(), clock())] == ["live", "waiting"]
