"""A table as rows of cells under its own headings, whatever file it came in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final

from campaigns.errors import ImportRefused

MAX_COLUMNS: Final = 200
Cell = str | int | float | Decimal | date | datetime | time | bool | None


@dataclass(frozen=True, slots=True)
class RawRow:
    """One row: ``line`` as an editor counts (the heading is 1). ``problem`` where it cannot be read as a row."""

    line: int
    cells: dict[str, Cell]
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A file's heading, how many rows it has at most, and the rows themselves, once."""

    name: str
    sha256: str
    encoding: str
    columns: tuple[str, ...]
    size: int
    rows: Iterator[RawRow]


def columns_of(name: str, heading: list[str]) -> tuple[str, ...]:
    """The headings, each one of its own. Raises ``ImportRefused`` for one that is missing or stands twice."""
    columns = tuple(cell.strip().lstrip("\ufeff") for cell in heading)
    if not any(columns):
        raise ImportRefused(f"{name}: the first line holds no headings")
    if len(columns) > MAX_COLUMNS:
        raise ImportRefused(f"{name}: has more than {MAX_COLUMNS} columns")
    for number, column in enumerate(columns, 1):
        if not column:
            raise ImportRefused(f"{name}: column {number} has no heading")
        if columns.index(column) != number - 1:
            raise ImportRefused(f"{name}: two columns are headed {column[:60]!r}")
    return columns
