# ruff: noqa: E501 - tables, one entry a line
"""English date phrases, spoken and written."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

from sentiment.slots import calendar as cal
from sentiment.slots.base import SlotContext
from sentiment.slots.calendar import Reading
from sentiment.slots.numbers import EN_ORDINAL, en_number
from sentiment.slots.phrases import Phrase

_Read = Callable[[re.Match[str], SlotContext], Reading | None]
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
_MONTH = rf"(?:{'|'.join(_MONTHS)}|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec)"
_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_DAY = rf"(?:{'|'.join(_DAYS)}|mon|tues?|wed|thurs?|thu|fri|sat(?!\s+(?:down|there|on))|sun(?!\s+(?:is|was)))"
_UNITS = "first|second|third|fourth|fifth|sixth|seventh|eighth|ninth"
_WORD = rf"(?:(?:twenty|thirty)[\s-](?:{_UNITS})|{'|'.join(sorted(EN_ORDINAL, key=len, reverse=True))})"
_FIGURE = r"\d{1,2}(?:st|nd|rd|th)"
_CARDINAL = r"(?:twenty[\s-](?:one|two|three|four|five|six|seven|eight|nine)|thirty[\s-]one|\w+teen|ten|eleven|twelve|twenty|thirty|one|two|three|four|five|six|seven|eight|nine)"  # fmt: skip
_N = r"(?:\d{1,3} (?:to|or) \d{1,3}|\d{1,3}|(?:one|two|three|four|five|six|seven|eight) (?:to|or) (?:two|three|four|five|six|seven|eight|nine|ten)|a couple of|a couple|couple of|couple|two or three|three or four|one or two|a|an|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fourteen|fifteen|twenty|thirty)"  # fmt: skip
_HOLIDAYS = {"new year's eve": "new_year_eve", "new years eve": "new_year_eve", "new year's": "new_year",
             "new years": "new_year", "new year": "new_year", "christmas eve": "christmas_eve", "christmas": "christmas",
             "thanksgiving": "thanksgiving", "fourth of july": "july4", "independence day": "july4",
             "halloween": "halloween", "valentine's day": "valentine", "valentines day": "valentine",
             "labor day": "labour_us", "chinese new year": "spring", "national day": "national"}  # fmt: skip
_AFTER = re.compile(r"\b(?:after|following)(?: the)? $")
_ABOUT = re.compile(r"\b(?:around|about|roughly|sometime around|near|approximately)(?: the)? $")


def _month(said: str) -> int:
    return next(i for i, name in enumerate(_MONTHS, 1) if name.startswith(said[:3]))


def _ordinal(said: str) -> int:
    figures = re.match(r"\d+", said)
    if figures:
        return int(figures[0])
    tens, _, unit = said.replace("-", " ").rpartition(" ")
    if said in EN_ORDINAL:
        return EN_ORDINAL[said]
    if unit in EN_ORDINAL:
        return {"twenty": 20, "thirty": 30}[tens] + EN_ORDINAL[unit]
    number, _ = en_number(said)
    return int(number) if number is not None else 0


def _counts(said: str) -> list[int]:
    if "couple" in said:
        return [2, 3]
    if re.search(" (?:or|to) ", said):
        return [_counts(part)[0] for part in re.split(" (?:or|to) ", said)]
    if said in ("a", "an"):
        return [1]
    number, _ = en_number(said)
    return [int(number)] if number is not None else [0]


def _month_day(m: re.Match[str], c: SlotContext) -> Reading | None:
    month, day = _month(m["m"]), _ordinal(m["d"])
    if m["y"]:
        return Reading(cal.safe_date(int(m["y"]), month, day))
    return cal.month_day(c.today, month, day, c.past)


def _figures(m: re.Match[str], c: SlotContext) -> Reading | None:
    a, b = int(m["a"]), int(m["b"])
    year = int(m["y"]) + (2000 if len(m["y"]) == 2 else 0) if m["y"] else None

    def read(month: int, day: int) -> date | None:
        if year:
            return cal.safe_date(year, month, day)
        return cal.month_day(c.today, month, day, c.past).day

    options = [d for d in (read(a, b), read(b, a)) if d]
    if c.month_first is not None:
        return (
            Reading(read(a, b) if c.month_first else read(b, a))
            if len(options) == 2
            else Reading(next(iter(options), None))
        )
    return Reading(options[0]) if len(set(options)) == 1 else Reading(None, tuple(options))


def _later(m: re.Match[str], c: SlotContext) -> Reading | None:
    counts, unit = _counts(m["n"]), m["unit"]
    if not all(0 < n < 1000 for n in counts):
        return None
    sign = -1 if m.groupdict().get("back") else 1
    days = [
        cal.add_months(c.today, sign * n)
        if unit.startswith("month")
        else c.today + timedelta(days=sign * n * {"d": 1, "w": 7, "f": 14}[unit[0]])
        for n in counts
    ]
    round_talk = re.search(r"\b(?:about|around|roughly|like)\b", m[0])
    return Reading(days[0]) if len(days) == 1 and not round_talk else Reading(None, tuple(days))


def _day_index(said: str) -> int:
    return next(i for i, name in enumerate(_DAYS) if name.startswith(said[:3]))


def _weekday(m: re.Match[str], c: SlotContext) -> Reading | None:
    day, rel = _day_index(m["day"]), (m["rel"] or "").strip()
    if m.string[: m.start()].endswith(("every ", "each ")):
        return None
    coming = cal.weekday(c.today, day, False)
    if rel.startswith("last"):
        return cal.weekday(c.today, day, True)
    if rel == "next":
        following = cal.weekday_of(c.today, 1, day)
        # On a Sunday speakers part: some weeks begin that day, so the coming one is "this", not "next".
        if c.today.weekday() == 6 and following.day:
            return Reading(None, (following.day, following.day + timedelta(days=7)))
        return following
    if rel.startswith("this") and coming.day is None:
        return Reading(c.today)
    return cal.weekday(c.today, day, c.past) if not rel else coming


def _week_from(m: re.Match[str], c: SlotContext) -> Reading | None:
    if m["day"] in ("today", "tomorrow"):
        start: date | None = c.today + timedelta(days=int(m["day"] == "tomorrow"))
    else:
        coming = cal.weekday(c.today, _day_index(m["day"]), False)
        if coming.day is None:  # said on that very weekday: from today, or from the coming one
            return Reading(None, tuple(day + timedelta(days=7 * _counts(m["n"])[0]) for day in coming.options))
        start = coming.day
    weeks = _counts(m["n"])[0]
    return Reading(start and start + timedelta(days=7 * weeks))


def _fortnight(m: re.Match[str], c: SlotContext) -> Reading | None:
    start = cal.weekday(c.today, _day_index(m["day"]), False).day or c.today
    return Reading(start + timedelta(days=14))


def _either_ordinal(m: re.Match[str], c: SlotContext) -> Reading | None:
    days = [_ordinal(m[k]) for k in ("a", "b")]
    if m["m"]:
        found = [cal.month_day(c.today, _month(m["m"]), day, c.past).day for day in days]
    else:
        found = [cal.day_of_month(c.today, day, c.past).day for day in days]
    return Reading(None, tuple(day for day in found if day))


def _hours(m: re.Match[str], c: SlotContext) -> Reading | None:
    number, _ = en_number(m["n"])
    return cal.hours_on(c.today, c.now, int(number)) if number is not None and number >= 24 else None


def _working_days(m: re.Match[str], c: SlotContext) -> Reading | None:
    """Whose holidays count is not said: a candidate."""
    count = _counts(m["n"])[0]
    return (
        Reading(None, (cal.working_days_on(c.today, count, "GB" if c.currency == "GBP" else "US"),))
        if count < 100
        else None
    )


def _in_month(m: re.Match[str], c: SlotContext) -> Reading | None:
    """Any day of a month: said so ("sometime in June"), or the answer to when; else it is oftener a tale ("since May")."""
    months = (_month(m["m"]) - c.today.month) % 12
    if c.past or not (m["vague"] or (c.expects in ("date", "date_amount") and months <= 3)):
        return None
    first = cal.add_months(c.today.replace(day=1), months)
    return Reading(None, (max(first, c.today), cal.month_end(first)))


def _end_of(m: re.Match[str], c: SlotContext) -> Reading | None:
    unit, ahead = m["unit"], 1 if (m["rel"] or "") in ("next", "following") else 0
    if unit == "week":
        monday = c.today - timedelta(days=c.today.weekday()) + timedelta(days=7 * ahead)
        days = tuple(d for d in (monday + timedelta(days=4), monday + timedelta(days=6)) if d >= c.today)
        return Reading(days[0]) if len(days) == 1 else Reading(None, days)
    if unit == "month":
        return Reading(cal.month_end(c.today, ahead))
    if unit == "year":
        return Reading(date(c.today.year + ahead, 12, 31))
    return Reading(cal.month_end(c.today, (_month(unit) - c.today.month) % 12))


def _start_of(m: re.Match[str], c: SlotContext) -> Reading | None:
    ahead = 1 if (m["rel"] or "") in ("next", "following") else 0
    unit = m["unit"]
    months = (_month(unit) - c.today.month) % 12 if unit not in ("month", "week") else ahead
    if unit == "week":
        return cal.week(c.today, ahead)
    if m["part"].startswith("mid"):
        first = cal.add_months(c.today.replace(day=1), months)
        return Reading(None, (first.replace(day=15),))
    reading = cal.month_start(c.today, months)
    return reading if reading.options else cal.month_start(c.today, months + 1)


def _month_relative_day(m: re.Match[str], c: SlotContext) -> Reading | None:
    rel, day = m["rel"], _ordinal(m["d"])
    if rel in ("next", "the following"):
        return cal.in_month(c.today, 1, day)
    if rel == "this":
        return cal.in_month(c.today, 0, day)
    if rel == "last":
        return cal.in_month(c.today, -1, day)
    return cal.day_of_month(c.today, day, c.past)


def _bare_ordinal(m: re.Match[str], c: SlotContext) -> Reading | None:
    return cal.day_of_month(c.today, _ordinal(m["d"]), c.past)


def _holiday(m: re.Match[str], c: SlotContext) -> Reading | None:
    name = _HOLIDAYS[m["name"]]
    if name == "labour_us":  # first Monday of September
        for year in (c.today.year, c.today.year + 1):
            first = date(year, 9, 1)
            day = first + timedelta(days=(-first.weekday()) % 7)
            if day >= c.today:
                return Reading(day)
    day_ = cal.holiday(c.today, name, c.past).day
    if day_ is None:
        return Reading()
    if m[0].startswith("before"):
        return Reading(day_ - timedelta(days=1))
    if m[0].startswith("after"):
        return Reading(None, (day_ + timedelta(days=1),))
    return Reading(day_)


def _payday(m: re.Match[str], c: SlotContext) -> Reading | None:
    return cal.day_of_month(c.today, c.payday, c.past) if c.payday else Reading()


_WILL = re.compile(
    r"\b(?:i'll|i will|let me|can i|could i|i can|i could|i want to|i'd like to|going to|gonna|pay|paying|send|sending|transfer|do it|doing it)\b"
)
_WONT = re.compile(r"n't\b|\b(?:not|cannot|no|never|unable|without|hard|tough|impossible|afford)\b")


def _offset(days: int) -> _Read:
    return lambda m, c: Reading(c.today + timedelta(days=days))


def _right_now(m: re.Match[str], c: SlotContext) -> Reading | None:
    """ "I'll do it right now" is today; "I can't talk right now", "things are tight right now" say how it is."""
    before = m.string[: m.start()]
    alone = c.expects in ("date", "date_amount") and m.string.strip(" ,.!") == m[0]
    return Reading(c.today) if alone or (_WILL.search(before) and not _WONT.search(before)) else None


def _working_day(m: re.Match[str], c: SlotContext) -> Reading | None:
    rel, last = m["rel"] or "", m["which"] == "last"
    country = "GB" if c.currency == "GBP" else "US"
    months = 1 if rel in ("next", "following") else (_month(rel) - c.today.month) % 12 if rel in _MONTHS else 0
    if not rel and not last and cal.working_day(c.today, 0, False, country) < c.today:
        months = 1
    return Reading(cal.working_day(c.today, months, last, country))


_NTH = {"first": 1, "second": 2, "third": 3, "fourth": 4, "last": -1}


def _nth_weekday(m: re.Match[str], c: SlotContext) -> Reading | None:
    day, rel = _day_index(m["day"]), m["month"]
    if rel in ("next month", "the following month"):
        month = cal.add_months(c.today.replace(day=1), 1).month
    elif rel in ("the month", "this month"):
        reading = cal.nth_weekday(c.today, c.today.month, _NTH[m["n"]], day)
        if rel == "this month" or (reading.day and reading.day.year == c.today.year):
            return reading
        month = cal.add_months(c.today.replace(day=1), 1).month
    else:
        month = _month(rel)
    return cal.nth_weekday(c.today, month, _NTH[m["n"]], day)


def _beside_holiday(m: re.Match[str], c: SlotContext) -> Reading | None:
    day = cal.holiday(c.today, _HOLIDAYS[m["name"]], c.past).day
    return Reading(day + timedelta(days=1 if m["side"] == "after" else -1)) if day else Reading()


def _not_before(m: re.Match[str], c: SlotContext) -> Reading | None:
    """The earliest day is no promise: it is a candidate."""
    day = cal.weekday(c.today, _day_index(m["day"]), False)
    return Reading(None, (day.day,) if day.day else day.options)


def _duration(m: re.Match[str], c: SlotContext) -> Reading | None:
    """A bare length of time answers the question when: "two weeks"."""
    return _later(m, c) if c.expects in ("date", "date_amount") else None


_NOT_DAY = r"(?!\s*(?:time|thing|place|one|half|payment|instal\w*|call|letter|name|person|loan|party|person|hand|choice|of all|month|week|day|opinion|floor|street|avenue|attempt|and foremost|\d))"  # fmt: skip
_TABLE: list[tuple[str, _Read]] = [
    (rf"\b(?:the )?(?P<which>last|first) (?:working|business|week) ?day(?: (?:of|in) (?:the |this )?(?P<rel>next|following|{_MONTH})?\s*(?:month)?)?", _working_day),
    (rf"\b(?:on )?(?:the )?(?P<n>first|second|third|fourth|last) (?P<day>{_DAY}) (?:of|in) (?P<month>next month|the following month|the month|this month|{_MONTH})\b", _nth_weekday),
    (rf"\b(?:the )?day (?P<side>after|before) (?P<name>{'|'.join(sorted((n for n in _HOLIDAYS if n != 'labor day'), key=len, reverse=True))})\b", _beside_holiday),
    (rf"\bnot (?:before|until|till) (?:this |next )?(?P<day>{_DAY})\b", _not_before),
    (rf"\bnot (?:before|until|till) (?:the )?(?P<d>{_WORD}|{_FIGURE})\b", lambda m, c: Reading(None, tuple(d for d in (_bare_ordinal(m, c) or Reading()).options or ((_bare_ordinal(m, c) or Reading()).day,) if d))),
    (rf"\b(?P<day>{_DAY}),? (?:of |in )?the week after next\b", lambda m, c: cal.weekday_of(c.today, 2, _day_index(m["day"]))),
    (r"\b(?:the )?week after next\b", lambda m, c: cal.week(c.today, 2)),
    (rf"\b(?:a fortnight (?:from |on )?(?P<day>{_DAY}))\b", _fortnight),
    (rf"\b(?P<day>{_DAY}) fortnight\b", _fortnight),
    (rf"\b(?:the )?(?P<a>{_WORD}|{_FIGURE}) or (?:the )?(?P<b>{_WORD}|{_FIGURE})(?: (?:of )?(?P<m>{_MONTH}))?\b{_NOT_DAY}", _either_ordinal),
    (r"\b(?:by |at )?(?:the )?(?:year[\s-]end|year's end)\b|\bbefore (?:the|this) year(?:'s| is)? (?:out|over|ends|done)\b|\bend of the year\b", lambda m, c: Reading(c.today.replace(month=12, day=31))),
    (r"\b(?:within|in)(?: the)?(?: next)? (?P<n>twenty four|forty eight|seventy two|24|36|48|72|ninety six|96) hours\b", _hours),
    (rf"\b(?:in |within )?(?P<n>{_N}) (?:working|business|week) ?days\b", _working_days),
    (r"\bthis time next (?P<unit>week|month)\b", lambda m, c: Reading(c.today + timedelta(days=7) if m["unit"] == "week" else cal.add_months(c.today, 1))),
    (rf"\b(?P<vague>some ?time |later |early |late )?in (?P<m>{'|'.join(_MONTHS)})\b(?!\s*(?:the\s+)?(?:\d|{_UNITS}))", _in_month),
    (r"\bafter the (?:holidays?|new year|festive season)\b|\bwhen (?!did\b|do\b|does\b|is\b|are\b|was\b|will\b|would\b|can\b|could\b)(?:my |the |our )?[\w' ]{1,24}?\b(?:comes?(?: in| through)?|arrives?|starts?|sells?|pays? (?:me|out)|goes through|gets? here)\b", lambda m, c: Reading()),
    (rf"^\W*(?:(?:um|uh|er|so|okay|ok|yes|yeah|maybe|probably|like|about|say)\W+)*(?P<n>{_N}) (?:more )?(?P<unit>days?|weeks?|months?|fortnight)\W*(?:please|tops|max|or so)?\W*$", _duration),
    (r"\b(?P<y>20\d\d)[-/](?P<m>\d{1,2})[-/](?P<d>\d{1,2})\b",
     lambda m, c: Reading(cal.safe_date(int(m["y"]), int(m["m"]), int(m["d"])))),
    (r"(?<![\d/.,$-])(?P<a>\d{1,2})/(?P<b>\d{1,2})(?:/(?P<y>\d{4}|\d\d))?(?![\d/])", _figures),
    (rf"\b(?:(?:on |next |this )?{_DAY},? (?:the )?)?(?P<m>{_MONTH})\b\.?\s+(?:the\s+)?(?P<d>{_WORD}|\d{{1,2}}(?:st|nd|rd|th)?|{_CARDINAL})\b(?!\s*(?:hundred|thousand|dollars|grand|bucks|%|,\d{{3}}))(?:,?\s+(?P<y>20\d\d))?",
     _month_day),
    (rf"\b(?:the\s+)?(?P<d>{_WORD}|\d{{1,2}}(?:st|nd|rd|th)?)\s+(?:day\s+)?(?:of\s+)?(?P<m>{_MONTH})\b(?:,?\s+(?P<y>20\d\d))?", _month_day),
    (rf"\b(?:the\s+)?(?P<d>{_WORD}|{_FIGURE})\s+(?:day\s+)?of\s+(?P<rel>this|next|last|the following|the|each|every)\s*(?:coming\s+)?month", _month_relative_day),
    (rf"\b(?P<rel>next|this|last) month(?:,)? (?:on )?(?:the )?(?P<d>{_WORD}|{_FIGURE})\b", _month_relative_day),
    (rf"\b(?:on|by|before|until|till|around|about|from|after|for|not|or|say|maybe|is|make it)\s+the\s+(?P<d>{_WORD}|{_FIGURE})\b{_NOT_DAY}", _bare_ordinal),
    (rf"(?:^|(?<=[\s,]))(?:the\s+)?(?P<d>{_FIGURE})\b{_NOT_DAY}", _bare_ordinal),
    (rf"(?:^|(?<=[\s,]))the\s+(?P<d>(?:twenty|thirty)[\s-](?:{_UNITS})|\w+teenth|twentieth|thirtieth|tenth|eleventh|twelfth)\b{_NOT_DAY}", _bare_ordinal),
    (rf"^\W*(?:(?:um|uh|er|so|okay|ok|yes|yeah|maybe|probably)\W+)*(?:the\s+)?(?P<d>{_WORD})\W*(?:please|then|works|is fine|is good|at the (?:very )?latest|for sure|definitely|i think|i guess)?\W*$",
     lambda m, c: _bare_ordinal(m, c) if c.expects in ("date", "date_amount") else None),
    (rf"\b(?P<rel>this coming |the coming |coming |this |next |last |the following )?\b(?P<day>{_DAY})\b(?!\s+(?:week\b|to\b))",
     _weekday),
    (rf"\b(?P<n>a|one|two) weeks? (?:from |on |after )?(?:this |next )?(?P<day>{_DAY}|today|tomorrow)\b", _week_from),
    (rf"\b(?P<n>)(?P<day>{_DAY}|today|tomorrow) week\b", lambda m, c: Reading((cal.weekday(c.today, _day_index(m["day"]), False).day or c.today) + timedelta(days=7)) if m["day"] not in ("today", "tomorrow") else Reading(c.today + timedelta(days=7 + int(m["day"] == "tomorrow")))),
    (rf"\b(?:the )?(?P<day>{_DAY}) after(?: that)?(?=\W*$|,)", lambda m, c: Reading((cal.weekday(c.today, _day_index(m["day"]), False).day or c.today) + timedelta(days=7))),
    (rf"\b{_DAY} after next\b", lambda m, c: cal.weekday_of(c.today, 2, _day_index(m[0]))),
    (r"\bthe day after tomorrow\b|\bday after tomorrow\b|\bovermorrow\b", _offset(2)),
    (r"\b(?:tomorrow|tomorow|tmrw|tmr)(?: (?:morning|afternoon|evening|night))?\b", _offset(1)),
    (r"\btoday\b|\btonight\b|\bthis (?:morning|afternoon|evening)\b|(?<=half )now\b|(?<=some )now\b|\bright away\b|\b(?:end of (?:the )?day|eod|close of business|cob)\b(?!,? (?:on |by )?(?:the |next |this )?(?:tomorrow|mon|tue|wed|thu|fri|sat|sun))", _offset(0)),
    (r"\bright now\b", _right_now),
    (r"\b(?:the )?day before yesterday\b", _offset(-2)),
    (r"\byesterday\b|\blast night\b", _offset(-1)),
    (rf"\b(?:in|within|after|give me|need|another|inside)\s+(?:just\s+|another\s+|about\s+|the next\s+|like\s+)?(?P<n>{_N})\s+(?:more\s+)?(?P<unit>days?|weeks?|months?|fortnight)\b(?:'s time|' time| time)?", _later),
    (rf"\b(?P<n>{_N})\s+(?:more\s+)?(?P<unit>days?|weeks?|months?|fortnight)(?:'s time|' time| time| from now| from today| later| out)\b", _later),
    (rf"\b(?P<n>{_N})\s+(?P<unit>days?|weeks?|months?|fortnight)\s+(?P<back>ago|back)\b", _later),
    (r"\b(?:in )?(?:a few|few|several|some) (?:more )?(?:days|weeks|months)\b(?! ago)|\bsome ?day\b|\bone of these days\b|\bsoon\b(?! as)", lambda m, c: Reading()),
    (r"\b(?:later |sometime |some time |early |one day )?next week\b|\bthe following week\b", lambda m, c: cal.week(c.today, 1)),
    (r"\b(?:later |sometime |some time |one day )?this week\b", lambda m, c: cal.week(c.today, 0)),
    (r"\b(?:over |at |by )?(?:the|this|this coming) weekend\b", lambda m, c: cal.weekend(c.today, 0)),
    (r"\bnext weekend\b", lambda m, c: cal.weekend(c.today, 1)),
    (r"\b(?:sometime |some time )?next month\b", lambda m, c: Reading(None, (cal.add_months(c.today.replace(day=1), 1), cal.month_end(c.today, 1)))),
    (rf"\b(?:the )?end of (?:the |this )?(?P<rel>next|following|coming)?\s*(?P<unit>week|month|year|{_MONTH})\b", _end_of),
    (rf"\b(?:the )?last day of (?:the |this )?(?P<rel>next|following)?\s*(?P<unit>month|year|{_MONTH})\b", _end_of),
    (r"\b(?P<rel>)(?:month[\s-]end|month's end)\b", lambda m, c: Reading(cal.month_end(c.today))),
    (rf"\b(?:the )?(?P<part>beginning|start|middle) of (?:the |this )?(?P<rel>next|following|coming)?\s*(?P<unit>week|month|{_MONTH})\b", _start_of),
    (rf"\b(?P<part>mid|early)[\s-](?P<rel>next )?(?P<unit>month|{_MONTH})\b", _start_of),
    (r"\b(?:on |my |next |this |until |till |by |after |the next )*(?:pay ?day|pay ?che(?:ck|que)|pay period)(?: (?:comes?(?: in| through)?|clears?|arrives?|hits|lands|drops|gets here))?\b|\b(?:when|once|as soon as|after|until|till|the day) (?:i |i'll |my |the )*(?:get|am|'m) paid\b|\b(?:when|once|as soon as|after|until) my (?:salary|wages?|paycheck|check|pay|money) (?:comes?(?: in| through)?|clears?|arrives?|hits|lands|drops|is in)\b", _payday),
    (rf"\b(?:by |on |before |after |at |until )?(?P<rel>)(?P<name>{'|'.join(sorted(_HOLIDAYS, key=len, reverse=True))})(?: day)?\b", _holiday),
]  # fmt: skip


def _phrase(pattern: str, read: _Read) -> Phrase[Reading]:
    def meaning(m: re.Match[str], c: SlotContext) -> Reading | None:
        reading = read(m, c)
        if reading is None or reading.day is None:
            return reading
        lead = re.match(r"(?:around|about|after|from)\b", m[0])
        before = m.string[max(0, m.start() - 20) : m.start()]
        if _ABOUT.search(before) or (lead and lead[0] in ("around", "about")) or m.string[m.end() :].startswith("ish"):
            return Reading(None, (reading.day,))
        if (_AFTER.search(before) and not m[0].startswith(("in ", "within "))) or (
            lead and lead[0] == "after" and re.search(r"(?:st|nd|rd|th)$", m[0])
        ):
            return Reading(None, (reading.day + timedelta(days=1),))
        return reading

    return Phrase(re.compile(pattern), meaning)


DATES_EN = [_phrase(pattern, read) for pattern, read in _TABLE]
"""The table: see ``sentiment.slots.phrases.scan``."""
