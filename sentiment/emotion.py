# ruff: noqa: E501 - tables, one entry a line
"""Emotion from words and voice, and how the two are put together.

Words: the model's probabilities, sharpened by intensity words. Voice: arousal only (see ``sentiment.voice``). Fusion
is late and linear: the voice counts with its own confidence against a fixed 1.0 for words, so at its most certain
(0.6) it has 3/8 of the say on arousal; valence is the words' alone. The voice also tilts the emotion probabilities:
each is multiplied by exp(1.5 · confidence · voice arousal · the emotion's place on the arousal axis).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from sentiment.labels import EMOTION_PLANE
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
    probabilities, arousal, valence = from_text(text, lang, scores)
    sources = {"text": {"arousal": arousal, "valence": valence, **probabilities}}
    if voice is not None:
        sources["voice"] = {"arousal": voice.arousal, "confidence": voice.confidence}
        probabilities = _normal(
            {
                k: p * math.exp(_TILT * voice.confidence * voice.arousal * EMOTION_PLANE[k][0])
                for k, p in probabilities.items()
            }
        )
        arousal = (arousal + voice.confidence * voice.arousal) / (1 + voice.confidence)
    label = max(probabilities, key=lambda k: probabilities[k])
    return Emotion(label, probabilities, _clip(arousal), valence, sources)
