"""The embedded transformer on numpy: a few post-norm encoder layers, mean and first state pooled, sigmoid outputs.

Shapes: N tokens of all windows together, d model width. Linear layers run over all windows at once; attention runs
window by window, so nothing is padded and a window's answer does not depend on its neighbours' length.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from agent.events import Lang, Party
from compliance_checks.semantic.model import Judgement
from compliance_checks.semantic.tokens import Tokenizer

Array = npt.NDArray[np.float32]


def sigmoid(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -30.0, 30.0))), np.float32)


class Network:
    """``weights`` as :mod:`compliance_checks.semantic.train` writes them; float32 while it runs."""

    def __init__(self, weights: Mapping[str, Array], heads: int, layers: int) -> None:
        self._w = {name: np.ascontiguousarray(value, np.float32) for name, value in weights.items()}
        self._heads = heads
        self._layers = layers
        self._check()

    def _check(self) -> None:
        width = self._w["tokens"].shape[1]
        wanted = {"sounds": width, "places": width, "norm.weight": width, "norm.bias": width}
        for i in range(self._layers):
            wanted |= {f"{i}.qkv.bias": 3 * width, f"{i}.out.bias": width, f"{i}.down.bias": width}
        for name, size in wanted.items():
            if self._w[name].shape[-1] != size:
                raise ValueError(f"{name} has the shape {self._w[name].shape}")
        if width % self._heads or not all(np.isfinite(value).all() for value in self._w.values()):
            raise ValueError("weights are not finite, or the width is no multiple of the heads")

    def logits(self, encoded: Sequence[tuple[list[int], list[int]]]) -> Array:
        """[windows, outputs] from token and sound numbers."""
        w = self._w
        cuts = np.cumsum([0, *(len(tokens) for tokens, _ in encoded)])
        places = np.concatenate([np.arange(len(tokens)) for tokens, _ in encoded])
        x = w["tokens"][np.concatenate([tokens for tokens, _ in encoded])]
        x = x + w["sounds"][np.concatenate([sounds for _, sounds in encoded])] + w["places"][places]
        x = _norm(x, w["norm.weight"], w["norm.bias"])
        for i in range(self._layers):
            x = self._layer(x, i, cuts)
        spans = [(int(a), int(b)) for a, b in itertools.pairwise(cuts)]
        pooled = np.stack([np.concatenate((x[a], x[a:b].mean(axis=0))) for a, b in spans])
        hidden = np.tanh(pooled @ w["pool.weight"] + w["pool.bias"])
        return np.asarray(hidden @ w["head.weight"] + w["head.bias"], np.float32)

    def _layer(self, x: Array, i: int, cuts: npt.NDArray[np.int64]) -> Array:
        w, heads = self._w, self._heads
        size = x.shape[1] // heads
        qkv = (x @ w[f"{i}.qkv.weight"] + w[f"{i}.qkv.bias"]).reshape(len(x), 3, heads, size).transpose(1, 2, 0, 3)
        mixed = np.empty_like(x)
        for a, b in itertools.pairwise(cuts):
            q, k, v = qkv[:, :, a:b]
            scores = (q @ k.transpose(0, 2, 1)) / np.float32(np.sqrt(size))
            scores = np.exp(scores - scores.max(axis=-1, keepdims=True))
            scores /= scores.sum(axis=-1, keepdims=True)
            mixed[a:b] = (scores @ v).transpose(1, 0, 2).reshape(b - a, -1)
        x = _norm(x + mixed @ w[f"{i}.out.weight"] + w[f"{i}.out.bias"], w[f"{i}.norm1.weight"], w[f"{i}.norm1.bias"])
        inner = np.maximum(x @ w[f"{i}.up.weight"] + w[f"{i}.up.bias"], 0)
        inner = inner @ w[f"{i}.down.weight"] + w[f"{i}.down.bias"]
        return _norm(x + inner, w[f"{i}.norm2.weight"], w[f"{i}.norm2.bias"])


def _norm(x: Array, weight: Array, bias: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(1e-5))
    return np.asarray(centred / spread * weight + bias, np.float32)


class Transformer:
    """A tokenizer and a network; outputs are ``ok`` first, then the categories."""

    def __init__(
        self,
        name: str,
        tokenizer: Tokenizer,
        network: Network,
        categories: Sequence[str],
        threshold: Mapping[Lang, float],
        scale: Mapping[Lang, tuple[float, float]],
        fingerprint: str = "",
    ) -> None:
        self._name = name
        self._tokenizer = tokenizer
        self._network = network
        self._categories = tuple(categories)
        self._threshold = threshold
        self._scale = scale
        self._fingerprint = fingerprint

    @property
    def name(self) -> str:
        return self._name

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    def threshold(self, lang: Lang) -> float:
        return self._threshold[lang]

    def judge(self, texts: Sequence[str], lang: Lang, party: Party) -> list[Judgement]:
        if not texts:
            return []
        logits = self._network.logits([self._tokenizer.encode(text, lang, party) for text in texts])
        return judgements(logits, self._categories, self._scale[lang])


def judgements(logits: Array, categories: Sequence[str], scale: tuple[float, float]) -> list[Judgement]:
    """Output 0 speaks for ``ok``; the probability of a violation is its complement, calibrated as a*x + b."""
    violation = sigmoid(scale[0] * -logits[:, 0] + np.float32(scale[1]))
    best = logits[:, 1:].argmax(axis=1)
    return [Judgement(float(p), categories[int(c)]) for p, c in zip(violation, best, strict=True)]
