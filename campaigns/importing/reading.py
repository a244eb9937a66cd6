"""Reading a table, CSV or XLSX, as rows of cells under its own headings."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from campaigns.errors import ImportRefused
from campaigns.importing.encoding import decode

MAX_BYTES = 256 << 20
MAX_UNPACKED = 1 << 30
MAX_CELL = 2000
MAX_COLUMNS = 200
Cell = str | int | float | Decimal | date | datetime | bool | None


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


def read_table(path: Path, *, delimiter: str | None = None, sheet: str | None = None) -> Table:
    """Open ``path`` by its content, not its name. Raises ``ImportRefused`` in one line."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ImportRefused(f"{path.name}: larger than {MAX_BYTES >> 20} MB")
        data = path.read_bytes()
    except OSError as e:
        raise ImportRefused(f"{path.name}: {e.strerror}") from e
    if not data.strip():
        raise ImportRefused(f"{path.name}: is empty")
    digest = hashlib.sha256(data).hexdigest()
    if data.startswith(b"PK\x03\x04"):
        return _xlsx(path.name, data, digest, sheet)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise ImportRefused(f"{path.name}: is an old or encrypted Excel file; save it as .xlsx or CSV")
    return _csv(path.name, data, digest, delimiter)


def _csv(name: str, data: bytes, digest: str, delimiter: str | None) -> Table:
    text, encoding = decode(data, name)
    lines = re.split("\r\n|\n|\r", text)
    if delimiter is None:
        delimiter = max(",;\t|", key=lines[0].count)
    try:
        heading = _cells(lines[0], delimiter)
    except csv.Error as e:
        raise ImportRefused(f"{name}: the heading cannot be read: {e}") from None
    columns = _columns(name, heading)
    return Table(name, digest, encoding, columns, len(lines) - 1, _csv_rows(lines, delimiter, columns))


def _cells(line: str, delimiter: str) -> list[str]:
    """One line on its own, strictly: a quote in the wrong place must not swallow the hundred lines after it."""
    return next(csv.reader([line], delimiter=delimiter, strict=True), [])


def _csv_rows(lines: list[str], delimiter: str, columns: tuple[str, ...]) -> Iterator[RawRow]:
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        try:
            cells = _cells(line, delimiter)
        except csv.Error as e:
            yield RawRow(number, {}, f"cannot be read as one line of CSV: {e}")
            continue
        if len(cells) == len(columns):
            yield RawRow(number, dict(zip(columns, cells, strict=True)))
        elif any(cell.strip() for cell in cells):
            yield RawRow(number, {}, f"has {len(cells)} cells, the heading has {len(columns)}")


def _xlsx(name: str, data: bytes, digest: str, sheet: str | None) -> Table:
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(item.file_size for item in archive.infolist()) > MAX_UNPACKED:
                raise ImportRefused(f"{name}: unpacks to more than {MAX_UNPACKED >> 20} MB")
            if "xl/workbook.xml" not in archive.namelist():
                raise ImportRefused(f"{name}: is a ZIP archive, not an Excel file")
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        if sheet is not None and sheet not in book.sheetnames:
            raise ImportRefused(f"{name}: has no sheet {sheet!r}")
        page = book[sheet] if sheet is not None else book.worksheets[0]
        rows = page.iter_rows(values_only=True)
        heading = next(rows, ())
    except ImportRefused:
        raise
    except Exception as e:  # openpyxl raises what its XML and ZIP readers raise
        raise ImportRefused(f"{name}: cannot be read as an Excel file ({type(e).__name__})") from None
    cells = ["" if cell is None else str(cell) for cell in heading]
    while cells and not cells[-1].strip():
        cells.pop()
    columns = _columns(name, cells)
    return Table(name, digest, "xlsx", columns, page.max_row or 0, _xlsx_rows(name, rows, columns))


def _xlsx_rows(name: str, rows: Iterator[tuple[Any, ...]], columns: tuple[str, ...]) -> Iterator[RawRow]:
    line = 1
    try:
        for cells in rows:
            line += 1
            if all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in cells):
                continue
            beyond = [cell for cell in cells[len(columns) :] if cell is not None]
            if beyond:
                yield RawRow(line, {}, "has cells beyond the last heading")
                continue
            padded = (*cells[: len(columns)], *(None,) * (len(columns) - len(cells)))
            yield RawRow(line, dict(zip(columns, padded, strict=True)))
    except Exception as e:
        raise ImportRefused(f"{name}: damaged after row {line} ({type(e).__name__})") from None


def _columns(name: str, heading: list[str]) -> tuple[str, ...]:
    columns = tuple(cell.strip().lstrip("\ufeff") for cell in heading)
    if len(columns) > MAX_COLUMNS:
        raise ImportRefused(f"{name}: has more than {MAX_COLUMNS} columns")
    for number, column in enumerate(columns, 1):
        if not column:
            raise ImportRefused(f"{name}: column {number} has no heading")
        if columns.index(column) != number - 1:
            raise ImportRefused(f"{name}: two columns are headed {column[:60]!r}")
    return columns
