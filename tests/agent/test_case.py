"""Case files: what is accepted, and one line for what is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent.case import CaseError, CaseFile, demo_case


def plain(**changes: Any) -> dict[str, Any]:
    case = demo_case("en")
    return {**case.facts(), "id_last4": case.id_last4, **changes}


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_round_trip(lang: Any, tmp_path: Path) -> None:
    case = demo_case(lang)
    path = tmp_path / "case.json"
    path.write_text(json.dumps({**case.facts(), "id_last4": case.id_last4, "plan_name": ""}), encoding="utf-8")
    assert CaseFile.load(path) == case


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"amount_due": "much"}, "amount_due"),
        ({"amount_due": 12.5}, "amount_due"),
        ({"amount_due": "NaN"}, "amount_due"),
        ({"amount_due": "0"}, "amount_due"),
        ({"amount_due": "1.005"}, "amount_due"),
        ({"min_payment": "9999"}, "min_payment"),
        ({"currency": "XYZ"}, "currency"),
        ({"days_past_due": "6"}, "days_past_due"),
        ({"days_past_due": -1}, "days_past_due"),
        ({"due_date": "yesterday"}, "due_date"),
        ({"id_last4": "40721"}, "id_last4"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../etc"}, "time_zone"),
        ({"borrower_name": " "}, "borrower_name"),
        ({"borrower_name": "a\nb"}, "borrower_name"),
        ({"borrower_name": "x" * 81}, "borrower_name"),
        ({"lender": 5}, "lender"),
        ({"plans": "one"}, "plans"),
        ({"lawsuit_filed": "no"}, "lawsuit_filed"),
        ({"call_back_number": "call me"}, "call_back_number"),
        ({"callback_time": "9"}, "callback_time"),
        ({"mood": "good"}, "mood"),
    ],
)
def test_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(CaseError, match=field) as caught:
        CaseFile.from_dict(plain(**changes))
    assert "\n" not in str(caught.value)


def test_missing_field() -> None:
    case = plain()
    del case["id_last4"]
    with pytest.raises(CaseError, match="'id_last4' is missing"):
        CaseFile.from_dict(case)


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_files_that_hold_no_case(tmp_path: Path, text: str) -> None:
    path = tmp_path / "case.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(CaseError):
        CaseFile.load(path)
    with pytest.raises(CaseError, match="No such file"):
        CaseFile.load(tmp_path / "gone.json")


def test_the_secret_is_no_fact() -> None:
    assert "4072" not in json.dumps(demo_case("en").facts())
