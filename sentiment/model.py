"""The embedded intent and emotion model at run time: one sparse linear layer, numpy only.

File: compressed npz with ``weight`` int8 (features, intents + emotions), ``scale`` float32 (columns),
``bias`` float32 (columns), ``temperature`` float32 (2: intents, emotions), ``threshold`` float32 (2: below the first
the main intent is ``other``; above the second a further intent counts), ``labels`` and ``buckets``. Rows are kept
only for buckets that carry weight: ``row`` int32 (buckets that are kept, ascending).
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sentiment.errors import ModelError
from sentiment.features import BUCKETS, features
from sentiment.labels import EMOTIONS, INTENTS

DEFAULT_MODEL = Path(__file__).parent / "models" / "understanding.npz"


@dataclass(frozen=True, slots=True)
class Scores:
    """Calibrated probabilities over all intents and over all emotions, each summing to one."""

    intents: dict[str, float]
    emotions: dict[str, float]


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    e = np.exp(logits - logits.max())
    out: NDArray[np.float32] = e / e.sum()
    return out


@dataclass(frozen=True, slots=True)
class LinearModel:
    """See the module's text. Reading is a pure function of text, language and ``expects``."""

    row: NDArray[np.int32]
    weight: NDArray[np.int8]
    scale: NDArray[np.float32]
    bias: NDArray[np.float32]
    temperature: NDArray[np.float32]
    threshold: NDArray[np.float32]

    @classmethod
    def load(cls, path: Path = DEFAULT_MODEL) -> LinearModel:
        """Read a model file. Raises ``ModelError`` if it is missing, damaged or has other labels."""
        if not path.is_file():
            raise ModelError(f"no understanding model at {path}: train one with `python -m sentiment.training`")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
            labels = [str(label) for label in arrays["labels"]]
            model = cls(*(arrays[k] for k in ("row", "weight", "scale", "bias", "temperature", "threshold")))
            buckets = int(arrays["buckets"])
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as e:
            raise ModelError(f"the understanding model {path} is damaged: {' '.join(str(e).split())}") from e
        if labels != [*INTENTS, *EMOTIONS] or buckets != BUCKETS:
            raise ModelError(f"the understanding model {path} was made for another label set or feature space")
        columns = len(labels)
        if model.weight.shape != (len(model.row), columns) or model.scale.shape != (columns,):
            raise ModelError(f"the understanding model {path} is damaged: its arrays do not fit together")
        return model

    def logits(self, text: str, lang: str, expects: str | None = None) -> NDArray[np.float32]:
        """Raw scores, shape ``(intents + emotions,)``: weights summed over the features, over √n."""
        found = features(text, lang, expects)
        at = np.searchsorted(self.row, found)
        at = at[(at < len(self.row)) & (self.row[np.minimum(at, len(self.row) - 1)] == found)]
        total = self.weight[at].astype(np.float32).sum(axis=0) * self.scale
        out: NDArray[np.float32] = (total / np.sqrt(max(len(found), 1)) + self.bias).astype(np.float32)
        return out

    def scores(self, text: str, lang: str, expects: str | None = None) -> Scores:
        """Calibrated probabilities."""
        logits = self.logits(text, lang, expects)
        n = len(INTENTS)
        intents = softmax(logits[:n] / self.temperature[0])
        emotions = softmax(logits[n:] / self.temperature[1])
        return Scores(
            dict(zip(INTENTS, intents.tolist(), strict=True)), dict(zip(EMOTIONS, emotions.tolist(), strict=True))
        )
