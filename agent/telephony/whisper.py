"""The whisper of a hand-over: what the human hears, and the person waiting does not, before the two are joined.

A PBX plays it from here. A hosted provider fetches it: from a path that holds a token of 192 random bits, for two
minutes, a few times. Twilio plays what the ``url`` of ``<Number>`` answers to the called party alone ("TwiML Voice:
<Number>"), Plivo the same with ``confirmSound``, which wants a key pressed ("Dial XML"), Telnyx the ``audio_url`` of
its transfer command ("Transfer call").
"""

from __future__ import annotations

import io
import secrets
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import UnapprovedSpeech
from audio.g711 import Pcm16
from audio.telephone import RATE
from compliance_checks.approved import ApprovedLine, is_approved

LIFE = 120.0
"""Seconds a provider has to fetch a whisper: as long as a desk's phone may ring."""
FETCHES = 4
"""Times it may be fetched: providers look first, and try again."""
MAX_KEPT = 500


@dataclass(frozen=True, slots=True)
class Whisper:
    """An approved line and its sound, 8 kHz mono. Raises ``UnapprovedSpeech`` for a line that bears no seal."""

    line: ApprovedLine
    pcm: Pcm16

    def __post_init__(self) -> None:
        if not is_approved(self.line):
            raise UnapprovedSpeech("a whisper is an approved line like any other speech")

    def wav(self) -> bytes:
        """A WAV file, 16-bit PCM at 8 kHz: every provider plays it."""
        out = io.BytesIO()
        with wave.open(out, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(self.pcm.astype("<i2").tobytes())
        return out.getvalue()


@dataclass(slots=True)
class _Kept:
    wav: bytes
    until: float
    left: int


class WhisperShelf:
    """Where hosted providers fetch whispers. ``clock`` in seconds, monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: dict[str, _Kept] = {}

    def put(self, whisper: Whisper) -> str:
        """Keep a whisper; the token to fetch it by."""
        now = self._clock()
        self._kept = {token: kept for token, kept in self._kept.items() if kept.until > now and kept.left > 0}
        while len(self._kept) >= MAX_KEPT:
            del self._kept[next(iter(self._kept))]
        token = secrets.token_urlsafe(24)
        self._kept[token] = _Kept(whisper.wav(), now + LIFE, FETCHES)
        return token

    def known(self, token: str) -> bool:
        kept = self._kept.get(token)
        return kept is not None and kept.until > self._clock() and kept.left > 0

    def take(self, token: str) -> bytes | None:
        """The sound; ``None`` for a token that is unknown, too old or used up."""
        if not self.known(token):
            return None
        kept = self._kept[token]
        kept.left -= 1
        return kept.wav


def sound_path(token: str) -> str:
    """Where the sound of ``token`` is fetched, below the public address."""
    return f"/whispers/{token}.wav"
