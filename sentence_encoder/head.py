"""One hidden layer on a sentence's numbers: what a task reads out of them, and of what stands beside the sentence.

Weights: ``hidden.*`` of shape (numbers + ``beside``, 512) and ``head.*`` of shape (512, ``outputs``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from sentence_encoder.network import Array

HIDDEN: Final = 512


def shapes(entered: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the weights of a head that ``entered`` numbers enter."""
    return {
        "hidden.weight": (entered, HIDDEN),
        "hidden.bias": (HIDDEN,),
        "head.weight": (HIDDEN, outputs),
        "head.bias": (outputs,),
    }


class Head:
    """Outputs without a final function. Safe to share between threads."""

    def __init__(self, weights: Mapping[str, Array], entered: int, outputs: int) -> None:
        """Raises ``ValueError`` if the weights do not fit together, ``KeyError`` if one is missing."""
        for name, shape in shapes(entered, outputs).items():
            if weights[name].shape != shape or not np.isfinite(weights[name]).all():
                raise ValueError(f"{name} has the shape {weights[name].shape}, not {shape}, or is not finite")
        self._w = {name: np.ascontiguousarray(weights[name], np.float32) for name in shapes(entered, outputs)}

    def logits(self, entered: Array) -> Array:
        """[texts, outputs] from [texts, entered]."""
        hidden = np.maximum(entered @ self._w["hidden.weight"] + self._w["hidden.bias"], 0)
        return np.asarray(hidden @ self._w["head.weight"] + self._w["head.bias"], np.float32)
