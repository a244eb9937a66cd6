"""The transformer at run time, in numpy: a BERT encoder (Devlin et al., 2019) of a few layers, no library needed.

File: compressed npz. ``pieces`` and ``sounds`` are the tokenizer's tables, ``concepts`` the lexicon's concept names,
``labels`` intents and emotions, ``shape`` int32 (members, layers, heads). Weights are named as in transformers'
``BertModel``, with ``m0.``, ``m1.`` … in front for each member of the ensemble; matrices are int8 with a float16 scale
a column (``name:scale``), vectors float32. Heads read ``[CLS]``, the mean and the maximum over the pieces.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentiment.errors import ModelError
from sentiment.features import concept_names
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.tokens import Encoded, Tokenizer

Array = NDArray[np.float32]
_EPSILON = 1e-12
_ONE_THREAD = 4 * 65536


@dataclass(frozen=True, slots=True)
class Logits:
    """Raw scores: ``main`` over intents (softmax), ``present`` an intent each (sigmoid), ``emotion`` (softmax)."""

    main: Array
    present: Array
    emotion: Array


def _norm(x: Array, gain: Array, shift: Array) -> Array:
    centred = x - x.mean(axis=-1, keepdims=True)
    out: Array = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + _EPSILON) * gain + shift
    return out


def _gelu(x: Array) -> Array:
    """The tanh form (``gelu_new`` in transformers)."""
    cube = x * x * x  # numpy's power is many times slower
    out: Array = (0.5 * x * (1.0 + np.tanh(np.float32(0.7978845608) * (x + np.float32(0.044715) * cube)))).astype(
        np.float32
    )
    return out


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    out: Array = e / e.sum(axis=-1, keepdims=True)
    return out


def _times(x: Array, weight: Array) -> Array:
    """``x @ weight`` over the last axis, in blocks of rows too small for OpenBLAS to share out to threads.

    At this size its threads cost more than they bring, and many calls share the cores: it goes parallel from
    m·n·k > 4 · 65536 (``interface/gemm.c``).
    """
    rows = x.reshape(-1, x.shape[-1])
    block = max(1, _ONE_THREAD // weight.size)
    spare = -len(rows) % block
    if spare:
        rows = np.concatenate([rows, np.zeros((spare, rows.shape[1]), dtype=np.float32)])
    product = (rows.reshape(-1, block, rows.shape[1]) @ weight).reshape(len(rows), -1)
    out: Array = product[: len(rows) - spare].reshape(*x.shape[:-1], weight.shape[1])
    return out


class Encoder:
    """Members of an ensemble over one tokenizer. Reading is a pure function; safe to share between threads."""

    def __init__(self, tokenizer: Tokenizer, members: Sequence[dict[str, Array]], layers: int, heads: int) -> None:
        self.tokenizer = tokenizer
        self._members = tuple(members)
        # Matrices lie as they are multiplied: BLAS is several times slower on small products with a transposed view.
        self._turned = tuple(
            {name: np.ascontiguousarray(w.T) for name, w in m.items() if w.ndim == 2 and name.endswith(".weight")}
            for m in self._members
        )
        self._layers = layers
        self._heads = heads

    @property
    def members(self) -> tuple[dict[str, Array], ...]:
        """The weights of each member, to train on from."""
        return self._members

    @classmethod
    def load(cls, path: Path) -> Encoder:
        """Read a model file. Raises ``ModelError`` if it is missing, damaged or has other labels."""
        if not path.is_file():
            raise ModelError(f"no understanding model at {path}: train one with `python -m sentiment.training`")
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
                arrays = {name: data[name] for name in data.files}
            members, layers, heads = (int(n) for n in arrays["shape"])
            labels = [str(label) for label in arrays["labels"]]
            concepts = tuple(str(name) for name in arrays["concepts"])
            tokenizer = Tokenizer([str(p) for p in arrays["pieces"]], [str(s) for s in arrays["sounds"]])
            weights = [unpacked(arrays, f"m{i}.") for i in range(members)]
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as e:
            raise ModelError(f"the understanding model {path} is damaged: {' '.join(str(e).split())}") from e
        if labels != [*INTENTS, *EMOTIONS] or concepts != concept_names():
            raise ModelError(f"the understanding model {path} was made for another label set or lexicon")
        model = cls(tokenizer, weights, layers, heads)
        try:
            model.logits([tokenizer.encode("hello", "en"), tokenizer.encode("你好", "zh")])
        except (KeyError, ValueError, IndexError) as e:
            raise ModelError(f"the understanding model {path} is damaged: its arrays do not fit together") from e
        return model

    def logits(self, batch: Sequence[Encoded]) -> list[Logits]:
        """Raw scores of several utterances at once, the mean over the members."""
        length = max(len(e.pieces) for e in batch)
        pieces, sounds = (np.zeros((len(batch), length), dtype=np.int64) for _ in range(2))
        concepts = np.zeros((len(batch), length, batch[0].concepts.shape[1]), dtype=np.float32)
        mask = np.zeros((len(batch), length), dtype=bool)
        for i, e in enumerate(batch):
            n = len(e.pieces)
            pieces[i, :n], sounds[i, :n], concepts[i, :n], mask[i, :n] = e.pieces, e.sounds, e.concepts, True
        asked = np.array([e.asked for e in batch])
        lang = np.array([e.lang for e in batch])
        total = np.mean(
            [
                self._run(m, t, pieces, sounds, concepts, asked, lang, mask)
                for m, t in zip(self._members, self._turned, strict=True)
            ],
            axis=0,
        )
        n = len(INTENTS)
        return [Logits(row[:n], row[n : 2 * n], row[2 * n :]) for row in total.astype(np.float32)]

    def _run(
        self,
        w: dict[str, Array],
        turned: dict[str, Array],
        pieces: NDArray[np.int64],
        sounds: NDArray[np.int64],
        concepts: Array,
        asked: NDArray[np.int64],
        lang: NDArray[np.int64],
        mask: NDArray[np.bool_],
    ) -> Array:
        x = w["piece"][pieces] + w["sound"][sounds] + _times(concepts, w["concept"])
        x[:, 0] += w["asked"][asked]
        x += w["embeddings.position_embeddings.weight"][: x.shape[1]]
        x += w["embeddings.token_type_embeddings.weight"][lang][:, None]
        x = _norm(x, w["embeddings.LayerNorm.weight"], w["embeddings.LayerNorm.bias"])
        hidden = np.where(mask[:, None, None, :], np.float32(0), np.float32(-1e9))
        for i in range(self._layers):
            x = self._layer(w, turned, f"encoder.layer.{i}.", x, hidden)
        shown = mask[..., None]
        mean = (x * shown).sum(axis=1) / shown.sum(axis=1)
        top = np.where(shown, x, np.float32(-1e9)).max(axis=1)
        read = np.concatenate([x[:, 0], mean, top], axis=1)
        out: Array = _times(read, turned["head.weight"]) + w["head.bias"]
        return out

    def _layer(self, w: dict[str, Array], turned: dict[str, Array], name: str, x: Array, hidden: Array) -> Array:
        def linear(part: str, value: Array) -> Array:
            out: Array = _times(value, turned[f"{name}{part}.weight"]) + w[f"{name}{part}.bias"]
            return out

        rows, n, width = x.shape
        size = width // self._heads

        def split(value: Array) -> Array:
            return value.reshape(rows, n, self._heads, size).transpose(0, 2, 1, 3)

        query, key, value = (split(linear(f"attention.self.{part}", x)) for part in ("query", "key", "value"))
        attention = _softmax(query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(size)) + hidden)
        seen = (attention @ value).transpose(0, 2, 1, 3).reshape(rows, n, width)
        after = f"{name}attention.output"
        x = _norm(
            x + linear("attention.output.dense", seen), w[f"{after}.LayerNorm.weight"], w[f"{after}.LayerNorm.bias"]
        )
        inner = linear("output.dense", _gelu(linear("intermediate.dense", x)))
        return _norm(x + inner, w[f"{name}output.LayerNorm.weight"], w[f"{name}output.LayerNorm.bias"])


def pack(weights: dict[str, Array]) -> dict[str, NDArray[np.int8] | NDArray[np.float16] | Array]:
    """Matrices as int8 with one float16 scale a column; vectors as they are."""
    out: dict[str, NDArray[np.int8] | NDArray[np.float16] | Array] = {}
    for name, value in weights.items():
        if value.ndim != 2:
            out[name] = value.astype(np.float32)
            continue
        scale = np.maximum(np.abs(value).max(axis=0) / 127, 1e-6).astype(np.float16)
        out[name] = np.clip(np.round(value / scale.astype(np.float32)), -127, 127).astype(np.int8)
        out[f"{name}:scale"] = scale
    return out


def unpacked(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, Array]:
    """The reverse of ``pack``, for the arrays whose names start with ``prefix``."""
    out: dict[str, Array] = {}
    for name, value in arrays.items():
        if not name.startswith(prefix) or name.endswith(":scale"):
            continue
        scale = arrays.get(f"{name}:scale")
        full = value.astype(np.float32)
        out[name.removeprefix(prefix)] = full if scale is None else full * scale.astype(np.float32)
    return out
