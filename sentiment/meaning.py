"""What an utterance is like, in both languages: a head on the borrowed multilingual sentence encoder.

The encoder (``sentence_encoder.multilingual``) read more Mandarin and English than a corpus of ours can hold, and stays
as it is; the head was learned from the corpus. Beside the sentence stands what the agent had asked for.

File ``meaning.npz``: ``labels``, and the head's weights as ``sentence_encoder.store`` keeps them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sentence_encoder.head import Head, shapes
from sentence_encoder.multilingual import NUMBERS, Multilingual, MultilingualError, shipped
from sentence_encoder.store import packed, unpacked
from sentiment.english import asked_row, readable
from sentiment.errors import ModelError
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.tokens import ASKED

Array = NDArray[np.float32]
ENTERED = NUMBERS + len(ASKED)
OUTPUTS = len(INTENTS) + len(EMOTIONS)
_LABELS = [*INTENTS, *EMOTIONS]


def entered(numbers: Array, expects: Sequence[str | None]) -> Array:
    """What enters the head, [texts, ENTERED]: the sentences' numbers and what had been asked."""
    asked = np.array([asked_row(e) for e in expects], np.float32).reshape(-1, len(ASKED))
    return np.concatenate((numbers, 2 * asked), axis=1)


class Meaning:
    """Reading is a pure function of text and what had been asked; safe to share between threads."""

    def __init__(self, encoder: Multilingual, weights: Mapping[str, Array]) -> None:
        """Raises ``ValueError`` if the weights do not fit together, ``KeyError`` if one is missing."""
        self._encoder = encoder
        self._head = Head(weights, ENTERED, OUTPUTS)

    @classmethod
    def load(cls, path: Path) -> Meaning:
        """Read a model file. Raises ``ModelError`` if it or the encoder is missing, damaged or has other labels."""
        if not path.is_file():
            raise ModelError(f"no understanding model at {path}: see `python -m sentiment.training --help`")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
            if [str(label) for label in arrays["labels"]] != _LABELS:
                raise ModelError(f"the understanding model {path} was made for another label set")
            return cls(shipped(), {name: unpacked(arrays, name) for name in shapes(ENTERED, OUTPUTS)})
        except MultilingualError as e:
            raise ModelError(str(e)) from e
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as e:
            raise ModelError(f"the understanding model {path} is damaged: {' '.join(str(e).split())}") from e

    def logits(self, texts: Sequence[str], expects: Sequence[str | None]) -> Array:
        """Raw scores of several utterances, [texts, intents + emotions]; a text's do not depend on its neighbours."""
        return self._head.logits(entered(self._encoder.numbers([readable(text) for text in texts]), expects))


def save_meaning(path: Path, weights: Mapping[str, Array]) -> None:
    """Write a model file; reading it gives the weights as int8 left them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {name: weights[name] for name in shapes(ENTERED, OUTPUTS)}
    np.savez_compressed(path, labels=np.array(_LABELS), **packed(kept))
