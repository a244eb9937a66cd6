"""One parser a kind of field. Each takes a cell and gives the value, or says in a few words what is wrong with it.

They forgive what is certain (full-width digits, spaces, thousands separators that can only be such) and refuse what
could mean two things: a date such as 03/04/2026, a telephone number that a spreadsheet has turned into 1.38E+10.
No message quotes the cell: it holds a person's data.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from campaigns.importing.reading import MAX_CELL, Cell

_PLAIN = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?")
_CURRENCY = re.compile(r"^(CNY|RMB|USD|GBP|EUR|INR|[¥￥$£€₹])\s*|\s*(元|CNY|RMB|USD|GBP|EUR|INR)$", re.IGNORECASE)
_SCIENTIFIC = re.compile(r"[0-9.]+[eE][+-]?[0-9]+")
_DATE = re.compile(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?")
_PHONE = re.compile(r"\+?[0-9]+")
_YES = frozenset({"true", "yes", "y", "1", "是", "有"})
_NO = frozenset({"false", "no", "n", "0", "否", "无", "没有"})
Parser = Callable[[Cell], object]


class FieldError(ValueError):
    """What is wrong with a cell, without the cell."""


def text_of(cell: Cell, most: int = MAX_CELL) -> str:
    """A cell as clean text of one line; "" for an empty one."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        if not cell.is_integer():
            return repr(cell)
        cell = int(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(sep=" ")
    text = str(cell)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    text = text.strip()
    if len(text) > most:
        raise FieldError(f"is longer than {most} characters")
    if not text.isprintable():
        raise FieldError("holds a control character, an invisible one, or a line break")
    if "\ufffd" in text:
        raise FieldError("holds a replacement character: the file was damaged when its encoding was changed")
    return text


def words(cell: Cell) -> str:
    """A name or the like, at most 80 characters."""
    text = text_of(cell, 80)
    if text[:1] in ("=", "+", "-", "@") and len(text) > 1:
        raise FieldError("looks like a spreadsheet formula")
    if text.startswith("#") and text.rstrip("!?").isupper():
        raise FieldError("is a spreadsheet's error value")
    if any(c in text for c in "<>{}\\"):
        raise FieldError("holds a character that no name has")
    return text


def account(cell: Cell) -> str:
    """A reference of the lender's: letters, digits and ``-_./#``, at most 64."""
    if isinstance(cell, float) and not cell.is_integer():
        raise FieldError("is a fraction: the column must be text")
    if isinstance(cell, int | float) and not isinstance(cell, bool) and abs(cell) >= 10**15:
        raise FieldError("is a number of more than 15 digits: a spreadsheet has lost its last ones, make it text")
    text = text_of(cell, 64)
    if _SCIENTIFIC.fullmatch(text) and "." in text:
        raise FieldError("was turned into scientific notation by a spreadsheet: make the column text")
    if text and not re.fullmatch(r"[\w./#-]+", text):
        raise FieldError("holds something other than letters, digits and -_./#")
    return text


def money(cell: Cell) -> Decimal:
    if isinstance(cell, bool | date):
        raise FieldError("is no amount")
    if isinstance(cell, float):
        amount = Decimal(repr(cell))
        # A spreadsheet keeps 0.1 + 0.2: the cent is meant.
        amount = amount.quantize(Decimal("0.01")) if abs(amount - round(amount, 2)) < Decimal("1e-6") else amount
    else:
        text = _CURRENCY.sub("", text_of(cell, 40)).replace(" ", "")
        if _SCIENTIFIC.fullmatch(text):
            raise FieldError("is in scientific notation")
        if _GROUPED.fullmatch(text):
            text = text.replace(",", "")
        elif not _PLAIN.fullmatch(text):
            raise FieldError("is no amount such as 3500.00 or 3,500.00")
        try:
            amount = Decimal(text)
        except InvalidOperation:
            raise FieldError("is no amount such as 3500.00") from None
    exponent = amount.normalize().as_tuple().exponent
    if isinstance(exponent, int) and exponent < -2:
        raise FieldError("has more than two decimals")
    if not 0 < amount < 10**9:
        raise FieldError("must be above 0 and below 1000000000")
    return amount.quantize(Decimal("0.01"))


def day(cell: Cell, order: str | None = None) -> date:
    """A date: ISO, 2026/11/15, 2026年11月15日, 20261115, a spreadsheet's date cell; others by ``order`` (DMY, MDY)."""
    if isinstance(cell, datetime):
        if (cell.hour, cell.minute, cell.second) != (0, 0, 0):
            raise FieldError("is a moment, not a date")
        return _sane(cell.year, cell.month, cell.day)
    if isinstance(cell, date):
        return _sane(cell.year, cell.month, cell.day)
    text = text_of(cell, 32)
    text = re.sub(r"[ T]0{1,2}:00(:00(\.0+)?)?$", "", text)
    if found := _DATE.fullmatch(text):
        return _sane(*map(int, found.groups()))
    if re.fullmatch(r"[0-9]{8}", text):
        return _sane(int(text[:4]), int(text[4:6]), int(text[6:]))
    if found := re.fullmatch(r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})", text):
        first, second, year = map(int, found.groups())
        if order == "DMY" or (order is None and first > 12):
            return _sane(year, second, first)
        if order == "MDY" or (order is None and second > 12):
            return _sane(year, first, second)
        raise FieldError("may mean two days: state date_order in the mapping, or write 2026-11-15")
    if re.fullmatch(r"[0-9]{5}", text):
        raise FieldError("is a spreadsheet's day number: format the column as a date")
    raise FieldError("is no date such as 2026-11-15")


def _sane(year: int, month: int, of_month: int) -> date:
    try:
        found = date(year, month, of_month)
    except ValueError:
        raise FieldError("is a day that does not exist") from None
    if not date(1990, 1, 1) <= found <= date(2100, 1, 1):
        raise FieldError("lies before 1990 or after 2100")
    return found


def phone(cell: Cell, country_code: str | None = None) -> str:
    """A number in E.164. A national one needs ``country_code`` ("+86"), and loses one leading 0 (trunk prefix)."""
    if isinstance(cell, bool | date):
        raise FieldError("is no telephone number")
    if isinstance(cell, float) and not cell.is_integer():
        raise FieldError("is a fraction, not a telephone number")
    text = text_of(cell, 40)
    if _SCIENTIFIC.fullmatch(text):
        raise FieldError("was turned into scientific notation by a spreadsheet: its digits are lost")
    if re.search(r"(?i)(ext|x|分机|转)\s*[0-9]+$|[,;/、]|\s或", text):
        raise FieldError("holds an extension or more than one number")
    digits = re.sub(r"[\s().\u2010-\u2015-]", "", text)
    if digits.startswith("00"):
        digits = "+" + digits[2:]
    if not _PHONE.fullmatch(digits):
        raise FieldError("holds something other than digits")
    if not digits.startswith("+"):
        if country_code is None:
            raise FieldError("has no country code, and the mapping states none")
        digits = digits.removeprefix("0") if country_code != "+39" else digits
        code = country_code.removeprefix("+")
        bare = {"86": 11, "1": 10}.get(code)
        if bare is not None and digits.startswith(code) and len(digits) == len(code) + bare:
            digits = digits[len(code) :]
        digits = f"+{code}{digits}"
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", digits):
        raise FieldError("is too short or too long for a telephone number")
    if digits.startswith("+86") and not re.fullmatch(r"\+86(1[3-9][0-9]{9}|[2-9][0-9]{8,10}|10[0-9]{8})", digits):
        raise FieldError("is no Chinese mobile or fixed number")
    if digits.startswith("+1") and not re.fullmatch(r"\+1[2-9][0-9]{2}[2-9][0-9]{6}", digits):
        raise FieldError("is no North American number")
    if len(set(digits[-8:])) == 1:
        raise FieldError("is one digit repeated: a placeholder")
    return digits


@lru_cache(maxsize=1)
def _zones() -> frozenset[str]:
    return frozenset(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix/")))


def zone(cell: Cell) -> str:
    """An IANA zone with a place in it: abbreviations such as EST mean several."""
    text = text_of(cell, 64)
    if text not in _zones():
        raise FieldError("is no IANA time zone such as Asia/Shanghai")
    ZoneInfo(text)
    return text


def whole(cell: Cell) -> int:
    text = text_of(cell, 20)
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise FieldError("is no whole number")
    return int(text)


def flag(cell: Cell) -> bool:
    text = text_of(cell, 20).lower()
    if text in _YES:
        return True
    if text in _NO:
        return False
    raise FieldError("is neither yes nor no")


def last4(cell: Cell) -> str:
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        raise FieldError("is a number, and may have lost leading zeros: make the column text")
    text = text_of(cell, 20).upper()
    if not re.fullmatch(r"[0-9]{3}[0-9X]", text):
        raise FieldError("must be four digits (the last may be X)")
    return text


def listed(cell: Cell) -> list[str]:
    """Several texts, divided by ``|`` or ``；``."""
    parts = [part.strip() for part in re.split(r"[|;；]", text_of(cell))]
    found = [part for part in parts if part]
    if any(len(part) > 80 for part in found):
        raise FieldError("holds a text longer than 80 characters")
    return found


def clock(cell: Cell) -> str:
    text = text_of(cell, 12)
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise FieldError("must be HH:MM")
    return text


def one_of(*values: str) -> Parser:
    def parse(cell: Cell) -> str:
        text = text_of(cell, 40).lower()
        if text not in values:
            raise FieldError(f"must be one of {', '.join(values)}")
        return text

    return parse


def region(cell: Cell) -> str:
    text = text_of(cell, 16).upper()
    if not re.fullmatch(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", text):
        raise FieldError("must be a region such as CN, US or US-NY")
    return text


def currency(cell: Cell) -> str:
    text = text_of(cell, 8).upper()
    text = {"RMB": "CNY", "¥": "CNY", "$": "USD", "£": "GBP", "€": "EUR", "₹": "INR"}.get(text, text)
    if text not in ("CNY", "USD", "GBP", "EUR", "INR"):
        raise FieldError("must be one of CNY, USD, GBP, EUR, INR")
    return text
