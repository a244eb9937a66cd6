"""Before the phone rings: contact hours, the script, the prompts; and the door for calls that were placed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

import scripts
from agent.case import CaseFile, demo_case
from agent.demo import daytime
from agent.desk import CallDesk, CallRefused
from agent.dialogue import Dialogue
from agent.errors import ConfigurationError
from agent.events import CallFacts, Lang, Proposed, Verdict
from agent.models import Models, load_models
from agent.settings import Settings
from agent.telephony.tokens import TokenRejected
from compliance_checks.gate import Gate
from scripts.errors import ScriptError


@pytest.fixture
def desk(gate: Gate, tmp_path: Path) -> Iterator[CallDesk]:
    unused = cast(Any, None)  # nothing here hears or understands
    desk = CallDesk(Settings(home=tmp_path / "home"), Models(unused, unused, gate))
    yield desk
    desk.close()


NIGHT = datetime(2026, 11, 21, 15, 30, tzinfo=UTC)  # 23:30 in Shanghai, 10:30 in New York


async def test_nobody_is_called_at_night_where_he_lives(desk: CallDesk) -> None:
    with pytest.raises(CallRefused, match="hours"):
        await desk.prepare(demo_case("zh"), "zh", at=NIGHT)
    call = await desk.prepare(demo_case("en"), "en", at=NIGHT)
    assert call.today.hour == 10


async def test_the_words_of_a_call_are_rendered_before_it(desk: CallDesk) -> None:
    case = demo_case("zh")
    call = await desk.prepare(case, "zh", at=daytime(case))
    assert desk.cache.misses > 40
    before = desk.cache.misses
    for proposed in call.dialogue.prerender():
        facts = CallFacts("zh", "borrower", call.policy, case.facts(), proposed.purposes)
        _, line = desk.models.gate.approve(proposed, facts)
        if line is not None:
            desk.cache.get(line, desk.style)
    assert desk.cache.misses == before


def printed(path: str) -> list[dict[str, Any]]:
    """The case files that a page of the documentation prints."""
    text = (Path(__file__).parents[2] / path).read_text(encoding="utf-8")
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.S) if "id_last4" in block]


@pytest.mark.parametrize("lang", ["zh", "en"])
async def test_the_case_of_the_documentation_can_be_called(desk: CallDesk, lang: Lang) -> None:
    """It says of no consequence that it is true: the lines that name one are not asked for, and none is refused."""
    (plain,) = printed("docs/lines/README.md")
    case = CaseFile.from_dict(plain)
    assert not case.credit_report_due
    call = await desk.prepare(case, lang, at=daytime(case))
    ready = {proposed.line_id for proposed in call.dialogue.prerender()}
    assert "details" in ready and "consequence_credit" not in ready
    threatened = Dialogue(call.script, replace(case, credit_report_due=True), call.today.date())
    assert {proposed.line_id for proposed in threatened.prerender()} - ready == {"consequence_credit"}


async def test_a_script_that_was_changed_after_its_approval_is_not_used(desk: CallDesk, tmp_path: Path) -> None:
    folder = tmp_path / "scripts"
    shutil.copytree(Path(scripts.__file__).parent / "en", folder / "en")
    path = folder / "en" / "days_1_15_reminder.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("Goodbye.", "Goodbye!"), encoding="utf-8")
    desk.settings = desk.settings.model_copy(update={"scripts": folder})
    with pytest.raises(ScriptError, match="changed after approval"):
        await desk.prepare(demo_case("en"), "en", at=NIGHT)


async def test_a_script_line_that_the_gate_refuses_stops_the_call_before_it_rings(
    desk: CallDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Gate.approve

    def strict(self: Gate, proposed: Proposed, facts: CallFacts, script: Any = None) -> Any:
        if proposed.line_id == "goodbye":
            return Verdict("refuse", ""), None
        return real(self, proposed, facts, script)

    monkeypatch.setattr(Gate, "approve", strict)
    with pytest.raises(ConfigurationError, match="'goodbye' is refused by the gate"):
        await desk.prepare(demo_case("en"), "en", at=NIGHT)


async def test_a_placed_call_is_claimed_once(desk: CallDesk) -> None:
    call = await desk.prepare(demo_case("en"), "en", at=NIGHT)
    token = desk.expect(call).rsplit("/", 1)[1]
    call_id = desk.tokens.redeem(token)
    assert desk.claim(call_id) is call
    assert desk.claim(call_id) is None
    with pytest.raises(TokenRejected):
        desk.tokens.redeem(token)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"whisper_model": "/no/such/folder"}, "/no/such/folder"),
        ({"understanding_model": Path("/no/such/model.npz")}, "/no/such/model.npz"),
        ({"packs": Path("/no/such/packs")}, "/no/such/packs"),
        ({"semantic_model": "/no/such/semantic.npz"}, "/no/such/semantic.npz"),
    ],
)
def test_a_missing_model_is_named(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_models(Settings(**setting))
