"""When a softphone's call is held: by the dialer's contact rules, for somebody who called us."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa

from agent.call import _handed_over
from agent.case import demo_case
from agent.desk import CallDesk, CallRefused, PreparedCall
from agent.live import CallOutcome, News
from agent.models import Models
from agent.settings import Settings
from agent.softphone import Softphone, _Call, caller
from archive.writer import CallArchive, NewCall
from compliance_checks.contact import may_dial
from compliance_checks.gate import Gate
from tests.agent.test_call import Broken
from tests.agent.test_following import Beeper

SCRIPT = "days_1_15_reminder"
NIGHT, MORNING = datetime(2026, 11, 17, 18, 0, tzinfo=UTC), datetime(2026, 11, 18, 2, 0, tzinfo=UTC)
"""Two and ten in the morning of a Wednesday in Shanghai."""


@pytest.fixture
def desk(gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CallDesk]:
    monkeypatch.setattr("agent.desk.EspeakSpeaker", Beeper)
    desk = CallDesk(Settings(home=tmp_path / "home"), Models(cast(Any, Broken()), cast(Any, None), gate))
    yield desk
    desk.close()


async def test_by_day_now_and_at_night_as_if_at_the_next_lawful_moment(desk: CallDesk) -> None:
    case = demo_case("zh")
    call, rule = await Softphone(desk)._prepared(case, "zh", SCRIPT, MORNING)
    assert (call.at, rule) == (MORNING, None)
    call, rule = await Softphone(desk)._prepared(case, "zh", SCRIPT, NIGHT)
    assert rule is not None and rule.startswith("hours.outside")
    assert call.at == datetime(2026, 11, 18, 0, 0, tzinfo=UTC), "eight o'clock in Shanghai"
    verdict = may_dial(call.at, caller(case), (), call.policy, lang="zh", policies=desk.models.gate.policies)
    assert verdict.decision == "allow", "the dialer would dial then"


async def test_a_consent_that_only_the_caller_can_have_given_is_there(gate: Gate) -> None:
    case = demo_case("en")
    noon = datetime(2026, 11, 18, 18, 0, tzinfo=UTC)
    assert may_dial(noon, caller(case), (), "us+us-tcpa", lang="en", policies=gate.policies).decision == "allow"
    night = datetime(2026, 11, 18, 8, 0, tzinfo=UTC)
    assert may_dial(night, caller(case), (), "us+us-tcpa", lang="en", policies=gate.policies).decision == "refuse"


async def test_where_waiting_does_not_help_the_rule_is_told(desk: CallDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.softphone.next_allowed", lambda *_, **__: None)
    with pytest.raises(CallRefused, match=r"hours\.outside"):
        await Softphone(desk)._prepared(demo_case("zh"), "zh", SCRIPT, NIGHT)


class NoBrowser:
    """A line that was connected and is told things."""

    def __init__(self) -> None:
        self.told: list[str] = []

    async def connected(self) -> None:
        return None

    def tell(self, message: dict[str, Any]) -> None:
        self.told.append(message["type"])

    async def hang_up(self, reason: str) -> None:
        self.told.append(reason)


@pytest.mark.parametrize("asks", [True, False])
async def test_a_hand_over_that_nobody_can_take_is_a_task(
    desk: CallDesk, monkeypatch: pytest.MonkeyPatch, asks: bool
) -> None:
    """The person was told that a human comes: the call is flagged as one that nobody took, and not before."""
    call, _ = await Softphone(desk)._prepared(demo_case("en"), "en", SCRIPT, datetime(2026, 11, 18, 18, 0, tzinfo=UTC))

    async def run(desk: CallDesk, call: PreparedCall, line: Any) -> CallOutcome:
        archive = CallArchive.begin(desk.database, desk.layout.home, NewCall(lang=call.lang, id=call.call_id))
        assert call.listener is not None
        call.listener(News("event", 1.0, text="promise_recorded"))
        assert call.hand_over is None, "no supervisor is offered what cannot be done"
        if asks:
            call.listener(News("event", 2.0, text="transfer_requested"))
            follow = SimpleNamespace(closed=None, state=None, transfer="request_human")
            live = SimpleNamespace(call=call, follow=follow, archive=archive, desk=desk)
            assert not await _handed_over(cast(Any, live)), "the line is then hung up, as ever"
        archive.finish("human_handoff" if asks else "refused", None)
        archive.close()
        return CallOutcome(
            call.call_id, "human_handoff" if asks else "refused", None, (), Path(), Path(), 3.0, None, None, (), False
        )

    monkeypatch.setattr("agent.softphone.run_call", run)
    entry = _Call("operator", None)
    await Softphone(desk)._run(call, entry, cast(Any, NoBrowser()))
    assert entry.disposition == ("human_handoff" if asks else "refused")
    with desk.database.read() as session:
        flags = session.execute(sa.text("SELECT reason, severity FROM flags")).all()
        failed = session.scalar(sa.text("SELECT count(*) FROM events WHERE kind = 'transfer_failed'"))
    assert [tuple(row) for row in flags] == ([("transfer failed", "critical")] if asks else [])
    assert failed == asks
