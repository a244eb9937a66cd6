"""Promises that nobody on the call can keep: a clean credit record, a waiver, a new loan."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.events import CallFacts
from compliance_checks.check import Finding, Sentence
from compliance_checks.checks.wording import Wording, finding
from compliance_checks.policy import Policy
from compliance_checks.rulebook import Rulebook
from compliance_checks.scope import disclaimed

_GUARANTEE = re.compile(r"保证|担保|绝对|百分|肯定|永远|guarantee|promise|swear|never|certain|definitely|100")


class Promise(Wording):
    def __init__(self, rulebook: Rulebook) -> None:
        super().__init__(rulebook, "false_promise")

    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        for rule, reading, match in self.standing(sentence):
            if disclaimed(reading, match):
                continue
            # "Not reported so far" may be true: then the case file says credit_report_due is False.
            known = rule.unless == "credit_not_affected" and facts.case.get("credit_report_due") is False
            if known and not _GUARANTEE.search(reading.view.text):
                continue
            yield finding(rule, reading, match)
