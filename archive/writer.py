"""What a live call writes: turns, verdicts, events and flags, each on the disk a moment after it happened.

Nothing here waits for the disk but :meth:`CallArchive.begin` (so that a call that cannot be archived is not
made) and :meth:`CallArchive.close`. Rows go to the database's :mod:`commit queue <archive.commit_queue>`; rows
that the database will not take go to the call's journal, and rows that even the journal will not take are kept
and offered again with every row that follows.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

import numpy as np

from agent.events import Disposition, Lang, Proposed, Spoken, Understood, Verdict, Word
from archive import journal
from archive.commit_queue import queue_of
from archive.database import Database
from archive.errors import ArchiveError
from archive.keys import master_keys
from archive.layout import CallFiles, private_folder
from archive.liveness import CallLock
from archive.models import Severity, Who
from archive.operations import Operation
from archive.repository import RECORDS, CallRepository
from archive.sealing import seal_call
from archive.store import Store
from archive.types import clean_json

_log = logging.getLogger(__name__)


def utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class NewCall:
    """What is known of a call when it begins. Moments are aware; ``models`` maps a role (``asr``, ``intent``,
    ``voice`` …) to the id of the model in it. ``person_id`` is a pseudonym, the same in all calls to a person."""

    lang: Lang
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    scenario: str | None = None
    campaign: str | None = None
    case_id: str | None = None
    person_id: str | None = None
    stage: str | None = None
    script_id: str | None = None
    script_hash: str | None = None
    policy: str | None = None
    policy_hash: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    started_at: datetime = field(default_factory=utc_now)


@dataclass(frozen=True, slots=True)
class Promise:
    """What the borrower promised: a date in their time zone, an amount in the loan's currency; either may be open."""

    date: date | None = None
    amount: Decimal | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class ResponseGaps:
    """Percentiles of a call's response gaps in ms, linear between samples; ``None`` without any."""

    p50: float | None
    p95: float | None
    n: int

    @staticmethod
    def of(gaps: Sequence[float]) -> ResponseGaps:
        if not gaps:
            return ResponseGaps(None, None, 0)
        p50, p95 = np.percentile(np.asarray(gaps, np.float64), (50, 95))
        return ResponseGaps(round(float(p50), 1), round(float(p95), 1), len(gaps))

    def columns(self) -> dict[str, Any]:
        return {
            "response_gap_p50_ms": self.p50,
            "response_gap_p95_ms": self.p95,
            "response_gap_n": self.n,
        }


class CallArchive:
    """One live call's archive. Made by :meth:`begin`; all methods may be called from any thread.

    ``error`` is the first thing that went wrong, if anything did; ``on_error`` is told of it once, from the
    thread that found out, and must not raise.
    """

    def __init__(
        self,
        database: Database,
        files: CallFiles,
        store: Store,
        call: NewCall,
        lock: CallLock,
        clock: Callable[[], float],
        on_error: Callable[[ArchiveError], None] | None,
    ) -> None:
        self.call_id = str(uuid.UUID(call.id))
        self.files = files
        self.error: ArchiveError | None = None
        self._database, self._clock, self._on_error, self._live = database, clock, on_error, lock
        self._queue, self._store = queue_of(database), store
        self._zero = clock()
        self._lock = threading.Lock()
        self._seq = dict.fromkeys(RECORDS, 0)
        self._gaps: list[float] = []
        self._answered = self._finished = self._closed = False
        self._kept: list[Operation] = []  # touched by the queue's thread only
        self._spilled = self._told_kept = False

    @classmethod
    def begin(
        cls,
        database: Database,
        folder: Path,
        call: NewCall,
        *,
        clock: Callable[[], float] = time.monotonic,
        on_error: Callable[[ArchiveError], None] | None = None,
    ) -> CallArchive:
        """Enter the call as live and make its folder under the archive's home ``folder``.

        Waits for one commit. The recording is to be encrypted where the environment names a master key
        (:mod:`archive.keys`). Raises ``ArchiveError`` where the call cannot be archived: it must not be made then.
        """
        store = Store.from_environment(folder)
        layout = store.layout
        files = layout.call(call.id, call.started_at, encrypted=master_keys() is not None)
        new = not files.folder.exists()
        private_folder(files.folder)
        lock = CallLock.acquire(files.lock)
        if lock is None:
            raise ArchiveError(f"the call {call.id} is already live")
        try:
            values: dict[str, Any] = {
                "id": str(uuid.UUID(call.id)),
                "lang": call.lang,
                "status": "live",
                "scenario": call.scenario,
                "campaign": call.campaign,
                "case_id": call.case_id,
                "person_id": call.person_id,
                "stage": call.stage,
                "script_id": call.script_id,
                "script_hash": call.script_hash,
                "policy": call.policy,
                "policy_hash": call.policy_hash,
                "models": dict(call.models),
                "started_at": call.started_at,
                "recording": layout.relative(files.recording),
                "response_gap_n": 0,
            }

            def enter(calls: CallRepository) -> None:
                calls.add_call(values)
                calls.audit.append("call.began", subject=values["id"], lang=call.lang, script=call.script_hash)

            queue_of(database).write(enter)
        except ArchiveError:
            lock.release()
            if new:
                with contextlib.suppress(OSError):  # the call never was: an empty folder would only puzzle people
                    files.folder.rmdir()
            raise
        return cls(database, files, store, call, lock, clock, on_error)

    @property
    def now(self) -> float:
        """Seconds since the call was answered (since it began, before that)."""
        return self._clock() - self._zero

    @property
    def zero(self) -> float:
        """The clock's value at second 0 of the call: what a ``Recorder`` wants as its ``start``."""
        return self._zero

    def answered(self) -> None:
        """The call was answered now: it is second 0 of everything that follows. The first time counts."""
        with self._lock:
            if self._answered:
                return
            self._answered = True
            self._zero = self._clock()
        self._submit("calls", {"answered_at": utc_now()})

    def turn(
        self,
        who: Who,
        start: float,
        end: float,
        text: str,
        *,
        heard_text: str | None = None,
        words: Sequence[Word] = (),
        confidence: float | None = None,
        intent: str | None = None,
        intents: Sequence[tuple[str, float]] = (),
        slots: Mapping[str, Any] | None = None,
        emotion: str | None = None,
        scores: Mapping[str, float] | None = None,
        arousal: float | None = None,
        valence: float | None = None,
        line_id: str | None = None,
        script_hash: str | None = None,
        verdict: int | None = None,
        interrupted: bool = False,
        response_gap_ms: float | None = None,
    ) -> int:
        """Record an utterance; returns its number. ``verdict`` is what :meth:`verdict` returned for the line.

        Raises ``ValueError`` for a ``who`` or a time that cannot be one: such a row could never be stored.
        """
        if who not in get_args(Who):
            raise ValueError(f"a turn is the borrower's or the agent's, not {who!r}")
        if not (math.isfinite(start) and math.isfinite(end)):
            raise ValueError("a turn starts and ends at finite times")
        if response_gap_ms is not None and not math.isfinite(response_gap_ms):
            response_gap_ms = None
        values = {
            "who": who,
            "start": float(start),
            "end": float(max(start, end)),
            "text": text,
            "heard_text": heard_text,
            "words": [{"text": w.text, "start": w.start, "end": w.end, "probability": w.probability} for w in words],
            "confidence": _number(confidence),
            "intent": intent,
            "intents": [{"intent": name, "confidence": value} for name, value in intents],
            "slots": dict(slots or {}),
            "emotion": emotion,
            "scores": dict(scores or {}),
            "arousal": _number(arousal),
            "valence": _number(valence),
            "line_id": line_id,
            "script_hash": script_hash,
            "verdict_seq": verdict,
            "interrupted": bool(interrupted),
            "response_gap_ms": _number(response_gap_ms),
        }
        if response_gap_ms is not None:
            with self._lock:
                self._gaps.append(float(response_gap_ms))
        return self._record("turns", values)

    def understood(self, understood: Understood) -> int:
        """Record what the borrower said and how it was understood, as a turn."""
        heard = understood.heard
        return self.turn(
            "borrower",
            heard.span.start,
            heard.span.end,
            heard.text,
            words=heard.words,
            confidence=heard.confidence,
            intent=understood.intent,
            intents=understood.intents,
            slots=understood.slots,
            emotion=understood.emotion,
            scores=understood.scores,
            arousal=understood.arousal,
            valence=understood.valence,
        )

    def spoken(
        self,
        spoken: Spoken,
        *,
        verdict: int | None = None,
        script_hash: str | None = None,
        response_gap_ms: float | None = None,
    ) -> int:
        """Record what the agent said, as a turn."""
        return self.turn(
            "agent",
            spoken.span.start,
            spoken.span.end,
            spoken.text,
            heard_text=spoken.heard_text if spoken.interrupted else None,
            line_id=spoken.line_id,
            script_hash=script_hash,
            verdict=verdict,
            interrupted=spoken.interrupted,
            response_gap_ms=response_gap_ms,
        )

    def verdict(
        self, verdict: Verdict, proposed: Proposed | None = None, *, text: str = "", at: float | None = None
    ) -> int:
        """Record the gate's answer to ``proposed`` (or to a bare ``text``); returns its number for :meth:`turn`."""
        values = {
            "at": self._at(at),
            "decision": verdict.decision,
            "rules": list(verdict.rules),
            "proposed": proposed.text if proposed is not None else text,
            "text": verdict.text,
            "line_id": proposed.line_id if proposed is not None else None,
            "script_hash": verdict.script_hash or (proposed.script_hash if proposed is not None else "") or None,
            "policy_hash": verdict.policy_hash or None,
        }
        return self._record("verdicts", values)

    def event(self, kind: str, /, *, at: float | None = None, **payload: Any) -> int:
        """Record that something happened ``at`` (default: now)."""
        return self._record("events", {"at": self._at(at), "kind": kind, "payload": payload})

    def flag(self, reason: str, severity: Severity = "medium", *, at: float | None = None) -> int:
        """Record a reason for a reviewer to look."""
        if severity not in get_args(Severity):
            raise ValueError(f"not a severity: {severity!r}")
        return self._record("flags", {"at": self._at(at), "reason": reason, "severity": severity})

    def finish(self, disposition: Disposition, promise: Promise | None = None) -> None:
        """The call has ended with this outcome. The first time counts; rows may still follow.

        Raises ``ValueError`` for an unknown disposition and for an amount that is not finite.
        """
        if disposition not in get_args(Disposition):
            raise ValueError(f"not a disposition: {disposition!r}")
        if promise is not None and promise.amount is not None and not promise.amount.is_finite():
            raise ValueError("a promised amount must be finite")
        self._end(
            {
                "status": "ended",
                "disposition": disposition,
                "promise_date": promise.date if promise else None,
                "promise_amount": promise.amount if promise else None,
                "promise_currency": promise.currency if promise else None,
            }
        )

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until everything recorded so far is committed or in the journal; false if that took too long."""
        done = threading.Event()
        self._queue.then(done.set)
        return done.wait(timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Wait until all is on the disk, bring the journal home if there is one, let go of the call and seal it.

        A call that was not finished is entered as interrupted. Returns false if that took longer than
        ``timeout``; it goes on in the background then. Never raises: see ``error``. A call that cannot be sealed now
        (its recording is still being written, say) is sealed by the next :func:`archive.recovery.recover`.
        """
        self._end({"status": "interrupted"})
        done = threading.Event()

        def settle() -> None:
            self._settle()
            done.set()

        with self._lock:
            if self._closed:
                return True
            self._closed = True
        self._queue.then(settle)
        if not done.wait(timeout):
            return False
        self._seal()
        return True

    def __enter__(self) -> CallArchive:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def refused(self, operations: Sequence[Operation], error: ArchiveError) -> None:
        """The queue could not commit these: keep them in the journal, or in memory where that fails too."""
        self._fail(error)
        self._kept.extend(operations)
        self._spill()

    def _spill(self) -> None:
        if not self._kept:
            return
        try:
            taken = journal.append(self.files.journal, self._kept)
        except ArchiveError as e:
            if not self._told_kept:
                self._told_kept = True
                _log.error("call %s: rows are in memory only: %s", self.call_id, e)
        else:
            self._spilled = True
            del self._kept[:taken]

    def _settle(self) -> None:
        self._spill()
        if self._spilled:
            try:
                journal.replay(self._database, self.files.journal)
            except ArchiveError as e:
                _log.error("call %s: its journal stays beside the recording: %s", self.call_id, e)
        self._live.release()

    def _seal(self, why: str | None = None) -> None:
        if self._spilled and self.files.journal.exists():
            return  # rows are missing from the database
        try:
            seal_call(self._database, self._store, self.call_id, why=why)
        except ArchiveError as e:
            _log.warning("call %s is not sealed yet: %s", self.call_id, e)

    def _end(self, values: dict[str, Any]) -> None:
        with self._lock:
            if self._finished:
                return
            self._finished = True
            gaps = ResponseGaps.of(self._gaps)
        self._submit("calls", {**values, "ended_at": utc_now(), **gaps.columns()})

    def _record(self, table: str, values: dict[str, Any]) -> int:
        # Numbered and queued in one step: the order of numbers is the order on the disk.
        with self._lock:
            seq = self._seq[table]
            self._seq[table] += 1
            self._submit(table, {"call_id": self.call_id, "seq": seq, "recorded_at": utc_now(), **values})
            late = self._closed
        if late:
            self._queue.then(lambda: self._seal("a row came after the end"))
        return seq

    def _submit(self, table: str, values: dict[str, Any]) -> None:
        # JSON columns are frozen here, on the caller's thread: the caller may change its objects afterwards.
        frozen = {k: clean_json(v) if isinstance(v, list | dict) else v for k, v in values.items()}
        self._queue.submit(self, Operation(self.call_id, table, frozen))

    def _at(self, at: float | None) -> float:
        return float(at) if at is not None and math.isfinite(at) else self.now

    def _fail(self, error: ArchiveError) -> None:
        if self.error is not None:
            return
        self.error = error
        _log.error("call %s: %s", self.call_id, error)
        if self._on_error is not None:
            self._on_error(error)


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
