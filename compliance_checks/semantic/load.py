"""Reading a semantic model from where it lies: the shipped file, another ``.npz``, or a transformers model."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any, Final

import numpy as np

from agent.events import Lang
from compliance_checks.semantic.linear import Linear
from compliance_checks.semantic.model import SemanticError, SemanticModel
from compliance_checks.semantic.network import Array, Network, Transformer
from compliance_checks.semantic.tokens import Tokenizer

EMBEDDED: Final = Path(__file__).parent / "model" / "semantic.npz"
FORMAT: Final = 1
# What a damaged archive, its description or its arrays raise while they are read.
_BROKEN: Final = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
)
_LANGS: Final[tuple[Lang, ...]] = ("zh", "en")


def load_model(source: str | Path = "embedded", threshold: float | None = None) -> SemanticModel:
    """The model at ``source``: ``"embedded"``, a ``.npz`` file, or a transformers text classifier's name or folder.

    ``threshold`` replaces the model's own. Raises :class:`SemanticError` in one line if there is none or it is broken.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise SemanticError(f"a threshold must lie in (0, 1], not {threshold}")
    if source == "embedded":
        return read_npz(EMBEDDED, threshold)
    if str(source).endswith(".npz"):
        return read_npz(Path(source), threshold)
    from compliance_checks.semantic.hub import TransformersModel

    return TransformersModel(str(source), threshold)


def read_npz(path: Path, threshold: float | None = None) -> SemanticModel:
    """A model that :mod:`compliance_checks.semantic.train` wrote. Raises :class:`SemanticError`."""
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as stored:
            meta = json.loads(bytes(stored["meta"]).decode("utf-8"))
            arrays = {name: _float(stored, name) for name in meta["arrays"]}
        return _build(meta, arrays, threshold, hashlib.sha256(content).hexdigest())
    except FileNotFoundError as error:
        raise SemanticError(f"{path}: there is no semantic model") from error
    except _BROKEN as error:
        raise SemanticError(f"{path}: not a semantic model: {error}") from error


def _float(stored: Any, name: str) -> Array:
    """Weights are kept as int8 with one scale a row, or as float16."""
    value = stored[name]
    if value.dtype == np.int8:
        return np.asarray(value.astype(np.float32) * stored[name + "|scale"].astype(np.float32), np.float32)
    return np.asarray(value, np.float32)


def _build(meta: dict[str, Any], arrays: dict[str, Array], threshold: float | None, fingerprint: str) -> SemanticModel:
    if meta["format"] != FORMAT:
        raise ValueError(f"format {meta['format']}, not {FORMAT}")
    chosen: dict[Lang, float] = {lang: threshold or float(meta["threshold"][lang]) for lang in _LANGS}
    if not all(0 < value <= 1 for value in chosen.values()):
        raise ValueError(f"threshold {chosen}")
    scale: dict[Lang, tuple[float, float]] = {
        lang: (float(meta["scale"][lang][0]), float(meta["scale"][lang][1])) for lang in _LANGS
    }
    categories = [str(category) for category in meta["categories"]]
    name = str(meta["name"])
    if meta["kind"] == "linear":
        return Linear(name, arrays["weights"], arrays["bias"], categories, chosen, scale, fingerprint)
    if meta["kind"] != "transformer":
        raise ValueError(f"kind {meta['kind']!r}")
    tokenizer = Tokenizer(meta["pieces"], meta["sounds"])
    if arrays["head.bias"].shape != (len(categories) + 1,) or len(arrays["tokens"]) != len(tokenizer.pieces):
        raise ValueError("the vocabulary or the categories do not fit the weights")
    network = Network(arrays, int(meta["heads"]), int(meta["layers"]))
    return Transformer(name, tokenizer, network, categories, chosen, scale, fingerprint)
