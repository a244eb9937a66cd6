"""Voice functionals against sounds whose answer is known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from audio.espeak import Voice, synthesize
from audio.g711 import to_float
from sentiment.emotion import Smoothed, fuse
from sentiment.errors import ModelError
from sentiment.functionals import SIZE
from sentiment.labels import EMOTIONS
from sentiment.training.voice import Clips, against_past, fit, measure
from sentiment.voice import VoiceBaseline, read_voice
from sentiment.voice_model import VoiceModel


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


def test_noise_is_no_voice() -> None:
    rng = np.random.default_rng(1)
    assert read_voice((0.1 * rng.standard_normal(24_000)).astype(np.float32)) is None


def made_up_clips(speakers: int = 6, each: int = 15) -> Clips:
    """Speakers far apart, emotions near each other: without the speaker's past nothing can be told."""
    rng = np.random.default_rng(3)
    vectors, letters, names = [], [], []
    for s in range(speakers):
        own = rng.normal(0, 5, SIZE)
        for i in range(each):
            letter = "WTN"[i % 3]
            shift = {"W": 1.5, "T": -1.5, "N": 0.0}[letter]
            vectors.append(own + shift * np.linspace(-1, 1, SIZE) + rng.normal(0, 0.5, SIZE))
            letters.append(letter)
            names.append(f"{s:02d}")
    return Clips(np.array(vectors, np.float32), np.array(letters), np.array(names))


def test_trained_voice_needs_the_speakers_past() -> None:
    clips = made_up_clips()
    with_past, without = measure(clips)["uar_7"], measure(clips, past=False)["uar_7"]
    assert with_past > 0.8
    assert with_past > without + 0.2


def test_voice_model_round_trip_and_running_baseline(tmp_path: Path) -> None:
    clips = made_up_clips()
    model = fit(clips, ["N", "T", "W"], 1, 0.2)
    model.save(tmp_path / "v.npz")
    loaded = VoiceModel.load(tmp_path / "v.npz")
    samples, rate = speech()
    first = read_voice(samples, rate, None, loaded)
    assert first is not None
    assert set(first.scores) == set(EMOTIONS)
    assert math.isclose(sum(first.scores.values()), 1, rel_tol=1e-5)
    # the baseline a call keeps is the one the trainer measured against
    own = clips.vectors[clips.speakers == "00"]
    order = np.random.default_rng(5).permutation(len(own))
    wanted = against_past(model.norm, own, np.array(["00"] * len(own)), 5)
    baseline = VoiceBaseline()
    for i in order:
        got = model.norm.against(own[i], baseline.vector, baseline.n)
        assert np.allclose(got, wanted[i], atol=1e-4)
        baseline = baseline.updated(replace(first, vector=own[i]))


@pytest.mark.parametrize("content", [b"", b"no", None])
def test_bad_voice_model_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "v.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError):
        VoiceModel.load(path)


def test_classifier_is_fused_and_kept_apart() -> None:
    class Furious:
        def emotions(self, samples: object, rate: int, reading: object, baseline: object) -> dict[str, float]:
            return {name: 0.9 if name == "angry" else 0.02 for name in EMOTIONS}

    samples, rate = speech()
    calm = read_voice(samples, rate)
    assert calm is not None
    baseline = VoiceBaseline()
    for _ in range(5):
        baseline = baseline.updated(calm)
    heard = read_voice(samples, rate, baseline, Furious())
    even = dict.fromkeys(EMOTIONS, 1 / len(EMOTIONS))
    fused = fuse("fine", "en", even, heard)
    assert fused.label == "angry"
    assert fused.sources["voice"]["angry"] == 0.9
    assert abs(fused.sources["text"]["angry"] - 1 / 6) < 1e-6
    assert fuse("", "en", even, heard).label == "angry"
    assert fuse("", "en", even, calm).label == "unknown"
    assert fuse("fine", "en", even, None).label == "unknown"


def test_mood_is_smoothed_and_unknown_changes_nothing() -> None:
    angry = {name: 1.0 if name == "angry" else 0.0 for name in EMOTIONS}
    calm = {name: 1.0 if name == "neutral" else 0.0 for name in EMOTIONS}
    mood = Smoothed().updated("neutral", calm, 0.0, 0.0).updated("angry", angry, 0.8, -0.8)
    assert mood.scores["angry"] == pytest.approx(0.5)
    assert mood.valence == pytest.approx(-0.4)
    assert mood.updated("unknown", calm, 0.0, 0.0) == mood
    assert Smoothed().label == "unknown"
