"""Whether what comes from the line is our own voice coming back: from the far end's hybrid, or a loudspeaker.

``OwnVoice`` keeps the last seconds of what the line was given to play. ``Echo`` looks for the newest sound in it, at
every delay that a telephone network and a room make (ITU-T G.131: echo is heard up to some 400 ms of delay). Other
people's speech never matches our samples closely, however alike the voices; an echo does even through a room.
"""

from __future__ import annotations

import numpy as np

from audio.g711 import Floats, Pcm16, to_float
from audio.telephone import RATE

KEEP = 3.0
WINDOW = 0.256
"""Seconds of sound that are compared: shorter pieces of two voices match by chance."""
LONGEST = 1.0
"""Seconds after which nothing comes back any more."""
ALIKE = 0.25
"""Correlation from which a sound is an echo, at a delay that echoes are known to have. Measured through mu-law: the
echo of a room (0.25 s of reverberation) is above 0.3, that of a line above 0.65."""
SURELY_ALIKE = 0.7
"""The same at any delay. Another person's voice never comes near; the same synthetic voice may, sound by sound."""
NOTED = 0.35
"""Correlation from which a delay is noted: foreign speech stays below 0.25 in 95 of 100 windows."""
SAME_DELAY = 0.02
"""Seconds: within a room, now one reflection is the strongest and now another."""
KNOWN_AFTER, FORGOTTEN = 0.4, 5.0
"""A delay is known once it was noted over so many seconds: more than one window, so that one sound that two voices
share is not enough. It is forgotten when it was not found for so long: a line may change its way."""
_QUIET = 1e-3  # RMS below which there is nothing to come back


class OwnVoice:
    """What was given to the line to play, by call time. Written by the line's end, read by hearing: one a call."""

    def __init__(self) -> None:
        self._pcm = np.zeros(0, np.int16)
        self._from = 0  # index of the first kept sample since the answer

    def say(self, at: float, pcm: Pcm16) -> None:
        """``pcm`` begins to sound ``at`` seconds into the call."""
        first = max(self._from, round(at * RATE))
        missing = first + len(pcm) - self._from - len(self._pcm)
        if missing > 0:
            self._pcm = np.concatenate([self._pcm, np.zeros(missing, np.int16)])
        self._pcm[first - self._from : first - self._from + len(pcm)] = pcm
        excess = len(self._pcm) - int(KEEP * RATE)
        if excess > RATE:
            self._pcm, self._from = self._pcm[excess:], self._from + excess

    def stop(self, at: float) -> None:
        """What would sound from ``at`` on was thrown away."""
        self._pcm = self._pcm[: max(0, round(at * RATE) - self._from)]

    def between(self, start: float, end: float) -> Floats:
        """What sounded from ``start`` to ``end`` seconds into the call; silence where nothing did."""
        first, last = round(start * RATE), round(end * RATE)
        out = np.zeros(max(0, last - first), np.float32)
        have = to_float(self._pcm[max(0, first - self._from) : max(0, last - self._from)])
        at = max(0, self._from - first)
        out[at : at + len(have)] = have
        return out


class Echo:
    """Tells an echo of ``own``. One a call; it remembers the delays at which it found one."""

    def __init__(self, own: OwnVoice) -> None:
        self._own = own
        self._noted: list[tuple[float, float, float]] = []  # delay, and when it was noted first and last

    def is_echo(self, sound: Floats, now: float) -> bool:
        """Whether the last quarter of a second of ``sound`` (8 kHz), which ends ``now`` seconds into the call, is ours.

        Ask for every window of speech, in order. Speech over an echo is none: it drowns what matches.
        """
        heard = sound[-int(WINDOW * RATE) :]
        length = len(heard) / RATE
        own = self._own.between(now - length - LONGEST, now)
        if len(heard) < RATE // 10 or _rms(own) < _QUIET or _rms(heard) < _QUIET:
            return False
        likeness, delay = _correlation(heard, own)
        if likeness < ALIKE:
            return False
        known = any(abs(d - delay) <= SAME_DELAY and last - first >= KNOWN_AFTER for d, first, last in self._noted)
        if likeness >= NOTED:
            self._note(delay, now)
        return known or likeness >= SURELY_ALIKE

    def _note(self, delay: float, now: float) -> None:
        kept = [each for each in self._noted if now - each[2] < FORGOTTEN]
        same = [each for each in kept if abs(each[0] - delay) <= SAME_DELAY]
        first = min((each[1] for each in same), default=now)
        self._noted = [each for each in kept if each not in same] + [(delay, first, now)]


def _correlation(heard: Floats, own: Floats) -> tuple[float, float]:
    """The greatest normalised correlation of ``heard`` with a part of ``own``, and the seconds from that part to it."""
    x, y = _flatter(heard), _flatter(own)
    size = 1 << (len(x) + len(y) - 1).bit_length()
    product = np.fft.rfft(y, size) * np.conj(np.fft.rfft(x, size))
    places = len(y) - len(x) + 1
    match = np.abs(np.fft.irfft(product, size)[:places])
    power = np.concatenate([[0.0], np.cumsum(np.square(y, dtype=np.float64))])
    # A part that is almost silent matches nothing: without this floor its few samples could match by chance.
    energy = np.maximum(power[len(x) :] - power[:places], 0.02 * power[-1])
    score = match / np.sqrt(energy * float(np.dot(x, x)) + 1e-12)
    best = int(score.argmax())
    return float(score[best]), (places - 1 - best) / RATE


def _flatter(sound: Floats) -> Floats:
    """First-order pre-emphasis: speech is mostly low, and low sounds of any two voices are alike."""
    out: Floats = sound.copy()
    out[1:] -= np.float32(0.9) * sound[:-1]
    return out


def _rms(sound: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(sound)))) if len(sound) else 0.0
