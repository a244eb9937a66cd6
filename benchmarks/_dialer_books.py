"""What the simulated provider of the dialer's benchmark writes down: one line a dial, and who dialled when."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psycopg
import sqlalchemy as sa


def dial(folder: Path, contact: str, die: float) -> None:
    """What the provider does: note the dial, durably; with probability ``die`` the dialer is killed right after."""
    fd = os.open(folder / "dials", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.write(fd, f"{contact} {os.getpid()} {time.monotonic_ns()}\n".encode())
    os.close(fd)
    if die and random.random() < die:
        os.kill(os.getpid(), signal.SIGKILL)


def _lines(folder: Path) -> list[list[str]]:
    path = folder / "dials"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def dials(folder: Path) -> Counter[str]:
    """How often each contact was dialled."""
    return Counter(line[0] for line in _lines(folder))


def dialled(folder: Path) -> int:
    """How many dials there were, without reading who was dialled."""
    path = folder / "dials"
    return path.read_bytes().count(b"\n") if path.exists() else 0


def gaps(folder: Path) -> list[float]:
    """Milliseconds from one dial of a process to its next, for all processes: what an attempt costs there."""
    last: dict[str, int] = {}
    found: list[float] = []
    for _, process, at in _lines(folder):
        if process in last:
            found.append((int(at) - last[process]) / 1e6)
        last[process] = int(at)
    return found


def quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def conninfo(url: str) -> str:
    parsed = sa.make_url(url)
    return f"host={parsed.query['host']} user={parsed.username} dbname={parsed.database}"


def count(url: str, query: str) -> int:
    with psycopg.connect(conninfo(url)) as connection:
        row = connection.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0
