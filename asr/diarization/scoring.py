"""Diarization error rate, as in NIST's Rich Transcription evaluations, without collar and with overlaps counted."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from asr.diarization.turns import SpeakerTurn

FRAME_S = 0.01


@dataclass(frozen=True, slots=True)
class DiarizationError:
    """Shares of the speech spoken, each speaker's counted: not found, found where none is, given to another."""

    missed: float
    false_alarm: float
    confusion: float

    @property
    def rate(self) -> float:
        """The diarization error rate."""
        return self.missed + self.false_alarm + self.confusion


def error(truth: Sequence[SpeakerTurn], found: Sequence[SpeakerTurn]) -> DiarizationError:
    """Error of ``found`` under the best assignment of its speakers to those of ``truth`` (at most six each).

    Raises ``ValueError`` where nobody speaks in ``truth``.
    """
    if not truth:
        raise ValueError("the reference holds no speech")
    frames = round(max(t.end for t in [*truth, *found]) / FRAME_S) + 1
    a, b = _marks(truth, frames), _marks(found, frames)
    size = max(a.shape[1], b.shape[1])
    a, b = (np.pad(m, ((0, 0), (0, size - m.shape[1]))) for m in (a, b))
    there, said = a.sum(axis=1), b.sum(axis=1)
    agree = max(int(np.sum(a & b[:, list(order)])) for order in permutations(range(size)))
    total = int(there.sum())
    missed = int(np.maximum(0, there - said).sum())
    false_alarm = int(np.maximum(0, said - there).sum())
    confusion = int(np.minimum(there, said).sum()) - agree
    return DiarizationError(missed / total, false_alarm / total, confusion / total)


def read_rttm(path: Path) -> list[SpeakerTurn]:
    """Turns of a file in NIST's RTTM: ``SPEAKER file channel start duration <NA> <NA> name …``."""
    names: dict[str, int] = {}
    turns = []
    for line in path.read_text(encoding="utf-8").splitlines():
        parts = line.split()
        if len(parts) >= 8 and parts[0] == "SPEAKER":
            start = float(parts[3])
            turns.append(SpeakerTurn(start, start + float(parts[4]), names.setdefault(parts[7], len(names))))
    return turns


def _marks(turns: Iterable[SpeakerTurn], frames: int) -> NDArray[np.bool_]:
    """Who speaks in each frame, [frames, speakers]."""
    turns = list(turns)
    out = np.zeros((frames, max((t.speaker for t in turns), default=0) + 1), bool)
    for t in turns:
        out[round(t.start / FRAME_S) : round(t.end / FRAME_S), t.speaker] = True
    return out
