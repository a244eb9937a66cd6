"""What a voice is like, as 256 numbers: the GE2E speaker encoder (Wan et al. 2018), in NumPy alone.

Weights and their history: ``asr/models/voice-embedding-ge2e``. Three LSTM layers read mel energies; the last state,
rectified and of length one, is the voice. Two stretches of one speaker point the same way.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from audio.g711 import Floats

RATE = 16000
HOP = 160
BANDS = 40
SIZE = 256
WEIGHTS = Path(__file__).parents[1] / "models" / "voice-embedding-ge2e" / "weights.npz"
_FRAME = 400
_LEVEL_DB = -30.0
_LAYERS = 3
_BATCH = 256

Array = NDArray[np.float32]


class VoiceEmbedder:
    """The encoder. ``weights``: ``ih``, ``hh`` and ``bias`` of each layer (gates in, forget, cell, out), then the
    projection."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self._layers = [
            (weights[f"ih{i}"].T.copy(), weights[f"hh{i}"].T.copy(), weights[f"bias{i}"]) for i in range(_LAYERS)
        ]
        self._out, self._out_bias = weights["out"].T.copy(), weights["out_bias"]

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> VoiceEmbedder:
        with np.load(path) as stored:
            return cls({name: stored[name].astype(np.float32) for name in stored.files})

    def embed(self, windows: list[Array]) -> Array:
        """Voices [n, SIZE], each of length one, of ``windows`` [frames, BANDS] of any lengths."""
        found = np.zeros((len(windows), SIZE), np.float32)
        order = sorted(range(len(windows)), key=lambda i: len(windows[i]))
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            found[batch] = self._batch([windows[i] for i in batch])
        return found

    def _batch(self, windows: list[Array]) -> Array:
        """Windows in order of length: the shorter ones leave the batch as they end."""
        lengths = np.array([len(w) for w in windows])
        steps = int(lengths.max())
        inputs = np.zeros((steps, len(windows), BANDS), np.float32)
        for i, window in enumerate(windows):
            inputs[: len(window), i] = window
        for ih, hh, bias in self._layers:
            inputs = _lstm(inputs, lengths, ih, hh, bias)
        raw = np.maximum(inputs[lengths - 1, np.arange(len(windows))] @ self._out + self._out_bias, 0.0)
        out: Array = raw / np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), 1e-9)
        return out


def _lstm(inputs: Array, lengths: NDArray[np.int64], ih: Array, hh: Array, bias: Array) -> Array:
    """States [steps, batch, SIZE] of one layer over ``inputs`` [steps, batch, n]; zero after a window's end."""
    steps, count, _ = inputs.shape
    projected = inputs @ ih + bias
    states = np.zeros((steps, count, SIZE), np.float32)
    hidden, cell = np.zeros((count, SIZE), np.float32), np.zeros((count, SIZE), np.float32)
    for step in range(steps):
        first = int(np.searchsorted(lengths, step, side="right"))  # whose windows have ended come first
        gates = projected[step, first:] + hidden[first:] @ hh
        enter, forget, out = (_sigmoid(gates[:, i * SIZE : (i + 1) * SIZE]) for i in (0, 1, 3))
        cell[first:] = forget * cell[first:] + enter * np.tanh(gates[:, 2 * SIZE : 3 * SIZE])
        hidden[first:] = out * np.tanh(cell[first:])
        states[step, first:] = hidden[first:]
    return states


def _sigmoid(x: Array) -> Array:
    out: Array = 0.5 * (np.tanh(0.5 * x) + 1.0)
    return out


def mel_energies(samples: Floats) -> Array:
    """Energies [frames, BANDS] of mel bands up to 8 kHz, every 10 ms of ``samples`` at 16 kHz, as the encoder was
    trained on them (not logarithmic; windows of 25 ms around each frame; quiet sound is raised to -30 dB)."""
    count = len(samples) // HOP + 1
    level = 10 * math.log10(float(np.mean(np.square(samples, dtype=np.float64))) + 1e-12) if len(samples) else 0.0
    gain = 10 ** (max(0.0, _LEVEL_DB - level) / 20)
    padded = np.pad(samples * np.float32(gain), (_FRAME // 2, _FRAME // 2)).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME)[::HOP][:count]
    out: Array = (np.abs(np.fft.rfft(frames * _window(), axis=1)) ** 2 @ _bank()).astype(np.float32)
    return out


@cache
def _window() -> Array:
    return np.hanning(_FRAME + 1)[:-1].astype(np.float32)


@cache
def _bank() -> Array:
    """Slaney's mel filters (Auditory Toolbox, 1998), of equal area, [bins, BANDS]."""
    edges = _hertz(np.linspace(0.0, _mel(RATE / 2), BANDS + 2))
    bins = np.fft.rfftfreq(_FRAME, 1 / RATE)[:, None]
    rise = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    out: Array = (np.maximum(0.0, np.minimum(rise, fall)) * 2.0 / (edges[2:] - edges[:-2])).astype(np.float32)
    return out


def _mel(hertz: float) -> float:
    """Linear below 1 kHz, logarithmic above."""
    return hertz * 3 / 200 if hertz < 1000 else 15 + math.log(hertz / 1000) * 27 / math.log(6.4)


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * math.log(6.4) / 27))
    return out
