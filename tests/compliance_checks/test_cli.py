"""``callgate check``: JSON lines in, JSON lines out."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from compliance_checks import Gate
from compliance_checks.cli import run


def check(gate: Gate, *lines: Any, policy: str | None = None) -> tuple[int, list[dict[str, Any]], str]:
    source = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
    out, err = io.StringIO(), io.StringIO()
    status = run(io.StringIO(source), out, err, policy, gate)
    return status, [json.loads(line) for line in out.getvalue().splitlines()], err.getvalue()


GOOD = {"text": "您好，请问您方便吗？", "lang": "zh", "party": "unverified"}
BAD = {"text": "我们会报警抓你。", "lang": "zh", "party": "borrower"}


def test_all_allowed(gate: Gate) -> None:
    status, answers, err = check(gate, GOOD, "", GOOD)
    assert (status, err) == (0, "")
    assert [a["decision"] for a in answers] == ["allow", "allow"]
    assert answers[0]["text"] == GOOD["text"]
    assert answers[0]["rules"] == []


def test_a_violation_is_explained(gate: Gate) -> None:
    status, answers, _ = check(gate, GOOD, BAD)
    assert status == 1
    hit = answers[1]["rules"][0]
    assert hit.keys() >= {"id", "category", "clause", "start", "end"}
    assert BAD["text"][hit["start"] : hit["end"]]
    assert answers[1]["text"] == ""


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        "3",
        "{}",
        '{"text": 3, "lang": "zh", "party": "borrower"}',
        '{"text": "x", "lang": "fr", "party": "borrower"}',
        '{"text": "x", "lang": ["zh"], "party": "borrower"}',
        '{"text": "x", "lang": "zh", "party": "me"}',
        '{"text": "x", "lang": "zh", "party": "borrower", "facts": []}',
        '{"text": "x", "lang": "zh", "party": "borrower", "policy": 1}',
        "[" * 100_000,
    ],
)
def test_a_bad_line_is_named_and_the_next_is_read(gate: Gate, line: str) -> None:
    status, answers, err = check(gate, GOOD, line, BAD)
    assert status == 2
    assert answers[1].keys() == {"error", "line"}
    assert answers[1]["line"] == 2
    assert answers[2]["decision"] == "refuse"
    assert "line 2" in err
    assert err.count("\n") == 1


def test_policy_default_and_unknown(gate: Gate) -> None:
    _, answers, _ = check(gate, BAD, {**BAD, "policy": "us"}, policy="in")
    assert "RBI" in answers[0]["rules"][0]["clause"]
    assert "U.S.C." in answers[1]["rules"][0]["clause"]
    status, answers, _ = check(gate, {**GOOD, "policy": "moon"})
    assert status == 1
    assert answers[0]["rules"][0]["id"] == "gate.unknown_policy"


def test_lone_surrogates_do_not_break_the_stream(gate: Gate) -> None:
    status, answers, _ = check(gate, '{"text": "\\ud800您好", "lang": "zh", "party": "borrower"}', GOOD)
    assert status == 1
    assert [a["decision"] for a in answers] == ["refuse", "allow"]


def test_bytes_that_are_no_text_end_with_status_2(gate: Gate) -> None:
    broken = io.TextIOWrapper(io.BytesIO(b"\xff\xfe\n"), encoding="utf-8")
    out, err = io.StringIO(), io.StringIO()
    assert run(broken, out, err, None, gate) == 2
    assert "UTF-8" in out.getvalue()
