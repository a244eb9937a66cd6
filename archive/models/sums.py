"""Sums over calls that charts are drawn from, by the hour and by the day, and which of them are out of date."""

from __future__ import annotations

from sqlalchemy import Index
from sqlalchemy.orm import Mapped, mapped_column

from archive.models.base import Base
from archive.types import Label


class Sums:
    """What is summed up over calls in one language that share a ``value`` of one ``dimension`` ("": not set). ``hour``,
    the first one, is counted from 1970. What they mean, :class:`archive.dashboards.Numbers` says."""

    dimension: Mapped[str] = mapped_column(Label(16), primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lang: Mapped[str] = mapped_column(Label(8), primary_key=True)
    value: Mapped[str] = mapped_column(Label(128), primary_key=True)
    calls: Mapped[int]
    conversations: Mapped[int]
    right_party: Mapped[int]
    promises: Mapped[int]
    complaints: Mapped[int]
    opt_outs: Mapped[int]
    handed_over: Mapped[int]
    flagged: Mapped[int]
    refusals: Mapped[int]
    borrower_turns: Mapped[int]
    positive: Mapped[int]
    anxious: Mapped[int]
    sad: Mapped[int]
    frustrated: Mapped[int]
    angry: Mapped[int]
    seconds: Mapped[float]
    valence_sum: Mapped[float]
    arousal_sum: Mapped[float]


class SummaryCell(Sums, Base):
    """The sums of an hour. Kept by :mod:`archive.rollups`."""

    __tablename__ = "summary_cells"
    __table_args__ = ({"sqlite_with_rowid": False},)


class SummaryDay(Sums, Base):
    """The sums of 24 hours from a midnight (:class:`SummaryMidnight`) on: those of several midnights, side by side."""

    __tablename__ = "summary_days"
    __table_args__ = ({"sqlite_with_rowid": False},)


class SummaryMidnight(Base):
    """When days begin that sums are kept of: ``shift`` hours before midnight in Greenwich, a row for each midnight."""

    __tablename__ = "summary_midnight"

    shift: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class SummaryStale(Base):
    """An hour whose summaries changed since its cells were summed up. A trigger enters it; never unique, so that nobody
    waits for anybody."""

    __tablename__ = "summary_stale"
    __table_args__ = (Index(None, "hour"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    hour: Mapped[int]
