"""How long the console's pages take over many calls: p95 over HTTP of the queue, search and the dashboard.

The peer is what a first version would ask of the same rows: OFFSET for pages, LIKE for search, sums over the turns for
charts. It is given an advantage: only its queries are timed, with no HTTP, no sign-in and no page around them.

    python benchmarks/console.py [--quick | --full] [--json]

100,000 calls of 3 turns; ``--full``: of 30 turns (three million); ``--quick``: 5,000 calls. On SQLite, and on
PostgreSQL where its programs are installed.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import re
import statistics
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa
import uvicorn

# This file is called like the package that it measures: its folder must not come first.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.append(str(Path(__file__).resolve().parent))
import _postgres

from archive.database import Database, open_database
from archive.layout import Layout
from archive.models import Base, Call, CallText, Flag, Summary, SummaryReason, Turn
from archive.summaries import doc_of
from archive.tokens import index_tokens, warm_up
from console.app import create_app
from console.context import Context
from console.people import People
from sentiment.corpus import __file__ as corpus_file

PEER = "OFFSET, LIKE and sums over turns (queries alone)"
WEIGHT_LIMIT_KB = 600.0
REASONS = (
    ("crisis", "critical", 4),
    ("complaint", "high", 3),
    ("stop_contact", "medium", 2),
    ("long_silence", "low", 1),
)
OUTCOMES = ("promise_to_pay", "hung_up", "voicemail", "refused", "disputed", "human_handoff", "wrong_number")
EMOTIONS = ("neutral", "positive", "anxious", "sad", "frustrated", "angry")
SEARCHES = ("分期", "投诉", "下周", "lawyer", "complain", "利息太高", "sick", "失业", "next week", "法院")
BATCH = 2000


def sentences() -> list[tuple[str, str, tuple[str, ...]]]:
    """``(lang, text, its tokens)`` of the labelled corpus."""
    found = []
    for line in (Path(corpus_file).parent / "hand.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found.append((row["lang"], row["text"], tuple(index_tokens(row["text"]).split())))
    return found


def rows(calls: int, turns: int) -> Iterator[dict[type[Base], list[dict[str, Any]]]]:
    """Each call's rows by table. Deterministic."""
    rng, said = random.Random(7), sentences()
    by_lang = {lang: [s for s in said if s[0] == lang] for lang in ("zh", "en")}
    last = datetime(2026, 11, 20, tzinfo=UTC)
    for number in range(calls):
        lang = "zh" if rng.random() < 0.6 else "en"
        call_id = str(uuid.UUID(int=rng.getrandbits(128)))
        started = last - timedelta(seconds=number * 60 + rng.random())
        flag = rng.choice(REASONS) if rng.random() < 0.15 else None
        spoken = [rng.choice(by_lang[lang]) for _ in range(turns)]
        emotions = rng.choices(EMOTIONS, (70, 5, 7, 5, 8, 5), k=turns)
        theirs = [emotion for index, emotion in enumerate(emotions) if index % 2]
        same = {
            "lang": lang, "status": "ended", "disposition": rng.choice(OUTCOMES), "campaign": f"campaign {number % 12}",
            "script_id": "days_1_15_reminder", "stage": f"days {number % 4 * 15 + 1}", "scenario": None,
        }  # fmt: skip
        call = {
            **same, "id": call_id, "case_id": None, "person_id": None, "script_hash": None, "policy": "cn",
            "policy_hash": None, "models": {}, "started_at": started, "answered_at": started,
            "ended_at": started + timedelta(seconds=90), "response_gap_n": 0,
        }  # fmt: skip
        summary = {
            **same, "doc": doc_of(started), "call_id": call_id, "review": "open" if flag else "none",
            "severity": flag[2] if flag else 0, "flags": int(flag is not None), "seconds": 90.0, "turns": turns,
            "borrower_turns": len(theirs), "valence_sum": 0.1, "arousal_sum": 0.1, "refusals": 0, "right_party": True,
            "opt_out": False, "complaint": False, "gap_p95_ms": 700.0,
            **{name: theirs.count(name) for name in EMOTIONS[1:]},
        }  # fmt: skip
        utterances = [
            {
                "call_id": call_id, "seq": seq, "recorded_at": started, "who": "borrower" if seq % 2 else "agent",
                "start": seq * 3.0, "end": seq * 3.0 + 2.0, "text": text, "words": [], "intents": [], "slots": {},
                "scores": {}, "emotion": emotion, "valence": 0.1, "arousal": 0.1, "interrupted": False,
            }
            for seq, ((_, text, _), emotion) in enumerate(zip(spoken, emotions, strict=True))
        ]  # fmt: skip
        tokens = " ".join(dict.fromkeys(token for _, _, each in spoken for token in each))
        made: dict[type[Base], list[dict[str, Any]]] = {
            Call: [call], Turn: utterances, Summary: [summary], CallText: [{"doc": summary["doc"], "tokens": tokens}],
            Flag: [], SummaryReason: [],
        }  # fmt: skip
        if flag is not None:
            made[Flag].append(
                {
                    "call_id": call_id,
                    "seq": 0,
                    "at": 1.0,
                    "recorded_at": started,
                    "reason": flag[0],
                    "severity": flag[1],
                }
            )
            made[SummaryReason].append({"reason": flag[0], "doc": summary["doc"], "severity": flag[2]})
        yield made


def load(database: Database, calls: int, turns: int) -> None:
    source = rows(calls, turns)
    while batch := list(islice(source, max(1, BATCH * 3 // turns))):
        with database.write() as session:
            for table in (Call, Turn, Flag, Summary, SummaryReason, CallText):
                values = [row for call in batch for row in call[table]]
                if values:
                    session.execute(sa.insert(table), values)
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text("ANALYZE"))


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


def p95(work: Sequence[Callable[[], object]]) -> float:
    """Milliseconds, after one round that is not counted."""
    work[0]()
    taken = []
    for each in work:
        begun = time.perf_counter()
        each()
        taken.append((time.perf_counter() - begun) * 1000)
    return statistics.quantiles(taken, n=20, method="inclusive")[-1]


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


def measure(name: str, database: Database, home: Path, calls: int, turns: int, times: int) -> list[dict[str, Any]]:
    load(database, calls, turns)
    sys.stderr.write(f"{name}: {calls} calls, {calls * turns} turns loaded\n")

    def ask(*queries: str, **values: object) -> Callable[[], object]:
        def run() -> object:
            with database.read() as session:
                return [session.execute(sa.text(query), values).all() for query in queries]

        return run

    few = max(3, times // 4)
    with serving(Context(database, home)) as client:
        ours = {
            "queue": p95(queue_pages(client, times)),
            "search": p95([page(client, f"/queue?q={SEARCHES[n % len(SEARCHES)]}&review=all&order=newest") for n in range(times)]),  # noqa: E501
            "dashboard": p95([page(client, "/dashboard") for _ in range(few)]),
        }  # fmt: skip
        weight = _weight(client) if name == "SQLite" else None
    charts = [NAIVE_CHART.format(by=by) for by in ("campaign", "disposition", "stage")]
    theirs = {
        "queue": p95([ask(NAIVE_QUEUE, NAIVE_COUNT, offset=50 * n) for n in range(few)]),
        "search": p95([ask(NAIVE_SEARCH, text=f"%{SEARCHES[n % len(SEARCHES)]}%") for n in range(few)]),
        "dashboard": p95([ask(*charts) for _ in range(3)]),
    }
    figures = [
        _figure(
            f"{what} p95, {name}, {calls} calls, {calls * turns} turns", ours[what], theirs[what], PEER, "ms", times
        )
        for what in ours
    ]
    if weight is not None:
        figures.append(
            _figure("weight of the heaviest page beside the charts", weight, WEIGHT_LIMIT_KB, "600 kB", "kB", 3)
        )
    return figures


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
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warm_up()
    calls, turns, times = (5000, 6, 20) if options.quick else (100_000, 30 if options.full else 3, 40)
    figures = []
    with tempfile.TemporaryDirectory(prefix="callgate-console-") as folder:
        # PostgreSQL's own user must reach its folder.
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        database = open_database(Layout(home).database_url)
        figures += measure("SQLite", database, home, calls, turns, times)
        database.close()
        if _postgres.binaries() is None:
            sys.stderr.write("PostgreSQL is not installed (Debian: apt-get install postgresql): left out\n")
        else:
            server = _postgres.Server(Path(folder) / "postgres")
            try:
                database = open_database(server.database("console"))
                figures += measure("PostgreSQL", database, home, calls, turns, times)
                database.close()
            finally:
                server.stop("immediate")
    if options.json:
        print(json.dumps(figures))
    else:
        for each in figures:
            print(f"{each['figure']}: {each['ours']} {each['unit']} (peer {each['peer']}, ratio {each['ratio']})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
