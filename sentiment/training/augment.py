# ruff: noqa: E501 - tables, one entry a line
"""Training sentences as a line may deliver them: misheard, hesitant, cut, joined with another one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from sentiment.context import EXPECTS
from sentiment.corpus.build import Utterance
from sentiment.text import is_han, syllable

_MAIN_SHARE = 0.65
"""Share of the target that the main intent keeps where there are further ones."""
_LEAD = {
    "zh": ("呃", "嗯", "那个", "就是", "哎", "哦", "你听我说", "我跟你说", "那", "反正", "哎呀", "其实", "喂", "不是", "我说", "这个", "诶", "同志", "美女", "师傅"),
    "en": ("um", "uh", "well", "so", "look", "listen", "oh", "okay so", "like", "honestly", "you know", "i mean", "yeah", "no", "hey", "right", "ma'am", "sir", "alright"),
}  # fmt: skip
_TAIL = {
    "zh": ("啊", "吧", "呢", "嘛", "好吧", "行不行", "啊你", "知道吧", "好不好", "喂", "你听见没", "哈", "真的", "唉"),
    "en": ("okay", "you know", "please", "man", "sir", "ma'am", "right", "thanks", "alright", "hello", "you hear me", "honestly", "sorry"),
}  # fmt: skip
_WEAK = frozenset({"affirm", "greeting", "deny", "goodbye"})
_COLOURED = 0.25
_FEELINGS = Path(__file__).parent.parent / "corpus" / "feelings.yaml"


@dataclass(frozen=True, slots=True)
class Example:
    """``shares``: how much of the utterance each intent is, summing to one; empty where only the emotion is known."""

    text: str
    lang: str
    expects: str | None
    shares: dict[str, float]
    emotion: str
    family: str


@lru_cache(maxsize=1)
def feelings() -> dict[str, dict[str, tuple[str, ...]]]:
    """What says a feeling and nothing else, by language and emotion: see ``corpus/feelings.yaml``."""
    table = yaml.safe_load(_FEELINGS.read_text(encoding="utf-8"))
    return {lang: {name: tuple(said.split("|")) for name, said in moods.items()} for lang, moods in table.items()}


@lru_cache(maxsize=1)
def _homophones() -> dict[str, list[str]]:
    """Common characters (GB 2312 level 1) by toneless syllable."""
    table: dict[str, list[str]] = {}
    for high in range(0xB0, 0xD8):
        for low in range(0xA1, 0xFF):
            try:
                char = bytes((high, low)).decode("gb2312")
            except UnicodeDecodeError:
                continue
            table.setdefault(syllable(char), []).append(char)
    return table


def misheard(text: str, lang: str, rng: random.Random) -> str:
    """The text as a recogniser may have it: homophones (Mandarin), lost and repeated bits, fillers."""
    if lang == "zh":
        out: list[str] = []
        for char in text:
            chance = rng.random()
            if chance < 0.05 and is_han(char):
                char = rng.choice(_homophones().get(syllable(char), [char]))
            elif chance < 0.07:
                continue
            elif chance < 0.08 and is_han(char):
                out.append(char)
            out.append(char)
        text = "".join(out) or text
    else:
        words = text.split()
        if len(words) > 2:
            words = [w for w in words if rng.random() > 0.05] or words
        if len(words) > 1 and rng.random() < 0.1:
            at = rng.randrange(len(words))
            words.insert(at, words[at])
        text = " ".join(words)
    gap = "" if lang == "zh" else " "
    if rng.random() < 0.25:
        text = rng.choice(_LEAD[lang]) + gap + text
    if rng.random() < 0.1:
        text = text + gap + rng.choice(_TAIL[lang])
    return text


def shares_of(u: Utterance) -> dict[str, float]:
    if not u.also:
        return {u.intent: 1.0}
    return {u.intent: _MAIN_SHARE} | {name: (1 - _MAIN_SHARE) / len(u.also) for name in u.also}


def examples(utterances: Sequence[Utterance], copies: int, rng: random.Random) -> list[Example]:
    """Each utterance as it is and ``copies`` times misheard, some joined with another of the same language."""
    out: list[Example] = []
    for u in utterances:
        out.append(Example(u.text, u.lang, u.expects, shares_of(u), u.emotion, u.family))
        out += [_as_heard(u, rng) for _ in range(copies)]
    return out + _joins(utterances, rng) + _coloured(utterances, rng)


def epoch(utterances: Sequence[Utterance], rng: random.Random, most: int = 3) -> list[Example]:
    """One pass: at most ``most`` utterances of a family, each clean or misheard by lot, and some joined.

    Six fillings of one pattern say little more than three; another pass draws others.
    """
    families: dict[str, list[Utterance]] = {}
    for u in utterances:
        families.setdefault(u.family, []).append(u)
    chosen = [u for rows in families.values() for u in rng.sample(rows, min(most, len(rows)))]
    out = [
        Example(u.text, u.lang, u.expects, shares_of(u), u.emotion, u.family)
        if rng.random() < 0.4
        else _as_heard(u, rng)
        for u in chosen
    ]
    return out + _joins(chosen, rng) + _coloured(chosen, rng)


def _coloured(utterances: Sequence[Utterance], rng: random.Random) -> list[Example]:
    """Plain utterances said with feeling, so that the emotion is not learned from the intent."""
    out = []
    for u in utterances:
        if u.emotion != "neutral" or u.intent in ("voicemail", "abuse", "crisis") or rng.random() > _COLOURED:
            continue
        emotion = rng.choice(tuple(feelings()[u.lang]))
        gap = "" if u.lang == "zh" else " "
        parts = [u.text, rng.choice(feelings()[u.lang][emotion])]
        rng.shuffle(parts)
        out.append(Example(misheard(gap.join(parts), u.lang, rng), u.lang, u.expects, shares_of(u), emotion, u.family))
    return out


def _as_heard(u: Utterance, rng: random.Random) -> Example:
    # Most utterances mean the same whatever was asked: the model must not lean on the question.
    expects = u.expects or (rng.choice(EXPECTS) if rng.random() < 0.3 else None)
    return Example(misheard(u.text, u.lang, rng), u.lang, expects, shares_of(u), u.emotion, u.family)


def _joins(utterances: Sequence[Utterance], rng: random.Random) -> list[Example]:
    by_lang = {lang: [u for u in utterances if u.lang == lang and not u.expects] for lang in ("zh", "en")}
    joined = [
        _joined(u, rng.choice(by_lang[u.lang]), rng)
        for u in utterances
        if rng.random() < 0.35 and not u.expects and u.intent != "voicemail"
    ]
    return [e for e in joined if e is not None]


def _joined(u: Utterance, other: Utterance, rng: random.Random) -> Example | None:
    if other.intent in ("voicemail", "other") or u.intent == "other":
        return None
    first = 0.8 if other.intent in _WEAK else 0.2 if u.intent in _WEAK else 0.5
    shares = {name: first * share for name, share in shares_of(u).items()}
    for name, share in shares_of(other).items():
        shares[name] = shares.get(name, 0.0) + (1 - first) * share
    text = u.text + ("" if u.lang == "zh" else " ") + other.text
    emotion = u.emotion if u.emotion != "neutral" else other.emotion
    return Example(misheard(text, u.lang, rng), u.lang, None, shares, emotion, u.family)
