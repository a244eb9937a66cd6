"""The demo's world, and (slow) whole campaigns over real sockets."""

from __future__ import annotations

import asyncio
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.campaigning_demo import Town, demo_config, run_demo
from archive.database import Database
from campaigns.planning import plan


def test_the_town_moves_in_and_is_judged(sqlite: Database, tmp_path: Path) -> None:
    today = date(2026, 11, 18)
    now = datetime(2026, 11, 18, 21, 5, tzinfo=ZoneInfo("Asia/Shanghai"))
    refused: list[str] = []
    counts = Town(200, 1, today).move_in(sqlite, tmp_path / "files", now, refused)
    assert counts["new"] == 200 and counts["updates"] > 5 and len(refused) == 3
    rows = list(plan(sqlite, demo_config(8), now))
    why = {row.reason for row in rows}
    assert why >= {"", "hours.outside", "contact.cease_requested", "contact.attorney", "contact.pause.conversation"}
    assert sum(1 for row in rows if row.at is not None and not row.reason) > 140


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_small_campaign_over_real_sockets(tmp_path: Path) -> None:
    report = asyncio.run(run_demo(5, 2, 1, tmp_path / "home"))
    assert report.lawful, report.as_json()
    assert report.imported["new"] == 5 and report.status.attempts >= 4
    assert report.status.contacted >= 2
    assert sum(report.status.outcomes.values()) == report.status.attempts
    assert report.status.live == {}
