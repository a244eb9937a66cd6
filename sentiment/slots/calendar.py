"""Dates on the calendar: what a day of the month, a weekday or a holiday means on a given day."""

from __future__ import annotations

import calendar
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache

_RECENT = timedelta(days=92)
"""A month and day that passed less long ago than this is taken for the past, not for next year."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a phrase means: one day, or the days it may mean. Both empty: it names a time, but no day."""

    day: date | None = None
    options: tuple[date, ...] = ()


def safe_date(year: int, month: int, day: int) -> date | None:
    """The date, or ``None`` if there is none such (30 February)."""
    try:
        return date(year, month, day)
    except ValueError:
        return None


def add_months(day: date, months: int) -> date:
    """The same day ``months`` later, or the last day of a shorter month."""
    index = day.year * 12 + day.month - 1 + months
    year, month = divmod(index, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def month_end(day: date, months: int = 0) -> date:
    """Last day of the month ``months`` after ``day``'s."""
    first = add_months(day.replace(day=1), months)
    return first.replace(day=calendar.monthrange(first.year, first.month)[1])


def in_month(today: date, months: int, day: int) -> Reading:
    """Day ``day`` of the month ``months`` after this one."""
    first = add_months(today.replace(day=1), months)
    return Reading(safe_date(first.year, first.month, day))


def month_start(today: date, months: int) -> Reading:
    """The beginning of a month is no single day: its first, third or fifth."""
    first = add_months(today.replace(day=1), months)
    options = tuple(d for d in (first, first.replace(day=3), first.replace(day=5)) if months > 0 or d >= today)
    return Reading(None, options)


def day_of_month(today: date, day: int, past: bool) -> Reading:
    """The next such day from today on (the last one before today when the talk is of the past)."""
    if not 1 <= day <= 31:
        return Reading()
    for step in range(3):
        found = in_month(today, -step if past else step, day).day
        if found and ((found <= today) if past else (found >= today)):
            return Reading(found)
    return Reading()


def month_day(today: date, month: int, day: int, past: bool) -> Reading:
    """The date nearest in sense: this year's if ahead or lately past, else next year's."""
    this = safe_date(today.year, month, day)
    if past:
        if this and this <= today:
            return Reading(this)
        return Reading(safe_date(today.year - 1, month, day))
    if this and this >= today - _RECENT:
        return Reading(this)
    before = safe_date(today.year - 1, month, day)
    if before and before >= today - _RECENT:
        return Reading(before)
    return Reading(safe_date(today.year + 1, month, day))


def weekday(today: date, day: int, past: bool) -> Reading:
    """The next such weekday (0 is Monday). Said on that very weekday it may mean today or a week on."""
    if past:
        return Reading(today - timedelta(days=(today.weekday() - day) % 7 or 7))
    ahead = (day - today.weekday()) % 7
    if ahead == 0:
        return Reading(None, (today, today + timedelta(days=7)))
    return Reading(today + timedelta(days=ahead))


def weekday_of(today: date, weeks: int, day: int) -> Reading:
    """Weekday ``day`` of the Monday-to-Sunday week ``weeks`` after this one."""
    return Reading(today - timedelta(days=today.weekday()) + timedelta(days=7 * weeks + day))


def week(today: date, weeks: int) -> Reading:
    """Any day of a week that is still ahead."""
    monday = today - timedelta(days=today.weekday()) + timedelta(days=7 * weeks)
    days = (monday + timedelta(days=i) for i in range(7))
    return Reading(None, tuple(d for d in days if weeks != 0 or d >= today))


def weekend(today: date, weeks: int) -> Reading:
    """Saturday or Sunday of a week; on the Sunday itself this weekend is today."""
    days = tuple(d for d in week(today, weeks).options if d.weekday() >= 5)
    return Reading(days[0]) if len(days) == 1 else Reading(None, days)


_FIXED = {"double_11": (11, 11), "double_12": (12, 12),
          "new_year": (1, 1), "labour": (5, 1), "national": (10, 1), "christmas": (12, 25), "christmas_eve": (12, 24),
          "new_year_eve": (12, 31), "july4": (7, 4), "valentine": (2, 14), "halloween": (10, 31)}  # fmt: skip
_LUNAR = {"spring": "春节", "mid_autumn": "中秋节", "dragon_boat": "端午节", "qingming": "清明节"}


@lru_cache(maxsize=64)
def _lunar(year: int, name: str) -> date | None:
    import holidays

    for day, label in sorted(holidays.country_holidays("CN", years=year, language="zh_CN").items()):
        if _LUNAR[name] in label and "休息日" not in label:
            return day
    return None


def _holiday_in(year: int, name: str) -> date | None:
    if name in _FIXED:
        return date(year, *_FIXED[name])
    if name == "thanksgiving":  # fourth Thursday of November
        first = date(year, 11, 1)
        return first + timedelta(days=(3 - first.weekday()) % 7 + 21)
    if name == "spring_eve":
        spring = _lunar(year, "spring")
        return spring and spring - timedelta(days=1)
    return _lunar(year, name)


def holiday(today: date, name: str, past: bool) -> Reading:
    """The next (or last) such holiday."""
    years = (today.year, today.year - 1) if past else (today.year, today.year + 1)
    for year in years:
        day = _holiday_in(year, name)
        if day and ((day <= today) if past else (day >= today)):
            return Reading(day)
    return Reading()


@lru_cache(maxsize=32)
def _closed(country: str, year: int) -> frozenset[date]:
    import holidays

    return frozenset(holidays.country_holidays(country, years=year))


def working_day(today: date, months: int, last: bool, country: str) -> date:
    """First or last working day (Monday to Friday, no public holiday of ``country``) of a month."""
    first = add_months(today.replace(day=1), months)
    day, step = (month_end(today, months), -1) if last else (first, 1)
    while day.weekday() >= 5 or day in _closed(country, day.year):
        day += timedelta(days=step)
    return day


def working_days_on(today: date, count: int, country: str) -> date:
    """The day ``count`` working days from today on."""
    day = today
    while count > 0:
        day += timedelta(days=1)
        count -= day.weekday() < 5 and day not in _closed(country, day.year)
    return day


def hours_on(today: date, now: datetime | None, hours: int) -> Reading:
    """The day a number of hours from now on; without the time of day only whole days can be told."""
    if hours < 24 or (now is None and hours % 24):
        return Reading()
    return Reading((now + timedelta(hours=hours)).date() if now else today + timedelta(days=hours // 24))


def nth_weekday(today: date, month: int, n: int, day: int) -> Reading:
    """The ``n``-th (-1: last) weekday ``day`` of ``month``, this year's or next year's."""
    for year in (today.year, today.year + 1):
        first = date(year, month, 1)
        if n < 0:
            end = month_end(first)
            found = end - timedelta(days=(end.weekday() - day) % 7)
        else:
            found = first + timedelta(days=(day - first.weekday()) % 7 + 7 * (n - 1))
        if found.month == month and found >= today:
            return Reading(found)
    return Reading()
