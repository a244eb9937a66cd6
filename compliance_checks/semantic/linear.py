"""The plain rival: logistic regression over hashed character and word n-grams. The one to beat, and a fallback."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.events import Lang, Party
from compliance_checks.folding import is_han
from compliance_checks.homophones import syllable
from compliance_checks.semantic.model import Judgement
from compliance_checks.semantic.network import Array, judgements

BUCKETS: Final = 1 << 17
_UNITS: Final = re.compile(r"[a-z0-9']+|\S")


def features(text: str, lang: Lang, party: str) -> npt.NDArray[np.int64]:
    """Hashed n-grams (1–4 characters or 1–3 words, 3–5 letters inside words, 2–3 syllables), each once, sorted."""
    units = _UNITS.findall(text)
    padded = ["^", *units, "$"]
    found = {f"{lang}:{party}"}
    for size in range(1, 5 if lang == "zh" else 4):
        found.update("\x1f".join(padded[i : i + size]) for i in range(len(padded) - size + 1))
    if lang == "zh":
        sounds = [syllable(unit) if is_han(unit) else unit for unit in padded]
        for size in (2, 3):
            found.update("~" + "\x1f".join(sounds[i : i + size]) for i in range(len(sounds) - size + 1))
    else:
        for unit in units:
            word = f"<{unit}>"
            for size in (3, 4, 5):
                found.update("_" + word[i : i + size] for i in range(len(word) - size + 1))
    found.update([f"{party}\x1e{unit}" for unit in units] if party != "borrower" else [])
    return np.array(sorted({zlib.crc32(f.encode()) % BUCKETS for f in found}), np.int64)


class Linear:
    """``weights`` [BUCKETS, outputs] and ``bias``; a text's score is the sum of its rows over their root count."""

    def __init__(
        self,
        name: str,
        weights: Array,
        bias: Array,
        categories: Sequence[str],
        threshold: Mapping[Lang, float],
        scale: Mapping[Lang, tuple[float, float]],
        fingerprint: str = "",
    ) -> None:
        if weights.shape != (BUCKETS, len(categories) + 1) or not np.isfinite(weights).all():
            raise ValueError(f"weights have the shape {weights.shape}, or are not finite")
        self._name = name
        self._weights = np.ascontiguousarray(weights, np.float32)
        self._bias = bias
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
        rows = []
        for text in texts:
            found = features(text, lang, party)
            rows.append(self._weights[found].sum(axis=0) / np.sqrt(len(found)) + self._bias)
        return np.asarray(rows, np.float32)

    def judge(self, texts: Sequence[str], lang: Lang, party: Party) -> list[Judgement]:
        return judgements(self.logits(texts, lang, party), self._categories, self._scale[lang]) if texts else []
