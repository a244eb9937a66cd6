"""Whether what comes from the line is our own voice coming back: from the far end's hybrid, or a loudspeaker.

``OwnVoice`` keeps the last seconds of what the line was given to play. ``Echo`` looks for the newest sound in it, at
every delay that a telephone network and a room make (ITU-T G.131 treats echoes of up to some 400 ms). Other
people's speech never matches our samples closely, however alike the voices; an echo does even through a room. Who
speaks into an echo is told by level, as echo cancellers do it (Duttweiler 1978, IEEE Trans. Communications 26:647):
what comes back stronger than the echo was so far is not the echo alone.
"""

from __future__ import annotations

from collections import deque
from typing import Literal

import numpy as np

from audio.g711 import Floats, Pcm16, to_float
from audio.telephone import RATE

Verdict = Literal["echo", "perhaps"]

KEEP = 4.0
WINDOW = 0.256
"""Seconds of sound that are compared: shorter pieces of two voices match by chance."""
LONGEST = 2.0
"""Seconds after which nothing comes back any more: the network's delay, and what has piled up in the carrier's queue
behind gaps, wherever we could not send in time."""
ALIKE = 0.25
"""Correlation from which a sound is an echo, at a delay that echoes are known to have. Measured through mu-law: the
echo of a room (0.25 s of reverberation) is above 0.3, that of a line above 0.65."""
SURELY_ALIKE = 0.7
"""The same at any delay. Another person's voice never comes near; the same synthetic voice may, sound by sound."""
NOTED = 0.35
"""Correlation from which a delay is noted: foreign speech stays below 0.25 in 95 of 100 windows."""
SAME_DELAY = 0.02
"""Seconds: within a room, now one reflection is the strongest and now another."""
KNOWN_AFTER, FORGOTTEN = 0.4, 60.0
"""A delay is known once it was noted over so many seconds: more than one window, so that one sound that two voices
share is not enough. It is forgotten when it was not found for so long: a line may change its way."""
PERHAPS = 3
"""Windows that may be an echo's first sounds: a few more of them will tell."""
STRONGER = 4.0
"""Times the power that the echo should have, from which somebody speaks into it: 6 dB."""
SPOKEN_INTO = 3
"""Windows for which that holds: people do not stop between two sounds."""
_BLOCK = RATE * 8 // 125  # 64 ms: shorter than a syllable
_NEAR = RATE // 20
_GAINS = 64
_FEW_GAINS = 8
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
    """Tells an echo of ``own``. One a call; it remembers the delays at which it found one, and how strong it was."""

    def __init__(self, own: OwnVoice) -> None:
        self._own = own
        self._noted: list[tuple[float, float, float]] = []  # delay, and when it was noted first and last
        self._gains: deque[float] = deque(maxlen=_GAINS)  # power of the echo to power of what was said
        self._perhaps = self._spoken_into = 0

    def judge(self, sound: Floats, now: float) -> Verdict | None:
        """Whether the last quarter of a second of ``sound`` (8 kHz), which ends ``now`` seconds into the call, is ours.

        ``perhaps``: it may be, and the next windows will tell. Ask for every window of speech, in order. Somebody's
        speech over an echo is none.
        """
        heard = sound[-int(WINDOW * RATE) :]
        length = len(heard) / RATE
        own = self._own.between(now - length - LONGEST, now)
        if len(heard) < RATE // 10 or _rms(own) < _QUIET:
            self._perhaps = 0
            return None
        if _rms(heard) < _QUIET:
            return "perhaps"
        x, y = _flatter(heard), _flatter(own)
        likeness, place = self._find(x, y)
        if likeness < ALIKE:
            self._perhaps = 0
            return "perhaps" if self._explains(x, y) else None
        delay = (len(y) - len(x) - place) / RATE
        known = any(abs(d - delay) <= SAME_DELAY and last - first >= KNOWN_AFTER for d, first, last in self._noted)
        if likeness >= NOTED:
            self._note(delay, now)
        if known or likeness >= SURELY_ALIKE:
            self._perhaps = 0
            return None if self._is_spoken_into(x, y[place : place + len(x)]) else "echo"
        self._perhaps += 1
        return "perhaps" if likeness >= NOTED or self._perhaps <= PERHAPS else None

    def _find(self, x: Floats, y: Floats) -> tuple[float, int]:
        """``_correlation``, first around where the latest echo was found: that costs a sixth."""
        if self._noted:
            place = len(y) - len(x) - round(self._noted[-1][0] * RATE)
            first = max(0, place - _NEAR)
            likeness, found = _correlation(x, y[first : place + len(x) + _NEAR])
            if likeness >= NOTED:
                return likeness, first + found
        return _correlation(x, y)

    def _note(self, delay: float, now: float) -> None:
        kept = [each for each in self._noted if now - each[2] < FORGOTTEN]
        same = [each for each in kept if abs(each[0] - delay) <= SAME_DELAY]
        first = min((each[1] for each in same), default=now)
        self._noted = [each for each in kept if each not in same] + [(delay, first, now)]

    def _explains(self, heard: Floats, own: Floats) -> bool:
        """Whether ``heard`` is no stronger than the latest echo makes of ``own``: noise can drown what was alike."""
        if not self._noted or len(self._gains) < _FEW_GAINS:
            return False
        place = max(0, len(own) - len(heard) - round(self._noted[-1][0] * RATE))
        return not self._is_stronger(heard, own[place : place + len(heard)])

    def _is_stronger(self, heard: Floats, own: Floats) -> bool:
        """Whether the end of ``heard`` has more power than an echo of ``own`` has; never, until enough is known."""
        if len(self._gains) < _FEW_GAINS:
            return False
        newest = float(np.mean(np.square(heard[-_BLOCK:])))
        loudest = max(float(np.mean(np.square(own[i : i + _BLOCK]))) for i in range(0, len(own), _BLOCK))
        return newest > STRONGER * loudest * float(np.median(self._gains))

    def _is_spoken_into(self, heard: Floats, own: Floats) -> bool:
        """Whether ``heard``, an echo of ``own``, is more than that."""
        if self._is_stronger(heard, own):
            self._spoken_into = SPOKEN_INTO
        elif self._spoken_into:
            self._spoken_into -= 1
        else:
            self._gains.append(float(np.dot(heard, heard)) / max(float(np.dot(own, own)), 1e-9))
        return self._spoken_into > 0


def _correlation(x: Floats, y: Floats) -> tuple[float, int]:
    """The greatest normalised correlation of ``x`` with a part of ``y``, and the sample of ``y`` where it begins."""
    size = 1 << (len(x) + len(y) - 1).bit_length()
    product = np.fft.rfft(y, size) * np.conj(np.fft.rfft(x, size))
    places = len(y) - len(x) + 1
    match = np.abs(np.fft.irfft(product, size)[:places])
    power = np.concatenate([[0.0], np.cumsum(np.square(y, dtype=np.float64))])
    # A part that is almost silent matches nothing: without this floor its few samples could match by chance.
    energy = np.maximum(power[len(x) :] - power[:places], 0.02 * power[-1])
    score = match / np.sqrt(energy * float(np.dot(x, x)) + 1e-12)
    best = int(score.argmax())
    return float(score[best]), best


def _flatter(sound: Floats) -> Floats:
    """First-order pre-emphasis: speech is mostly low, and low sounds of any two voices are alike."""
    out: Floats = sound.copy()
    out[1:] -= np.float32(0.9) * sound[:-1]
    return out


def _rms(sound: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(sound)))) if len(sound) else 0.0
