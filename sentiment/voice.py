"""How a voice sounds on the telephone, measured against the same caller's past turns.

What ships is a rule, not a trained model: loudness, pitch, pitch range and syllable rate rise with arousal in nearly
every study since Scherer (2003); how much differs by speaker, so without a past turn the confidence stays at 0.15.
Valence is not read from the voice by rule: on telephone speech it is close to chance. A trained ``VoiceModel``
(``sentiment.voice_model``) or any transformers audio classifier (``sentiment.voice_transformers``) adds emotions to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from audio.telephone import resample
from sentiment.functionals import HOP, RATE, frames_of, functionals, levels, pitch_track, speech_mask, syllables

__all__ = ["MIN_SPEECH", "RATE", "VoiceBaseline", "VoiceClassifier", "VoiceReading", "read_voice"]

MIN_SPEECH = 1.0
"""Seconds of speech below which nothing is read."""
_LEAST_VOICED = 0.15
"""Share of the speech frames that must have a pitch: below it the sound is noise, not a voice."""
_VOICED = 0.45
# Typical spread of each functional between utterances of one speaker: dB, semitones, semitones, syllables a second.
_SPREAD = (4.0, 2.5, 1.2, 1.0)
_TYPICAL_RANGE, _TYPICAL_RATE = 2.5, 4.5
_WEIGHT = (0.35, 0.3, 0.15, 0.2)
_F0_TRUST = (70.0, 400.0)


@dataclass(frozen=True, slots=True)
class VoiceReading:
    """Functionals of one utterance.

    ``energy`` mean speech level in dB full scale; ``pitch`` median f0 in semitones over 100 Hz, ``pitch_range`` its
    interquartile range in semitones (both NaN if too little is voiced); ``rate`` syllable peaks a second; ``speech``
    seconds of speech; ``arousal`` in [-1, 1]; ``confidence`` in [0, 0.6]. ``vector``: all functionals, shape
    ``(functionals.SIZE,)``. ``scores``: emotion probabilities, if a classifier was asked.
    """

    energy: float
    pitch: float
    pitch_range: float
    rate: float
    speech: float
    arousal: float
    confidence: float
    vector: NDArray[np.float32] = field(compare=False, repr=False, default_factory=lambda: np.zeros(0, np.float32))
    scores: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VoiceBaseline:
    """Running means of a caller's functionals over ``n`` past utterances. Start with ``VoiceBaseline()``.

    ``vector``: plain mean of all past vectors, what a trained model measures against; ``None`` before the first.
    """

    n: int = 0
    energy: float = 0.0
    pitch: float = math.nan
    pitch_range: float = math.nan
    rate: float = 0.0
    vector: NDArray[np.float32] | None = field(compare=False, repr=False, default=None)

    def updated(self, reading: VoiceReading) -> VoiceBaseline:
        """The baseline with one more utterance; old ones fade so that about eight count."""
        share = 1 / min(self.n + 1, 8)

        def mean(old: float, new: float) -> float:
            if math.isnan(new):
                return old
            return new if self.n == 0 or math.isnan(old) else old + share * (new - old)

        vector = reading.vector
        if self.vector is not None and self.vector.shape == vector.shape:
            vector = (self.vector + (vector - self.vector) / np.float32(self.n + 1)).astype(np.float32)
        return VoiceBaseline(
            self.n + 1,
            mean(self.energy, reading.energy),
            mean(self.pitch, reading.pitch),
            mean(self.pitch_range, reading.pitch_range),
            mean(self.rate, reading.rate),
            vector,
        )


class VoiceClassifier(Protocol):
    """Emotion probabilities (keys of ``labels.EMOTIONS``) of an utterance's voice."""

    def emotions(
        self, samples: NDArray[np.float32], rate: int, reading: VoiceReading, baseline: VoiceBaseline | None
    ) -> Mapping[str, float]: ...


def read_voice(
    samples: NDArray[np.float32],
    rate: int = RATE,
    baseline: VoiceBaseline | None = None,
    classifier: VoiceClassifier | None = None,
) -> VoiceReading | None:
    """Read one utterance of mono float samples in [-1, 1] at ``rate`` Hz.

    ``None`` where the evidence is too thin: under ``MIN_SPEECH`` seconds of speech, or a sound without pitch (noise).
    """
    if len(samples) < rate * MIN_SPEECH or not np.isfinite(samples).all():
        return None
    line = resample(samples, rate, RATE)
    frames = frames_of(line)
    level = levels(frames)
    speech = speech_mask(level)
    seconds = float(speech.sum()) * HOP / RATE
    if seconds < MIN_SPEECH:
        return None
    track, strength = pitch_track(frames)
    voiced = track[speech & (strength > _VOICED)]
    if len(voiced) < _LEAST_VOICED * speech.sum():
        return None
    low, high = (12 * math.log2(f / 100) for f in _F0_TRUST)
    voiced = voiced[(voiced >= low) & (voiced <= high)]
    pitch = pitch_range = math.nan
    if len(voiced) >= 20:
        quarter, half, three = np.percentile(voiced, (25, 50, 75))
        pitch, pitch_range = float(half), float(three - quarter)
    energy, pace = float(level[speech].mean()), syllables(level, speech) / seconds
    arousal, confidence = _arousal(energy, pitch, pitch_range, pace, baseline)
    confidence *= min(1.0, 0.5 + seconds / 6.0)
    vector = functionals(frames, level, speech, track, strength)
    reading = VoiceReading(energy, pitch, pitch_range, pace, seconds, arousal, confidence, vector)
    if classifier is None:
        return reading
    return replace(reading, scores=classifier.emotions(samples, rate, reading, baseline))


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
