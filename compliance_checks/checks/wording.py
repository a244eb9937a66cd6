"""What may not be said in any case: a category's patterns, minus what negation, rights or warnings lift."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from agent.events import CallFacts
from compliance_checks.check import Finding, Reading, Sentence
from compliance_checks.patterns import Match
from compliance_checks.policy import Policy
from compliance_checks.rulebook import Rule, Rulebook
from compliance_checks.scope import lifted

# Facts of the case file that tell whether something has happened: "not so far" about them is an answer, no hint.
_RECORDED = frozenset({"lawsuit_filed", "credit_report_due"})


def finding(rule: Rule, reading: Reading, match: Match) -> Finding:
    start, end = reading.view.origin(match.start, match.end)
    return Finding(rule.id, rule.category, start, end, rule.decision, rule.explanation, rule.alternative)


def _found_in(around: Reading, reading: Reading, match: Match) -> Match | None:
    """``match`` of ``reading`` as it stands in the reading ``around``, or ``None`` where it does not."""
    low, high = reading.view.origin(match.head, match.head_end)
    start = bisect_left(around.view.starts, low)
    end = bisect_left(around.view.starts, high)
    return Match(start, end, start, end, (start,)) if start < end else None


class Wording:
    """All rules of one category."""

    def __init__(self, rulebook: Rulebook, category: str) -> None:
        self._rules = {rule.id: rule for rule in rulebook.by_category.get(category, ())}

    def standing(self, sentence: Sentence) -> Iterator[tuple[Rule, Reading, Match]]:
        """Matches that no scope lifts."""
        for reading in sentence.readings:
            for name in sorted(name for name in reading.matches if name in self._rules):
                rule, matches = self._rules[name], reading.matches[name]
                factual = rule.unless in _RECORDED
                for match in matches:
                    if lifted(reading, match, rule.scopes, factual):
                        continue
                    # An English word in a Mandarin sentence is negated in Mandarin: 不会问您的PIN.
                    around = sentence.reading(sentence.lang) if reading.lang != sentence.lang else None
                    there = _found_in(around, reading, match) if around is not None else None
                    if around is not None and there is not None and lifted(around, there, rule.scopes, factual):
                        continue
                    yield rule, reading, match

    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        for rule, reading, match in self.standing(sentence):
            # Only the literal True of the case file lifts it: "true" in a string is somebody's text.
            if rule.unless is None or facts.case.get(rule.unless) is not True:
                yield finding(rule, reading, match)
