"""The rules of ``rules/*.yaml``: their patterns, their scope, their explanation. Data, not code."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from agent.events import Decision, Lang
from compliance_checks.check import Reading, Sentence
from compliance_checks.normalise import View, fold, han_view, is_han, without_inserts, word_view
from compliance_checks.patterns import Layout, Match, Matcher, PatternError
from compliance_checks.policy import content_hash

RULES = Path(__file__).parent / "rules"
SCOPES = frozenset({"negation", "rights", "warning", "quote"})
_DECISIONS: frozenset[Decision] = frozenset({"rewrite", "refuse", "escalate", "end_call"})
_BOTH: tuple[Lang, ...] = ("zh", "en")
_EXCEPT = "!"


@dataclass(frozen=True, slots=True)
class Rule:
    """``scopes`` name the contexts in which a match is no violation (see :mod:`compliance_checks.scope`).

    ``unless`` names the fact of the case that, when true, lifts the rule; ``alternative`` an approved rewrite.
    """

    id: str
    category: str
    explanation: Mapping[str, str]
    scopes: frozenset[str]
    decision: Decision
    unless: str | None
    alternative: str | None


class Rulebook:
    """All rules, compiled for both languages."""

    def __init__(self, rules_dir: Path | None = None) -> None:
        folder = rules_dir or RULES
        paths = sorted(folder.glob("*.yaml"))
        self.hash = content_hash(paths)
        self.rules: dict[str, Rule] = {}
        self.alternatives: dict[str, Mapping[str, str]] = {}
        lexicon: dict[Lang, dict[str, list[str]]] = {"zh": {}, "en": {}}
        homophonic: set[str] = set()
        patterns: dict[Lang, list[tuple[str, str]]] = {"zh": [], "en": []}
        for path in paths:
            raw = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            try:
                self._read(raw, path.name, lexicon, homophonic, patterns)
            except (KeyError, TypeError, AttributeError) as error:
                raise PatternError(f"{path.name}: a rule or class is malformed: {error!r}") from error
        self.matchers: dict[Lang, Matcher] = {
            lang: Matcher(lang, lexicon[lang], frozenset(homophonic), patterns[lang]) for lang in _BOTH
        }
        self.by_category: dict[str, tuple[Rule, ...]] = {}
        grouped: defaultdict[str, list[Rule]] = defaultdict(list)
        for rule in self.rules.values():
            grouped[rule.category].append(rule)
        self.by_category = {category: tuple(rules) for category, rules in grouped.items()}

    def _read(
        self,
        raw: Mapping[str, Any],
        where: str,
        lexicon: dict[Lang, dict[str, list[str]]],
        homophonic: set[str],
        patterns: dict[Lang, list[tuple[str, str]]],
    ) -> None:
        for name, entry in (raw.get("classes") or {}).items():
            if entry.get("homophones"):
                homophonic.add(name)
            for lang in _BOTH:
                terms = entry.get(lang)
                if terms is not None:
                    lexicon[lang].setdefault(name, []).extend(_words(terms))
        self.alternatives.update(raw.get("alternatives") or {})
        defaults = frozenset(raw.get("scope", sorted(SCOPES)))
        for entry in raw.get("rules") or []:
            rule_id = entry["id"]
            if rule_id in self.rules:
                raise PatternError(f"{where}: the rule {rule_id} appears twice")
            scopes = frozenset(entry.get("scope", defaults))
            decision = entry.get("decision", "refuse")
            if scopes - SCOPES or decision not in _DECISIONS:
                raise PatternError(f"{where}: {rule_id} has an unknown scope or decision")
            self.rules[rule_id] = Rule(
                id=rule_id,
                category=entry.get("category", raw.get("category", "")),
                explanation=entry["explain"],
                scopes=scopes,
                decision=decision,
                unless=entry.get("unless"),
                alternative=entry.get("alternative"),
            )
            for lang in _BOTH:
                patterns[lang] += [(rule_id, pattern) for pattern in entry.get(lang) or []]
                excepted = (entry.get("except") or {}).get(lang) or []
                patterns[lang] += [(_EXCEPT + rule_id, pattern) for pattern in excepted]

    def read(self, text: str, lang: Lang) -> Sentence:
        """``text`` as it will be heard, with every rule's matches."""
        base = fold(text)
        readings = []
        if any(is_han(char) or "a" <= char <= "z" for char in base.text):
            if any(map(is_han, base.text)) or lang == "zh":
                view = han_view(base)
                readings.append(self._reading("zh", view))
                if (pure := without_inserts(view)) is not None:
                    readings.append(self._reading("zh", pure))
            if any("a" <= char <= "z" for char in base.text):
                readings.append(self._reading("en", word_view(base, self.matchers["en"].vocabulary)))
        return Sentence(text, lang, base, tuple(readings))

    def _reading(self, lang: Lang, view: View) -> Reading:
        matcher = self.matchers[lang]
        layout = Layout(view, lang)
        grouped: defaultdict[str, list[Match]] = defaultdict(list)
        for rule, match in matcher.matches(view, layout, matcher.hits(view)):
            grouped[rule].append(match)
        kept = {
            rule: tuple(m for m in matches if not _overlaps(m, grouped.get(_EXCEPT + rule, ())))
            for rule, matches in grouped.items()
            if not rule.startswith(_EXCEPT)
        }
        return Reading(lang, view, layout, {rule: matches for rule, matches in kept.items() if matches})


def _overlaps(match: Match, exceptions: Iterable[Match]) -> bool:
    return any(e.start <= match.head and match.head_end <= e.end for e in exceptions)


def _words(terms: object) -> list[str]:
    """Terms as a list, or as a string of space-separated terms (``_`` for a space)."""
    if isinstance(terms, str):
        return terms.split()
    if isinstance(terms, list) and all(isinstance(term, str) for term in terms):
        return [word for term in terms for word in term.split()]
    raise PatternError(f"terms must be words, not {terms!r}")
