"""Phrase tables: a regular expression and what it means, and how a whole table is read over a text."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Generic, TypeVar

from sentiment.slots.base import SlotContext

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Phrase(Generic[T]):
    """``read`` gives the meaning of a match in a call, or ``None`` when the match is a false friend."""

    pattern: re.Pattern[str]
    read: Callable[[re.Match[str], SlotContext], T | None]


@dataclass(frozen=True, slots=True)
class Found(Generic[T]):
    start: int
    end: int
    reading: T


def scan(text: str, phrases: Sequence[Phrase[T]], context: SlotContext) -> list[Found[T]]:
    """All readings that do not overlap, in order; where two overlap the longer one stands, then the earlier rule."""
    found: list[Found[T]] = []
    for phrase in phrases:
        for m in phrase.pattern.finditer(text):
            if m.end() == m.start():
                continue
            reading = phrase.read(m, context)
            if reading is not None:
                found.append(Found(m.start(), m.end(), reading))
    found.sort(key=lambda f: f.start - f.end)
    kept: list[Found[T]] = []
    for f in found:
        if all(f.end <= k.start or f.start >= k.end for k in kept):
            kept.append(f)
    return sorted(kept, key=lambda f: f.start)


def iso(days: Sequence[date]) -> tuple[str, ...]:
    return tuple(d.isoformat() for d in days)
