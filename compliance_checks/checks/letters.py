"""Latin letters inside a Mandarin sentence that are no known word: bj for 报警, laolai for 老赖.

What such letters stand for can only be guessed, and a synthesiser would spell them out. So they are not judged but
refused, unless they are a word or an abbreviation that people say, or stand in the case file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from agent.events import CallFacts
from compliance_checks.check import Finding, Sentence
from compliance_checks.folding import fold, is_han
from compliance_checks.homophones import split_pinyin
from compliance_checks.policy import Policy

_RUN: Final = re.compile(r"(?<![a-z0-9])[a-z]{2,24}(?![a-z0-9])")
_SHORT: Final = 4
_WORDS: Final = (
    "app apps ai ok id atm vip svip pos qq wx ip ui pc tv pdf sms mms gps etc hr ceo cfo it kb mb gb km "
    "kg cm mm lpr apr pin nfc sim esim wifi fi wi usb url web www com cn net html email mail wechat "
    "alipay apple pay plus pro max mini am hi hello bye no yes sorry sir dr mr ms mrs dear ivr cbd mba "
    "ktv dna ct icu covid hiv iso xml word excel ppt iphone ipad ios android mac huawei oppo vivo xiaomi "
    "windows bug ugc nba cba led lcd dvd cd mp usd cny rmb eur hkd jpy gbp bank card credit loan online "
    "offline change name women link code login logo vs and or the of to in "
)
_SAID: Final = frozenset(_WORDS.split())
_TEXT: Final = {
    "zh": "句中夹有无法判断含义的字母（可能是拼音或缩写）。",
    "en": "Holds letters whose meaning cannot be judged, perhaps pinyin or initials.",
}


class Letters:
    """Short letter groups and pinyin beside Chinese characters."""

    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        reading = sentence.reading("zh")
        if sentence.lang != "zh" or reading is None:
            return
        text = reading.view.text
        known: frozenset[str] | None = None
        for match in _RUN.finditer(text):
            run, (start, end) = match.group(), match.span()
            if run in _SAID or not _beside_han(text, start, end):
                continue
            if len(run) > _SHORT and len(split_pinyin(run)) < 2:
                continue
            known = _words(facts.case) if known is None else known
            if run not in known:
                first, last = reading.view.origin(start, end)
                yield Finding("gate.letters", "gate", first, last, explanation=_TEXT)


def _beside_han(text: str, start: int, end: int) -> bool:
    return (start > 0 and is_han(text[start - 1])) or (end < len(text) and is_han(text[end]))


def _words(case: Mapping[str, Any]) -> frozenset[str]:
    """The Latin words of the case file's values."""
    values = " ".join(value for value in case.values() if isinstance(value, str))
    return frozenset(re.findall("[a-z]+", fold(values[:2000]).text))
