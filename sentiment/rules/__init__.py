"""Safety rules: what must never be missed, in data (``zh.yaml``, ``en.yaml``), beside the trained model.

A rule's matches are regular expressions over folded text without punctuation (Mandarin also without spaces). A match
does not count where it overlaps a benign look-alike (``unless``) or stands in the scope of a negator. Mandarin
``sounds`` are phrases that also fire misheard: they are compared by toneless pinyin, so a homophone does not hide them.
``innocent`` idioms say nothing by themselves; where no rule fires they also overrule the trained model. ``alike`` is
both at once: a whole phrase that uses the words without the wish ("no need for a supervisor", 我女儿学法律). No match
under it counts, nor is the model believed about it. ``words`` names lists for ``{name}`` in a pattern.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from sentiment.labels import INTENTS
from sentiment.text import fold, plain, syllable

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
    "complain",
    "abuse",
)
"""Which intent leads when several rules fire: life first, then who or what speaks, then what binds the caller."""
_NEGATOR_REACH = 24
_SAID_BY = {"third_party": ("deceased_or_incapacitated",), "deny_identity": ("third_party",)}
"""What another intent already says: who reports a death is a third party by that alone, "I'm not him, I'm his mother"
is a third party who need not deny being the borrower."""


_NAMED = re.compile(r"\{([a-z]\w*)\}")


def _sounds(text: str) -> tuple[str, ...]:
    return tuple(syllable(char) for char in text)


@dataclass(frozen=True, slots=True)
class Rule:
    intent: str
    match: tuple[re.Pattern[str], ...]
    unless: tuple[re.Pattern[str], ...]
    negators: tuple[re.Pattern[str], ...]
    innocent: tuple[re.Pattern[str], ...] = ()
    sounds: tuple[tuple[str, ...], ...] = ()
    alike: tuple[re.Pattern[str], ...] = ()

    def fires(self, text: str) -> bool:
        benign = [(m.start(), m.end()) for pattern in self.unless for m in pattern.finditer(text)]
        matches = [(m.start(), m.end()) for pattern in self.match for m in pattern.finditer(text)]
        for first, last in [*matches, *self._heard(text)]:
            if any(first < end and start < last for start, end in benign):
                continue
            before = text[max(0, first - _NEGATOR_REACH) : first]
            if not any(n.search(before) for n in self.negators):
                return True
        return False

    def _heard(self, text: str) -> list[tuple[int, int]]:
        """Where the sounds of a phrase occur, whatever characters they were written with."""
        if not self.sounds:
            return []
        spoken = _sounds(text)
        return [
            (i, i + len(phrase))
            for phrase in self.sounds
            for i in range(len(spoken) - len(phrase) + 1)
            if spoken[i : i + len(phrase)] == phrase
        ]


@lru_cache(maxsize=2)
def load_rules(lang: str) -> tuple[Rule, ...]:
    """The rules of a language, in order of ``PRIORITY``. Raises ``ValueError`` for a rule of an unknown intent."""
    path = Path(__file__).parent / f"{lang}.yaml"
    table = yaml.safe_load(path.read_text(encoding="utf-8"))
    words: dict[str, str] = table.pop("words", {})
    unknown = set(table) - set(PRIORITY) | set(table) - set(INTENTS)
    if unknown:
        raise ValueError(f"{path.name}: rules for unknown intents {sorted(unknown)}")

    def patterns(entry: dict[str, list[str]], key: str) -> tuple[re.Pattern[str], ...]:
        return tuple(re.compile(_NAMED.sub(lambda m: f"(?:{words[m[1]]})", p)) for p in entry.get(key, []))

    return tuple(
        Rule(
            name,
            patterns(table[name], "match"),
            patterns(table[name], "unless") + patterns(table[name], "alike"),
            patterns(table[name], "negators"),
            patterns(table[name], "innocent") + patterns(table[name], "alike"),
            tuple(_sounds(phrase) for phrase in table[name].get("sounds", [])),
            patterns(table[name], "alike"),
        )
        for name in PRIORITY
        if name in table
    )


def _seen(text: str, lang: str) -> str:
    seen = plain(fold(text).text)
    return seen.replace(" ", "") if lang == "zh" else seen


def fired(text: str, lang: str, doubted: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """Intents whose rules fire on an utterance, most pressing first; a rule for one of ``doubted`` is not believed."""
    seen = _seen(text, lang)
    found = tuple(rule.intent for rule in load_rules(lang) if rule.intent not in doubted and rule.fires(seen))
    return tuple(name for name in found if not any(stronger in found for stronger in _SAID_BY.get(name, ())))


def cleared(text: str, lang: str) -> frozenset[str]:
    """Intents that an idiom merely looks like ("dead tired"): the model's word for them does not count."""
    seen = _seen(text, lang)
    return frozenset(
        rule.intent
        for rule in load_rules(lang)
        if any(idiom.search(seen) for idiom in rule.innocent) and not rule.fires(seen)
    )


def without_alike(text: str, lang: str) -> str:
    """What an utterance says beside its look-alikes, folded; the whole of it if there are none."""
    seen = _seen(text, lang)
    for rule in load_rules(lang):
        for pattern in rule.alike:
            seen = pattern.sub(" ", seen)
    return " ".join(seen.split())
