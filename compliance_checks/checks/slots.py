"""Slots carry values: a name that is a sentence, markup, money or a placeholder that was never filled is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agent.events import CallFacts
from compliance_checks.check import Finding, Sentence
from compliance_checks.normalise import fold, is_han
from compliance_checks.policy import Policy

# Slots that hold a name or a short title, with the longest believable length.
NAMES = {"borrower_name": 40, "agent_name": 40, "lender": 60, "payee": 60, "product": 60, "plan_name": 60}
_DIGITLESS = frozenset({"borrower_name", "agent_name"})
_MARKUP = re.compile(r"<[/!?a-z][^<>]{0,80}>|[{}]|\$\{|\[\[|\]\]|```|https?://|www\.|\\n|%\w", re.IGNORECASE)
_SENTENCE = re.compile(r"[。！？!?；;：:\n<>{}|=]|[，,].{6,}|\.\s+\S+\s+\S")
_VERBS = re.compile(
    r"请|必须|否则|不然|还款|欠|逾期|转账|起诉|报警|我们|你们|马上|立刻|\b(?:must|pay|please|will|owe|or else|ignore"
    r"|call|send|you|we)\b"
)
_TEXT = {"zh": "字段内容不像名称，可能被注入。", "en": "A slot that should hold a name does not look like one."}
_MARK = {"zh": "句中有未填的占位符、标记或网址。", "en": "Contains an unfilled placeholder, markup or a link."}


def bad_name(key: str, value: str) -> bool:
    """True if ``value`` cannot be the name that the slot ``key`` should hold."""
    plain = fold(value).text.strip()
    if not plain or len(value) > NAMES[key] or _MARKUP.search(value) or _SENTENCE.search(plain):
        return True
    if _VERBS.search(plain) and key in _DIGITLESS:
        return True
    digits = sum(char.isdigit() for char in plain)
    if key in _DIGITLESS and digits:
        return True
    if digits > max(4, len(plain) // 2) or not any(char.isalpha() for char in plain):
        return True
    if key in ("borrower_name", "agent_name") and sum(map(is_han, plain)) > 12:
        return True
    return len(plain.split()) > 8


class Slots:
    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        for match in _MARKUP.finditer(sentence.original):
            yield Finding("injection.markup", "injection", match.start(), match.end(), explanation=_MARK)
        for key in NAMES:
            value = facts.case.get(key)
            if not isinstance(value, str) or not value:
                continue
            at = sentence.original.find(value)
            if at >= 0 and bad_name(key, value):
                yield Finding(f"slot.{key}", "injection", at, at + len(value), explanation=_TEXT)
