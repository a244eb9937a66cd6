"""Writing a semantic model: one ``.npz``, matrices as int8 with a scale a row, the rest as float16."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from compliance_checks.semantic.load import FORMAT
from compliance_checks.semantic.network import Array


def quantised(weights: Mapping[str, Array]) -> dict[str, Any]:
    """Arrays to store: every matrix of 64 rows or more as int8 with a float16 scale a row, all else as float16."""
    stored: dict[str, Any] = {}
    for name, value in weights.items():
        if value.ndim == 2 and len(value) >= 64:
            scale = np.maximum(np.abs(value).max(axis=1, keepdims=True) / 127.0, 1e-7).astype(np.float16)
            scale = np.maximum(scale, np.float16(1e-6))
            stored[name] = np.clip(np.rint(value / scale.astype(np.float32)), -127, 127).astype(np.int8)
            stored[name + "|scale"] = scale
        else:
            stored[name] = value.astype(np.float16)
    return stored


def write(path: Path, weights: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
    """One file that :func:`compliance_checks.semantic.load.read_npz` reads."""
    whole = {"format": FORMAT, **meta, "arrays": sorted(weights)}
    text = json.dumps(whole, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8")
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, meta=np.frombuffer(text, np.uint8), **quantised(weights))
