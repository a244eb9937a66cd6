from __future__ import annotations

import numpy as np
import pytest

from audio.telephone import RATE, Line, band_limit, lose_packets, noise, resample, set_level, telephone


def tone(hertz: float, seconds: float = 1.0, rate: int = RATE, level: float = 0.1) -> np.ndarray:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def decibel(samples: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


@pytest.mark.parametrize(("hertz", "loss"), [(50, 30), (120, 10), (3900, 4)])
def test_the_band_is_cut(hertz: float, loss: float) -> None:
    assert decibel(tone(hertz)) - decibel(band_limit(tone(hertz), 200, 3600)) > loss


def test_the_band_passes() -> None:
    assert decibel(band_limit(tone(1000), 200, 3600)) == pytest.approx(decibel(tone(1000)), abs=0.2)


@pytest.mark.parametrize("color", [0.0, 1.0, 2.0])
def test_noise_has_unit_power_and_its_slope(color: float) -> None:
    samples = noise(1 << 16, color, np.random.default_rng(0))
    assert decibel(samples) == pytest.approx(0.0, abs=0.01)
    power = np.abs(np.fft.rfft(samples)) ** 2
    octaves = [np.log2(power[1 << k : 2 << k].mean()) for k in range(6, 15)]
    assert np.polyfit(np.arange(len(octaves)), octaves, 1)[0] == pytest.approx(-color, abs=0.2)


@pytest.mark.parametrize("snr", [10.0, 20.0, 30.0])
def test_the_line_keeps_its_signal_to_noise_ratio(snr: float) -> None:
    voice = tone(1000, 4.0)
    clean = telephone(voice, RATE, Line(snr_db=90.0), np.random.default_rng(1)).astype(float)
    noisy = telephone(voice, RATE, Line(snr_db=snr), np.random.default_rng(1)).astype(float)
    assert decibel(clean) - decibel(noisy - clean) == pytest.approx(snr, abs=1.0)


def test_level_ignores_silence() -> None:
    voice = np.concatenate([np.zeros(RATE, np.float32), tone(500, 1.0), np.zeros(RATE, np.float32)])
    levelled = set_level(voice, -20.0)
    assert decibel(levelled[RATE : 2 * RATE]) == pytest.approx(-20.0, abs=0.2)
    assert not set_level(np.zeros(100, np.float32), -20.0).any()


def test_clipping_and_rate() -> None:
    out = telephone(tone(1000, 1.0, 16000, 0.5), 16000, Line(clip=0.05), np.random.default_rng(2))
    assert len(out) == RATE
    assert np.abs(out).max() <= 0.05 * 32768 * 1.05


def test_lost_packets_fade() -> None:
    samples = np.ones(RATE, np.float32)
    lost = lose_packets(samples, 0.1, np.random.default_rng(3))
    share = np.mean(lost.reshape(-1, 160)[:, 0] < 1.0)
    assert 0.02 < share < 0.25
    assert np.array_equal(lose_packets(samples, 0.0, np.random.default_rng(3)), samples)


def test_same_seed_same_line() -> None:
    voice, line = tone(700), Line(snr_db=12, loss=0.05)
    first = telephone(voice, RATE, line, np.random.default_rng(5))
    assert np.array_equal(first, telephone(voice, RATE, line, np.random.default_rng(5)))


def test_resampling_keeps_a_tone() -> None:
    assert decibel(resample(tone(1000, 1.0, 22050), 22050, RATE)[400:-400]) == pytest.approx(
        decibel(tone(1000)), abs=0.1
    )


def test_empty_audio() -> None:
    assert len(telephone(np.zeros(0, np.float32), RATE, Line(), np.random.default_rng(0))) == 0
