"""The built-in diarizer: two voices told apart by how they sound, without knowing either before.

Stretches of speech become voices (``embedding``), which are merged, most alike first, until two groups are left
(Ward 1963, then k-means); each group is then described by a Gaussian mixture over cepstra (Reynolds & Rose 1995), and
every hundredth of a second goes to whoever it fits better, with a price on each change of speaker (Viterbi). The
first step finds the voices, the second where they change. Two at once count as one: turns never overlap. What it
reaches, and where it fails, stands in this folder's README.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage

from asr.audiofile import Recording
from asr.diarization.embedding import RATE as ENCODER_RATE
from asr.diarization.embedding import VoiceEmbedder, mel_energies
from asr.diarization.features import BANDS, HOP, RATE, log_mel
from asr.diarization.turns import SpeakerTurn, renumbered
from asr.transcriber import ModelError
from audio.g711 import Floats
from audio.telephone import resample

FRAME_S = HOP / RATE
_BLOCK_S = 60.0
_SCORED = 1 << 16  # frames looked at together
Matrix = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClusteringOptions:
    """``chunk``: frames of 10 ms that are given to one voice, of which at most ``most_chunks``, spread over the call,
    are looked at, each in a ``window`` of frames around it that ends where the speech does. ``alike``: cosine of two
    groups' voices from which they are one person's, and with less than ``least`` frames of speech nothing can be told.
    ``cepstra``: coefficients heard; ``mixtures``: Gaussians a voice;
    ``change``: price of a change of speaker in nats; ``trust``: nats a frame by which a chunk's own group is preferred.
    """

    chunk: int = 40
    window: int = 120
    most_chunks: int = 1200
    alike: float = 0.91
    least: int = 400
    cepstra: int = 12
    mixtures: int = 8
    change: float = 60.0
    trust: float = 2.0
    rounds: int = 1
    fitted: int = 12000


class VoiceClustering:
    """A ``Diarizer`` for one or two speakers. Raises ``ModelError`` where the encoder's weights cannot be read."""

    def __init__(self, options: ClusteringOptions | None = None) -> None:
        self._options = options or ClusteringOptions()
        try:
            self._embedder = VoiceEmbedder.load()
        except (OSError, ValueError, KeyError) as e:
            raise ModelError(f"the voice encoder cannot be read ({e})") from e

    def diarize(self, recording: Recording, speech: Sequence[tuple[float, float]]) -> list[SpeakerTurn]:
        """See ``Diarizer.diarize``: the turns cover ``speech`` whole."""
        spoken = np.zeros(max(0, int(recording.seconds / FRAME_S) - 1), bool)
        for start, end in speech:
            spoken[round(start / FRAME_S) : max(round(start / FRAME_S) + 1, round(end / FRAME_S))] = True
        frames = np.flatnonzero(spoken)
        if not len(frames):
            return []
        return _turns(frames, self._labels(frames, recording))

    def _labels(self, frames: Labels, recording: Recording) -> Labels:
        """Speaker 0 or 1 of each frame of speech; ``frames`` are their numbers."""
        o = self._options
        chunks = _chunks(frames, o.chunk)
        chunks = chunks[:: -(-len(chunks) // o.most_chunks)]
        alone = np.zeros(len(frames), np.int64)
        if len(chunks) < 2 or len(frames) < o.least:
            return alone
        voices = self._voices([_numbers(frames, around(c, o.window)) for c in chunks], recording)
        groups, cosine = two_groups(voices, np.array([c.end - c.start for c in chunks], np.float32))
        if cosine > o.alike:
            return alone
        looked_at = np.full(len(frames), -1, np.int64)
        for chunk, group in zip(chunks, groups, strict=True):
            looked_at[chunk.start : chunk.end] = group
        return self._refined(_cepstra(recording, frames, o.cepstra), looked_at)

    def _voices(self, windows: Sequence[tuple[int, int]], recording: Recording) -> NDArray[np.float32]:
        """Voices of ``windows`` (frames from and to, in order); the sound is gone through minute by minute."""
        energies: list[NDArray[np.float32]] = []
        have, held_from = np.zeros((0, 0), np.float32), 0
        blocks = _blocks(recording)
        for start, end in windows:
            while held_from + len(have) < end and (block := next(blocks, None)) is not None:
                found = mel_energies(resample(block, recording.rate, ENCODER_RATE))[: _frames_of(block, recording.rate)]
                keep = max(0, min(len(have), len(have) - (start - held_from)))  # windows overlap, and begin in order
                held_from += len(have) - keep
                have = np.concatenate([have[len(have) - keep :], found]) if keep else found
            energies.append(have[max(0, start - held_from) : end - held_from].copy())
        return self._embedder.embed(energies)

    def _refined(self, cepstra: NDArray[np.float32], grouped: Labels) -> Labels:
        """From groups of some frames (-1: not looked at) to the speaker of every frame."""
        o = self._options
        labels = grouped
        for _ in range(o.rounds):
            fits = []
            for speaker in (0, 1):
                own = cepstra[labels == speaker]
                own = own[:: -(-len(own) // o.fitted) or 1]
                if len(own) == 0:
                    return np.maximum(labels, 0)
                fits.append(Mixture.fit(own.astype(np.float64), min(o.mixtures, 1 + len(own) // 60)).score(cepstra))
                fits[-1] += o.trust * (grouped == speaker)
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

    def score(self, points: NDArray[np.floating[Any]]) -> Matrix:
        """Log-likelihood of each point, natural logarithm."""
        if not len(points):
            return np.zeros(0)
        parts = (points[i : i + _SCORED].astype(np.float64) for i in range(0, len(points), _SCORED))
        return np.concatenate([_log_sum(self._joint(part)) for part in parts])

    def _joint(self, points: Matrix) -> Matrix:
        precision = 1.0 / self.variances
        square = points**2 @ precision.T - 2.0 * points @ (self.means * precision).T
        constant = np.sum(self.means**2 * precision + np.log(2.0 * np.pi * self.variances), axis=1)
        joint: Matrix = self.log_weights - 0.5 * (square + constant)
        return joint


def two_groups(voices: NDArray[np.float32], weights: NDArray[np.float32]) -> tuple[Labels, float]:
    """The group, 0 or 1, of each of ``voices`` [n, size], n at least 2, and the cosine between the two groups'."""
    labels = (fcluster(linkage(voices, "ward"), 2, "maxclust") - 1).astype(np.int64)
    for _ in range(10):
        if labels.min() == labels.max():
            return labels, 1.0
        centres = np.stack([(voices * (weights * (labels == k))[:, None]).sum(axis=0) for k in (0, 1)])
        centres /= np.maximum(np.linalg.norm(centres, axis=1, keepdims=True), 1e-9)
        nearest = (voices @ centres.T).argmax(axis=1).astype(np.int64)
        if np.array_equal(nearest, labels):
            break
        labels = nearest
    return labels, float(centres[0] @ centres[1])


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


def _cepstra(recording: Recording, frames: Labels, count: int) -> NDArray[np.float32]:
    """Cepstral coefficients 1 to ``count`` of ``frames``, each with mean 0 and variance 1 over them."""
    rows = np.arange(1, count + 1)[:, None]
    basis = np.cos(np.pi * rows * (np.arange(BANDS) + 0.5) / BANDS).T
    cepstra, first = np.zeros((len(frames), count), np.float32), 0
    for block in _blocks(recording):
        bands = log_mel(resample(block, recording.rate, RATE))
        here = slice(*np.searchsorted(frames, [first, first + len(bands)]))
        cepstra[here] = bands[frames[here] - first] @ basis
        first += len(bands)
    cepstra -= cepstra.mean(axis=0, dtype=np.float64).astype(np.float32)
    cepstra /= np.maximum(cepstra.std(axis=0, dtype=np.float64), 1e-6).astype(np.float32)
    return cepstra


def _blocks(recording: Recording) -> Iterator[Floats]:
    """The recording minute by minute, mixed to one channel."""
    for start in np.arange(0.0, recording.seconds, _BLOCK_S):
        yield recording.read(None, float(start), min(recording.seconds, float(start) + _BLOCK_S))


def _frames_of(block: Floats, rate: int) -> int:
    """Frames that ``log_mel`` makes of a block at ``rate`` Hz."""
    return round(len(block) * RATE / rate) // HOP


def _numbers(frames: Labels, rows: tuple[int, int]) -> tuple[int, int]:
    """The frames that ``rows`` of speech are, which follow each other without a gap."""
    return int(frames[rows[0]]), int(frames[rows[1] - 1]) + 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows ``start`` to ``end`` of the speech, within a run of it from ``first`` to ``last`` without a gap."""

    start: int
    end: int
    first: int
    last: int


def around(chunk: Chunk, window: int) -> tuple[int, int]:
    """The rows that ``chunk`` is heard in: ``window`` of them around its middle where its run is that long, else the
    run. A window does not reach over a gap, where speakers change most."""
    middle = (chunk.start + chunk.end) // 2
    start = max(chunk.first, min(middle - window // 2, chunk.last - window))
    return start, min(chunk.last, start + window)


def _chunks(frames: Labels, size: int) -> list[Chunk]:
    """Chunks of about ``size`` rows, none across a gap between ``frames``."""
    breaks = np.flatnonzero(np.diff(frames) != 1) + 1
    out = []
    for first, last in pairwise([0, *breaks.tolist(), len(frames)]):
        parts = max(1, round((last - first) / size))
        edges = [first + (last - first) * i // parts for i in range(parts + 1)]
        out += [Chunk(a, b, first, last) for a, b in pairwise(edges) if b > a]
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
