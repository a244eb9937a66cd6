"""What the line and the speaker's body do to a clean clip, on a whole batch at once, and the features after it.

A cheaper sibling of ``audio.telephone``: the same effects (band, level, coloured noise, clipping, mu-law, lost packets)
plus speed, which by plain resampling moves formants and pitch and so makes new speakers, and a stretch of the frequency
axis, which moves formants alone (vocal tract length perturbation; Jaitly, Hinton 2013). Noise comes from a bank made
once. Features are faster-whisper's log-mel (16 kHz, 25 ms window), computed from the 8 kHz signal itself:
bins above 4 kHz stay empty either way, and half the samples carry a quarter of the power.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr.training.model import HOP
from audio import g711
from audio.g711 import Floats, Pcm16
from audio.telephone import RATE, noise

_N_FFT = 200
_HOP = HOP // 2
_WARPS = np.linspace(0.86, 1.14, 15)
"""Factors by which formants move; a woman's vocal tract is about 15 % shorter than a man's."""
_KNEE = 2800.0
"""Hz above which the stretch fades, so that the band's upper end stays where it is."""
_FFT_SCALE = 4.0  # |X| of a signal sampled twice as densely is twice as large


@dataclass(frozen=True, slots=True)
class Placed:
    """Where speech lies in a batch's row, in seconds."""

    start: float
    end: float


class Augmenter:
    """Makes training batches out of clean 8 kHz clips. Deterministic for a seed. ``hardness`` 0 spares bad noise."""

    def __init__(self, seed: int) -> None:
        from faster_whisper.feature_extractor import FeatureExtractor

        self.rng = np.random.default_rng([seed, 3])
        self.hardness = 1.0
        self._bank = [torch.from_numpy(noise(RATE * 60, color, self.rng)) for color in (0.0, 0.5, 1.0, 1.0, 1.5, 2.0)]
        self._window = torch.from_numpy(np.hanning(_N_FFT + 1)[:-1].astype(np.float32))
        filters = FeatureExtractor.get_mel_filters(16000, 400, n_mels=80).astype(np.float32)
        self._mel = torch.from_numpy(filters[:, : _N_FFT // 2 + 1].copy())
        self._warped = torch.stack([torch.from_numpy(warped(self._mel.numpy(), float(w))) for w in _WARPS])
        codes = np.arange(-32768, 32768).astype(np.int16)
        self._mulaw = torch.from_numpy(g711.to_float(g711.decode(g711.encode(codes))))

    def batch(self, clips: list[Pcm16], hard: bool = True) -> tuple[Tensor, NDArray[np.int64], list[Placed]]:
        """Features [clips, 80, frames], encoder lengths and where speech lies.

        ``hard`` False keeps the speaker's speed and masks nothing: for measuring.
        """
        rng = self.rng
        rows: list[Floats] = []
        placed: list[Placed] = []
        spoken = [g711.to_float(clip) for clip in clips]
        if hard:
            factors = np.where(rng.random(len(clips)) < 0.3, rng.uniform(0.93, 1.08, len(clips)), 1.0)
            spoken = [change_speed(row, float(f)) if f != 1.0 else row for row, f in zip(spoken, factors, strict=True)]
        room = max(len(row) for row in spoken) + int(RATE * rng.uniform(0.05, 0.5))  # silence where a batch has room
        for samples in spoken:
            before = int(rng.uniform(0, min(0.6 * RATE, room - len(samples))))
            after = int(rng.uniform(0, min(0.6 * RATE, room - len(samples) - before)))
            rows.append(np.concatenate([np.zeros(before, np.float32), samples, np.zeros(after, np.float32)]))
            placed.append(Placed(before / RATE, (before + len(samples)) / RATE))
        audio = self.line(rows)
        lengths = np.array([len(row) for row in rows])
        features, frames = self.features(audio, lengths, moved=hard)
        if hard:
            self._mask(features, frames)
        return features, (frames + 1) // 2, placed

    def line(self, rows: list[Floats]) -> Tensor:
        """The rows through a random telephone line each: [rows, longest], zero after each row's end."""
        rng, n = self.rng, len(rows)
        lengths = torch.tensor([len(row) for row in rows])
        longest = int(lengths.max())
        size = 1 << (longest - 1).bit_length() if longest > 2**15 else -(-longest // 4096) * 4096
        audio = torch.zeros(n, size)
        for i, row in enumerate(rows):
            audio[i, : len(row)] = torch.from_numpy(row)

        frequency = torch.fft.rfftfreq(size, 1 / RATE)[None]
        low = torch.from_numpy(rng.uniform(60, 330, (n, 1)).astype(np.float32))
        high = torch.from_numpy(rng.uniform(3000, 3900, (n, 1)).astype(np.float32))
        tilt = torch.from_numpy(rng.uniform(-2, 2, (n, 1)).astype(np.float32))  # dB an octave about 1 kHz, softly
        gain = (1 + (low / frequency.clamp(min=1)) ** 8).rsqrt() * (1 + (frequency / high) ** 16).rsqrt()
        gain = gain * 10 ** (tilt * torch.log2((frequency + 300) / 1300) / 20)
        audio = torch.fft.irfft(torch.fft.rfft(audio) * gain, size)[:, :longest]

        inside = (torch.arange(longest)[None] < lengths[:, None]).float()
        power = (audio * inside).square().sum(1) / (audio.abs() > 1e-3).float().sum(1).clamp(min=800)
        level_db = rng.uniform(-32, -11, n)
        wanted = torch.from_numpy((10 ** (level_db / 20)).astype(np.float32))
        audio = audio * (wanted / power.sqrt().clamp(min=1e-4))[:, None]
        snr = np.where(rng.random(n) < 0.25, rng.uniform(30, 60, n), rng.uniform(20 - 8 * self.hardness, 38, n))
        for i in range(n):
            bank = self._bank[rng.integers(len(self._bank))]
            at = int(rng.integers(len(bank) - longest))
            audio[i] += bank[at : at + longest] * float(wanted[i] * 10 ** (-snr[i] / 20))
        ceiling = np.where(rng.random(n) < 0.08, 10 ** ((level_db + rng.uniform(3, 12, n)) / 20), 1.0)
        limit = torch.from_numpy(ceiling.astype(np.float32)).clamp(max=1.0)[:, None]
        audio = torch.minimum(torch.maximum(audio, -limit), limit) * inside
        index = (audio * 32768).round().clamp(-32768, 32767).long() + 32768
        audio = self._mulaw[index] * inside
        for broken in np.flatnonzero(rng.random(n) < 0.12):
            self._lose(audio[int(broken)], float(rng.uniform(0.005, 0.04)))
        return audio

    def _lose(self, row: Tensor, probability: float) -> None:
        step = RATE // 50
        for at in np.flatnonzero(self.rng.random(len(row) // step) < probability) * step:
            row[at : at + step] = row[at - step : at] * 0.5 if at >= step and self.rng.random() < 0.7 else 0.0

    def features(
        self, audio: Tensor, lengths: NDArray[np.int64], *, moved: bool = False
    ) -> tuple[Tensor, NDArray[np.int64]]:
        """Log-mel [rows, 80, frames] as faster-whisper computes it row by row, and each row's number of frames.

        ``moved``: the formants of half of the rows are moved.
        """
        frames = (lengths + 80) // _HOP
        longest = int(frames.max()) + int(frames.max()) % 2
        padded = torch.nn.functional.pad(audio, (_N_FFT // 2, longest * _HOP + _N_FFT - audio.shape[1]))
        padded[:, : _N_FFT // 2] = audio[:, 1 : _N_FFT // 2 + 1].flip(1)  # the extractor reflects what precedes
        spectrum = torch.stft(padded, _N_FFT, _HOP, window=self._window, center=False, return_complex=True)
        power = spectrum[..., :longest].abs().square() * _FFT_SCALE
        if moved:
            rng, rows = self.rng, len(audio)
            chosen = np.where(rng.random(rows) < 0.5, rng.integers(len(_WARPS), size=rows), len(_WARPS) // 2)
            banded = torch.bmm(self._warped[torch.from_numpy(chosen)], power)
        else:
            banded = self._mel @ power
        mel = torch.log10(banded.clamp(min=1e-10))
        valid = torch.arange(longest)[None, :] < torch.from_numpy(frames)[:, None]
        top = mel.masked_fill(~valid[:, None, :], -10.0).amax(dim=(1, 2), keepdim=True)
        normal = (torch.maximum(mel, top - 8.0) + 4.0) / 4.0
        return normal * valid[:, None, :], frames

    def _mask(self, features: Tensor, frames: NDArray[np.int64]) -> None:
        """SpecAugment, lightly: one band and up to two moments of some rows."""
        for i in np.flatnonzero(self.rng.random(len(features)) < 0.15):
            row, n = features[int(i)], int(frames[i])
            width, at = int(self.rng.integers(0, 9)), int(self.rng.integers(0, 50))
            row[at : at + width, :n] = row[:, :n].mean()
            for _ in range(int(self.rng.integers(0, 3))):
                span = int(self.rng.integers(1, 9))
                begin = int(self.rng.integers(0, max(1, n - span)))
                row[:, begin : begin + span] = row[:56, :n].mean()

    def nothing(self) -> Pcm16:
        """A clip in which nobody speaks: hum, ringing, beeps, keypad tones, clicks, or silence."""
        rng = self.rng
        n = int(RATE * rng.uniform(0.4, 5.0))
        t = np.arange(n) / RATE
        kind = rng.integers(6)
        out: NDArray[np.float64] = np.zeros(n)
        if kind == 0:  # ring-back and other cadenced tones
            tones = [(425.0,), (440.0, 480.0), (400.0, 450.0), (480.0, 620.0), (350.0, 440.0)][rng.integers(5)]
            on, off = rng.uniform(0.2, 2), rng.uniform(0.1, 4)
            ringing = (t + rng.uniform(0, on + off)) % (on + off) < on
            out = np.sum([np.sin(2 * np.pi * f * t) for f in tones], axis=0) * ringing
        elif kind == 1:  # keypad tones
            row, column = rng.choice([697, 770, 852, 941]), rng.choice([1209, 1336, 1477])
            out = (np.sin(2 * np.pi * row * t) + np.sin(2 * np.pi * column * t)) * (t % 0.3 < rng.uniform(0.06, 0.2))
        elif kind == 2:  # one beep
            start, length = rng.uniform(0, n / RATE), rng.uniform(0.1, 1)
            out = np.sin(2 * np.pi * rng.uniform(400, 2000) * t) * ((t > start) & (t < start + length))
        elif kind == 3:  # knocks and clicks
            for at in rng.integers(0, n, rng.integers(1, 8)):
                tail = np.arange(min(400, n - at))
                out[at : at + len(tail)] += rng.standard_normal(len(tail)) * np.exp(-tail / rng.uniform(5, 90))
        elif kind == 4:  # swelling noise, as breath and wind
            swell = np.abs(np.sin(np.pi * t / rng.uniform(0.4, 3)))
            out = noise(n, float(rng.uniform(0, 2)), rng).astype(np.float64) * swell
        peak = float(np.abs(out).max())
        return (out / peak * rng.uniform(500, 16000)).astype(np.int16) if peak > 0 else out.astype(np.int16)


def warped(filters: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Mel ``filters`` [bands, bins] that hear a voice as if its formants lay ``factor`` times as high."""
    bins = filters.shape[1]
    top = RATE / 2
    hertz = np.arange(bins) * top / (bins - 1)
    knee = _KNEE / max(1.0, factor)
    heard = np.where(
        hertz <= knee, hertz * factor, knee * factor + (hertz - knee) * (top - knee * factor) / (top - knee)
    )
    at = heard / top * (bins - 1)  # energy of bin i is counted where a bin at[i] would be
    low = np.minimum(at.astype(np.int64), bins - 2)
    part = (at - low).astype(np.float32)
    out: NDArray[np.float32] = filters[:, low] * (1 - part) + filters[:, low + 1] * part
    return out


def change_speed(samples: Floats, factor: float) -> Floats:
    """Play ``factor`` times as fast, pitch and formants with it."""
    n = int(len(samples) / factor)
    position = np.arange(n) * factor
    out: Floats = np.interp(position, np.arange(len(samples)), samples).astype(np.float32)
    return out
