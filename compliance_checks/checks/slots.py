"""Slots carry values: a name that is a sentence, markup, money or a placeholder that was never filled is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from agent.events import CallFacts, Lang
from compliance_checks.check import Finding, Sentence
from compliance_checks.folding import fold, is_han
from compliance_checks.names import names_in
from compliance_checks.patterns import Match
from compliance_checks.policy import Policy
from compliance_checks.rulebook import Rulebook

# Slots that hold a name or a short title, with the longest believable length.
NAMES = {"borrower_name": 40, "agent_name": 40, "lender": 60, "payee": 60, "product": 60, "plan_name": 60}
_DIGITLESS = frozenset({"borrower_name", "agent_name"})
_MARKUP = re.compile(r"<[/!?a-z][^<>]{0,80}>|[{}]|\$\{|\[\[|\]\]|```|https?://|www\.|\\n|%\w", re.IGNORECASE)
_SENTENCE = re.compile(r"[。！？!?；;：:\n<>{}|=]|[，,].{6,}|\.\s+\S+\s+\S")
_VERBS = re.compile(
    r"请|必须|否则|不然|还款|欠|逾期|转账|起诉|报警|我们|你们|马上|立刻|\b(?:must|pay|please|will|owe|or else|ignore"
    r"|call|send|you|we)\b"
)
# Will is a first name before a family name that is no other verb of these.
_WILL = re.compile(r"^will (?=\w+(?: \w+)?$)(?!.*\b(?:sue|be|come|go|take|kill|hurt|visit|arrest|tell|find|get)\b)")
_TEXT = {"zh": "字段内容不像名称，可能被注入。", "en": "A slot that should hold a name does not look like one."}
_MARK = {"zh": "句中有未填的占位符、标记或网址。", "en": "Contains an unfilled placeholder, markup or a link."}


def bad_name(key: str, value: str) -> bool:
    """True if ``value`` cannot be the name that the slot ``key`` should hold."""
    plain = fold(value).text.strip()
    if not plain or len(value) > NAMES[key] or _MARKUP.search(value) or _SENTENCE.search(plain):
        return True
    if key in _DIGITLESS and _VERBS.search(_WILL.sub("", plain)):
        return True
    digits = sum(char.isdigit() for char in plain)
    if key in _DIGITLESS and digits:
        return True
    if digits > max(4, len(plain) // 2) or not any(char.isalpha() for char in plain):
        return True
    if key in ("borrower_name", "agent_name") and sum(map(is_han, plain)) > 12:
        return True
    return len(plain.split()) > 8


# Who calls and who is paid is a fact: a name must not carry an office, a private account or a threat.
_OFFICES = re.compile(
    r"警官|警察|公安|法院|法官|检察|律师|律所|政府|监管局|征信中心"
    r"|\b(?:officer|detective|sheriff|police|court|judge|attorney|lawyer|law firm|federal|government|bureau of)\b"
)
_PRIVATE = re.compile(
    r"个人|私人|微信|支付宝|户头|\b(?:personal|private|venmo|zelle|paypal|cash ?app|gift ?card|whatsapp)\b"
)
# A plan may be called after what it does to the debt, never after what happens otherwise.
_CATEGORIES = frozenset(
    {"threat", "insult", "harassment", "false_consequence", "crisis", "injection", "discrimination"}
)


class Slots:
    """``rulebook`` reads each slot's value by itself: what the sentence around it excuses is still no name."""

    def __init__(self, rulebook: Rulebook) -> None:
        self._rulebook = rulebook
        self._wrong = lru_cache(maxsize=4096)(self._judge)

    def _judge(self, key: str, value: str, lang: Lang) -> bool:
        if bad_name(key, value):
            return True
        plain = fold(value).text
        if key in ("agent_name", "lender", "payee") and _OFFICES.search(plain):
            return True
        if key in ("payee", "lender") and _PRIVATE.search(plain):
            return True
        return key not in ("lender", "payee", "product") and any(self._violations(key, value, lang))

    def _violations(self, key: str, value: str, lang: Lang) -> Iterator[Match]:
        for reading in self._rulebook.read(value, lang, names_in(value, {key: value})).readings:
            for rule, matches in reading.matches.items():
                if self._rulebook.rules[rule].category in _CATEGORIES:
                    yield from matches

    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        for match in _MARKUP.finditer(sentence.original):
            yield Finding("injection.markup", "injection", match.start(), match.end(), explanation=_MARK)
        for key in NAMES:
            value = facts.case.get(key)
            if not isinstance(value, str) or not value:
                continue
            at = sentence.original.find(value)
            if at >= 0 and self._wrong(key, value, sentence.lang):
                yield Finding(f"slot.{key}", "injection", at, at + len(value), explanation=_TEXT)
