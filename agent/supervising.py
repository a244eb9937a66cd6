"""A supervisor's hand on a live call: a command enters the dialogue as if the person had asked for it.

The script then does what it does in that case, line by line through the gate: a goodbye, or the hand-over to a human.
The archive stands upstream of where the command enters, so nobody is recorded as having said it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from pipecat.frames.frames import EndFrame, Frame

from agent.clock import CallClock
from agent.events import Heard, Lang, Span, Understood
from agent.following import Ending, Follow
from agent.frames import UnderstoodFrame
from agent.live_hub import Command
from archive.writer import CallArchive

PATIENCE = 20.0
"""Seconds that a goodbye may take; then the call is ended in the middle of the word."""
_INTENT: dict[Command, str] = {"end": "goodbye", "take_over": "request_human"}


class Stoppable(Protocol):
    async def queue_frame(self, frame: Frame) -> None: ...


def steering(
    archive: CallArchive, follow: Follow, clock: CallClock, lang: Lang, worker: Callable[[], Stoppable | None]
) -> Callable[[Command], Awaitable[None]]:
    """How the hub steers this call. ``worker`` gives what runs its pipeline, once it runs."""

    async def steer(command: Command) -> None:
        running = worker()
        if running is None:
            return
        archive.event("supervised", command=command)
        now = clock.now()
        heard = Heard("", lang, Span(now, now), (), 1.0)
        intent = _INTENT[command]
        await follow.queue_frame(UnderstoodFrame(Understood(heard, intent, 1.0, ((intent, 1.0),))))
        if command == "end":
            loop = asyncio.get_running_loop()
            loop.call_later(PATIENCE, lambda: loop.create_task(_cut_off(follow, running)))

    return steer


async def _cut_off(follow: Follow, worker: Stoppable) -> None:
    if follow.ending is None:
        follow.ending = Ending("hung_up", None)
    await worker.queue_frame(EndFrame())
