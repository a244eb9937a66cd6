"""Weights on disk: matrices of 64 rows or more as int8 with one float16 scale a row, all else as float16."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from sentence_encoder.network import Array

SCALE: Final = "|scale"
_ROWS: Final = 64


def packed(weights: Mapping[str, Array]) -> dict[str, Any]:
    """The arrays to keep, by name; the scale of ``name`` is ``name|scale``."""
    stored: dict[str, Any] = {}
    for name, value in weights.items():
        if value.ndim == 2 and len(value) >= _ROWS:
            scale = np.maximum(np.abs(value).max(axis=1, keepdims=True) / 127.0, 1e-6).astype(np.float16)
            scale = np.maximum(scale, np.float16(1e-6))
            stored[name] = np.clip(np.rint(value / scale.astype(np.float32)), -127, 127).astype(np.int8)
            stored[name + SCALE] = scale
        else:
            stored[name] = value.astype(np.float16)
    return stored


def unpacked(stored: Mapping[str, Any], name: str) -> Array:
    """The weights ``name`` of what :func:`packed` made, as float32. ``KeyError`` if they are not there."""
    value = stored[name]
    if value.dtype == np.int8:
        return np.asarray(value.astype(np.float32) * stored[name + SCALE].astype(np.float32), np.float32)
    return np.asarray(value, np.float32)
