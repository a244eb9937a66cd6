"""One recogniser for all calls of a process: a queue with priorities in front of batches.

Turns of several calls that end together are decoded together, where that costs less than one by one. A final text
goes before a partial one, and never waits in one batch with it. A queue that is full refuses partials, which are worth
nothing late; a final pushes the oldest partial out. Every request carries all that its decoding needs: nothing is
kept from one to the next, and the text is the same as by itself (see ``asr.whisper``).
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Hashable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from types import TracebackType

from asr.transcriber import BatchTranscriber, Lang, Transcription, Utterance
from audio.g711 import Floats


class EngineBusy(RuntimeError):  # noqa: N818 - what is so, not what failed
    """The queue is full: a partial is not worth waiting for, a final must be asked for again or given up."""


class EngineClosed(RuntimeError):  # noqa: N818
    """The engine was closed before this was decoded."""


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """How busy the engine is and was. ``batches`` and ``decoded`` count since it began."""

    waiting: int
    decoding: int
    batches: int
    decoded: int
    refused: int


@dataclass(slots=True, eq=False)
class _Job:
    utterance: Utterance
    final: bool
    number: int
    shape: Hashable
    future: Future[Transcription] = field(default_factory=Future)


class Engine:
    """A ``Transcriber`` for every call of a process. ``submit`` and ``transcribe`` may be called from any thread.

    ``workers`` batches are decoded at a time, each of at most ``max_batch`` utterances of one shape. At most
    ``max_waiting`` requests wait.
    """

    def __init__(
        self, transcriber: BatchTranscriber, *, workers: int = 2, max_batch: int = 8, max_waiting: int = 64
    ) -> None:
        if min(workers, max_batch, max_waiting) < 1:
            raise ValueError("workers, max_batch and max_waiting must be at least 1")
        self._transcriber = transcriber
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        self._waiting: list[_Job] = []  # guarded by _changed, as is all that follows
        self._decoding = self._batches = self._decoded = self._refused = 0
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"asr-engine-{i}", daemon=True) for i in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def load(self) -> EngineLoad:
        """How busy the engine is now."""
        with self._changed:
            return EngineLoad(len(self._waiting), self._decoding, self._batches, self._decoded, self._refused)

    def submit(
        self, samples: Floats, rate: int, lang: Lang | None = None, *, hotwords: str | None = None, final: bool = True
    ) -> Future[Transcription]:
        """Queue what ``transcribe`` takes; the future gives its answer.

        Cancelling the future takes a waiting request out of the queue; one that is being decoded is not stopped, its
        answer is dropped. The future fails with ``EngineBusy`` if a final pushed this partial out, ``EngineClosed``
        if the engine was closed. The samples must not be changed until then. Raises ``ValueError`` as ``transcribe``
        does, ``EngineBusy`` where the queue is full, ``EngineClosed``.
        """
        if samples.ndim != 1:
            raise ValueError(f"audio must be mono, one dimension, not {samples.ndim}")
        if rate <= 0:
            raise ValueError(f"sample rate must be positive, not {rate}")
        utterance = Utterance(samples, rate, lang, hotwords)
        job = _Job(utterance, final, next(self._numbers), self._transcriber.shape(utterance))
        pushed_out: _Job | None = None
        with self._changed:
            if self._closed:
                raise EngineClosed("the engine is closed")
            self._waiting = [j for j in self._waiting if not j.future.cancelled()]
            if len(self._waiting) >= self._max_waiting:
                self._refused += 1
                pushed_out = next((j for j in self._waiting if not j.final), None) if final else None
                if pushed_out is None:
                    raise EngineBusy(f"{self._max_waiting} utterances are waiting to be heard")
                self._waiting.remove(pushed_out)
            self._waiting.append(job)
            self._changed.notify()
        if pushed_out is not None and pushed_out.future.set_running_or_notify_cancel():
            pushed_out.future.set_exception(EngineBusy("a final text needed the place"))
        return job.future

    def transcribe(
        self, samples: Floats, rate: int, lang: Lang | None = None, *, hotwords: str | None = None
    ) -> Transcription:
        """See ``Transcriber.transcribe``; waits for the answer. Raises what ``submit`` and its future raise."""
        return self.submit(samples, rate, lang, hotwords=hotwords).result()

    def close(self) -> None:
        """Finish what is being decoded, fail what is waiting, end the threads."""
        with self._changed:
            self._closed = True
            left, self._waiting = self._waiting, []
            self._changed.notify_all()
        for job in left:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(EngineClosed("the engine was closed"))
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._waiting or self._closed):
                    self._changed.wait()
                if self._closed:
                    return
                batch = self._take()
                self._decoding += len(batch)
                self._batches += bool(batch)
            if batch:
                self._decode(batch)
                with self._changed:
                    self._decoding -= len(batch)
                    self._decoded += len(batch)

    def _take(self) -> list[_Job]:
        """The next batch: the oldest of the most urgent, and others as urgent of its shape. Holds the lock."""
        ordered = sorted(self._waiting, key=lambda j: (not j.final, j.number))
        first = ordered[0]
        chosen = [j for j in ordered if j.shape == first.shape and j.final == first.final][: self._max_batch]
        taken = set(chosen)
        self._waiting = [j for j in self._waiting if j not in taken]
        return [j for j in chosen if j.future.set_running_or_notify_cancel()]

    def _decode(self, jobs: Sequence[_Job]) -> None:
        """Answer every job. One that cannot be decoded fails alone, not with its neighbours."""
        try:
            heard = self._transcriber.transcribe_all([j.utterance for j in jobs], batch_size=self._max_batch)
        except Exception as e:  # whatever the recogniser raises belongs to whoever asked
            if len(jobs) == 1:
                jobs[0].future.set_exception(e)
            else:
                for job in jobs:
                    self._decode([job])
            return
        for job, transcription in zip(jobs, heard, strict=True):
            job.future.set_result(transcription)


__all__ = ["CancelledError", "Engine", "EngineBusy", "EngineClosed", "EngineLoad"]
