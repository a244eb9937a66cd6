"""The encoder on numpy: two pre-norm transformer layers over all texts at once, attention text by text.

Shapes: N pieces of all texts together. Pieces enter with 256 numbers, the first layer widens them to 512. Nothing is
padded, so a text's answer does not depend on its neighbours. float32 throughout.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

Array = npt.NDArray[np.float32]

HEADS: Final = 4
LAYERS: Final = 2
POOLED: Final = 1024
"""Numbers a sentence: see :meth:`Encoder.pooled`."""
MOST_PIECES: Final = 128  # the borrowed encoder never saw more
_WIDE: Final = {0: (256, 512), 1: (512, 512)}
_EPSILON: Final = np.float32(1e-6)


def shapes(pieces: int) -> dict[str, tuple[int, ...]]:
    """The names and shapes of the weights of an encoder of ``pieces`` pieces."""
    found: dict[str, tuple[int, ...]] = {"pieces": (pieces, 256), "times": (128,), "top.weight": (512, 512)}
    found["top.bias"] = (512,)
    for i, (narrow, wide) in _WIDE.items():
        found |= {
            f"{i}.norm1.weight": (narrow,),
            f"{i}.norm1.bias": (narrow,),
            f"{i}.qkv.weight": (narrow, 3 * narrow),
            f"{i}.qkv.bias": (3 * narrow,),
            f"{i}.out.weight": (narrow, wide),
            f"{i}.out.bias": (wide,),
            f"{i}.norm2.weight": (wide,),
            f"{i}.norm2.bias": (wide,),
            f"{i}.up.weight": (wide, 3 * wide),
            f"{i}.up.bias": (3 * wide,),
            f"{i}.down.weight": (3 * wide, wide),
            f"{i}.down.bias": (wide,),
        }
    return found | {"0.widen.weight": _WIDE[0], "0.widen.bias": (512,)}


class Encoder:
    """``weights`` by the names of :func:`shapes`; others are left alone. Raises ``ValueError`` if they do not fit.

    From the first encoder on, numpy multiplies matrices on one core in this process: a sentence's are too small to
    share, and on a busy machine threads that wait for each other by turning took a sentence from 11 ms to 40.
    """

    def __init__(self, weights: Mapping[str, Array]) -> None:
        threadpool_limits(limits=1, user_api="blas")
        self._w: dict[str, Array] = {}
        for name, shape in shapes(len(weights["pieces"])).items():
            value = np.ascontiguousarray(weights[name], np.float32)
            if value.shape != shape or not np.isfinite(value).all():
                raise ValueError(f"{name} has the shape {value.shape}, not {shape}, or is not finite")
            self._w[name] = value

    def pooled(self, texts: Sequence[Sequence[int]]) -> Array:
        """[texts, 1024] from piece numbers: the sentence vector (tanh of the mean, 512), then each state's maximum.

        Texts are cut at ``MOST_PIECES``; one without pieces reads as one unknown piece.
        """
        w = self._w
        cut = [list(text[:MOST_PIECES]) or [0] for text in texts]
        if not cut:
            return np.zeros((0, POOLED), np.float32)
        cuts = np.cumsum([0, *map(len, cut)])
        turns = np.concatenate([np.arange(len(text)) for text in cut])[:, None].astype(np.float32) * w["times"]
        # As the original graph has it: a piece is added to itself with its place added.
        x = 2 * w["pieces"][np.concatenate(cut)] + np.concatenate((np.sin(turns), np.cos(turns)), axis=1)
        for i in range(LAYERS):
            x = self._layer(x, i, cuts)
        spans = list(itertools.pairwise(cuts.tolist()))
        means = np.stack([x[a:b].mean(axis=0) for a, b in spans])
        greatest = np.stack([x[a:b].max(axis=0) for a, b in spans])
        return np.concatenate((np.tanh(means @ w["top.weight"] + w["top.bias"]), greatest), axis=1)

    def _layer(self, x: Array, i: int, cuts: npt.NDArray[np.int64]) -> Array:
        w = self._w
        size = x.shape[1] // HEADS
        y = _norm(x, w[f"{i}.norm1.weight"], w[f"{i}.norm1.bias"])
        qkv = (y @ w[f"{i}.qkv.weight"] + w[f"{i}.qkv.bias"]).reshape(len(x), 3, HEADS, size).transpose(1, 2, 0, 3)
        mixed = np.empty_like(x)
        for a, b in itertools.pairwise(cuts.tolist()):
            q, k, v = qkv[:, :, a:b]
            scores = (q @ k.transpose(0, 2, 1)) * np.float32(size**-0.5)
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            scores /= scores.sum(axis=-1, keepdims=True)
            mixed[a:b] = (scores @ v).transpose(1, 0, 2).reshape(b - a, -1)
        if i == 0:
            x = x @ w["0.widen.weight"] + w["0.widen.bias"]
        x = x + mixed @ w[f"{i}.out.weight"] + w[f"{i}.out.bias"]
        inner = np.maximum(
            _norm(x, w[f"{i}.norm2.weight"], w[f"{i}.norm2.bias"]) @ w[f"{i}.up.weight"] + w[f"{i}.up.bias"], 0
        )
        return np.asarray(x + inner @ w[f"{i}.down.weight"] + w[f"{i}.down.bias"], np.float32)


def _norm(x: Array, weight: Array, bias: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + _EPSILON)
    return np.asarray(centred / spread * weight + bias, np.float32)
