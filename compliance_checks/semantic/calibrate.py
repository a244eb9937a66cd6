"""From raw scores to a probability and a threshold, and what the model adds to the rules."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.events import CallFacts, Lang
from compliance_checks.corpus import Example
from compliance_checks.semantic.data import Reader, teachable
from compliance_checks.semantic.model import Array
from compliance_checks.semantic.text import windows

Score = Callable[[Sequence[str], Lang, str], Array]
FLOATS = npt.NDArray[np.float64]


def raw_scores(rows: Sequence[Example], score: Score, reader: Reader) -> FLOATS:
    """The highest ``-logit(ok)`` over each row's windows, as the gate will see it; shape [rows]."""
    found = []
    for row in rows:
        texts = windows(reader.example(row), row.lang)
        found.append(float((-score(texts, row.lang, row.party)[:, 0]).max()) if texts else -20.0)
    return np.asarray(found)


def platt(raw: FLOATS, wrong: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset by which ``sigmoid(a*raw + b)`` fits the labels best (Platt 1999).

    Newton's method on the standardised scores with Platt's softened labels, each step halved until the loss falls.
    """
    middle, spread = float(raw.mean()), float(raw.std()) or 1.0
    x = np.stack(((raw - middle) / spread, np.ones_like(raw)), axis=1)
    good, bad = int((~wrong).sum()), int(wrong.sum())
    goal = np.where(wrong, (bad + 1) / (bad + 2), 1 / (good + 2))
    w = np.array([1.0, 0.0])

    def loss(weights: FLOATS) -> float:
        z = x @ weights
        return float((np.logaddexp(0, z) - goal * z).sum())

    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(x @ w, -30, 30)))
        hessian = x.T @ (x * (p * (1 - p))[:, None]) + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (p - goal))
        while loss(w - step) > loss(w) and abs(step).max() > 1e-9:
            step = step / 2
        w = w - step
        if abs(step).max() < 1e-8:
            break
    return float(w[0]) / spread, float(w[1] - w[0] * middle / spread)


def threshold_for(p: FLOATS, wrong: npt.NDArray[np.bool_], share: float) -> float:
    """The lowest threshold of 0.5 or more that at most ``share`` of the compliant rows reach."""
    fine = np.sort(p[~wrong])[::-1]
    allowed = math.floor(share * len(fine))
    needed = float(fine[allowed]) + 1e-4 if len(fine) > allowed else 0.5
    return min(max(0.5, needed), 0.9999)


def expected_calibration_error(p: FLOATS, wrong: npt.NDArray[np.bool_], bins: int = 10) -> float:
    """Mean distance between said and true share over ``bins`` equal-width bins, weighted by their rows."""
    which = np.minimum((p * bins).astype(int), bins - 1)
    gaps = [abs(p[which == i].mean() - wrong[which == i].mean()) * (which == i).mean() for i in set(which.tolist())]
    return float(sum(gaps))


@dataclass(frozen=True, slots=True)
class Added:
    """What the model does beside the rules on one set in one language; all are counts of rows."""

    violations: int
    by_rules: int
    by_either: int
    by_model: int
    compliant: int
    refused_by_rules: int
    refused_by_either: int
    refused_by_model: int


def added(rows: Sequence[Example], flagged: Sequence[bool], ruled: Sequence[bool]) -> Added:
    """Counts over ``rows``; ``flagged`` by the model, ``ruled`` refused by the rules alone."""
    bad = [(f, r) for row, f, r in zip(rows, flagged, ruled, strict=True) if row.violation]
    good = [(f, r) for row, f, r in zip(rows, flagged, ruled, strict=True) if not row.violation]
    return Added(
        len(bad),
        sum(r for _, r in bad),
        sum(f or r for f, r in bad),
        sum(f for f, _ in bad),
        len(good),
        sum(r for _, r in good),
        sum(f or r for f, r in good),
        sum(f for f, _ in good),
    )


def ruled_out(rows: Sequence[Example]) -> list[bool]:
    """Which rows the rules alone do not allow."""
    from compliance_checks.gate import Gate

    gate = Gate.load(semantic=None)
    return [gate.judge(row.text, CallFacts(row.lang, row.party, None, row.facts)).decision != "allow" for row in rows]


def judged_rows(rows: Sequence[Example]) -> list[Example]:
    return [row for row in rows if teachable(row)]
