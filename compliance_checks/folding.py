"""One spelling for what is heard alike, with every character mapped back to the original.

:func:`fold` gives the common form: NFKD, invisible characters and marks dropped, look-alikes and full-width forms to
ASCII, lower case, traditional to simplified by OpenCC's character table. :mod:`compliance_checks.mandarin` and
:mod:`compliance_checks.english` derive from it the two readings that rules are matched on. All run in linear time.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

# Cyrillic, Greek and other letters drawn like Latin ones. Only letters with one plain reading.
_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁһԛԝвкмнтгп" + "αβεικνορτυχγηω" + "ıɑɡʟɪʀʜɴʏ" + "їёґ" + "℮",
    "aeopcyxijsdhqwbkmhtrn" + "abeikvoptuxynw" + "iaglirhny" + "ier" + "e",
)
_LETTER_NAME = re.compile(r"(?:LATIN|INDICATOR SYMBOL).*? LETTER (?:SMALL CAPITAL )?([A-Z])(?: WITH .*)?$")
_MAP_LIMIT = 1 << 16

SENTENCE_ENDS = frozenset("。！？!?;；\n…")
CLAUSE_BREAKS = frozenset("，,、:：—–")


@cache
def _simplified() -> dict[str, str]:
    """Traditional to simplified, one character each, from OpenCC's ``TSCharacters`` table."""
    table: dict[str, str] = {}
    text = files("opencc").joinpath("dictionary", "TSCharacters.txt").read_text(encoding="utf-8")
    for line in text.splitlines():
        source, _, targets = line.partition("\t")
        target = targets.split(" ")[0]
        if len(source) == 1 and len(target) == 1 and target != source:
            table[source] = target
    return table


def _fold_once(char: str) -> str:
    out = []
    for part in unicodedata.normalize("NFKD", char).lower():
        category = unicodedata.category(part)
        if category in ("Mn", "Me", "Cf", "Cs", "Co", "Cn"):
            continue
        if category == "Cc" and part != "\n":
            part = " "
        elif category in ("Zs", "Zl", "Zp"):
            part = "\n" if part == "\u2029" else " "
        part = part.translate(_LOOK_ALIKES)
        if not part.isascii():
            part = _simplified().get(part, part)
            if category[0] in "LS" and not is_han(part):
                named = _LETTER_NAME.search(unicodedata.name(part, ""))
                part = named.group(1).lower() if named else part
        out.append(part)
    return "".join(out)


@lru_cache(maxsize=_MAP_LIMIT)
def fold_char(char: str) -> str:
    """The folded spelling of one character: a fixed point, possibly empty."""
    for _ in range(4):
        folded = "".join(_fold_once(part) for part in char)
        if folded == char:
            break
        char = folded
    return char


def is_han(char: str) -> bool:
    """True for a CJK ideograph."""
    return (
        "\u4e00" <= char <= "\u9fff"
        or "\u3400" <= char <= "\u4dbf"
        or "\U00020000" <= char <= "\U000323af"
        or char == "〇"
    )


@dataclass(frozen=True, slots=True)
class View:
    """A derived text; character ``i`` stands for ``original[starts[i]:ends[i]]``.

    ``loose[i]`` marks characters that were joined from pieces, where word boundaries cannot be trusted.
    """

    text: str
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    loose: frozenset[int] = frozenset()

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Offsets in the original for ``text[start:end]``."""
        if start >= end or not self.text:
            return (0, 0)
        return self.starts[start], max(self.ends[start:end])


def fold(text: str) -> View:
    """The common folded form of ``text``; idempotent on its own output."""
    parts = [fold_char(char) for char in text]
    folded = "".join(parts)
    if len(folded) == len(parts) and "" not in parts:  # the common case: a character for a character
        return View(folded, tuple(range(len(parts))), tuple(range(1, len(parts) + 1)))
    starts = [index for index, part in enumerate(parts) for _ in part]
    return View(folded, tuple(starts), tuple(index + 1 for index in starts))


def pick(view: View, text: list[str], at: list[int]) -> View:
    """``text`` as a view whose characters are those of ``view`` at the places ``at``."""
    return View("".join(text), tuple(view.starts[i] for i in at), tuple(view.ends[i] for i in at))
