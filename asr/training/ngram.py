"""Build the n-gram model beside a recogniser: ``python -m asr.training.ngram --zh FILE… --en FILE… --out FOLDER``.

Text is the grammar's training sentences, this repository's corpora, the general text that is named, and for Mandarin
jieba's dictionary (MIT licence), each word by the root of its count. Orders are interpolated, the lower's share being
the mass that absolute discounting would free (Ney, Essen, Kneser 1994); rare long n-grams are left out.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from asr.grammar import sentences as grammar
from asr.ngram import END, FILE, ORDER, START, UNKNOWN, NGram, Table, key, tokens
from asr.training.lexicon import words
from asr.training.text import corpus, general
from asr.training.voices import Lang

DISCOUNT = 0.7
WEIGHT: Mapping[Lang, float] = {"zh": 0.2, "en": 0.2}
"""Of the n-gram beside the recogniser; chosen on the grammar's dev sentences."""
_CORPORA = ("sentiment/corpus/*.jsonl", "compliance_checks/corpus/zh.jsonl", "compliance_checks/corpus/en.jsonl")
_LEAST = {1: 0.0, 2: 0.0, 3: 1.2, 4: 1.9}
"""Counts below these are left out, by order."""
_NEVER = -99.0
_UNSEEN = 5000
"""Tokens that share the probability left by single tokens."""


def build(
    lang: Lang, texts: Iterable[tuple[str, float]], fragments: Iterable[tuple[str, float]] = (), weight: float = 0.3
) -> tuple[list[str], NGram]:
    """Vocabulary and model of weighted sentences, and of weighted ``fragments``: words that begin or end anywhere."""
    ids: dict[str, int] = {}
    counts: list[dict[tuple[int, ...], float]] = [defaultdict(float) for _ in range(ORDER + 1)]
    for bound, pairs in ((True, texts), (False, fragments)):
        for text, times in pairs:
            row = [ids.setdefault(t, len(ids) + 3) for t in tokens(text, lang)]
            first = 0
            if bound:
                row, first = [START] * (ORDER - 1) + row + [END], ORDER - 1
            for at in range(first, len(row)):
                for n in range(1, min(ORDER, at + 1) + 1):
                    counts[n][tuple(row[at - n + 1 : at + 1])] += times
    if len(ids) + 3 >= 1 << 16:
        raise ValueError(f"{len(ids)} different tokens: 16 bits name no more than {(1 << 16) - 3}")
    return list(ids), NGram(lang, list(ids), _tables(counts), weight)


def _tables(counts: list[dict[tuple[int, ...], float]]) -> list[Table]:
    total: list[dict[tuple[int, ...], float]] = [defaultdict(float) for _ in range(ORDER + 1)]
    types: list[dict[tuple[int, ...], int]] = [defaultdict(int) for _ in range(ORDER + 1)]
    for n in range(1, ORDER + 1):
        for gram, count in counts[n].items():
            total[n][gram[:-1]] += count
            types[n][gram[:-1]] += 1
    chance: dict[tuple[int, ...], float] = {}
    left: dict[tuple[int, ...], float] = {}
    tables = []
    for n in range(1, ORDER + 1):
        for context, whole in total[n].items():
            # Fractional counts may be smaller than the discount: what is left stays below one.
            left[context] = min(0.9, DISCOUNT * types[n][context] / whole)
        rows = {}
        for gram, count in counts[n].items():
            context = gram[:-1]
            share = left[context]
            lower = chance[gram[1:]] if n > 1 else 1 / _UNSEEN
            chance[gram] = (1 - share) * count / total[n][context] + share * lower
            if count >= _LEAST[n]:
                rows[gram] = math.log(chance[gram])
        if n == 1:
            rows[UNKNOWN,] = math.log(left[()] / _UNSEEN)
        if n < ORDER:
            rows[(START,) * n] = _NEVER  # never said, but what follows it is
        grams = np.array(list(rows), np.int64).reshape(-1, n)
        keys = key(grams)
        order = np.argsort(keys)
        tables.append(Table(keys[order], np.array(list(rows.values()), np.float16)[order], np.zeros(0, np.float16)))
    return [_with_backoff(table, n, left) for n, table in enumerate(tables, start=1)]


def _with_backoff(table: Table, n: int, left: Mapping[tuple[int, ...], float]) -> Table:
    parts = [(table.keys >> np.uint64(16 * (n - 1 - i))) & np.uint64(0xFFFF) for i in range(n)]
    weights = [math.log(left.get(tuple(int(p[row]) for p in parts), 1.0)) for row in range(len(table.keys))]
    return Table(table.keys, table.probability, np.array(weights, np.float16))


def save(path: Path, models: Mapping[Lang, tuple[list[str], NGram]]) -> None:
    """Write ``models`` as ``asr.ngram.load`` reads them."""
    stored: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {}
    for lang, (vocabulary, model) in models.items():
        stored[f"{lang}_vocabulary"] = np.frombuffer("\n".join(vocabulary).encode(), np.uint8)
        stored[f"{lang}_weight"] = np.array(model.weight)
        for n, table in enumerate(model.tables, start=1):
            stored[f"{lang}_{n}_keys"] = table.keys
            stored[f"{lang}_{n}_probability"] = table.probability
            stored[f"{lang}_{n}_backoff"] = table.backoff
    fresh = path.with_name(f"{path.name}.new")
    with fresh.open("wb") as f:
        np.savez_compressed(f, **stored)  # type: ignore[arg-type]
    fresh.rename(path)


def sources(lang: Lang, files: list[Path]) -> list[tuple[str, float]]:
    """Sentences and their weights: what a call brings counts for more than what people write elsewhere."""
    own = corpus(lang, [path for pattern in _CORPORA for path in sorted(Path().glob(pattern))])
    calls = sorted({s.text for s in grammar(lang, "train", 30000, 1)})
    return [*((t, 1.0) for t in general(lang, files)), *((t, 1.5) for t in own), *((t, 0.7) for t in calls)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--zh", type=Path, nargs="*", default=[], help="files of general Mandarin text")
    parser.add_argument("--en", type=Path, nargs="*", default=[], help="files of general English text")
    parser.add_argument("--out", type=Path, required=True, help="the recogniser's folder")
    args = parser.parse_args()
    dictionary = [(w.text, min(8.0, 0.3 * w.count**0.5)) for w in words(3)]
    save(
        args.out / FILE,
        {
            "zh": build("zh", sources("zh", args.zh), dictionary, WEIGHT["zh"]),
            "en": build("en", sources("en", args.en), (), WEIGHT["en"]),
        },
    )


if __name__ == "__main__":
    main()
