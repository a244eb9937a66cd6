"""Contact hours in the borrower's own time zone: what one clock, or several, allow."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from compliance_checks import may_call


def at(zone: str, hour: int, minute: int = 0, day: int = 20) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("policy", "zone", "hour", "minute", "decision"),
    [
        ("cn", "Asia/Shanghai", 7, 59, "refuse"),
        ("cn", "Asia/Shanghai", 8, 0, "allow"),
        ("cn", "Asia/Shanghai", 21, 59, "allow"),
        ("cn", "Asia/Shanghai", 22, 0, "refuse"),
        ("cn+cn-house", "Asia/Shanghai", 20, 0, "refuse"),
        ("cn-house", "Asia/Shanghai", 19, 59, "allow"),
        ("us", "America/New_York", 20, 59, "allow"),
        ("us", "America/New_York", 21, 0, "refuse"),
        ("in", "Asia/Kolkata", 18, 59, "allow"),
        ("in", "Asia/Kolkata", 19, 0, "refuse"),
        ("uk", "Europe/London", 20, 0, "allow"),
        ("uk", "Europe/London", 23, 0, "refuse"),
        ("uk+cn", "Europe/London", 21, 30, "refuse"),  # silence of one is no leave of the other
        ("eu-ai-act", "Europe/Paris", 20, 59, "allow"),
        ("eu-ai-act", "Europe/Paris", 21, 0, "refuse"),
        ("us+in", "Asia/Kolkata", 20, 0, "refuse"),
        ("us+eu-ai-act", "America/Chicago", 20, 0, "allow"),
    ],
)
def test_windows(policy: str, zone: str, hour: int, minute: int, decision: str) -> None:
    assert may_call(at(zone, hour, minute), zone, policy).decision == decision


def test_the_clock_is_the_borrowers() -> None:
    now = datetime(2026, 11, 20, 13, 30, tzinfo=UTC)
    assert may_call(now, "Asia/Shanghai", "cn").decision == "allow"
    assert may_call(now, "Asia/Tokyo", "cn").decision == "refuse"


def test_house_overlay_keeps_workdays() -> None:
    saturday = at("Asia/Shanghai", 10, day=21)
    assert may_call(saturday, "Asia/Shanghai", "cn").decision == "allow"
    assert may_call(saturday, "Asia/Shanghai", "cn+cn-house").rules[0].id == "hours.not_a_workday"
    new_year = datetime(2026, 1, 1, 10, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert may_call(new_year, "Asia/Shanghai", "cn-house").rules[0].id == "hours.not_a_workday"
    # A Saturday that makes up for the National Day holiday is a workday.
    made_up = datetime(2026, 10, 10, 10, tzinfo=ZoneInfo("Asia/Shanghai"))
    assert made_up.weekday() == 5
    assert may_call(made_up, "Asia/Shanghai", "cn-house").decision == "allow"


def test_unknowns_are_refused() -> None:
    now = at("Asia/Shanghai", 10)
    assert may_call(now.replace(tzinfo=None), "Asia/Shanghai", "cn").rules[0].id == "hours.naive_time"
    for zone in ("Mars/Olympus", "", "../etc/passwd", None, "Asia"):
        assert may_call(now, zone, "cn").rules[0].id == "hours.unknown_zone"  # type: ignore[arg-type]
    assert may_call(now, "Asia/Shanghai", "moon").rules[0].id == "hours.unknown_policy"


def test_every_refusal_says_why_in_both_languages() -> None:
    hit = may_call(at("Asia/Shanghai", 23), "Asia/Shanghai", "cn").rules[0]
    assert (hit.id, hit.category, hit.review) == ("hours.outside", "hours", "needs_review")
    assert "GB/T 45251-2025" in hit.clause
    assert hit.explanation["zh"]
    assert hit.explanation["en"]
