"""Where clauses, sentences and words of a reading begin and end: what gaps and scope are measured in."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from agent.events import Lang
from compliance_checks.folding import View


def _numbered(text: str, mark: str) -> list[int]:
    """For every place in ``text``, and the one after it, how many marks stand up to and with it."""
    out: list[int] = []
    last = number = 0
    for number, match in enumerate(re.finditer(mark, text), start=1):
        out.extend([number - 1] * (match.start() - last))
        last = match.start()
    out.extend([number] * (len(text) - last + 1))
    return out


class Layout:
    """Clause and sentence numbers and word counts of a view, for gaps and scope."""

    __slots__ = ("clause", "sentence", "view", "word")

    def __init__(self, view: View, lang: Lang) -> None:
        self.view = view
        clause, sentence = ("[，。]", "。") if lang == "zh" else ("[,.]", r"\.")
        self.clause = _numbered(view.text, clause)
        self.sentence = _numbered(view.text, sentence)
        self.word = list(range(len(view.text) + 1)) if lang == "zh" else _numbered(view.text, " ")

    def clause_bounds(self, at: int) -> tuple[int, int]:
        return self._bounds(self.clause, at)

    def sentence_bounds(self, at: int) -> tuple[int, int]:
        return self._bounds(self.sentence, at)

    def _bounds(self, numbers: Sequence[int], at: int) -> tuple[int, int]:
        number = numbers[min(at, len(numbers) - 1)]
        start = bisect_left(numbers, number)
        end = bisect_left(numbers, number + 1)
        if start and start < len(self.view.text) and self.view.text[start] in "，。,.":
            start += 1
        return start, min(end, len(self.view.text))
