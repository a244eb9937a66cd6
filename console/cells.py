"""Numbers as they are shown and taken away: cells that lead to their calls, tables, CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["text", "number", "rate", "score"]
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


@dataclass(frozen=True, slots=True)
class Cell:
    """``value`` is a count, a share in [0, 1] (``rate``), a mean in [-1, 1] (``score``) or words; ``href`` leads to the
    calls it is made of."""

    value: str | int | float | None
    kind: Kind = "number"
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Panel:
    """``columns`` are translated. ``chart`` is what ``dashboard.js`` draws: ``{kind, format, x, series: [{name, data,
    hrefs}]}``, ``None`` where there is nothing to draw."""

    id: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    chart: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Tile:
    """One rate (or count) of the whole selection: ``part`` of ``whole``."""

    title: str
    value: Cell
    part: Cell | None = None
    whole: Cell | None = None


def csv_of(panel: Panel) -> bytes:
    """The panel's table as CSV that a spreadsheet opens: UTF-8 with its mark, numbers as numbers, words that a
    spreadsheet would take for a formula made plain (OWASP, "CSV Injection")."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([plain(name) for name in panel.columns])
    for row in panel.rows:
        values = (cell.value for cell in row)
        writer.writerow(["" if v is None else plain(v) if isinstance(v, str) else v for v in values])
    return out.getvalue().encode("utf-8-sig")


def plain(text: str) -> str:
    """``text`` with an apostrophe before whatever a spreadsheet would run."""
    return f"'{text}" if text.startswith(_FORMULA) else text
