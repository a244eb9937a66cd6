"""The calls that this process is having, for whoever watches: their latest words, their sound, a hand on them.

One hub a process, used from the event loop that runs its calls. A call never waits for a watcher: what a watcher has
not taken yet is replaced by what is newer, and sound that nobody fetches in time is dropped.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from agent.events import Lang
from agent.live import News
from archive.recorder import Recorder, Side
from audio.g711 import Pcm16
from audio.telephone import RATE

INTERVAL = 0.25
"""Seconds between two updates of one call to one watcher: four a second are as many as anybody can read."""
PIECE = 0.1
"""Seconds of sound in one piece."""
CUSHION = 0.2
"""Seconds by which a listener hears the call late, so that a late packet is not heard as a gap."""
BACKLOG = 1.0
"""Seconds of sound kept for a listener who does not fetch it."""
ANGRY_TURNS = 2
MAX_WORDS = 400
"""Characters of a turn that are passed on."""
MAX_FLAGS = 20

Command = Literal["end", "take_over"]


@dataclass(slots=True, eq=False)
class LiveEntry:
    """One live call as the hub knows it. ``steer`` carries out a command; ``can_transfer`` tells whether the carrier
    can connect the person to somebody else."""

    hub: LiveHub
    call_id: str
    lang: Lang
    steer: Callable[[Command], Awaitable[None]]
    campaign: str | None = None
    can_transfer: Callable[[], bool] = lambda: False
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    state: Literal["live", "ending", "handing_over"] = "live"
    emotion: str | None = None
    words: dict[str, str] = field(default_factory=dict)
    who: str | None = None
    flags: list[Mapping[str, str]] = field(default_factory=list)
    angry: int = 0
    ears: set[_Ear] = field(default_factory=set)

    def told(self, news: News) -> None:
        """A call's listener: takes what is worth showing, and tells the watchers that something changed."""
        if news.kind == "turn" and news.turn is not None and news.turn.text:
            turn = news.turn
            self.who, self.words[turn.who] = turn.who, turn.text[:MAX_WORDS]
            if turn.who == "borrower":
                self.emotion = turn.emotion
                self.angry += turn.emotion in ("angry", "frustrated")
                if self.angry == ANGRY_TURNS and turn.emotion in ("angry", "frustrated"):
                    self._flag("repeated_anger", "medium")
        elif news.kind == "flag":
            self._flag(news.text, str(news.details.get("severity", "low")))
        else:
            return
        self.hub.changed(self.call_id)

    def _flag(self, reason: str, severity: str) -> None:
        if len(self.flags) < MAX_FLAGS and all(each["reason"] != reason for each in self.flags):
            self.flags.append({"reason": reason, "severity": severity})

    def sounded(self, side: Side, pcm: Pcm16) -> None:
        for ear in self.ears:
            ear.push(side, pcm)

    def cut(self) -> None:
        """What of the agent's sound is still to come will not be heard."""
        for ear in self.ears:
            ear.drop("agent")

    def document(self) -> dict[str, Any]:
        """What :class:`console.context.LiveCalls` says of a call; ``text`` are the last words of ``who``."""
        return {
            "call_id": self.call_id,
            "lang": self.lang,
            "campaign": self.campaign,
            "started_at": self.started_at,
            "state": self.state,
            "emotion": self.emotion,
            "who": self.who,
            "text": self.words.get(self.who or "", ""),
            "flags": tuple(self.flags),
            "can_take_over": self.can_transfer(),
        }


class LiveHub:
    """Implements :class:`console.context.LiveCalls`."""

    def __init__(self, interval: float = INTERVAL) -> None:
        self._interval = interval
        self._calls: dict[str, LiveEntry] = {}
        self._watchers: weakref.WeakSet[_Changes] = weakref.WeakSet()

    # the calls' side -------------------------------------------------------------------------------------------

    def begin(self, entry: LiveEntry) -> None:
        """A call was answered. Whoever begins it ends it with :meth:`over`."""
        self._calls[entry.call_id] = entry
        self.changed(entry.call_id)

    def over(self, entry: LiveEntry) -> None:
        """The call has ended."""
        self._calls.pop(entry.call_id, None)
        for ear in entry.ears:
            ear.closed = True
        self.changed(entry.call_id)

    def changed(self, call_id: str) -> None:
        for watcher in self._watchers:
            watcher.note(call_id)

    def document(self, call_id: str) -> dict[str, Any]:
        entry = self._calls.get(call_id)
        return {"call_id": call_id, "ended": True} if entry is None else entry.document()

    # the watchers' side ----------------------------------------------------------------------------------------

    def snapshot(self) -> Sequence[Mapping[str, Any]]:
        """Every live call, the oldest first."""
        return [entry.document() for entry in self._calls.values()]

    def changes(self) -> AsyncIterator[Mapping[str, Any]]:
        """From this moment on, each call as it stands whenever it has changed, at most once an interval."""
        watcher = _Changes(self, self._interval)
        self._watchers.add(watcher)
        return watcher

    def sound(self, call_id: str) -> AsyncIterator[bytes]:
        """Both sides mixed, 16-bit little-endian 8 kHz, in pieces of 100 ms as time passes. Raises ``KeyError``."""
        entry = self._calls[call_id]
        ear = _Ear(entry)
        entry.ears.add(ear)
        return ear

    async def end(self, call_id: str) -> None:
        """Say goodbye and end the call. Raises ``KeyError``."""
        await self._steer(call_id, "end")

    async def take_over(self, call_id: str) -> None:
        """Hand the person to the people's queue. Raises ``KeyError``; ``ValueError`` where the carrier cannot."""
        if not self._calls[call_id].can_transfer():
            raise ValueError("this call's carrier cannot hand the person over")
        await self._steer(call_id, "take_over")

    async def _steer(self, call_id: str, command: Command) -> None:
        entry = self._calls[call_id]
        state: Literal["ending", "handing_over"] = "ending" if command == "end" else "handing_over"
        if entry.state != state:  # a second click says nothing new
            entry.state = state
            self.changed(call_id)
            await entry.steer(command)


class _Changes:
    """One watcher. What changed and was not told yet is a set of ids, so it never outgrows the calls there are."""

    def __init__(self, hub: LiveHub, interval: float) -> None:
        self._hub, self._interval = hub, interval
        self._noted: dict[str, None] = {}
        self._telling: list[str] = []
        self._wake = asyncio.Event()
        self._next = 0.0
        self._closed = False

    def note(self, call_id: str) -> None:
        self._noted[call_id] = None
        self._wake.set()

    def __aiter__(self) -> _Changes:
        return self

    async def __anext__(self) -> Mapping[str, Any]:
        while not self._telling:
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            if not self._noted:
                await self._wake.wait()
            loop = asyncio.get_running_loop()
            await asyncio.sleep(max(0.0, self._next - loop.time()))
            self._next = loop.time() + self._interval
            self._telling, self._noted = list(reversed(self._noted)), {}
        return self._hub.document(self._telling.pop())

    async def aclose(self) -> None:
        self._closed = True
        self._hub._watchers.discard(self)
        self._wake.set()


class _Ear:
    """One listener: sound of both sides as it comes, given out mixed as time passes, silence where there is none."""

    def __init__(self, entry: LiveEntry) -> None:
        self._entry = entry
        self._sides: dict[str, bytearray] = {"borrower": bytearray(), "agent": bytearray()}
        self._next = asyncio.get_running_loop().time() + CUSHION
        self.closed = False

    def push(self, side: Side, pcm: Pcm16) -> None:
        waiting = self._sides[side]
        waiting += pcm.astype("<i2", copy=False).tobytes()
        if (excess := len(waiting) - int(BACKLOG * RATE) * 2) > 0:
            del waiting[:excess]

    def drop(self, side: Side) -> None:
        self._sides[side].clear()

    def __aiter__(self) -> _Ear:
        return self

    async def __anext__(self) -> bytes:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(max(0.0, self._next - loop.time()))
        self._next = max(self._next, loop.time() - BACKLOG) + PIECE
        if self.closed:
            raise StopAsyncIteration
        return self._mixed(int(PIECE * RATE))

    def _mixed(self, samples: int) -> bytes:
        mixed = np.zeros(samples, np.int32)
        for waiting in self._sides.values():
            taken = np.frombuffer(bytes(waiting[: samples * 2]), "<i2")
            mixed[: len(taken)] += taken
            del waiting[: samples * 2]
        return np.clip(mixed, -32768, 32767).astype("<i2").tobytes()

    async def aclose(self) -> None:
        self.closed = True
        self._entry.ears.discard(self)


class OverheardRecorder(Recorder):
    """A recorder whose call can be listened to while it goes on: what is recorded is what is heard."""

    def __init__(self, entry: LiveEntry, path: Path, clock: Callable[[], float], **options: Any) -> None:
        self._entry = entry
        super().__init__(path, clock, **options)

    def write(self, side: Side, pcm: Pcm16, at: float | None = None) -> None:
        super().write(side, pcm, at)
        self._entry.sounded(side, pcm)

    def truncate(self, side: Side, at: float) -> None:
        super().truncate(side, at)
        if side == "agent":
            self._entry.cut()
