"""What a live call writes: turns, verdicts, events and flags, each on the disk a moment after it happened.

Nothing here waits for the disk but :meth:`CallArchive.begin` (so that a call that cannot be archived is not
made) and :meth:`CallArchive.close`. Rows go to the database's :mod:`commit queue <archive.commit_queue>`; rows
that the database will not take go to the call's journal, and rows that even the journal will not take are kept
and offered again with every row that follows (:mod:`archive.spill`). Digits by which a borrower proved who they are
are masked before a row is made (:mod:`archive.masking`).
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, get_args

from agent.events import Disposition, Proposed, Spoken, Understood, Verdict, Word
from archive.call_values import Entered, NewCall, Promise, ResponseGaps, utc_now
from archive.commit_queue import queue_of
from archive.database import Database
from archive.errors import ArchiveError
from archive.keys import master_keys
from archive.layout import CallFiles, private_folder
from archive.liveness import CallLock
from archive.masking import Secrets
from archive.models import Severity, Who
from archive.operations import Operation
from archive.repository import RECORDS, CallRepository
from archive.rows import Utterance, ending_columns, verdict_columns
from archive.sealing import seal_call
from archive.spill import Spill
from archive.store import Store
from archive.types import clean_json

__all__ = ["CallArchive", "Entered", "NewCall", "Promise", "ResponseGaps", "utc_now"]

_log = logging.getLogger(__name__)


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
        self._lock = threading.RLock()
        self._seq = dict.fromkeys(RECORDS, 0)
        self._gaps: list[float] = []
        self._answered = self._finished = self._closed = False
        self._spill = Spill(self.call_id, files.journal)
        self._secrets = Secrets()
        self._unproven: int | None = None  # the turn whose digits nobody has judged yet

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
        values = {**call.columns(), "recording": layout.relative(files.recording)}

        def enter(calls: CallRepository) -> None:
            calls.add_call(values)
            calls.audit.append("call.began", subject=values["id"], lang=call.lang, script=call.script_hash)

        try:
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
    ) -> Entered:
        """Record an utterance; returns what was entered. ``verdict`` is what :meth:`verdict` returned for the line.

        Raises ``ValueError`` for a ``who`` or a time that cannot be one: such a row could never be stored.
        """
        return self._turn(
            Utterance(
                who=who, start=start, end=end, text=text, heard_text=heard_text, words=words, confidence=confidence,
                intent=intent, intents=intents, slots=slots, emotion=emotion, scores=scores, arousal=arousal,
                valence=valence, line_id=line_id, script_hash=script_hash, verdict=verdict, interrupted=interrupted,
                response_gap_ms=response_gap_ms,
            )
        )  # fmt: skip

    def understood(self, understood: Understood) -> Entered:
        """Record what the borrower said and how it was understood, as a turn."""
        return self._turn(Utterance.understood(understood))

    def spoken(
        self,
        spoken: Spoken,
        *,
        verdict: int | None = None,
        script_hash: str | None = None,
        response_gap_ms: float | None = None,
    ) -> Entered:
        """Record what the agent said, as a turn."""
        return self._turn(
            Utterance.spoken(spoken, verdict=verdict, script_hash=script_hash, response_gap_ms=response_gap_ms)
        )

    def _turn(self, said: Utterance) -> Entered:
        with self._lock:
            digits = 0
            if said.who == "borrower":
                masked = self._secrets.mask(said.text, said.words, said.slots or {}, said.start)
                answers, digits = self._secrets.answering(said.start), masked.digits
                said = replace(said, text=masked.text, words=masked.words, slots=masked.slots)
            else:
                if said.verdict is None and said.line_id is None:
                    self._secrets.said(said.text, said.start)
                heard = None if said.heard_text is None else self._secrets.mask_line(said.heard_text)
                said = replace(said, text=self._secrets.mask_line(said.text), heard_text=heard)
            if said.gap is not None:
                self._gaps.append(said.gap)
            seq = self._record("turns", said.columns())
            if digits and answers:
                self._unproven = seq
        return Entered(seq, said.text if said.heard_text is None else said.heard_text)

    def verdict(
        self, verdict: Verdict, proposed: Proposed | None = None, *, text: str = "", at: float | None = None
    ) -> int:
        """Record the gate's answer to ``proposed`` (or to a bare ``text``); returns its number for :meth:`turn`."""
        moment = self._at(at)
        with self._lock:
            if proposed is not None:
                self._proven(False)
                self._secrets.proposed(proposed, moment)
            elif text:
                self._secrets.said(text, moment)
            values = verdict_columns(verdict, proposed, text, moment)
            values |= {name: self._secrets.mask_line(values[name]) for name in ("proposed", "text")}
            return self._record("verdicts", values)

    def event(self, kind: str, /, *, at: float | None = None, **payload: Any) -> int:
        """Record that something happened ``at`` (default: now)."""
        with self._lock:
            seq = self._record("events", {"at": self._at(at), "kind": kind, "payload": payload})
            if kind == "party":
                self._proven(payload.get("party") == "borrower")
        return seq

    def flag(self, reason: str, severity: Severity = "medium", *, at: float | None = None) -> int:
        """Record a reason for a reviewer to look."""
        if severity not in get_args(Severity):
            raise ValueError(f"not a severity: {severity!r}")
        return self._record("flags", {"at": self._at(at), "reason": reason, "severity": severity})

    def finish(self, disposition: Disposition | None, promise: Promise | None = None) -> None:
        """The call has ended with this outcome; ``None``: nobody decided what it came to. The first time counts; rows
        may still follow.

        Raises ``ValueError`` for an unknown disposition and for an amount that is not finite.
        """
        self._end(ending_columns(disposition, promise))

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
            self._spill.bring_home(self._database)
            self._live.release()
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
        if self.error is None:
            self.error = error
            _log.error("call %s: %s", self.call_id, error)
            if self._on_error is not None:
                self._on_error(error)
        self._spill.keep(operations)

    def _seal(self, why: str | None = None) -> None:
        if self._spill.waiting:
            return
        try:
            seal_call(self._database, self._store, self.call_id, why=why)
        except ArchiveError as e:
            _log.warning("call %s is not sealed yet: %s", self.call_id, e)

    def _proven(self, verified: bool) -> None:
        """What became of the digits that were masked: all that the archive keeps of them."""
        if self._unproven is not None:
            turn, self._unproven = self._unproven, None
            self._record(
                "events", {"at": self.now, "kind": "verification", "payload": {"turn": turn, "verified": verified}}
            )

    def _end(self, values: dict[str, Any]) -> None:
        with self._lock:
            if self._finished:
                return
            self._finished = True
            self._proven(False)
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
