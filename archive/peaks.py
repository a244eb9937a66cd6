"""A recording's waveform, small enough to draw: computed once, when the call is sealed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from archive.covering import TONE_PEAK, Stretch
from archive.wav import CHANNELS, RATE

BIN_FRAMES = RATE // 20
"""Frames a bin: 50 ms. An hour is 72,000 bins a channel, 288 kB."""


@dataclass(frozen=True, slots=True)
class Waveform:
    """``values``: int8 (bins, 2 channels, 2), the lowest and the highest sample of each bin, -127…127."""

    bin_frames: int
    values: NDArray[np.int8]

    @property
    def data(self) -> bytes:
        return self.values.tobytes()

    @staticmethod
    def of(bin_frames: int, data: bytes) -> Waveform:
        """From what the database keeps."""
        return Waveform(bin_frames, np.frombuffer(data, np.int8).reshape(-1, CHANNELS, 2))

    def covered(self, stretches: Sequence[Stretch]) -> Waveform:
        """With the tone where the recording has it: an outline tells how many digits were said."""
        if not stretches:
            return self
        values = self.values.copy()
        peak = round(TONE_PEAK / 32767 * 127)
        for each in stretches:
            first, last = int(each.start * RATE) // self.bin_frames, int(each.end * RATE) // self.bin_frames
            values[first : last + 1, each.channel] = (-peak, peak)
        return Waveform(self.bin_frames, values)

    def drawn(self, bins: int) -> list[list[float]]:
        """Per channel at most ``bins`` pairs low, high, low, high …, in [-1, 1]: what wavesurfer takes as peaks."""
        if len(self.values) == 0 or bins < 1:
            return [[] for _ in range(CHANNELS)]
        values = self.values
        if len(values) > bins:
            edges = np.linspace(0, len(values), bins, endpoint=False).astype(int)
            low = np.minimum.reduceat(values[..., 0], edges)
            high = np.maximum.reduceat(values[..., 1], edges)
            values = np.stack([low, high], axis=-1)
        scaled = np.round(values.astype(np.float64) / 127, 3)
        return [scaled[:, channel].ravel().tolist() for channel in range(CHANNELS)]


def waveform(sound: Iterable[bytes]) -> Waveform:
    """The waveform of 16-bit little-endian frames, given in pieces of any length."""
    bins: list[NDArray[np.int8]] = []
    rest = np.zeros((0, CHANNELS), np.int16)
    for piece in sound:
        frames = np.concatenate([rest, np.frombuffer(piece, "<i2").reshape(-1, CHANNELS)])
        whole = len(frames) // BIN_FRAMES * BIN_FRAMES
        if whole:
            bins.append(_extremes(frames[:whole].reshape(-1, BIN_FRAMES, CHANNELS)))
        rest = frames[whole:]
    if len(rest):
        bins.append(_extremes(rest[np.newaxis]))
    return Waveform(BIN_FRAMES, np.concatenate(bins) if bins else np.zeros((0, CHANNELS, 2), np.int8))


def _extremes(blocks: NDArray[np.int16]) -> NDArray[np.int8]:
    """(bins, frames, channels) to (bins, channels, 2)."""
    both = np.stack([blocks.min(axis=1), blocks.max(axis=1)], axis=-1).astype(np.float32)
    return np.clip(np.round(both / 32767 * 127), -127, 127).astype(np.int8)
