"""Voice functionals against sounds whose answer is known."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from audio.espeak import Voice, synthesize
from audio.g711 import to_float
from sentiment.emotion import fuse
from sentiment.labels import EMOTIONS
from sentiment.voice import VoiceBaseline, read_voice


def speech(rate: int = 160, pitch: int = 40, gain: float = 0.3) -> tuple[NDArray[np.float32], int]:
    pcm, sample_rate = synthesize(
        "I will call you back about the payment on Friday next week", Voice("en-us", rate=rate, pitch=pitch)
    )
    return (to_float(pcm) * gain).astype(np.float32), sample_rate


def test_pitch_of_a_tone_with_overtones() -> None:
    t = np.arange(16_000) / 8000
    tone = sum(np.sin(2 * np.pi * 200 * k * t) / k for k in range(1, 6))
    reading = read_voice((0.2 * tone).astype(np.float32))
    assert reading is not None
    assert abs(reading.pitch - 12) < 0.5  # 200 Hz is an octave over 100


def test_too_little_speech() -> None:
    assert read_voice(np.zeros(80_000, dtype=np.float32)) is None
    assert read_voice(np.ones(4000, dtype=np.float32)) is None
    assert read_voice(np.zeros(0, dtype=np.float32)) is None
    assert read_voice(np.full(16_000, np.nan, dtype=np.float32)) is None


def test_louder_faster_higher_than_usual_is_aroused() -> None:
    samples, rate = speech()
    calm = read_voice(samples, rate)
    assert calm is not None
    assert calm.confidence <= 0.15
    baseline = VoiceBaseline().updated(calm).updated(calm)
    usual = read_voice(samples, rate, baseline)
    excited_samples, rate = speech(rate=230, pitch=80, gain=0.9)
    excited = read_voice(excited_samples, rate, baseline)
    assert usual is not None
    assert excited is not None
    assert abs(usual.arousal) < 0.05
    assert excited.arousal > 0.3
    assert 0.15 < excited.confidence <= 0.6


def test_baseline_ignores_what_was_not_measured() -> None:
    samples, rate = speech()
    reading = read_voice(samples, rate)
    assert reading is not None
    assert not math.isnan(VoiceBaseline().updated(reading).pitch)
    assert VoiceBaseline().updated(reading).n == 1


def test_fusion_keeps_both_sources_and_tilts() -> None:
    samples, rate = speech()
    calm = read_voice(samples, rate)
    assert calm is not None
    baseline = VoiceBaseline()
    for _ in range(5):
        baseline = baseline.updated(calm)
    loud, rate = speech(rate=230, pitch=80, gain=0.9)
    excited = read_voice(loud, rate, baseline)
    even = dict.fromkeys(EMOTIONS, 1 / len(EMOTIONS))
    alone, fused = fuse("fine", "en", even, None), fuse("fine", "en", even, excited)
    assert set(fused.sources) == {"text", "voice"}
    assert fused.arousal > alone.arousal
    assert fused.scores["angry"] > alone.scores["angry"] > 0
    assert fused.valence == alone.valence
