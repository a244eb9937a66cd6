"""Sets how raw scores become probabilities, on utterances no weight was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sentiment import rules
from sentiment.corpus.build import Utterance
from sentiment.encoder import Encoder, Logits
from sentiment.english import English
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.model import Calibration, LinearModel, log_softmax, mixed, together
from sentiment.training.evaluate import macro_f1, safety
from sentiment.understand import SAFETY, is_settled

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
    encoder: Encoder, linear: LinearModel, utterances: Sequence[Utterance], english: English | None = None
) -> Calibration:
    """A calibration of the models together: the transformer with the linear layer, then English with both."""
    n = len(INTENTS)
    read = [
        one
        for start in range(0, len(utterances), _BATCH)
        for one in encoder.logits(
            [encoder.tokenizer.encode(u.text, u.lang, u.expects) for u in utterances[start : start + _BATCH]]
        )
    ]
    grams = np.stack([linear.logits(u.text, u.lang, u.expects) for u in utterances])
    ours = _fit(_Read.of(read), grams[:, :n], grams[:, n:], utterances, ("zh", "en"))
    if english is None:
        return ours
    at = [i for i, u in enumerate(utterances) if u.lang == "en"]
    said = [utterances[i] for i in at]
    likened = english.logits([u.text for u in said], [u.expects for u in said])
    base = _Read.of([together(read[i], grams[i, :n], grams[i, n:], ours) for i in at])
    return replace(ours, english=_fit(_Read.of(likened), base.main, base.emotion, said, ("en",)))


def _fit(
    first: _Read, main: Array, emotion: Array, utterances: Sequence[Utterance], langs: Sequence[str]
) -> Calibration:
    intents, emotions = list(INTENTS), list(EMOTIONS)
    gold = np.array([intents.index(u.intent) for u in utterances])
    felt = np.array([emotions.index(u.emotion) for u in utterances])
    share = _best_share(first.main, main, gold, intents), _best_share(first.emotion, emotion, felt, emotions)
    both = np.stack([mixed(a, b, share[0]) for a, b in zip(first.main, main, strict=True)])
    feeling = np.stack([mixed(a, b, share[1]) for a, b in zip(first.emotion, emotion, strict=True)])
    wanted = np.zeros_like(first.present)
    for i, u in enumerate(utterances):
        wanted[i, [intents.index(name) for name in (u.intent, *u.also)]] = 1.0
    weights = logistic(np.stack([first.present.ravel(), both.ravel()], axis=1), wanted.ravel())
    present = 1 / (1 + np.exp(-(weights[0] * first.present + weights[1] * both + weights[2])))
    heat = temperature(both, gold)
    best = [(intents[int(one.argmax())], float(np.exp(log_softmax(one / np.float32(heat))).max())) for one in both]
    bars = {lang: _safety_bar([u.lang == lang for u in utterances], utterances, present, best) for lang in langs}
    warm = temperature(feeling, felt)
    return Calibration(
        share,
        (heat, warm),
        (float(weights[0]), float(weights[1]), float(weights[2])),
        sure=0.2,
        further=_FURTHER,
        safety=bars,
        plain=_plain(feeling / np.float32(warm), felt, emotions),
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


def _safety_bar(
    inside: Sequence[bool], utterances: Sequence[Utterance], present: Array, best: Sequence[tuple[str, float]]
) -> float:
    """The lowest bar at which the safety intents, rules included, are right ``_LEAST_PRECISION`` of the time."""
    rows = [(u, p, b) for u, p, b, ok in zip(utterances, present, best, inside, strict=True) if ok]
    wanted = [{u.intent, *u.also} for u, _, _ in rows]
    by_rule = [set(rules.fired(u.text, u.lang)) & SAFETY for u, _, _ in rows]
    names = list(INTENTS)
    at = [names.index(name) for name in sorted(SAFETY)]
    for bar in (b / 100 for b in range(4, 60, 2)):
        given = []
        for (_, p, b), r in zip(rows, by_rule, strict=True):
            least = _FURTHER if r or is_settled(b) else bar
            led = {b[0]} & SAFETY if not r else set()
            given.append(r | led | {names[i] for i in at if p[i] >= least})
        if safety(wanted, given)[1] >= _LEAST_PRECISION:
            return bar
    return _FURTHER
