"""Which of several hearings is language: an n-gram model that reorders the decoder's best hypotheses.

A small decoder knows few words, so it often writes by sound; text alone, which costs nothing to hear, knows better. The
recogniser's score and the n-gram's are added (log-linear rescoring; Jelinek 1997, chapter 5). Only what the decoder
itself proposed can win: nothing is invented here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from asr.transcriber import Lang, ModelError

FILE = "ngram.npz"
ORDER = 4
"""Longest n-gram: four tokens of 16 bits are one 64-bit key."""
UNKNOWN, START, END = 0, 1, 2
_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")


def tokens(text: str, lang: Lang) -> list[str]:
    """Characters of Mandarin, lower-case words of English."""
    return [c for c in text if not c.isspace()] if lang == "zh" else _WORD.findall(text.lower())


def key(ids: NDArray[np.int64]) -> NDArray[np.uint64]:
    """[n, order] token ids as one number a row."""
    out = np.zeros(len(ids), np.uint64)
    for column in range(ids.shape[1]):
        out = (out << np.uint64(16)) | ids[:, column].astype(np.uint64)
    return out


@dataclass(frozen=True, slots=True)
class Table:
    """n-grams of one order: sorted ``keys``, natural log-probability of the last token, log back-off weight of all."""

    keys: NDArray[np.uint64]
    probability: NDArray[np.float16]
    backoff: NDArray[np.float16]

    def find(self, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Row of every key, -1 where it is unknown."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        at = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        found: NDArray[np.int64] = np.where(self.keys[at] == keys, at, -1)
        return found


class NGram:
    """An interpolated n-gram model of one language in back-off form."""

    def __init__(self, lang: Lang, vocabulary: Sequence[str], tables: Sequence[Table], weight: float) -> None:
        self.lang = lang
        self.weight = weight
        """Of its log-probability beside the recogniser's."""
        self.tables = tuple(tables)
        self.vocabulary = tuple(vocabulary)
        self._id = {token: i + 3 for i, token in enumerate(vocabulary)}

    def id(self, token: str) -> int:
        """The number under which the tables know ``token``."""
        return self._id.get(token, UNKNOWN)

    def unigrams(self, words: Sequence[str]) -> NDArray[np.float64]:
        """Log-probability of each token by itself."""
        table = self.tables[0]
        at = table.find(key(np.array([[self.id(each)] for each in words], np.int64)))
        return np.where(at >= 0, table.probability[at].astype(np.float64), -math.inf)

    def score(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Log-probability of each text, its end included."""
        rows: list[list[int]] = []
        owner: list[int] = []
        for i, text in enumerate(texts):
            ids = [START] * (ORDER - 1) + [self.id(t) for t in tokens(text, self.lang)] + [END]
            rows += [ids[at - ORDER + 1 : at + 1] for at in range(ORDER - 1, len(ids))]
            owner += [i] * (len(ids) - ORDER + 1)
        out = np.zeros(len(texts))
        np.add.at(out, owner, self.last(np.array(rows, np.int64)))
        return out

    def last(self, ids: NDArray[np.int64]) -> NDArray[np.float64]:
        """Log-probability of each row's last token after the others."""
        out = np.full(len(ids), -math.inf)
        for n, table in enumerate(self.tables, start=1):
            if n > 1:
                context = self.tables[n - 2]
                before = context.find(key(ids[:, ORDER - n : ORDER - 1]))
                if np.any(before >= 0):
                    out = out + np.where(before >= 0, context.backoff[before].astype(np.float64), 0.0)
            at = table.find(key(ids[:, ORDER - n :]))
            if np.any(at >= 0):
                out = np.where(at >= 0, table.probability[at].astype(np.float64), out)
        return out


def ranked(texts: Sequence[str], scores: Sequence[float], model: NGram | None) -> list[int]:
    """Indices of the texts, the likeliest first: ``scores`` are the recogniser's log-probabilities, best first."""
    if model is None or len(texts) < 2:
        return list(range(len(texts)))
    order = np.argsort(-(np.asarray(scores) + model.weight * model.score(texts)), kind="stable")
    return [int(at) for at in order]


def load(folder: Path) -> dict[Lang, NGram]:
    """The models beside a recogniser, by language; none if it has none.

    Raises:
        ModelError: the file is not one of ours.
    """
    path = folder / FILE
    if not path.is_file():
        return {}
    found: dict[Lang, NGram] = {}
    try:
        with path.open("rb") as file, np.load(file) as stored:
            for lang in ("zh", "en"):
                names = bytes(stored[f"{lang}_vocabulary"]).decode().split("\n")
                tables = [
                    Table(*(stored[f"{lang}_{n}_{part}"] for part in ("keys", "probability", "backoff")))
                    for n in range(1, ORDER + 1)
                ]
                found[lang] = NGram(lang, names, tables, float(stored[f"{lang}_weight"]))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as e:
        raise ModelError(f"{path}: not a usable n-gram model ({e}); fetch or build the model again") from e
    return found
