"""Sets how raw scores become probabilities, on utterances no weight was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentiment import rules
from sentiment.corpus.build import Utterance
from sentiment.encoder import Encoder, Logits
from sentiment.english import English
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.meaning import Meaning
from sentiment.model import Calibration, LinearModel, Reading, Shares, log_softmax, mixed, together, with_meaning
from sentiment.training.evaluate import macro_f1, safety
from sentiment.understand import SAFETY, contradicted, is_settled

Array = NDArray[np.float32]
_BATCH = 64
_SHARES = tuple(s / 10 for s in range(11))
_LEAST_PRECISION = 0.86
"""Of the safety intents together, rules included: a little above what is asked of the whole, for unseen wording."""
_FURTHER = 0.5
_PLAIN = tuple(-a / 10 for a in range(21))
_NEAR = 0.005


def _nll(logits: Array, gold: NDArray[np.int64]) -> float:
    z = logits - logits.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(gold)), gold]))


def temperature(logits: Array, gold: NDArray[np.int64]) -> float:
    """The temperature with the least log loss (Guo et al., 2017), by a fine grid."""
    return float(min(np.arange(0.3, 3.01, 0.05), key=lambda t: _nll(logits / np.float32(t), gold)))


def _best_share(first: Array, second: Array, gold: NDArray[np.int64], names: Sequence[str]) -> float:
    """The share with the best macro-F1; among equals the least log loss."""

    def value(share: float) -> tuple[float, float]:
        logits = np.stack([mixed(a, b, share) for a, b in zip(first, second, strict=True)])
        said = [names[i] for i in logits.argmax(axis=1)]
        return round(macro_f1([names[i] for i in gold], said), 2), -_nll(logits, gold)

    return max(_SHARES, key=value)


def logistic(x: Array, y: Array, steps: int = 50) -> Array:
    """Weights of a logistic regression with a last column of ones, by Newton's method with a small ridge."""
    x = np.concatenate([x, np.ones((len(x), 1), dtype=np.float32)], axis=1).astype(np.float64)
    w = np.zeros(x.shape[1])
    for _ in range(steps):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + 1e-3 * np.eye(len(w))
        w += np.linalg.solve(hessian, x.T @ (y - p) - 1e-3 * w)
    out: Array = w.astype(np.float32)
    return out


@dataclass(frozen=True, slots=True)
class _Read:
    """Raw scores of the calibration's utterances, a row each."""

    main: Array
    present: Array
    emotion: Array

    @classmethod
    def of(cls, read: Sequence[Logits]) -> _Read:
        return cls(*(np.stack([getattr(r, name) for r in read]) for name in ("main", "present", "emotion")))


def calibrate(
    encoder: Encoder,
    linear: LinearModel,
    utterances: Sequence[Utterance],
    english: English | None = None,
    meaning: Meaning | None = None,
) -> Calibration:
    """A calibration of the models together: the transformer with the linear layer, English with both, and the head on
    the multilingual encoder with all of them, language by language."""
    n = len(INTENTS)
    read = [
        one
        for start in range(0, len(utterances), _BATCH)
        for one in encoder.logits(
            [encoder.tokenizer.encode(u.text, u.lang, u.expects) for u in utterances[start : start + _BATCH]]
        )
    ]
    grams = np.stack([linear.logits(u.text, u.lang, u.expects) for u in utterances])
    share = _shares(_Read.of(read), grams[:, :n], grams[:, n:], utterances)
    mixture = [together(one, two[:n], two[n:], share) for one, two in zip(read, grams, strict=True)]
    at = {lang: [i for i, u in enumerate(utterances) if u.lang == lang] for lang in ("zh", "en")}
    english_share: Shares | None = None
    if english is not None:
        said = [utterances[i] for i in at["en"]]
        likened = english.logits([u.text for u in said], [u.expects for u in said])
        base = _Read.of([mixture[i] for i in at["en"]])
        english_share = _shares(_Read.of(likened), base.main, base.emotion, said)
        for i, one in zip(at["en"], likened, strict=True):
            mixture[i] = together(one, mixture[i].main, mixture[i].emotion, english_share)
    meant_share: dict[str, Shares] = {}
    readings: dict[str, Reading] = {}
    for lang, places in at.items():
        said = [utterances[i] for i in places]
        if meaning is not None:
            meant = meaning.logits([u.text for u in said], [u.expects for u in said])
            base = _Read.of([mixture[i] for i in places])
            head = _Read(meant[:, :n], base.present, meant[:, n:])
            meant_share[lang] = _shares(head, base.main, base.emotion, said)
            for i, one in zip(places, meant, strict=True):
                mixture[i] = with_meaning(mixture[i], one, meant_share[lang])
        readings[lang] = _fit(_Read.of([mixture[i] for i in places]), said)
    return Calibration(share, readings, english_share, meant_share)


def _gold(utterances: Sequence[Utterance]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    intents, emotions = list(INTENTS), list(EMOTIONS)
    return (
        np.array([intents.index(u.intent) for u in utterances]),
        np.array([emotions.index(u.emotion) for u in utterances]),
    )


def _shares(first: _Read, main: Array, emotion: Array, utterances: Sequence[Utterance]) -> Shares:
    gold, felt = _gold(utterances)
    return _best_share(first.main, main, gold, [*INTENTS]), _best_share(first.emotion, emotion, felt, [*EMOTIONS])


def _fit(both: _Read, utterances: Sequence[Utterance]) -> Reading:
    """How one language's mixed scores are read."""
    intents, emotions = list(INTENTS), list(EMOTIONS)
    gold, felt = _gold(utterances)
    wanted = np.zeros_like(both.present)
    for i, u in enumerate(utterances):
        wanted[i, [intents.index(name) for name in (u.intent, *u.also)]] = 1.0
    weights = logistic(np.stack([both.present.ravel(), both.main.ravel()], axis=1), wanted.ravel())
    present = 1 / (1 + np.exp(-(weights[0] * both.present + weights[1] * both.main + weights[2])))
    heat = temperature(both.main, gold)
    best = [(intents[int(one.argmax())], float(np.exp(log_softmax(one / np.float32(heat))).max())) for one in both.main]
    warm = temperature(both.emotion, felt)
    return Reading(
        (heat, warm),
        (float(weights[0]), float(weights[1]), float(weights[2])),
        sure=0.2,
        further=_FURTHER,
        safety=_safety_bar(utterances, present, best),
        plain=_plain(both.emotion / np.float32(warm), felt, emotions),
    )


def _plain(logits: Array, gold: NDArray[np.int64], names: Sequence[str]) -> float:
    """What to add to ``neutral`` for the best macro-F1; of what comes near it, the least change."""
    at = names.index("neutral")
    felt = [names[i] for i in gold]

    def value(add: float) -> float:
        moved = logits.copy()
        moved[:, at] += add
        return macro_f1(felt, [names[i] for i in moved.argmax(axis=1)])

    best = max(value(add) for add in _PLAIN)
    return max((add for add in _PLAIN if value(add) >= best - _NEAR), key=lambda add: -abs(add))


def _safety_bar(utterances: Sequence[Utterance], present: Array, best: Sequence[tuple[str, float]]) -> float:
    """The lowest bar at which the safety intents, rules included, are right ``_LEAST_PRECISION`` of the time."""
    rows = list(zip(utterances, present, best, strict=True))
    wanted = [{u.intent, *u.also} for u, _, _ in rows]
    names = list(INTENTS)
    by_rule = [
        set(rules.fired(u.text, u.lang, contradicted(dict(zip(names, p, strict=True))))) & SAFETY for u, p, _ in rows
    ]
    at = [names.index(name) for name in sorted(SAFETY)]
    for bar in (b / 100 for b in range(4, int(100 * _FURTHER), 2)):
        given = []
        for (_, p, b), r in zip(rows, by_rule, strict=True):
            least = _FURTHER if r or is_settled(b) else bar
            led = {b[0]} & SAFETY if not r else set()
            given.append(r | led | {names[i] for i in at if p[i] >= least})
        if safety(wanted, given)[1] >= _LEAST_PRECISION:
            return bar
    return _FURTHER
