from __future__ import annotations

import itertools

import numpy as np

from asr.windows import split

RATE = 8000


def talk(seconds: float) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(int(seconds * RATE)).astype(np.float32) * 0.2


def test_short_audio_is_one_window() -> None:
    assert split(talk(3), RATE, 9.5) == [(0, 3 * RATE)]
    assert split(talk(0), RATE, 9.5) == [(0, 0)]


def test_cuts_lie_in_the_silences() -> None:
    quiet = np.zeros(int(0.4 * RATE), np.float32)
    audio = np.concatenate([talk(6), quiet, talk(7), quiet, talk(5)])
    ranges = split(audio, RATE, 9.5)
    assert len(ranges) == 3
    assert 6.0 <= ranges[0][1] / RATE <= 6.4
    assert 13.4 <= ranges[1][1] / RATE <= 13.8


def test_windows_cover_everything_once_and_are_short_enough() -> None:
    audio = talk(61.7)
    ranges = split(audio, RATE, 9.5)
    assert ranges[0][0] == 0
    assert ranges[-1][1] == len(audio)
    assert all(a[1] == b[0] for a, b in itertools.pairwise(ranges))
    assert all(0 < end - start <= 9.5 * RATE for start, end in ranges)
