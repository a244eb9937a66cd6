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
from compliance_checks.semantic.embedded import Embedded
from compliance_checks.semantic.english import English
from compliance_checks.semantic.linear import Linear
from compliance_checks.semantic.meaning import Meaning
from compliance_checks.semantic.model import Array, SemanticError, SemanticModel
from sentence_encoder import multilingual
from sentence_encoder.pieces import Pieces
from sentence_encoder.store import unpacked

EMBEDDED: Final = Path(__file__).parent / "model" / "semantic.npz"
FORMAT: Final = 3
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
MEANING: Final = "meaning."
"""Begins the names of the weights of the head on the multilingual encoder."""
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
            arrays = {name: unpacked(stored, name) for name in meta["arrays"]}
        return _build(meta, arrays, threshold, fingerprint_of(content))
    except FileNotFoundError as error:
        raise SemanticError(f"{path}: there is no semantic model") from error
    except _BROKEN as error:
        raise SemanticError(f"{path}: not a semantic model: {error}") from error


def fingerprint_of(content: bytes) -> str:
    """What a model read from ``content`` calls itself in a policy's hash: it and the encoder that it may lean on."""
    return hashlib.sha256(content + multilingual.fingerprint().encode()).hexdigest()


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
    if len(arrays["linear.bias"]) != len(categories) + 1:
        raise ValueError("the categories do not fit the weights")
    share = float(meta["share"])
    if not 0 <= share <= 1:
        raise ValueError(f"share {share}")
    meant: dict[Lang, float] = {lang: float(meta["meaning"][lang]) for lang in _LANGS}
    if not all(0 <= value <= 1 for value in meant.values()):
        raise ValueError(f"share {meant}")
    meaning = None
    if any(meant.values()):
        head = {name.removeprefix(MEANING): value for name, value in arrays.items() if name.startswith(MEANING)}
        meaning = Meaning(multilingual.shipped(), head, len(categories) + 1)
    english = None
    if share:
        pieces = Pieces(meta["pieces"], meta["piece_scores"])
        english = English(pieces, arrays, len(categories) + 1)
    linear = Linear(arrays["linear.weights"], arrays["linear.bias"])
    return Embedded(str(meta["name"]), linear, english, share, meaning, meant, categories, chosen, scale, fingerprint)
