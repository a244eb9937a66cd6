"""The terms that patterns are made of, and where they stand in a text: spelt out, by their stem, or only heard.

All terms of one language sit in three Aho-Corasick automata, so finding them takes one pass whatever their number.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

import ahocorasick

from agent.events import Lang
from compliance_checks import homophones
from compliance_checks.english import Vocabulary
from compliance_checks.folding import View, is_han
from compliance_checks.names import Name, chance, introduced

# Bounds the work on hostile input: past it a sentence is refused, not skipped. Longer texts may repeat more.
_MAX_HITS_PER_TERM = 400
_CHARACTERS_PER_HIT = 6


_NONE: frozenset[int] = frozenset()


class PatternError(ValueError):
    """A pattern or term in the rule files cannot be read."""


class TooManyHitsError(RuntimeError):
    """One term occurs too often to be judged."""


# More words so common in this trade that their edges sound like other words by chance (确实辛苦 is no 失信).
_FREQUENT_PAIRS = (
    "确实辛苦家里安顿安排时候事情东西地方朋友开始结束继续帮助支持联络沟通协商商量材料审核提交登记备注反馈答复工资收入生活身体"
    "医院医生住院看病学校孩子老人父母爱人老师同学上班下班早上上午中午下午晚上周末月底下周下月网点官方官网官微应用手机短信微信"
    "余额扣款入账到账明细流水利率本金罚息减免延期宽限最近目前之前之后刚才马上尽快及时按时准时顺利成功失败系统网络信号声音清楚"
    "推荐介绍建议影响规定政策使用进行标准方式办法条件资格要求产品业务合作活动优惠费用价格普通特别专门专业经理顾问窗口柜台热线平台官方"
    "首先其次另外此外因此虽然如此比如例如按照根据通过经过关于由于随时经常通常一般比较非常完全直接目前如今每天每年每周今年去年明年"
    "男士女士师傅阿姨叔叔小姐大爷辛苦麻烦请教指教打听希望祝愿顺利平安健康快乐开心舒服难过着急担忧放松休养康复"
    "明白了解理解体谅原谅配合支付转账充值绑定登录验证核对更新修改变更取消恢复私人个人本人他人紧张不用"
)
_FREQUENT = frozenset(_FREQUENT_PAIRS[i : i + 2] for i in range(0, len(_FREQUENT_PAIRS), 2))

# Characters that end a word of place (家里安排 is 家里 + 安排): what begins with one sounds like a term by chance.
_PLACES_AFTER = frozenset("里边面")

# Where each entry of the automata stands, by the entry's number.
Hits = dict[int, list[tuple[int, int]]]


_NUMERALS = frozenset("零〇一二三四五六七八九十百千万亿两点")
_COUNTED = _NUMERALS | frozenset("元块圆角分整半钟多余来期年月日号天个笔次折")


def _inside_number(text: str, start: int, end: int) -> bool:
    """Whether a term that is all numerals (二百五, 十三点) is part of an amount or a time: 三千二百五十元, 十三点半."""
    if text[start] not in _NUMERALS or not _NUMERALS.issuperset(text[start:end]):
        return False
    return (start > 0 and text[start - 1] in _NUMERALS) or (end < len(text) and text[end] in _COUNTED)


def _inside_latin(text: str, start: int, end: int) -> bool:
    """True if a Latin term in Chinese text is only a part of a longer Latin word: sb inside usb."""
    return ("a" <= text[start - 1 : start] <= "z") or ("a" <= text[end : end + 1] <= "z" and text[end - 1].isascii())


class Terms:
    """The classes of one language and their terms. An *entry* is one key of an automaton: a term, a stem, a sound."""

    def __init__(
        self,
        lang: Lang,
        lexicon: Mapping[str, Sequence[str]],
        homophonic: frozenset[str],
        where: Mapping[str, str],
    ) -> None:
        """``where`` names the file of each class for messages. Raises :class:`PatternError`."""
        self.lang: Lang = lang
        self.classes: list[frozenset[int]] = []  # by entry
        self.members: dict[int, frozenset[int]] = {}  # by class: its entries
        self._where = where
        self._lexicon = lexicon
        self._homophonic = homophonic
        self._ids: dict[str, int] = {}
        self._terms: dict[str, set[int]] = {}
        self._prefixes: dict[str, set[int]] = {}
        self._sounds: dict[str, set[int]] = {}
        for name in lexicon:
            self.class_of(name)

    def freeze(self) -> None:
        """Build the automata; no class may be added after it."""
        self._plain = self._automaton(self._terms, stem=False)
        self._stems = self._automaton(self._prefixes, stem=True)
        self._sound = self._automaton(self._sounds, stem=False)
        grouped: defaultdict[int, list[int]] = defaultdict(list)
        for entry, classes in enumerate(self.classes):
            for number in classes:
                grouped[number].append(entry)
        self.members = {number: frozenset(entries) for number, entries in grouped.items()}

    def _automaton(self, entries: Mapping[str, set[int]], *, stem: bool) -> ahocorasick.Automaton | None:
        if not entries:
            return None
        automaton = ahocorasick.Automaton()
        for key, classes in entries.items():
            automaton.add_word(key, (len(key), len(self.classes), stem))
            self.classes.append(frozenset(classes))
        automaton.make_automaton()
        return automaton

    def commonness(self) -> Counter[int]:
        """How common each class is: the more classes its terms are in, the commoner."""
        common: Counter[int] = Counter()
        for classes in (*self._terms.values(), *self._prefixes.values()):
            for number in classes:
                common[number] += len(classes)
        return common

    def class_of(self, name: str) -> int:
        """The number of the class ``name``. Raises :class:`PatternError` if there is none."""
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

    def literals(self, words: Sequence[str]) -> int:
        """The number of the nameless class of ``words`` that a pattern spells out."""
        key = "=" + "|".join(sorted(words))  # no class is called so: a word may be spelt like a class
        if key not in self._ids:
            number = self._ids[key] = len(self._ids)
            # Disguised as readily as the words of a class; the pattern around them guards against chance.
            self._add_terms(number, words, True, (key,))
        return self._ids[key]

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """Single English words of five letters or more that rules look for, to undo disguises with."""
        words = {word for term in self._terms for word in term.split() if len(word) >= 4}
        words |= {word for term in self._prefixes for word in term.split()[:-1] if len(word) >= 4}
        stems = {term.split()[-1] for term in self._prefixes if term}
        short = {word for word in self._terms if len(word) == 3 and word.isalpha()}
        return Vocabulary(frozenset(words), tuple(stem for stem in stems if len(stem) >= 4), frozenset(short))

    @property
    def all(self) -> frozenset[str]:
        return frozenset(self._terms) | frozenset(self._prefixes)

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
                elif (text[start] < "{" and _inside_latin(text, start, end)) or _inside_number(text, start, end):
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
        straight = len(sounds.text) == len(text)  # runs of letters only ever become shorter
        people: tuple[Name, ...] | None = None
        for last, (size, entry, _) in self._sound.iter(sounds.text):
            start, end = (last - size + 1, last + 1) if straight else sounds.origin(last - size + 1, last + 1)
            surface = text[start:end]
            if not self._terms.get(surface, _NONE).isdisjoint(self.classes[entry]):
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
