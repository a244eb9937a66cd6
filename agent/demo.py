"""``callgate demo``: whole calls over a real WebSocket with a simulated carrier and borrower in their own process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import uvicorn

from agent.case import CaseFile, demo_case
from agent.desk import CallDesk
from agent.errors import ConfigurationError, LineError
from agent.events import Lang
from agent.live import CallOutcome, News
from agent.server import MAX_MESSAGE, media_app
from agent.telephony.simulator import load_scenario
from archive.transcript import read_call

ANSWER_LIMIT = 45.0
"""Seconds from dialling until the simulated borrower must have answered."""
CALL_LIMIT = 300.0
"""Seconds after which a demo call is given up: no scenario is that long."""


@dataclass(frozen=True, slots=True)
class DemoCall:
    """One finished demo call: the archive's document, the scenario's expectation, the borrower's own report."""

    document: dict[str, Any]
    expected: str
    report: dict[str, Any]
    outcome: CallOutcome

    @property
    def as_expected(self) -> bool:
        return bool(self.document["disposition"] == self.expected)


@contextlib.asynccontextmanager
async def serving(desk: CallDesk) -> AsyncIterator[str]:
    """Serve the media socket on a free port of the loopback interface; yields the WebSocket base URL."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    # Ctrl-C belongs to the program, not to its embedded server: hence serve's own core, without its signal handlers.
    config = uvicorn.Config(
        media_app(desk),
        log_config=None,
        access_log=False,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE,
        lifespan="off",
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve(sockets=[listener]))
    try:
        while not server.started:
            if task.done():
                await task
                raise ConfigurationError("the media server did not start")
            await asyncio.sleep(0.01)
        yield f"ws://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()


def daytime(case: CaseFile) -> datetime:
    """Half past ten of today in the borrower's time zone: the demo must be lawful at any hour it is run."""
    local = datetime.now(ZoneInfo(case.time_zone)).replace(hour=10, minute=30, second=0, microsecond=0)
    return local.astimezone(UTC)


async def demo_call(
    desk: CallDesk,
    base_url: str,
    lang: Lang,
    scenario: str,
    *,
    seed: int,
    listener: Callable[[News], None] | None = None,
    extra: tuple[str, ...] = (),
) -> DemoCall:
    """Place one call to a simulated borrower and wait for its end.

    Raises ``LineError`` if the borrower's process never answers or dies, besides what ``CallDesk.prepare`` raises.
    """
    case = demo_case(lang)
    call = await desk.prepare(case, lang, at=daytime(case), label=scenario, listener=listener)
    with tempfile.TemporaryDirectory(prefix="callgate-borrower-") as folder:
        report = Path(folder) / "report.json"
        command = (
            *(sys.executable, "-m", "agent.telephony.simulator"),
            *("--url", base_url + desk.expect(call), "--call-id", call.call_id),
            *("--scenario", scenario, "--lang", lang, "--seed", str(seed)),
            *("--out", folder, "--report", str(report)),
            *extra,
        )
        if listener is not None:
            listener(News("ringing", 0.0))
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            outcome = await _outcome(desk, call.call_id, call.outcome, process)
            async with asyncio.timeout(20.0):
                await process.communicate()
        except TimeoutError:
            raise LineError("the simulated borrower did not finish after the call had ended") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        heard = json.loads(report.read_text()) if report.exists() else {}
    document = await asyncio.to_thread(read_call, desk.database, desk.layout.home, call.call_id)
    return DemoCall(document, load_scenario(scenario, lang).expected_disposition, heard, outcome)


async def _outcome(
    desk: CallDesk, call_id: str, outcome: asyncio.Future[CallOutcome], process: asyncio.subprocess.Process
) -> CallOutcome:
    died = asyncio.create_task(process.wait())
    try:
        pending: set[asyncio.Future[Any]] = {outcome, died}
        await asyncio.wait(pending, timeout=CALL_LIMIT, return_when=asyncio.FIRST_COMPLETED)
        if not outcome.done() and died.done():
            # Its last messages may still be on their way through our side.
            await asyncio.wait({outcome}, timeout=15.0)
        if outcome.done():
            return outcome.result()
    finally:
        died.cancel()
    desk.forget(call_id)
    if process.returncode is None:
        raise LineError(f"the call did not end within {CALL_LIMIT:.0f} s")
    error = (await process.stderr.read()).decode(errors="replace").strip().splitlines() if process.stderr else []
    raise LineError(f"the simulated borrower stopped: {error[-1] if error else f'status {process.returncode}'}")
