"""What the model reads: the sentence as the rules hear it, values and names left out, cut to windows.

Numbers become ``0`` and the case file's names become one character each, so that the model learns what is said about
them and not who they are. A value that does not look like a name stays as it is: nothing hides behind a slot.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from typing import Any, Final

from agent.events import Lang
from compliance_checks.check import Sentence
from compliance_checks.checks.slots import bad_name
from compliance_checks.folding import fold

# Private-use characters: folding drops them, so no text that is judged can hold one of its own.
PLACES: Final[Mapping[str, str]] = {
    "borrower_name": "\uf001",
    "agent_name": "\uf002",
    "lender": "\uf003",
    "product": "\uf004",
    "payee": "\uf003",
    "plan_name": "\uf004",
}
_INITIALS: Final = re.compile(r"\b(?:[a-z]\s?\.\s?){2,}")
_POINT: Final = "\uf0ff"
MAX_UNITS: Final = 56  # characters (Mandarin) or words (English) of one window
_STRIDE: Final = 28
_MAX_NAME: Final = 40
_UNITS: Final = re.compile(r"[a-z0-9$@']+|\S")
_DIGITS: Final = re.compile(r"\$?\d+(?:\.\d+)?%?")
_ZH_NUMBER: Final = re.compile(r"[零〇一二三四五六七八九十百千万亿两幺点]{2,}")
_WORDS = (
    "zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen"
    "|eighteen|nineteen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand|million"
)
_ORDINALS = (
    "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|twelfth|thirteenth|fourteenth"
    "|fifteenth|sixteenth|seventeenth|eighteenth|nineteenth|twentieth|thirtieth"
)
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_EN_DATE: Final = re.compile(rf"\b(?:{_MONTHS}) (?:the )?(?:(?:twenty|thirty)[ -])?(?:{_ORDINALS})\b")
_EN_NUMBER: Final = re.compile(rf"\b(?:{_WORDS})(?:[ -](?:and )?(?:{_WORDS}))+\b")
_EN_MONEY: Final = re.compile(rf"\b(?:0|{_WORDS}) dollars? and (?:0|{_WORDS}) cents?\b")


def plain(sentence: Sentence, case: Mapping[str, Any]) -> str:
    """The text of ``sentence`` with the names of ``case`` and all numbers masked."""
    reading = sentence.reading(sentence.lang) or next(iter(sentence.readings), None)
    return mask(reading.view.text if reading else sentence.base.text, sentence.lang, case)


def mask(text: str, lang: Lang, case: Mapping[str, Any]) -> str:
    """``text`` (already folded) with names and numbers replaced; linear in its length."""
    for key, place in PLACES.items():
        value = case.get(key)
        if not isinstance(value, str) or not 0 < len(value) <= _MAX_NAME or bad_name(key, value):
            continue
        name = fold(value).text.strip()
        # A Latin name keeps its spaces in the Mandarin reading, a Chinese one has none there.
        spaced = " ".join(re.findall(r"[a-z0-9']+", name))
        for written in {re.sub(r"\s+", "", name), spaced} if lang == "zh" else {spaced}:
            if len(written) > 1:
                text = text.replace(written, place)
    text = _DIGITS.sub("0", text)
    if lang == "zh":
        return _ZH_NUMBER.sub("0", text)
    return _EN_MONEY.sub("0 dollars", _EN_NUMBER.sub("0", _EN_DATE.sub("0", text)))


def windows(text: str, lang: Lang) -> tuple[str, ...]:
    """The stretches of ``text`` that the model judges: its sentences, neighbours together, and all of it if short.

    Every sentence stands in a window of its own, so nothing said around a violation can thin it out. The windows
    together are at most five times as long as the text.
    """
    text = _INITIALS.sub(lambda m: m[0].replace(".", _POINT), text)  # their points end no sentence
    whole = _UNITS.findall(text)
    if not whole:
        return ()
    sentences = [s for s in (_UNITS.findall(part) for part in re.split(r"[。.](?!\d)", text)) if _says_something(s)]
    found: dict[str, None] = {}
    if len(whole) <= MAX_UNITS:
        found[_join(whole, lang)] = None
    for left, right in itertools.pairwise(sentences):
        if len(left) + len(right) < MAX_UNITS:
            found[_join([*left, "。" if lang == "zh" else ".", *right], lang)] = None
    for units in sentences:
        for start in range(0, max(1, len(units) - _STRIDE), _STRIDE):
            found[_join(units[start : start + MAX_UNITS], lang)] = None
    return tuple(found)


def _says_something(units: list[str]) -> bool:
    return sum(unit[0].isalnum() or unit[0] in PLACES.values() for unit in units) >= 2


def _join(units: list[str], lang: Lang) -> str:
    text = ("" if lang == "zh" else " ").join(units).replace(_POINT, ".")
    return text.rstrip("。，., ")
