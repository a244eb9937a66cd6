"""Machine tones on a telephone line: answering machines' beeps, fax, the network's information tones.

Sources: ITU-T T.30 (CNG 1,100 Hz for 0.5 s every 3 s; CED 2,100 Hz for 2.6–4 s), ITU-T Q.35/E.180 (special
information tone: 950, 1,400 and 1,800 Hz, a third of a second each; ring-back and busy around 425–450 Hz).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from audio.g711 import Pcm16, to_float
from audio.telephone import RATE

ToneKind = Literal["beep", "fax", "information", "ring_back", "busy"]

WINDOW = 256
"""Samples looked at together: 32 ms, 31 Hz a bin."""
HOP = 160
QUIET = 0.003
"""RMS below which a window is silence (−50 dBFS)."""
PURE = 0.85
"""Share of a window's energy within three bins of its peak that makes it a tone: no vowel comes near."""
DRIFT = 20.0
"""Hz that a tone may wander from window to window."""
SHORTEST = 0.09
_WINDOW = np.hanning(WINDOW).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Tone:
    """A steady tone of ``frequency`` Hz from ``start`` to ``end``, in seconds since the first sample."""

    start: float
    end: float
    frequency: float

    @property
    def duration(self) -> float:
        return self.end - self.start


class ToneDetector:
    """Feed it audio; it returns what machines said in it. One object a call; no threads."""

    def __init__(self) -> None:
        self._rest = np.zeros(0, np.int16)
        self._fed = 0
        self._start: float | None = None
        self._frequency = 0.0
        self._last = 0.0
        self._told = False
        self._recent: list[Tone] = []

    def feed(self, pcm: Pcm16) -> list[tuple[ToneKind, Tone]]:
        """Take the next samples (8 kHz); returns tones that have just ended, or are long enough to be sure."""
        self._rest = np.concatenate([self._rest, pcm])
        found: list[tuple[ToneKind, Tone]] = []
        while len(self._rest) >= WINDOW:
            found += self._look(to_float(self._rest[:WINDOW]))
            self._rest = self._rest[HOP:]
            self._fed += HOP
        return found

    def _look(self, window: np.ndarray) -> list[tuple[ToneKind, Tone]]:
        begin, end = self._fed / RATE, (self._fed + WINDOW) / RATE
        frequency = _pure_tone(window)
        if frequency is not None and self._start is not None and abs(frequency - self._frequency) <= DRIFT:
            self._last, self._frequency = end, 0.7 * self._frequency + 0.3 * frequency
            tone = Tone(self._start, end, self._frequency)
            if not self._told and tone.duration >= 1.6 and 2050 <= frequency <= 2150:
                self._told = True
                return [("fax", tone)]
            return []
        ended = self._end()
        if frequency is not None:
            self._start, self._frequency, self._last, self._told = begin, frequency, end, False
        return ended

    def _end(self) -> list[tuple[ToneKind, Tone]]:
        start, self._start = self._start, None
        if start is None or self._told:
            return []
        tone = Tone(start, self._last, self._frequency)
        if tone.duration < SHORTEST:
            return []
        self._recent = [*[t for t in self._recent if tone.start - t.end < 2.0][-3:], tone]
        kind = _kind(tone, self._recent)
        return [(kind, tone)] if kind is not None else []


def _pure_tone(window: np.ndarray) -> float | None:
    """The frequency of ``window`` if nearly all its energy is there, else None."""
    if float(np.sqrt(np.mean(window**2))) < QUIET:
        return None
    power = np.abs(np.fft.rfft(window * _WINDOW)) ** 2
    peak = int(power.argmax())
    near = power[max(0, peak - 2) : peak + 3]
    if not 8 <= peak <= 100 or near.sum() < PURE * power.sum():
        return None
    # The centre of mass of the peak is closer to the truth than the bin.
    return float((near * np.arange(max(0, peak - 2), max(0, peak - 2) + len(near))).sum() / near.sum() * RATE / WINDOW)


def _kind(tone: Tone, recent: list[Tone]) -> ToneKind | None:
    frequency, duration = tone.frequency, tone.duration
    if len(recent) >= 3 and all(
        abs(t.frequency - wanted) <= 50 for t, wanted in zip(recent[-3:], (950, 1400, 1800), strict=True)
    ):
        return "information"
    if abs(frequency - 1100) <= 38 and 0.4 <= duration <= 0.65:
        return "fax"
    if abs(frequency - 2100) <= 30 and duration >= 1.0:
        return "fax"
    if 400 <= frequency <= 490:
        if 0.8 <= duration <= 2.2:
            return "ring_back"
        previous = [t for t in recent[:-1] if 400 <= t.frequency <= 490]
        if 0.2 <= duration <= 0.6 and len(previous) >= 2:
            return "busy"
    if 350 <= frequency <= 2200 and 0.12 <= duration <= 1.6:
        return "beep"
    return None
