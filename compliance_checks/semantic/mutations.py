"""Twelve ways in which people disguise a sentence so that a filter misses it and a listener does not.

The trainer disguises sentences of both labels (a disguise alone is no violation); the tests disguise every violation
of the corpus and ask the gate again. Deterministic: the same seed gives the same disguise.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from agent.events import Lang
from compliance_checks.folding import is_han
from compliance_checks.homophones import syllable

Span = tuple[int, int]
_ZERO_WIDTH: Final = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_SYMBOLS: Final = ".*-_·|/~"
_LEET: Final = str.maketrans("oieast", "013457")
_LATIN_LIKE: Final = str.maketrans("aeopcyxijsABEHKMOPCTX", "аеорсухіјѕАВЕНКМОРСТХ")
_ZH_DIGITS: Final = "零一二三四五六七八九"
_EN_DIGITS: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z']{3,}")
_VOWEL: Final = re.compile(r"(?<=[A-Za-z])[aeiou](?=[A-Za-z])")


@cache
def _traditional() -> Mapping[str, str]:
    text = files("opencc").joinpath("dictionary", "STCharacters.txt").read_text(encoding="utf-8")
    rows = (line.partition("\t") for line in text.splitlines())
    return {source: targets.split(" ")[0] for source, _, targets in rows if len(source) == 1}


@cache
def _same_sound() -> Mapping[str, str]:
    """Syllable → characters in common use with it, commonest first (those of the table of traditional forms)."""
    found: dict[str, str] = {}
    for point in range(0x4E00, 0x9FA6):
        char = chr(point)
        try:
            char.encode("gb2312")
        except UnicodeEncodeError:
            continue
        sound = syllable(char)
        if sound:
            found[sound] = found.get(sound, "") + char
    return found


@cache
def _radicals() -> Mapping[str, str]:
    """Ideographs → characters drawn the same at other code points (Kangxi radicals, compatibility ideographs)."""
    found: dict[str, str] = {}
    for point in (*range(0x2F00, 0x2FD6), *range(0xF900, 0xFA6E)):
        plain = unicodedata.normalize("NFKC", chr(point))
        if len(plain) == 1 and plain != chr(point):
            found.setdefault(plain, chr(point))
    return found


def _inside(text: str, spans: Sequence[Span], between: Callable[[], str]) -> str:
    """``between()`` put between neighbouring letters or ideographs within ``spans``."""
    out = []
    for i, char in enumerate(text):
        if i and _within(i, spans) and _within(i - 1, spans) and char.isalpha() and text[i - 1].isalpha():
            out.append(between())
        out.append(char)
    return "".join(out)


def _within(i: int, spans: Sequence[Span]) -> bool:
    return any(start <= i < end for start, end in spans)


def _each(text: str, spans: Sequence[Span], change: Callable[[str], str]) -> str:
    return "".join(change(char) if _within(i, spans) else char for i, char in enumerate(text))


def spaces(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    """A space between all letters of a word."""
    return _inside(text, spans, lambda: " ")


def symbols(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    mark = rng.choice(_SYMBOLS)
    return _inside(text, spans, lambda: mark)


def full_width(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    return "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)


def zero_width(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    return _inside(text, [(0, len(text))], lambda: rng.choice(_ZERO_WIDTH))


def traditional(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    """Traditional characters; for English the letters of another alphabet block (mathematical bold)."""
    if lang == "zh":
        return "".join(_traditional().get(char, char) for char in text)
    return _each(text, spans, lambda c: chr(0x1D400 + ord(c.lower()) - 97 + 26) if "a" <= c.lower() <= "z" else c)


def homophone(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    """One ideograph a span written as another of its sound; for English one vowel a word starred out."""
    if lang == "en":
        return _words(text, spans, lambda word: _VOWEL.sub("*", word, count=1))
    out = list(text)
    for start, end in spans:
        at = [i for i in range(start, end) if is_han(text[i]) and len(_same_sound().get(syllable(text[i]), "")) > 1]
        if at:
            i = rng.choice(at)
            out[i] = rng.choice([c for c in _same_sound()[syllable(text[i])] if c != text[i]])
    return "".join(out)


def pinyin(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    """Every span in Latin letters: its pinyin."""
    if lang == "en":
        return text
    return _each(text, spans, lambda c: syllable(c) or c)


def initials(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    """The first letters of two neighbouring ideographs a span (报警 → bj)."""
    if lang == "en":
        return text
    out = list(text)
    for start, end in spans:
        for i in range(start, end - 1):
            if syllable(text[i]) and syllable(text[i + 1]):
                out[i], out[i + 1] = syllable(text[i])[0], syllable(text[i + 1])[0]
                break
    return "".join(out)


def leet(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    """Digits for letters; for Mandarin a Latin letter put inside a word (报j警)."""
    if lang == "en":
        return _words(text, spans, lambda word: word.translate(_LEET))
    out = text
    for start, end in sorted(spans, reverse=True):
        if end - start >= 2 and is_han(text[start]) and is_han(text[start + 1]):
            out = out[: start + 1] + (syllable(text[start + 1]) or "x")[0] + out[start + 1 :]
    return out


def stretched(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    """A letter said long (arrrrest); for Mandarin a character said three times."""
    if lang == "en":
        return _words(text, spans, lambda word: word[:2] + word[1] * 3 + word[2:])
    out = text
    for _start, end in sorted(spans, reverse=True):
        out = out[: end - 1] + text[end - 1] * 2 + out[end - 1 :] if is_han(text[end - 1]) else out
    return out


def digits(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    """Digits written as words and words as digits, one by one."""
    if lang == "zh":
        spoken = text.translate({ord(str(i)): char for i, char in enumerate(_ZH_DIGITS)})
        if spoken != text:
            return spoken
        return re.sub(
            "[零一二三四五六七八九]{4,}", lambda m: "".join(str(_ZH_DIGITS.index(c)) for c in m.group()), text
        )
    return re.sub(r"(?<![\d.,$])\d{4,}(?![\d.,])", lambda m: " ".join(_EN_DIGITS[int(c)] for c in m.group()), text)


def look_alikes(text: str, lang: Lang, spans: Sequence[Span], rng: random.Random) -> str:
    """Cyrillic for Latin letters; for Mandarin radicals and compatibility ideographs that look the same."""
    if lang == "en":
        return _each(text, spans, lambda c: c.translate(_LATIN_LIKE))
    return "".join(_radicals().get(char, char) for char in text)


def _words(text: str, spans: Sequence[Span], change: Callable[[str], str]) -> str:
    def changed(match: re.Match[str]) -> str:
        near = any(match.start() < end and start < match.end() for start, end in spans)
        return change(match.group()) if near else match.group()

    return _WORD.sub(changed, text)


KINDS: Final[Mapping[str, Callable[[str, Lang, Sequence[Span], random.Random], str]]] = {
    one.__name__: one
    for one in (
        spaces,
        symbols,
        full_width,
        zero_width,
        traditional,
        homophone,
        pinyin,
        initials,
        leet,
        stretched,
        digits,
        look_alikes,
    )
}


def disguise(text: str, lang: Lang, kind: str, seed: int, spans: Sequence[Span] = ()) -> str | None:
    """``text`` disguised in the way ``kind``, at ``spans`` (offsets of telling words; none: one word by chance).

    ``None`` where that way changes nothing (no digits to respell, no Latin letters to widen).
    """
    rng = random.Random(f"{seed}:{kind}:{text}")
    changed = KINDS[kind](text, lang, list(spans) or [_any_word(text, lang, rng)], rng)
    return None if changed == text else changed


def _any_word(text: str, lang: Lang, rng: random.Random) -> Span:
    if lang == "en":
        words = [match.span() for match in _WORD.finditer(text)]
    else:
        words = [(i, i + 2) for i in range(len(text) - 1) if is_han(text[i]) and is_han(text[i + 1])]
    return rng.choice(words) if words else (0, len(text))
