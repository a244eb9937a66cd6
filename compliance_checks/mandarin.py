"""The Mandarin reading: what is heard, without the separators that stand inside words.

Rules for Mandarin are matched on it. Marks are reduced to ``，`` and ``。``; spaces, dots and single characters cut off
by commas are joined again, and stray Latin letters inside words are left out in a second reading.
"""

from __future__ import annotations

import re
from itertools import pairwise

from compliance_checks.folding import CLAUSE_BREAKS, SENTENCE_ENDS, View, is_han, pick

# Kept as words of their own when single: joining them to a neighbour would change a sentence's meaning.
_LONE = frozenset("不好是对嗯您你请那啊哦喂没行但而若别否")


def han_view(base: View) -> View:
    """Chinese reading: separators inside words dropped, punctuation reduced to ``，`` and ``。``."""
    text: list[str] = []
    at: list[int] = []
    chars = base.text
    size = len(chars)
    for i, char in enumerate(chars):
        if char.isalnum():
            mark = char
        elif char in SENTENCE_ENDS or (char == "." and _ends_sentence(chars, i, size)):
            mark = "。"
        elif char == "、":
            continue  # a list goes on in one clause: what is denied of its first entry is denied of the next
        elif char in CLAUSE_BREAKS:
            if char == "," and 0 < i < size - 1 and chars[i - 1].isdigit() and chars[i + 1].isdigit():
                continue
            mark = "，"
        elif char == "." and 0 < i < size - 1 and chars[i - 1].isdigit() and chars[i + 1].isdigit():
            mark = "."
        elif char in "$¥£€￥₹<>{}%":
            mark = char
        elif char == " " and 0 < i < size - 1 and _latin(chars[i - 1]) and _latin(chars[i + 1]):
            if not _latin(chars[i - 2 : i - 1]) and not _latin(chars[i + 2 : i + 3]):
                continue  # single letters spelt apart: s b
            mark = " "
        else:
            continue
        if mark in "，。" and (not text or text[-1] in "，。"):
            if text and mark == "。":
                text[-1] = mark
            continue
        text.append(mark)
        at.append(i)
    return _heal(pick(base, text, at))


_INSERT = re.compile(r"(?<=[\u4e00-\u9fff])[a-z]{1,2}(?=[\u4e00-\u9fff])")
# How far around stray letters a sentence is read again without them.
_AROUND = 80


def without_inserts(view: View) -> View | None:
    """The Chinese reading without single Latin letters inside words (废w物); ``None`` where there are none.

    It holds only the sentences in which such letters stand, of a long one only what is near them: everything else
    has been read already.
    """
    source = view.text
    inserts = [match.span() for match in _INSERT.finditer(source)]
    if not inserts:
        return None
    keep: list[int] = []
    text: list[str] = []
    done = 0
    for start, end in inserts:
        low = max(done, start - _AROUND, source.rfind("。", max(0, start - _AROUND), start) + 1)
        if low > done and text and text[-1] != "。":
            keep.append(low - 1)
            text.append("。")
        keep.extend(range(low, start))
        text.extend(source[low:start])
        stop = source.find("。", end, end + _AROUND)
        high = stop + 1 if stop >= 0 else min(len(source), end + _AROUND)
        # Up to the next letters; the stretch behind them is theirs.
        following = _INSERT.search(source, end, high + 3)
        if following is not None:
            high = min(high, following.start())
        keep.extend(range(end, high))
        text.extend(source[end:high])
        done = max(high, end)
    return pick(view, text, keep)


def _latin(char: str) -> bool:
    return char.isascii() and char.isalnum()


def _ends_sentence(chars: str, i: int, size: int) -> bool:
    """A full stop is one at the end, before a space, or after a word of Latin letters; not inside 报.警."""
    if i + 1 >= size or chars[i + 1] in " \n":
        return not (i > 0 and i + 2 < size and chars[i - 1] == " ")
    return False


def _heal(view: View) -> View:
    """Join clauses of a single character to their neighbours: 报，警 is one word, 不，… is not."""
    text = view.text
    if "，" not in text and "。" not in text:
        return view
    marks = [-1, *(i for i, char in enumerate(text) if char in "，。"), len(text)]
    drop: set[int] = set()
    for left, right in pairwise(marks):
        if right - left == 2 and is_han(text[left + 1]) and text[left + 1] not in _LONE:
            drop.update(mark for mark in (left, right) if 0 <= mark < len(text) - 1)
    if not drop:
        return view
    keep = [i for i in range(len(text)) if i not in drop]
    return pick(view, [text[i] for i in keep], keep)
