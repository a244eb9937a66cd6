"""Slots as they are spoken: money, dates, times and digits in Mandarin and English words.

Values come in canonical form (decimal string, ISO date, ``HH:MM``, digit string, plain text) and go out as text
that a synthesiser reads without guessing and a listener hears once.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation

from scripts.errors import RenderError
from scripts.schema import SLOT_PATTERN, Lang, SlotSpec, SlotType

MAX_TEXT = 80
_ZH_DIGITS = "零一二三四五六七八九"
# fmt: off
_EN_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)
_EN_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)
# fmt: on
_EN_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_EN_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_UNITS: dict[str, dict[Lang, tuple[str, ...]]] = {
    # Mandarin: the unit (the yuan counts jiao and fen by itself). English: one, many, one cent, many cents.
    "CNY": {"zh": ("元",), "en": ("yuan", "yuan", "fen", "fen")},
    "USD": {"zh": ("美元", "美分"), "en": ("dollar", "dollars", "cent", "cents")},
    "EUR": {"zh": ("欧元", "欧分"), "en": ("euro", "euros", "cent", "cents")},
    "GBP": {"zh": ("英镑", "便士"), "en": ("pound", "pounds", "penny", "pence")},
    "INR": {"zh": ("卢比", "派萨"), "en": ("rupee", "rupees", "paisa", "paise")},
}


def number_zh(value: int) -> str:
    """A whole number below 10**12 in Mandarin, as spoken (``3500`` → 三千五百, ``12`` → 十二)."""
    if value < 0 or value >= 10**12:
        raise RenderError("a number must be between 0 and 10**12")
    if value == 0:
        return _ZH_DIGITS[0]
    groups: list[tuple[int, str]] = []
    for unit in ("", "万", "亿"):
        groups.append((value % 10000, unit))
        value //= 10000
    words = ""
    for position, (group, unit) in reversed(list(enumerate(groups))):
        if group:
            if words and (group < 1000 or words.endswith("零")) and not words.endswith("零"):
                words += "零"
            words += _group_zh(group) + unit
        elif words and position and not words.endswith("零"):
            words += "零"
    words = words.rstrip("零")
    return words[1:] if words.startswith("一十") else words


def _group_zh(group: int) -> str:
    words, gap = "", False
    for power, unit in ((1000, "千"), (100, "百"), (10, "十"), (1, "")):
        digit = group // power % 10
        if digit:
            words += ("零" if gap and words else "") + _ZH_DIGITS[digit] + unit
            gap = False
        else:
            gap = True
    return words


def number_en(value: int) -> str:
    """A whole number below 10**12 in English words, without "and" (``350`` → three hundred fifty)."""
    if value < 0 or value >= 10**12:
        raise RenderError("a number must be between 0 and 10**12")
    if value < 20:
        return _EN_SMALL[value]
    if value < 100:
        tens, rest = divmod(value, 10)
        return _EN_TENS[tens] + (f"-{_EN_SMALL[rest]}" if rest else "")
    for power, name in ((10**9, "billion"), (10**6, "million"), (1000, "thousand"), (100, "hundred")):
        if value >= power:
            head, rest = divmod(value, power)
            return f"{number_en(head)} {name}" + (f" {number_en(rest)}" if rest else "")
    raise AssertionError(value)  # pragma: no cover - every value from 100 has a power above


def ordinal_en(value: int) -> str:
    words = number_en(value)
    head, dash, tail = words.rpartition("-")
    if tail in _EN_ORDINALS:
        tail = _EN_ORDINALS[tail]
    elif tail.endswith("y"):
        tail = tail[:-1] + "ieth"
    else:
        tail += "th"
    return head + dash + tail


def money(value: str | Decimal, currency: str, lang: Lang) -> str:
    """``3500.00`` CNY → 三千五百元; ``350.20`` USD → three hundred fifty dollars and twenty cents."""
    try:
        amount = Decimal(value)
    except InvalidOperation as error:
        raise RenderError("money must be a decimal string") from error
    if not amount.is_finite() or amount < 0 or amount != amount.quantize(Decimal("0.01")):
        raise RenderError("money must be a finite amount of at least 0 with at most two decimals")
    if currency not in _UNITS:
        raise RenderError("money needs a currency out of " + ", ".join(_UNITS))
    whole, cents = int(amount), int(amount * 100) % 100
    units = _UNITS[currency][lang]
    if lang == "zh":
        words = (_liang(number_zh(whole)) + units[0]) if whole or not cents else ""
        if currency == "CNY":
            jiao, fen = divmod(cents, 10)
            if jiao:
                return words + _ZH_DIGITS[jiao] + "角" + (_ZH_DIGITS[fen] + "分" if fen else "")
            return words + (("零" if words else "") + _ZH_DIGITS[fen] + "分" if fen else "")
        return words + (number_zh(cents) + units[1] if cents else "")
    one, many, one_cent, many_cents = units
    words = f"{number_en(whole)} {one if whole == 1 else many}" if whole or not cents else ""
    if not cents:
        return words
    return (words + " and " if words else "") + f"{number_en(cents)} {one_cent if cents == 1 else many_cents}"


def _liang(words: str) -> str:
    """Spoken Mandarin counts two thousands and two alone with 两; the tens and hundreds keep 二."""
    if words == "二":
        return "两"
    return re.sub(r"(?<![零十百千])二(?=[千万亿])", "两", words)


def day(value: str | date, today: date, lang: Lang) -> str:
    """A date in words; the year only where it is not this year's (``2026-12-01`` → 十二月一日, December first)."""
    try:
        when = value if isinstance(value, date) else date.fromisoformat(value)
    except ValueError as error:
        raise RenderError("a date must be ISO, such as 2026-12-01") from error
    if lang == "zh":
        words = f"{number_zh(when.month)}月{number_zh(when.day)}日"
        if when.year == today.year:
            return words
        return "".join(_ZH_DIGITS[int(digit)] for digit in str(when.year)) + "年" + words
    words = f"{_EN_MONTHS[when.month - 1]} {ordinal_en(when.day)}"
    if when.year == today.year:
        return words
    century, rest = divmod(when.year, 100)
    year = f"{number_en(century)} {number_en(rest)}" if rest >= 10 else number_en(when.year)
    return f"{words}, {year}"


def clock(value: str, lang: Lang) -> str:
    """``15:30`` → 下午三点半, three thirty in the afternoon."""
    try:
        hour, minute = (int(part) for part in value.split(":"))
    except ValueError as error:
        raise RenderError("a time must be HH:MM") from error
    if not (0 <= hour < 24 and 0 <= minute < 60):
        raise RenderError("a time must be HH:MM")
    if lang == "zh":
        part = (
            "凌晨" if hour < 6 else "上午" if hour < 12 else "中午" if hour == 12 else "下午" if hour < 18 else "晚上"
        )
        spoken = hour if hour <= 12 else hour - 12
        words = part + ("两" if spoken == 2 else number_zh(spoken)) + "点"
        if minute == 0:
            return words
        return words + ("半" if minute == 30 else ("零" if minute < 10 else "") + number_zh(minute) + "分")
    part = "in the morning" if hour < 12 else "in the afternoon" if hour < 18 else "in the evening"
    if (hour, minute) == (12, 0):
        return "noon"
    words = number_en(hour % 12 or 12)
    if minute:
        words += f" oh {number_en(minute)}" if minute < 10 else f" {number_en(minute).replace('-', ' ')}"
    return f"{words} {part}" if minute else f"{words} o'clock {part}"


def digits(value: str, lang: Lang) -> str:
    """One by one; groups apart by a comma (``400-555`` → 四零零，五五五; ``one`` in Mandarin numbers is 幺)."""
    groups = [group for group in value.replace("+", "").replace("-", " ").split(" ") if group]
    if not groups or not all(group.isascii() and group.isdigit() for group in groups):
        raise RenderError("digits must be 0-9, spaces and dashes")
    if lang == "zh":
        return "，".join("".join("幺" if d == "1" else _ZH_DIGITS[int(d)] for d in group) for group in groups)
    return ", ".join(" ".join(_EN_SMALL[int(d)] for d in group) for group in groups)


def spoken(value: object, kind: SlotType, lang: Lang, *, currency: str, today: date) -> str:
    """One slot's canonical value as spoken text. Raises ``RenderError`` for a value that does not fit its type."""
    if value is None or value == "":
        raise RenderError("no value")
    if kind == "int":
        return number_zh(int(str(value))) if lang == "zh" else number_en(int(str(value)))
    if not isinstance(value, str):
        raise RenderError(f"a {kind} slot needs text")
    if kind == "money":
        return money(value, currency, lang)
    if kind == "date":
        return day(value, today, lang)
    if kind == "time":
        return clock(value, lang)
    if kind == "digits":
        return digits(value, lang)
    if len(value) > MAX_TEXT or not value.isprintable():
        raise RenderError(f"text over {MAX_TEXT} characters or with control characters")
    return value


def fill(
    template: str,
    specs: Mapping[str, SlotSpec],
    values: Mapping[str, object],
    lang: Lang,
    *,
    currency: str,
    today: date,
) -> str:
    """``template`` with every ``{slot}`` spoken, in one pass: braces inside a value are never read as a slot."""
    parts: list[str] = []
    end = 0
    for match in SLOT_PATTERN.finditer(template):
        name = match.group(1)
        if name not in specs or values.get(name) in (None, ""):
            raise RenderError(f"slot {name!r} has no value")
        try:
            text = spoken(values[name], specs[name].type, lang, currency=currency, today=today)
        except (RenderError, ValueError) as error:
            raise RenderError(f"slot {name!r}: {error}") from error
        parts += [template[end : match.start()], text]
        end = match.end()
    return "".join(parts) + template[end:]
