"""What a telephone line does to a voice, each effect alone and all together, seeded.

Used to train the recogniser and to make the simulated borrower sound like a call. All functions take and
return float32 mono; ``telephone`` returns 8 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr

from audio.g711 import Floats, Pcm16, decode, encode, to_float, to_pcm16

RATE = 8000
"""Sample rate of the telephone line in Hz."""


def resample(samples: Floats, source: int, target: int) -> Floats:
    """Band-limited resampling (libsoxr, high quality)."""
    if source == target:
        return samples.astype(np.float32, copy=False)
    out: Floats = soxr.resample(samples.astype(np.float32, copy=False), source, target, quality="HQ")
    return out


@dataclass(frozen=True, slots=True)
class Line:
    """How bad the line is. The defaults are a good land line.

    ``snr_db``: speech to background noise, power ratio over the speech. ``noise_color``: spectral slope of the
    noise power, 0 white, 1 pink, 2 brown. ``band``: pass band in Hz (ITU-T G.712: 300–3400). ``gain_db``:
    level against full scale RMS before clipping. ``clip``: hard clipping level, 1.0 is none. ``loss``:
    probability that a 20 ms packet is lost; a lost packet repeats the last one fading, as decoders do.
    """

    snr_db: float = 30.0
    noise_color: float = 1.0
    band: tuple[float, float] = (200.0, 3600.0)
    level_db: float = -20.0
    clip: float = 1.0
    loss: float = 0.0


def band_limit(samples: Floats, low: float, high: float, rate: int = RATE) -> Floats:
    """Cut what lies outside ``low``–``high`` Hz with soft edges, in the frequency domain."""
    n = len(samples)
    if n == 0:
        return samples
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(n, 1 / rate)
    gain = 1 / np.sqrt(1 + (low / np.maximum(frequency, 1.0)) ** 8) / np.sqrt(1 + (frequency / high) ** 16)
    out: Floats = np.fft.irfft(spectrum * gain, n).astype(np.float32)
    return out


def noise(n: int, color: float, rng: np.random.Generator) -> Floats:
    """``n`` samples of unit-RMS noise whose power falls as 1/f**color."""
    if n == 0:
        return np.zeros(0, np.float32)
    size = n // 2 + 1
    spectrum = rng.standard_normal(size) + 1j * rng.standard_normal(size)
    spectrum /= np.maximum(np.arange(size), 1.0) ** (color / 2)
    out = np.fft.irfft(spectrum, n)
    unit: Floats = (out / (np.sqrt(np.mean(out**2)) + 1e-9)).astype(np.float32)
    return unit


def set_level(samples: Floats, level_db: float) -> Floats:
    """Scale so that the RMS of the active part (within 30 dB of the loudest 20 ms) is ``level_db`` dBFS."""
    if len(samples) == 0:
        return samples
    step = max(1, RATE // 50)
    padded = np.pad(samples, (0, -len(samples) % step))
    power = np.mean(padded.reshape(-1, step) ** 2, axis=1)
    active = power[power > power.max() * 1e-3]
    if power.max() <= 1e-12:
        return samples
    out: Floats = (samples * (10 ** (level_db / 20) / np.sqrt(active.mean()))).astype(np.float32)
    return out


def lose_packets(samples: Floats, probability: float, rng: np.random.Generator) -> Floats:
    """Replace 20 ms packets with a fading repeat of the last good one (the concealment of G.711 appendix I, simply)."""
    if probability <= 0:
        return samples
    step = RATE // 50
    out = samples.copy()
    fade = 1.0
    for at in range(step, len(out) - step, step):
        if rng.random() < probability:
            fade *= 0.5
            out[at : at + step] = out[at - step : at] * fade
        else:
            fade = 1.0
    return out


def telephone(samples: Floats, rate: int, line: Line, rng: np.random.Generator) -> Pcm16:
    """Pass a clean voice through ``line``: resample to 8 kHz, band, level, noise, clipping, loss, mu-law."""
    voice = set_level(band_limit(resample(samples, rate, RATE), *line.band), line.level_db)
    level = 10 ** ((line.level_db - line.snr_db) / 20)
    mixed = voice + noise(len(voice), line.noise_color, rng) * np.float32(level)
    if line.clip < 1.0:
        mixed = np.clip(mixed, -line.clip, line.clip)
    coded = to_float(decode(encode(to_pcm16(mixed))))
    return to_pcm16(lose_packets(coded, line.loss, rng))
