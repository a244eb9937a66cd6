"""A legal consequence may be named only if the case file says that it is true."""

from __future__ import annotations

from collections.abc import Iterator

from agent.events import CallFacts
from compliance_checks.check import Finding, Sentence
from compliance_checks.checks.wording import Wording, finding
from compliance_checks.policy import Policy
from compliance_checks.rulebook import Rulebook


class Consequence(Wording):
    def __init__(self, rulebook: Rulebook) -> None:
        super().__init__(rulebook, "false_consequence")

    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        for rule, reading, match in self.standing(sentence):
            # Only the literal True of the case file lifts it: "true" in a string is somebody's text.
            if rule.unless is None or facts.case.get(rule.unless) is not True:
                yield finding(rule, reading, match)
