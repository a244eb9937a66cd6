"""What may not be said in any case: a category's patterns, minus what negation, rights or warnings lift."""

from __future__ import annotations

from collections.abc import Iterator

from agent.events import CallFacts
from compliance_checks.check import Finding, Reading, Sentence
from compliance_checks.patterns import Match
from compliance_checks.policy import Policy
from compliance_checks.rulebook import Rule, Rulebook
from compliance_checks.scope import lifted


def finding(rule: Rule, reading: Reading, match: Match) -> Finding:
    start, end = reading.view.origin(match.start, match.end)
    return Finding(rule.id, rule.category, start, end, rule.decision, rule.explanation, rule.alternative)


class Wording:
    """All rules of one category."""

    def __init__(self, rulebook: Rulebook, category: str) -> None:
        self._rules = {rule.id: rule for rule in rulebook.by_category.get(category, ())}

    def standing(self, sentence: Sentence) -> Iterator[tuple[Rule, Reading, Match]]:
        """Matches that no scope lifts."""
        for reading in sentence.readings:
            for name, matches in reading.matches.items():
                rule = self._rules.get(name)
                if rule is None:
                    continue
                for match in matches:
                    if not lifted(reading, match, rule.scopes):
                        yield rule, reading, match

    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        for rule, reading, match in self.standing(sentence):
            # Only the literal True of the case file lifts it: "true" in a string is somebody's text.
            if rule.unless is None or facts.case.get(rule.unless) is not True:
                yield finding(rule, reading, match)
