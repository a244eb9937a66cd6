# ruff: noqa: E501 - tables, one entry a line
"""Training sentences as a line may deliver them: misheard, hesitant, cut, joined with another one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

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
_FEELING = {
    "zh": {
        "angry": ("气死我了", "你们太过分了", "真不要脸", "欺人太甚", "别逼我发火", "你们还是人吗", "我受够你们了", "混账东西", "给我听好了", "少废话"),
        "frustrated": ("烦死了", "说了多少遍了", "真是的", "又来了", "没完没了", "我真服了", "怎么又是这事", "到底要我说几次", "真麻烦", "能不能别折腾了"),
        "anxious": ("我好担心啊", "急死我了", "我真的害怕", "怎么办啊", "我心里慌得很", "愁得睡不着", "千万别啊", "我好紧张", "吓死我了", "求求你了"),
        "sad": ("我真的撑不住了", "我好难过", "唉命苦啊", "眼泪都流干了", "我心都碎了", "实在没有指望了", "说着说着就想哭", "日子太难了", "我对不起家里人"),
        "positive": ("太好了", "真是太感谢了", "谢谢你这么耐心", "辛苦你啦", "哈哈", "您人真好", "那我就放心了", "太贴心了", "真不错", "祝你工作顺利"),
    },
    "en": {
        "angry": ("how dare you", "this makes my blood boil", "you people are unbelievable", "i'm furious", "damn it", "who do you think you are", "this is an outrage", "don't you dare", "what the hell", "you've got some nerve"),
        "frustrated": ("for the last time", "this is getting old", "i'm so tired of this", "oh not again", "how many times do i have to say it", "give me a break", "this is ridiculous", "ugh", "seriously", "i'm fed up", "for goodness sake", "honestly it's exhausting"),
        "anxious": ("i'm really worried", "i'm scared", "oh no oh no", "i'm so nervous", "i can't stop worrying", "please i'm frightened", "i'm panicking here", "my hands are shaking", "i'm losing sleep over this", "oh god", "i'm stressed out of my mind"),
        "sad": ("i'm just so tired of it all", "it breaks my heart", "i've been crying all day", "everything's gone wrong", "i feel so alone", "i'm at my lowest", "i don't know what to do any more", "it's been a terrible year", "i'm ashamed to say it"),
        "positive": ("thank you so much", "that's really kind of you", "oh lovely", "that's great", "i appreciate it", "you've been so helpful", "no worries at all", "what a relief", "fantastic", "bless you", "glad you called"),
    },
}  # fmt: skip
"""What says a feeling and nothing else: set beside any plain utterance it changes the feeling and not the wish."""
_COLOURED = 0.15


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
        emotion = rng.choice(tuple(_FEELING[u.lang]))
        gap = "" if u.lang == "zh" else " "
        parts = [u.text, rng.choice(_FEELING[u.lang][emotion])]
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
