"""A live call's rows: on the disk at once, in order, whatever the database, the disk or the borrower do."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from agent.events import Heard, Proposed, RuleHit, SlotValue, Span, Spoken, Understood, Verdict, Word
from archive import journal
from archive.database import Database, open_database
from archive.errors import ArchiveError
from archive.layout import Layout
from archive.operations import Operation, from_json, to_json
from archive.recorder import Recorder
from archive.recovery import recover
from archive.repository import CallRepository
from archive.transcript import as_text, read_call, write_transcript
from archive.writer import CallArchive, NewCall, Promise, ResponseGaps

Begin = Callable[[], CallArchive]
ALLOWED = Verdict("allow", "May I speak with Mr Li?", policy_hash="p1", script_hash="s1")
HOSTILE = [
    "x'); DROP TABLE turns; --",
    "nul\x00inside",
    "lone \ud83d surrogate",
    "你好😀 \u202eevil\u202c \u200b zero width",
    "line\nend\r\n\u2028\u2029 and \x1b[31mescape",
    "%s %(call_id)s {0} :name ?",
    "",
    "长" * 200_000,
]


def whole_call(archive: CallArchive) -> None:
    archive.answered()
    proposed = Proposed("greeting", "May I speak with Mr Li?", "en", script_id="days", script_hash="s1")
    number = archive.verdict(ALLOWED, proposed)
    spoken = Spoken("greeting", "May I speak with Mr Li?", "May I speak", Span(0.5, 1.5), interrupted=True)
    archive.spoken(spoken, verdict=number, script_hash="s1")
    heard = Heard("I will pay 350 on Friday", "en", Span(2.0, 4.0), (Word("I", 2.0, 2.1, 0.9),), 0.8)
    slots = {"amount": SlotValue("350.00", "350", 11, 14), "date": SlotValue(None, "Friday", 18, 24, ("a", "b"))}
    archive.understood(
        Understood(
            heard, "promise_to_pay", 0.9, (("promise_to_pay", 0.9),), slots, "neutral", {"neutral": 0.7}, 0.1, 0.2
        )
    )
    hit = RuleHit("threat.jail", "threat", "GB/T 45251 6.2", 0, 4, explanation={"zh": "威胁"})
    archive.verdict(Verdict("refuse", "", (hit,), "p1"), text="You will go to jail")
    archive.turn("agent", 4.5, 6.0, "Thank you", response_gap_ms=500.0, line_id="thanks")
    archive.turn("agent", 7.0, 8.0, "Goodbye", response_gap_ms=700.0, line_id="goodbye")
    archive.event("dtmf", digit="5", at_hand=[1, 2])
    archive.flag("refused_utterance", "high")
    archive.finish("promise_to_pay", Promise(date(2026, 2, 6), Decimal("350.00"), "USD"))


def test_a_whole_call_reads_back(database: Database, home: Path) -> None:
    with CallArchive.begin(database, home, NewCall("en", scenario="promise", models={"asr": "base"})) as archive:
        Recorder(archive.files.recording).close()
        whole_call(archive)
    assert archive.error is None
    document = write_transcript(database, home, archive.call_id)
    assert document == {
        "call_id": archive.call_id,
        "lang": "en",
        "scenario": "promise",
        "disposition": "promise_to_pay",
        "promise": {"date": "2026-02-06", "amount": "350.00"},
        "turns": [
            {"who": "agent", "start": 0.5, "end": 1.5, "text": "May I speak", "intent": None, "emotion": None,
             "verdict": "allow", "line": "greeting"},
            {"who": "borrower", "start": 2.0, "end": 4.0, "text": "I will pay 350 on Friday",
             "intent": "promise_to_pay", "emotion": "neutral", "verdict": None, "line": None},
            {"who": "agent", "start": 4.5, "end": 6.0, "text": "Thank you", "intent": None, "emotion": None,
             "verdict": None, "line": "thanks"},
            {"who": "agent", "start": 7.0, "end": 8.0, "text": "Goodbye", "intent": None, "emotion": None,
             "verdict": None, "line": "goodbye"},
        ],
        "response_gap_ms": {"p50": 600.0, "p95": 690.0, "n": 2},
        "recording": str(archive.files.recording),
        "flags": [{"reason": "refused_utterance", "severity": "high", "at": document["flags"][0]["at"]}],
    }  # fmt: skip
    assert json.loads(archive.files.transcript_json.read_text("utf-8")) == document
    text = archive.files.transcript_text.read_text("utf-8")
    assert "[00:02.0] borrower: I will pay 350 on Friday  (promise_to_pay, neutral)" in text
    with database.read() as session:
        repository = CallRepository(session)
        call = repository.call(archive.call_id)
        assert call is not None
        assert (call.status, call.models, call.promise_currency) == ("ended", {"asr": "base"}, "USD")
        assert call.answered_at is not None
        assert call.ended_at is not None
        assert call.started_at <= call.answered_at <= call.ended_at
        borrower = repository.turns(archive.call_id)[1]
        assert borrower.words == [{"text": "I", "start": 2.0, "end": 2.1, "probability": 0.9}]
        assert borrower.slots["date"]["candidates"] == ["a", "b"]
        assert borrower.scores == {"neutral": 0.7}
        refused = repository.verdicts(archive.call_id)[1]
        assert (refused.decision, refused.proposed, refused.text) == ("refuse", "You will go to jail", "")
        assert refused.rules[0]["clause"] == "GB/T 45251 6.2"
        assert refused.rules[0]["explanation"] == {"zh": "威胁"}
        assert [e.payload for e in repository.events(archive.call_id, "dtmf")] == [{"digit": "5", "at_hand": [1, 2]}]
    assert not archive.files.lock.exists()
    assert not archive.files.journal.exists()


def test_rows_are_committed_within_a_moment(begin: Begin, home: Path) -> None:
    archive = begin()
    other = sqlite3.connect(Layout(home).database)
    waits = []
    for index in range(20):
        archive.event("mark")
        started = time.monotonic()
        while other.execute("SELECT count(*) FROM events").fetchone()[0] <= index:
            assert time.monotonic() - started < 10
            time.sleep(0.002)  # the subject is real time
        waits.append(time.monotonic() - started)
    other.close()
    assert np.median(waits) < 0.1


def test_recording_a_row_waits_for_nothing(begin: Begin, home: Path) -> None:
    archive = begin()
    other = sqlite3.connect(Layout(home).database, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    for index in range(200):
        archive.turn("borrower", index, index + 1, "words")
    assert time.monotonic() - started < 1.0
    assert not archive.flush(0.05)
    other.execute("ROLLBACK")
    other.close()
    assert archive.flush()
    assert archive.error is None


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_words_are_only_words(database: Database, home: Path, text: str) -> None:
    call = NewCall("zh", scenario=text, campaign=text, case_id=text, script_id=text, models={text: text})
    with CallArchive.begin(database, home, call) as archive:
        number = archive.verdict(Verdict("refuse", text, (RuleHit(text, text, text, 0, 1),), text), text=text)
        archive.turn(
            "borrower", 0, 1, text, heard_text=text, words=[Word(text, 0, 1, 1)], intent=text,
            intents=[(text, 0.5)], slots={text: {text: [text]}}, emotion=text, scores={text: 1.0}, line_id=text,
            script_hash=text, verdict=number,
        )  # fmt: skip
        archive.event(text, text=text)
        archive.flag(text)
        archive.finish("failed")
    assert archive.error is None
    kept = text.replace("\x00", "\ufffd").replace("\ud83d", "\ufffd")
    document = write_transcript(database, home, archive.call_id)
    assert document["turns"][0]["text"] == kept
    page = archive.files.transcript_text.read_text("utf-8")
    assert len(page.splitlines()) == 9
    assert not set("\x1b\u202e") & set(page)
    with database.read() as session:
        turn = CallRepository(session).turns(archive.call_id)[0]
        assert turn.slots == {kept: {kept: [kept]}}
        assert CallRepository(session).verdicts(archive.call_id)[0].proposed == kept


def test_odd_values_lose_no_row(begin: Begin, database: Database) -> None:
    archive = begin()
    nan = float("nan")
    archive.turn(
        "borrower", 2.0, 1.0, "x", confidence=nan, arousal=float("inf"), response_gap_ms=nan, scores={"a": nan}
    )
    archive.event(
        "odd", at=nan, value=object, money=Decimal("1.10"), day=date(2026, 1, 1), array=np.arange(3), s={2, 1}
    )
    assert archive.close()
    assert archive.error is None
    with database.read() as session:
        turn = CallRepository(session).turns(archive.call_id)[0]
        assert (turn.start, turn.end, turn.confidence, turn.scores) == (2.0, 2.0, None, {"a": None})
        payload = CallRepository(session).events(archive.call_id)[0].payload
        assert payload["money"] == "1.10"
        assert payload["array"] == [0, 1, 2]


def test_mistakes_of_the_caller_are_named(begin: Begin) -> None:
    archive = begin()
    with pytest.raises(ValueError, match="'carrier'"):
        archive.turn("carrier", 0, 1, "x")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="finite"):
        archive.turn("agent", float("inf"), 1, "x")
    with pytest.raises(ValueError, match="'rich'"):
        archive.finish("rich")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="finite"):
        archive.finish("promise_to_pay", Promise(amount=Decimal("Infinity")))
    with pytest.raises(ValueError, match="'huge'"):
        archive.flag("x", "huge")  # type: ignore[arg-type]


def test_the_first_outcome_counts(begin: Begin, database: Database, home: Path) -> None:
    archive = begin()
    archive.finish("hung_up")
    archive.finish("failed")
    archive.event("after the end")
    archive.close()
    assert read_call(database, home, archive.call_id)["disposition"] == "hung_up"
    archive.event("after closing")
    assert archive.flush()
    with database.read() as session:
        assert len(CallRepository(session).events(archive.call_id)) == 2


def test_a_call_that_was_not_finished_is_interrupted(begin: Begin, database: Database) -> None:
    archive = begin()
    archive.close()
    with database.read() as session:
        call = CallRepository(session).call(archive.call_id)
        assert call is not None
        assert (call.status, call.disposition) == ("interrupted", None)


def test_a_call_that_cannot_be_archived_does_not_begin(database: Database, home: Path) -> None:
    call = NewCall("en")
    archive = CallArchive.begin(database, home, call)
    with pytest.raises(ArchiveError, match="already live"):
        CallArchive.begin(database, home, call)
    archive.close()
    with pytest.raises(ArchiveError, match="UNIQUE"):
        CallArchive.begin(database, home, call)
    with pytest.raises(ArchiveError, match="CHECK"):
        CallArchive.begin(database, home, NewCall("fr"))  # type: ignore[arg-type]
    (home / "blocked").write_text("a file")
    with pytest.raises(ArchiveError, match="folder"):
        CallArchive.begin(database, home / "blocked", NewCall("en"))
    assert [p.name for p in (home / "calls").glob("*/*")] == [call.id]


class Broken:
    """Makes every statement of a database fail as a full disk does, while ``on``."""

    def __init__(self, database: Database) -> None:
        self.on = False
        sa.event.listen(database.engine, "before_cursor_execute", self._execute)

    def _execute(self, *_: object) -> None:
        if self.on:
            raise sqlite3.OperationalError("database or disk is full")


@pytest.fixture
def broken(database: Database) -> Broken:
    return Broken(database)


def test_rows_that_a_failing_database_refuses_go_to_the_journal(
    begin: Begin, database: Database, home: Path, broken: Broken
) -> None:
    told: list[ArchiveError] = []
    archive = CallArchive.begin(database, home, NewCall("en"), on_error=told.append)
    before = archive.event("before")
    assert archive.flush()
    broken.on = True
    whole_call(archive)
    assert archive.flush()
    assert len(archive.files.journal.read_text().splitlines()) == 10
    assert [str(e) for e in told] == [f"the archive {Layout(home).database}: database or disk is full"]
    assert archive.files.journal.stat().st_mode & 0o077 == 0
    archive.close()
    assert archive.files.journal.exists()
    broken.on = False
    assert recover(database, home)[0].call_id == archive.call_id
    assert not archive.files.journal.exists()
    document = read_call(database, home, archive.call_id)
    assert document["disposition"] == "promise_to_pay"
    assert len(document["turns"]) == 4
    assert before == 0
    assert recover(database, home) == []


def test_the_journal_comes_home_when_the_call_ends(
    begin: Begin, database: Database, home: Path, broken: Broken
) -> None:
    archive = begin()
    broken.on = True
    whole_call(archive)
    archive.flush()
    broken.on = False
    archive.event("after")
    archive.close()
    assert archive.error is not None
    assert not archive.files.journal.exists()
    assert len(read_call(database, home, archive.call_id)["turns"]) == 4
    with database.read() as session:
        assert [e.kind for e in CallRepository(session).events(archive.call_id)] == ["dtmf", "after"]


def test_rows_that_even_the_journal_refuses_are_kept_until_it_takes_them(
    begin: Begin, database: Database, home: Path, broken: Broken, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = begin()
    broken.on = True
    with monkeypatch.context() as patch:
        patch.setattr("archive.journal.os.fdatasync", _full)
        whole_call(archive)
        archive.flush()
        assert archive.files.journal.read_bytes() == b""  # nothing by halves
    broken.on = False
    archive.close()
    assert len(read_call(database, home, archive.call_id)["turns"]) == 4


def _full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_one_row_at_fault_costs_no_other(begin: Begin, database: Database, home: Path) -> None:
    good, bad = begin(), begin()
    blocker = threading.Event()
    good._queue.then(lambda: blocker.wait(10) and None)  # so that all of this is one batch
    for index in range(5):
        good.event("fine")
        bad.event("fine")
        bad.turn("agent", index, index + 1, "x", verdict=77 if index == 2 else None)  # no such verdict
    blocker.set()
    good.close()
    bad.close()
    assert good.error is None
    assert "FOREIGN KEY" in str(bad.error)
    assert len(read_call(database, home, bad.call_id)["turns"]) == 4
    assert len(bad.files.journal.read_text().splitlines()) == 1  # kept for a person to look at
    with database.read() as session:
        assert len(CallRepository(session).events(good.call_id)) == 5
        assert len(CallRepository(session).events(bad.call_id)) == 5


def test_eight_threads_of_calls_write_to_one_file(database: Database, home: Path) -> None:
    def one(_: int) -> str:
        with CallArchive.begin(database, home, NewCall("en")) as archive:
            for index in range(100):
                number = archive.verdict(ALLOWED, text=str(index))
                archive.turn("agent", index, index + 1, str(index), verdict=number, response_gap_ms=index)
            archive.finish("refused")
        assert archive.error is None
        return archive.call_id

    with ThreadPoolExecutor(8) as pool:
        calls = list(pool.map(one, range(16)))
    for call_id in calls:
        document = read_call(database, home, call_id)
        assert [t["text"] for t in document["turns"]] == [str(i) for i in range(100)]
        assert {t["verdict"] for t in document["turns"]} == {"allow"}
        assert document["response_gap_ms"] == {"p50": 49.5, "p95": 94.0, "n": 100}


def test_two_databases_on_one_file_write_side_by_side(database: Database, home: Path) -> None:
    second = open_database(Layout(home).database_url)  # as another process would
    with CallArchive.begin(database, home, NewCall("en")) as a, CallArchive.begin(second, home, NewCall("zh")) as b:
        for _ in range(300):
            a.event("x")
            b.event("x")
    assert (a.error, b.error) == (None, None)
    second.close()
    with database.read() as session:
        for archive in (a, b):
            assert len(CallRepository(session).events(archive.call_id)) == 300


def test_rows_after_the_database_was_closed_go_to_the_journal(database: Database, home: Path) -> None:
    archive = CallArchive.begin(database, home, NewCall("en"))
    archive.event("x")
    database.close()
    archive.event("y")
    assert "has been closed" in str(archive.error)
    assert len(archive.files.journal.read_text().splitlines()) == 1
    assert archive.close()
    again = open_database(Layout(home).database_url)
    recover(again, home)
    with again.read() as session:
        assert [e.kind for e in CallRepository(session).events(archive.call_id)] == ["x", "y"]
    again.close()


FULL = """
    import resource, sys
    from pathlib import Path
    from archive.database import open_database
    from archive.layout import Layout
    from archive.writer import CallArchive, NewCall
    home = Path(sys.argv[1])
    archive = CallArchive.begin(open_database(Layout(home).database_url), home, NewCall("en"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, resource.RLIM_INFINITY))
    for index in range(400):
        archive.turn("agent", index, index + 1, "x" * 2000)
        archive.flush()
    archive.finish("failed")
    archive.flush()
    print(archive.call_id, archive.error)
    import os, signal
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_full_disk_loses_nothing_that_was_recorded(database: Database, home: Path) -> None:
    """The limit on a file's size stands for the disk: first the database is full, in the end the journal too."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), str(home)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    call_id, error = done.stdout.strip().split(" ", 1)
    assert error.startswith(f"the archive {Layout(home).database}: ")
    assert [r.call_id for r in recover(database, home)] == [call_id]
    numbers = [round(t["start"]) for t in read_call(database, home, call_id)["turns"]]
    assert numbers == list(range(len(numbers)))
    assert 200 <= len(numbers) < 400


UNCLOSED = """
    import sys
    from pathlib import Path
    from archive.database import open_database
    from archive.layout import Layout
    from archive.writer import CallArchive, NewCall
    home = Path(sys.argv[1])
    archive = CallArchive.begin(open_database(Layout(home).database_url), home, NewCall("en"))
    for index in range(50):
        archive.event("x")
    print(archive.call_id)
"""


def test_a_process_that_forgets_to_close_loses_nothing(database: Database, home: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(UNCLOSED), str(home)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    with database.read() as session:
        assert len(CallRepository(session).events(done.stdout.strip())) == 50


CRASHED = """
    import sys, threading, time
    import numpy as np
    from pathlib import Path
    from archive.database import open_database
    from archive.layout import Layout
    from archive.recorder import Recorder
    from archive.writer import CallArchive, NewCall
    home = Path(sys.argv[1])
    archive = CallArchive.begin(open_database(Layout(home).database_url), home, NewCall("en"))
    recorder = Recorder(archive.files.recording, start=archive.zero)
    archive.answered()
    recorder.write("agent", np.full(8000, 5, np.int16))
    archive.turn("agent", 0.0, 1.0, "hello", response_gap_ms=400.0)
    archive.flush()
    time.sleep(1.5)
    print(archive.call_id, flush=True)
    time.sleep(60)
"""


def test_a_crashed_call_is_recovered_and_a_live_one_left_alone(begin: Begin, database: Database, home: Path) -> None:
    live = begin()
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CRASHED), str(home)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        call_id = process.stdout.readline().strip()
        assert recover(database, home) == []  # that process lives
        process.send_signal(signal.SIGKILL)
        process.wait()
    [recovered] = recover(database, home)
    assert recovered.call_id == call_id
    assert recovered.seconds is not None
    assert recovered.seconds >= 1.0
    with database.read() as session:
        call = CallRepository(session).call(call_id)
        other = CallRepository(session).call(live.call_id)
        assert call is not None
        assert other is not None
        assert (call.status, call.response_gap_p50_ms, other.status) == ("interrupted", 400.0, "live")
        assert call.answered_at is not None
        assert call.ended_at is not None
    assert recover(database, home) == []
    assert read_call(database, home, call_id)["turns"][0]["text"] == "hello"


def test_recovery_goes_on_past_a_call_it_cannot_mend(database: Database, home: Path, tmp_path: Path) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=2)
    calls = [NewCall("en"), NewCall("en"), NewCall("en", started_at=long_ago), NewCall("en")]
    first, second, third, elsewhere = (CallArchive.begin(database, home, call) for call in calls)
    for archive in (first, second, third, elsewhere):
        archive._live.release()
    elsewhere.files.folder.rmdir()  # young, and its files are not here: another machine may run it
    first.files.recording.mkdir()
    second.files.recording.write_bytes(b"RIFF")
    third.files.folder.rmdir()
    recovered = {r.call_id: r.seconds for r in recover(database, home)}
    assert recovered == {second.call_id: 0.0, third.call_id: None}


@pytest.mark.parametrize(
    "tail", ["", '{"call": "x", "tab', "\x00\x00\n", "[]\n", '{"call":1,"table":"users","values":{}}\n']
)
def test_a_journal_that_was_cut_off_gives_what_it_has(begin: Begin, database: Database, tail: str) -> None:
    archive = begin()
    archive.event("known")
    assert archive.flush()
    rows = [
        Operation(archive.call_id, "events", {"call_id": archive.call_id, "seq": n, "at": 1.0, "recorded_at": moment,
                                              "kind": "x", "payload": {"$at": "not a moment"}})
        for n, moment in enumerate([NewCall("en").started_at] * 3)
    ]  # fmt: skip
    journal.append(archive.files.journal, rows[:2])
    with archive.files.journal.open("a") as file:
        file.write(tail)
    journal.append(archive.files.journal, rows[2:])
    assert journal.replay(database, archive.files.journal) == (1 if tail else 0)
    with database.read() as session:
        events = CallRepository(session).events(archive.call_id)
        assert [(e.seq, e.kind) for e in events] == [(0, "known"), (1, "x"), (2, "x")]
        assert events[2].payload == {"$at": "not a moment"}


@pytest.mark.parametrize("value", [None, 1.5, "x\n\u2028", date(2026, 1, 1), Decimal("1.10"), NewCall("en").started_at,
                                   {"$at": "x"}, {"$json": {"$date": "y"}}, [{"$at": 1}]])  # fmt: skip
def test_a_journal_line_gives_back_its_values(value: Any) -> None:
    line = to_json(Operation("c", "events", {"v": value}))
    assert "\n" not in line
    assert from_json(line) == Operation("c", "events", {"v": value})


def test_percentiles_of_gaps() -> None:
    assert ResponseGaps.of([]) == ResponseGaps(None, None, 0)
    assert ResponseGaps.of([5.0]) == ResponseGaps(5.0, 5.0, 1)


def test_an_unknown_call(database: Database, home: Path) -> None:
    for call_id in ("", "nobody", "' OR 1=1 --"):
        with pytest.raises(ArchiveError, match="has no call"):
            write_transcript(database, home, call_id)


def test_text_of_an_empty_call(begin: Begin, database: Database, home: Path) -> None:
    archive = begin()
    text = as_text(read_call(database, home, archive.call_id))
    assert "disposition  -" in text
    assert "None" not in text
