"""What every check speaks: a sentence as it will be heard, the call's facts, the policy; findings come back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from agent.events import CallFacts, Decision, Lang
from compliance_checks.folding import View
from compliance_checks.layout import Layout
from compliance_checks.patterns import Match
from compliance_checks.policy import Policy


@dataclass(frozen=True, slots=True)
class Reading:
    """The sentence in one language: its view, its clauses, and the rules' pattern matches by rule id."""

    lang: Lang
    view: View
    layout: Layout
    matches: Mapping[str, tuple[Match, ...]]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One text to judge. ``readings`` holds Chinese and/or English, whichever scripts the text contains."""

    original: str
    lang: Lang
    base: View
    readings: tuple[Reading, ...]

    def reading(self, lang: Lang) -> Reading | None:
        return next((reading for reading in self.readings if reading.lang == lang), None)


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that fired; ``start``/``end`` are offsets in the original text."""

    rule: str
    category: str
    start: int
    end: int
    decision: Decision = "refuse"
    explanation: Mapping[str, str] = field(default_factory=dict)
    alternative: str | None = None


class Check(Protocol):
    """One idea of what may not be said."""

    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterable[Finding]: ...
