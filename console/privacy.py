"""Hiding who somebody is from those who need not know: names and numbers in what was said."""

from __future__ import annotations

import re
from typing import Any

from archive.covering import MASK as HIDDEN

_DIGITS = re.compile(r"\d(?:[\d -]{2,}\d)|(?:[零〇一二三四五六七八九幺两]){4,}", re.ASCII)
_ENGLISH = re.compile(
    r"\b(?:(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|double|triple)[ ,-]+){3,}"
    r"(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)\b",
    re.IGNORECASE,
)


def hide(text: str, names: tuple[str, ...] = ()) -> str:
    """``text`` of the same length, where ``names`` and runs of four or more digits, written or spoken, are covered."""
    for name in names:
        if len(name) >= 2:
            text = re.sub(re.escape(name), lambda m: HIDDEN * len(m.group()), text, flags=re.IGNORECASE)
    for pattern in (_DIGITS, _ENGLISH):
        text = pattern.sub(lambda m: HIDDEN * len(m.group()), text)
    return text


def hide_values(value: Any, names: tuple[str, ...] = ()) -> Any:
    """``hide`` in every string of a JSON value."""
    if isinstance(value, str):
        return hide(value, names)
    if isinstance(value, dict):
        return {key: hide_values(each, names) for key, each in value.items()}
    if isinstance(value, list):
        return [hide_values(each, names) for each in value]
    return value
