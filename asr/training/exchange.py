"""Two or more processes of one thread each, learning as one: gradients averaged through shared memory.

On a few CPU cores that others use too, this is faster than one process with threads: there is one meeting a step
instead of one in every operation, so a core taken away for a moment stalls little.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence

import torch
from torch import Tensor


class Exchange:
    """Made before forking; ``average`` is called by every process at every step, in the same order."""

    def __init__(self, parameters: Sequence[Tensor], workers: int) -> None:
        self.workers = workers
        size = sum(p.numel() for p in parameters)
        # Two sets of slots: while a slow reader still sums one, a fast writer fills the other.
        self._slots = torch.zeros(2, workers, size)
        self._clock = torch.zeros(2, dtype=torch.float64)
        for shared in (self._slots, self._clock):
            shared.share_memory_()  # type: ignore[no-untyped-call]
        self._barrier = multiprocessing.get_context("fork").Barrier(workers)
        self._turn = 0

    def average(self, gradients: Sequence[Tensor], rank: int, elapsed: float) -> tuple[list[Tensor], float]:
        """Mean float32 gradients of all workers, shaped like ``gradients``, and worker 0's ``elapsed``."""
        turn, self._turn = self._turn, 1 - self._turn
        mine, at = self._slots[turn, rank], 0
        for g in gradients:
            mine[at : at + g.numel()].copy_(g.flatten())
            at += g.numel()
        if rank == 0:
            self._clock[turn] = elapsed
        self._barrier.wait()
        mean = self._slots[turn].mean(0)
        parts, at = [], 0
        for g in gradients:
            parts.append(mean[at : at + g.numel()].view(g.shape))
            at += g.numel()
        return parts, float(self._clock[turn])
