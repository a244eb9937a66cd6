"""A trained voice model: kernel ridge classification of functionals, measured against the speaker's past turns.

None ships with the project (docs/decisions/0008-voice-emotion.md); ``python -m sentiment.training.voice`` makes one.
File: npz with ``mean`` and ``spread`` (features), ``within`` and ``between`` speakers' variance (features),
``examples`` (n, features), ``weights`` (n, classes), ``labels`` (classes), ``gamma``, ``temperature``.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sentiment.errors import ModelError
from sentiment.functionals import SIZE
from sentiment.labels import EMOTIONS
from sentiment.voice import VoiceBaseline, VoiceReading

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Norm:
    """Against what a vector is measured. ``mean`` and ``spread`` over everyone; variances of the standardised
    features ``within`` one speaker and ``between`` speakers."""

    mean: Array
    spread: Array
    within: Array
    between: Array

    def against(self, vector: Array, past: Array | None, n: int) -> Array:
        """The vector relative to the mean of ``n`` past ones.

        How far a speaker's own mean is trusted is the Bayes shrinkage n / (n + within / between), a feature each:
        pitch differs much between speakers and is trusted after two turns, others after ten. The prior is halved, as
        past turns are of mixed emotion and a caller's are oftener calm.
        """
        now = (vector - self.mean) / self.spread
        if past is not None and n:
            trust = n / (n + 0.5 * self.within / self.between)
            now = now - trust * (past - self.mean) / self.spread
        out: Array = (now / np.sqrt(self.within)).astype(np.float32)
        return out


def kernel(a: Array, b: Array, gamma: float) -> Array:
    """Gaussian kernel of rows, its width scaled by the number of features."""
    distance = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None] - 2 * a @ b.T
    out: Array = np.exp(-gamma / a.shape[1] * np.maximum(distance, 0)).astype(np.float32)
    return out


@dataclass(frozen=True, slots=True)
class VoiceModel:
    """See the module's text. A pure function of the utterance and the caller's baseline."""

    norm: Norm
    examples: Array
    weights: Array
    labels: tuple[str, ...]
    gamma: float
    temperature: float

    @classmethod
    def load(cls, path: Path) -> VoiceModel:
        """Read a model file. Raises ``ModelError`` if it is missing, damaged or has other labels or features."""
        if not path.is_file():
            raise ModelError(f"no voice model at {path}: train one with `python -m sentiment.training.voice`")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                norm = Norm(*(data[k].astype(np.float32) for k in ("mean", "spread", "within", "between")))
                model = cls(
                    norm,
                    data["examples"].astype(np.float32),
                    data["weights"].astype(np.float32),
                    tuple(str(label) for label in data["labels"]),
                    float(data["gamma"]),
                    float(data["temperature"]),
                )
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as e:
            raise ModelError(f"the voice model {path} is damaged: {' '.join(str(e).split())}") from e
        fits = model.examples.shape == (len(model.weights), SIZE) and model.weights.shape[1:] == (len(model.labels),)
        if not fits or norm.mean.shape != (SIZE,) or not set(model.labels) <= set(EMOTIONS):
            raise ModelError(f"the voice model {path} was made for other features or labels")
        return model

    def save(self, path: Path) -> None:
        n = self.norm
        np.savez_compressed(
            path,
            mean=n.mean,
            spread=n.spread,
            within=n.within,
            between=n.between,
            examples=self.examples.astype(np.float16),
            weights=self.weights.astype(np.float32),
            labels=np.array(self.labels),
            gamma=np.array(self.gamma),
            temperature=np.array(self.temperature),
        )

    def raw(self, vector: Array, past: Array | None, n: int) -> Array:
        """Scores a class, shape (classes,), not yet probabilities."""
        out: Array = kernel(self.norm.against(vector, past, n)[None], self.examples, self.gamma)[0] @ self.weights
        return out

    def emotions(
        self, samples: NDArray[np.float32], rate: int, reading: VoiceReading, baseline: VoiceBaseline | None
    ) -> Mapping[str, float]:
        """See ``VoiceClassifier``. Classes with one label add up."""
        past, n = (baseline.vector, baseline.n) if baseline is not None else (None, 0)
        raw = self.raw(reading.vector, past, n) / self.temperature
        e = np.exp(raw - raw.max())
        out = dict.fromkeys(EMOTIONS, 0.0)
        for label, p in zip(self.labels, (e / e.sum()).tolist(), strict=True):
            out[label] += p
        return out
