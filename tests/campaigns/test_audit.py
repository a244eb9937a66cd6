"""Calls judged again: what was outside the rules then is found, what became true later is not held against them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml
from typer.testing import CliRunner
from world import MORNING, Clock, borrower, campaign, config, ledger

from archive.database import Database
from campaigns.audit import audit
from campaigns.cli import app
from campaigns.errors import ConfigError
from campaigns.ledger import Ledger
from campaigns.models import Attempt
from campaigns.provider import DialOrder
from campaigns.refused import refused
from campaigns.rules import ContactRules
from campaigns.settling import CallResult, Settling
from campaigns.status import status
from campaigns.store import open_campaigns
from compliance_checks.policy import Policies

PACK = """
id: late-shift
jurisdiction: late-shift
level: lender
extends: cn
title: {zh: 晚班, en: Late shift}
source: s
source_kind: house
review: needs_review
contact:
  hours:
    cite: "the lender's own instruction"
    allowed: {start: "11:00", end: "18:00"}
    refuse: [{at: "2026-11-20 10:00", zones: [Asia/Shanghai]}]
    allow: [{at: "2026-11-20 12:00", zones: [Asia/Shanghai]}]
"""


def dialled(made: Ledger, clock: Clock, campaign_id: int, outcome: CallResult) -> str:
    (reserved,) = made.reserve(campaign_id, 1, "fake")
    order = made.dial(reserved.attempt_id)
    assert isinstance(order, DialOrder)
    settling = Settling(made.database, clock)
    settling.progress("answered", attempt_id=order.attempt_id)
    clock.forward(minutes=2)
    settling.progress("ended", attempt_id=order.attempt_id)
    settling.settle(order.attempt_id, outcome)
    return order.attempt_id


@pytest.mark.parametrize(
    "result",
    [
        CallResult("disputed", restrictions=("dispute_debt",)),
        CallResult("stop_contact", restrictions=("stop_contact",)),
        CallResult("refused", restrictions=("legal_representation",), verified=True),
        CallResult("crisis_handoff"),
        CallResult("promise_to_pay", verified=True),
    ],
)
def test_what_the_call_itself_brought_up_is_not_held_against_it(sqlite: Database, result: CallResult) -> None:
    clock = Clock()
    borrower(sqlite)
    made = ledger(sqlite, clock)
    dialled(made, clock, campaign(sqlite, clock), result)
    found = audit(sqlite, config().name)
    assert (found.dials, found.outside, found.overlaps) == (1, {}, 0) and found.clean
    assert found.changed == (0 if result.outcome == "promise_to_pay" else 1)


def test_a_call_outside_the_hours_and_two_at_a_time_are_found(sqlite: Database) -> None:
    clock = Clock()
    borrower(sqlite)
    made = ledger(sqlite, clock)
    attempt_id = dialled(made, clock, campaign(sqlite, clock), CallResult("hung_up"))
    with sqlite.write() as session:  # as if somebody had dialled by another way
        attempt = session.get_one(Attempt, attempt_id)
        night = attempt.dialing_at
        assert night is not None
        attempt.dialing_at, attempt.ended_at = night + timedelta(hours=14), night + timedelta(hours=15)
        again = {c.name: getattr(attempt, c.name) for c in Attempt.__table__.columns}
        session.add(Attempt(**{**again, "id": "other", "n": 2, "dialing_at": attempt.dialing_at}))
    found = audit(sqlite, config().name)
    assert found.outside.get("hours.outside") == 2 and found.overlaps == 1 and not found.clean
    with pytest.raises(ConfigError, match="no campaign"):
        audit(sqlite, "nobody")


def test_right_party_is_who_has_shown_it(sqlite: Database) -> None:
    clock = Clock()
    made = ledger(sqlite, clock)
    for n in range(3):
        borrower(sqlite, f"+861380000000{n}")
    campaign_id = campaign(sqlite, clock)
    dialled(made, clock, campaign_id, CallResult("human_handoff"))
    dialled(made, clock, campaign_id, CallResult("human_handoff", verified=True))
    dialled(made, clock, campaign_id, CallResult("third_party_reached"))
    found = status(sqlite, config().name, clock())
    assert (found.contacted, found.reached) == (3, 1)


def test_why_contacts_are_refused_in_words(sqlite: Database) -> None:
    clock = Clock()
    made = ledger(sqlite, clock)
    borrower(sqlite, "+8613800000001")
    borrower(sqlite, "+12125550100", zone="America/New_York", lang="en", region="US-NY", consents=("robot_call",))
    borrower(sqlite, "+8613800000003")
    campaign_id = campaign(sqlite, clock)
    dialled(made, clock, campaign_id, CallResult("wrong_number"))
    made.reserve(campaign_id, 5, "fake")
    found = {each.rule: each for each in refused(sqlite, config().name, ContactRules(), clock())}
    hours = found["hours.outside"]
    assert hours.contacts == 1 and "hours" in hours.why and hours.clause
    assert found["contact.no_number"].contacts == 1 and found["contact.no_number"].why
    assert "wrong_number" not in found, "an outcome is no rule"
    zh = {each.rule: each.why for each in refused(sqlite, config().name, ContactRules(), clock(), "zh")}
    assert zh["hours.outside"] != hours.why


@pytest.fixture
def lender(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A home with one debt, a campaign under the lender's own pack, and the folder of that pack."""
    packs, home, file = tmp_path / "packs", tmp_path / "home", tmp_path / "c.yaml"
    packs.mkdir()
    (packs / "late-shift.yaml").write_text(PACK, "utf-8")
    plain = config(policies={"zh": "late-shift"}).plain()
    file.write_text(yaml.safe_dump({key: value for key, value in plain.items() if value is not None}), "utf-8")
    home.mkdir()
    database = open_campaigns(f"sqlite:///{home / 'archive.db'}")
    borrower(database)
    database.close()
    return packs, home, file


AT = "2026-11-18T09:30:00+08:00"


def test_plan_judges_by_the_lenders_own_packs(lender: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    packs, home, file = lender
    base = ["plan", str(file), "--at", AT, "--home", str(home), "--json"]
    without = CliRunner().invoke(app, base)
    assert without.exit_code == 2 and "policies.zh: unknown policy 'late-shift'" in without.output
    given = CliRunner().invoke(app, [*base, "--packs", str(packs)])
    monkeypatch.setenv("CALLGATE_PACKS", str(packs))
    for result in (given, CliRunner().invoke(app, base)):
        assert result.exit_code == 0, result.output
        (row,) = json.loads(result.output)
        assert (row["at"], row["reason"]) == ("2026-11-18T11:00:00+08:00", "hours.outside")
    monkeypatch.setenv("CALLGATE_PACKS", str(home / "nothing"))
    gone = CliRunner().invoke(app, base)
    assert gone.exit_code == 2 and "is no folder of packs" in gone.output


def test_audit_judges_by_the_lenders_own_packs(lender: tuple[Path, Path, Path]) -> None:
    packs, home, _ = lender
    database = open_campaigns(f"sqlite:///{home / 'archive.db'}")
    clock = Clock()
    rules = ContactRules(Policies(overlays_dir=packs))
    clock.now = MORNING.replace(hour=3, minute=30)
    campaign_id = campaign(database, clock, policies={"zh": "late-shift"})
    made = Ledger(database, "one", clock=clock, rules=rules)
    made.beat()
    dialled(made, clock, campaign_id, CallResult("promise_to_pay", verified=True))
    with database.write() as session:
        session.execute(sa.update(Attempt).values(dialing_at=MORNING.replace(hour=2)))
    database.close()
    base = ["audit", config().name, "--home", str(home)]
    result = CliRunner().invoke(app, [*base, "--packs", str(packs), "--json"])
    assert result.exit_code == 1 and json.loads(result.output)["outside"] == {"hours.outside": 1}
    assert CliRunner().invoke(app, base).exit_code == 1, "without the pack nothing can be judged: refused"
    assert CliRunner().invoke(app, ["audit", "nobody", "--home", str(home)]).exit_code == 2
