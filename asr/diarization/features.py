"""What the diarizer hears: log-mel bands of 8 kHz sound, every 10 ms."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from audio.g711 import Floats

RATE = 8000
HOP = 80
BANDS = 30
_FRAME, _SIZE = 200, 256
_LOW, _HIGH = 150.0, 3700.0


def log_mel(samples: Floats) -> NDArray[np.float32]:
    """Log energies of ``BANDS`` mel bands (150–3700 Hz), shape ``[frames, BANDS]``: one row for each 10 ms of
    ``samples`` at 8 kHz, from windows of 25 ms around it."""
    padded = np.pad(samples, (_FRAME // 2, _FRAME // 2 + HOP)).astype(np.float32)
    padded[1:] -= np.float32(0.97) * padded[:-1]
    count = len(samples) // HOP
    if count == 0:
        return np.zeros((0, BANDS), np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::HOP][:count]
    power = np.abs(np.fft.rfft(frames * _window(), _SIZE, axis=1)) ** 2
    out: NDArray[np.float32] = np.log(power @ _bank() + 1e-7).astype(np.float32)
    return out


@cache
def _window() -> NDArray[np.float32]:
    return np.hamming(_FRAME).astype(np.float32)


@cache
def _bank() -> NDArray[np.float32]:
    """Triangles of equal width on the mel scale (O'Shaughnessy 1987), shape ``[bins, BANDS]``."""

    low, high = (2595.0 * math.log10(1.0 + hertz / 700.0) for hertz in (_LOW, _HIGH))
    edges = 700.0 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595.0) - 1.0)
    bins = np.fft.rfftfreq(_SIZE, 1 / RATE)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bank: NDArray[np.float32] = np.maximum(0.0, np.minimum(rise, fall)).astype(np.float32)
    return bank
