"""How a voice sounds: a few functionals of telephone speech, measured against the same caller's running baseline.

Loudness, pitch (autocorrelation after Boersma, 1993, without his interpolation) and syllable rate (peaks of the
energy envelope) rise with arousal in nearly every study since Scherer (2003); how much differs by speaker, so an
absolute reading is weak. Without a baseline the confidence therefore stays at 0.15. Valence is not read from the
voice at all: on telephone speech it is close to chance.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio.telephone import resample

RATE = 8000
MIN_SPEECH = 1.0
"""Seconds of speech below which nothing is read."""
_FRAME, _HOP = 256, 80  # 32 ms, 10 ms at 8 kHz
_F0_LOW, _F0_HIGH = 70.0, 400.0
_VOICED = 0.45
# Typical spread of each functional between utterances of one speaker: dB, semitones, semitones, syllables a second.
_SPREAD = (4.0, 2.5, 1.2, 1.0)
_TYPICAL_RANGE, _TYPICAL_RATE = 2.5, 4.5
_WEIGHT = (0.35, 0.3, 0.15, 0.2)


@dataclass(frozen=True, slots=True)
class VoiceReading:
    """Functionals of one utterance.

    ``energy`` mean speech level in dB full scale; ``pitch`` median f0 in semitones over 100 Hz, ``pitch_range`` its
    interquartile range in semitones (both NaN if too little is voiced); ``rate`` syllable peaks a second; ``speech``
    seconds of speech; ``arousal`` in [-1, 1]; ``confidence`` in [0, 0.6].
    """

    energy: float
    pitch: float
    pitch_range: float
    rate: float
    speech: float
    arousal: float
    confidence: float


@dataclass(frozen=True, slots=True)
class VoiceBaseline:
    """Running means of a caller's functionals over ``n`` utterances. Start with ``VoiceBaseline()``."""

    n: int = 0
    energy: float = 0.0
    pitch: float = math.nan
    pitch_range: float = math.nan
    rate: float = 0.0

    def updated(self, reading: VoiceReading) -> VoiceBaseline:
        """The baseline with one more utterance; old ones fade so that about eight count."""
        share = 1 / min(self.n + 1, 8)

        def mean(old: float, new: float) -> float:
            if math.isnan(new):
                return old
            return new if self.n == 0 or math.isnan(old) else old + share * (new - old)

        return VoiceBaseline(
            self.n + 1,
            mean(self.energy, reading.energy),
            mean(self.pitch, reading.pitch),
            mean(self.pitch_range, reading.pitch_range),
            mean(self.rate, reading.rate),
        )


def _frames(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    n = 1 + (len(samples) - _FRAME) // _HOP
    view = np.lib.stride_tricks.sliding_window_view(samples, _FRAME)[::_HOP]
    return view[:n]


def _pitch(frames: NDArray[np.float32]) -> tuple[float, float]:
    """Median f0 and interquartile range over voiced frames, in semitones over 100 Hz; NaN if under 20 frames are."""
    windowed = (frames - frames.mean(axis=1, keepdims=True)) * np.hanning(_FRAME).astype(np.float32)
    power = np.abs(np.fft.rfft(windowed, 2 * _FRAME, axis=1)) ** 2
    auto = np.fft.irfft(power, axis=1)[:, :_FRAME]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(_FRAME), 2 * _FRAME)) ** 2)[:_FRAME]
    low, high = int(RATE / _F0_HIGH), int(RATE / _F0_LOW)
    norm = auto[:, low : high + 1] / np.maximum(auto[:, :1], 1e-12) / (window[low : high + 1] / window[0])
    best = norm.argmax(axis=1)
    peak = norm[np.arange(len(norm)), best]
    voiced = best[peak > _VOICED] + low
    if len(voiced) < 20:
        return math.nan, math.nan
    semitones = 12 * np.log2(RATE / voiced / 100.0)
    quarter, half, three = np.percentile(semitones, (25, 50, 75))
    return float(half), float(three - quarter)


def _syllables(level: NDArray[np.float64], speech: NDArray[np.bool_]) -> int:
    """Peaks of the smoothed energy envelope that stand 2 dB above the dips around them."""
    smooth = np.convolve(level, np.hanning(9) / np.hanning(9).sum(), mode="same")
    count, low, rising, top = 0, smooth[0], True, smooth[0]
    for value, active in zip(smooth, speech, strict=True):
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


def read_voice(
    samples: NDArray[np.float32], rate: int = RATE, baseline: VoiceBaseline | None = None
) -> VoiceReading | None:
    """Read one utterance of mono float samples in [-1, 1] at ``rate`` Hz; ``None`` under 1 s of speech."""
    if len(samples) < rate * MIN_SPEECH or not np.isfinite(samples).all():
        return None
    samples = resample(samples, rate, RATE)
    frames = _frames(samples)
    level = 10 * np.log10(np.mean(frames.astype(np.float64) ** 2, axis=1) + 1e-10)
    floor = float(np.percentile(level, 10))
    loud = float(np.percentile(level, 95))
    speech = level > max(min(floor + 8.0, loud - 6.0), loud - 30.0, -65.0)
    seconds = float(speech.sum()) * _HOP / RATE
    if seconds < MIN_SPEECH:
        return None
    energy = float(level[speech].mean())
    pitch, pitch_range = _pitch(frames[speech])
    syllables = _syllables(level, speech) / seconds
    arousal, confidence = _arousal(energy, pitch, pitch_range, syllables, baseline)
    confidence *= min(1.0, 0.5 + seconds / 6.0)
    return VoiceReading(energy, pitch, pitch_range, syllables, seconds, arousal, confidence)


def _arousal(
    energy: float, pitch: float, pitch_range: float, rate: float, baseline: VoiceBaseline | None
) -> tuple[float, float]:
    if baseline is None or baseline.n == 0:
        # The line's gain and the speaker's own pitch are unknown: only liveliness and pace can be judged.
        parts = [((rate - _TYPICAL_RATE) / (2 * _SPREAD[3]), 1.0)]
        if not math.isnan(pitch_range):
            parts.append(((pitch_range - _TYPICAL_RANGE) / (2 * _SPREAD[2]), 1.0))
        confidence = 0.15
    else:
        now = (energy, pitch, pitch_range, rate)
        usual = (baseline.energy, baseline.pitch, baseline.pitch_range, baseline.rate)
        parts = [
            ((a - b) / (2 * spread), weight)
            for a, b, spread, weight in zip(now, usual, _SPREAD, _WEIGHT, strict=True)
            if not (math.isnan(a) or math.isnan(b))
        ]
        confidence = min(0.6, 0.25 + 0.07 * baseline.n)
    z = sum(value * weight for value, weight in parts) / sum(weight for _, weight in parts)
    return math.tanh(z), confidence
