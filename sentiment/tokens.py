"""An utterance as the transformer sees it: word pieces, how they sound, what they mean to a loan call.

Mandarin goes in character by character, Latin letters by greedy longest word pieces (``##`` continues a word). Beside
each piece stands its toneless syllable, so that a homophone error of a recogniser still says something, and the
lexicon's concepts (``lexicon/*.yaml``) that cover it. Position 0 is ``[CLS]``, which carries what had been asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sentiment.features import concept_names, concept_spans, model_text
from sentiment.text import is_han, syllable

PAD, UNKNOWN, CLS, MASK = 0, 1, 2, 3
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[MASK]")
MAX_PIECES = 96
"""Pieces read of one utterance, ``[CLS]`` included: a longer one is cut in the middle, its ends say most."""
ASKED = ("", "identity", "digits", "yes_no", "date", "amount", "date_amount", "open")
"""What the agent had asked for, by number; 0 is unknown."""
LANGS = ("zh", "en")
_WORD = re.compile(r"[^\s]+")


@dataclass(frozen=True, slots=True)
class Encoded:
    """``pieces`` and ``sounds`` int64 of shape (n,), ``concepts`` float32 (n, concepts) with 0 or 1."""

    pieces: NDArray[np.int64]
    sounds: NDArray[np.int64]
    concepts: NDArray[np.float32]
    asked: int
    lang: int


def words_of(seen: str) -> list[tuple[int, int]]:
    """Character spans of the units before word pieces: single Han characters and ``#``, else runs without space."""
    out: list[tuple[int, int]] = []
    for m in _WORD.finditer(seen):
        start = m.start()
        for i in range(m.start(), m.end()):
            if is_han(seen[i]) or seen[i] == "#":
                if start < i:
                    out.append((start, i))
                out.append((i, i + 1))
                start = i + 1
        if start < m.end():
            out.append((start, m.end()))
    return out


class Tokenizer:
    """Pieces and syllables by number. ``pieces`` starts with ``SPECIAL``; ``sounds`` with "" (no syllable)."""

    def __init__(self, pieces: Sequence[str], sounds: Sequence[str]) -> None:
        self.pieces = tuple(pieces)
        self.sounds = tuple(sounds)
        self._piece = {p: i for i, p in enumerate(self.pieces)}
        self._sound = {s: i for i, s in enumerate(self.sounds)}
        self._split = lru_cache(maxsize=50_000)(self._word_pieces)

    def _word_pieces(self, word: str) -> tuple[tuple[int, int, int], ...]:
        """(number, start, end) of a word's pieces; the whole word unknown if any part of it is."""
        out: list[tuple[int, int, int]] = []
        start = 0
        while start < len(word):
            for end in range(len(word), start, -1):
                number = self._piece.get(("##" if start else "") + word[start:end])
                if number is not None:
                    out.append((number, start, end))
                    start = end
                    break
            else:
                return ((UNKNOWN, 0, len(word)),)
        return tuple(out)

    def encode(self, text: str, lang: str, expects: str | None = None) -> Encoded:
        """Never fails; a text without a word gives ``[CLS]`` alone."""
        seen = model_text(text, lang)
        found = [(n, a + s, a + e) for a, b in words_of(seen) for n, s, e in self._split(seen[a:b])]
        if len(found) > MAX_PIECES - 1:
            half = (MAX_PIECES - 1) // 2
            found = found[:half] + found[half - (MAX_PIECES - 1) :]
        covering: list[set[int]] = [set() for _ in seen]
        for start, end, concept in concept_spans(seen, lang):
            for i in range(max(start, 0), min(end, len(seen))):
                covering[i].add(concept)
        concepts = np.zeros((len(found) + 1, len(concept_names())), dtype=np.float32)
        sounds = np.zeros(len(found) + 1, dtype=np.int64)
        for row, (_, start, end) in enumerate(found, 1):
            concepts[row, list(set().union(*covering[start:end]))] = 1.0
            if end == start + 1 and is_han(seen[start]):
                sounds[row] = self._sound.get(syllable(seen[start]), 0)
        return Encoded(
            np.array([CLS, *(n for n, _, _ in found)], dtype=np.int64),
            sounds,
            concepts,
            ASKED.index(expects or ""),
            LANGS.index(lang),
        )
