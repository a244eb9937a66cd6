"""Which encoding a text file is in: UTF-8 (with or without mark) or GB18030, or refused by name.

Anything that is UTF-8 is not by accident: the chance that GB18030 text of some length decodes as UTF-8 is nil. The
other way round it happens often, so UTF-8 is tried first, and a line in UTF-8 among lines in GB18030 (two files put
together) is found and refused: read as GB18030 it would give every person another name.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import Final, Literal

from campaigns.errors import ImportRefused

Encoding = Literal["utf-8", "gb18030"]
MAX_LINES: Final = 3_000_000
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)  # fmt: skip
_BREAK = re.compile(rb"\r\n|\n|\r")  # no byte of a character in either encoding
_THREE = re.compile(rb"[\xe0-\xef][\x80-\xbf]{2}")
_PAIR = re.compile(rb"[\x81-\xfe]([\x30-\x39][\x81-\xfe][\x30-\x39]|[\x40-\x7e\x80-\xfe])")
MIXED: Final = "is in another encoding than the rest of the file"


@dataclass(frozen=True, slots=True)
class Text:
    """A file's lines. ``foreign`` are the numbers (the first is 1) of those that are not in its ``encoding``."""

    lines: list[str]
    encoding: Encoding
    foreign: frozenset[int] = frozenset()


def decode(data: bytes, name: str) -> Text:
    """The file's lines and its encoding. Raises ``ImportRefused`` naming what it is instead."""
    for mark, other in _MARKS:
        if data.startswith(mark):
            raise ImportRefused(f"{name}: is in {other}; save it as UTF-8 or GB18030")
    marked = data.startswith(codecs.BOM_UTF8)
    if marked:
        data = data[len(codecs.BOM_UTF8) :]
    if b"\x00" in data:
        raise ImportRefused(f"{name}: holds NUL bytes, so it is no text file")
    if data.count(b"\n") + data.count(b"\r") > MAX_LINES:
        raise ImportRefused(f"{name}: has more than {MAX_LINES} lines")
    raw = _BREAK.split(data)
    try:
        return Text([line.decode("utf-8") for line in raw], "utf-8")
    except UnicodeDecodeError:
        pass
    broken, valid, own = _by_line(raw)
    if marked or valid > len(broken):
        return Text([line.decode("utf-8", "replace") for line in raw], "utf-8", frozenset(broken))
    lines: list[str] = []
    for number, line in enumerate(raw, 1):
        try:
            lines.append(line.decode("gb18030"))
        except UnicodeDecodeError:
            if number not in own:
                raise ImportRefused(f"{name}: line {number} is neither UTF-8 nor GB18030") from None
            lines.append(line.decode("utf-8"))
    if _western(raw, own):
        raise ImportRefused(f"{name}: looks like a Western encoding (Windows-1252, ISO 8859); save it as UTF-8")
    return Text(lines, "gb18030", frozenset(own))


def _by_line(raw: list[bytes]) -> tuple[set[int], int, set[int]]:
    """The numbers of lines that are not UTF-8; how many are, beyond ASCII; the numbers of those that are it surely.

    A line in GB18030 that is UTF-8 by accident holds pairs only (U+0080 to U+07FF): three bytes that make a
    character, in a line that is all valid, are no accident.
    """
    broken, sure = set(), set()
    valid = 0
    for number, line in enumerate(raw, 1):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            broken.add(number)
            continue
        valid += 1
        if _THREE.search(line):
            sure.add(number)
    return broken, valid, sure


def _western(raw: list[bytes], own: set[int]) -> bool:
    """Whether nearly every high byte is followed by an ASCII letter, as ``ñ`` in ``Muñoz`` is. In Chinese text most
    characters have two high bytes (GB 2312's rows)."""
    pairs = [found[1] for number, line in enumerate(raw, 1) if number not in own for found in _PAIR.finditer(line)]
    letters = sum(len(second) == 1 and second.isalpha() for second in pairs)
    return bool(pairs) and letters > 0.8 * len(pairs)
