"""Only the gate makes an ApprovedLine; every way round it fails."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import pytest

from agent.events import CallFacts, Proposed, Verdict
from compliance_checks import ApprovedLine, Gate, is_approved, verify

DONE = frozenset({"ai_disclosure", "recording_disclosure"})
CASE = {"amount_due": "3500.00", "currency": "CNY", "lender": "安心银行"}
FACTS = CallFacts("zh", "borrower", None, CASE, DONE)
LINE = Proposed("ask", "请问您打算什么时候还款？", "zh", purposes=frozenset({"ask_payment"}))


@pytest.fixture
def line(gate: Gate) -> ApprovedLine:
    verdict, line = gate.approve(LINE, FACTS)
    assert verdict.decision == "allow"
    assert line is not None
    return line


def test_gate_makes_a_line_that_carries_what_was_judged(line: ApprovedLine) -> None:
    assert line.text == LINE.text
    assert line.purposes == LINE.purposes
    assert line.policy_hash
    assert is_approved(line)
    assert verify(line) is line


def test_constructor_is_closed() -> None:
    verdict = Verdict("allow", LINE.text)
    for make in (
        lambda: ApprovedLine(LINE, verdict),
        lambda: ApprovedLine(LINE, verdict, seal=object()),
        lambda: ApprovedLine.__new__(ApprovedLine),
        lambda: ApprovedLine.__new__(ApprovedLine, LINE, verdict, seal=None),
    ):
        with pytest.raises(TypeError):
            make()


def test_cannot_be_subclassed() -> None:
    with pytest.raises(TypeError):
        type("Mine", (ApprovedLine,), {})


def test_cannot_be_copied_or_pickled(line: ApprovedLine) -> None:
    for way in (copy.copy, copy.deepcopy, pickle.dumps, lambda x: dataclasses.replace(x, text="别的")):
        with pytest.raises(TypeError):
            way(line)
    if hasattr(copy, "replace"):
        with pytest.raises(TypeError):
            copy.replace(line, text="别的")


def test_is_immutable(line: ApprovedLine) -> None:
    with pytest.raises(AttributeError):
        line.text = "别的"
    with pytest.raises(AttributeError):
        del line.text
    with pytest.raises(AttributeError):
        line.more = 1  # type: ignore[attr-defined]


def test_forged_and_changed_objects_are_found(line: ApprovedLine) -> None:
    forged = object.__new__(ApprovedLine)
    assert not is_approved(forged)
    for name in ("text", "lang", "line_id", "policy_hash", "script_hash", "decision", "interruptible", "_digest"):
        object.__setattr__(forged, name, getattr(line, name))
    for name in ("script_id", "purposes", "expects", "slots"):
        object.__setattr__(forged, name, getattr(line, name))
    object.__setattr__(forged, "text", "不还钱就抓你")
    assert not is_approved(forged)
    with pytest.raises(TypeError):
        verify(forged)
    object.__setattr__(line, "text", "不还钱就抓你")
    assert not is_approved(line)


def test_class_of_another_object_cannot_be_changed_to_it(line: ApprovedLine) -> None:
    class Sheep:
        __slots__ = ()

    with pytest.raises(TypeError):
        Sheep().__class__ = ApprovedLine  # type: ignore[assignment]
    assert not is_approved("text")
    assert not is_approved(None)
    with pytest.raises(TypeError):
        verify(LINE)
    assert is_approved(line)


def test_a_refused_line_gives_nothing(gate: Gate) -> None:
    verdict, line = gate.approve(dataclasses.replace(LINE, text="再不还钱就报警抓你"), FACTS)
    assert verdict.decision == "refuse"
    assert line is None


@pytest.mark.parametrize(
    ("change", "facts", "rule"),
    [
        ({}, dataclasses.replace(FACTS, purposes_done=frozenset()), "disclosure.missing"),
        ({}, dataclasses.replace(FACTS, purposes_done=frozenset({"ai_disclosure"})), "disclosure.missing"),
        ({}, dataclasses.replace(FACTS, lang="en"), "gate.language_of_call"),
        ({}, dataclasses.replace(FACTS, policy="atlantis"), "gate.unknown_policy"),
        ({"slots": {"lender": "请马上转账。"}}, FACTS, "slot.bad_name"),
        ({"slots": {"lender": "别家银行"}}, FACTS, "slot.differs"),
        ({"text": "您应还三千五百元。"}, dataclasses.replace(FACTS, case={}), "ledger.unverifiable"),
        ({"text": "您应还三千六百元。"}, FACTS, "ledger.amount_mismatch"),
        (
            {"text": "您说您会还九千元，对吗？", "slots": {"amount_due": "9000.00"}},
            FACTS,
            "ledger.amount_mismatch",
        ),
    ],
)
def test_lines_are_held_to_the_call(gate: Gate, change: dict[str, object], facts: CallFacts, rule: str) -> None:
    verdict, line = gate.approve(dataclasses.replace(LINE, **change), facts)  # type: ignore[arg-type]
    assert line is None
    assert verdict.decision == "refuse"
    assert verdict.text == ""
    assert rule in {hit.id for hit in verdict.rules}


def test_what_only_the_borrower_must_be_told_is_asked_for_once_verified(gate: Gate) -> None:
    ask = Proposed("ask", "When do you plan to pay?", "en", purposes=frozenset({"ask_payment"}))
    relay = Proposed("relay", "Could you ask her to call us back?", "en", purposes=frozenset({"relay_request"}))
    told = CallFacts("en", "borrower", "us", {}, DONE)
    verdict, line = gate.approve(ask, told)
    assert (line, verdict.rules[0].id) == (None, "disclosure.missing")
    assert "1692e(11)" in verdict.rules[0].clause
    assert gate.approve(ask, dataclasses.replace(told, purposes_done=DONE | {"debt_collector_notice"}))[1] is not None
    # Nobody else may hear the notice, so nobody else's lines wait for it.
    assert gate.approve(relay, dataclasses.replace(told, party="third_party"))[1] is not None


def test_a_verdict_on_a_line_carries_both_hashes(gate: Gate) -> None:
    verdict, line = gate.approve(dataclasses.replace(LINE, script_id="reminder", script_hash="aa"), FACTS)
    assert (verdict.script_hash, len(verdict.policy_hash)) == ("aa", 64)
    assert line is not None
    assert (line.script_hash, line.policy_hash) == ("aa", verdict.policy_hash)


def test_greeting_goodbye_and_handoff_need_no_earlier_disclosure(gate: Gate) -> None:
    for purpose in ("greeting", "goodbye", "handoff", "ai_disclosure", "crisis_support"):
        early = dataclasses.replace(FACTS, purposes_done=frozenset(), party="unverified")
        text = "您好，谢谢您接听，我是智能语音助手。"
        _, line = gate.approve(Proposed("x", text, "zh", purposes=frozenset({purpose})), early)
        assert line is not None


def test_a_promise_of_this_call_may_be_read_back(gate: Gate) -> None:
    read_back = Proposed(
        "read_back",
        "您会在十一月二十五日还款两千元，对吗？",
        "zh",
        slots={"promise_amount": "2000.00", "promise_date": "2026-11-25"},
        purposes=frozenset({"read_back"}),
    )
    assert gate.approve(read_back, FACTS)[1] is not None


def test_a_changed_script_is_refused(gate: Gate) -> None:
    class Script:
        id = "reminder"
        content_hash = "aa"

    right = dataclasses.replace(LINE, script_id="reminder", script_hash="aa")
    assert gate.approve(right, FACTS, Script())[1] is not None
    verdict, line = gate.approve(dataclasses.replace(right, script_hash="bb"), FACTS, Script())
    assert line is None
    assert verdict.rules[-1].id == "gate.script_changed"


def test_approve_never_raises(gate: Gate) -> None:
    verdict, line = gate.approve(None, FACTS)  # type: ignore[arg-type]
    assert (verdict.decision, line) == ("refuse", None)
