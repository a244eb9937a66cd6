"""How long the console's pages take over many calls: p50 and p95 over HTTP of the queue, search and the dashboard.

The peer is what a first version would ask of the same rows: OFFSET for pages, LIKE for search, sums over the turns for
charts. It is given an advantage: only its queries are timed, with no HTTP, no sign-in and no page around them. No page
is asked for twice with the same selection, so nothing that the console keeps for a moment is measured.

    python benchmarks/console.py [--quick | --full] [--json]
    python benchmarks/console.py --url sqlite:////var/calls/archive.db     # an archive that is there already

100,000 calls of 3 turns; ``--full``: of 30 turns (three million; entering them takes minutes); ``--quick``: 5,000
calls. On SQLite, and on PostgreSQL where its programs are installed.
"""

from __future__ import annotations

import argparse
import json
import logging
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
import uvicorn

# This file is called like the package that it measures: its folder must not come first.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.append(str(Path(__file__).resolve().parent))
import _postgres
from _calls import load

from archive.database import Database, open_database
from archive.layout import Layout
from archive.models import Call, Turn
from archive.rollups import refresh
from archive.tokens import warm_up
from console.app import create_app
from console.context import Context
from console.people import People

PEER = "OFFSET, LIKE and sums over turns (queries alone)"
WEIGHT_LIMIT_KB = 600.0
SEARCHES = ("分期", "投诉", "下周", "lawyer", "complain", "利息太高", "sick", "失业", "next week", "法院")
SPLITS = ("campaign", "disposition", "stage", "hour", "script_id", "lang")
PEERS = 3
"""How often the peer is asked: it may take a minute."""


@contextmanager
def serving(context: Context) -> Iterator[httpx.Client]:
    """The console on a free port, asked with a supervisor's key."""
    with context.database.write() as session:
        key = People(session).make_key("benchmark", "supervisor", by="benchmark")
    config = uvicorn.Config(create_app(context), host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    headers = {"authorization": f"Bearer {key}", "accept": "text/html"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers, timeout=120) as client:
        yield client
    server.should_exit = True
    thread.join()


def timed(work: Sequence[Callable[[], object]]) -> tuple[float, float, float]:
    """The median and the 95th percentile in milliseconds, after one round that is not counted; and the 95th percentile
    of this process's processor time, the asking client's among it: what is left of the first two on a machine that
    others are busy on."""
    work[0]()
    taken, cpu = [], []
    for each in work:
        begun, spent = time.perf_counter(), time.process_time()
        each()
        taken.append((time.perf_counter() - begun) * 1000)
        cpu.append((time.process_time() - spent) * 1000)
    return statistics.median(taken), _p95(taken), _p95(cpu)


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20, method="inclusive")[-1]


def page(client: httpx.Client, path: str) -> Callable[[], object]:
    def ask() -> object:
        return client.get(path).raise_for_status().content

    return ask


def queue_pages(client: httpx.Client, times: int) -> list[Callable[[], object]]:
    """Page after page of the open queue, each by the cursor of the one before."""
    paths, path = [], "/queue"
    while len(paths) < times:
        paths.append(path)
        found = re.search(r"cursor=([\d.]+)", client.get(path).raise_for_status().text)
        path = f"/queue?cursor={found.group(1)}" if found else "/queue"
    return [page(client, each) for each in paths]


NAIVE_QUEUE = """
SELECT c.id, c.started_at,
MAX(CASE f.severity WHEN 'critical' THEN 4 WHEN 'high' THEN 3 WHEN 'medium' THEN 2 ELSE 1 END) AS worst
 FROM calls c JOIN flags f ON f.call_id = c.id GROUP BY c.id, c.started_at
ORDER BY worst DESC, c.started_at DESC LIMIT 50 OFFSET :offset"""
NAIVE_COUNT = "SELECT COUNT(DISTINCT call_id) FROM flags"
NAIVE_SEARCH = """
SELECT c.id, c.started_at FROM calls c WHERE EXISTS
(SELECT 1 FROM turns t WHERE t.call_id = c.id AND LOWER(t.text) LIKE :text) ORDER BY c.started_at DESC LIMIT 50"""
NAIVE_CHART = """
SELECT c.{by}, COUNT(DISTINCT c.id), COUNT(t.id), AVG(t.valence), SUM(CASE t.emotion WHEN 'angry' THEN 1 ELSE 0 END)
FROM calls c JOIN turns t ON t.call_id = c.id GROUP BY c.{by}"""


def measure(name: str, database: Database, home: Path, times: int) -> list[dict[str, Any]]:
    def ask(*queries: str, **values: object) -> Callable[[], object]:
        def run() -> object:
            with database.read() as session:
                return [session.execute(sa.text(query), values).all() for query in queries]

        return run

    with database.read() as session:
        counts = [session.scalar(sa.select(sa.func.count()).select_from(table)) or 0 for table in (Call, Turn)]
        newest = session.scalar(sa.select(sa.func.max(Call.started_at)))
    assert newest is not None
    size = f"{counts[0]} calls, {counts[1]} turns"
    last = newest.date()

    def days(n: int) -> str:
        first = last - timedelta(days=29 + n % 7)
        return f"/dashboard?by={SPLITS[n % len(SPLITS)]}&from={first}&to={last - timedelta(days=n // 7)}"

    with serving(Context(database, home)) as client:
        ours = {
            "queue": timed(queue_pages(client, times)),
            "search": timed([page(client, f"/queue?q={SEARCHES[n % len(SEARCHES)]}&review=all&order=newest") for n in range(times)]),  # noqa: E501
            "dashboard": timed([page(client, days(n)) for n in range(times)]),
        }  # fmt: skip
        weight = _weight(client) if name == "SQLite" else None
    charts = [NAIVE_CHART.format(by=by) for by in ("campaign", "disposition", "stage")]
    theirs = {
        "queue": timed([ask(NAIVE_QUEUE, NAIVE_COUNT, offset=50 * n) for n in range(PEERS)]),
        "search": timed([ask(NAIVE_SEARCH, text=f"%{SEARCHES[n % len(SEARCHES)]}%") for n in range(PEERS)]),
        "dashboard": timed([ask(*charts) for _ in range(PEERS)]),
    }
    figures = [
        {
            **_figure(f"{what} p95, {name}, {size}", p95, theirs[what][1], PEER, "ms", times), "p50": round(p50, 1),
            "cpu_p95": round(cpu, 1),
        }
        for what, (p50, p95, cpu) in ours.items()
    ]  # fmt: skip
    if weight is not None:
        figures.append(
            _figure("weight of the heaviest page beside the charts", weight, WEIGHT_LIMIT_KB, "600 kB", "kB", 3)
        )
    return figures


def filled(name: str, database: Database, calls: int, turns: int) -> None:
    with database.read() as session:
        if session.scalar(sa.select(Call.id).limit(1)) is not None:
            return  # an earlier run's
    begun = time.perf_counter()
    load(database, calls, turns)
    while refresh(database):
        pass
    sys.stderr.write(f"{name}: {calls} calls, {calls * turns} turns entered in {time.perf_counter() - begun:.0f} s\n")


def _weight(client: httpx.Client) -> float:
    """The heaviest of three pages with all that it loads, uncompressed, without the chart library; kB."""
    weights = []
    calls = re.search(r"/calls/[0-9a-f-]{36}", client.get("/queue").text)
    for path in ("/queue", "/dashboard", *([calls.group()] if calls else [])):
        text = client.get(path).raise_for_status().text
        parts = {each for each in re.findall(r'(?:src|href)="(/static/[^"]+)"', text) if "echarts" not in each}
        weights.append(len(text.encode()) + sum(len(client.get(each).raise_for_status().content) for each in parts))
    return max(weights) / 1000


def _figure(name: str, ours: float, peer: float, peer_name: str, unit: str, n: int) -> dict[str, Any]:
    return {
        "figure": name, "ours": round(ours, 1), "peer": round(peer, 1), "peer_name": peer_name,
        "ratio": round(ours / peer, 3) if peer else None, "unit": unit, "n": n,
    }  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="5,000 calls")
    parser.add_argument("--full", action="store_true", help="100,000 calls of 30 turns")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="leave the archives there, and measure those of an earlier run"
    )
    parser.add_argument("--url", help="measure this archive as it is")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warm_up()
    calls, turns, times = (5000, 6, 20) if options.quick else (100_000, 30 if options.full else 3, 40)
    with tempfile.TemporaryDirectory(prefix="callgate-console-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)  # PostgreSQL's own user must reach its folder
        figures = _given(options.url, folder, times) if options.url else _made(folder, calls, turns, times)
    if options.json:
        print(json.dumps(figures))
    else:
        for each in figures:
            median = f", p50 {each['p50']}, processor p95 {each['cpu_p95']}" if "p50" in each else ""
            print(
                f"{each['figure']}: {each['ours']} {each['unit']}{median} (peer {each['peer']}, ratio {each['ratio']})"
            )
    return 0


def _given(url: str, home: Path, times: int) -> list[dict[str, Any]]:
    database = open_database(url)
    try:
        return measure("SQLite" if database.engine.dialect.name == "sqlite" else "PostgreSQL", database, home, times)
    finally:
        database.close()


def _made(folder: Path, calls: int, turns: int, times: int) -> list[dict[str, Any]]:
    home = folder / "home"
    home.mkdir(mode=0o700, exist_ok=True)
    database = open_database(Layout(home).database_url)
    filled("SQLite", database, calls, turns)
    figures = measure("SQLite", database, home, times)
    database.close()
    if _postgres.binaries() is None:
        sys.stderr.write("PostgreSQL is not installed (Debian: apt-get install postgresql): left out\n")
        return figures
    server = _postgres.Kept(folder / "postgres", "shared_buffers=512MB")
    try:
        database = open_database(server.database("console"))
        filled("PostgreSQL", database, calls, turns)
        figures += measure("PostgreSQL", database, home, times)
        database.close()
    finally:
        server.stop("fast")
    return figures


if __name__ == "__main__":
    raise SystemExit(main())
