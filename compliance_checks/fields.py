"""What a policy pack's fields are made of: times of day, days, zones, consents, purposes; and what every rule says.

Values are checked as they are read, and nothing is coerced: an unquoted number where a text should stand is an error.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict

from compliance_checks.contact.facts import CONSENTS
from scripts.schema import PURPOSES

Review = Literal["confirmed", "needs_review"]
SourceKind = Literal["primary", "secondary", "house"]
_CLOCK = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d|24:00")


def _minutes(value: object) -> int:
    """Minutes since midnight of ``"HH:MM"``; ``"24:00"`` is the midnight that ends the day."""
    if not isinstance(value, str) or not _CLOCK.fullmatch(value):
        raise ValueError(f'is no time of day "HH:MM": {value!r}')
    return int(value[:2]) * 60 + int(value[3:])


def _day(value: object) -> str:
    """``YYYY-MM-DD``, or ``MM-DD`` for that day of every year."""
    text = value if isinstance(value, str) else ""
    try:
        if re.fullmatch(r"\d{2}-\d{2}", text):
            date.fromisoformat(f"2024-{text}")  # a leap year: 02-29 is a day of some years
            return text
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    raise ValueError(f'is no day "YYYY-MM-DD" or "MM-DD": {value!r}')


def _consent(value: object) -> str:
    if isinstance(value, str) and value in CONSENTS:
        return value
    raise ValueError(f"is no consent that we know ({', '.join(sorted(CONSENTS))}): {value!r}")


def _text(value: object) -> str:
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise ValueError("must be a text that says something")


def _purpose(value: object) -> str:
    known = PURPOSES | {"emotion_disclosure"}
    if isinstance(value, str) and value in known:
        return value
    raise ValueError(f"is no purpose of a script's line: {value!r}")


def _moment(value: object) -> str:
    text = _text(value)
    try:
        datetime.strptime(text, "%Y-%m-%d %H:%M")
    except ValueError as error:
        raise ValueError(f'is no time "YYYY-MM-DD HH:MM": {value!r}') from error
    return text


def _zone(value: object) -> str:
    text = _text(value)
    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"is no IANA time zone: {value!r}") from error
    return text


Clock = Annotated[int, BeforeValidator(_minutes)]
Day = Annotated[str, BeforeValidator(_day)]
Consent = Annotated[str, BeforeValidator(_consent)]
Text = Annotated[str, BeforeValidator(_text)]
Moment = Annotated[str, BeforeValidator(_moment)]
Zone = Annotated[str, BeforeValidator(_zone)]
Purpose = Annotated[str, BeforeValidator(_purpose)]


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Cited(Model):
    """What every rule says of itself. ``review`` and ``source_kind`` are the pack's where a rule names none."""

    cite: Text
    review: Review
    source_kind: SourceKind
    note: Text | None = None
