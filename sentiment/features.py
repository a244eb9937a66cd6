"""An utterance as a sparse bag of hashed features, the same for training and for reading.

Mandarin: character 1–3-grams; toneless-pinyin 2–3-grams and concept words by pinyin, which survive a recogniser's
homophone errors. English: words, word pairs, character 3–5-grams inside words. Both: concepts (``lexicon/*.yaml``:
words that mean about the same to a loan call), ordered pairs of concepts, how long the utterance is, and what the
agent had just asked for. Numbers are folded to ``#``. Punctuation is not used: recognisers do not hear it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from zlib import crc32

import ahocorasick
import numpy as np
import yaml
from numpy.typing import NDArray

from sentiment.slots.numbers import EN_NUMBER
from sentiment.text import fold, is_han, plain, syllable

BUCKETS = 1 << 17
"""Size of the hashed feature space."""
_LEXICON = Path(__file__).parent / "lexicon"
_ZH_NUMBER = re.compile(
    r"\d[\d.,]*|[零〇一二两三四五六七八九十百千万幺]{2,}|[二两三四五六七八九十](?=[块元号月点天日期年个])"
)
_EN_NUMBER = re.compile(rf"{EN_NUMBER}|\b\w+teenth\b|\b\d+(?:st|nd|rd|th)\b")
_PAIR_REACH = 4


@lru_cache(maxsize=2)
def _concepts(lang: str) -> tuple[ahocorasick.Automaton, ahocorasick.Automaton]:
    """Automata over the text and over its pinyin (Mandarin only; words of two characters and more)."""
    table = yaml.safe_load((_LEXICON / f"{lang}.yaml").read_text(encoding="utf-8"))
    text, sound = ahocorasick.Automaton(), ahocorasick.Automaton()
    words: dict[str, set[str]] = {}
    sounds: dict[str, set[str]] = {}
    for concept, said in table.items():
        for word in re.split(r"[|\n]", said):
            word = word.strip()
            if not word:
                continue
            if lang == "en":
                words.setdefault(f" {word.rstrip('*')}" + ("" if word.endswith("*") else " "), set()).add(concept)
            else:
                words.setdefault(word, set()).add(concept)
                if len(word) >= 2:
                    sounds.setdefault(_sound(word), set()).add(concept)
    for automaton, entries in ((text, words), (sound, sounds)):
        for word, names in entries.items():
            automaton.add_word(word, (tuple(sorted(names)), len(word)))
        automaton.make_automaton()
    return text, sound


def _sound(text: str) -> str:
    return "." + ".".join(syllable(c) for c in text) + "."


def model_text(text: str, lang: str) -> str:
    """The text as the model sees it: folded, without punctuation, numbers as ``#``."""
    folded = plain(fold(text).text)
    if lang == "zh":
        return _ZH_NUMBER.sub("#", folded.replace(" ", ""))
    return re.sub(r"\s+", " ", _EN_NUMBER.sub(" # ", folded.replace("'", ""))).strip()


def _hits(automaton: ahocorasick.Automaton, text: str) -> list[tuple[int, int, str]]:
    if not len(automaton):
        return []
    return [(end - length + 1, end, name) for end, (names, length) in automaton.iter(text) for name in names]


def _concept_features(lang: str, seen: str) -> Iterator[str]:
    text, sound = _concepts(lang)
    hits = sorted(_hits(text, seen if lang == "zh" else f" {seen} "))
    order = [name for i, (_, _, name) in enumerate(hits) if not (i and hits[i - 1][2] == name)]
    for i, name in enumerate(order):
        yield f"c:{name}"
        for later in order[i + 1 : i + 1 + _PAIR_REACH]:
            yield f"cc:{name}>{later}"
    if order:
        yield f"c^:{order[0]}"
        yield f"c$:{order[-1]}"
    if lang == "zh":
        for name in {name for _, _, name in _hits(sound, _sound(seen))}:
            yield f"cs:{name}"


@lru_cache(maxsize=1)
def concept_names() -> tuple[str, ...]:
    """The lexicons' concepts, both languages together, in a fixed order: a concept means the same in both."""
    tables = [yaml.safe_load((_LEXICON / f"{lang}.yaml").read_text(encoding="utf-8")) for lang in ("zh", "en")]
    return tuple(sorted(set(tables[0]) | set(tables[1])))


def concept_spans(seen: str, lang: str) -> list[tuple[int, int, int]]:
    """(start, end, concept's number) in a ``model_text``: words of the lexicon, in Mandarin also by sound."""
    number = {name: i for i, name in enumerate(concept_names())}
    text, sound = _concepts(lang)
    if lang == "en":
        return [(start, end - 1, number[name]) for start, end, name in _hits(text, f" {seen} ")]
    out = [(start, end + 1, number[name]) for start, end, name in _hits(text, seen)]
    spoken, at = _sound(seen), [0]
    for char in seen:
        at.append(at[-1] + len(syllable(char)) + 1)
    back = {offset: i for i, offset in enumerate(at)}
    out += [
        (back[start], back[end], number[name])
        for start, end, name in _hits(sound, spoken)
        if start in back and end in back
    ]
    return out


def feature_names(text: str, lang: str, expects: str | None) -> list[str]:
    """The features of an utterance by name, in a fixed order, without repeats."""
    seen = model_text(text, lang)
    out: list[str] = []
    if lang == "zh":
        chars = f"^{seen}$"
        out += [f"z:{chars[i : i + n]}" for n in (1, 2, 3) for i in range(len(chars) - n + 1)]
        sounds = [syllable(c) for c in chars]
        out += [f"p:{'.'.join(sounds[i : i + n])}" for n in (2, 3) for i in range(len(sounds) - n + 1)]
        length = sum(is_han(c) or c == "#" for c in seen)
    else:
        words = ["^", *seen.split(), "$"]
        out += [f"w:{w}" for w in words[1:-1]]
        out += [f"w:{a} {b}" for a, b in pairwise(words)]
        out += [f"s:{a} {b}" for a, b in zip(words, words[2:], strict=False)]
        for word in words[1:-1]:
            edged = f"<{word}>"
            out += [f"g:{edged[i : i + n]}" for n in (3, 4, 5) for i in range(len(edged) - n + 1)]
        length = len(words) - 2
    size = "0" if length == 0 else "1" if length <= 2 else "2" if length <= 5 else "3" if length <= 12 else "4"
    out += [f"{lang}:length:{size}", *_concept_features(lang, seen)]
    if expects:
        out += [f"x:{expects}", f"x:{expects}:{size}"]
        if size in ("1", "2"):
            out.append(f"x:{expects}:{seen}")
    return list(dict.fromkeys(out))


def features(text: str, lang: str, expects: str | None = None) -> NDArray[np.int64]:
    """Bucket numbers of an utterance's features, shape ``(n,)``."""
    names = feature_names(text, lang, expects)
    return np.fromiter((crc32(name.encode()) % BUCKETS for name in names), dtype=np.int64, count=len(names))
