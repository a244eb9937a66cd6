"""Before the borrower is verified, and to anyone else, the very existence of a debt is a leak.

Negation lifts nothing here: "I can't discuss his loan" tells of the loan.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from agent.events import CallFacts
from compliance_checks.check import Finding, Sentence
from compliance_checks.checks.wording import Wording, finding
from compliance_checks.folding import fold
from compliance_checks.numbers import money_en, money_zh
from compliance_checks.policy import Policy
from compliance_checks.rulebook import Rulebook

_AMOUNT = {"zh": "未核实为本人时提到了金额。", "en": "Names an amount to someone who is not the verified borrower."}
_PRODUCT = {"zh": "未核实为本人时提到了贷款产品。", "en": "Names the loan product to someone not verified."}
_LAST4 = {"zh": "向第三方透露了证件尾号。", "en": "Tells a third party digits of the borrower's ID."}


class Disclosure(Wording):
    def __init__(self, rulebook: Rulebook) -> None:
        super().__init__(rulebook, "disclosure")

    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        if facts.party == "borrower":
            return
        names = list(_name_spans(sentence.original, facts))
        for rule, reading, match in self.standing(sentence):
            found = finding(rule, reading, match)
            if not any(start <= found.start and found.end <= end for start, end in names):
                yield found
        for reading in sentence.readings:
            for money in money_zh(reading.view) if reading.lang == "zh" else money_en(reading.view):
                yield Finding("disclosure.amount", "disclosure", money.start, money.end, explanation=_AMOUNT)
        for start, end in _occurrences(sentence.original, facts.case.get("product")):
            yield Finding("disclosure.product", "disclosure", start, end, explanation=_PRODUCT)
        last4 = facts.case.get("id_last4")
        if facts.party != "unverified" and isinstance(last4, str) and len(last4) == 4:
            for start, end in _occurrences(sentence.original, last4):
                yield Finding("disclosure.id_last4", "disclosure", start, end, explanation=_LAST4)


def _name_spans(text: str, facts: CallFacts) -> Iterator[tuple[int, int]]:
    """Where a person's or the lender's own name stands: Bill may be a name, and a bank may have Loans in its own.

    A lender's telling name is excused only while it introduces the call; left with a third party it reveals the call.
    """
    keys = ["borrower_name", "agent_name"]
    if facts.party == "unverified":
        keys.append("lender")
    case: Mapping[str, Any] = facts.case
    for key in keys:
        value = case.get(key)
        if isinstance(value, str) and len(value) <= 40:
            yield from _occurrences(text, value)


def _occurrences(text: str, value: object) -> Iterator[tuple[int, int]]:
    if not isinstance(value, str) or not value.strip():
        return
    base = fold(text)
    wanted = fold(value.strip()).text
    if not wanted:
        return
    for match in re.finditer(re.escape(wanted), base.text):
        yield base.origin(match.start(), match.end())
