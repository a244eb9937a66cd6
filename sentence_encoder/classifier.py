"""A small head on the encoder: what a task reads out of a sentence, and of what stands beside it.

Weights besides the encoder's: ``hidden.*`` of shape (1024 + ``beside``, 512) and ``head.*`` (512, ``outputs``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from sentence_encoder.network import POOLED, Array, Encoder, shapes
from sentence_encoder.pieces import Pieces

HIDDEN: Final = 512


def head_shapes(beside: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights that stand on top of the encoder's."""
    return {
        "hidden.weight": (POOLED + beside, HIDDEN),
        "hidden.bias": (HIDDEN,),
        "head.weight": (HIDDEN, outputs),
        "head.bias": (outputs,),
    }


def all_shapes(pieces: int, beside: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """Those and the encoder's."""
    return {**shapes(pieces), **head_shapes(beside, outputs)}


class Classifier:
    """Encoder, one hidden layer, outputs without a final function. Safe to share between threads."""

    def __init__(self, pieces: Pieces, weights: Mapping[str, Array], beside: int, outputs: int) -> None:
        """Raises ``ValueError`` if the weights do not fit together, ``KeyError`` if one is missing."""
        for name, shape in head_shapes(beside, outputs).items():
            if weights[name].shape != shape or not np.isfinite(weights[name]).all():
                raise ValueError(f"{name} has the shape {weights[name].shape}, not {shape}, or is not finite")
        if len(pieces) != len(weights["pieces"]):
            raise ValueError(f"{len(pieces)} pieces, weights for {len(weights['pieces'])}")
        self.pieces = pieces
        self._encoder = Encoder(weights)
        self._w = {name: weights[name] for name in head_shapes(beside, outputs)}

    def logits(self, texts: Sequence[str], beside: Sequence[Sequence[float]]) -> Array:
        """[texts, outputs]; a row of ``beside`` a text. A text's row does not depend on its neighbours."""
        pooled = self._encoder.pooled([self.pieces.encode(text) for text in texts])
        entered = np.concatenate((pooled, np.asarray(beside, np.float32)), axis=1)
        hidden = np.maximum(entered @ self._w["hidden.weight"] + self._w["hidden.bias"], 0)
        return np.asarray(hidden @ self._w["head.weight"] + self._w["head.bias"], np.float32)
