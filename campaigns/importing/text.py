"""A cell as clean text: what damage, encodings and spreadsheets leave in it is refused."""

from __future__ import annotations

import contextlib
import math
import re
import unicodedata
from datetime import datetime
from typing import Final

from campaigns.importing.table import Cell

MAX_CELL: Final = 2000
_ERROR = re.compile(r"#(REF!|N/A|VALUE!|NAME\?|DIV/0!|NUM!|NULL!|SPILL!|CALC!|FIELD!|GETTING_DATA|#+)", re.IGNORECASE)
_ESCAPED = re.compile(r"_x[0-9A-Fa-f]{4}_|&(#x?[0-9A-Fa-f]+|[A-Za-z]{2,8});")
_LOST: Final = ("锟斤拷", "烫烫烫", "屯屯屯")
"""What damaged text becomes when it is read as GBK."""


class FieldError(ValueError):
    """What is wrong with a cell, without the cell."""


def text_of(cell: Cell, most: int = MAX_CELL) -> str:
    """A cell as clean text of one line; "" for an empty one."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        if not math.isfinite(cell) or abs(cell) >= 1e15:
            raise FieldError("is a number that no spreadsheet can hold exactly")
        if not cell.is_integer():
            return repr(cell)
        cell = int(cell)
    if isinstance(cell, int) and abs(cell) >= 10**most:
        raise FieldError(f"is longer than {most} characters")
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    text = str(cell)
    if not text.isascii():
        _undamaged(text)
        text = unicodedata.normalize("NFKC", text)
    text = text.strip()
    if len(text) > most:
        raise FieldError(f"is longer than {most} characters")
    if not text.isprintable():
        raise FieldError("holds a control character, an invisible one, or a line break")
    if _ERROR.fullmatch(text):
        raise FieldError("is a spreadsheet's error value")
    if _ESCAPED.search(text):
        raise FieldError("holds a character in escaped form, such as _x000D_ or &amp;")
    return text


def _undamaged(text: str) -> None:
    """Raises ``FieldError`` for text that a wrong encoding has spoilt on its way here."""
    if "\ufffd" in text or any(lost in text for lost in _LOST):
        raise FieldError("holds a replacement character: the file was damaged when its encoding was changed")
    for wrong in ("cp1252", "latin-1"):
        try:
            mended = text.encode(wrong).decode("utf-8")
        except UnicodeError:
            continue
        if mended != text:
            raise FieldError("is UTF-8 that was read in another encoding: the file was damaged")
    try:
        text.encode("gb2312")
    except UnicodeEncodeError:  # a rare character: chance would not make UTF-8 of its bytes
        with contextlib.suppress(UnicodeError):
            if any("\u4e00" <= c <= "\u9fff" for c in text.encode("gb18030").decode("utf-8")):
                raise FieldError("is UTF-8 that was read in another encoding: the file was damaged") from None


def figures_of(cell: Cell, most: int) -> str:
    """A cell of digits and signs. Full-width digits are digits; ² and ① are not, though Unicode would fold them."""
    if isinstance(cell, str) and any(unicodedata.category(c)[0] == "N" for c in cell if not _plain(c)):
        raise FieldError("holds a figure that is no plain digit")
    return text_of(cell, most)


def _plain(c: str) -> bool:
    return c.isascii() or "\uff01" <= c <= "\uff5e"
