"""The English part of the understanding: a borrowed sentence encoder, tuned on the corpus, with a small head.

Where n-grams and a transformer of our own know the words of the corpus, this one knows likeness of meaning: it read
English before it read ours (``sentence_encoder``). It reads folded text without punctuation, as a recogniser writes.
Beside the sentence stands what the agent had asked for.

File ``english.npz``: ``table`` and ``score`` of the pieces, ``labels``, and the weights as ``sentence_encoder.store``
keeps them: the encoder's, ``hidden.*`` of shape (1024 + what may be asked, 512) and ``head.*`` (512, outputs).
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sentence_encoder.classifier import Classifier, all_shapes
from sentence_encoder.pieces import Pieces
from sentence_encoder.store import packed, unpacked
from sentiment.encoder import Logits
from sentiment.errors import ModelError
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.text import fold, plain
from sentiment.tokens import ASKED

Array = NDArray[np.float32]
OUTPUTS = 2 * len(INTENTS) + len(EMOTIONS)
_LABELS = [*INTENTS, *EMOTIONS]


def readable(text: str) -> str:
    """``text`` as the encoder reads it."""
    return " ".join(plain(fold(text).text).split())


def asked_row(expects: str | None) -> list[float]:
    """One 1 among zeros, in the order of ``tokens.ASKED``."""
    return [float(name == (expects or "")) for name in ASKED]


class English:
    """Reading is a pure function of text and what had been asked; safe to share between threads."""

    def __init__(self, pieces: Pieces, weights: Mapping[str, Array]) -> None:
        """Raises ``ValueError`` if the weights do not fit together, ``KeyError`` if one is missing."""
        self._classifier = Classifier(pieces, weights, len(ASKED), OUTPUTS)

    @classmethod
    def load(cls, path: Path) -> English:
        """Read a model file. Raises ``ModelError`` if it is missing, damaged or has other labels."""
        if not path.is_file():
            raise ModelError(f"no understanding model at {path}: see `python -m sentiment.training --help`")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
            if [str(label) for label in arrays["labels"]] != _LABELS:
                raise ModelError(f"the understanding model {path} was made for another label set")
            pieces = Pieces([str(p) for p in arrays["table"]], [float(s) for s in arrays["score"]])
            names = all_shapes(len(pieces), len(ASKED), OUTPUTS)
            return cls(pieces, {name: unpacked(arrays, name) for name in names})
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as e:
            raise ModelError(f"the understanding model {path} is damaged: {' '.join(str(e).split())}") from e

    def logits(self, texts: Sequence[str], expects: Sequence[str | None]) -> list[Logits]:
        """Raw scores of several utterances; a text's do not depend on its neighbours."""
        n = len(INTENTS)
        rows = self._classifier.logits([readable(text) for text in texts], [asked_row(e) for e in expects])
        return [Logits(row[:n], row[n : 2 * n], row[2 * n :]) for row in rows]


def save_english(path: Path, pieces: Pieces, weights: Mapping[str, Array]) -> None:
    """Write a model file; reading it gives the weights as int8 left them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: weights[name] for name in all_shapes(len(pieces), len(ASKED), OUTPUTS)}
    np.savez_compressed(
        path,
        table=np.array(pieces.table),
        score=np.array(pieces.scores, dtype=np.float32),
        labels=np.array(_LABELS),
        **packed(kept),
    )
