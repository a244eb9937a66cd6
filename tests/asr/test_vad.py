"""Where somebody speaks is found the same in one piece and in minutes, by one thread and by several."""

from __future__ import annotations

import numpy as np
import pytest

from asr.vad import HOP, RATE, SpeechOptions, probabilities, segments
from audio.espeak import Voice, synthesize
from audio.g711 import Floats, to_float
from audio.telephone import Line, telephone


@pytest.fixture(scope="module")
def sound() -> Floats:
    """Speech every ten seconds over 130 s, across the seams of minutes too."""
    pcm, rate = synthesize("I will pay you two hundred dollars on friday", Voice("en-us+m1"))
    said = to_float(telephone(to_float(pcm), rate, Line(snr_db=30), np.random.default_rng(0)))
    out = np.zeros(130 * 8000, np.float32)
    for start in range(8, 120, 10):
        out[start * 8000 :][: len(said)] = said
    return out


@pytest.mark.parametrize("workers", [1, 3])
def test_minutes_are_seamless(sound: Floats, workers: int) -> None:
    found = probabilities(lambda a, b: sound[round(a * 8000) : round(b * 8000)], 130.0, 8000, workers)
    assert len(found) == -(-130 * RATE // HOP)
    spans = segments(found, 130.0)
    starts = [start for start, _ in spans]
    assert starts == pytest.approx(list(range(8, 120, 10)), abs=0.3)
    assert all(1.5 < end - start < 4.0 for start, end in spans)


def test_hysteresis_bridges_pauses_and_drops_clicks() -> None:
    chances = np.zeros(200, np.float32)
    chances[10:12] = 0.9  # a click: 64 ms
    chances[50:80] = 0.9
    chances[80:90] = 0.2  # a pause of 0.32 s
    chances[90:100] = 0.4  # goes on above the release
    assert segments(chances, 6.4) == [(50 * 0.032, 100 * 0.032)]
    assert len(segments(chances, 6.4, SpeechOptions(silence=0.2))) == 1
    assert segments(np.zeros(0, np.float32), 0.0) == []
