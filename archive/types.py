"""Column types that hold the same value on every database: aware UTC times, exact money, clean text and JSON."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from sqlalchemy import JSON, DateTime, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    """``text`` as every database can store it: NUL and lone surrogates become U+FFFD, all else is kept."""
    return _UNSTORABLE.sub("\ufffd", text)


def clean_json(value: Any) -> Any:
    """``value`` as strict JSON: clean strings, string keys, money and dates as strings, NaN and infinity as null.

    Dataclasses become objects; whatever has no JSON form of its own is told by ``str``: an archive refuses nothing.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {clean_text(str(k)): clean_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [clean_json(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted((clean_json(v) for v in value), key=str)
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, np.generic | np.ndarray):
        return clean_json(value.tolist())
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: clean_json(getattr(value, f.name)) for f in fields(value)}
    return clean_text(str(value))


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored as UTC and read back aware, on SQLite (which has no time zones) too."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a moment without a time zone cannot be stored")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """An exact decimal amount, kept as its decimal string: SQLite would make a binary float of it."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        if not value.is_finite():
            raise ValueError("an amount must be finite")
        return format(value, "f")

    def process_result_value(self, value: str | None, dialect: Dialect) -> Decimal | None:
        if value is None:
            return None
        try:
            return Decimal(value)
        except InvalidOperation as e:
            raise ValueError("a stored amount is not a number") from e


class CleanText(TypeDecorator[str]):
    """Text of any length, cleaned by :func:`clean_text`."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else clean_text(value)


class Label(TypeDecorator[str]):
    """Short text (an id, a hash, a label), cleaned. A longer one is an error on PostgreSQL, so it is cut."""

    impl = String
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None:
            return None
        return clean_text(value)[: self.impl_instance.length if isinstance(self.impl_instance, String) else None]


class CleanJson(TypeDecorator[Any]):
    """A JSON document, cleaned by :func:`clean_json`; ``None`` is SQL NULL."""

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        return None if value is None else clean_json(value)
