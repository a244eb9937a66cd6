"""Text as the readers of this package want it: folded to one spelling, with the way back to what was given.

Folding: Unicode NFKC, lower case, traditional to simplified Chinese (OpenCC, character by character), curly
apostrophes straightened, invisible characters dropped, and no white space between Chinese characters (a
recogniser may put some). Every folded character remembers which character it came from.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from opencc import OpenCC
from pypinyin import Style, lazy_pinyin

_APOSTROPHES = {"’": "'", "‘": "'", "ʼ": "'", "`": "'"}
_CONVERTER = OpenCC("t2s")
_PUNCTUATION = re.compile(r"[^\w'%$¥£€₹.:/\-]+|(?<!\d)[.:/\-]+|[.:/\-]+(?!\d)")


@dataclass(frozen=True, slots=True)
class Folded:
    """Folded ``text``; ``origin[i]`` is the offset in the given text of the character behind ``text[i]``."""

    text: str
    origin: tuple[int, ...]
    length: int

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the given text of ``text[start:end]``."""
        if start >= end:
            at = self.origin[start] if start < len(self.origin) else self.length
            return at, at
        return self.origin[start], self.origin[end - 1] + 1


def is_han(char: str) -> bool:
    """Whether ``char`` is a CJK ideograph (or 〇)."""
    return "\u4e00" <= char <= "\u9fff" or "\u3400" <= char <= "\u4dbf" or char == "〇"


@lru_cache(maxsize=20_000)
def _fold_char(char: str) -> str:
    if char in _APOSTROPHES:
        return "'"
    if unicodedata.category(char) in ("Cf", "Cc", "Mn") and not char.isspace():
        return ""
    folded = unicodedata.normalize("NFKC", char).lower()
    if is_han(folded[:1]):
        folded = _CONVERTER.convert(folded)
    return " " if folded.isspace() else folded


def fold(text: str) -> Folded:
    """Fold ``text``. Never fails; empty text gives an empty result."""
    out: list[str] = []
    origin: list[int] = []
    for i, char in enumerate(text):
        for folded in _fold_char(char):
            if folded == " " and (not out or out[-1] == " "):
                continue
            out.append(folded)
            origin.append(i)
    keep = [
        i
        for i, char in enumerate(out)
        if char != " " or not ((i > 0 and is_han(out[i - 1])) or (i + 1 < len(out) and is_han(out[i + 1])))
    ]
    return Folded("".join(out[i] for i in keep), tuple(origin[i] for i in keep), len(text))


def plain(folded: str) -> str:
    """Folded text without punctuation, as a recogniser writes: words apart by one space."""
    return _PUNCTUATION.sub(" ", folded).strip()


@lru_cache(maxsize=20_000)
def syllable(char: str) -> str:
    """Toneless pinyin of one character (its commonest reading), or the character itself."""
    return lazy_pinyin(char, style=Style.NORMAL)[0] if is_han(char) else char
