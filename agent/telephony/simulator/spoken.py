"""Numbers as a person says them on the telephone: digit strings and whole amounts, in both languages."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

from agent.events import Lang

_ZH_DIGITS = "零一二三四五六七八九"
_EN_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_EN_TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_EN_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")


def digits(text: str, lang: Lang) -> str:
    """Every digit of ``text`` one by one; anything else is left out. ``"4821"`` → ``四八二一``, ``four eight …``.

    The Mandarin one is ``一``, not the ``幺`` of room numbers: callers use both, and the recogniser's digits
    are read this way.
    """
    found = [int(c) for c in text if c.isascii() and c.isdigit()]
    if lang == "zh":
        return "".join(_ZH_DIGITS[d] for d in found)
    return " ".join(_EN_DIGITS[d] for d in found)


def cardinal(n: int, lang: Lang) -> str:
    """A whole number from 0 to 99,999,999 in words. Raises ``ValueError`` outside that."""
    if not 0 <= n < 10**8:
        raise ValueError(f"cannot say {n}: not between 0 and 99,999,999")
    return _chinese(n) if lang == "zh" else _english(n)


def amount(text: str, lang: Lang) -> str:
    """A decimal string's whole part in words; cents are dropped, as people do. Raises ``ValueError``."""
    try:
        return cardinal(int(Decimal(text)), lang)
    except (InvalidOperation, OverflowError) as e:
        raise ValueError(f"not an amount: {text!r}") from e


def _chinese(n: int) -> str:
    if n == 0:
        return _ZH_DIGITS[0]
    high, low = divmod(n, 10000)
    if not high:
        return _below_wan(low).removeprefix("一") if 10 <= n < 20 else _below_wan(low)
    gap = _ZH_DIGITS[0] if 0 < low < 1000 else ""
    return f"{_chinese(high)}万{gap}{_below_wan(low)}"


def _below_wan(n: int) -> str:
    out, pending = "", False
    for unit, value in (("千", 1000), ("百", 100), ("十", 10), ("", 1)):
        digit = n // value % 10
        if digit:
            out += (_ZH_DIGITS[0] if pending and out else "") + _ZH_DIGITS[digit] + unit
            pending = False
        else:
            pending = True
    return out


def _english(n: int) -> str:
    if n < 10:
        return _EN_DIGITS[n]
    if n < 20:
        return _EN_TEENS[n - 10]
    if n < 100:
        tens, ones = divmod(n, 10)
        return _EN_TENS[tens] + (f" {_EN_DIGITS[ones]}" if ones else "")
    for word, value in (("million", 10**6), ("thousand", 1000), ("hundred", 100)):
        if n >= value:
            count, rest = divmod(n, value)
            return f"{_english(count)} {word}" + (f" {_english(rest)}" if rest else "")
    raise AssertionError(n)
