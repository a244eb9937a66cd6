"""Opening a table, CSV or XLSX, by its content; CSV line by line."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from pathlib import Path

from campaigns.errors import ImportRefused
from campaigns.importing.encoding import MIXED, Text, decode
from campaigns.importing.table import RawRow, Table, columns_of
from campaigns.importing.workbook import read_workbook

MAX_BYTES = 256 << 20


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
        return read_workbook(path.name, data, digest, sheet)
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        raise ImportRefused(f"{path.name}: is an old or encrypted Excel file; save it as .xlsx or CSV")
    called_excel = path.suffix.lower() in {".xlsx", ".xlsm", ".xls"}
    return _csv(f"{path.name} (no Excel file: read as CSV)" if called_excel else path.name, data, digest, delimiter)


def _csv(name: str, data: bytes, digest: str, delimiter: str | None) -> Table:
    text = decode(data, name)
    first = 0
    if len(said := text.lines[0].strip().strip('"')) == 5 and said.lower().startswith("sep="):
        first, delimiter = 1, delimiter or said[4]  # Excel's own way to state the delimiter
    heading = text.lines[first] if first < len(text.lines) else ""
    if first + 1 in text.foreign:
        raise ImportRefused(f"{name}: the heading {MIXED}")
    if delimiter is None:
        delimiter = max(",;\t|", key=heading.count)
    try:
        columns = columns_of(name, _cells(heading, delimiter))
    except (csv.Error, TypeError) as e:
        raise ImportRefused(f"{name}: the heading cannot be read: {e}") from None
    rows = _csv_rows(text, first + 1, delimiter, columns)
    return Table(name, digest, text.encoding, columns, len(text.lines) - 1, rows)


def _cells(line: str, delimiter: str) -> list[str]:
    """One line on its own, strictly: a quote in the wrong place must not swallow the hundred lines after it."""
    return next(csv.reader([line], delimiter=delimiter, strict=True), [])


def _csv_rows(text: Text, start: int, delimiter: str, columns: tuple[str, ...]) -> Iterator[RawRow]:
    for number, line in enumerate(text.lines[start:], start + 1):
        if not line.strip():
            continue
        if number in text.foreign:
            yield RawRow(number, {}, MIXED)
            continue
        if line.count('"') % 2:  # RFC 4180: in a whole line they come in pairs. The rest is the end of another's cell
            yield RawRow(number, {}, "cannot be read as one line of CSV: a quotation mark is left over")
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
