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
* ``.....``    up to 120 characters (60 words), whatever stands between
* nothing between two items: they touch

All terms of all patterns sit in one Aho-Corasick automaton per language; rules whose terms are absent cost nothing.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from agent.events import Lang
from compliance_checks.folding import View
from compliance_checks.layout import Layout
from compliance_checks.terms import Hits, PatternError, Terms

_GAPS: dict[str, tuple[int, int, str]] = {
    # name: (characters in Chinese, words in English, the unit that must not be left)
    "..": (6, 4, "clause"),
    "...": (16, 10, "clause"),
    "....": (40, 20, "sentence"),
    ".....": (120, 60, "text"),
}
Places = tuple[list[tuple[int, int]], list[int]]
# Before a rule's name: a pattern in which that rule's matches are harmless.
EXCEPT: Final = "!"


@dataclass(frozen=True, slots=True)
class Item:
    classes: frozenset[int]
    gap: str  # the gap before this item: "" or a key of _GAPS
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


class _Found:
    """The terms that stand in one reading, by class."""

    __slots__ = ("_entries", "_hits", "_known", "_members", "present")

    def __init__(self, hits: Hits, terms: Terms) -> None:
        self.present: set[int] = set().union(*(terms.classes[entry] for entry in hits))
        self._hits = hits
        self._entries = frozenset(hits)
        self._members = terms.members
        self._known: dict[frozenset[int], Places] = {}

    def places(self, wanted: frozenset[int]) -> Places:
        """Where any term of the classes ``wanted`` stands, in order, and the starts alone."""
        found = self._known.get(wanted)
        if found is None:
            spans = sorted(
                {
                    place
                    for number in wanted & self.present
                    for entry in self._members[number] & self._entries
                    for place in self._hits[entry]
                }
            )
            found = self._known[wanted] = (spans, [start for start, _ in spans])
        return found


class Matcher:
    """All patterns of one language, compiled."""

    def __init__(
        self,
        lang: Lang,
        lexicon: Mapping[str, Sequence[str]],
        homophonic: frozenset[str],
        patterns: Iterable[tuple[str, str]],
        where: Mapping[str, str] | None = None,
    ) -> None:
        """``where`` names the file of each class and rule for messages. Raises :class:`PatternError`."""
        self.lang: Lang = lang
        self._terms = Terms(lang, lexicon, homophonic, where or {})
        self._patterns: list[Pattern] = []
        for rule, source in patterns:
            try:
                self._patterns += self._compile(rule, source)
            except PatternError as error:
                file = f"{where[rule]}: " if where and rule in where else ""
                raise PatternError(f"{file}{rule}, {lang}: {error}") from error
        self._terms.freeze()
        self.hits = self._terms.hits
        self.vocabulary = self._terms.vocabulary
        self._wakes, self._excuses, self._needs = self._triggers()

    @property
    def terms(self) -> frozenset[str]:
        return self._terms.all

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
                raise PatternError(f"empty item in {source!r}")
            item = Item(frozenset(self._alternatives(body)), gap, head)
            rows.append([item, None] if optional else [item])
            gap = ""
        if not rows or gap:
            raise PatternError(f"{source!r} must start and end with a term")
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
                yield self._terms.class_of(part[1:-1])
            elif part:
                literals.append(part)
        if literals:
            yield self._terms.literals(literals)

    def _triggers(self) -> tuple[list[frozenset[int]], list[frozenset[int]], list[frozenset[int]]]:
        """By entry the patterns and the exceptions that it wakes; by pattern the classes of which one must be there.

        A pattern is woken by its rarest item alone and wants its second rarest at once: <you> opens hundreds of
        patterns, so it should wake none.
        """
        common = self._terms.commonness()
        woken: dict[int, list[int]] = {}
        needs: list[frozenset[int]] = []
        for index, pattern in enumerate(self._patterns):
            ranked = sorted(pattern.items, key=lambda item: sum(common[number] for number in item.classes))
            for number in ranked[0].classes:
                woken.setdefault(number, []).append(index)
            needs.append(ranked[min(1, len(ranked) - 1)].classes)
        excuse = [pattern.rule.startswith(EXCEPT) for pattern in self._patterns]
        wakes, excuses = (
            [
                frozenset(i for number in classes for i in woken.get(number, ()) if excuse[i] is wanted)
                for classes in self._terms.classes
            ]
            for wanted in (False, True)
        )
        return wakes, excuses, needs

    # -- matching

    def matches(self, view: View, layout: Layout, hits: Hits) -> list[tuple[str, Match]]:
        """Every rule's matches, deduplicated by span, in order of rule then place.

        Exceptions (rules whose name begins with ``!``) are looked for only where their rule has matched.
        """
        out: dict[tuple[str, int, int], Match] = {}
        found = _Found(hits, self._terms)
        self._collect(set().union(*(self._wakes[entry] for entry in hits)), view, layout, found, out)
        if out:
            excused = {EXCEPT + key[0] for key in out}
            woken = set().union(*(self._excuses[entry] for entry in hits))
            self._collect((i for i in woken if self._patterns[i].rule in excused), view, layout, found, out)
        return sorted(((key[0], match) for key, match in out.items()), key=lambda pair: (pair[1].start, pair[0]))

    def _collect(
        self,
        indices: Iterable[int],
        view: View,
        layout: Layout,
        found: _Found,
        out: dict[tuple[str, int, int], Match],
    ) -> None:
        present, patterns, needs = found.present, self._patterns, self._needs
        # In order: the same match whatever the order of the terms.
        for index in sorted(index for index in indices if not present.isdisjoint(needs[index])):
            pattern = patterns[index]
            for item in pattern.items:
                if present.isdisjoint(item.classes):
                    break
            else:
                for match in self._run(pattern, view, layout, found):
                    out.setdefault((pattern.rule, match.start, match.end), match)

    def _run(self, pattern: Pattern, view: View, layout: Layout, found: _Found) -> Iterable[Match]:
        Partial = tuple[tuple[tuple[int, int], ...], int]  # noqa: N806 - a local type: pieces and the end
        partials: list[Partial] = [((place,), place[1]) for place in found.places(pattern.items[0].classes)[0]]
        for item in pattern.items[1:]:
            places, starts = found.places(item.classes)
            following: dict[tuple[int, int], Partial] = {}
            for pieces, end in partials:
                for index in range(bisect_left(starts, end), len(starts)):
                    if self._beyond(item.gap, end, starts[index], layout):
                        break
                    if not self._joins(item.gap, end, starts[index], view, layout):
                        continue
                    place = places[index]
                    best = following.get(place)
                    if best is None or pieces[-1] > best[0][-2]:
                        following[place] = ((*pieces, place), place[1])
            partials = list(following.values())
            if not partials:
                return
        at = next((i for i, item in enumerate(pattern.items) if item.head), len(pattern.items) - 1)
        for pieces, end in partials:
            yield Match(pieces[0][0], end, pieces[at][0], pieces[at][1], tuple(piece[0] for piece in pieces))

    def _joins(self, gap: str, end: int, start: int, view: View, layout: Layout) -> bool:
        """True if an item at ``start`` may follow one that ended at ``end``, ``gap`` being wide enough."""
        if not gap:
            return start == end or view.text[end:start] == " "
        unit = _GAPS[gap][2]
        if unit == "text":
            return True
        numbers = layout.clause if unit == "clause" else layout.sentence
        return numbers[end - 1] == numbers[start]

    def _beyond(self, gap: str, end: int, start: int, layout: Layout) -> bool:
        if not gap:
            return start > end + 1
        characters, words, _ = _GAPS[gap]
        limit = characters if self.lang == "zh" else words
        return layout.word[start] - layout.word[end] > limit
