"""Which encoding a text file is in: UTF-8 (with or without mark) or GB18030, or refused by name.

Anything that is UTF-8 is not by accident: the chance that GB18030 text of some length decodes as UTF-8 is nil. The
other way round it happens often, so UTF-8 is tried first.
"""

from __future__ import annotations

import codecs
from typing import Literal

from campaigns.errors import ImportRefused

Encoding = Literal["utf-8", "gb18030"]
_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"), (codecs.BOM_UTF32_BE, "UTF-32"), (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)  # fmt: skip


def decode(data: bytes, name: str) -> tuple[str, Encoding]:
    """The file's text and its encoding. Raises ``ImportRefused`` naming what it is instead."""
    if data.startswith(codecs.BOM_UTF8):
        data = data[len(codecs.BOM_UTF8) :]
    for mark, other in _MARKS:
        if data.startswith(mark):
            raise ImportRefused(f"{name}: is in {other}; save it as UTF-8 or GB18030")
    if b"\x00" in data:
        raise ImportRefused(f"{name}: holds NUL bytes, so it is no text file")
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as e:
        place = e.start
    try:
        text = data.decode("gb18030")
    except UnicodeDecodeError:
        line = data.count(b"\n", 0, place) + 1
        raise ImportRefused(f"{name}: line {line} is neither UTF-8 nor GB18030") from None
    return text, "gb18030"
