"""Stretches of speech by speaker, and words given to the speakers who said them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from asr.audiofile import Recording
from asr.transcriber import TimedWord


@dataclass(frozen=True, slots=True)
class SpeakerTurn:
    """``speaker`` (counted from 0 in the order in which they are first heard) speaks from ``start`` to ``end`` s."""

    start: float
    end: float
    speaker: int


class Diarizer(Protocol):
    """Finds who speaks when. One object serves one recording at a time."""

    def diarize(self, recording: Recording, speech: Sequence[tuple[float, float]]) -> list[SpeakerTurn]:
        """Turns in order of time, never two at once; ``speech`` are the stretches where somebody speaks, in seconds.

        Raises ``ModelError`` where its model cannot be used.
        """
        ...


def renumbered(turns: Sequence[SpeakerTurn]) -> list[SpeakerTurn]:
    """The turns in order, speakers counted as they are first heard, neighbours of one speaker that touch joined."""
    names: dict[int, int] = {}
    out: list[SpeakerTurn] = []
    for turn in sorted(turns, key=lambda t: (t.start, t.end)):
        speaker = names.setdefault(turn.speaker, len(names))
        if out and out[-1].speaker == speaker and turn.start - out[-1].end < 0.05:
            out[-1] = SpeakerTurn(out[-1].start, max(out[-1].end, turn.end), speaker)
        else:
            out.append(SpeakerTurn(turn.start, turn.end, speaker))
    return out


def attribute(words: Sequence[TimedWord], turns: Sequence[SpeakerTurn]) -> list[int]:
    """The speaker of each word: the one who speaks most of it; for a word in nobody's turn, the nearest in time.

    ``words`` and ``turns`` are in order of time.
    """
    if not turns:
        return [0] * len(words)
    starts = [turn.start for turn in turns]
    out = []
    for word in words:
        at = bisect_left(starts, word.end)
        near = turns[max(0, at - 4) : at + 1]
        best = max(near, key=lambda t: min(t.end, word.end) - max(t.start, word.start))
        out.append(best.speaker)
    return out
