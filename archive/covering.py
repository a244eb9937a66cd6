"""Which stretches of a recording give away what its transcript hides, and the tone that covers them.

A turn's text with every hidden character as ``MASK`` tells what is hidden; word times tell when it was said. Word times
of a recogniser are loose, so a stretch is widened by ``MARGIN_S``. A borrower's turn without word times is covered as a
whole. An agent's line is spoken by a machine at an even pace: without word times its place in the line is estimated by
the syllables before it, and widened the more the longer the line is. Wherever words and text do not agree, the whole
turn is covered.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from archive.wav import RATE

MASK = "▇"
MARGIN_S = 0.2
ESTIMATE_S, ESTIMATE_SHARE = 0.4, 0.12
"""How far an estimated stretch is widened: seconds, or this share of its line, whichever is more."""
TONE_HZ = 1000
TONE_PEAK = 3277
"""A tenth of full scale: -20 dBFS."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Seconds of one channel of a recording: 0 is the borrower's, 1 the agent's."""

    channel: Literal[0, 1]
    start: float
    end: float


class Said(Protocol):
    """A row of turns."""

    who: str
    start: float
    end: float
    text: str
    heard_text: str | None
    words: list[dict[str, Any]]


def stretches(turns: Iterable[Said], hide: Callable[[str], str] | None = None) -> list[Stretch]:
    """What is to be covered, in order, overlaps merged.

    Digits that the archive masked are; ``hide`` gives a text back with all else that is to be hidden as ``MASK``,
    character by character, so of the same length.
    """
    found: list[Stretch] = []
    for turn in turns:
        told = turn.text if turn.heard_text is None else turn.heard_text
        hidden = told if hide is None else hide(told)
        if MASK in hidden:
            channel: Literal[0, 1] = 1 if turn.who == "agent" else 0
            found += [Stretch(channel, max(0.0, a), b) for a, b in _when(turn, told, hidden)]
    return _merged(found)


def cover(frames: NDArray[np.int16], first: int, covered: Sequence[Stretch]) -> NDArray[np.int16]:
    """``frames`` (n, 2), of which ``first`` is the number in the recording, with the tone over what is covered. The
    tone depends on a frame's number alone, so that any part sounds as in the whole."""
    out = frames
    for stretch in covered:
        begin, end = int(stretch.start * RATE) - first, round(stretch.end * RATE) + 1 - first
        begin, end = max(0, begin), min(len(frames), end)
        if begin < end:
            out = frames.copy() if out is frames else out
            out[begin:end, stretch.channel] = tone(first + begin, end - begin)
    return out


def tone(first: int, count: int) -> NDArray[np.int16]:
    """Frames ``first`` onwards of a tone without beginning."""
    phase = 2 * np.pi * TONE_HZ / RATE * np.arange(first, first + count)
    samples: NDArray[np.int16] = np.round(TONE_PEAK * np.sin(phase)).astype(np.int16)
    return samples


def _when(turn: Said, told: str, hidden: str) -> list[tuple[float, float]]:
    places = {index for index, character in enumerate(hidden) if character == MASK}
    if len(hidden) != len(told):
        return [(turn.start - MARGIN_S, turn.end + MARGIN_S)]
    if turn.words:
        by_words = _by_words(turn.words, told, places)
        if by_words is not None:
            return [(a - MARGIN_S, b + MARGIN_S) for a, b in by_words]
    if turn.words or turn.who != "agent":
        return [(turn.start - MARGIN_S, turn.end + MARGIN_S)]
    return _estimated(turn, told, places)


def _by_words(words: Sequence[Mapping[str, Any]], told: str, places: set[int]) -> list[tuple[float, float]] | None:
    """``None`` where some of ``places`` lie in no word."""
    folded = told.casefold() if len(told.casefold()) == len(told) else told
    found, left, at = [], set(places), 0
    for word in words:
        bare = str(word.get("text", "")).strip().casefold()
        start = folded.find(bare, at) if bare else -1
        if start < 0:
            return None
        inside = places.intersection(range(start, start + len(bare)))
        at = start + len(bare)
        if inside:
            found.append((float(word["start"]), float(word["end"])))
            left -= inside
    return None if left else found


def _estimated(turn: Said, told: str, places: set[int]) -> list[tuple[float, float]]:
    weights = np.array([_weight(character) for character in told])
    ends = np.cumsum(weights)
    length, total = turn.end - turn.start, float(ends[-1]) or 1.0
    margin = max(ESTIMATE_S, ESTIMATE_SHARE * length)
    found = []
    for place in sorted(places):
        begin, end = float(ends[place] - weights[place]) / total * length, float(ends[place]) / total * length
        found.append((turn.start + begin - margin, turn.start + end + margin))
    return found


def _weight(character: str) -> float:
    """About how many syllables it is spoken as."""
    if character == MASK or character.isdigit():
        return 1.6
    if "\u3400" <= character <= "\u9fff":
        return 1.0
    if character.isalpha():
        return 0.35
    return 1.0 if character in ",.;:!?，。；：！？、" else 0.1


def _merged(found: list[Stretch]) -> list[Stretch]:
    merged: list[Stretch] = []
    for stretch in sorted(found, key=lambda each: (each.channel, each.start)):
        last = merged[-1] if merged else None
        if last is not None and last.channel == stretch.channel and stretch.start <= last.end:
            merged[-1] = Stretch(last.channel, last.start, max(last.end, stretch.end))
        else:
            merged.append(stretch)
    return sorted(merged, key=lambda each: (each.start, each.channel))
