"""Words that are numbers: an insult where they stand alone, part of an amount or a time where they are counted."""

from __future__ import annotations

import pytest

from agent.events import CallFacts
from compliance_checks.gate import Gate


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("你就是个二百五", False),
        ("你这个二百五还不还钱", False),
        ("真是个十三点", False),
        ("应还三千二百五十元", True),
        ("应还六万三千二百五十八元三角六分", True),
        ("每期二百五元", True),
        ("十三点半给您打电话", True),
    ],
)
def test_a_number_is_no_insult(gate: Gate, text: str, spoken: bool) -> None:
    verdict = gate.judge(text, CallFacts("zh", "borrower"))
    insulted = any(hit.category == "insult" for hit in verdict.rules)
    assert insulted is not spoken
