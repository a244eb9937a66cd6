"""``python -m compliance_checks.corpus.report``: what the gate catches and what it wrongly refuses, slice by slice.

Recall is the share of violations that are not allowed; false positives the share of compliant sentences that are not
allowed. Intervals are Wilson's at 95 % (E. B. Wilson, JASA 22, 1927). Sentences are counted, never printed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Final

from agent.events import Lang
from compliance_checks.corpus import FOLDER, Example, load, read
from compliance_checks.gate import Gate

PAGE: Final = FOLDER.parents[1] / "docs" / "gate-report.md"
_LANGS: Final[tuple[Lang, ...]] = ("zh", "en")
_NAMES: Final = {"zh": "Mandarin", "en": "English"}


@dataclass(frozen=True, slots=True)
class Judged:
    """One sentence with what the gate did: ``stopped`` unless it was allowed as it stood."""

    example: Example
    stopped: bool


@dataclass(frozen=True, slots=True)
class Rate:
    """``hits`` of ``n`` with Wilson's 95 % interval."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        if not self.n:
            return (0.0, 1.0)
        z, p, n = 1.96, self.hits / self.n, self.n
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return (max(0.0, middle - half), min(1.0, middle + half))

    def __str__(self) -> str:
        if self.value is None:
            return "–"
        return f"{self.value:.3f} ({self.hits}/{self.n})"


def judge(gate: Gate, examples: Iterable[Example]) -> list[Judged]:
    return [Judged(row, gate.judge(row.text, row.call()).decision != "allow") for row in examples]


def recall(rows: Sequence[Judged]) -> Rate:
    bad = [row for row in rows if row.example.violation]
    return Rate(sum(row.stopped for row in bad), len(bad))


def false_positives(rows: Sequence[Judged]) -> Rate:
    good = [row for row in rows if not row.example.violation]
    return Rate(sum(row.stopped for row in good), len(good))


def table(rows: Sequence[Judged], name: str, key: Callable[[Example], str]) -> list[str]:
    """A Markdown table of recall and false positives by ``key`` and language."""
    lines = [
        f"| {name} | recall, Mandarin | recall, English | false positives, Mandarin | false positives, English |",
        "|---|---|---|---|---|",
    ]
    for value in sorted({key(row.example) for row in rows}):
        of_it = [row for row in rows if key(row.example) == value]
        by_lang = [[row for row in of_it if row.example.lang == lang] for lang in _LANGS]
        cells = [str(recall(part)) for part in by_lang] + [str(false_positives(part)) for part in by_lang]
        lines.append(f"| {value} | " + " | ".join(cells) + " |")
    return lines


def summary(rows: Sequence[Judged]) -> list[str]:
    lines = ["| language | recall | 95 % | false positives | 95 % |", "|---|---|---|---|---|"]
    for lang in _LANGS:
        part = [row for row in rows if row.example.lang == lang]
        found, wrong = recall(part), false_positives(part)
        if not found.n and not wrong.n:
            continue
        spans = [f"{low:.3f}–{high:.3f}" for low, high in (found.interval, wrong.interval)]
        lines.append(f"| {_NAMES[lang]} | {found} | {spans[0]} | {wrong} | {spans[1]} |")
    return lines


def page(gate: Gate) -> str:
    """The whole report as Markdown: the unseen split slice by slice, the training split, the outside check."""
    test = judge(gate, load("test"))
    train = judge(gate, load("train"))
    outside = judge(gate, read(FOLDER / "heldout2.jsonl"))
    ahead = judge(gate, read(FOLDER / "heldout3.jsonl"))
    fresh = judge(gate, read(FOLDER / "heldout4.jsonl"))
    newest = judge(gate, read(FOLDER / "heldout5.jsonl"))
    return "\n".join(
        [
            "# What the gate catches",
            "",
            "Written by `python -m compliance_checks.corpus.report`; the sentences are described in",
            "[the corpus's datasheet](../compliance_checks/corpus/README.md). Recall is the share of violations that"
            " are not allowed,",
            "false positives the share of compliant sentences that are not allowed.",
            "",
            f"## The unseen split ({len(test)} sentences, {_families(test)} template families)",
            "",
            *summary(test),
            "",
            "### By category",
            "",
            *table(test, "category", lambda row: row.category),
            "",
            "### By form",
            "",
            *table(test, "form", lambda row: row.form),
            "",
            "### By who hears it",
            "",
            *table(test, "party", lambda row: row.party),
            "",
            f"## The training split ({len(train)} sentences, {_families(train)} template families)",
            "",
            "Rules were written against these: the figures say that nothing was lost, not how a new sentence fares.",
            "",
            *summary(train),
            "",
            f"## An outside check, `heldout2.jsonl` ({len(outside)} sentences)",
            "",
            "No rule was ever written because of one of these.",
            "",
            *summary(outside),
            "",
            f"## Written before any rule was read, `heldout3.jsonl` ({len(ahead)} sentences)",
            "",
            "Put down from the issue's text alone; judged when the rules were done.",
            "",
            *summary(ahead),
            "",
            f"## Put aside unread, `heldout4.jsonl` ({len(fresh)} sentences)",
            "",
            "Of the last fresh rounds: no rule was changed because of one of these.",
            "",
            *summary(fresh),
            "",
            f"## Half of the newest round, `heldout5.jsonl` ({len(newest)} sentences)",
            "",
            "Insinuations and their innocent look-alikes: counted, never read again.",
            "",
            *summary(newest),
            "",
        ]
    )


def _families(rows: Sequence[Judged]) -> int:
    return len({row.example.family for row in rows})


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="compliance_checks.corpus.report", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--out", type=Path, default=PAGE, help="the page to write (default: docs/gate-report.md)")
    parser.add_argument("--no-write", action="store_true", help="print only")
    options = parser.parse_args(argv)
    text = page(Gate.load())
    sys.stdout.write(text)
    if not options.no_write:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
