"""Whether the agent is speaking, from the sound that is played and nothing else; and whether it said that before."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from audio.g711 import Floats, decode, to_float
from audio.telephone import RATE

FRAME_S = 0.02
THRESHOLD_DB = -45.0
"""Quietest sound that counts as speech (RMS over 20 ms, dBFS)."""
_ABOVE_FLOOR_DB = 12.0
_FLOOR_CAP_DB = -50.0
_FLOOR_RISE_DB = 0.02  # a frame: 1 dB a second
_ONSET_FRAMES = 3  # a click is not speech
_TURN_GAP_S = 0.4
_REMEMBER_S = 20.0


@dataclass(frozen=True, slots=True)
class AgentTurn:
    """A stretch of the agent's speech, in frames since the call was answered; ``end`` is after the last loud one."""

    start: int
    end: int
    sound: Floats

    @property
    def seconds(self) -> float:
        return (self.end - self.start) * FRAME_S


class Ear:
    """Listens to 20 ms frames as they are played. Speech is energy above a slowly adapting noise floor."""

    def __init__(self) -> None:
        self.frame = 0
        self.turns: list[AgentTurn] = []
        self._floor_db = -70.0
        self._loud_run = 0
        self._onset: int | None = None
        self._last_loud = -(10**6)
        self._sound: list[Floats] = []

    @property
    def quiet_s(self) -> float:
        """Seconds since the last loud frame; very large before the first."""
        return (self.frame - 1 - self._last_loud) * FRAME_S

    @property
    def onset(self) -> int | None:
        """The frame at which the speech now going on began, ``None`` in silence."""
        return self._onset

    @property
    def last_loud(self) -> int:
        """The last frame with speech in it; far below zero before the first."""
        return self._last_loud

    def hear(self, played: bytes) -> None:
        """One frame of 160 mu-law bytes."""
        sound = to_float(decode(played))
        level_db = 10 * np.log10(float(np.mean(sound**2)) + 1e-10)
        self._floor_db = min(level_db, self._floor_db + _FLOOR_RISE_DB)
        threshold = max(THRESHOLD_DB, min(self._floor_db, _FLOOR_CAP_DB) + _ABOVE_FLOOR_DB)
        loud = level_db > threshold
        self._loud_run = self._loud_run + 1 if loud else 0
        if self._onset is None and self._loud_run >= _ONSET_FRAMES:
            self._onset = self.frame - self._loud_run + 1
            self._sound = self._sound[-self._loud_run + 1 :]
        if self._onset is None:
            self._sound = [*self._sound[-_ONSET_FRAMES:], sound]
        else:
            self._sound.append(sound)
            if loud:
                self._last_loud = self.frame
            elif (self.frame - self._last_loud) * FRAME_S >= _TURN_GAP_S:
                self._finish()
        self.frame += 1

    def finish(self) -> None:
        """The call is over: close the turn that was going on."""
        if self._onset is not None:
            self._finish()

    def _finish(self) -> None:
        assert self._onset is not None
        spoken = self._sound[: self._last_loud + 1 - self._onset][-int(_REMEMBER_S / FRAME_S) :]
        self.turns.append(AgentTurn(self._onset, self._last_loud + 1, np.concatenate(spoken)))
        self._onset, self._loud_run, self._sound = None, 0, []


def sounds_alike(a: Floats, b: Floats, tail_s: float = 1.2) -> bool:
    """Whether two turns end in the same words by the same voice: a question that is asked again.

    Compares log energies in eight bands over the last ``tail_s`` seconds, at shifts of up to 40 ms. Different
    sentences of one synthetic voice stay below 0.75, the same sentence stays above 0.95.
    """
    first, second = _bands(a), _bands(b)
    want = int(tail_s * 100)
    n = min(want, len(first), len(second))
    if n < 50:
        return False  # too short to tell
    alike = 0.85 if n == want else 0.92
    n -= 4  # room to shift
    tails = [(_tail(first, n, max(0, s)), _tail(second, n, max(0, -s))) for s in range(-4, 5)]
    return max(_correlation(x, y) for x, y in tails) > alike


def _tail(frames: NDArray[np.float64], n: int, before_end: int) -> NDArray[np.float64]:
    end = len(frames) - before_end
    return frames[end - n : end]


def _bands(sound: Floats) -> NDArray[np.float64]:
    """Log energy, 8 bands from 200 to 3600 Hz, 25 ms windows each 10 ms."""
    size, hop = RATE // 40, RATE // 100
    if len(sound) < size:
        return np.zeros((0, 8))
    windows = np.lib.stride_tricks.sliding_window_view(sound, size)[::hop] * np.hanning(size)
    power = np.abs(np.fft.rfft(windows, 256)) ** 2
    edges = np.geomspace(200, 3600, 9) / (RATE / 256)
    bands = [power[:, int(lo) : max(int(lo) + 1, int(hi))].sum(axis=1) for lo, hi in pairwise(edges)]
    return np.asarray(np.log10(np.stack(bands, axis=1) + 1e-5))


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    x, y = a - a.mean(axis=0), b - b.mean(axis=0)
    scale = float(np.sqrt((x**2).sum() * (y**2).sum()))
    return float((x * y).sum() / scale) if scale > 1e-9 else 0.0
