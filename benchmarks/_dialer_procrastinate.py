"""procrastinate doing the dialer's job: "dial this contact once", with a lock a contact and retries."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

from _dialer_books import conninfo, count, dial


def _app(url: str, folder: Path, die: float) -> Any:
    import procrastinate

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=conninfo(url), min_size=1, max_size=3))

    @app.task(name="dial", retry=3)
    async def dial_task(contact: str) -> None:
        dial(folder, contact, die)

    return app, dial_task


def fill(url: str, jobs: int) -> None:
    async def enter() -> None:
        app, task = _app(url, Path(), 0)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            for i in range(jobs):
                await task.configure(lock=f"c{i}", queueing_lock=f"c{i}").defer_async(contact=str(i))

    asyncio.run(enter())


def worker(url: str, folder: Path, die: float) -> None:
    async def work() -> None:
        app, _ = _app(url, folder, die)
        async with app.open_async():
            await app.run_worker_async(concurrency=1, wait=False, listen_notify=False, install_signal_handlers=False)

    asyncio.run(work())


def recover(url: str, folder: Path) -> None:
    """Its manual's way: jobs whose worker no longer beats are put back."""

    async def put_back() -> None:
        app, _ = _app(url, folder, 0)
        async with app.open_async():
            for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=0.1):
                await app.job_manager.retry_job(job)

    time.sleep(0.2)
    asyncio.run(put_back())


def left(url: str) -> int:
    return count(url, "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")
