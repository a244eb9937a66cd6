"""The ``Line``: what a call needs of a carrier, and nothing more.

A carrier's adapter turns its own messages into these events and commands. Audio is 8 kHz mono 16-bit.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

from audio.g711 import Pcm16


@dataclass(frozen=True, slots=True)
class AudioReceived:
    pcm: Pcm16


@dataclass(frozen=True, slots=True)
class DigitPressed:
    digit: str


@dataclass(frozen=True, slots=True)
class MarkPlayed:
    name: str


@dataclass(frozen=True, slots=True)
class LineClosed:
    """The far end is gone. ``error`` is set when the carrier broke the protocol rather than hung up."""

    reason: str
    error: str | None = None


LineEvent = AudioReceived | DigitPressed | MarkPlayed | LineClosed


def forget_sound(events: asyncio.Queue[Any]) -> None:
    """Take the sound out of what has not been read, as when somebody answers a line that was open before.

    A key of a quick finger, that somebody is gone, and an error stay.
    """
    for _ in range(events.qsize()):
        event = events.get_nowait()
        if not isinstance(event, AudioReceived):
            events.put_nowait(event)


class Line(Protocol):
    """One answered call on a carrier."""

    @property
    def carrier(self) -> str:
        """The carrier's name, for the archive."""

    def events(self) -> AsyncIterator[LineEvent]:
        """What comes from the far end, in order; ends after ``LineClosed``."""

    async def send_audio(self, pcm: Pcm16) -> None:
        """Queue audio to be played to the person after what is already queued."""

    async def send_mark(self, name: str) -> None:
        """Ask the carrier to say when everything sent so far has been played."""

    async def clear(self) -> None:
        """Throw away what is queued and not yet played."""

    async def hang_up(self, reason: str) -> None:
        """End the call. Safe to call twice."""
