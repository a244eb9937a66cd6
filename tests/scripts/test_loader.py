"""The loader refuses what is unapproved, expired, changed or malformed, each time in one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from scripts.errors import MalformedScriptError, ScriptError, UnapprovedScriptError, UnreadableScriptError
from scripts.loader import add_approval, content_hash, find_scripts, load_script, parse, read_raw, resolve_path
from scripts.schema import EVENTS, FLOORS, INTENTS, Approval
from sentiment import labels

NOW = datetime(2026, 11, 22, tzinfo=UTC)
ROOT = Path(__file__).parents[2] / "scripts"
BOTH = [ROOT / lang / "days_1_15_reminder.yaml" for lang in ("zh", "en")]
RAW: dict[str, Any] = read_raw(BOTH[1])


def write(tmp_path: Path, raw: dict[str, Any]) -> Path:
    path = tmp_path / "script.yaml"
    path.write_text(json.dumps(raw, default=str), encoding="utf-8")  # JSON is YAML, and quick to write
    return path


def broken(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> str:
    raw = copy.deepcopy(RAW)
    change(raw)
    with pytest.raises(ScriptError) as caught:
        load_script(write(tmp_path, raw), "en", NOW)
    message = str(caught.value)
    assert "\n" not in message and "script.yaml" in message
    return message


@pytest.mark.parametrize("path", BOTH, ids=["zh", "en"])
def test_shipped_scripts_are_approved_by_two_people(path: Path) -> None:
    script = load_script(path, None, NOW)
    assert script.content_hash == content_hash(read_raw(path))
    assert len({approval.who for approval in script.approvals}) == 2
    assert path in find_scripts()
    assert resolve_path("days_1_15_reminder", script.lang) == path


def test_both_languages_have_the_same_structure() -> None:
    zh, en = (parse(path).content for path in BOTH)
    assert zh.states.keys() == en.states.keys()
    assert zh.slots == en.slots and zh.limits == en.limits and zh.common == en.common and zh.floors == en.floors
    for name in zh.states:
        assert zh.states[name].hears.keys() == en.states[name].hears.keys(), name
    assert en.lines.keys() - zh.lines.keys() == {"debt_notice"}
    for line_id in zh.lines:
        assert zh.lines[line_id].purposes == en.lines[line_id].purposes, line_id
        assert zh.lines[line_id].slots() == en.lines[line_id].slots(), line_id
        assert zh.lines[line_id].expects == en.lines[line_id].expects, line_id


def test_the_intents_are_those_of_the_label_set() -> None:
    assert set(labels.INTENTS) == set(INTENTS)
    assert not set(INTENTS) & set(EVENTS) and set(FLOORS) <= set(INTENTS)


# -- approvals -------------------------------------------------------------------------------------------------


def test_unapproved(tmp_path: Path) -> None:
    assert "not approved" in broken(tmp_path, lambda raw: raw.pop("approvals"))


def test_one_approver_is_not_enough(tmp_path: Path) -> None:
    assert "needs 2 different people, has 1" in broken(tmp_path, lambda raw: raw["approvals"].pop())


def test_the_same_person_twice_is_one_person(tmp_path: Path) -> None:
    def twice(raw: dict[str, Any]) -> None:
        raw["approvals"][1] = {**raw["approvals"][0], "who": raw["approvals"][0]["who"].upper() + " "}

    assert "has 1" in broken(tmp_path, twice)


def test_two_people_of_one_role_are_not_enough(tmp_path: Path) -> None:
    def one_desk(raw: dict[str, Any]) -> None:
        raw["approvals"][1]["role"] = f" {raw['approvals'][0]['role'].upper()}"

    assert "needs 2 different roles, has compliance alone" in broken(tmp_path, one_desk)


def test_the_two_must_differ_in_person_and_in_role(tmp_path: Path) -> None:
    """One person in two roles, and a colleague of one of the roles: one pair differs in both."""
    raw = copy.deepcopy(RAW)
    first = raw["approvals"][0]
    raw["approvals"] = [first, {**first, "role": "legal"}]
    with pytest.raises(UnapprovedScriptError, match="has 1"):
        load_script(write(tmp_path, raw), "en", NOW)
    raw["approvals"].append({**first, "who": "second@example.org"})
    assert load_script(write(tmp_path, raw), "en", NOW)


def test_expired(tmp_path: Path) -> None:
    path = write(tmp_path, copy.deepcopy(RAW))
    assert load_script(path, "en", datetime(2028, 11, 20, tzinfo=UTC))
    with pytest.raises(UnapprovedScriptError, match="approval expired"):
        load_script(path, "en", datetime(2028, 11, 21, tzinfo=UTC))


@pytest.mark.parametrize(
    "change",
    [
        lambda raw: raw["lines"]["goodbye"].update(text="Goodbye now."),
        lambda raw: raw["lines"]["disclosure"].update(interruptible=True),
        lambda raw: raw.update(version=2),
        lambda raw: raw["limits"].update(max_promise_days=31),
        lambda raw: raw["states"]["verify"].update(silence_s=9),
    ],
)
def test_changed_after_approval(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    assert "changed after approval" in broken(tmp_path, change)


def test_order_and_layout_are_no_change(tmp_path: Path) -> None:
    raw = copy.deepcopy(RAW)
    raw["lines"] = dict(reversed(list(raw["lines"].items())))
    assert load_script(write(tmp_path, raw), "en", NOW).content_hash == content_hash(RAW)


def test_approving_keeps_the_content_and_drops_stale_approvals(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    text = BOTH[1].read_text(encoding="utf-8").replace("Thank you for your time. Goodbye.", "Thank you. Goodbye.")
    path.write_text(text, encoding="utf-8")
    for who, role in (("a@example.org", "legal"), ("b@example.org", "compliance")):
        with pytest.raises(UnapprovedScriptError):
            load_script(path, "en", NOW)
        digest = parse(path).content_hash
        add_approval(path, Approval(who=who, role=role, at=NOW, expires=NOW + timedelta(days=30), content_hash=digest))
    script = load_script(path, "en", NOW)
    assert [approval.who for approval in script.approvals] == ["a@example.org", "b@example.org"]
    assert (
        path.read_text(encoding="utf-8").partition("\napprovals:")[0].rstrip()
        == text.partition("\napprovals:")[0].rstrip()
    )


def test_an_approval_of_other_content_is_not_written(tmp_path: Path) -> None:
    path = write(tmp_path, copy.deepcopy(RAW))
    before = path.read_bytes()
    with pytest.raises(UnapprovedScriptError):
        add_approval(
            path,
            Approval(who="a@example.org", role="legal", at=NOW, expires=NOW + timedelta(days=1), content_hash="0" * 64),
        )
    assert path.read_bytes() == before


# -- malformed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: r.update(start="nowhere"), "start: unknown state 'nowhere'"),
        (lambda r: r["states"]["verify"].update(prompt="nothing"), "unknown line 'nothing'"),
        (lambda r: r["states"]["identity"]["hears"]["deny"].update(to="limbo"), "unknown state 'limbo'"),
        (lambda r: r["states"]["identity"]["hears"].update(shrug={"to": "verify"}), "unknown intent 'shrug'"),
        (lambda r: r["lines"]["ask_name"].update(text="Is that {nickname}?"), "unknown slot 'nickname'"),
        (lambda r: r["lines"]["ask_name"].update(text="Is that {Alex}?"), "stray brace"),
        (lambda r: r["lines"]["ask_name"].update(purposes=["charm"]), "unknown purpose 'charm'"),
        (lambda r: r["lines"]["ask_name"].update(text="well " * 60), "s to speak"),
        (lambda r: r["lines"].update(spare={"text": "Never."}), "'spare' is never said"),
        (lambda r: r["states"].update(island={"party": "borrower"}), "'island' cannot be reached"),
        (lambda r: r["floors"].pop("crisis"), "floors: 'crisis' is missing"),
        (lambda r: r["floors"]["crisis"].pop("transfer"), "must hand over at once"),
        (lambda r: r["floors"]["crisis"]["transfer"].update(urgent=False), "must hand over at once"),
        (lambda r: r["floors"]["request_human"].pop("transfer"), "must hand over to a human"),
        (lambda r: r["floors"]["stop_contact"].pop("restrict"), "must restrict contact"),
        (lambda r: r["floors"]["dispute_debt"].pop("end"), "must restrict contact"),
        (
            lambda r: r["states"]["last_ask"]["hears"].update(
                dispute_debt={"restrict": "dispute_debt", "say": "ask_when", "end": "disputed"}
            ),
            "must restrict contact",
        ),
        (lambda r: r["floors"]["ask_if_robot"].update(say="who_unverified"), "must tell the truth first"),
        (lambda r: r["floors"].update(abuse={"say": "abuse_calm"}), "de-escalate once"),
        (lambda r: r["floors"].update(hardship={"say": "hardship_listen"}), "floor broken"),
        (lambda r: r["floors"].update(third_party={"party": "third_party", "to": "relay"}), "relay request twice"),
        (
            lambda r: r["states"]["confirm_promise"]["hears"].update(stop_contact={"say": "promise_wrong"}),
            "state 'confirm_promise' on 'stop_contact': floor broken",
        ),
        (
            lambda r: r["states"]["identity"]["hears"].update(confirm_identity={"to": "ask_payment"}),
            "is not for the party 'unverified'",
        ),
        (
            lambda r: r["states"]["identity"]["hears"].update(
                confirm_identity={"party": "borrower", "to": "ask_payment"}
            ),
            "only 'verify_ok' may make the party the borrower",
        ),
        (lambda r: r["states"]["verify"].update(prompt="reason_amount"), "tells the debt"),
        (lambda r: r["common"].update(ask_who={"say": "who_verified"}), "tells the debt"),
        (lambda r: r["states"]["relay"].update(prompt="details"), "tells the debt"),
        (lambda r: r["common"].pop("silence"), "'silence' is not answered"),
        (lambda r: r["common"].update(silence=[{"when": "first", "say": "silence_1"}]), "must be unconditional"),
        (lambda r: r["common"].update(silence={"when": "bored", "say": "silence_1"}), "unknown condition 'bored'"),
        (lambda r: r["common"].update(goodbye={"end": "happy"}), "common.goodbye"),
        (lambda r: r["common"].update(goodbye={"ends": "hung_up"}), "Extra inputs"),
        (lambda r: r.update(lang="fr"), "lang"),
        (lambda r: r.pop("slots"), "slots: Field required"),
        (lambda r: r["states"]["identity"]["hears"].update({"affirm | deny": {}}), "'deny' is answered twice"),
        (lambda r: r["approvals"][0].pop("who"), "who: Field required"),
        (lambda r: r["approvals"][0].update(at="2026-11-21T10:00:00"), "time zone"),
        (lambda r: r.update(approvals="yes"), "approvals must be a list"),
    ],
)
def test_malformed(tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str) -> None:
    assert message in broken(tmp_path, change)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a mapping"),
        ("- a\n- b\n", "must be a mapping"),
        ("id: [1, 2\n", "not YAML"),
        ("id: a\nid: b\n", "not YAML on line 2: key 'id' is given twice"),
        ("a: &x {b: 1}\nc: *x\n", "aliases are not allowed"),
        ("id: !!python/object/apply:os.system ['true']\n", "not YAML"),
        ("{[1, 2]: 3}\n", "a key must be plain text"),
        ("1: 2\n", "must be a mapping with named keys"),
    ],
)
def test_not_a_script(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "script.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UnreadableScriptError) as caught:
        load_script(path, None, NOW)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_not_text(tmp_path: Path) -> None:
    path = tmp_path / "script.yaml"
    path.write_bytes(b"id: \xff\xfe")
    with pytest.raises(UnreadableScriptError, match="not UTF-8 at byte 4"):
        load_script(path, None, NOW)
    path.write_bytes(b"a" * (1024 * 1024 + 1))
    with pytest.raises(UnreadableScriptError, match="larger than"):
        load_script(path, None, NOW)


def test_no_such_script(tmp_path: Path) -> None:
    with pytest.raises(UnreadableScriptError, match="no such script in zh"):
        load_script("days_16_30", "zh", NOW)
    with pytest.raises(UnreadableScriptError, match="exists in several languages"):
        load_script("days_1_15_reminder", None, NOW)
    with pytest.raises(UnreadableScriptError, match="No such file"):
        load_script(tmp_path / "gone.yaml", None, NOW)
    with pytest.raises(UnreadableScriptError, match="not a script id"):
        load_script("../secrets", "zh", NOW)
    with pytest.raises(MalformedScriptError, match="is in zh, not en"):
        load_script(BOTH[0], "en", NOW)
