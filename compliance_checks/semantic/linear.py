"""Logistic regression over hashed n-grams of characters, words and syllables: the Mandarin model, half the English."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.events import Lang
from compliance_checks.folding import is_han
from compliance_checks.homophones import syllable
from compliance_checks.semantic.model import Array

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

    def __init__(self, weights: Array, bias: Array) -> None:
        if weights.shape != (BUCKETS, len(bias)) or not np.isfinite(weights).all():
            raise ValueError(f"weights have the shape {weights.shape}, or are not finite")
        self._weights = np.ascontiguousarray(weights, np.float32)
        self._bias = bias

    def logits(self, texts: Sequence[str], lang: Lang, party: str) -> Array:
        """[texts, outputs]; output 0 speaks for ``ok``."""
        rows = []
        for text in texts:
            found = features(text, lang, party)
            rows.append(self._weights[found].sum(axis=0) / np.sqrt(len(found)) + self._bias)
        return np.asarray(rows, np.float32)
