"""Phrases out of a dictionary: every common Mandarin word is heard a few times, in a place where it may stand.

A recogniser that has only heard the words of its corpora writes others by their sound, with the wrong characters. The
words, their frequencies and parts of speech are jieba's (``dict.txt``, MIT licence); the frames they stand in are ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.training.text import common_characters

_FRAMES = {
    "n": ("{n}", "{n}", "那个{n}", "我的{n}", "{n}和{n}", "{n}的{n}", "{n}在哪里", "有没有{n}", "不是{n}", "{a}的{n}",
          "{v}{n}", "把{n}拿走"),
    "v": ("{v}", "{v}", "不想{v}", "我去{v}", "正在{v}", "{v}了", "{v}{n}", "一边{v}一边{v}",
          "会{v}的", "没有{v}"),
    "a": ("{a}", "很{a}", "太{a}了", "{a}的{n}", "又{a}又{a}", "不{a}"),
    "i": ("{i}", "{i}", "真是{i}", "{i}的{n}", "不能{i}"),
    "s": ("{s}", "我在{s}", "从{s}到{s}", "{s}的{n}", "去{s}{v}"),
    "d": ("{d}{v}", "{d}{a}", "他{d}{v}了"),
}  # fmt: skip
"""Frames by kind of word: noun, verb, adjective, idiom, place, adverb."""
_KINDS = {"n": "n", "nz": "n", "vn": "n", "nt": "n", "t": "n", "j": "n", "v": "v", "a": "a", "z": "a", "ad": "d",
          "d": "d", "i": "i", "l": "i", "ns": "s", "s": "s"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """A dictionary word, the kind of frame it fits, and how often it was counted."""

    text: str
    kind: str
    count: int


def words(least: int = 20) -> list[Word]:
    """jieba's words of two characters or more that were counted ``least`` times, all of common characters."""
    import jieba

    common = frozenset(common_characters())
    found = []
    for line in Path(jieba.__file__).with_name("dict.txt").read_text(encoding="utf-8").splitlines():
        text, count, tag = line.split(" ")
        kind = _KINDS.get(tag)
        if kind and int(count) >= least and 2 <= len(text) <= 5 and common.issuperset(text):
            found.append(Word(text, kind, int(count)))
    return found


def phrases(n: int, seed: int) -> Iterator[str]:
    """``n`` phrases; the dictionary is gone through in random order, common words more often."""
    rng = np.random.default_rng([seed, 9])
    known = words()
    share = np.array([w.count for w in known]) ** 0.5
    once = rng.permutation(len(known))[: n // 2]
    fillers = {}
    for kind in _FRAMES:
        fitting = [i for i, w in enumerate(known) if w.kind == kind]
        chosen = rng.choice(fitting, size=3 * n, p=share[fitting] / share[fitting].sum())
        fillers[kind] = iter([known[i].text for i in chosen])
    picked = np.concatenate([once, rng.choice(len(known), size=n - len(once), p=share / share.sum())])
    for at in rng.permutation(picked):
        word = known[at]
        frame = _FRAMES[word.kind][rng.integers(len(_FRAMES[word.kind]))]
        frame = frame.replace(f"{{{word.kind}}}", word.text, 1)
        while "{" in frame:
            hole = frame.index("{")
            frame = frame[:hole] + next(fillers[frame[hole + 1]]) + frame[hole + 3 :]
        yield frame
