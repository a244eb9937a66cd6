"""One line on its way to the person's ear: what has been sent, what has sounded, where it may go on. Pure.

A line can be held and go on later; then it takes up its last phrase again. Times are seconds into the call, positions
samples of the line at 8 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio.g711 import Pcm16, to_float
from audio.telephone import RATE

FRAME = RATE // 50
"""Samples in one 20 ms packet."""
LOUD = 0.01
"""RMS of a packet with speech in it: −40 dBFS."""
PAUSE = 3
"""Packets without speech that part two phrases."""
BACK = 0.8
"""Seconds at most that are said again by a line that goes on: the phrase if it began since then, else a syllable."""
SYLLABLE = 0.25


@dataclass(slots=True)
class Playback:
    """A line being played. ``sent`` samples of it were given to the carrier; sample ``origin`` sounds at ``at``."""

    pcm: Pcm16
    start: float
    at: float
    origin: int = 0
    sent: int = 0
    furthest: int = 0
    """Samples that have sounded at least once when the line was last held."""

    @property
    def due(self) -> float:
        """When the next sample to be sent should sound."""
        return self.at + (self.sent - self.origin) / RATE

    @property
    def end(self) -> float:
        """When the last sample sounds if nothing comes between."""
        return self.at + (len(self.pcm) - self.origin) / RATE

    def position(self, now: float) -> int:
        """The sample that sounds ``now``; the end of what was sent if that has all sounded."""
        return min(self.sent, max(self.origin, self.origin + round((now - self.at) * RATE)))

    def heard(self, now: float) -> float:
        """Seconds of the line that have sounded by ``now``, each counted once."""
        return max(self.furthest, self.position(now)) / RATE

    def stop(self, now: float) -> float:
        """What was sent and has not sounded was thrown away. Returns when the last sample has sounded."""
        self.sent = self.position(now)
        self.furthest = max(self.furthest, self.sent)
        return self.due

    def go_on(self, now: float) -> float:
        """Take up the last phrase again from ``now`` on. Returns the seconds that are said once more."""
        stopped = self.sent
        self.origin = self.sent = phrase_start(self.pcm, stopped)
        self.at = now
        return (stopped - self.sent) / RATE


def phrase_start(pcm: Pcm16, stopped: int) -> int:
    """Where a line that was stopped at sample ``stopped`` goes on.

    After the last pause, if it lies within ``BACK`` seconds; else at the quietest packet of the last syllable.
    """
    loudness = _loudness(pcm[: stopped // FRAME * FRAME])
    if len(loudness) * FRAME <= BACK * RATE:
        return 0
    first = len(loudness) - int(BACK * RATE / FRAME)
    quiet = loudness < LOUD
    for end in range(len(loudness), first + PAUSE - 1, -1):
        if quiet[end - PAUSE : end].all():
            return end * FRAME
    syllable = int(SYLLABLE * RATE / FRAME)
    return (len(loudness) - syllable + int(np.argmin(loudness[-syllable:]))) * FRAME


def heard_part(text: str, pcm: Pcm16, seconds: float) -> str:
    """The prefix of ``text`` that had sounded after ``seconds``.

    Estimated by the share of the line's energy-bearing time that had passed: the synthesiser gives no word
    times, and pauses carry no words. Latin text is cut back to a whole word.
    """
    if len(pcm) == 0 or seconds <= 0:
        return ""
    loud = _loudness(pcm[: len(pcm) // FRAME * FRAME]) > LOUD if len(pcm) >= FRAME else np.ones(1, bool)
    total = max(1, int(loud.sum()))
    passed = int(loud[: int(seconds * RATE / FRAME)].sum())
    cut = int(len(text) * passed / total)
    if cut >= len(text):
        return text
    part = text[:cut]
    if part and part[-1].isascii() and part[-1].isalnum() and text[cut].isascii() and text[cut].isalnum():
        part = part.rsplit(" ", 1)[0] if " " in part else ""
    return part.rstrip()


def _loudness(pcm: Pcm16) -> NDArray[np.float32]:
    """RMS of each whole packet."""
    packets = to_float(pcm).reshape(-1, FRAME)
    return np.asarray(np.sqrt(np.mean(packets**2, axis=1)), np.float32)
