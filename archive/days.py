"""Sums by the day, for every midnight that a console asks from, made of the sums by the hour.

Days that begin at different hours lie beside each other in one table: the hour at which a row begins says whose day it
is. So consoles in different time zones do not undo each other's work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.models import SummaryCell, SummaryDay, SummaryMidnight
from archive.summaries import EMOTIONS

SUMMED = (
    "calls", "conversations", "right_party", "promises", "complaints", "opt_outs", "handed_over", "flagged", "refusals",
    "borrower_turns", *EMOTIONS, "seconds", "valence_sum", "arousal_sum",
)  # fmt: skip
MOST = 6
"""Midnights that days are kept from, those who asked first; whoever asks from another one is answered by the hour. A
place with summer time needs two."""


def can_keep(session: Session, minutes: int) -> bool:
    """Whether days from ``minutes`` east of Greenwich are not kept, though they could be."""
    kept = _midnights(session)
    return minutes % 60 == 0 and _among(kept, minutes // 60) is None and len(kept) < MOST


def keep(session: Session, minutes: int) -> None:
    """Keep the days from ``minutes`` east of Greenwich from now on, if that can be. The caller is alone with them."""
    if not can_keep(session, minutes):
        return
    session.execute(sa.insert(SummaryMidnight), [{"shift": minutes // 60}])
    _enter(session, minutes // 60)


def midnight_of(session: Session, minutes: int) -> int | None:
    """How many hours before midnight in Greenwich the kept days begin that begin at ``minutes`` east of it."""
    return _among(_midnights(session), minutes // 60) if minutes % 60 == 0 else None


def first_hour(hour: int, shift: int) -> int:
    """The first hour of the day that ``hour`` (since 1970) lies in."""
    return (hour + shift) // 24 * 24 - shift


def begins(shift: int) -> Any:
    """SQL condition: a day's row is one of those that begin ``shift`` hours before midnight in Greenwich."""
    return SummaryDay.hour % 24 == -shift % 24


def add_up(session: Session, hours: Sequence[int]) -> None:
    """Sum up anew the days that ``hours`` lie in, of every midnight."""
    for shift in _midnights(session):
        days = sorted({first_hour(hour, shift) for hour in hours})
        session.execute(sa.delete(SummaryDay).where(SummaryDay.hour.in_(days)))
        for first, until in runs([hour for day in days for hour in range(day, day + 24)]):
            _enter(session, shift, SummaryCell.hour >= first, SummaryCell.hour < until)


def runs(hours: Sequence[int]) -> list[tuple[int, int]]:
    """Runs of hours, as first and past the last."""
    found: list[tuple[int, int]] = []
    for hour in hours:
        if found and found[-1][1] == hour:
            found[-1] = (found[-1][0], hour + 1)
        else:
            found.append((hour, hour + 1))
    return found


def _midnights(session: Session) -> list[int]:
    return list(session.scalars(sa.select(SummaryMidnight.shift).order_by(SummaryMidnight.shift)))


def _among(kept: Sequence[int], shift: int) -> int | None:
    return next((each for each in kept if (each - shift) % 24 == 0), None)


def _enter(session: Session, shift: int, *conditions: Any) -> None:
    """Enter the days of the hours that meet ``conditions``."""
    day = ((SummaryCell.hour + shift) // 24 * 24 - shift).label("its_day")
    sums = (sa.func.sum(getattr(SummaryCell, name)) for name in SUMMED)
    found = sa.select(SummaryCell.dimension, day, SummaryCell.lang, SummaryCell.value, *sums).where(*conditions)
    grouped = found.group_by(SummaryCell.dimension, sa.literal_column("its_day"), SummaryCell.lang, SummaryCell.value)
    session.execute(sa.insert(SummaryDay).from_select(["dimension", "hour", "lang", "value", *SUMMED], grouped))
