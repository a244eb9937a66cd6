"""Reading one sheet of an Excel file (ECMA-376), with what its XML says beside the cells: rows that are hidden, cells
that are merged, formulas whose value was never saved. Each of them looks like an empty cell, and an empty cell of
"do not contact" would be a call that nobody may place."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

from campaigns.errors import ImportRefused
from campaigns.importing.table import MAX_COLUMNS, RawRow, Table, columns_of

MAX_UNPACKED: Final = 512 << 20
MAX_STRINGS: Final = 128 << 20
MAX_PART: Final = 16 << 20
"""Bytes of any part but a sheet and the strings: styles and the like are read whole."""
MAX_ROWS: Final = 1 << 20
_PIECE = 1 << 20
_TAG = re.compile(rb"<(?:[A-Za-z_][\w.-]*:)?(row|f|mergeCell)\b([^<>]*)>")
_DTD = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
_ATTRIBUTE = re.compile(rb'\b(r|ref|hidden)\s*=\s*["\']([^"\']*)["\']')
_RANGE = re.compile(r"\$?([A-Z]{1,3})\$?([0-9]{1,7})(?::\$?([A-Z]{1,3})\$?([0-9]{1,7}))?")


@dataclass(frozen=True, slots=True)
class _Beside:
    """What the sheet's XML says of its rows: ``hidden`` ones, ``merged`` spans (first, last), ``formulas`` at all."""

    hidden: frozenset[int]
    merged: tuple[tuple[int, int], ...]
    formulas: bool


def read_workbook(name: str, data: bytes, digest: str, sheet: str | None) -> Table:
    """The sheet ``sheet``, or the only visible one that holds anything. Raises ``ImportRefused`` in one line."""
    from openpyxl import load_workbook

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_parts(name, archive)
            book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
            page = _sheet(name, book, sheet)
            beside = _beside(name, archive, page)
        size = min(page.max_row or 0, MAX_ROWS)
        rows = _rows(page)
        formulas = None
        if beside.formulas:
            again = load_workbook(io.BytesIO(data), read_only=True, data_only=False, keep_links=False)
            formulas = _rows(again[page.title])
            next(formulas, ())
        heading = next(rows, ())
    except ImportRefused:
        raise
    except Exception as e:  # openpyxl raises what its XML and ZIP readers raise
        raise ImportRefused(f"{name}: cannot be read as an Excel file ({type(e).__name__})") from None
    cells = ["" if cell is None else str(cell) for cell in heading]
    while cells and not cells[-1].strip():
        cells.pop()
    columns = columns_of(name, cells)
    return Table(name, digest, "xlsx", columns, size, _raw_rows(name, rows, formulas, columns, beside))


def _check_parts(name: str, archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    if sum(part.file_size for part in parts) > MAX_UNPACKED:
        raise ImportRefused(f"{name}: unpacks to more than {MAX_UNPACKED >> 20} MB")
    if len({part.filename for part in parts}) < len(parts):
        raise ImportRefused(f"{name}: holds a part twice, as no spreadsheet program writes it")
    if "xl/workbook.xml" not in archive.namelist():
        raise ImportRefused(f"{name}: is a ZIP archive, not an Excel file")
    for part in parts:
        most = MAX_STRINGS if "sharedstrings" in part.filename.lower() else MAX_PART
        if "worksheets/" not in part.filename and part.file_size > most and part.filename.endswith((".xml", ".rels")):
            raise ImportRefused(f"{name}: a part of it unpacks to more than {most >> 20} MB")
        if part.filename.endswith((".xml", ".rels")):
            with archive.open(part) as source:
                if _DTD.search(source.read(1 << 16)):
                    raise ImportRefused(f"{name}: holds a document type, as no spreadsheet program writes it")


def _sheet(name: str, book: Any, sheet: str | None) -> Any:
    if sheet is not None:
        if sheet not in {page.title for page in book.worksheets}:
            raise ImportRefused(f"{name}: has no sheet {sheet!r}")
        return book[sheet]
    seen = [page for page in book.worksheets if page.sheet_state == "visible"]
    if not seen:
        raise ImportRefused(f"{name}: has no visible sheet; name one in the mapping (sheet: …)")
    full = [page for page in seen if any(cell is not None for row in _first(page) for cell in row)]
    if len(full) > 1:
        raise ImportRefused(f"{name}: has {len(full)} visible sheets; name one in the mapping (sheet: …)")
    return full[0] if full else seen[0]


def _rows(page: Any) -> Iterator[tuple[Any, ...]]:
    page.reset_dimensions()  # many programs write a size that is too small, and the rest would be left out
    return iter(page.iter_rows(values_only=True, min_row=1, max_col=MAX_COLUMNS + 1))


def _first(page: Any) -> list[tuple[Any, ...]]:
    rows = page.iter_rows(values_only=True, min_row=1, max_row=5, max_col=MAX_COLUMNS + 1)
    return list(rows)


def _beside(name: str, archive: zipfile.ZipFile, page: Any) -> _Beside:
    hidden: set[int] = set()
    spans: list[tuple[int, int]] = []
    formulas, line = False, 0
    with archive.open(page._worksheet_path) as source:
        if source.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise ImportRefused(f"{name}: its sheet is in UTF-16, as no spreadsheet program writes it")
        for tag, rest in _tags(source):
            said = dict(_ATTRIBUTE.findall(rest))
            if tag == b"f":
                formulas = True
            elif tag == b"row":
                number = int(said.get(b"r", b"0") or 0) or line + 1
                if number <= line:
                    raise ImportRefused(f"{name}: row {number} stands twice or out of order")
                if number > MAX_ROWS:
                    raise ImportRefused(f"{name}: has more than {MAX_ROWS} rows")
                line = number
                if said.get(b"hidden") in (b"1", b"true"):
                    hidden.add(line)
            elif found := _RANGE.fullmatch(said.get(b"ref", b"").decode("ascii", "replace")):
                first, last = int(found[2]), int(found[4] or found[2])
                spans.append((min(first, last), max(first, last)))
    return _Beside(frozenset(hidden), tuple(sorted(spans)), formulas)


def _tags(source: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The tags that matter, read in pieces: a sheet may unpack to hundreds of megabytes."""
    rest = b""
    while piece := source.read(_PIECE):
        text = rest + piece
        end = 0
        for found in _TAG.finditer(text):
            yield found[1], found[2]
            end = found.end()
        rest = text[max(end, len(text) - 4096) :]


def _raw_rows(
    name: str,
    rows: Iterator[tuple[Any, ...]],
    formulas: Iterator[tuple[Any, ...]] | None,
    columns: tuple[str, ...],
    beside: _Beside,
) -> Iterator[RawRow]:
    line, span, merged_to = 1, 0, 0
    try:
        for cells in rows:
            line += 1
            raw = next(formulas, ()) if formulas is not None else ()
            while span < len(beside.merged) and beside.merged[span][0] <= line:
                merged_to = max(merged_to, beside.merged[span][1])
                span += 1
            beyond = cells[len(columns) :]
            given = beyond.count(None) < len(beyond)  # a row is as wide as the widest allowed: counting in C matters
            pairs = zip(cells, raw, strict=False)
            unsaved = [i for i, (value, formula) in enumerate(pairs) if value is None and formula is not None]
            seen = cells if given else cells[: len(columns)]
            if not unsaved and all(cell is None or (isinstance(cell, str) and not cell.strip()) for cell in seen):
                continue
            problem = None
            if given:
                problem = "has cells beyond the last heading"
            elif line <= merged_to:
                problem = "has merged cells: only the first of them holds the value; unmerge them"
            elif line in beside.hidden:
                problem = "is hidden in the sheet, perhaps by a filter: show it or delete it"
            elif unsaved:
                problem = f"column {unsaved[0] + 1} is a formula whose value was not saved: save it as a value"
            if problem is not None:
                yield RawRow(line, {}, problem)
                continue
            padded = (*cells[: len(columns)], *(None,) * (len(columns) - len(cells)))
            yield RawRow(line, dict(zip(columns, padded, strict=True)))
    except ImportRefused:
        raise
    except Exception as e:
        raise ImportRefused(f"{name}: damaged after row {line} ({type(e).__name__})") from None
