"""The tuned English encoder with a head on it: see :mod:`sentence_encoder.head`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sentence_encoder.head import Head
from sentence_encoder.head import shapes as shapes_of_head
from sentence_encoder.network import POOLED, Array, Encoder, shapes
from sentence_encoder.pieces import Pieces


def head_shapes(beside: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights that stand on top of the encoder's."""
    return shapes_of_head(POOLED + beside, outputs)


def all_shapes(pieces: int, beside: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """Those and the encoder's."""
    return {**shapes(pieces), **head_shapes(beside, outputs)}


class Classifier:
    """Encoder, one hidden layer, outputs without a final function. Safe to share between threads."""

    def __init__(self, pieces: Pieces, weights: Mapping[str, Array], beside: int, outputs: int) -> None:
        """Raises ``ValueError`` if the weights do not fit together, ``KeyError`` if one is missing."""
        self._head = Head(weights, POOLED + beside, outputs)
        if len(pieces) != len(weights["pieces"]):
            raise ValueError(f"{len(pieces)} pieces, weights for {len(weights['pieces'])}")
        self.pieces = pieces
        self._encoder = Encoder(weights)

    def logits(self, texts: Sequence[str], beside: Sequence[Sequence[float]]) -> Array:
        """[texts, outputs]; a row of ``beside`` a text. A text's row does not depend on its neighbours."""
        pooled = self._encoder.pooled([self.pieces.encode(text) for text in texts])
        return self._head.logits(np.concatenate((pooled, np.asarray(beside, np.float32)), axis=1))
