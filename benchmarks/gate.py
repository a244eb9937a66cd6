"""How long a verdict takes a sentence, beside a plain Aho-Corasick list of the same terms in the same run.

The peer only finds words: it knows no scope, no party, no amounts. The figure tells what judging costs on top.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ahocorasick

import compliance_checks
from agent.events import CallFacts
from compliance_checks import Gate
from compliance_checks.rulebook import Rulebook

CORPUS = Path(compliance_checks.__file__).parent / "corpus"
PEER = "pyahocorasick word list, same terms"


def sentences(lang: str) -> list[tuple[str, CallFacts]]:
    rows = [json.loads(line) for line in (CORPUS / f"{lang}.jsonl").read_text(encoding="utf-8").splitlines()]
    return [(row["text"], CallFacts(row["lang"], row["party"], None, row["facts"])) for row in rows]


def word_list(lang: str) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for term in Rulebook().matchers["zh" if lang == "zh" else "en"].terms:
        automaton.add_word(term, term)
    automaton.make_automaton()
    return automaton


def timed(
    judge: Callable[[str, CallFacts], object], cases: Sequence[tuple[str, CallFacts]], rounds: int
) -> list[float]:
    """Microseconds of every single call, sorted; one round beforehand fills the caches."""
    for text, facts in cases:
        judge(text, facts)
    taken = []
    for _ in range(rounds):
        for text, facts in cases:
            start = time.perf_counter_ns()
            judge(text, facts)
            taken.append((time.perf_counter_ns() - start) / 1000)
    return sorted(taken)


def at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def figure(name: str, ours: float, peer: float, n: int, unit: str = "µs") -> dict[str, Any]:
    return {
        "figure": name,
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "peer_name": PEER,
        "ratio": round(ours / peer, 2) if peer else None,
        "unit": unit,
        "n": n,
    }


def measure(quick: bool) -> list[dict[str, Any]]:
    gate = Gate.load()
    rounds = 1 if quick else 10
    figures = []
    for lang in ("zh", "en"):
        cases = sentences(lang)
        automaton = word_list(lang)
        ours = timed(gate.judge, cases, rounds)
        peer = timed(lambda text, _, find=automaton: list(find.iter(text.lower())), cases, rounds)
        for label, share in (("p50", 0.5), ("p99", 0.99)):
            figures.append(figure(f"verdict {label}, {lang}", at(ours, share), at(peer, share), len(ours)))
        long = [(" ".join(text for text, _ in cases)[:size], cases[0][1]) for size in (500, 1000, 2000)]
        for text, facts in long if not quick else long[-1:]:
            mine = timed(gate.judge, [(text, facts)], 5)
            theirs = timed(lambda text, _, find=automaton: list(find.iter(text.lower())), [(text, facts)], 5)
            figures.append(figure(f"{len(text)} characters p50, {lang}", at(mine, 0.5), at(theirs, 0.5), len(mine)))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="one round only")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    figures = measure(options.quick)
    if options.json:
        print(json.dumps(figures, ensure_ascii=False, indent=1))
        return
    for row in figures:
        print(
            f"{row['figure']:32} {row['ours']:>10} {row['unit']}  peer {row['peer']:>8} {row['unit']}  x{row['ratio']}"
        )


if __name__ == "__main__":
    main()
