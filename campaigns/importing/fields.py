"""One parser a kind of field. Each takes a cell and gives the value, or says in a few words what is wrong with it.

They forgive what is certain (full-width digits, spaces, thousands separators that can only be such) and refuse what
could mean two things: a date such as 03/04/2026, an amount such as 3.500, a telephone number that a spreadsheet has
turned into 1.38E+10. No message quotes the cell: it holds a person's data.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from campaigns.importing.table import Cell
from campaigns.importing.text import FieldError, figures_of, text_of

_PLAIN = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?|[0-9]{1,2}(,[0-9]{2})+,[0-9]{3}(\.[0-9]+)?")
"""In thousands, or in lakhs as in India: 12,34,567."""
_THOUSANDTHS = re.compile(r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}")
_CURRENCY = re.compile(r"^(CNY|RMB|USD|GBP|EUR|INR|[¥$£€₹])\s*|\s*(元|CNY|RMB|USD|GBP|EUR|INR)$", re.IGNORECASE)
_SIGNS: Final = {"RMB": "CNY", "元": "CNY", "¥": "CNY", "$": "USD", "£": "GBP", "€": "EUR", "₹": "INR"}
_SCIENTIFIC = re.compile(r"[0-9.]+[eE][+-]?[0-9]+")
_DATE = re.compile(r"([0-9]{4})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?")
_PHONE = re.compile(r"\+?[0-9]+")
_NOTHING: Final = frozenset({
    "null", "nil", "none", "nan", "n/a", "na", "n.a.", "unknown", "undefined", "test", "xxx", "-", "--", ".", "/", "?",
    "无", "空", "未知", "不详", "暂无", "测试", "姓名",
})  # fmt: skip
"""What systems and people write where they know nothing."""
_YES = frozenset({"true", "yes", "y", "1", "是", "有"})
_NO = frozenset({"false", "no", "n", "0", "否", "无", "没有"})
Parser = Callable[[Cell], object]


def words(cell: Cell) -> str:
    """A name or the like, at most 80 characters."""
    text = text_of(cell, 80)
    if text.lstrip("'\"")[:1] in ("=", "+", "-", "@") and len(text) > 1:
        raise FieldError("looks like a spreadsheet formula")
    if text.casefold() in _NOTHING:
        raise FieldError("is a placeholder")
    if text and not any(c.isalpha() for c in text):
        raise FieldError("holds no letter")
    if any(c in text for c in "<>{}\\"):
        raise FieldError("holds a character that no name has")
    return text


def name(cell: Cell) -> str:
    """A person's name: ``words`` without a number in it, which would be another column's cell."""
    text = words(cell)
    if re.search(r"[0-9]{3}|[@|~^$%*?]", text):
        raise FieldError("holds what no person's name has")
    return text


def account(cell: Cell) -> str:
    """A reference of the lender's: letters, digits and ``-_./#``, at most 64."""
    if isinstance(cell, bool | date | time):
        raise FieldError("was turned into a date or a truth value by a spreadsheet: make the column text")
    if isinstance(cell, float) and not cell.is_integer():
        raise FieldError("is a fraction: the column must be text")
    if isinstance(cell, int | float) and abs(cell) >= 10**15:
        raise FieldError("is a number of more than 15 digits: a spreadsheet has lost its last ones, make it text")
    text = figures_of(cell, 64)
    if _SCIENTIFIC.fullmatch(text) and "." in text:
        raise FieldError("was turned into scientific notation by a spreadsheet: make the column text")
    if text and not re.fullmatch(r"[\w./#-]+", text):
        raise FieldError("holds something other than letters, digits and -_./#")
    if text.casefold() in _NOTHING or (text and not any(c.isalnum() and c != "0" for c in text)):
        raise FieldError("is a placeholder")
    return text


def money(cell: Cell) -> Decimal:
    if isinstance(cell, bool | date | time):
        raise FieldError("is no amount")
    if isinstance(cell, float):
        if not abs(cell) < 1e12:  # infinite and not-a-number too
            raise FieldError("must be above 0 and below 1000000000")
        amount = Decimal(repr(cell))
        # A spreadsheet keeps 0.1 + 0.2: the cent is meant.
        amount = amount.quantize(Decimal("0.01")) if abs(amount - round(amount, 2)) < Decimal("1e-6") else amount
    else:
        text = _CURRENCY.sub("", figures_of(cell, 40)).replace(" ", "")
        if _SCIENTIFIC.fullmatch(text):
            raise FieldError("is in scientific notation")
        if _THOUSANDTHS.fullmatch(text):
            raise FieldError("may mean thousands or thousandths: write 3500.00")
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


def currency_in(cell: Cell) -> str | None:
    """The currency that stands beside an amount in its cell, if one does."""
    found = _CURRENCY.search(unicodedata.normalize("NFKC", cell).strip()) if isinstance(cell, str) else None
    said = (found[1] or found[2]).upper() if found is not None else None
    return _SIGNS.get(said, said) if said is not None else None


def day(cell: Cell, order: str | None = None) -> date:
    """A date: ISO, 2026/11/15, 2026年11月15日, 20261115, a spreadsheet's date cell; others by ``order`` (DMY, MDY)."""
    if isinstance(cell, datetime):
        if (cell.hour, cell.minute, cell.second) != (0, 0, 0):
            raise FieldError("is a moment, not a date")
        return _sane(cell.year, cell.month, cell.day)
    if isinstance(cell, date):
        return _sane(cell.year, cell.month, cell.day)
    text = figures_of(cell, 32)
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


_COUNTRIES: Final = {
    "+86": (r"1[3-9][0-9]{9}|10[0-9]{8}|(?!400|800)[2-9][0-9]{8,10}", "is no Chinese mobile or fixed number"),
    "+1": (r"(?!.11)[2-9][0-9]{2}(?!.11)[2-9][0-9]{6}", "is no North American number"),
    "+44": (r"[1-9][0-9]{8,9}", "is no British number"),
    "+91": (r"[1-9][0-9]{9}", "is no Indian number"),
    "+49": (r"[1-9][0-9]{5,12}", "is no German number"),
    "+33": (r"[1-9][0-9]{8}", "is no French number"),
}  # fmt: skip
"""The part after the country code (ITU-T E.164 national plans): lengths, and no trunk prefix left in front."""


def phone(cell: Cell, country_code: str | None = None) -> str:
    """A number in E.164. A national one needs ``country_code`` ("+86"), and loses one leading 0 (trunk prefix)."""
    if isinstance(cell, bool | date | time):
        raise FieldError("is no telephone number")
    if isinstance(cell, float) and not cell.is_integer():
        raise FieldError("is a fraction, not a telephone number")
    text = figures_of(cell, 40)
    if _SCIENTIFIC.fullmatch(text):
        raise FieldError("was turned into scientific notation by a spreadsheet: its digits are lost")
    if re.search(r"(?i)(ext|x|分机|转)\s*[0-9]+$|[,;/、]|\s或", text):
        raise FieldError("holds an extension or more than one number")
    if re.match(r"(\+|00)[0-9 ]", text):
        text = re.sub(r"\(0\)", "", text)  # +44 (0)20: the 0 is for calls within the country
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
    for code, (plan, reason) in _COUNTRIES.items():
        if digits.startswith(code) and not re.fullmatch(plan, digits[len(code) :]):
            raise FieldError(reason)
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
    text = figures_of(cell, 20)
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
    text = figures_of(cell, 20).upper()
    if not re.fullmatch(r"[0-9]{3}[0-9X]", text):
        raise FieldError("must be four digits (the last may be X)")
    return text


def listed(cell: Cell) -> list[str]:
    """Several texts, divided by ``|`` or ``；``, each as ``words`` takes it."""
    parts = [part.strip() for part in re.split(r"[|;；]", text_of(cell))]
    return [words(part) for part in parts if part]


def consents(cell: Cell) -> list[str]:
    """As ``listed``; ``none`` and ``无`` say that there is none, as an empty cell does."""
    return [] if text_of(cell).casefold() in ("none", "无") else listed(cell)


def note(cell: Cell) -> str:
    text = text_of(cell, 500)
    if text.startswith("="):
        raise FieldError("looks like a spreadsheet formula")
    return text


def clock(cell: Cell) -> str:
    if isinstance(cell, time) and not (cell.second or cell.microsecond):
        return f"{cell:%H:%M}"
    text = figures_of(cell, 12)
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
    text = _SIGNS.get(text, text)
    if text not in ("CNY", "USD", "GBP", "EUR", "INR"):
        raise FieldError("must be one of CNY, USD, GBP, EUR, INR")
    return text
