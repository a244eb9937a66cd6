"""Clocks and calendars: local times, workdays and public holidays, the moments at which an answer may change."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)


class UnknownZoneError(ValueError):
    """A time zone that is no IANA name, or none at all."""


class UnknownCalendarError(ValueError):
    """No calendar of public holidays is known for a country."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant (aware) and what the clocks of every zone show then."""

    now: datetime
    locals: tuple[datetime, ...]

    @classmethod
    def of(cls, now: datetime, zones: Iterable[ZoneInfo]) -> Moment:
        return cls(now, tuple(now.astimezone(zone) for zone in zones))

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(dict.fromkeys(local.date() for local in self.locals))


def is_aware(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None and value.utcoffset() is not None


def zones_of(names: object) -> tuple[ZoneInfo, ...]:
    """The zones of these IANA names. Raises :class:`UnknownZoneError` if there is none, or any is unknown."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise UnknownZoneError("zones must be a sequence of names")
    found = []
    for name in dict.fromkeys(names):
        try:
            found.append(ZoneInfo(name))
        except (KeyError, ValueError, TypeError, OSError) as error:
            raise UnknownZoneError("a zone is not known") from error
    if not found:
        raise UnknownZoneError("no zone is known")
    return tuple(found)


@lru_cache(maxsize=256)
def _calendar(country: str, subdivision: str | None, year: int) -> Any:
    import holidays  # 0.2 s to import, wanted only where a pack counts workdays

    try:
        calendar = holidays.country_holidays(country, subdiv=subdivision, years=year)
    except (NotImplementedError, KeyError, ValueError) as error:
        raise UnknownCalendarError("no calendar of holidays is known for the country") from error
    if not calendar.start_year <= year <= calendar.end_year:
        raise UnknownCalendarError("the calendar of holidays does not reach that year")
    return calendar


def _calendar_of(country: str, day: date) -> Any:
    """``country`` is ISO 3166-1 alpha-2 or 3166-2 (``US-CA``)."""
    if not isinstance(country, str) or len(country.partition("-")[0]) != 2:
        raise UnknownCalendarError("the country is not known")
    code, _, subdivision = country.upper().partition("-")
    return _calendar(code, subdivision or None, day.year)


def is_holiday(country: str, day: date) -> bool:
    """Whether ``day`` is a public holiday. Raises :class:`UnknownCalendarError`."""
    return day in _calendar_of(country, day)


def is_workday(country: str, day: date) -> bool:
    """Whether people work on ``day``: no weekend, no holiday; in China a weekend that makes up for one is a workday.

    Raises :class:`UnknownCalendarError`.
    """
    return bool(_calendar_of(country, day).is_working_day(day))


def period_of(day: date, each: Literal["day", "week", "month"]) -> tuple[int, ...]:
    """The calendar day, ISO week or month of ``day``, to be compared."""
    if each == "day":
        return (day.year, day.month, day.day)
    if each == "week":
        iso = day.isocalendar()
        return (iso.year, iso.week)
    return (day.year, day.month)


def instants(local: datetime, zone: ZoneInfo) -> tuple[datetime, ...]:
    """The instants (UTC) at which a clock in ``zone`` shows the naive ``local``: one, two in autumn; where spring skips
    it, the two readings on either side of the gap."""
    both = {local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
    return tuple(sorted(both))


def edges(start: datetime, zones: Iterable[ZoneInfo], minutes: frozenset[int], days: int) -> Iterator[datetime]:
    """Instants from ``start`` on at which a clock shows one of these minutes of the day, or is put forward or back."""
    streams = (_edges_of(start, zone, tuple(sorted(minutes | {0})), days) for zone in zones)
    return heapq.merge(*streams)


def _edges_of(start: datetime, zone: ZoneInfo, minutes: tuple[int, ...], days: int) -> Iterator[datetime]:
    first = start.astimezone(zone).date()
    for offset in range(days + 1):
        try:
            day = datetime.combine(first + timedelta(days=offset), datetime.min.time())
            found = {at for minute in minutes for at in instants(day + timedelta(minutes=minute), zone)}
            change = _clock_change(day, zone)
        except OverflowError:
            return
        if change is not None:
            found.add(change)
        yield from (at for at in sorted(found) if at >= start)


def _clock_change(day: datetime, zone: ZoneInfo) -> datetime | None:
    """The instant on ``day`` at which the clocks of ``zone`` are changed, if they are."""
    low, high = (d.replace(tzinfo=zone).astimezone(UTC) for d in (day, day + timedelta(days=1)))
    before = low.astimezone(zone).utcoffset()
    if before == high.astimezone(zone).utcoffset():
        return None
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        low, high = (middle, high) if middle.astimezone(zone).utcoffset() == before else (low, middle)
    return high.replace(microsecond=0)


def country_names(values: Mapping[str, str | None]) -> tuple[str, ...]:
    """The countries that are given, without repeats."""
    return tuple(dict.fromkeys(value for value in values.values() if value))
