"""SentencePiece unigram segmentation (Kudo 2018, arXiv:1804.10959): the likeliest pieces of a text, by Viterbi."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

SPACE: Final = "\u2581"  # what SentencePiece writes for a space
UNKNOWN: Final = 0
RESERVED: Final = 6  # the table's first rows are marks that no text may name
_UNLIKELY: Final = -20.0  # below every piece of the table: unknown only where nothing known fits
_MOST: Final = 2_000  # characters read; a sentence of a call has a few dozen


class Pieces:
    """``table`` holds the pieces in the order of their numbers, ``scores`` their log-probabilities."""

    def __init__(self, table: Sequence[str], scores: Sequence[float]) -> None:
        if len(table) != len(scores) or len(table) <= RESERVED:
            raise ValueError(f"{len(table)} pieces and {len(scores)} scores do not fit")
        self.table = tuple(table)
        self.scores = tuple(float(score) for score in scores)
        self._known: dict[str, tuple[int, float]] = {}
        for number, piece in enumerate(self.table[RESERVED:], RESERVED):
            self._known.setdefault(piece, (number, self.scores[number]))
        self._longest = max(map(len, self._known))

    def __len__(self) -> int:
        return len(self.table)

    def encode(self, text: str) -> list[int]:
        """The numbers of the pieces of ``text``; characters in no piece become one ``UNKNOWN`` a run. Linear time."""
        text = unicodedata.normalize("NFKC", text[:_MOST])
        if not text:
            return []
        text = SPACE + text.replace(" ", SPACE)
        best = [0.0] + [float("-inf")] * len(text)
        back = [(0, UNKNOWN)] * (len(text) + 1)
        for start in range(len(text)):
            for end in range(start + 1, min(len(text), start + self._longest) + 1):
                known = self._known.get(text[start:end])
                if known is None and end > start + 1:
                    continue
                number, score = known or (UNKNOWN, _UNLIKELY)
                if best[start] + score > best[end]:
                    best[end], back[end] = best[start] + score, (start, number)
        found: list[int] = []
        at = len(text)
        while at:
            at, number = back[at]
            if number != UNKNOWN or not found or found[-1] != UNKNOWN:
                found.append(number)
        return found[::-1]
