"""How long a verdict takes a sentence, beside Presidio's analyzer and a plain word list on the same sentences.

Peers, in the same run and process: Presidio's ``AnalyzerEngine`` with its own pattern recognizers for English over a
blank spaCy pipeline (``pip install presidio-analyzer``; no language model is downloaded, so no named entities: Presidio
at its quickest), and a word list of the same terms on pyahocorasick, which only finds words. Neither knows scope,
party or amounts: the figures tell what judging costs, not who is right. Without Presidio its rows are left out.
Times are processor time of the judging thread, so that other work on the machine does not count.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import ahocorasick

from agent.events import CallFacts, Lang
from compliance_checks import Gate
from compliance_checks.corpus import load
from compliance_checks.gate import MAX_TEXT
from compliance_checks.rulebook import Rulebook
from compliance_checks.semantic import EMBEDDED, SemanticCheck, english, load_model

Case = tuple[str, CallFacts]
Judge = Callable[[str, CallFacts], object]
LANGS: tuple[Lang, ...] = ("zh", "en")
WORDS = "word list (pyahocorasick, same terms)"
PRESIDIO = "presidio-analyzer, pattern recognizers, blank spaCy"


def cases(lang: Lang, count: int) -> list[Case]:
    """``count`` sentences of the corpus, evenly over it."""
    rows = load(lang=lang)
    step = max(1, len(rows) // count)
    return [(row.text, row.call()) for row in rows[::step]][:count]


def word_list(lang: Lang) -> Judge:
    automaton = ahocorasick.Automaton()
    for term in Rulebook().matchers[lang].terms:
        automaton.add_word(term, term)
    automaton.make_automaton()
    return lambda text, _: list(automaton.iter(text.lower()))


def presidio() -> Judge | None:
    """Presidio's analyzer with its pattern recognizers, or ``None`` where it is not installed."""
    # Presidio imports transformers where it is there, for engines that are not used here. With a CPU build of torch
    # beside a CUDA build of torchaudio that import dies, so it is kept out while Presidio is imported.
    hidden = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "transformers"}
    sys.modules["transformers"] = None  # type: ignore[assignment]
    try:
        import spacy
        from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
        from presidio_analyzer.nlp_engine import SpacyNlpEngine
    except ImportError:
        return None
    finally:
        del sys.modules["transformers"]
        sys.modules.update(hidden)

    class Blank(SpacyNlpEngine):
        def load(self) -> None:
            self.nlp = {"en": spacy.blank("en")}

    engine = Blank(models=[{"lang_code": "en", "model_name": "blank"}])
    engine.load()
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    for name in [r.name for r in registry.recognizers if "Spacy" in r.name]:
        registry.remove_recognizer(name)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    return lambda text, _: analyzer.analyze(text, language="en")


def timed(judge: Judge, sentences: Sequence[Case], rounds: int) -> list[float]:
    """Milliseconds of processor time of every single call, sorted; a few calls beforehand load what is loaded late."""
    for text, facts in sentences[:20]:
        judge(text, facts)
    taken = []
    for _ in range(rounds):
        for text, facts in sentences:
            start = time.thread_time_ns()
            judge(text, facts)
            taken.append((time.thread_time_ns() - start) / 1e6)
    return sorted(taken)


def at(values: Sequence[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))]


def figure(name: str, ours: float, peer: float, peer_name: str, n: int, unit: str = "ms") -> dict[str, Any]:
    return {
        "figure": name,
        "ours": round(ours, 4),
        "peer": round(peer, 4),
        "peer_name": peer_name,
        "ratio": round(ours / peer, 2) if peer else None,
        "unit": unit,
        "n": n,
    }


def measure(quick: bool) -> Iterator[dict[str, Any]]:
    english.REMEMBERED = 0  # each sentence is judged anew, as if it had never been said
    rules = Gate.load(semantic=None)
    both = Gate.load(semantic="embedded") if EMBEDDED.exists() else None
    analyzer = presidio()
    rounds, count = (1, 150) if quick else (5, 600)
    for lang in LANGS:
        sentences = cases(lang, count)
        peers = {WORDS: timed(word_list(lang), sentences, rounds)}
        if analyzer is not None:
            peers[PRESIDIO] = timed(analyzer, sentences, rounds)
        mine = {"rules": timed(rules.judge, sentences, rounds)}
        if both is not None:
            mine["rules and model"] = timed(both.judge, sentences, rounds)
        for kind, ours in mine.items():
            for peer_name, theirs in peers.items():
                for label, share in (("p50", 0.5), ("p99", 0.99)):
                    name = f"{kind}, {lang}, a sentence, {label}"
                    yield figure(name, at(ours, share), at(theirs, share), peer_name, len(ours))
        yield from by_length(rules, lang, analyzer, quick)
    if both is not None:
        yield from model_alone(quick)


def by_length(rules: Gate, lang: Lang, analyzer: Judge | None, quick: bool) -> Iterator[dict[str, Any]]:
    """Time a character at growing lengths; the last row says how much dearer a character gets: 1 is linear.

    Longer texts than the gate judges (``MAX_TEXT``) are refused unread, so the growth is measured on the reading and
    matching of the rules, which do the work of every length.
    """
    book, facts = Rulebook(), CallFacts(lang, "borrower")
    block = " ".join(row.text for row in load(lang=lang) if not row.violation)[:500]
    sizes = (500, 2000, 10_000)
    each: dict[int, float] = {}
    peer, peer_name = (analyzer, PRESIDIO) if analyzer is not None else (word_list(lang), WORDS)
    for size in sizes:
        text = (block * (1 + size // len(block)))[:size]
        judge: Judge = rules.judge if size <= MAX_TEXT else (lambda text, facts: book.read(text, facts.lang))
        rounds = 1 if quick else 5
        ours, theirs = (at(timed(one, [(text, facts)], rounds), 0.5) for one in (judge, peer))
        each[size] = at(timed(lambda t, f: book.read(t, f.lang), [(text, facts)], rounds), 0.5) / size
        what = "judged" if size <= MAX_TEXT else "read and matched"
        yield figure(f"{size} characters {what}, {lang}, p50", ours, theirs, peer_name, rounds)
    growth = figure(
        f"a character at {sizes[-1]} against at {sizes[0]}, {lang}", each[sizes[-1]], each[sizes[0]], "ours", 1
    )
    yield {**growth, "ours": round(each[sizes[-1]] * 1000, 3), "peer": round(each[sizes[0]] * 1000, 3), "unit": "µs"}


def model_alone(quick: bool) -> Iterator[dict[str, Any]]:
    """The model without the rules before it, on every sentence of up to 60 characters."""
    check = SemanticCheck(load_model("embedded"))
    rules, book = Gate.load(semantic=None), Rulebook()
    for lang in LANGS:
        sentences = [(text, facts) for text, facts in cases(lang, 150 if quick else 600) if len(text) <= 60]
        policy = rules.policies.resolve(None, lang)
        read = {text: book.read(text, lang) for text, _ in sentences}
        ours = timed(lambda t, f: list(check.findings(read[t], f, policy)), sentences, 1 if quick else 3)  # noqa: B023
        theirs = timed(rules.judge, sentences, 1)
        for label, share in (("p50", 0.5), ("p99", 0.99)):
            name = f"model alone, {lang}, up to 60 characters, {label}"
            yield figure(name, at(ours, share), at(theirs, share), "our rules", len(ours))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--quick", action="store_true", help="fewer sentences, one round")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    figures = list(measure(options.quick))
    if not any(row["peer_name"] == PRESIDIO for row in figures):
        print("presidio-analyzer is not installed: its rows are left out", file=sys.stderr)
    if options.json:
        print(json.dumps(figures, ensure_ascii=False, indent=1))
        return
    for row in figures:
        print(
            f"{row['figure']:52} {row['ours']:>9} {row['unit']}  {row['peer']:>9}  x{row['ratio']}  {row['peer_name']}"
        )


if __name__ == "__main__":
    main()
