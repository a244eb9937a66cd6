"""Safety rules: what must never be missed, in data (``zh.yaml``, ``en.yaml``), beside the trained model.

A rule's matches are regular expressions over folded text without punctuation (Mandarin also without spaces). A match
does not count where it overlaps a benign look-alike (``unless``) or stands in the scope of a negator.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from sentiment.labels import INTENTS
from sentiment.text import fold, plain

PRIORITY = (
    "crisis",
    "voicemail",
    "deceased_or_incapacitated",
    "legal_representation",
    "request_human",
    "stop_contact",
    "dispute_debt",
    "ask_if_robot",
    "third_party",
    "deny_identity",
)
"""Which intent leads when several rules fire: life first, then who or what speaks, then what binds the caller."""
_NEGATOR_REACH = 24


@dataclass(frozen=True, slots=True)
class Rule:
    intent: str
    match: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...]
    negators: tuple[re.Pattern[str], ...]

    def fires(self, text: str) -> bool:
        benign = [(m.start(), m.end()) for pattern in self.unless for m in pattern.finditer(text)]
        for pattern in self.match:
            for m in pattern.finditer(text):
                if any(m.start() < end and start < m.end() for start, end in benign):
                    continue
                before = text[max(0, m.start() - _NEGATOR_REACH) : m.start()]
                if not any(n.search(before) for n in self.negators):
                    return True
        return False


@lru_cache(maxsize=2)
def load_rules(lang: str) -> tuple[Rule, ...]:
    """The rules of a language, in order of ``PRIORITY``. Raises ``ValueError`` for a rule of an unknown intent."""
    path = Path(__file__).parent / f"{lang}.yaml"
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    unknown = set(table) - set(PRIORITY) | set(table) - set(INTENTS)
    if unknown:
        raise ValueError(f"{path.name}: rules for unknown intents {sorted(unknown)}")

    def patterns(entry: dict[str, list[str]], key: str) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(p) for p in entry.get(key, []))

    return tuple(
        Rule(name, patterns(table[name], "match"), patterns(table[name], "unless"), patterns(table[name], "negators"))
        for name in PRIORITY
        if name in table
    )


def fired(text: str, lang: str) -> tuple[str, ...]:
    """Intents whose rules fire on an utterance, most pressing first."""
    seen = plain(fold(text).text)
    if lang == "zh":
        seen = seen.replace(" ", "")
    return tuple(rule.intent for rule in load_rules(lang) if rule.fires(seen))
