"""The two sound paths of a telephone, a 20 ms frame at a time and without IO: what is played, what is said."""

from __future__ import annotations

from collections import deque

import numpy as np

from agent.telephony.media_streams import FRAME_BYTES
from audio.g711 import SILENCE, Floats, encode, to_pcm16
from audio.telephone import RATE, Line, noise

_NOISE_SECONDS = 30


class Playout:
    """The carrier's queue of audio for the person: 160 bytes are played each 20 ms, silence where there are none.

    As Twilio does: marks keep their place among the audio and come back when playing reaches them, or at once
    when the queue is cleared. ``underruns`` counts gaps in the middle of sound: a frame that was not or only
    partly there, with sound within the five frames before and after.
    """

    def __init__(self) -> None:
        self._audio = bytearray()
        self._taken = 0
        self._queued = 0
        self._marks: deque[tuple[int, str]] = deque()
        self._echoes: list[str] = []
        self._dry = 0
        self._played_any = False
        self.underruns = 0

    @property
    def pending_ms(self) -> int:
        return len(self._audio) * 1000 // RATE

    def push(self, mulaw: bytes) -> None:
        self._audio += mulaw
        self._queued += len(mulaw)

    def mark(self, name: str) -> None:
        self._marks.append((self._queued, name))

    def clear(self) -> None:
        self._audio.clear()
        self._taken = self._queued
        self._echoes += [name for _, name in self._marks]
        self._marks.clear()
        self._played_any = False

    def tick(self) -> tuple[bytes, tuple[str, ...]]:
        """The next 160 bytes to play and the names of the marks that were reached."""
        frame = bytes(self._audio[:FRAME_BYTES])
        del self._audio[:FRAME_BYTES]
        self._taken += len(frame)
        if frame and self._played_any and 0 < self._dry <= 5:
            self.underruns += 1
        self._played_any = self._played_any or bool(frame)
        self._dry = 0 if len(frame) == FRAME_BYTES else self._dry + 1
        while self._marks and self._marks[0][0] <= self._taken:
            self._echoes.append(self._marks.popleft()[1])
        echoes, self._echoes = tuple(self._echoes), []
        return frame + SILENCE * (FRAME_BYTES - len(frame)), echoes


class Mouth:
    """What leaves the person's telephone: the voice when there is one, the line's noise always.

    Seeded; effects per frame as in ``audio.telephone.telephone``: noise, clipping, packet loss with a fading
    repeat, mu-law.
    """

    def __init__(self, line: Line, rng: np.random.Generator) -> None:
        level = 10 ** ((line.level_db - line.snr_db) / 20)
        self._noise = noise(_NOISE_SECONDS * RATE, line.noise_color, rng) * np.float32(level)
        self._at = 0
        self._line = line
        self._rng = rng
        self._voice: Floats = np.zeros(0, np.float32)
        self._last: Floats = np.zeros(FRAME_BYTES, np.float32)
        self._fade = 1.0

    @property
    def speaking(self) -> bool:
        return len(self._voice) > 0

    @property
    def left(self) -> int:
        """Samples of the voice still to go out."""
        return len(self._voice)

    def say(self, samples: Floats) -> None:
        self._voice = np.concatenate([self._voice, samples])

    def stop(self) -> None:
        self._voice = self._voice[:0]

    def tick(self) -> bytes:
        """The next 20 ms as 160 mu-law bytes."""
        mixed = self._noise[self._at : self._at + FRAME_BYTES].copy()
        self._at = (self._at + FRAME_BYTES) % len(self._noise)
        voice, self._voice = self._voice[:FRAME_BYTES], self._voice[FRAME_BYTES:]
        mixed[: len(voice)] += voice
        if self._line.clip < 1.0:
            mixed = np.clip(mixed, -self._line.clip, self._line.clip)
        if self._line.loss > 0 and self._rng.random() < self._line.loss:
            self._fade *= 0.5
            mixed = self._last * np.float32(self._fade)
        else:
            self._fade, self._last = 1.0, mixed
        return encode(to_pcm16(mixed))
