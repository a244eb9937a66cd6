"""pgqueuer doing the dialer's job: "dial this contact once", with a deduplication key a contact."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from pathlib import Path

import psycopg
from _dialer_books import conninfo, count, dial


def fill(url: str, jobs: int) -> None:
    from pgqueuer.db import PsycopgDriver
    from pgqueuer.queries import Queries

    async def enter() -> None:
        connection = await psycopg.AsyncConnection.connect(conninfo(url), autocommit=True)
        queries = Queries(PsycopgDriver(connection))
        await queries.install()
        for start in range(0, jobs, 500):
            part = range(start, min(start + 500, jobs))
            await queries.enqueue(
                ["dial"] * len(part),
                [str(i).encode() for i in part],
                [0] * len(part),
                dedupe_key=[f"c{i}" for i in part],
            )
        await connection.close()

    asyncio.run(enter())


def worker(url: str, folder: Path, die: float) -> None:
    from pgqueuer import PgQueuer
    from pgqueuer.db import PsycopgDriver
    from pgqueuer.models import Job
    from pgqueuer.types import QueueExecutionMode

    async def work() -> None:
        connection = await psycopg.AsyncConnection.connect(conninfo(url), autocommit=True)
        queuer = PgQueuer(PsycopgDriver(connection))

        @queuer.entrypoint("dial")
        async def dial_job(job: Job) -> None:
            dial(folder, (job.payload or b"").decode(), die)

        # The heartbeat is how it finds jobs of dead workers. Its default where nobody is killed; two seconds where
        # workers are, so that the benchmark ends.
        heartbeat = timedelta(seconds=2 if die else 30)
        await queuer.run(batch_size=16, mode=QueueExecutionMode.drain, heartbeat_timeout=heartbeat)
        await connection.close()

    asyncio.run(work())


def recover(url: str, folder: Path) -> None:
    time.sleep(2.1)  # its workers take stale jobs up by themselves


def left(url: str) -> int:
    return count(url, "SELECT count(*) FROM pgqueuer")
