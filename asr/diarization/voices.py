"""The built-in diarizer: two voices told apart by how they sound, without a model and without knowing either before.

Seconds of speech are merged, most alike first, until two groups are left (Gaussians over cepstra and the Bayesian
information criterion: Chen & Gopalakrishnan 1998); each group is then described by a Gaussian mixture (Reynolds & Rose
1995), and every hundredth of a second goes to whoever it fits better, with a price on each change of speaker
(Viterbi). The first step finds the voices, the second where they change. Two at once count as one: turns never
overlap. It learns each call's voices from the call itself, so it favours no language and no kind of voice; what it
reaches, and where it fails, stands in this folder's README.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from asr.audiofile import Recording
from asr.diarization.features import HOP, RATE, log_mel
from asr.diarization.turns import SpeakerTurn, renumbered
from audio.telephone import resample

FRAME_S = HOP / RATE
_BLOCK_S = 60.0
Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClusteringOptions:
    """``chunk``: frames of 10 ms that are merged as one, of which at most ``most_chunks``, spread over the call, are
    looked at. ``cepstra``: coefficients heard. ``prior``: the whole call's covariance counts as so many frames in each
    group's. ``different``: how far two groups must lie apart to be two people, in units of the information
    criterion's penalty. ``mixtures``: Gaussians a voice; ``change``: price of a change of speaker in nats.
    """

    chunk: int = 100
    most_chunks: int = 160
    cepstra: int = 12
    prior: float = 100.0
    different: float = 1.0
    mixtures: int = 8
    change: float = 60.0
    rounds: int = 5
    fitted: int = 12000


class VoiceClustering:
    """A ``Diarizer`` for one or two speakers."""

    def __init__(self, options: ClusteringOptions | None = None) -> None:
        self._options = options or ClusteringOptions()

    def diarize(self, recording: Recording, speech: Sequence[tuple[float, float]]) -> list[SpeakerTurn]:
        """See ``Diarizer.diarize``: the turns cover ``speech`` whole."""
        features = _features(recording)
        spoken = np.zeros(len(features), bool)
        for start, end in speech:
            spoken[round(start / FRAME_S) : max(round(start / FRAME_S) + 1, round(end / FRAME_S))] = True
        frames = np.flatnonzero(spoken)
        if not len(frames):
            return []
        labels = self._labels(frames, features[frames])
        return _turns(frames, labels)

    def _labels(self, frames: Labels, features: NDArray[np.float32]) -> Labels:
        """Speaker 0 or 1 of each frame of speech; ``frames`` are their numbers, ``features`` [frames, BANDS]."""
        o = self._options
        cepstra = _cepstra(features, o.cepstra)
        chunks = _chunks(frames, o.chunk)
        chunks = chunks[:: -(-len(chunks) // o.most_chunks)]
        labels = np.zeros(len(frames), np.int64)
        if len(chunks) < 2:
            return labels
        groups, distance = merge_to_two(cepstra, chunks, o.prior)
        if distance < o.different:
            return labels
        looked_at = np.full(len(frames), -1, np.int64)
        for (start, end), group in zip(chunks, groups, strict=True):
            looked_at[start:end] = group
        return self._refined(cepstra, looked_at)

    def _refined(self, cepstra: Matrix, labels: Labels) -> Labels:
        """From groups of some frames (-1: not looked at) to the speaker of every frame."""
        o = self._options
        for _ in range(o.rounds):
            fits = []
            for speaker in (0, 1):
                own = cepstra[labels == speaker]
                own = own[:: -(-len(own) // o.fitted) or 1]
                if len(own) == 0:
                    return np.maximum(labels, 0)
                fits.append(Mixture.fit(own, min(o.mixtures, 1 + len(own) // 60)).score(cepstra))
            refined = cheapest_path(np.stack(fits, axis=1), o.change)
            if np.array_equal(refined, labels):
                break
            labels = refined
        return labels


@dataclass(frozen=True, slots=True)
class Mixture:
    """Gaussians with diagonal covariance: ``log_weights`` [n], ``means`` and ``variances`` [n, dimensions]."""

    log_weights: Matrix
    means: Matrix
    variances: Matrix

    @classmethod
    def fit(cls, points: Matrix, count: int, rounds: int = 15, floor: float = 0.05) -> Mixture:
        """Expectation maximisation from k-means centres; deterministic. ``floor`` is the least variance."""
        means = kmeans(points, count, seed=0)
        spread = np.maximum(points.var(axis=0), floor)
        mixture = cls(np.full(count, -np.log(count)), means, np.tile(spread, (count, 1)))
        for _ in range(rounds):
            joint = mixture._joint(points)
            share = np.exp(joint - _log_sum(joint)[:, None])
            weight = share.sum(axis=0) + 1e-3
            means = (share.T @ points + 1e-3 * mixture.means) / weight[:, None]
            variances = np.maximum(share.T @ points**2 / weight[:, None] - means**2, 0.0) + floor
            mixture = cls(np.log(weight / weight.sum()), means, variances)
        return mixture

    def score(self, points: Matrix) -> Matrix:
        """Log-likelihood of each point, natural logarithm."""
        return _log_sum(self._joint(points))

    def _joint(self, points: Matrix) -> Matrix:
        precision = 1.0 / self.variances
        square = points**2 @ precision.T - 2.0 * points @ (self.means * precision).T
        constant = np.sum(self.means**2 * precision + np.log(2.0 * np.pi * self.variances), axis=1)
        joint: Matrix = self.log_weights - 0.5 * (square + constant)
        return joint


def merge_to_two(cepstra: Matrix, chunks: Sequence[tuple[int, int]], prior: float) -> tuple[Labels, float]:
    """The group, 0 or 1, of each chunk (a range of rows of ``cepstra``), and how far the two lie apart.

    Each group is one Gaussian with full covariance. The distance is the loss of log-likelihood if the two were one,
    over the information criterion's penalty for the second's parameters: one voice lies near 1 or below it.
    """
    size = cepstra.shape[1]
    whole = np.cov(cepstra.T, bias=True).reshape(size, size)

    def spread(count: Matrix, total: Matrix, square: Matrix) -> Matrix:
        """Rows times the logarithm of the covariance's determinant, of any number of groups at once."""
        mean = total / count[:, None]
        covariance = square / count[:, None, None] - mean[:, :, None] * mean[:, None, :]
        weighed = (count[:, None, None] * covariance + prior * whole) / (count + prior)[:, None, None]
        out: Matrix = count * np.linalg.slogdet(weighed)[1]
        return out

    parts = [cepstra[start:end] for start, end in chunks]
    counts = np.array([float(len(p)) for p in parts])
    totals = np.stack([p.sum(axis=0) for p in parts])
    squares = np.stack([p.T @ p for p in parts])
    own = spread(counts, totals, squares)
    n = len(parts)
    cost = np.full((n, n), np.inf)

    def price(i: int, others: Labels) -> Matrix:
        """What it costs to merge group ``i`` with each of ``others``."""
        together = spread(counts[i] + counts[others], totals[i] + totals[others], squares[i] + squares[others])
        out: Matrix = together - own[i] - own[others]
        return out

    for i in range(1, n):
        cost[i, :i] = price(i, np.arange(i))
    group, alive = np.arange(n), np.ones(n, bool)
    for _ in range(n - 2):
        a, b = (int(v) for v in np.unravel_index(np.argmin(cost), cost.shape))
        keep, gone = min(a, b), max(a, b)
        counts[keep] += counts[gone]
        totals[keep] += totals[gone]
        squares[keep] += squares[gone]
        own[keep] = spread(counts[keep : keep + 1], totals[keep : keep + 1], squares[keep : keep + 1])[0]
        group[group == gone] = keep
        alive[gone] = False
        cost[gone, :] = cost[:, gone] = np.inf
        others = np.flatnonzero(alive)
        others = others[others != keep]
        prices = price(keep, others)
        cost[np.maximum(keep, others), np.minimum(keep, others)] = prices
    first, second = np.flatnonzero(alive)
    loss = 0.5 * float(price(int(first), np.array([second]))[0])
    penalty = 0.5 * (size + size * (size + 1) / 2) * math.log(float(counts[alive].sum()))
    return np.where(group == second, 1, 0).astype(np.int64), loss / penalty


def cheapest_path(scores: Matrix, change: float) -> Labels:
    """The sequence over the columns of ``scores`` [n, 2] with the highest sum, less ``change`` for every change."""
    difference = scores[:, 1] - scores[:, 0]
    # Two states need one number: how much better it is to be in state 1 now. It never leaves [-change, change].
    advantage = np.empty(len(scores))
    lead = float(np.clip(difference[0], -np.inf, np.inf))
    advantage[0] = lead
    for i in range(1, len(scores)):
        lead = min(max(lead, -change), change) + float(difference[i])
        advantage[i] = lead
    labels = np.empty(len(scores), np.int64)
    state = int(advantage[-1] > 0)
    labels[-1] = state
    for i in range(len(scores) - 2, -1, -1):
        if state == 0 and advantage[i] > change:
            state = 1
        elif state == 1 and advantage[i] < -change:
            state = 0
        labels[i] = state
    return labels


def kmeans(points: Matrix, count: int, *, seed: int, rounds: int = 25) -> Matrix:
    """Centres [count, dimensions] by Lloyd's algorithm from k-means++ seeds."""
    rng = np.random.default_rng(seed)
    centres: Matrix = points[rng.integers(len(points))][None]
    while len(centres) < count:
        near = _distances(points, centres).min(axis=1) + 1e-12
        centres = np.concatenate([centres, points[rng.choice(len(points), p=near / near.sum())][None]])
    for _ in range(rounds):
        nearest = _distances(points, centres).argmin(axis=1)
        moved = np.stack(
            [points[nearest == k].mean(axis=0) if np.any(nearest == k) else centres[k] for k in range(count)]
        )
        if np.allclose(moved, centres):
            break
        centres = moved
    return centres


def _distances(points: Matrix, centres: Matrix) -> Matrix:
    squares: Matrix = (points**2).sum(axis=1)[:, None] - 2 * points @ centres.T + (centres**2).sum(axis=1)
    return np.maximum(squares, 0.0)


def _log_sum(values: Matrix) -> Matrix:
    top = values.max(axis=1)
    out: Matrix = top + np.log(np.exp(values - top[:, None]).sum(axis=1))
    return out


def _cepstra(features: NDArray[np.float32], count: int) -> Matrix:
    """Cepstral coefficients 1 to ``count``, each with mean 0 and variance 1 over the call."""
    bands = features.shape[1]
    rows = np.arange(1, count + 1)[:, None]
    basis = np.cos(np.pi * rows * (np.arange(bands) + 0.5) / bands)
    cepstra = features.astype(np.float64) @ basis.T
    out: Matrix = (cepstra - cepstra.mean(axis=0)) / np.maximum(cepstra.std(axis=0), 1e-6)
    return out


def _features(recording: Recording) -> NDArray[np.float32]:
    """``log_mel`` of the whole recording, mixed to one channel: 12 kB a second."""
    out = []
    for start in np.arange(0.0, recording.seconds, _BLOCK_S):
        block = recording.read(None, float(start), min(recording.seconds, float(start) + _BLOCK_S))
        out.append(log_mel(resample(block, recording.rate, RATE)))
    return np.concatenate(out) if out else np.zeros((0, 0), np.float32)


def _chunks(frames: Labels, size: int) -> list[tuple[int, int]]:
    """Ranges of about ``size`` rows, none across a gap between ``frames``."""
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    out = []
    for start, end in pairwise([0, *breaks.tolist(), len(frames)]):
        parts = max(1, round((end - start) / size))
        edges = [start + (end - start) * i // parts for i in range(parts + 1)]
        out += [(a, b) for a, b in pairwise(edges) if b > a]
    return out


def _turns(frames: Labels, labels: Labels) -> list[SpeakerTurn]:
    """Runs of one label over frames that follow each other."""
    breaks = np.flatnonzero((np.diff(frames) != 1) | (np.diff(labels) != 0)) + 1
    bounds = [0, *breaks.tolist(), len(frames)]
    return renumbered(
        [
            SpeakerTurn(float(frames[a]) * FRAME_S, float(frames[b - 1] + 1) * FRAME_S, int(labels[a]))
            for a, b in pairwise(bounds)
        ]
    )
