"""The simulated person's voice: who speaks (espeak-ng voice, rate, pitch, by seed) and in what manner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from agent.events import Lang
from agent.telephony.simulator.scenario import Manner, Scenario
from audio.espeak import Voice, synthesize
from audio.g711 import Floats, to_float
from audio.telephone import RATE, Line, band_limit, resample, set_level

_VARIANTS = ("", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6", "+m7", "+f1", "+f2", "+f3", "+f4", "+f5")
VOICES: Mapping[Lang, tuple[str, ...]] = {
    "zh": tuple(f"cmn{v}" for v in _VARIANTS),
    "en": tuple(f"{base}{v}" for base in ("en-us", "en") for v in _VARIANTS),
}
"""Voices that are drawn from by seed."""

AUDIBLE_DB = -45.0
"""RMS over 5 ms, dBFS, below which a sound is not heard: where an utterance ends for a response gap."""
_SILENT_DB = -60.0
_WINDOW = RATE // 200  # 5 ms


@dataclass(frozen=True, slots=True)
class Utterance:
    """A rendered utterance: clean float32 at 8 kHz, level set, without the silence around it.

    ``audible`` is the number of samples up to the last audible one: a voice fades out below what is heard.
    """

    text: str
    samples: Floats
    audible: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / RATE


def draw_voice(scenario: Scenario, rng: np.random.Generator) -> Voice:
    """A person: one of the scenario's (or the language's) voices at an ordinary rate and some pitch."""
    names = scenario.voices or VOICES[scenario.lang]
    return Voice(
        name=names[int(rng.integers(len(names)))],
        rate=int(rng.integers(150, 191)),
        pitch=int(rng.integers(35, 66)),
        pitch_range=int(rng.integers(40, 61)),
    )


def in_manner(voice: Voice, manner: Manner) -> Voice:
    """The same person in another mood: anger is faster, higher and livelier, sadness slower, lower and flatter."""
    if manner == "angry":
        return replace(
            voice, rate=min(voice.rate + 20, 215), pitch=min(voice.pitch + 12, 90), pitch_range=80, volume=100
        )
    if manner == "sad":
        return replace(voice, rate=max(voice.rate - 25, 130), pitch=max(voice.pitch - 10, 15), pitch_range=25)
    if manner == "hurried":
        return replace(voice, rate=min(voice.rate + 30, 220))
    return voice


def speak(text: str, voice: Voice, line: Line) -> Utterance:
    """``text`` as it enters the line: band-limited, at the line's level, silence around it trimmed."""
    pcm, rate = synthesize(text, voice)
    samples = set_level(band_limit(resample(to_float(pcm), rate, RATE), *line.band), line.level_db)
    samples = trim(samples)
    return Utterance(text, samples, len(trim(samples, AUDIBLE_DB, before=False)))


def beep(line: Line, seconds: float = 0.6, hertz: float = 1000.0) -> Utterance:
    """An answering machine's tone at the line's level, without a word."""
    t = np.arange(int(seconds * RATE)) / RATE
    peak = np.sqrt(2) * 10 ** (line.level_db / 20)
    tone: Floats = (np.sin(2 * np.pi * hertz * t) * peak).astype(np.float32)
    return Utterance("", tone, len(tone))


def trim(samples: Floats, threshold_db: float = _SILENT_DB, *, before: bool = True) -> Floats:
    """Cut what follows the last 5 ms (and, with ``before``, precedes the first) above ``threshold_db``."""
    whole = len(samples) // _WINDOW * _WINDOW
    power = np.mean(samples[:whole].reshape(-1, _WINDOW) ** 2, axis=1)
    loud = np.flatnonzero(power > 10 ** (threshold_db / 10))
    if len(loud) == 0:
        return np.zeros(0, np.float32)
    first, last = int(loud[0]) * _WINDOW if before else 0, (int(loud[-1]) + 1) * _WINDOW
    kept: Floats = samples[first:last]
    return kept
