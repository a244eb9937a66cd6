"""Text to numbers: a Chinese character is a token with its sound, an English word one or more pieces."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from agent.events import Lang
from compliance_checks.folding import is_han
from compliance_checks.homophones import syllable

PAD: Final = "[pad]"
UNKNOWN: Final = "[unk]"
MASK: Final = "[mask]"
PARTIES: Final = ("borrower", "unverified", "third_party", "voicemail", "text")
HEADS: Final = tuple(f"[{lang}:{party}]" for lang in ("zh", "en") for party in PARTIES)
SPECIAL: Final = (PAD, UNKNOWN, MASK, *HEADS)
MAX_TOKENS: Final = 96
_MAX_PIECE: Final = 16
_SPLIT: Final = re.compile(r"[a-z']+|\S")


class Tokenizer:
    """Greedy longest-match pieces (a piece inside a word begins with ``#``) over a fixed vocabulary.

    Each token also has a sound: the toneless syllable of a Chinese character, 0 for all else. A character outside the
    vocabulary keeps its sound, so that 报井 still sounds like 报警.
    """

    def __init__(self, pieces: Sequence[str], sounds: Sequence[str]) -> None:
        if tuple(pieces[: len(SPECIAL)]) != SPECIAL or len(set(pieces)) != len(pieces):
            raise ValueError("the vocabulary does not begin with the special tokens, or holds one twice")
        self.pieces = tuple(pieces)
        self.sounds = tuple(sounds)
        self._piece: Mapping[str, int] = {piece: index for index, piece in enumerate(pieces)}
        self._sound: Mapping[str, int] = {sound: index for index, sound in enumerate(sounds, start=1)}
        self._word = lru_cache(maxsize=1 << 14)(self._cut)

    def encode(self, text: str, lang: Lang, party: str = "text") -> tuple[list[int], list[int]]:
        """Token and sound numbers of at most ``MAX_TOKENS`` tokens; the first says language and party."""
        tokens, sounds = [self._piece[f"[{lang}:{party}]"]], [0]
        for unit in _SPLIT.findall(text):
            if is_han(unit):
                tokens.append(self._piece.get(unit, 1))
                sounds.append(self._sound.get(syllable(unit), 0))
            else:
                cut = self._word(unit)
                tokens += cut
                sounds += [0] * len(cut)
        return tokens[:MAX_TOKENS], sounds[:MAX_TOKENS]

    def _cut(self, word: str) -> tuple[int, ...]:
        found: list[int] = []
        start = 0
        while start < len(word):
            for end in range(min(len(word), start + _MAX_PIECE), start, -1):
                number = self._piece.get(("#" if start else "") + word[start:end])
                if number is not None:
                    found.append(number)
                    start = end
                    break
            else:
                return (1,)
        return tuple(found)


def build_vocabulary(texts: Iterable[str], words: int, min_count: int = 2) -> tuple[list[str], list[str]]:
    """Pieces and sounds for :class:`Tokenizer`: frequent characters, every letter, frequent words and their pieces.

    Words are whole words by count; pieces inside words are the commonest endings, so that any word can be cut.
    """
    characters: dict[str, int] = {}
    counted: dict[str, int] = {}
    for text in texts:
        for unit in _SPLIT.findall(text):
            group = counted if unit[0] in "abcdefghijklmnopqrstuvwxyz'" else characters
            group[unit] = group.get(unit, 0) + 1
    letters = [*"abcdefghijklmnopqrstuvwxyz'"]
    pieces: dict[str, int] = {}
    for word, count in counted.items():
        for size in range(2, 7):
            for start in range(1, len(word) - size + 1):
                piece = "#" + word[start : start + size]
                pieces[piece] = pieces.get(piece, 0) + count * size
    vocabulary = dict.fromkeys([*SPECIAL, *letters, *("#" + letter for letter in letters)])
    vocabulary.update(dict.fromkeys(c for c, n in _ranked(characters) if n >= min_count))
    vocabulary.update(dict.fromkeys(_top(counted, words, min_count)))
    vocabulary.update(dict.fromkeys(_top(pieces, words // 4, min_count)))
    sounds = sorted({syllable(char) for char in characters if is_han(char)} - {""})
    return list(vocabulary), sounds


def _ranked(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _top(counts: Mapping[str, int], size: int, min_count: int) -> list[str]:
    return [text for text, count in _ranked(counts)[:size] if count >= min_count]
