"""Contact hours in the borrower's own time zone."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from compliance_checks import may_call
from compliance_checks.policy import PACKS, Policies, PolicyError, read_pack


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
        ("cn+cn-house", "Asia/Shanghai", 19, 59, "allow"),
        ("us", "America/New_York", 20, 59, "allow"),
        ("us", "America/New_York", 21, 0, "refuse"),
        ("in", "Asia/Kolkata", 18, 59, "allow"),
        ("in", "Asia/Kolkata", 19, 0, "refuse"),
        ("uk", "Europe/London", 20, 0, "allow"),
        ("uk", "Europe/London", 23, 0, "refuse"),
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
    assert may_call(new_year, "Asia/Shanghai", "cn+cn-house").rules[0].id == "hours.not_a_workday"


def test_unknowns_are_refused() -> None:
    now = at("Asia/Shanghai", 10)
    assert may_call(now.replace(tzinfo=None), "Asia/Shanghai", "cn").rules[0].id == "hours.naive_time"
    for zone in ("Mars/Olympus", "", "../etc/passwd", None, "Asia"):
        assert may_call(now, zone, "cn").rules[0].id == "hours.unknown_zone"  # type: ignore[arg-type]
    assert may_call(now, "Asia/Shanghai", "moon").rules[0].id == "hours.unknown_policy"


def test_every_pack_reads_and_states_its_review() -> None:
    ids = {read_pack(path).id for path in PACKS.glob("*.yaml")}
    assert ids >= {"cn-gbt45251", "cn-working-guide", "cn-house", "us-fdcpa", "uk-conc7", "in-rbi", "eu-ai-act"}
    policies = Policies()
    assert {p.id for p in policies.resolve("cn", "zh").packs} == {"callgate-floor", "cn-gbt45251", "cn-working-guide"}
    assert policies.resolve(None, "en").name == "us"
    assert policies.resolve("eu-ai-act", "en").disclosures == (
        "ai_disclosure",
        "recording_disclosure",
        "emotion_disclosure",
    )
    assert policies.resolve("cn", "zh").hash != policies.resolve("us", "zh").hash
    for name in ("", "callgate", "cn+", "CN", "cn+moon"):
        with pytest.raises(PolicyError):
            policies.resolve(name, "zh")


def test_a_bad_pack_is_named(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    for content in (
        "[]",
        "id: x",
        ": :",
        "id: x\njurisdiction: y\ntitle: {}\nsource: s\nsource_kind: k\nreview: maybe\nclauses: {}",
    ):
        bad.write_text(content, encoding="utf-8")
        with pytest.raises(PolicyError, match=r"bad\.yaml"):
            read_pack(bad)
    with pytest.raises(PolicyError, match="callgate-floor"):
        Policies(tmp_path / "none")
