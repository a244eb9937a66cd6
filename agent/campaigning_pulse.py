"""Whether this process keeps time, and so how many calls it may hold.

A call is a frame of sound every 20 ms. A process that wakes up late for its frames speaks in pieces and answers late:
the person at the other end hears a broken call, and pays for a busy machine of ours. So the dialer asks here how many
calls there is room for, and places fewer where the machine cannot keep up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

log = logging.getLogger(__name__)

EVERY = 0.05
"""Seconds between two looks at the clock."""
WINDOW = 4.0
"""Seconds that are judged at a time."""
LATE = 0.15
"""Lateness in seconds, for one look in twenty, from which people hear it: a frame's jitter buffer is about half of it,
and what is late at both ends of a turn is heard twice."""
GOOD = 3
"""Windows in time, one after the other, after which there is room for one call more."""


@dataclass(slots=True)
class Kept:
    """How it went: ``windows`` judged, those that were ``late``, the fewest calls there was room for, and the
    lateness in seconds that 19 of 20 windows stayed below."""

    windows: int = 0
    late: int = 0
    least: int = 0
    p95: float = 0.0


class Pulse:
    """Measures how late the event loop wakes up, and follows with ``room``: one call fewer than there are after each
    late window (half as many where there are none), one more after three good ones, never none.
    ``live``: calls at present."""

    def __init__(self, most: int, live: Callable[[], int]) -> None:
        self.room = self.most = most
        self._live = live
        self._good = 0
        self._windows: deque[float] = deque(maxlen=5000)
        self._late = 0
        self._least = most

    def judge(self, lateness: list[float]) -> None:
        """One window's lateness, in seconds, look by look."""
        worst = sorted(lateness)[len(lateness) * 19 // 20]
        self._windows.append(worst)
        if worst <= LATE:
            self._good += 1
            if self._good >= GOOD and self.room < self.most:
                self.room += 1
                self._good = 0
            return
        self._late += 1
        self._good = 0
        live = self._live()
        room = max(1, min(self.room, live) - 1 if live else self.room // 2)
        if room < self.room:
            log.warning("this machine is too busy to keep time (%.0f ms late): room for %d calls", worst * 1000, room)
        self.room = room
        self._least = min(self._least, room)

    def kept(self) -> Kept:
        ordered = sorted(self._windows)
        p95 = ordered[len(ordered) * 19 // 20] if ordered else 0.0
        return Kept(len(ordered), self._late, self._least, p95)


@contextlib.asynccontextmanager
async def pulse(most: int, live: Callable[[], int]) -> AsyncIterator[Pulse]:
    """A pulse that beats as long as the block runs."""
    made = Pulse(most, live)
    task = asyncio.create_task(_beat(made))
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _beat(made: Pulse) -> None:
    loop = asyncio.get_running_loop()
    while True:
        lateness: list[float] = []
        until = loop.time() + WINDOW
        while (began := loop.time()) < until:
            await asyncio.sleep(EVERY)
            lateness.append(loop.time() - began - EVERY)
        made.judge(lateness)
