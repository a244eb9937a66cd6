"""Keeping verification secrets out of the archive: digits that prove who somebody is are masked before a row is made.

A borrower is asked for the last digits of an identity number. That they were given, and whether they were right, is
archived; which they were is not: not in a turn's text, words or slots, nor in a later turn that repeats them, nor in
one that volunteers them. Masked as well, whoever says them and wherever: numbers of 15 digits and more (identity, bank
card) and American social security numbers. The sound keeps them: :mod:`archive.covering` puts a tone over them for
whoever may not hear them.

A number is masked digit by digit, each as one ``MASK``, so that how many were said remains, and nothing else does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from agent.events import Proposed, Word
from archive.covering import MASK
from archive.types import clean_json

LONG = 15
"""Digits from which a number is somebody's, whoever says it: identity cards have 15 or 18, bank cards 16 and more."""
CODE = 4
"""Digits that every script verifies by."""
LATE_S = 0.3
"""An answer that begins this long after the next line was decided on still answers the line before it."""
_ASKS = re.compile(
    r"身份证|证件号|[后末尾][四4]位|"
    r"\blast (?:four|4)\b|\bsocial security\b|\b(?:i\.? ?d\.?|identity|ssn) (?:number|card)\b",
    re.IGNORECASE,
)
_EN = {
    word: digit
    for digit, words in {
        "0": "zero nought", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven",
        "8": "eight", "9": "nine niner", "10": "ten", "11": "eleven", "12": "twelve", "13": "thirteen",
        "14": "fourteen", "15": "fifteen", "16": "sixteen", "17": "seventeen", "18": "eighteen", "19": "nineteen",
        "20": "twenty", "30": "thirty", "40": "forty fourty", "50": "fifty", "60": "sixty", "70": "seventy",
        "80": "eighty", "90": "ninety",
    }.items()
    for word in words.split()
}  # fmt: skip
_EN_SOFT = {
    **dict.fromkeys(("oh", "o", "ow"), "0"), **dict.fromkeys(("to", "too", "tu"), "2"), "won": "1", "tree": "3",
    "for": "4", "fore": "4", "fife": "5", "sex": "6", "ate": "8", **dict.fromkeys(("x", "ex"), "X"),
    **dict.fromkeys(("hundred", "thousand", "dash", "hyphen"), ""), "double": "*2", "triple": "*3", "treble": "*3",
}  # fmt: skip
_ZH = dict(zip("零〇一二三四五六七八九幺两兩壹贰叁肆伍陆柒捌玖洞拐勾", "0012345678912212345678907" + "9", strict=True))
_ZH_SOFT = {**dict.fromkeys("十百千万萬", ""), "叉": "X"}
_TOKEN = re.compile(r"(?P<written>\d)|(?P<han>[\u3400-\u9fff])|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)*)")
_HESITATION = frozenset({"and", "then", "uh", "um", "er", "erm", "dot", "point", *"嗯呃啊那个然后是"})
_IDIOM = re.compile(
    r"[前后末尾][四4]位|(?:周|星期|礼拜)[一二三四五六]|一[下会个样点直定次起遍些边般切共]|万一|第[一二三]|统一|唯一|两个|千万|"
    r"十分|百分|三方|\b(?:first|last) four\b|"
    r"\b(?:no|any|some|every|this|that|which|the|each|other|another|wrong) ?one\b|"
    r"\bone (?:moment|second|minute|sec|more|of)\b",
    re.IGNORECASE,
)
_MONEY_AFTER = re.compile(
    r"\s*(?:元|块|塊|圆|钱|万元|人民币|dollars?\b|bucks?\b|yuan\b|rmb\b|cents?\b|pounds?\b|percent\b|%|点钟|o'clock\b)",
    re.IGNORECASE,
)
_MONEY_BEFORE = re.compile(r"[$¥￥£€]\s*$")
_SSN = re.compile(r"(?<!\d)\d{3}([- ])\d{2}\1\d{4}(?!\d)")
_SHORT = 6
"""An answer of no more tokens, two of them digits, is nothing but the secret, however its rest was misheard."""


@dataclass(frozen=True, slots=True)
class _Token:
    """``hard``: a digit beyond doubt; ``soft``: one beside others only; ``digits`` is what it says, ``*2`` that the
    next one is said twice."""

    start: int
    end: int
    digits: str
    hard: bool = False
    soft: bool = False
    gap: bool = False


@dataclass(frozen=True, slots=True)
class _Run:
    """Digits said in one go."""

    tokens: tuple[_Token, ...]

    @property
    def digits(self) -> str:
        said, times = "", 1
        for token in self.tokens:
            if token.digits.startswith("*"):
                times = int(token.digits[1:])
            elif token.hard or token.soft:
                said, times = said + token.digits * times, 1
        return said

    @property
    def start(self) -> int:
        return self.tokens[0].start

    @property
    def end(self) -> int:
        return self.tokens[-1].end


@dataclass(frozen=True, slots=True)
class Utterance:
    """A turn's words as they may be archived. ``digits``: how many were masked."""

    text: str
    words: tuple[Word, ...]
    slots: Mapping[str, Any]
    digits: int = 0


@dataclass(slots=True)
class Secrets:
    """What one call has given away so far. In memory only, and only while the call lasts."""

    _asking: bool = False
    _asked_until: float = float("-inf")
    _offered: set[str] = field(default_factory=set)
    _pieces: str = ""

    def proposed(self, proposed: Proposed, at: float) -> None:
        """The agent is about to say a line, decided on ``at`` seconds."""
        self._line(proposed.expects == "digits" or bool(_ASKS.search(proposed.text)), at)

    def said(self, text: str, at: float) -> None:
        """The agent has said a line that nobody proposed here (a recorded call), from ``at`` seconds on."""
        self._line(bool(_ASKS.search(text)), at)

    def _line(self, asks: bool, at: float) -> None:
        if self._asking and not asks:
            self._asked_until = at + LATE_S
        if not asks:
            self._pieces = ""
        self._asking = asks

    def answering(self, start: float) -> bool:
        """Whether what begins at ``start`` answers a request for digits."""
        return self._asking or start <= self._asked_until

    def mask(self, text: str, words: Sequence[Word], slots: Mapping[str, Any], start: float) -> Utterance:
        """The borrower's utterance as it may be archived."""
        answer = self.answering(start)
        tokens = _tokens(text)
        runs = _runs(tokens)
        if answer:
            chosen = [run for run in runs if not _money(text, run)]
            chosen = [*_whole(tokens, chosen), *_understood(tokens, slots)]
            for run in chosen:
                self._pieces += run.digits
                self._offered |= {each for each in (run.digits, self._pieces) if len(each) >= CODE}
        else:
            volunteered = bool(_ASKS.search(text))
            chosen = [run for run in runs if self._gives_away(run, volunteered, slots) and not _money(text, run)]
            self._offered |= {run.digits for run in chosen if len(run.digits) >= CODE}
        return _cover(text, words, slots, [*_spans(chosen), *_numbers(text)], every_slot=answer)

    def mask_line(self, text: str) -> str:
        """A line of the agent's as it may be archived: it says no secret, unless a rule failed."""
        runs = [run for run in _runs(_tokens(text)) if self._known(run) or len(run.digits) >= LONG]
        return _covered(text, [*_spans(runs), *_numbers(text)])

    def _gives_away(self, run: _Run, volunteered: bool, slots: Mapping[str, Any]) -> bool:
        if len(run.digits) >= LONG or (volunteered and len(run.digits) >= CODE):
            return True
        meant = any(
            name in ("amount", "date", "time") and slot.get("start", 0) < run.end and run.start < slot.get("end", 0)
            for name, slot in clean_json(slots).items()
            if isinstance(slot, Mapping)
        )
        return self._known(run) and not meant

    def _known(self, run: _Run) -> bool:
        return any(secret in run.digits for secret in self._offered)


def _tokens(text: str) -> list[_Token]:
    idioms = [match.span() for match in _IDIOM.finditer(text)]
    found = []
    for match in _TOKEN.finditer(text):
        start, end = match.span()
        said = match.group().lower()
        if any(a <= start and end <= b for a, b in idioms):
            found.append(_Token(start, end, ""))
        elif match["written"]:
            found.append(_Token(start, end, str(int(said)), hard=True))
        elif said in _ZH or said in _EN:
            found.append(_Token(start, end, _ZH.get(said) or _EN[said], hard=True))
        elif said in _ZH_SOFT or said in _EN_SOFT:
            found.append(_Token(start, end, _ZH_SOFT.get(said, _EN_SOFT.get(said, "")), soft=True))
        else:
            found.append(_Token(start, end, "", gap=said in _HESITATION))
    return found


def _runs(tokens: Sequence[_Token]) -> list[_Run]:
    """Digits with nothing but hesitation between them."""
    found: list[_Run] = []
    held: list[_Token] = []

    def close() -> None:
        while held and held[-1].gap:
            held.pop()
        if any(t.hard for t in held):
            found.append(_Run(tuple(held)))
        held.clear()

    for token in tokens:
        if token.hard or token.soft or (token.gap and held):
            held.append(token)
        else:
            close()
    close()
    return found


def _whole(tokens: Sequence[_Token], runs: list[_Run]) -> list[_Run]:
    """An answer's runs, with what stands misheard between two of them; a short answer is one run as a whole."""
    said = sum(len(run.digits) for run in runs)
    if said == CODE - 1:  # the one that is missing was taken for a word at an end
        if runs[-1].end <= tokens[-1].start and tokens[-2].end == runs[-1].end:
            runs = [*runs[:-1], _Run((*runs[-1].tokens, replace(tokens[-1], soft=True)))]
        elif tokens[0].end <= runs[0].start and tokens[1].start == runs[0].start:
            runs = [_Run((replace(tokens[0], soft=True), *runs[0].tokens)), *runs[1:]]
    if 2 <= said < CODE and len(tokens) <= _SHORT and any(not (t.hard or t.soft or t.gap) for t in tokens):
        return [_Run(tuple(replace(t, soft=not t.hard) for t in tokens))]
    merged = runs[:1]
    for before, run in pairwise(runs):
        between = [t for t in tokens if before.end <= t.start and t.end <= run.start]
        if len(between) == 1 and len(before.digits) + len(run.digits) >= 2:
            odd = replace(between[0], soft=True)
            merged[-1] = _Run((*merged[-1].tokens, odd, *run.tokens))
        else:
            merged.append(run)
    return merged


def _understood(tokens: Sequence[_Token], slots: Mapping[str, Any]) -> list[_Run]:
    """What the understanding took for the digits, whatever it was read from."""
    slot = clean_json(slots).get("digits")
    if not isinstance(slot, dict):
        return []
    start, end = int(slot.get("start") or 0), int(slot.get("end") or 0)
    inside = [replace(t, soft=True) for t in tokens if start <= t.start and t.end <= end and not t.gap]
    return [_Run(tuple(inside))] if inside else []


def _money(text: str, run: _Run) -> bool:
    return bool(_MONEY_AFTER.match(text, run.end) or _MONEY_BEFORE.search(text, 0, run.start))


def _spans(runs: Iterable[_Run]) -> list[tuple[int, int]]:
    return [(t.start, t.end) for run in runs for t in run.tokens if t.hard or t.soft]


def _numbers(text: str) -> list[tuple[int, int]]:
    return [(n, n + 1) for m in _SSN.finditer(text) for n in range(m.start(), m.end()) if text[n].isdigit()]


def _covered(text: str, spans: Iterable[tuple[int, int]]) -> str:
    out, at = "", 0
    for start, end in sorted(set(spans)):
        out += text[at:start] + MASK
        at = end
    return out + text[at:]


def _cover(
    text: str, words: Sequence[Word], slots: Mapping[str, Any], spans: list[tuple[int, int]], *, every_slot: bool
) -> Utterance:
    if not spans:
        return Utterance(text, tuple(words), slots)
    spans = sorted(set(spans))
    masked, at = [], 0
    folded = text.casefold() if len(text.casefold()) == len(text) else text
    for word in words:
        bare = word.text.strip()
        start = folded.find(bare.casefold(), at) if bare else -1
        if start < 0:  # the words are not those of the text: by itself then
            inside = _spans(_runs(_tokens(word.text)))
            masked.append(replace(word, text=_covered(word.text, inside)))
            continue
        at = start + len(bare)
        shift = start - (len(word.text) - len(word.text.lstrip()))
        inside = [(max(a, start) - shift, min(b, at) - shift) for a, b in spans if a < at and start < b]
        masked.append(replace(word, text=_covered(word.text, inside)))
    kept = {}
    for name, slot in clean_json(slots).items():
        kept[name] = (
            _slot(slot, text, spans, every_slot or name == "digits")
            if isinstance(slot, dict) and "value" in slot
            else slot
        )
    return Utterance(_covered(text, spans), tuple(masked), kept, len(spans))


def _slot(slot: dict[str, Any], text: str, spans: list[tuple[int, int]], always: bool) -> dict[str, Any]:
    """A slot beside masked digits: its offsets moved; its value gone where it is made of them."""
    start, end = int(slot.get("start") or 0), int(slot.get("end") or 0)

    def moved(offset: int) -> int:
        return len(_covered(text[:offset], [(a, min(b, offset)) for a, b in spans if a < offset]))

    hit = [span for span in spans if span[0] < end and start < span[1]]
    out = {**slot, "start": moved(start), "end": moved(end)}
    if hit or (always and end <= start):
        inside = [(max(a, start) - start, min(b, end) - start) for a, b in hit]
        out |= {"value": MASK * max(1, len(hit)), "candidates": [], "text": _covered(text[start:end], inside)}
    return out
