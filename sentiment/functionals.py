"""An utterance's sound as one vector: statistics over its speech frames of what a telephone leaves of a voice.

Low-level descriptors a 10 ms frame at 8 kHz, in the manner of eGeMAPS (Eyben et al., 2016): level, 24 log-mel bands
(200–3600 Hz), 12 cepstral coefficients with their first differences, f0 and its strength (autocorrelation),
spectral centroid, slope, flux and the balance of high to low band. Functionals: mean, spread, 10th, 50th and 90th
percentile and slope over time; and for the whole: speech rate, share of speech, share voiced, length and number of
voiced stretches, the cepstra of voiced frames, and how fast the level moves (its spectrum up to 5 Hz).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE = 8000
FRAME, HOP = 256, 80  # 32 ms, 10 ms
_BANDS, _CEPSTRA = 24, 12
_LOW, _HIGH = 200.0, 3600.0
_F0_LOW, _F0_HIGH = 70.0, 450.0
_VOICED = 0.45
_PER_TRACK = 6

Array = NDArray[np.float32]


def _mel(hertz: float | NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    out: NDArray[np.float64] = np.asarray(2595 * np.log10(1 + np.asarray(hertz) / 700))
    return out


@lru_cache(maxsize=1)
def _filters() -> tuple[Array, Array, Array]:
    """Mel filters (bins, bands), cosine transform (bands, cepstra), bin frequencies."""
    frequency = np.fft.rfftfreq(FRAME, 1 / RATE)
    edges = np.linspace(_mel(_LOW), _mel(_HIGH), _BANDS + 2)
    at = _mel(frequency)
    bank = np.zeros((len(frequency), _BANDS))
    for i in range(_BANDS):
        low, mid, high = edges[i : i + 3]
        bank[:, i] = np.clip(np.minimum((at - low) / (mid - low), (high - at) / (high - mid)), 0, None)
    n = np.arange(_BANDS)
    cosine = np.cos(np.pi / _BANDS * (n[:, None] + 0.5) * np.arange(1, _CEPSTRA + 1))
    return bank.astype(np.float32), cosine.astype(np.float32), frequency.astype(np.float32)


def frames_of(samples: Array) -> Array:
    """Overlapping frames, shape (n, FRAME); at least one frame's samples are needed."""
    return np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP]


def pitch_track(frames: Array) -> tuple[Array, Array]:
    """f0 in semitones over 100 Hz and the height of its autocorrelation peak, a frame each (after Boersma, 1993)."""
    hann = np.hanning(FRAME).astype(np.float32)
    windowed = (frames - frames.mean(axis=1, keepdims=True)) * hann
    power = np.abs(np.fft.rfft(windowed, 2 * FRAME, axis=1)) ** 2
    auto = np.fft.irfft(power, axis=1)[:, :FRAME]
    window = np.fft.irfft(np.abs(np.fft.rfft(hann, 2 * FRAME)) ** 2)[:FRAME]
    low, high = int(RATE / _F0_HIGH), int(RATE / _F0_LOW)
    norm = auto[:, low : high + 1] / np.maximum(auto[:, :1], 1e-12) / (window[low : high + 1] / window[0])
    best = norm.argmax(axis=1)
    peak = norm[np.arange(len(norm)), best]
    inner = np.clip(best, 1, norm.shape[1] - 2)
    a, b, c = (norm[np.arange(len(norm)), inner + k] for k in (-1, 0, 1))
    shift = np.where(best == inner, 0.5 * (a - c) / np.minimum(a - 2 * b + c, -1e-9), 0.0)
    semitones = 12 * np.log2(RATE / (best + low + np.clip(shift, -0.5, 0.5)) / 100.0)
    return semitones.astype(np.float32), peak.astype(np.float32)


def levels(frames: Array) -> Array:
    """Level a frame in dB full scale."""
    out: Array = (10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-10)).astype(np.float32)
    return out


def speech_mask(level: Array) -> NDArray[np.bool_]:
    """Frames that hold speech: above the floor of the clip, and not far below its loud parts."""
    floor, loud = float(np.percentile(level, 10)), float(np.percentile(level, 95))
    out: NDArray[np.bool_] = level > max(min(floor + 8.0, loud - 6.0), loud - 30.0, -65.0)
    return out


def syllables(level: Array, speech: NDArray[np.bool_]) -> int:
    """Peaks of the smoothed energy envelope that stand 2 dB above the dips around them."""
    smooth = np.convolve(level, np.hanning(9) / np.hanning(9).sum(), mode="same")
    count, low, rising, top = 0, smooth[0], True, smooth[0]
    for value, active in zip(smooth.tolist(), speech.tolist(), strict=True):
        if rising:
            top = max(top, value)
            if value < top - 2.0:
                rising, low = False, value
        else:
            low = min(low, value)
            if value > low + 2.0 and active:
                rising, top = True, value
                count += 1
    return count


def _statistics(tracks: Array) -> Array:
    """Shape (statistics,) of tracks (n, tracks): ``_PER_TRACK`` each."""
    n = len(tracks)
    time = np.linspace(-1, 1, n, dtype=np.float32)[:, None] if n > 1 else np.zeros((n, 1), np.float32)
    mean = tracks.mean(axis=0)
    slope = (time * (tracks - mean)).sum(axis=0) / max(float((time**2).sum()), 1e-6)
    low, half, high = np.percentile(tracks, (10, 50, 90), axis=0)
    out: Array = np.concatenate([mean, tracks.std(axis=0), low, half, high, slope]).astype(np.float32)
    return out


def functionals(frames: Array, level: Array, speech: NDArray[np.bool_], pitch: Array, strength: Array) -> Array:
    """The vector, shape ``(SIZE,)``: never NaN. ``speech`` must hold at least one frame."""
    bank, cosine, frequency = _filters()
    active = frames[speech]
    power = np.abs(np.fft.rfft(active * np.hanning(FRAME).astype(np.float32), axis=1)).astype(np.float32) ** 2
    mel = np.log(power @ bank + 1e-9)
    cepstra = mel @ cosine
    difference = np.gradient(cepstra, axis=0) if len(cepstra) > 1 else np.zeros_like(cepstra)
    total = power.sum(axis=1) + 1e-9
    centroid = (power @ frequency) / total / 1000
    low = (power[:, (frequency > 200) & (frequency < 1000)]).sum(axis=1)
    high = (power[:, frequency >= 1000]).sum(axis=1)
    balance = np.log((high + 1e-9) / (low + 1e-9))
    slope = (mel * np.linspace(-1, 1, _BANDS, dtype=np.float32)).mean(axis=1)
    shape = mel - mel.mean(axis=1, keepdims=True)
    flux = np.abs(np.diff(shape, axis=0, prepend=shape[:1])).mean(axis=1)
    loud = level[speech]
    rise = np.gradient(loud) if len(loud) > 1 else np.zeros_like(loud)
    voiced = strength[speech] > _VOICED
    f0 = pitch[speech][voiced] if voiced.sum() > 5 else np.zeros(6, np.float32)
    move = np.abs(np.gradient(f0)) if len(f0) > 1 else f0
    sung = np.column_stack([cepstra, balance, slope, loud])[voiced] if voiced.sum() > 5 else np.zeros((1, _CEPSTRA + 3))
    envelope = np.abs(np.fft.rfft(loud - loud.mean(), 512))[2:27:3] / np.sqrt(len(loud))
    tracks = np.column_stack([loud, rise, strength[speech], centroid, balance, slope, flux, shape, cepstra, difference])
    edges = np.flatnonzero(np.diff(np.concatenate([[0], voiced.astype(np.int8), [0]])))
    runs = (edges[1::2] - edges[::2]) if len(edges) else np.zeros(1)
    seconds = len(active) * HOP / RATE
    whole = [
        syllables(level, speech) / seconds, float(speech.mean()), float(voiced.mean()), float(runs.mean()) / 10,
        float(runs.std()) / 10, len(runs) / seconds, float(np.log(seconds)),
    ]  # fmt: skip
    out: Array = np.concatenate(
        [
            _statistics(tracks.astype(np.float32)),
            _statistics(np.column_stack([f0, move]).astype(np.float32)),
            sung.mean(axis=0),
            sung.std(axis=0),
            np.log(envelope + 0.1),
            whole,
        ]
    ).astype(np.float32)
    return out


SIZE = _PER_TRACK * (7 + _BANDS + 2 * _CEPSTRA + 2) + 2 * (_CEPSTRA + 3) + 9 + 7
