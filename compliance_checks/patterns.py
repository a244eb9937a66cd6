"""The readable pattern language of ``rules/*.yaml`` and its matcher.

A pattern is a row of items between which gaps may be allowed::

    <we> .. 告诉|通知 ... <family>          we, within a short gap a telling verb, later a family word
    <we> .. tell|inform|call_up ... <family>

* ``<name>``   any term of that class of ``rules/lexicon.yaml``
* ``a|b``      any of these terms; in English ``_`` is a space and a final ``*`` any ending (``arrest*``)
* ``item?``    may be missing
* ``^item``    the head: what a negation must attach to (default: the last item)
* ``..``       up to 6 characters (4 English words) inside one clause
* ``...``      up to 16 characters (10 words) inside one clause
* ``....``     up to 40 characters (20 words) inside one sentence, commas allowed
* nothing between two items: they touch

All terms of all patterns sit in one Aho-Corasick automaton per language; rules whose terms are absent cost nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import ahocorasick

from agent.events import Lang
from compliance_checks import homophones
from compliance_checks.normalise import View, Vocabulary, is_han

_GAPS: dict[str, tuple[int, int, str]] = {
    # name: (characters in Chinese, words in English, the unit that must not be left)
    "..": (6, 4, "clause"),
    "...": (16, 10, "clause"),
    "....": (40, 20, "sentence"),
}
_MAX_HITS_PER_CLASS = 400  # bounds the work on hostile input; past it a sentence is refused, not skipped


class PatternError(ValueError):
    """A pattern or term in the rule files cannot be read."""


class TooManyHitsError(RuntimeError):
    """One class of terms occurs too often to be judged."""


@dataclass(frozen=True, slots=True)
class Item:
    classes: frozenset[int]
    gap: str  # the gap before this item: "", "..", "...", "...."
    head: bool


@dataclass(frozen=True, slots=True)
class Match:
    """Where a pattern matched, in a view's offsets. ``pieces`` are the starts of its items, ``head`` of the head."""

    start: int
    end: int
    head: int
    head_end: int
    pieces: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pattern:
    rule: str
    items: tuple[Item, ...]


class Layout:
    """Clause and sentence numbers and word counts of a view, for gaps and scope."""

    __slots__ = ("clause", "sentence", "view", "word")

    def __init__(self, view: View, lang: Lang) -> None:
        self.view = view
        clause, sentence, word = [], [], []
        c = s = w = 0
        chinese = lang == "zh"
        for char in view.text:
            if (chinese and char == "。") or (not chinese and char == "."):
                s += 1
                c += 1
            elif (chinese and char == "，") or (not chinese and char == ","):
                c += 1
            elif char == " ":
                w += 1
            clause.append(c)
            sentence.append(s)
            word.append(w)
        clause.append(c)
        sentence.append(s)
        word.append(w)
        self.clause, self.sentence, self.word = clause, sentence, word
        if chinese:
            self.word = list(range(len(view.text) + 1))

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


Hits = dict[int, list[tuple[int, int]]]


def _inside_latin(text: str, start: int, end: int) -> bool:
    """True if a Latin term in Chinese text is only a part of a longer Latin word: sb inside usb."""
    return ("a" <= text[start - 1 : start] <= "z") or ("a" <= text[end : end + 1] <= "z" and text[end - 1].isascii())


class Matcher:
    """All patterns of one language, compiled."""

    def __init__(
        self,
        lang: Lang,
        lexicon: Mapping[str, Sequence[str]],
        homophonic: frozenset[str],
        patterns: Iterable[tuple[str, str]],
    ) -> None:
        self.lang: Lang = lang
        self._lexicon = lexicon
        self._homophonic = homophonic
        self._ids: dict[str, int] = {}
        self._terms: dict[str, set[int]] = {}
        self._prefixes: dict[str, set[int]] = {}
        self._sounds: dict[str, set[int]] = {}
        self._by_first: dict[int, list[Pattern]] = {}
        for name in lexicon:
            self._class_of(name)
        for rule, source in patterns:
            for pattern in self._compile(rule, source):
                for first in pattern.items[0].classes:
                    self._by_first.setdefault(first, []).append(pattern)
        self._plain = self._automaton({t: (t, i, False) for t, i in self._terms.items()})
        self._stems = self._automaton({t: (t, i, True) for t, i in self._prefixes.items()})
        self._sound = self._automaton({t: (t, i, False) for t, i in self._sounds.items()})

    @staticmethod
    def _automaton(entries: Mapping[str, tuple[str, set[int], bool]]) -> ahocorasick.Automaton | None:
        if not entries:
            return None
        automaton = ahocorasick.Automaton()
        for key, (term, ids, stem) in entries.items():
            automaton.add_word(key, (len(term), tuple(sorted(ids)), stem))
        automaton.make_automaton()
        return automaton

    # -- compiling

    def _class_of(self, name: str) -> int:
        if name in self._ids:
            return self._ids[name]
        if name not in self._lexicon:
            raise PatternError(f"unknown class <{name}> for {self.lang}")
        number = self._ids[name] = len(self._ids)
        self._add_terms(number, self._lexicon[name], name in self._homophonic, (name,))
        return number

    def _add_terms(self, number: int, terms: Iterable[str], sounds: bool, trail: tuple[str, ...]) -> None:
        for term in terms:
            if term.startswith("<"):
                inner = term.strip("<>")
                if inner in trail or inner not in self._lexicon:
                    raise PatternError(f"class <{trail[0]}> includes <{inner}>, which is unknown or circular")
                self._add_terms(number, self._lexicon[inner], inner in self._homophonic, (*trail, inner))
                continue
            term = term.replace("_", " ").lower()
            if self.lang == "en" and term.endswith("*"):
                self._prefixes.setdefault(term[:-1], set()).add(number)
                continue
            self._terms.setdefault(term, set()).add(number)
            if sounds and self.lang == "zh" and len(term) >= 2 and all(map(is_han, term)):
                self._sounds.setdefault(homophones.spell(term), set()).add(number)

    def _compile(self, rule: str, source: str) -> list[Pattern]:
        rows: list[list[Item | None]] = []
        gap = ""
        for raw in source.split():
            if raw in _GAPS:
                gap = raw
                continue
            optional = raw.endswith("?") and len(raw) > 1
            body = raw[:-1] if optional else raw
            head = body.startswith("^")
            body = body.removeprefix("^")
            if not body:
                raise PatternError(f"{rule}: empty item in {source!r}")
            item = Item(frozenset(self._alternatives(body)), gap, head)
            rows.append([item, None] if optional else [item])
            gap = ""
        if not rows or gap:
            raise PatternError(f"{rule}: {source!r} must start and end with a term")
        found = []
        for choice in product(*rows):
            items = tuple(item for item in choice if item is not None)
            if items:
                found.append(Pattern(rule, items))
        return found

    def _alternatives(self, body: str) -> Iterable[int]:
        literals = []
        for part in body.split("|"):
            if part.startswith("<") and part.endswith(">"):
                yield self._class_of(part[1:-1])
            elif part:
                literals.append(part)
        if literals:
            key = "|".join(sorted(literals))
            if key not in self._ids:
                number = self._ids[key] = len(self._ids)
                self._add_terms(number, literals, False, (key,))
            yield self._ids[key]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Single English words of five letters or more that rules look for, to undo disguises with."""
        words = {word for term in self._terms for word in term.split() if len(word) >= 4}
        words |= {word for term in self._prefixes for word in term.split()[:-1] if len(word) >= 4}
        stems = {term.split()[-1] for term in self._prefixes if term}
        return Vocabulary(frozenset(words), tuple(stem for stem in stems if len(stem) >= 4))

    @property
    def terms(self) -> frozenset[str]:
        return frozenset(self._terms) | frozenset(self._prefixes)

    # -- matching

    def hits(self, view: View) -> Hits:
        """Every term of every class, by class number, in order of appearance."""
        found: dict[int, set[tuple[int, int]]] = {}
        text = view.text
        words = self.lang == "en"
        for automaton in (self._plain, self._stems):
            if automaton is None:
                continue
            for last, (size, ids, stem) in automaton.iter(text):
                start, end = last - size + 1, last + 1
                if words:
                    if start and text[start - 1].isalnum() and start not in view.loose:
                        continue
                    if stem:
                        while end < len(text) and text[end].isalnum():
                            end += 1
                    elif end < len(text) and text[end].isalnum() and end not in view.loose:
                        continue
                elif text[start] < "{" and _inside_latin(text, start, end):
                    continue
                for number in ids:
                    found.setdefault(number, set()).add((start, end))
        if self._sound is not None:
            sounds = homophones.sound_view(view)
            for last, (size, ids, _) in self._sound.iter(sounds.text):
                start, end = sounds.origin(last - size + 1, last + 1)
                if any((start, end) in found.get(number, ()) for number in ids):
                    continue
                surface = text[start:end]
                if "，" in surface or "。" in surface or self._chance(text, start, end):
                    continue
                for number in ids:
                    found.setdefault(number, set()).add((start, end))
        hits = {number: sorted(places) for number, places in found.items()}
        if any(len(places) > _MAX_HITS_PER_CLASS for places in hits.values()):
            raise TooManyHitsError("a term is repeated too often to be judged")
        return hits

    @staticmethod
    def _chance(text: str, start: int, end: int) -> bool:
        """True if ``text[start:end]`` sounds like a term by chance: a word, grammar, or the edges of two words."""
        surface = text[start:end]
        if homophones.is_word(surface) or homophones.has_grammar(surface):
            return True
        if not all(map(is_han, text[start:end])):
            return False
        left = start > 0 and homophones.is_word(text[start - 1 : start + 1])
        right = end < len(text) and homophones.is_word(text[end - 1 : end + 1])
        return left and right

    def matches(self, view: View, layout: Layout, hits: Hits) -> list[tuple[str, Match]]:
        """Every rule's matches, deduplicated by span, in order of rule then place."""
        out: dict[tuple[str, int, int], Match] = {}
        for number in hits:
            for pattern in self._by_first.get(number, ()):
                if all(any(c in hits for c in item.classes) for item in pattern.items[1:]):
                    for match in self._run(pattern, view, layout, hits, number):
                        out.setdefault((pattern.rule, match.start, match.end), match)
        return sorted(((key[0], match) for key, match in out.items()), key=lambda pair: (pair[1].start, pair[0]))

    def _run(self, pattern: Pattern, view: View, layout: Layout, hits: Hits, first: int) -> Iterable[Match]:
        Partial = tuple[tuple[tuple[int, int], ...], int]  # noqa: N806 - a local type: pieces and the end
        partials: list[Partial] = [((place,), place[1]) for place in hits[first]]
        for item in pattern.items[1:]:
            places = sorted({place for c in item.classes for place in hits.get(c, ())})
            following: dict[tuple[int, int], Partial] = {}
            starts = [place[0] for place in places]
            for pieces, end in partials:
                for place in places[bisect_left(starts, end) :]:
                    if not self._joins(item.gap, end, place[0], view, layout):
                        if self._beyond(item.gap, end, place[0], layout):
                            break
                        continue
                    known = following.get(place)
                    if known is None or pieces[-1] > known[0][-2]:
                        following[place] = ((*pieces, place), place[1])
            partials = list(following.values())
            if not partials:
                return
        at = next((i for i, item in enumerate(pattern.items) if item.head), len(pattern.items) - 1)
        for pieces, end in partials:
            yield Match(pieces[0][0], end, pieces[at][0], pieces[at][1], tuple(piece[0] for piece in pieces))

    def _joins(self, gap: str, end: int, start: int, view: View, layout: Layout) -> bool:
        if not gap:
            between = view.text[end:start]
            return not between or between == " "
        if self._beyond(gap, end, start, layout):
            return False
        numbers = layout.clause if _GAPS[gap][2] == "clause" else layout.sentence
        return numbers[end - 1] == numbers[start]

    def _beyond(self, gap: str, end: int, start: int, layout: Layout) -> bool:
        if not gap:
            return start > end + 1
        characters, words, _ = _GAPS[gap]
        limit = characters if self.lang == "zh" else words
        return layout.word[start] - layout.word[end] > limit
