# ruff: noqa: E501 - tables, one entry a line
"""Emotion from words and voice, and how the two are put together.

Words: the model's probabilities, sharpened by intensity words. Voice: arousal by rule (``sentiment.voice``), and
probabilities where a classifier is set. Fusion is late and linear in the logarithm (Genest and Zidek, 1986): the
classifier's log-probabilities count ``_VOICE_SHARE`` times its confidence against 1 for words; without a classifier the
arousal alone tilts: each emotion is multiplied by exp(1.5 · confidence · voice arousal · its place on the arousal
axis). Arousal is the mean of both, the voice's weighted by its confidence (at most 0.6); valence is the words' alone
unless there is a classifier. Where neither says anything the label is ``unknown``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from sentiment.labels import EMOTION_PLANE, UNKNOWN
from sentiment.voice import VoiceReading

_STRONG = {
    "zh": re.compile(r"太|非常|特别|极了|真的|简直|完全|死了|死我|要命|到底|凭什么|有完没完|!{1,}"),
    "en": re.compile(r"\b(?:so|very|really|extremely|totally|absolutely|completely|sick of|ever|hell)\b|!+"),
}
_CURSE = {
    "zh": re.compile(
        r"他妈|妈的|操你|我操|卧槽|滚|放屁|王八|混蛋|狗[日东屁]|傻[逼比叉]|畜生|去死|不要脸|缺德|有病吧|神经病"
    ),
    "en": re.compile(
        r"\b(?:fuck\w*|shit\w*|bullshit|damn\w*|goddamn\w*|bastards?|assholes?|bitch\w*|screw you|scum\w*|crap|idiots?|morons?)\b"
    ),
}
_SOFT = {
    "zh": re.compile(r"有点|一点点?|稍微|还好|不太"),
    "en": re.compile(r"\b(?:a bit|a little|kind of|sort of|slightly|somewhat)\b"),
}
_CURSE_BOOST = 4.0
_TILT = 1.5
_VOICE_SHARE = 0.5
"""Of a classifier at its most confident: words and voice are one utterance, not two independent witnesses."""
_MOST_CONFIDENT = 0.6
_LEAST_SURE = 0.3
"""Below it no emotion stands out of six: the label is ``unknown``."""


@dataclass(frozen=True, slots=True)
class Emotion:
    """Probabilities over the emotions and the place on the plane, with what each source said alone."""

    label: str
    scores: dict[str, float]
    arousal: float
    valence: float
    sources: dict[str, dict[str, float]]


def _normal(scores: Mapping[str, float]) -> dict[str, float]:
    total = sum(scores.values())
    return {k: v / total for k, v in scores.items()}


def _clip(x: float) -> float:
    return max(-1.0, min(1.0, x))


def from_text(text: str, lang: str, scores: Mapping[str, float]) -> tuple[dict[str, float], float, float]:
    """Model probabilities with curses and intensity taken in: (probabilities, arousal, valence)."""
    weighted = dict(scores)
    if _CURSE[lang].search(text):
        weighted["angry"] *= _CURSE_BOOST
    weighted = _normal(weighted)
    arousal = sum(p * EMOTION_PLANE[k][0] for k, p in weighted.items())
    valence = sum(p * EMOTION_PLANE[k][1] for k, p in weighted.items())
    strength = min(len(_STRONG[lang].findall(text)), 3) - min(len(_SOFT[lang].findall(text)), 2)
    factor = 1 + 0.15 * strength
    return weighted, _clip(arousal * factor), _clip(valence * factor)


def fuse(text: str, lang: str, scores: Mapping[str, float], voice: VoiceReading | None) -> Emotion:
    """Emotion of an utterance from folded ``text``, the model's emotion probabilities and, if any, the voice."""
    said = any(c.isalnum() for c in text)
    even = dict.fromkeys(scores, 1 / len(scores))
    probabilities, arousal, valence = from_text(text, lang, scores if said else even)
    sources = {"text": {"arousal": arousal, "valence": valence, **probabilities}} if said else {}
    if not said:
        arousal = valence = 0.0
    if voice is not None:
        sources["voice"] = {"arousal": voice.arousal, "confidence": voice.confidence, **voice.scores}
        if voice.scores:
            share = _VOICE_SHARE * voice.confidence / _MOST_CONFIDENT
            log = {k: math.log(max(p, 1e-6)) + share * math.log(max(voice.scores[k], 1e-3)) for k, p in probabilities.items()}  # fmt: skip
            top = max(log.values())
            probabilities = _normal({k: math.exp(v - top) for k, v in log.items()})
            heard = sum(p * EMOTION_PLANE[k][1] for k, p in voice.scores.items())
            valence = (valence + share * heard) / (1 + share)
        else:
            probabilities = _normal(
                {
                    k: p * math.exp(_TILT * voice.confidence * voice.arousal * EMOTION_PLANE[k][0])
                    for k, p in probabilities.items()
                }
            )
        weight = voice.confidence if said else 1.0
        arousal = ((arousal if said else 0.0) + weight * voice.arousal) / ((1.0 if said else 0.0) + weight)
    label = max(probabilities, key=lambda k: probabilities[k])
    thin = probabilities[label] < _LEAST_SURE or not (said or (voice is not None and voice.scores))
    return Emotion(UNKNOWN.key if thin else label, probabilities, _clip(arousal), _clip(valence), sources)


@dataclass(frozen=True, slots=True)
class Smoothed:
    """A caller's mood over the call, kept apart from the single readings: an exponential mean of the probabilities.

    ``half_life``: turns after which a reading counts half (our own choice: a mood outlasts a turn). A turn whose
    emotion is ``unknown`` changes nothing. Start with ``Smoothed()``.
    """

    half_life: float = 1.0
    n: int = 0
    scores: Mapping[str, float] = field(default_factory=dict)
    arousal: float = 0.0
    valence: float = 0.0

    @property
    def label(self) -> str:
        return max(self.scores, key=lambda k: self.scores[k]) if self.scores else UNKNOWN.key

    def updated(self, emotion: str, scores: Mapping[str, float], arousal: float, valence: float) -> Smoothed:
        """The mood with one more turn's raw reading."""
        if emotion == UNKNOWN.key or not scores:
            return self
        share = 1.0 if self.n == 0 else 1 - 0.5 ** (1 / self.half_life)
        mixed = {k: (1 - share) * self.scores.get(k, 0.0) + share * p for k, p in scores.items()}
        return Smoothed(
            self.half_life,
            self.n + 1,
            mixed,
            self.arousal + share * (arousal - self.arousal),
            self.valence + share * (valence - self.valence),
        )
