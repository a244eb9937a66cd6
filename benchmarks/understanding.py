# ruff: noqa: E501 - tables, one entry a line
"""How well and how fast utterances are understood, beside a word-level linear model trained in the same run.

    python benchmarks/understanding.py [--quick] [--json]

Figures: macro-F1 and safety recall a language on ``sentiment/corpus/heldout.jsonl`` (sentences that no model was
trained on), slots exactly right on a fixed list, and milliseconds a turn. Peer: naive Bayes over characters' pairs
(Mandarin) or words (English), no rules, no context, trained on the same corpus; for slots and time there is no peer
with that duty, so the peer's own time for a turn is given and slots have none.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import numpy as np

from sentiment.corpus.build import FOLDER, Utterance, load
from sentiment.training import SAFETY, macro_f1
from sentiment.understand import Understander

PEER = "naive Bayes over words, no rules"
TODAY = date(2026, 11, 23)
SLOTS = [
    ("zh", "下周三还三千五", {"date": "2026-12-02", "amount": "3500"}),
    ("zh", "下个月五号先还两百五", {"date": "2026-12-05", "amount": "250"}),
    ("zh", "十五号之前还一半", {"date": "2026-12-15", "amount": "1750"}),
    ("zh", "明天不行后天转一万二", {"date": "2026-11-25", "amount": "12000"}),
    ("zh", "月底全部还清", {"date": "2026-11-30", "amount": "3500"}),
    ("zh", "三五百吧", {"amount": None}),
    ("zh", "我晚一点还", {}),
    ("zh", "下午三点半再打", {"time": "15:30"}),
    ("zh", "尾号四零七二", {"digits": "4072"}),
    ("zh", "过几天", {"date": None}),
    ("en", "I'll pay thirty five hundred next friday", {"date": "2026-12-04", "amount": "3500"}),
    ("en", "two grand on the fifteenth", {"date": "2026-12-15", "amount": "2000"}),
    ("en", "half at the end of the month", {"date": "2026-11-30", "amount": "1750"}),
    ("en", "not tomorrow but on thursday", {"date": "2026-11-26"}),
    ("en", "$1,200.50 in two weeks", {"date": "2026-12-07", "amount": "1200.50"}),
    ("en", "a couple hundred", {"amount": None}),
    ("en", "this is the second time you call", {}),
    ("en", "call me at half past two", {"time": "14:30"}),
    ("en", "it's four oh seven two", {"digits": "4072"}),
    ("en", "when I get paid", {"date": None}),
]


class NaiveBayes:
    """Multinomial, add-one smoothing."""

    def __init__(self, utterances: Sequence[Utterance]) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.prior: Counter[str] = Counter()
        for u in utterances:
            self.prior[u.intent] += 1
            self.counts[u.intent].update(self.words(u.text, u.lang))
        self.vocabulary = len({w for c in self.counts.values() for w in c})
        self.total = {k: sum(c.values()) for k, c in self.counts.items()}

    @staticmethod
    def words(text: str, lang: str) -> list[str]:
        return [text[i : i + 2] for i in range(len(text))] if lang == "zh" else text.lower().split()

    def intent(self, text: str, lang: str) -> str:
        words = self.words(text, lang)

        def score(k: str) -> float:
            below = self.total[k] + self.vocabulary
            return math.log(self.prior[k]) + sum(math.log((self.counts[k][w] + 1) / below) for w in words)

        return max(self.prior, key=score)


def row(figure: str, ours: float, peer: float | None, unit: str, n: int) -> dict[str, object]:
    ratio = round(ours / peer, 3) if peer else None
    return {
        "figure": figure,
        "ours": round(ours, 3),
        "peer": None if peer is None else round(peer, 3),
        "peer_name": PEER if peer is not None else None,
        "ratio": ratio,
        "unit": unit,
        "n": n,
    }


def measure(quick: bool) -> list[dict[str, object]]:
    reader = Understander.load()
    heldout = load(FOLDER / "heldout.jsonl")
    out: list[dict[str, object]] = []
    milliseconds: list[float] = []
    peer_milliseconds: list[float] = []
    for lang in ("zh", "en"):
        peer = NaiveBayes([u for name in (lang, "hand") for u in load(FOLDER / f"{name}.jsonl") if u.lang == lang])
        rows = [u for u in heldout if u.lang == lang]
        ours: list[tuple[str, tuple[str, ...]]] = []
        theirs: list[str] = []
        for _ in range(1 if quick else 5):
            ours, theirs = [], []
            for u in rows:
                start = time.perf_counter()
                read = reader.understand(u.text, lang, today=TODAY, expects=u.expects)
                middle = time.perf_counter()
                theirs.append(peer.intent(u.text, lang))
                peer_milliseconds.append(1000 * (time.perf_counter() - middle))
                milliseconds.append(1000 * (middle - start))
                ours.append((read.intent, tuple(k for k, _ in read.intents)))
        gold = [u.intent for u in rows]
        out.append(
            row(
                f"{lang} intent macro-F1", macro_f1(gold, [o for o, _ in ours]), macro_f1(gold, theirs), "F1", len(rows)
            )
        )
        safe = [(g, names, t) for g, (_, names), t in zip(gold, ours, theirs, strict=True) if g in SAFETY]
        out.append(
            row(
                f"{lang} safety recall",
                float(np.mean([g in names for g, names, _ in safe])),
                float(np.mean([g == t for g, _, t in safe])),
                "share",
                len(safe),
            )
        )
    exact = 0
    for lang, text, wanted in SLOTS:
        slots = reader.understand(text, lang, today=TODAY, amount_due=Decimal("3500"), currency=None).slots
        exact += {k: s.value for k, s in slots.items()} == wanted
    out.append(row("slots exactly right", exact / len(SLOTS), None, "share", len(SLOTS)))
    for p in (50, 95):
        ours_ms, peer_ms = (float(np.percentile(ms, p)) for ms in (milliseconds, peer_milliseconds))
        out.append(row(f"time a turn p{p}", ours_ms, peer_ms, "ms", len(milliseconds)))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one pass instead of five")
    parser.add_argument("--json", action="store_true", help="print JSON")
    args = parser.parse_args()
    figures = measure(args.quick)
    if args.json:
        print(json.dumps(figures, ensure_ascii=False, indent=1))
        return
    for f in figures:
        print(
            f"{f['figure']:<24} ours {f['ours']:<8} peer {f['peer']!s:<8} ratio {f['ratio']!s:<7} {f['unit']} (n={f['n']})"
        )


if __name__ == "__main__":
    main()
