"""Forks one dialer a line of standard input, and lets it be killed at a chosen step.

A process of its own with one thread, so that forking is safe; it imports once what every dialer needs. Each line is
JSON: ``{"url", "ledger", "campaign", "at", "tick"}``. ``at`` is ``"statement:N"`` (before the N-th SQL statement),
``"committed:N"`` (right after the N-th commit), ``"provider:before"``, ``"provider:after"`` (around the provider's
own durable note of the dial), ``"never"``. The child is killed with SIGKILL: nothing is flushed, nothing is caught.
The answer is one line: ``killed`` or ``done``.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from campaigns.dialer import Dialer
from campaigns.errors import PlaceRefused
from campaigns.ledger import Ledger, Reservation
from campaigns.provider import Absent, DialOrder, Found, Lookup
from campaigns.settling import CallResult, Settling
from campaigns.store import open_campaigns

STUCK_S = 240.0
"""Seconds after which a child is stuck: longer than any of them gives itself."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class FileProvider:
    """Counts dials in a file of its own, written through before it answers, as a carrier's own books would be."""

    name = "file"

    def __init__(self, path: Path, at: str, settling: Settling) -> None:
        self.path, self.at, self.settling = path, at, settling

    async def place(self, order: DialOrder) -> str:
        if self.at == "provider:before":
            die()
        if self.at == "provider:lost":
            raise TimeoutError
        if self.at == "provider:refused":
            raise PlaceRefused("rejected")
        fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.write(fd, f"{order.attempt_id} {order.contact_id} {order.number}\n".encode())
        os.close(fd)
        if self.at == "provider:after":
            die()
        if self.at == "provider:timeout":
            raise TimeoutError
        if self.at == "provider:early":
            # The webhook overtakes the answer to the request, twice.
            for _ in range(2):
                await asyncio.to_thread(self._ended, order)
            return f"call-{order.attempt_id}"
        asyncio.get_running_loop().call_later(0.01, lambda: asyncio.ensure_future(self._talk(order)))
        return f"call-{order.attempt_id}"

    async def _talk(self, order: DialOrder) -> None:
        for status in ("ringing", "answered", "ringing", "ended"):
            await asyncio.to_thread(self.settling.progress, status, attempt_id=order.attempt_id)
        for _ in range(2):
            await asyncio.to_thread(self.settling.settle, order.attempt_id, CallResult("promise_to_pay"))

    def _ended(self, order: DialOrder) -> None:
        self.settling.progress("ended", attempt_id=order.attempt_id, outcome="no_answer")

    async def lookup(self, order: DialOrder) -> Lookup:
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        if any(line.split()[0] == order.attempt_id for line in lines):
            return Found(f"call-{order.attempt_id}", "ended", "no_answer")
        return Absent()

    async def hang_up(self, order: DialOrder) -> None:
        return None


class Quiet:
    async def prepare(self, reservation: Reservation) -> None:
        return None

    def over(self, attempt_id: str) -> None:
        return None


def arm(engine: sa.Engine, at: str) -> None:
    kind, _, number = at.partition(":")
    if kind not in ("statement", "committed"):
        return
    left = int(number)

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            die()

    if kind == "statement":
        sa.event.listen(engine, "before_cursor_execute", count)
    else:
        dialect_commit = engine.dialect.do_commit

        def commit(connection: Any) -> None:
            dialect_commit(connection)
            count()

        engine.dialect.do_commit = commit  # type: ignore[method-assign]


def child(job: dict[str, Any]) -> None:
    database = open_campaigns(job["url"])
    now = datetime.fromisoformat(job["now"])
    began = asyncio.new_event_loop().time

    start = began()

    def clock() -> datetime:
        return now + timedelta(seconds=began() - start)

    settling = Settling(database, clock)
    provider = FileProvider(Path(job["dials"]), job["at"], settling)
    dialer = Dialer(
        Ledger(database, job["worker"], clock=clock), settling, provider, Quiet(), job["campaign"], agents=2, tick=0.02
    )
    arm(database.engine, job["at"])
    asyncio.run(asyncio.wait_for(dialer.run(), 30) if job["at"] == "never" else _bounded(dialer))


async def _bounded(dialer: Dialer) -> None:
    """Unknown attempts keep a dialer waiting for the reaper: here it leaves after a while, as if killed."""
    try:
        await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(dialer.run())), 1.5)
    except TimeoutError:
        die()


def serve(child: Callable[[dict[str, Any]], None]) -> None:
    """Runs ``child`` in a fork for every line of standard input, a JSON job, and answers how it went."""
    for line in sys.stdin:
        job = json.loads(line)
        pid = os.fork()
        if pid == 0:
            # A child that hangs says where, and is a failed one: without this the test would wait for ever.
            faulthandler.dump_traceback_later(STUCK_S, exit=True)
            try:
                child(job)
            except BaseException as e:
                sys.stderr.write(f"{type(e).__name__}: {e}\n")
                os._exit(3)
            os._exit(0)
        _, result = os.waitpid(pid, 0)
        answer = "killed" if os.WIFSIGNALED(result) else "done" if os.WEXITSTATUS(result) == 0 else "failed"
        sys.stdout.write(answer + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    serve(child)
