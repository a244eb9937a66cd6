"""The model that is shipped: n-grams and beside them two sentence encoders, one for English, one for both languages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from agent.events import Lang, Party
from compliance_checks.semantic.english import English
from compliance_checks.semantic.linear import Linear
from compliance_checks.semantic.meaning import Meaning
from compliance_checks.semantic.model import Array, Judgement


def mixed(linear: Array, encoder: Array, share: float) -> Array:
    """Logits of two parts, ``share`` of them the encoder's."""
    return np.asarray((1 - share) * linear + share * encoder, np.float32)


class Embedded:
    """``share`` is the English encoder's say beside the n-grams, ``meant`` by language that of the multilingual one
    beside both; ``scale`` holds slope and offset of the calibration by language."""

    def __init__(
        self,
        name: str,
        linear: Linear,
        english: English | None,
        share: float,
        meaning: Meaning | None,
        meant: Mapping[Lang, float],
        categories: Sequence[str],
        threshold: Mapping[Lang, float],
        scale: Mapping[Lang, tuple[float, float]],
        fingerprint: str = "",
    ) -> None:
        self._name = name
        self._linear = linear
        self._english = english
        self._share = share
        self._meaning = meaning
        self._meant = meant
        self._categories = tuple(categories)
        self._threshold = threshold
        self._scale = scale
        self._fingerprint = fingerprint

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def threshold(self, lang: Lang) -> float:
        return self._threshold[lang]

    def logits(self, texts: Sequence[str], lang: Lang, party: str) -> Array:
        """[texts, 1 + categories]; output 0 speaks for ``ok``."""
        found = self._linear.logits(texts, lang, party)
        if lang == "en" and self._english is not None:
            found = mixed(found, self._english.logits(texts, party), self._share)
        if self._meaning is not None and self._meant[lang]:
            found = mixed(found, self._meaning.logits(texts, lang, party), self._meant[lang])
        return found

    def judge(self, texts: Sequence[str], lang: Lang, party: Party) -> list[Judgement]:
        """The probability of a violation is the complement of output 0, calibrated as a*x + b."""
        if not texts:
            return []
        logits = self.logits(texts, lang, party)
        slope, offset = self._scale[lang]
        violation = 1.0 / (1.0 + np.exp(-np.clip(slope * -logits[:, 0] + offset, -30.0, 30.0)))
        best = logits[:, 1:].argmax(axis=1)
        return [Judgement(float(p), self._categories[int(c)]) for p, c in zip(violation, best, strict=True)]
