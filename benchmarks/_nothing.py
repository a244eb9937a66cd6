"""Ten minutes of nothing: what a line carries while nobody speaks to us, synthetic and seeded, 8 kHz."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from audio.espeak import Voice, synthesize
from audio.g711 import Floats, to_float
from audio.telephone import RATE, Line, band_limit, noise, telephone


def tones(frequencies: Sequence[float], on: float, off: float, seconds: float, level: float = 0.25) -> Floats:
    at = np.arange(int(seconds * RATE)) / RATE
    sound = sum(np.sin(2 * np.pi * f * at) for f in frequencies)
    return (level * sound * ((at % (on + off)) < on)).astype(np.float32)


def dtmf(seconds: float) -> Floats:
    rng = np.random.default_rng(4)
    low, high = (697, 770, 852, 941), (1209, 1336, 1477)
    keys = [tones((low[rng.integers(4)], high[rng.integers(3)]), 0.1, 0.1, 0.2) for _ in range(int(seconds * 5))]
    return np.concatenate(keys)


def fax(seconds: float) -> Floats:
    """Calling tone (ITU-T T.30: 1100 Hz, 0.5 s of 3.5 s), then an answer of 2100 Hz and warbling V.21 bits."""
    rng = np.random.default_rng(5)
    bits = np.repeat(np.where(rng.random(int(seconds / 3 * 300)) < 0.5, 1650.0, 1850.0), RATE // 300)
    warble = 0.25 * np.sin(2 * np.pi * np.cumsum(bits) / RATE)
    return np.concatenate(
        [tones((1100,), 0.5, 3.0, seconds / 3), tones((2100,), 3.0, 0.5, seconds / 3), warble.astype(np.float32)]
    )


def music(seconds: float) -> Floats:
    """Hold music: a melody with overtones over chords, decaying notes, slightly out of tune."""
    rng = np.random.default_rng(6)
    scale = 220 * 2 ** (np.array([0, 2, 4, 7, 9, 12, 14, 16]) / 12)
    beat, out = 0.3, []
    at = np.arange(int(beat * RATE)) / RATE
    while len(out) * beat < seconds:
        root = float(scale[rng.integers(len(scale))])
        chord = [root, root * 2 ** (4 / 12), root * 2 ** (7 / 12), float(scale[rng.integers(len(scale))]) * 2]
        note = sum(np.sin(2 * np.pi * f * k * at) / k**1.5 for f in chord for k in (1, 2, 3))
        out.append(0.08 * note * np.exp(-3 * at))
    return np.concatenate(out)[: int(seconds * RATE)].astype(np.float32)


TEXTS = (
    "please remember to water the plants",
    "他们昨天去公园散步了", "the weather will be fine tomorrow", "今天的节目到此结束",
    "and now the football results of this weekend", "欢迎收看今天的新闻节目", "she told me all about her holiday",
    "市场上的蔬菜又涨价了",
)  # fmt: skip


def babble(
    seconds: float, *, voices: int = 12, seed: int = 7, level: float = 0.3, top: float = 1800.0, texts: int = 4
) -> Floats:
    """Far voices at once, none of which can be made out: a crowded room, a television next door.

    The sound of ``voices`` people (``texts`` sentences), without what is above ``top`` Hz, times ``level``.
    """
    rng = np.random.default_rng(seed)
    mixed = np.zeros(int(seconds * RATE), np.float32)
    for i in range(voices):
        voice = Voice(
            ("en-us" if i % 2 == 0 else "cmn") + f"+{'fm'[i % 2]}{1 + i % 4}", rate=int(rng.integers(150, 210))
        )
        pcm, rate = synthesize(" ".join([TEXTS[i % texts]] * 3), voice)
        said = to_float(telephone(to_float(pcm), rate, Line(level_db=-32), rng))
        said = np.tile(said, 1 + int(np.ceil(len(mixed) / len(said))))
        mixed += said[rng.integers(len(said) - len(mixed)) :][: len(mixed)]
    return (level * band_limit(mixed, 200, top)).astype(np.float32)


def television(seconds: float) -> Floats:
    """A programme through a wall: four voices over music, muffled, with the wall's reverberation."""
    sound = babble(seconds, voices=4, seed=11, level=0.8, top=900.0, texts=8) + 0.3 * music(seconds)
    rng = np.random.default_rng(12)
    size = RATE * 2 // 5
    wall = rng.standard_normal(size) * 10 ** (-3 * np.arange(size) / size)
    spread = 1 << (len(sound) + size).bit_length()
    far = np.fft.irfft(np.fft.rfft(sound, spread) * np.fft.rfft(wall, spread), spread)[: len(sound)]
    return (0.01 * far / (np.sqrt(np.mean(far**2)) + 1e-9)).astype(np.float32)


NOTHING: dict[str, Callable[[float], Floats]] = {
    "silence": lambda s: np.zeros(int(s * RATE), np.float32),
    "line noise": lambda s: 0.01 * noise(int(s * RATE), 1.0, np.random.default_rng(1)),
    "loud noise": lambda s: 0.2 * noise(int(s * RATE), 1.0, np.random.default_rng(2)),
    "hum": lambda s: tones((50, 100, 150), s, 0, s, 0.1),
    "ring-back, Europe and China": lambda s: tones((450,), 1.0, 4.0, s),
    "ring-back, North America": lambda s: tones((440, 480), 2.0, 4.0, s),
    "busy": lambda s: tones((480, 620), 0.5, 0.5, s),
    "dtmf": dtmf,
    "fax": fax,
    "hold music": music,
    "babble": babble,
    "babble of six, loud": lambda s: babble(s, voices=6, seed=21, level=0.8, texts=8),
    "babble of twenty": lambda s: babble(s, voices=20, seed=31, level=0.5, top=3000.0, texts=8),
    "television next door": television,
}  # fmt: skip
