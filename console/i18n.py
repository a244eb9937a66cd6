"""Words in two languages. English is written in the code; Chinese stands in ``locale/zh/messages.po``.

Keys of the archive (``hung_up``, ``review: open``) are no English: what they are called stands in
``locale/en/messages.po``. A message with ``%(name)s`` in it also translates a text that was already filled in, such as
an error's: the pattern finds the parts again.
"""

from __future__ import annotations

import re
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

from sentiment.labels import INTENTS, SHOWN_EMOTIONS

PageLang = Literal["zh", "en"]
LANGS: tuple[PageLang, ...] = ("zh", "en")
LOCALE = Path(__file__).parent / "locale"
LONGEST = 400
"""A longer text is no message of ours."""
_PLACE = re.compile(r"%\((\w+)\)s")
_KEY = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)+")


@lru_cache(maxsize=2)
def messages(lang: PageLang) -> dict[str, str]:
    """What the language's file says, by message."""
    with (LOCALE / lang / "messages.po").open("rb") as file:
        return {str(m.id): str(m.string) for m in read_po(file, locale=lang) if m.id and m.string}


@lru_cache(maxsize=2)
def _known(lang: PageLang) -> dict[str, str]:
    labels = {label.key: label.name[lang] for label in (*INTENTS.values(), *SHOWN_EMOTIONS.values())}
    return labels | messages(lang)


@lru_cache(maxsize=2)
def _patterns(lang: PageLang) -> list[tuple[re.Pattern[str], str]]:
    """Messages with places to fill, as patterns of the texts they make. The one with the most words comes first."""
    places = sorted((m for m in messages(lang) if _PLACE.search(m)), key=lambda m: -len(_PLACE.sub("", m)))
    found = []
    for message in places:
        parts = _PLACE.split(message)
        pattern = "".join(f"(?P<_{part}>.+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
        found.append((re.compile(pattern, re.DOTALL), messages(lang)[message]))
    return found


def translator(lang: str) -> Callable[..., str]:
    """``_``: the message in ``lang``, with ``%(name)s`` filled. Unknown messages stay as they are, keys lose their
    underscores."""
    chosen: PageLang = "zh" if lang == "zh" else "en"

    def translate(message: str, **values: object) -> str:
        if values:
            return _known(chosen).get(message, message) % values
        return _filled(message, chosen)

    return translate


def _filled(message: str, lang: PageLang) -> str:
    known = _known(lang)
    exact = known.get(message) or known.get(message.replace(" ", "_"))
    if exact is not None:
        return exact
    if len(message) <= LONGEST:
        plain = message.replace("_", " ")  # the archive joins the words of a flag's kind
        for pattern, text in _patterns(lang):
            found = pattern.fullmatch(message) or pattern.fullmatch(plain)
            if found is not None:
                parts = {name[1:]: known.get(part, part) for name, part in found.groupdict().items()}
                return text % parts
    return message.replace("_", " ") if _KEY.fullmatch(message) else message


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


@lru_cache(maxsize=8192, typed=True)
def number(value: float | int | None, lang: str) -> str:
    return "–" if value is None else format_decimal(value, locale=_locale(lang))


@lru_cache(maxsize=8192, typed=True)
def percent(value: float | None, lang: str) -> str:
    return "–" if value is None else format_percent(round(value, 3), "#,##0.0%", locale=_locale(lang))


def clock(seconds: float | None) -> str:
    """``m:ss`` since answer."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"


@lru_cache(maxsize=2)
def _locale(lang: str) -> Locale:
    return Locale.parse("zh_CN" if lang == "zh" else "en")
