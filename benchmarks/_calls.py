"""Many calls to measure with, entered in bulk: SQLite by ``executemany``, PostgreSQL by ``COPY``."""

from __future__ import annotations

import json
import random
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from archive.database import Database
from archive.models import Base, Call, CallText, Flag, Summary, SummaryReason, SummaryRule, Turn
from archive.summaries import EMOTIONS as COUNTED
from archive.summaries import doc_of
from archive.tokens import index_tokens
from sentiment.corpus import __file__ as corpus_file

LAST = datetime(2026, 11, 20, tzinfo=UTC)
REASONS = (
    ("crisis", "critical", 4),
    ("complaint", "high", 3),
    ("stop_contact", "medium", 2),
    ("long_silence", "low", 1),
)
OUTCOMES = ("promise_to_pay", "hung_up", "voicemail", "refused", "disputed", "human_handoff", "wrong_number")
RULES = (("threat.police", "threat"), ("disclosure.debt", "privacy"), ("fees.extra", "amount"))
EMOTIONS = ("neutral", *COUNTED)
TABLES: tuple[type[Base], ...] = (Call, Turn, Flag, Summary, SummaryReason, SummaryRule, CallText)
CALLS_AT_ONCE = 1000
_EMPTY = {"words": [], "intents": [], "slots": {}, "scores": {}}
_DAY = timedelta(days=1)


def sentences() -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """By language: ``(text, its tokens)`` of the labelled corpus."""
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = {"zh": [], "en": []}
    for line in (Path(corpus_file).parent / "hand.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        found[row["lang"]].append((row["text"], tuple(index_tokens(row["text"]).split())))
    return found


def rows(calls: int, turns: int) -> Iterator[dict[type[Base], list[dict[str, Any]]]]:
    """Each call's rows by table, oldest call first, one a minute. Deterministic."""
    rng, by_lang = random.Random(7), sentences()
    for number in range(calls):
        lang = "zh" if rng.random() < 0.6 else "en"
        call_id = str(uuid.UUID(int=rng.getrandbits(128)))
        started = LAST - timedelta(seconds=(calls - number) * 60 + rng.random())
        flag = rng.choice(REASONS) if rng.random() < 0.15 else None
        spoken = [rng.choice(by_lang[lang]) for _ in range(turns)]
        emotions = rng.choices(EMOTIONS, (70, 5, 7, 5, 8, 5), k=turns)
        outcome = rng.choice(OUTCOMES)
        rule = rng.choice(RULES) if rng.random() < 0.05 else None
        theirs = [] if outcome == "voicemail" else [emotion for index, emotion in enumerate(emotions) if index % 2]
        same = {
            "lang": lang, "status": "ended", "disposition": outcome, "campaign": f"campaign {number % 12}",
            "script_id": f"days_{number % 4 * 15 + 1}", "stage": f"days {number % 4 * 15 + 1}", "scenario": None,
        }  # fmt: skip
        due = (started.date() - date(1970, 1, 1)) // _DAY + 5 if outcome == "promise_to_pay" else None
        doc = doc_of(started)
        tokens = " ".join(dict.fromkeys(token for _, each in spoken for token in each))
        yield {
            Call: [{
                **same, "id": call_id, "models": {}, "started_at": started, "answered_at": started,
                "ended_at": started + timedelta(seconds=turns * 3), "response_gap_n": 0,
            }],
            Turn: [
                {
                    "call_id": call_id, "seq": seq, "recorded_at": started, "who": "borrower" if seq % 2 else "agent",
                    "start": seq * 3.0, "end": seq * 3.0 + 2.0, "text": text, "emotion": emotion, "valence": 0.1,
                    "arousal": 0.1, "interrupted": False, "intent": "other" if seq % 2 else None, **_EMPTY,
                }
                for seq, ((text, _), emotion) in enumerate(zip(spoken, emotions, strict=True))
            ],
            Flag: [] if flag is None else [{
                "call_id": call_id, "seq": 0, "at": 1.0, "recorded_at": started, "reason": flag[0], "severity": flag[1],
            }],
            Summary: [{
                **same, "doc": doc, "call_id": call_id, "review": "open" if flag else "none",
                "severity": flag[2] if flag else 0, "flags": int(flag is not None), "seconds": turns * 3.0,
                "turns": turns, "borrower_turns": len(theirs), "valence_sum": 0.1 * len(theirs),
                "arousal_sum": 0.1 * len(theirs), "refusals": int(rule is not None),
                "right_party": outcome in ("promise_to_pay", "refused", "disputed"), "opt_out": False,
                "complaint": flag is not None and flag[0] == "complaint", "gap_p95_ms": 700.0, "promise_due": due,
                "promise_reached": None if due is None or number % 3 == 0 else due - 1 + number % 4,
                **{name: theirs.count(name) for name in COUNTED},
            }],
            SummaryReason: [] if flag is None else [{"reason": flag[0], "doc": doc, "severity": flag[2]}],
            SummaryRule: [] if rule is None else [
                {"rule": rule[0], "doc": doc, "decision": "refuse", "category": rule[1], "times": 1}
            ],
            CallText: [{"doc": doc, "tokens": tokens}],
        }  # fmt: skip


def load(database: Database, calls: int, turns: int) -> None:
    """Enter the calls into an empty archive, and let the database count them."""
    source, done = rows(calls, turns), 0
    write = _Sqlite(database) if database.engine.dialect.name == "sqlite" else _Postgres(database)
    while batch := list(islice(source, CALLS_AT_ONCE)):
        write([(table, [row for call in batch for row in call[table]]) for table in TABLES])
        done += len(batch)
        if sys.stderr.isatty():
            sys.stderr.write(f"\r{done} calls entered")
    with database.engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(sa.text("ANALYZE" if database.engine.dialect.name == "sqlite" else "VACUUM ANALYZE"))


class _Sqlite:
    def __init__(self, database: Database) -> None:
        self._engine = database.engine

    def __call__(self, tables: Sequence[tuple[type[Base], list[dict[str, Any]]]]) -> None:
        with self._engine.connect() as connection:
            driver: Any = connection.connection.driver_connection
            driver.execute("PRAGMA synchronous = OFF")
            driver.execute("PRAGMA cache_size = -200000")
            for table, found in tables:
                if found:
                    names, marks = _names(found[0]), ", ".join("?" * len(found[0]))
                    driver.executemany(
                        f"INSERT INTO {table.__tablename__} ({names}) VALUES ({marks})",
                        [tuple(map(_plain, row.values())) for row in found],
                    )
            connection.commit()


class _Postgres:
    def __init__(self, database: Database) -> None:
        self._engine = database.engine

    def __call__(self, tables: Sequence[tuple[type[Base], list[dict[str, Any]]]]) -> None:
        with self._engine.begin() as connection:
            driver: Any = connection.connection.driver_connection
            with driver.cursor() as cursor:
                for table, found in tables:
                    if found:
                        with cursor.copy(f"COPY {table.__tablename__} ({_names(found[0])}) FROM STDIN") as copy:
                            for row in found:
                                copy.write_row(
                                    [json.dumps(v) if isinstance(v, list | dict) else v for v in row.values()]
                                )


def _names(row: Mapping[str, Any]) -> str:
    return ", ".join(f'"{name}"' for name in row)


def _plain(value: Any) -> Any:
    """As SQLAlchemy would store it."""
    if isinstance(value, list | dict):
        return json.dumps(value)
    return value.replace(tzinfo=None).isoformat(" ", "microseconds") if isinstance(value, datetime) else value
