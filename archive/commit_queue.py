"""The thread that commits: rows of all live calls of a database, in order, as many a commit as are waiting.

One thread a database, not one a call: SQLite has one writer anyway, and a commit that carries the rows of fifty
calls costs one wait for the disk. A row is committed as soon as the commit before it is through.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Protocol

from archive.database import Database, DatabaseError
from archive.operations import Operation, apply
from archive.repository import CallRepository


class Sink(Protocol):
    """A live call, as the queue sees it."""

    def refused(self, operations: Sequence[Operation], error: DatabaseError) -> None:
        """The database would not take these. Called from the queue's thread; must not raise."""


class CommitQueue:
    """Commits operations in the order of ``submit``. All methods may be called from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: deque[tuple[Sink, Operation] | Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="archive-writer", daemon=True)
        self._thread.start()
        atexit.register(self.stop)

    def submit(self, sink: Sink, operation: Operation) -> None:
        """Never waits for the database. After ``stop`` the sink is told that its row was refused."""
        with self._wake:
            stopped = self._stopping
            if not stopped:
                self._waiting.append((sink, operation))
                self._wake.notify()
        if stopped:
            closed = f"the archive {self._database.name} has been closed"
            sink.refused([operation], DatabaseError(closed, row_at_fault=False))

    def then(self, task: Callable[[], None]) -> None:
        """Run ``task`` on the queue's thread after everything that was submitted so far; here and now after
        ``stop``. It must not raise."""
        with self._wake:
            stopped = self._stopping
            if not stopped:
                self._waiting.append(task)
                self._wake.notify()
        if stopped:
            task()

    def write(self, task: Callable[[CallRepository], None]) -> None:
        """Do ``task`` in a transaction of its own and wait for it. Raises what it raises, and ``DatabaseError``.

        Going through the queue it waits its turn; going past it, it might starve: SQLite's lock is not fair.
        """
        done: Future[None] = Future()

        def run() -> None:
            try:
                with self._database.write() as session:
                    task(CallRepository(session))
            except BaseException as e:
                done.set_exception(e)
            else:
                done.set_result(None)

        self.then(run)
        done.result()

    def stop(self, timeout: float = 10.0) -> None:
        """Commit what is waiting, then end the thread."""
        atexit.unregister(self.stop)
        with self._wake:
            self._stopping = True
            self._wake.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._waiting or self._stopping)
                if not self._waiting:
                    return
                batch: list[tuple[Sink, Operation]] = []
                while self._waiting and not callable(self._waiting[0]):
                    item = self._waiting.popleft()
                    assert isinstance(item, tuple)
                    batch.append(item)
                task = self._waiting.popleft() if not batch else None
            if batch:
                self._commit(batch)
            elif callable(task):
                task()

    def _commit(self, batch: list[tuple[Sink, Operation]]) -> None:
        """All in one transaction; where a row is at fault, each call's rows, then each row, in its own."""
        try:
            self._write([operation for _, operation in batch])
        except DatabaseError as e:
            sinks = list(dict.fromkeys(sink for sink, _ in batch))
            if not e.row_at_fault:
                for sink in sinks:
                    sink.refused([operation for owner, operation in batch if owner is sink], e)
            elif len(batch) == 1:
                sinks[0].refused([batch[0][1]], e)
            elif len(sinks) > 1:
                for sink in sinks:
                    self._commit([item for item in batch if item[0] is sink])
            else:
                for item in batch:
                    self._commit([item])

    def _write(self, operations: Sequence[Operation]) -> None:
        with self._database.write() as session:
            apply(CallRepository(session), operations)


_queues: dict[Database, CommitQueue] = {}
_queues_lock = threading.Lock()


def queue_of(database: Database) -> CommitQueue:
    """The database's queue, started on first use, stopped by ``Database.close``."""
    with _queues_lock:
        if database not in _queues:
            _queues[database] = CommitQueue(database)
            database.before_close(lambda: _stop(database))
        return _queues[database]


def _stop(database: Database) -> None:
    with _queues_lock:
        queue = _queues.pop(database, None)
    if queue is not None:
        queue.stop()
