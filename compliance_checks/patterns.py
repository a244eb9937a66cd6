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

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import ahocorasick

from agent.events import Lang
from compliance_checks import homophones
from compliance_checks.names import Name, chance, introduced
from compliance_checks.normalise import View, Vocabulary, is_han

_GAPS: dict[str, tuple[int, int, str]] = {
    # name: (characters in Chinese, words in English, the unit that must not be left)
    "..": (6, 4, "clause"),
    "...": (16, 10, "clause"),
    "....": (40, 20, "sentence"),
    ".....": (120, 60, "text"),
}
# Bounds the work on hostile input: past it a sentence is refused, not skipped. Longer texts may repeat more.
_MAX_HITS_PER_TERM = 400
_CHARACTERS_PER_HIT = 6


class PatternError(ValueError):
    """A pattern or term in the rule files cannot be read."""


class TooManyHitsError(RuntimeError):
    """One term occurs too often to be judged."""


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
    """``masks`` holds the classes of each item as bits."""

    rule: str
    items: tuple[Item, ...]
    masks: tuple[int, ...]


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


# More words so common in this trade that their edges sound like other words by chance (确实辛苦 is no 失信).
_FREQUENT_PAIRS = (
    "确实辛苦家里安顿安排时候事情东西地方朋友开始结束继续帮助支持联络沟通协商商量材料审核提交登记备注反馈答复工资收入生活身体"
    "医院医生住院看病学校孩子老人父母爱人老师同学上班下班早上上午中午下午晚上周末月底下周下月网点官方官网官微应用手机短信微信"
    "余额扣款入账到账明细流水利率本金罚息减免延期宽限最近目前之前之后刚才马上尽快及时按时准时顺利成功失败系统网络信号声音清楚"
    "明白了解理解体谅原谅配合支付转账充值绑定登录验证核对更新修改变更取消恢复"
)
_FREQUENT = frozenset(_FREQUENT_PAIRS[i : i + 2] for i in range(0, len(_FREQUENT_PAIRS), 2))

# Characters that end a word of place (家里安排 is 家里 + 安排): what begins with one sounds like a term by chance.
_PLACES_AFTER = frozenset("里边面")

# Where each entry of the automata stands, by the entry's number.
Hits = dict[int, list[tuple[int, int]]]
# The same with each entry's classes as bits.
Rows = list[tuple[int, list[tuple[int, int]]]]
Places = tuple[list[tuple[int, int]], list[int]]


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
        where: Mapping[str, str] | None = None,
    ) -> None:
        """``where`` names the file of each class and rule for messages. Raises :class:`PatternError`."""
        self.lang: Lang = lang
        self._where = where or {}
        self._lexicon = lexicon
        self._homophonic = homophonic
        self._ids: dict[str, int] = {}
        self._terms: dict[str, set[int]] = {}
        self._prefixes: dict[str, set[int]] = {}
        self._sounds: dict[str, set[int]] = {}
        self._patterns: list[Pattern] = []
        for name in lexicon:
            self._class_of(name)
        for rule, source in patterns:
            try:
                self._patterns += self._compile(rule, source)
            except PatternError as error:
                file = f"{self._where[rule]}: " if rule in self._where else ""
                raise PatternError(f"{file}{rule}, {lang}: {error}") from error
        self._triggers = self._rarest()
        self._masks: list[int] = []  # by entry: its classes as bits
        self._wakes: list[tuple[int, ...]] = []  # by entry: the patterns that it wakes
        # Every term's classes as bits.
        self._spelt = {term: sum(1 << number for number in classes) for term, classes in self._terms.items()}
        self._plain = self._automaton(self._terms, stem=False)
        self._stems = self._automaton(self._prefixes, stem=True)
        self._sound = self._automaton(self._sounds, stem=False)

    def _automaton(self, entries: Mapping[str, set[int]], *, stem: bool) -> ahocorasick.Automaton | None:
        if not entries:
            return None
        automaton = ahocorasick.Automaton()
        for key, classes in entries.items():
            automaton.add_word(key, (len(key), len(self._masks), stem))
            self._masks.append(sum(1 << number for number in classes))
            self._wakes.append(tuple(index for number in classes for index in self._triggers.get(number, ())))
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
                    file = f"{self._where[trail[-1]]}: " if trail[-1] in self._where else ""
                    raise PatternError(f"{file}class <{trail[0]}> includes <{inner}>, which is unknown or circular")
                self._add_terms(number, self._lexicon[inner], inner in self._homophonic, (*trail, inner))
                continue
            term = term.replace("_", " ").lower()
            if self.lang == "en":
                term = term.replace("-", " ").replace("'s", "")  # as word_view reads them
            if self.lang == "en" and term.endswith("*"):
                self._prefixes.setdefault(term[:-1], set()).add(number)
                continue
            self._terms.setdefault(term, set()).add(number)
            if sounds and self.lang == "zh" and len(term) >= 2 and all(map(is_han, term)):
                for spelling in homophones.spellings(term):
                    self._sounds.setdefault(spelling, set()).add(number)

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
                found.append(Pattern(rule, items, tuple(sum(1 << c for c in item.classes) for item in items)))
        return found

    def _alternatives(self, body: str) -> Iterable[int]:
        literals = []
        for part in body.split("|"):
            if part.startswith("<") and part.endswith(">"):
                yield self._class_of(part[1:-1])
            elif part:
                literals.append(part)
        if literals:
            key = "=" + "|".join(sorted(literals))  # no class is called so: a word may be spelt like a class
            if key not in self._ids:
                number = self._ids[key] = len(self._ids)
                # Disguised as readily as the words of a class; the pattern around them guards against chance.
                self._add_terms(number, literals, True, (key,))
            yield self._ids[key]

    def _rarest(self) -> dict[int, list[int]]:
        """The numbers of the patterns that each class wakes: a pattern is woken by its rarest item alone.

        The more classes a term is in, the commoner it is: <you> opens hundreds of patterns, so it should wake none.
        """
        common: Counter[int] = Counter()
        for classes in (*self._terms.values(), *self._prefixes.values()):
            for number in classes:
                common[number] += len(classes)
        triggers: dict[int, list[int]] = {}
        for index, pattern in enumerate(self._patterns):
            rarest = min(pattern.items, key=lambda item: sum(common[number] for number in item.classes))
            for number in rarest.classes:
                triggers.setdefault(number, []).append(index)
        return triggers

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Single English words of five letters or more that rules look for, to undo disguises with."""
        words = {word for term in self._terms for word in term.split() if len(word) >= 4}
        words |= {word for term in self._prefixes for word in term.split()[:-1] if len(word) >= 4}
        stems = {term.split()[-1] for term in self._prefixes if term}
        short = {word for word in self._terms if len(word) == 3 and word.isalpha()}
        return Vocabulary(frozenset(words), tuple(stem for stem in stems if len(stem) >= 4), frozenset(short))

    @property
    def terms(self) -> frozenset[str]:
        return frozenset(self._terms) | frozenset(self._prefixes)

    # -- matching

    def hits(self, view: View, names: tuple[Name, ...] = ()) -> Hits:
        """Every term that stands in ``view``, by its entry's number, but for those that ``names`` make by chance."""
        found: Hits = {}
        text = view.text
        words = self.lang == "en"
        for automaton in (self._plain, self._stems):
            if automaton is None:
                continue
            for last, (size, entry, stem) in automaton.iter(text):
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
                if names and chance(names, *view.origin(start, end), heard=False):
                    continue
                found.setdefault(entry, []).append((start, end))
        self._add_sounds(view, found, names)
        limit = max(_MAX_HITS_PER_TERM, len(text) // _CHARACTERS_PER_HIT)
        if any(len(places) > limit for places in found.values()):
            raise TooManyHitsError("a term is repeated too often to be judged")
        return found

    def _add_sounds(self, view: View, found: Hits, names: tuple[Name, ...]) -> None:
        """Terms that are only heard: 报井, baojing."""
        if self._sound is None:
            return
        text = view.text
        sounds = homophones.sound_view(view)
        people: tuple[Name, ...] | None = None
        for last, (size, entry, _) in self._sound.iter(sounds.text):
            start, end = sounds.origin(last - size + 1, last + 1)
            surface = text[start:end]
            if self._spelt.get(surface, 0) & self._masks[entry]:
                continue  # it is spelt there, and found already
            if "，" in surface or "。" in surface or self._chance(text, start, end) or _inside_latin(text, start, end):
                continue
            if people is None:
                people = (*names, *introduced(view))
            if people and chance(people, *view.origin(start, end), heard=True):
                continue
            found.setdefault(entry, []).append((start, end))

    @staticmethod
    def _chance(text: str, start: int, end: int) -> bool:
        """True if ``text[start:end]`` sounds like a term by chance: a word, grammar, or the edges of two words."""
        surface = text[start:end]
        if homophones.is_word(surface) or homophones.has_grammar(surface):
            return True
        if not all(map(is_han, text[start:end])):
            return False
        before, after = text[max(0, start - 1) : start + 1], text[end - 1 : end + 1]
        if text[start] in _PLACES_AFTER and start > 0 and is_han(text[start - 1]):
            return True
        if before in homophones.STRONG or after in homophones.STRONG:
            return True
        if before in _FREQUENT or after in _FREQUENT:
            return True
        return start > 0 and homophones.is_word(before) and end < len(text) and homophones.is_word(after)

    def matches(self, view: View, layout: Layout, hits: Hits) -> list[tuple[str, Match]]:
        """Every rule's matches, deduplicated by span, in order of rule then place."""
        out: dict[tuple[str, int, int], Match] = {}
        masks = self._masks
        present = 0
        woken: set[int] = set()
        for entry in hits:
            present |= masks[entry]
            woken.update(self._wakes[entry])
        known: dict[int, Places] = {}
        rows = [(masks[entry], places) for entry, places in hits.items()]
        for index in sorted(woken):  # the same match whatever the order of the terms
            pattern = self._patterns[index]
            for mask in pattern.masks:
                if not mask & present:
                    break
            else:
                for match in self._run(pattern, view, layout, rows, known):
                    out.setdefault((pattern.rule, match.start, match.end), match)
        return sorted(((key[0], match) for key, match in out.items()), key=lambda pair: (pair[1].start, pair[0]))

    @staticmethod
    def _places(mask: int, rows: Rows, known: dict[int, Places]) -> Places:
        """Where any term of the classes in ``mask`` stands, in order, and the starts alone."""
        found = known.get(mask)
        if found is None:
            spans = sorted({place for classes, places in rows if classes & mask for place in places})
            found = known[mask] = (spans, [start for start, _ in spans])
        return found

    def _run(
        self, pattern: Pattern, view: View, layout: Layout, rows: Rows, known: dict[int, Places]
    ) -> Iterable[Match]:
        Partial = tuple[tuple[tuple[int, int], ...], int]  # noqa: N806 - a local type: pieces and the end
        partials: list[Partial] = [((place,), place[1]) for place in self._places(pattern.masks[0], rows, known)[0]]
        for item, mask in zip(pattern.items[1:], pattern.masks[1:], strict=True):
            places, starts = self._places(mask, rows, known)
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
