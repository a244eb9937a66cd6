"""Machine tones through a telephone line; speech is never one."""

from __future__ import annotations

import numpy as np
import pytest

from audio.espeak import Voice, synthesize
from audio.g711 import decode, encode, to_float, to_pcm16
from audio.telephone import RATE, resample
from audio.tones import ToneDetector

RNG = np.random.default_rng(3)


def tone(frequency: float, seconds: float, level: float = 0.2) -> np.ndarray:
    return level * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


def gap(seconds: float) -> np.ndarray:
    return np.zeros(int(seconds * RATE))


def heard(*parts: np.ndarray, noise: float = 0.003) -> list[str]:
    """Kinds of the tones found after mu-law and line noise, in packets of 20 ms."""
    sound = np.concatenate([*parts, gap(0.3)]).astype(np.float32)
    sound += RNG.normal(0, noise, len(sound)).astype(np.float32)
    line = decode(encode(to_pcm16(sound)))
    detector = ToneDetector()
    found: list[str] = []
    for i in range(0, len(line), 160):
        found += [kind for kind, _ in detector.feed(line[i : i + 160])]
    return found


BEEPS = [(f, s) for f in (440, 700, 1000, 1400, 2000) for s in (0.2, 0.5, 1.0)]
BEEPS.remove((440, 1.0))  # that is the network's ring-back


@pytest.mark.parametrize(("frequency", "seconds"), BEEPS)
def test_a_beep(frequency: float, seconds: float) -> None:
    assert heard(gap(0.4), tone(frequency, seconds)) == ["beep"]


def test_fax() -> None:
    assert heard(gap(0.2), tone(1100, 0.5), gap(3), tone(1100, 0.5)) == ["fax", "fax"]
    assert heard(tone(2100, 3.0)) == ["fax"]


def test_the_networks_tones() -> None:
    assert heard(tone(950, 0.33), tone(1400, 0.33), tone(1800, 0.33))[-1] == "information"
    assert heard(tone(450, 1.0), gap(4.0), tone(450, 1.0)) == ["ring_back", "ring_back"]
    assert "busy" in heard(*[tone(450, 0.35), gap(0.35)] * 4)


@pytest.mark.parametrize(
    ("text", "voice"),
    [
        ("喂你好我现在在开会你是哪位啊有什么事情吗我晚点给你回电话好不好", Voice("cmn+f3", 160, 50, 50)),
        ("啊啊啊哦哦哦嗯嗯嗯呃呃呃", Voice("cmn+m3", 120, 30, 10)),
        ("Hello, who is this? I am in a meeting, oooh noooo, ummm, aaah, well", Voice("en-us+f2", 150, 60, 10)),
    ],
)
def test_speech_is_no_tone(text: str, voice: Voice) -> None:
    pcm, rate = synthesize(text, voice)
    assert heard(resample(to_float(pcm), rate, RATE)) == []


def test_noise_and_silence_are_no_tone() -> None:
    assert heard(gap(2.0), noise=0.0) == []
    assert heard(gap(2.0), noise=0.1) == []
