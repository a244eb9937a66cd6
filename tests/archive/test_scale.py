"""Lists, search and charts stay quick over many calls: timed on an archive filled past the program, row by row."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from agent.events import Disposition
from archive.dashboards import Dashboards
from archive.models import Call, CallText, Summary, SummaryReason, Turn
from archive.queries import CallFilter, CallQueries
from archive.summaries import doc_of
from archive.tokens import index_tokens

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any

CALLS, TURNS = 20_000, 8
START = datetime(2026, 1, 5, tzinfo=UTC)
SAID = ("我下个月十五号还款三千五", "你们再打电话我就投诉", "I lost my job last month", "wrong number", "好的", "请讲")
TOKENS = [index_tokens(f"您好 hello 还款 {said} {said[:4]}") for said in SAID]
LIMIT_MS = 150.0
"""A fifth of the calls for which 150 ms is the target: the rest is left to machines with other work."""


def fill(archive: Archive) -> None:
    rng = random.Random(7)
    outcomes = get_args(Disposition)
    batch: dict[type, list[dict[str, Any]]] = {m: [] for m in (Call, Turn, Summary, SummaryReason, CallText)}
    with archive.database.write() as session:
        for index in range(CALLS):
            call_id, at = str(uuid.UUID(int=rng.getrandbits(128), version=4)), START + timedelta(minutes=4 * index)
            shared = {
                "lang": "zh" if index % 2 else "en",
                "status": "ended",
                "disposition": rng.choice(outcomes),
                "campaign": f"campaign-{index * 12 // CALLS}",
                "script_id": f"script-{index % 5}",
            }
            call = {"id": call_id, "models": {}, "started_at": at, "response_gap_n": 0}
            batch[Call].append({**shared, **call})
            batch[Turn] += [
                {"call_id": call_id, "seq": n, "recorded_at": at, "who": "agent", "start": n, "end": n + 1,
                 "text": SAID[(index + n) % len(SAID)], "words": [], "intents": [], "slots": {}, "scores": {},
                 "interrupted": False}
                for n in range(TURNS)
            ]  # fmt: skip
            severity = rng.choice((0, 0, 0, 0, 1, 2, 3, 4))
            zeros = dict.fromkeys(("positive", "anxious", "sad", "frustrated", "angry", "refusals"), 0)
            flags = dict.fromkeys(("right_party", "opt_out", "complaint"), False)
            batch[Summary].append(
                {"doc": doc_of(at), "call_id": call_id, "review": "open" if severity else "none",
                 "severity": severity, "flags": int(severity > 0), "seconds": 60.0, "turns": TURNS,
                 "borrower_turns": 4, "valence_sum": rng.uniform(-4, 4), "arousal_sum": 1.0, **shared, **zeros, **flags}
            )  # fmt: skip
            if severity:
                reason = "crisis" if index % 997 == 0 else "low_confidence"
                batch[SummaryReason].append({"reason": reason, "doc": doc_of(at), "severity": severity})
            rare = " 雷霆 thunder" if index % 1999 == 0 else ""
            batch[CallText].append({"doc": doc_of(at), "tokens": TOKENS[index % len(TOKENS)] + rare})
            if index % 1000 == 999:
                for model, rows in batch.items():
                    if rows:
                        session.execute(sa.insert(model), rows)
                        rows.clear()
    with archive.database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("ANALYZE")


QUERIES: dict[str, Callable[[Session], Any]] = {
    "newest": lambda s: CallQueries(s).page(CallFilter()),
    "queue": lambda s: CallQueries(s).page(CallFilter(review="open"), order="severity"),
    "queue, page 100": lambda s: CallQueries(s).page(
        CallFilter(review="open"), order="severity", cursor=f"2.{doc_of(START + timedelta(days=20))}"
    ),
    "rare reason": lambda s: CallQueries(s).page(CallFilter(reason="crisis")),
    "rare outcome of a campaign": lambda s: CallQueries(s).page(
        CallFilter(disposition=("failed",), campaign="campaign-3", lang="zh")
    ),
    "common word": lambda s: CallQueries(s).page(CallFilter(text="还款 hello")),
    "rare word": lambda s: CallQueries(s).page(CallFilter(text="thunder")),
    "common word in a campaign": lambda s: CallQueries(s).page(CallFilter(text="还款", campaign="campaign-1")),
    "totals": lambda s: Dashboards(s).totals(CallFilter()),
    "by day": lambda s: Dashboards(s).over_time("day", CallFilter()),
    "by script": lambda s: Dashboards(s).by("script_id", CallFilter(campaign="campaign-2")),
    "reasons": lambda s: CallQueries(s).reasons(CallFilter()),
}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_queries_stay_quick(archive: Archive) -> None:
    fill(archive)
    slow = {}
    for name, query in QUERIES.items():
        times = []
        for _ in range(12):
            with archive.database.read() as session:
                started = time.perf_counter()
                assert query(session)
                times.append((time.perf_counter() - started) * 1000)
        p50, p95 = np.percentile(times[2:], (50, 95))
        print(f"{archive.database.engine.dialect.name:10} {name:28} p50 {p50:6.1f} ms  p95 {p95:6.1f} ms")
        if p50 > LIMIT_MS:  # the median: on a shared machine the 95th percentile is its neighbours'
            slow[name] = p50
    assert not slow
