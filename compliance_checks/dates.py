"""Calendar dates as they are written and spoken, where they are said to be a due date."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from compliance_checks.check import Reading
from compliance_checks.numbers import chinese_number, english_number

_N = r"(?:\d{1,2}|[一二三四五六七八九十]{1,3})"
_ZH = re.compile(
    rf"(?:(?P<y>\d{{4}}|[二〇零一三四五六七八九]{{4}})年)?(?:(?P<m>{_N})月(?:份)?)(?P<d>{_N})(?:日|号)"
    rf"|(?P<d2>{_N})号(?!楼|线|码)"
)
_ZH_DUE = re.compile(r"到期|应还|还款日|账单日|截止|逾期|最后还款|应于|应该在|本该在|该在|得在")
_MONTHS = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
]
_MONTH = "|".join([*_MONTHS, *(m[:3] for m in _MONTHS), "sept"])
_ORDINALS = {
    word: value
    for value, word in enumerate(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
            "thirteenth",
            "fourteenth",
            "fifteenth",
            "sixteenth",
            "seventeenth",
            "eighteenth",
            "nineteenth",
            "twentieth",
        ],
        start=1,
    )
} | {"thirtieth": 30}
_ORDINAL = "(?:(?:twenty|thirty) )?(?:" + "|".join(_ORDINALS) + ")"
_DAY = rf"(?:\d{{1,2}}(?:st|nd|rd|th)?|{_ORDINAL})"
_EN = re.compile(
    rf"\b(?P<m>{_MONTH}) (?:the )?(?P<d>{_DAY})\b(?:[ ,]+(?P<y>\d{{4}}))?"
    rf"|\b(?P<d2>{_DAY}) (?:of )?(?P<m2>{_MONTH})\b(?:[ ,]+(?P<y2>\d{{4}}))?"
    rf"|\b(?P<y3>20\d\d) (?P<m3>\d\d) (?P<d3>\d\d)\b"
)
_EN_DUE = re.compile(
    r"\b(?:due|past due|overdue|fell due|payable|deadline|ow(?:ed|ing)(?: us| this| it| that| money)* since"
    r"|(?:supposed|meant) to (?:have )?(?:pay|paid)|should have"
    r" (?:been )?(?:paid|pay))\b"
)
# A part of a date alone, right after the word: due on the tenth, due back in September.
_EN_PART = re.compile(
    rf"\b(?:due|overdue|payable|deadline)(?: (?:back|was|is|since|on|by|from|in|for|fell|originally))*"
    rf" (?:in (?P<m>{'|'.join(_MONTHS)})|the (?P<d>{_DAY}))\b(?! (?:of|payment|instal|week|day|month|time|{_MONTH}))"
    rf"|\b(?:due|overdue|late|behind|delinquent|unpaid|outstanding|arrears|default)(?: on (?:it|this|your loan))?"
    rf" (?:ever )?since (?:back in |last )?(?P<since>{'|'.join(_MONTHS)})\b(?! (?:the )?{_DAY}\b)"
)
# The same in Mandarin: 从七月就逾期了, 七月份就到期了.
_ZH_PART = re.compile(
    rf"[从自打](?:今年|去年)?(?P<since>{_N})月(?:份)?(?:起|开始|以来|就|到现在|一直)*(?:您|你)?(?:就|一直|已经)*"
    rf"(?:逾期|欠|拖|没还|未还)"
)


# What each of the patterns above needs: without it there is nothing to look for.
_ZH_ANY = re.compile("[月号]")
_EN_ANY = re.compile(
    "due|payable|deadline|ow(?:ed|ing)|supposed|meant|should have|late|behind|delinquent|unpaid|outstanding|arrears"
    "|default"
)


@dataclass(frozen=True, slots=True)
class SpokenDate:
    """A date with the parts that were said."""

    year: int | None
    month: int | None
    day: int | None

    def matches(self, day: date) -> bool:
        return self.day in (None, day.day) and self.month in (None, day.month) and self.year in (None, day.year)


def _english_day(text: str) -> int | None:
    digits = re.match(r"\d+", text)
    if digits:
        return int(digits.group())
    tens, _, last = text.strip().rpartition(" ")
    base = int(english_number(tens) or 0) if tens else 0
    return base + _ORDINALS[last] if last in _ORDINALS else None


def due_dates(reading: Reading) -> Iterator[tuple[SpokenDate, int, int]]:
    """Dates in a clause that speaks of falling due, with offsets in the original."""
    text = reading.view.text
    chinese = reading.lang == "zh"
    if not (_ZH_ANY if chinese else _EN_ANY).search(text):
        return
    for match in (_ZH if chinese else _EN).finditer(text):
        left, right = reading.layout.clause_bounds(match.start())
        if not (_ZH_DUE if chinese else _EN_DUE).search(
            text[max(left, match.start() - 30) : min(right, match.end() + 30)]
        ):
            continue
        said = _chinese(match) if chinese else _english(match)
        if said is not None:
            yield said, *reading.view.origin(match.start(), match.end())
    if chinese:
        for match in _ZH_PART.finditer(text):
            since = chinese_number(match["since"])
            if since is not None:
                yield SpokenDate(None, int(since), None), *reading.view.origin(match.start(), match.end())
        return
    for match in _EN_PART.finditer(text):
        named = match["m"] or match["since"]
        month = _MONTHS.index(named) + 1 if named else None
        part = SpokenDate(None, month, _english_day(match["d"] or ""))
        yield part, *reading.view.origin(match.start(), match.end())


def _chinese(match: re.Match[str]) -> SpokenDate | None:
    day = chinese_number(match["d"] or match["d2"])
    month = chinese_number(match["m"]) if match["m"] else None
    year = chinese_number(match["y"]) if match["y"] else None
    if day is None:
        return None
    return SpokenDate(int(year) if year is not None else None, int(month) if month is not None else None, int(day))


def _english(match: re.Match[str]) -> SpokenDate | None:
    if match["y3"]:
        return SpokenDate(int(match["y3"]), int(match["m3"]), int(match["d3"]))
    day = _english_day(match["d"] or match["d2"])
    month = (match["m"] or match["m2"])[:3]
    year = match["y"] or match["y2"]
    if day is None:
        return None
    return SpokenDate(int(year) if year else None, [m[:3] for m in _MONTHS].index(month) + 1, day)
