"""Mandarin sentences that sound like what was heard, and make better sense.

A small decoder hears the syllables and picks the wrong characters, for it knows few words. So other characters of the
same syllables are tried where it was unsure, an n-gram model keeps the likeliest sentences, and the recogniser itself
then says how well each fits the sound (``asr.whisper``): nothing is said here that it did not hear.
"""

from __future__ import annotations

import functools
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from asr.ngram import END, ORDER, START, NGram

WEIGHT: Final = 1.3
"""Of the n-gram's log-probability beside the recogniser's, between sentences that sound alike."""
SURE: Final = 0.8
"""A character that the recogniser gives this probability is left alone."""
EXPECTED: Final = 4.0
"""Natural log-probability by which a word of this call's own (a name that no text holds) is preferred."""
_PRICE: Final = 1.2
"""Natural log-probability that another character costs while sentences are searched; one of another tone twice that."""
_ALIKE: Final = 12
_BEAM: Final = 6
_KEPT: Final = 2
_HAN: Final = re.compile(r"[\u4e00-\u9fff]{2,}")

Readings = frozenset[tuple[str, str]]
"""(syllable, tone) of one character, each way it is read."""


@functools.cache
def readings(character: str) -> Readings:
    """How ``character`` is read; empty for what is no Han character."""
    from pypinyin import Style, pinyin

    if not "\u4e00" <= character <= "\u9fff":
        return frozenset()
    (found,) = pinyin(character, style=Style.TONE3, heteronym=True, neutral_tone_with_five=True)
    return frozenset((each[:-1], each[-1]) for each in found if each[-1:].isdigit())


class Homophones:
    """Proposes sentences for one n-gram model of Mandarin. Thread-safe once made."""

    def __init__(self, model: NGram) -> None:
        self.model = model
        known = {each: readings(each) for each in model.vocabulary if len(each) == 1 and readings(each)}
        said: dict[str, list[str]] = defaultdict(list)
        for each, ways in known.items():
            for syllable in {syllable for syllable, _ in ways}:
                said[syllable].append(each)
        likely = dict(zip(known, model.unigrams(list(known)).tolist(), strict=True))
        self._alike = {each: _alike(each, known, said, likely) for each in known}

    def variants(self, texts: Sequence[str], sure: Sequence[bool], expected: str | None = None) -> list[str]:
        """Sentences that sound like ``texts[0]``, without it, the likeliest of each text first.

        ``texts`` are hypotheses of one utterance, the chosen one first; those of another length are left out. ``sure``
        says of each of its characters whether it stands. ``expected``: words of this call, tried where they fit.
        """
        first = texts[0]
        if len(first) != len(sure) or all(sure):
            return []
        found: dict[str, None] = dict.fromkeys(placed(first, sure, expected))
        for text in texts:
            if len(text) == len(first):
                fixed = [a == b and known for a, b, known in zip(text, first, sure, strict=True)]
                found |= dict.fromkeys([text, *self._search(text, fixed)])
        found.pop(first, None)
        return list(found)

    def _search(self, text: str, fixed: Sequence[bool]) -> list[str]:
        """A beam search from left to right over the characters that sound like those which are not fixed."""
        beam: list[tuple[list[int], float, str]] = [([START] * (ORDER - 1), 0.0, "")]
        for character, stays in zip(text, fixed, strict=True):
            choices = [(character, 0.0), *(() if stays else self._alike.get(character, ()))]
            ids = [self.model.id(each) for each, _ in choices]
            beam = self._extended(beam, [each for each, _ in choices], ids, np.array([price for _, price in choices]))
        return [text for _, _, text in self._extended(beam, [""], [END], np.zeros(1))[:_KEPT]]

    def _extended(
        self, beam: list[tuple[list[int], float, str]], characters: list[str], ids: list[int], prices: np.ndarray
    ) -> list[tuple[list[int], float, str]]:
        rows = np.array([[*history[1 - ORDER :], each] for history, _, _ in beam for each in ids], np.int64)
        so_far = np.array([score for _, score, _ in beam])
        scores = (so_far[:, None] - prices[None, :]).ravel() + self.model.last(rows)
        best = np.argsort(-scores)[:_BEAM].tolist()
        n = len(characters)
        return [(rows[at].tolist(), float(scores[at]), beam[at // n][2] + characters[at % n]) for at in best]


def _alike(
    character: str, known: Mapping[str, Readings], said: Mapping[str, list[str]], likely: Mapping[str, float]
) -> tuple[tuple[str, float], ...]:
    """What sounds like ``character``, with its price, the likelier first."""
    prices: dict[str, float] = {}
    for syllable, tone in known[character]:
        for other in said[syllable]:
            price = _PRICE if (syllable, tone) in known[other] else 2 * _PRICE
            prices[other] = min(price, prices.get(other, price))
    prices.pop(character, None)
    return tuple(sorted(prices.items(), key=lambda item: item[1] - 0.4 * likely[item[0]])[:_ALIKE])


def placed(text: str, sure: Sequence[bool], expected: str | None) -> list[str]:
    """``text`` with each expected word where it sounds like what stands there and not all of that is sure."""
    out = []
    for word in _HAN.findall(expected or ""):
        ways = [{syllable for syllable, _ in readings(each)} for each in word]
        for at in range(len(text) - len(word) + 1):
            there = text[at : at + len(word)]
            alike = all(way & {s for s, _ in readings(each)} for way, each in zip(ways, there, strict=True))
            if alike and there != word and not all(sure[at : at + len(word)]):
                out.append(text[:at] + word + text[at + len(word) :])
    return out
