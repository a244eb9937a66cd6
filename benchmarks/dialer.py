"""Attempts a second through the ledger with four dialer processes on PostgreSQL, and double dials under kill -9.

The peers are two job queues on the same server, procrastinate and pgqueuer, doing the same job: "dial this contact
once". Each has four worker processes and the features it offers for it (a lock per contact; jobs of dead workers are
taken up again, as their manuals advise). A dial is a line that the simulated provider writes to a file of its own.

Ours does more for each attempt than a queue does: it recomputes the contact rules over the person's history, takes a
channel, and commits before and after the provider is asked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import _postgres
import psycopg
import sqlalchemy as sa

WORKERS = 4
MIDDAY = datetime(2026, 11, 18, 4, 0, tzinfo=UTC)
ROUND = timedelta(minutes=5)
"""How far the ledger's clock moves from one round of killed workers to the next: time in which the dead are missed."""


def dial(folder: Path, contact: str, die: float) -> None:
    """What the provider does: note the dial, durably; with probability ``die`` the dialer is killed right after."""
    fd = os.open(folder / "dials", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, f"{contact}\n".encode())
    os.close(fd)
    if die and random.random() < die:
        os.kill(os.getpid(), signal.SIGKILL)


def dials(folder: Path) -> Counter[str]:
    path = folder / "dials"
    return Counter(path.read_text().split()) if path.exists() else Counter()


# -- ours


def ours_fill(url: str, jobs: int) -> None:
    from campaigns.config import read_config
    from campaigns.models import Debt, Number, Person, PersonNumber
    from campaigns.planning import set_up
    from campaigns.store import open_campaigns

    database = open_campaigns(url)
    with database.write() as session:
        now = MIDDAY
        ids = range(1, jobs + 1)
        number = [f"+86138{10_000_000 + i}" for i in range(jobs + 1)]
        common = {"created_at": now, "updated_at": now}
        session.execute(
            sa.insert(Person),
            [{"id": i, "key": f"p{i}", "name": "n", "country": "CN", "consents": [], **common} for i in ids],
        )
        session.execute(sa.insert(Number), [{"number": number[i]} for i in ids])
        session.execute(sa.insert(PersonNumber), [{"person_id": i, "number": number[i], "position": 0} for i in ids])
        session.execute(
            sa.insert(Debt),
            [
                {
                    "lender": "L",
                    "account": f"A{i}",
                    "person_id": i,
                    "lang": "zh",
                    "time_zone": "Asia/Shanghai",
                    "region": "CN",
                    "amount_due": Decimal(100),
                    "currency": "CNY",
                    "due_date": date(2026, 11, 12),
                    "facts": {},
                    "state": "open",
                    "row_hash": "",
                    "as_of": date(2026, 11, 18),
                    **common,
                }
                for i in ids
            ],
        )
    config = {
        "name": "bench",
        "caller_ids": {"default": "+861055550100"},
        "trunk": {"name": "bench", "channels": 5000, "per_minute": 0},
    }
    set_up(database, read_config(config), MIDDAY, start=True)
    database.close()


def ours_worker(url: str, folder: Path, die: float) -> None:
    """The dialer's steps for each attempt, one after the other: reserve, dial, ask, placed, settled."""
    from campaigns.ledger import Ledger
    from campaigns.provider import DialOrder
    from campaigns.settling import CallResult, Settling
    from campaigns.store import open_campaigns

    began = time.time()

    begin = _round(0)

    def clock() -> datetime:
        return begin + timedelta(seconds=time.time() - began)

    database = open_campaigns(url)
    ledger, settling = Ledger(database, f"w{os.getpid()}", clock=clock), Settling(database, clock)
    ledger.beat()
    while reserved := ledger.reserve(1, 16, "bench"):
        for each in reserved:
            order = ledger.dial(each.attempt_id)
            if isinstance(order, DialOrder):
                dial(folder, str(order.contact_id), die)
                settling.progress("placed", attempt_id=order.attempt_id, provider_call_id=order.attempt_id)
                settling.settle(order.attempt_id, CallResult("promise_to_pay"))


def _round(ahead: int) -> datetime:
    return MIDDAY + ROUND * (int(os.environ.get("CALLGATE_BENCH_ROUND", "0")) + ahead)


def ours_recover(url: str, folder: Path) -> None:
    """What a healthy process does about dead ones: give reservations back, ask the provider about the rest."""
    from campaigns.ledger import Ledger
    from campaigns.provider import Absent, DialOrder, Found, Lookup
    from campaigns.reaper import reap
    from campaigns.settling import Settling
    from campaigns.store import open_campaigns

    class Books:
        name = "bench"

        async def place(self, order: DialOrder) -> str:
            raise AssertionError("a reaper does not dial")

        async def lookup(self, order: DialOrder) -> Lookup:
            known = dials(folder)[str(order.contact_id)]
            return Found(order.attempt_id, "ended", "promise_to_pay") if known else Absent()

        async def hang_up(self, order: DialOrder) -> None:
            return None

    database = open_campaigns(url)
    later = _round(1)
    ledger = Ledger(database, "reaper", clock=lambda: later)
    asyncio.run(reap(ledger, Settling(database, lambda: later), {"bench": Books()}))
    database.close()


def ours_left(url: str) -> int:
    return _count(url, "SELECT count(*) FROM campaign_contacts WHERE state IN ('waiting', 'live')")


# -- procrastinate


def _procrastinate(url: str, folder: Path, die: float) -> Any:
    import procrastinate

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=_conninfo(url), min_size=1, max_size=3))

    @app.task(name="dial", retry=3)
    async def dial_task(contact: str) -> None:
        dial(folder, contact, die)

    return app, dial_task


def procrastinate_fill(url: str, jobs: int) -> None:
    async def fill() -> None:
        app, task = _procrastinate(url, Path(), 0)
        async with app.open_async():
            await app.schema_manager.apply_schema_async()
            for i in range(jobs):
                await task.configure(lock=f"c{i}", queueing_lock=f"c{i}").defer_async(contact=str(i))

    asyncio.run(fill())


def procrastinate_worker(url: str, folder: Path, die: float) -> None:
    async def work() -> None:
        app, _ = _procrastinate(url, folder, die)
        async with app.open_async():
            await app.run_worker_async(concurrency=1, wait=False, listen_notify=False, install_signal_handlers=False)

    asyncio.run(work())


def procrastinate_recover(url: str, folder: Path) -> None:
    """Its manual's way: jobs whose worker no longer beats are put back."""

    async def recover() -> None:
        app, _ = _procrastinate(url, folder, 0)
        async with app.open_async():
            for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=0.1):
                await app.job_manager.retry_job(job)

    time.sleep(0.2)
    asyncio.run(recover())


def procrastinate_left(url: str) -> int:
    return _count(url, "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')")


# -- pgqueuer


def pgqueuer_fill(url: str, jobs: int) -> None:
    from pgqueuer.db import PsycopgDriver
    from pgqueuer.queries import Queries

    async def fill() -> None:
        connection = await psycopg.AsyncConnection.connect(_conninfo(url), autocommit=True)
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

    asyncio.run(fill())


def pgqueuer_worker(url: str, folder: Path, die: float) -> None:
    from pgqueuer import PgQueuer
    from pgqueuer.db import PsycopgDriver
    from pgqueuer.models import Job
    from pgqueuer.types import QueueExecutionMode

    async def work() -> None:
        connection = await psycopg.AsyncConnection.connect(_conninfo(url), autocommit=True)
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


def pgqueuer_recover(url: str, folder: Path) -> None:
    time.sleep(2.1)  # its workers take stale jobs up by themselves


def pgqueuer_left(url: str) -> int:
    return _count(url, "SELECT count(*) FROM pgqueuer")


# -- the runs


ENGINES = ("ours", "procrastinate", "pgqueuer")


def _call(engine: str, what: str, *arguments: Any) -> Any:
    return globals()[f"{engine}_{what}"](*arguments)


def _conninfo(url: str) -> str:
    parsed = sa.make_url(url)
    return f"host={parsed.query['host']} user={parsed.username} dbname={parsed.database}"


def _count(url: str, query: str) -> int:
    with psycopg.connect(_conninfo(url)) as connection:
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


def start(engine: str, url: str, folder: Path, die: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, "--worker", engine, url, str(folder), str(die)])


def throughput(engine: str, url: str, folder: Path, jobs: int) -> float:
    """Jobs a second from the first dial to the last: starting Python is nobody's merit."""
    os.environ["CALLGATE_BENCH_ROUND"] = "0"
    _call(engine, "fill", url, jobs)
    workers = [start(engine, url, folder, 0) for _ in range(WORKERS)]
    path = folder / "dials"
    while not path.exists() and any(w.poll() is None for w in workers):
        time.sleep(0.005)
    began = time.perf_counter()
    before = sum(dials(folder).values())
    while sum(dials(folder).values()) < jobs and any(w.poll() is None for w in workers):
        time.sleep(0.02)
    took = time.perf_counter() - began
    for worker in workers:
        worker.wait()
    done = sum(dials(folder).values())
    if done < jobs:
        raise RuntimeError(f"{engine} did {done} of {jobs} jobs")
    return (done - before) / took


def crashes(engine: str, url: str, folder: Path, jobs: int, die: float) -> tuple[int, int, int]:
    """Double dials, contacts never dialled, and kills, with workers that are killed right after dialling."""
    _call(engine, "fill", url, jobs)
    kills = 0
    for number in range(60):
        os.environ["CALLGATE_BENCH_ROUND"] = str(number)
        workers = [start(engine, url, folder, die) for _ in range(WORKERS)]
        for worker in workers:
            kills += worker.wait() == -signal.SIGKILL
        _call(engine, "recover", url, folder)
        if not _call(engine, "left", url):
            break
    else:
        raise RuntimeError(f"{engine} did not come to an end")
    counted = dials(folder)
    return sum(n - 1 for n in counted.values()), jobs - len(counted), kills


def measure(quick: bool) -> list[dict[str, Any]]:
    jobs, doomed, die = (400, 60, 0.1) if quick else (4000, 400, 0.05)
    rates: dict[str, float] = {}
    doubles: dict[str, tuple[int, int, int]] = {}
    folder = Path(tempfile.mkdtemp(prefix="callgate-bench-"))
    folder.chmod(0o755)
    server = _postgres.Server(folder / "pg")
    try:
        for engine in ENGINES:
            for what in ("rate", "crash"):
                books = folder / f"{engine}-{what}"
                books.mkdir()
                url = server.database(f"{engine}_{what}")
                if what == "rate":
                    rates[engine] = throughput(engine, url, books, jobs)
                else:
                    doubles[engine] = crashes(engine, url, books, doomed, die)
    finally:
        server.stop("immediate")
        shutil.rmtree(folder)
    figures = []
    for peer in ENGINES[1:]:
        figures.append(_figure("attempts per second, 4 processes", rates["ours"], rates[peer], peer, "1/s", jobs))
        kills = f"{doubles['ours'][2]} and {doubles[peer][2]} kills"
        mine, theirs = doubles["ours"][0], doubles[peer][0]
        figures.append(_figure(f"double dials under kill -9 ({kills})", mine, theirs, peer, "dials", doomed))
    return figures


def _figure(name: str, ours: float, peer: float, peer_name: str, unit: str, n: int) -> dict[str, Any]:
    ratio = round(ours / peer, 2) if peer else None
    return {
        "figure": name,
        "ours": round(ours, 1),
        "peer": round(peer, 1),
        "peer_name": peer_name,
        "ratio": ratio,
        "unit": unit,
        "n": n,
    }


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        _, _, engine, url, folder, die = sys.argv
        logging.disable(logging.CRITICAL)
        random.seed(os.getpid())
        _call(engine, "worker", url, Path(folder), float(die))
        return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer attempts")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if _postgres.binaries() is None:
        sys.stderr.write("PostgreSQL is not installed (Debian: apt-get install postgresql)\n")
        return 2
    try:
        import pgqueuer  # noqa: F401
        import procrastinate  # noqa: F401
    except ModuleNotFoundError as e:
        sys.stderr.write(f"the peer {e.name} is not installed: pip install procrastinate pgqueuer 'psycopg[binary]'\n")
        return 2
    figures = measure(options.quick)
    if options.json:
        print(json.dumps(figures, ensure_ascii=False, indent=1))
        return 0
    for row in figures:
        print(
            f"{row['figure']:48} {row['ours']:>9} {row['unit']:6} {row['peer_name']:14} {row['peer']:>9}  "
            f"x{row['ratio']}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
