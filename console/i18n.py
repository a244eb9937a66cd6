"""Words in two languages. English is written in the code; Chinese stands in ``locale/zh/messages.po``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent

PageLang = Literal["zh", "en"]
LANGS: tuple[PageLang, ...] = ("zh", "en")
PO = Path(__file__).parent / "locale" / "zh" / "messages.po"


@lru_cache(maxsize=1)
def chinese() -> dict[str, str]:
    with PO.open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale="zh") if m.id and m.string}


def translator(lang: str) -> Callable[..., str]:
    """``_``: the message in ``lang``, with ``%(name)s`` filled. Unknown messages stay English."""

    def translate(message: str, **values: object) -> str:
        text = chinese().get(message, message) if lang == "zh" else message
        return text % values if values else text

    return translate


def choose(cookie: str | None, accept: str, own: str | None = None) -> PageLang:
    """A person's own choice, else the browser's; Chinese where nothing is said."""
    for wanted in (own, cookie):
        if wanted in LANGS:
            return wanted
    for part in accept.split(","):
        code = part.split(";")[0].strip().lower()
        if code.startswith("zh"):
            return "zh"
        if code.startswith("en"):
            return "en"
    return "zh"


def moment(value: datetime | None, lang: str, zone: str = "Asia/Shanghai") -> str:
    """A moment in ``zone``, as the language writes it."""
    if value is None:
        return "–"
    local = value.astimezone(ZoneInfo(zone))
    return format_datetime(local, "yyyy-MM-dd HH:mm", locale=_locale(lang))


def number(value: float | int | None, lang: str) -> str:
    return "–" if value is None else format_decimal(value, locale=_locale(lang))


def percent(value: float | None, lang: str) -> str:
    return "–" if value is None else format_percent(round(value, 3), "#,##0.0%", locale=_locale(lang))


def clock(seconds: float | None) -> str:
    """``m:ss`` since answer."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


def _locale(lang: str) -> Locale:
    return Locale.parse("zh_CN" if lang == "zh" else "en")
