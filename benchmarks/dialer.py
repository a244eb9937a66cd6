"""Attempts a second through the ledger with four dialer processes on PostgreSQL, and double dials under kill -9.

The peers are two job queues on the same server, procrastinate and pgqueuer, doing the same job: "dial this contact
once". Each has four worker processes and the features it offers for it (a lock per contact; jobs of dead workers are
taken up again, as their manuals advise). A dial is a line that the simulated provider writes to a file of its own.

Ours does more for each attempt than a queue does: it recomputes the contact rules over the person's history, takes a
channel, and commits before and after the provider is asked. The engines take turns, run by run, so that a machine
that grows slower grows slower for all of them.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import logging
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import _postgres
from _dialer_books import dialled, dials, gaps, quantile

WORKERS = 4
ROUNDS = 60
ENGINES = ("ours", "procrastinate", "pgqueuer")


@dataclass(slots=True)
class Measured:
    """Of one engine: attempts a second of each run, ms between a process's dials, and what kills did to it."""

    rates: list[float] = field(default_factory=list)
    gaps: list[float] = field(default_factory=list)
    doubles: int = 0
    missed: int = 0
    kills: int = 0


def call(engine: str, what: str, *arguments: Any) -> Any:
    """``fill``, ``worker``, ``recover`` or ``left`` of an engine's own module."""
    return getattr(importlib.import_module(f"_dialer_{engine}"), what)(*arguments)


def start(engine: str, url: str, folder: Path, die: float) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, __file__, "--worker", engine, url, str(folder), str(die)])


def throughput(engine: str, url: str, folder: Path, jobs: int) -> float:
    """Jobs a second from the first dial to the last: starting Python is nobody's merit."""
    os.environ["CALLGATE_BENCH_ROUND"] = "0"
    call(engine, "fill", url, jobs)
    workers = [start(engine, url, folder, 0) for _ in range(WORKERS)]
    path = folder / "dials"
    while not path.exists() and any(w.poll() is None for w in workers):
        time.sleep(0.005)
    began = time.perf_counter()
    before = dialled(folder)
    while dialled(folder) < jobs and any(w.poll() is None for w in workers):
        time.sleep(0.02)
    took = time.perf_counter() - began
    for worker in workers:
        worker.wait()
    done = dialled(folder)
    if done < jobs:
        raise RuntimeError(f"{engine} did {done} of {jobs} jobs")
    return (done - before) / took


def crashes(engine: str, url: str, folder: Path, jobs: int, die: float) -> tuple[int, int, int]:
    """Double dials, contacts never dialled, and kills, with workers that are killed right after dialling."""
    call(engine, "fill", url, jobs)
    kills = 0
    for number in range(ROUNDS):
        os.environ["CALLGATE_BENCH_ROUND"] = str(number)
        workers = [start(engine, url, folder, die) for _ in range(WORKERS)]
        for worker in workers:
            kills += worker.wait() == -signal.SIGKILL
        call(engine, "recover", url, folder)
        if not call(engine, "left", url):
            break
    else:
        raise RuntimeError(f"{engine} did not come to an end")
    counted = dials(folder)
    return sum(n - 1 for n in counted.values()), jobs - len(counted), kills


def measure(jobs: int, doomed: int, die: float, runs: int) -> list[dict[str, Any]]:
    """All figures: ``runs`` runs of ``jobs`` attempts for the rate, and as many of ``doomed`` under kills."""
    found = {engine: Measured() for engine in ENGINES}
    folder = Path(tempfile.mkdtemp(prefix="callgate-bench-"))
    folder.chmod(0o755)
    server = _postgres.Server(folder / "pg")
    try:
        for run in range(runs):
            for engine, mine in found.items():
                books = [folder / f"{engine}-{what}-{run}" for what in ("rate", "crash")]
                for each in books:
                    each.mkdir()
                mine.rates.append(throughput(engine, server.database(books[0].name.replace("-", "_")), books[0], jobs))
                mine.gaps += gaps(books[0])
                url = server.database(books[1].name.replace("-", "_"))
                doubles, missed, kills = crashes(engine, url, books[1], doomed, die)
                mine.doubles, mine.missed, mine.kills = mine.doubles + doubles, mine.missed + missed, mine.kills + kills
    finally:
        server.stop("immediate")
        shutil.rmtree(folder)
    return [row for peer in ENGINES[1:] for row in figures(found["ours"], found[peer], peer, (jobs, doomed), runs)]


def figures(ours: Measured, peer: Measured, name: str, sizes: tuple[int, int], runs: int) -> list[dict[str, Any]]:
    jobs, doomed = sizes
    rates = statistics.median(ours.rates), statistics.median(peer.rates)
    told = f"{WORKERS} processes, {runs} runs"
    rows = [
        (f"attempts per second, median ({told})", *rates, "1/s", jobs * runs),
        (f"one attempt, median ({told})", quantile(ours.gaps, 0.5), quantile(peer.gaps, 0.5), "ms", len(ours.gaps)),
        (f"one attempt, p95 ({told})", quantile(ours.gaps, 0.95), quantile(peer.gaps, 0.95), "ms", len(ours.gaps)),
        (f"double dials under kill -9 ({ours.kills} and {peer.kills} kills)", ours.doubles, peer.doubles, "dials",
         doomed * runs),
        ("contacts never dialled, of the same", ours.missed, peer.missed, "dials", doomed * runs),
    ]  # fmt: skip
    return [_figure(figure, mine, theirs, name, unit, n) for figure, mine, theirs, unit, n in rows]


def _figure(name: str, ours: float, peer: float, peer_name: str, unit: str, n: int) -> dict[str, Any]:
    return {
        "figure": name,
        "ours": round(ours, 2),
        "peer": round(peer, 2),
        "peer_name": peer_name,
        "ratio": round(ours / peer, 2) if peer else None,
        "unit": unit,
        "n": n,
    }


def main() -> int:
    if sys.argv[1:2] == ["--worker"]:
        _, _, engine, url, folder, die = sys.argv
        logging.disable(logging.CRITICAL)
        random.seed(os.getpid())
        call(engine, "worker", url, Path(folder), float(die))
        return 0
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer attempts")
    parser.add_argument("--runs", type=int, default=0, help="runs of each engine (default: 5; with --quick 3)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    if _postgres.binaries() is None:
        sys.stderr.write("PostgreSQL is not installed (Debian: apt-get install postgresql)\n")
        return 2
    for peer in ENGINES[1:]:
        if importlib.util.find_spec(peer) is None:
            sys.stderr.write(
                f"the peer {peer} is not installed: pip install procrastinate pgqueuer 'psycopg[binary]'\n"
            )
            return 2
    jobs, doomed, die, runs = (400, 60, 0.1, 3) if options.quick else (4000, 400, 0.05, 5)
    rows = measure(jobs, doomed, die, max(1, options.runs or runs))
    if options.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return 0
    for row in rows:
        print(
            f"{row['figure']:58} {row['ours']:>9} {row['unit']:6} {row['peer_name']:14} {row['peer']:>9}  "
            f"x{row['ratio']}  n={row['n']}"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
