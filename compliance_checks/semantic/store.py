"""Writing a semantic model: one ``.npz`` of packed weights and a description."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compliance_checks.semantic.load import FORMAT
from compliance_checks.semantic.model import Array
from sentence_encoder.store import packed


def write(path: Path, weights: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
    """One file that :func:`compliance_checks.semantic.load.read_npz` reads."""
    whole = {"format": FORMAT, **meta, "arrays": sorted(weights)}
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, meta=np.frombuffer(text, np.uint8), **packed(weights))
