"""The rules of ``rules/*.yaml``: their patterns, their scope, their explanation. Data, not code."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.events import Decision, Lang
from compliance_checks.check import Reading, Sentence
from compliance_checks.english import word_view
from compliance_checks.folding import View, fold, is_han
from compliance_checks.layout import Layout
from compliance_checks.mandarin import han_view, without_inserts
from compliance_checks.names import Name
from compliance_checks.patterns import EXCEPT, Match, Matcher
from compliance_checks.policy import content_hash
from compliance_checks.rulefile import known, mapping, read_rules, sequence, text, texts
from compliance_checks.scope import read_cues
from compliance_checks.terms import PatternError

RULES = Path(__file__).parent / "rules"
CATEGORIES = frozenset(
    (
        *(
            "amount",
            "crisis",
            "disclosure",
            "discrimination",
            "false_consequence",
            "false_promise",
            "fees",
            "harassment",
        ),
        *("impersonation", "injection", "insult", "missing_disclosure", "payment_diversion", "pretending_human"),
        *("privacy", "pushing_borrowing", "threat"),
    )
)
"""What rules judge: each has its check in :mod:`compliance_checks.checks`. A rule of another would never be asked."""
SCOPES = frozenset({"negation", "rights", "warning", "quote"})
_DECISIONS: frozenset[Decision] = frozenset({"rewrite", "refuse", "escalate", "end_call"})
_BOTH: tuple[Lang, ...] = ("zh", "en")
_FILE_KEYS = frozenset({"classes", "alternatives", "category", "scope", "rules", "cues", "frames"})
_FRAME_KEYS = frozenset({"why", "rules", "zh", "en"})
_CLASS_KEYS = frozenset({"homophones", "zh", "en"})
_RULE_KEYS = frozenset(
    {"id", "category", "scope", "decision", "unless", "alternative", "explain", "except", "zh", "en"}
)


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


@dataclass(frozen=True, slots=True)
class _Source:
    """What the files say, before it is compiled. ``where`` names the file of each class and rule."""

    lexicon: dict[Lang, dict[str, list[str]]]
    homophonic: set[str]
    patterns: dict[Lang, list[tuple[str, str]]]
    where: dict[str, str]


class Rulebook:
    """All rules, compiled for both languages."""

    def __init__(self, rules_dir: Path | None = None) -> None:
        """Read ``rules_dir`` (default: the rules that ship). Raises :class:`PatternError` naming file and key."""
        folder = rules_dir or RULES
        paths = sorted(folder.glob("*.yaml"))
        self.rules: dict[str, Rule] = {}
        self.alternatives: dict[str, Mapping[str, str]] = {}
        source = _Source({"zh": {}, "en": {}}, set(), {"zh": [], "en": []}, {})
        raw = {path.name: read_rules(path) for path in paths}
        for file, content in raw.items():
            self._read(content, file, source)
        for file, content in raw.items():
            self._frames(content, file, source)
        if not self.rules:
            raise PatternError(f"{folder.name}: no rule file with a rule in it")
        read_cues()
        self.hash = content_hash(paths)
        self.matchers: dict[Lang, Matcher] = {
            lang: Matcher(lang, source.lexicon[lang], frozenset(source.homophonic), source.patterns[lang], source.where)
            for lang in _BOTH
        }
        grouped: defaultdict[str, list[Rule]] = defaultdict(list)
        for rule in self.rules.values():
            grouped[rule.category].append(rule)
        self.by_category = {category: tuple(rules) for category, rules in grouped.items()}

    def _read(self, raw: Mapping[str, Any], file: str, source: _Source) -> None:
        known(raw, _FILE_KEYS, file)
        for name, entry in mapping(raw.get("classes") or {}, f"{file}: classes").items():
            where = f"{file}: classes.{name}"
            known(mapping(entry, where), _CLASS_KEYS, where)
            source.where.setdefault(name, file)
            if entry.get("homophones"):
                source.homophonic.add(name)
            for lang in _BOTH:
                if entry.get(lang) is not None:
                    source.lexicon[lang].setdefault(name, []).extend(_words(entry[lang], f"{where}.{lang}"))
        for name, entry in mapping(raw.get("alternatives") or {}, f"{file}: alternatives").items():
            self.alternatives[name] = _in_both(entry, f"{file}: alternatives.{name}")
        defaults = raw.get("scope", sorted(SCOPES))
        for number, entry in enumerate(sequence(raw.get("rules"), f"{file}: rules"), start=1):
            rule = self._rule(raw, mapping(entry, f"{file}: rule {number}"), file, number, defaults)
            self.rules[rule.id] = rule
            source.where[rule.id] = source.where[EXCEPT + rule.id] = file
            where = f"{file}: {rule.id}"
            excepted = mapping(entry.get("except") or {}, f"{where}: except")
            known(excepted, frozenset(_BOTH), f"{where}: except")
            for lang in _BOTH:
                source.patterns[lang] += [(rule.id, one) for one in texts(entry.get(lang), f"{where}: {lang}")]
                source.patterns[lang] += [
                    (EXCEPT + rule.id, one) for one in texts(excepted.get(lang), f"{where}: except.{lang}")
                ]

    def _frames(self, raw: Mapping[str, Any], file: str, source: _Source) -> None:
        """Frames are exceptions that several rules share: ways of speaking in which their matches are harmless."""
        for number, entry in enumerate(sequence(raw.get("frames"), f"{file}: frames"), start=1):
            where = f"{file}: frame {number}"
            known(mapping(entry, where), _FRAME_KEYS, where)
            for rule_id in texts(entry.get("rules"), f"{where}: rules"):
                if rule_id not in self.rules:
                    raise PatternError(f"{where}: rules: there is no rule {rule_id}")
                for lang in _BOTH:
                    source.patterns[lang] += [
                        (EXCEPT + rule_id, one) for one in texts(entry.get(lang), f"{where}: {lang}")
                    ]

    def _rule(self, raw: Mapping[str, Any], entry: Mapping[str, Any], file: str, number: int, defaults: object) -> Rule:
        rule_id = text(entry.get("id"), f"{file}: rule {number}: id")
        where = f"{file}: {rule_id}"
        known(entry, _RULE_KEYS, where)
        if rule_id in self.rules:
            raise PatternError(f"{file}: the rule {rule_id} appears twice")
        category = text(entry.get("category", raw.get("category")), f"{where}: category")
        if category not in CATEGORIES:
            raise PatternError(f"{where}: category: {category!r} is unknown; known are {', '.join(sorted(CATEGORIES))}")
        scopes = frozenset(texts(entry.get("scope", defaults), f"{where}: scope"))
        if scopes - SCOPES:
            raise PatternError(f"{where}: scope: {', '.join(sorted(scopes - SCOPES))} is unknown")
        decision = entry.get("decision", "refuse")
        if decision not in _DECISIONS:
            raise PatternError(f"{where}: decision: {decision!r} is unknown; known are {', '.join(sorted(_DECISIONS))}")
        for key in ("unless", "alternative"):
            if entry.get(key) is not None:
                text(entry[key], f"{where}: {key}")
        return Rule(
            id=rule_id,
            category=category,
            explanation=_in_both(entry.get("explain"), f"{where}: explain"),
            scopes=scopes,
            decision=decision,
            unless=entry.get("unless"),
            alternative=entry.get("alternative"),
        )

    def read(self, text: str, lang: Lang, names: tuple[Name, ...] = ()) -> Sentence:
        """``text`` as it will be heard, with every rule's matches; ``names`` are the names that stand in it."""
        base = fold(text)
        readings = []
        if any(is_han(char) or "a" <= char <= "z" for char in base.text):
            if any(map(is_han, base.text)) or lang == "zh":
                view = han_view(base)
                readings.append(self._reading("zh", view, names))
                if (pure := without_inserts(view)) is not None:
                    readings.append(self._reading("zh", pure, names))
            if any("a" <= char <= "z" for char in base.text):
                readings.append(self._reading("en", word_view(base, self.matchers["en"].vocabulary), names))
        return Sentence(text, lang, base, tuple(readings))

    def _reading(self, lang: Lang, view: View, names: tuple[Name, ...]) -> Reading:
        matcher = self.matchers[lang]
        layout = Layout(view, lang)
        grouped: defaultdict[str, list[Match]] = defaultdict(list)
        for rule, match in matcher.matches(view, layout, matcher.hits(view, names)):
            grouped[rule].append(match)
        excused = [rule for rule in grouped if rule.startswith(EXCEPT)]
        if excused and (turned := [match.start(match.lastindex or 0) for match in _TURNED[lang].finditer(view.text)]):
            for rule in excused:
                grouped[rule] = [m for m in grouped[rule] if not _turned(m, turned, layout)]
        if excused and (crossed := [match.start() for match in _CROSSED[lang].finditer(view.text)]):
            for rule in excused:
                grouped[rule] = [m for m in grouped[rule] if not any(m.start <= at < m.end for at in crossed)]
        kept = {
            rule: tuple(m for m in matches if not _overlaps(m, grouped.get(EXCEPT + rule, ())))
            for rule, matches in grouped.items()
            if not rule.startswith(EXCEPT)
        }
        return Reading(lang, view, layout, {rule: matches for rule, matches in kept.items() if matches})


# Words that take a kindness back before the sentence ends: 单位我们没联系，今天再不还就难说了. Where a condition
# came first (您今天还了，领导就不会知道) the group is where it takes hold.
_TURNED: Mapping[Lang, re.Pattern[str]] = {
    "zh": re.compile(
        r"难说|说不准|(?<![判定]我)不好说|说不定|就不一定|除非(?!.{0,8}(?:授权|同意|要求|允许|书面))"
        r"|(?<![不无一])(?<!没有)例外|(?:今天|暂时|眼下|目前|现在)(?:先|就|暂|还)?不(?:会|去)?(?:往|给|打|联系|通知|找|告诉)"
        r"|(?:还|付|结清|处理|交|到账)(?:了|清|完|上|掉|好)[^。；]{0,8}"
        r"(?:领导|老板|家|父母|爸|妈|爱人|老婆|老公|妻子|丈夫|对象|单位|公司|同事|朋友|邻居|亲戚|孩子|联系人|他|她|谁|人)[^。；]{0,4}(就不)"
        r"|只要[您你](?:付|还|交|处理|配合|按时|结清)"
        r"|[但可][是]?[您你]?(?:得|要|必须|最好)(?:今天|现在|马上|立刻|立即|赶紧)"
        r"|另当别论|另算|破例|再不(?:到账|还|付|处理|交)|要是[您你]不|如果[您你]不|[您你]要是不"
    ),
    "en": re.compile(
        r"\b(?:unless|as long as|so long as|provided|if|once) (?:and until )?you"
        r" (?:pay|settle|cooperate|clear|do as|do what|do not pay|do not settle|fail to pay|refuse|keep refusing"
        r"|play|ignore)\b"
        r"|\b(?:provided|as long as|so long as|only if|if i (?:have|get|see|receive))\b[^.]{0,30}"
        r"\b(?:money|payment|funds|paid)\b"
        r"|\b(?:provided(?: that)?|as long as|so long as|only if|if) you (?:transfer|send|wire|deposit|make)\b"
        r"|\bfor the (?:moment|time being)\b"
        r"|\bbut for you\b|\bin your case\b|\bmake an exception\b|\bexcept for you\b"
        r"|\b(?:another|a different) (?:matter|story)\b|\bfunny how\b"
    ),
}
# What no exception reaches across: we will not call the police, but we will tell your family.
_CROSSED: Mapping[Lang, re.Pattern[str]] = {
    "zh": re.compile(
        r"(?:但是?|不过|可是?|只是)，?(?:我们|我|同事)?(?:还是)?(?:会|要|得|只能|一定|就|可以)"
        r"(?:告诉|通知|联系|找|让|跟|去|到|上门|报|起诉|公布|打给|给(?!您|你)|发给)"
        r"|(?:但是?|不过|可是?)，?(?:你们|您们|像[你您]|有些人|某些)"
    ),
    "en": re.compile(
        r"\b(?:but|however|though|then|so) ,? ?(?:we|i|they|my \w+|our \w+)"
        r" (?:will|might|may|can|could|would|have to|am going to|are going to|shall|must)\b(?! not\b)"
        r"|\b(?:but|though|although|except) ,? ?(?:your (?:lot|kind|sort|people|type)|you people|some people|certain)\b"
    ),
}


def _turned(exception: Match, turned: Iterable[int], layout: Layout) -> bool:
    """True if what an exception excuses is taken back behind it, in the same sentence."""
    last = max(exception.end - 1, 0)
    return any(at >= exception.start and layout.sentence[at] == layout.sentence[last] for at in turned)


def _overlaps(match: Match, exceptions: Iterable[Match]) -> bool:
    return any(e.start <= match.head and match.head_end <= e.end for e in exceptions)


def _in_both(entry: object, where: str) -> Mapping[str, str]:
    """A text in each language."""
    both = mapping(entry if entry is not None else {}, where)
    return {lang: text(both.get(lang), f"{where}.{lang}") for lang in _BOTH}


def _words(terms: object, where: str) -> list[str]:
    """Terms as a list, or as a string of space-separated terms (``_`` for a space)."""
    if isinstance(terms, str):
        return terms.split()
    return [word for term in texts(terms, where) for word in term.split()]
