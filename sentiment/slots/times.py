# ruff: noqa: E501 - tables, one entry a line
"""The time of day an utterance speaks of, for calls back."""

from __future__ import annotations

import re
from datetime import timedelta

from sentiment.slots.base import Mention, SlotContext, choose
from sentiment.slots.numbers import en_number, zh_number

_FIRST_HOUR, _LAST_HOUR = 8, 22
"""No reminder call is placed outside these hours, so a bare hour is not read as one of the night."""

_HOUR = r"(?:十[一二]?|二十[一二三四]?|[一二两三四五六七八九零]|2[0-4]|1\d|0?\d)"
_ZH = re.compile(
    rf"(?P<part>凌晨|清晨|早上|早晨|上午|中午|下午|午后|傍晚|晚上|夜里|今晚|明晚|明早|今早|晚间)?(?:的)?(?P<h>{_HOUR})"
    r"(?:点钟?|时(?![候间段])|[:：](?P<colon>[0-5]\d))(?:(?P<half>半)|(?P<q>[一三])刻|过?(?P<m>[零]?[一二三四五]?十?[一二三四五六七八九]|[二三四五]?十|[0-5]?\d)分?(?![十百千万点个天块])|整)?"
)
_ZH_NOT_TIME = re.compile(r"^(?:儿?(?:都|也|没|不|钱|意思|时间|吧?$)|[用道一点]|[\u4e00-\u9fff]?建议)")
_ZH_NOON = re.compile(r"中午|正午")
_ZH_PART = re.compile(r"凌晨|清晨|早上|早晨|上午|下午|午后|傍晚|晚上|夜里|晚间|下班(?:以后|之后|后|了)?|午休")
_ZH_IN = re.compile(
    r"(?:过)?(?P<n>半|一个半|[一二两三四五六七八九十]+|\d+)(?P<unit>个?小时|个?钟头|分钟|刻钟)(?P<half>半)?(?:以后|之后|后|过后)?"
)
_EN_HOUR = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|1[0-2]|0?[1-9])"
_EN_MIN = r"(?:(?:oh|o) (?:one|two|three|four|five|six|seven|eight|nine)|ten|fifteen|twenty(?:[\s-]five)?|thirty|forty(?:[\s-]five)?|fifty(?:[\s-]five)?|five|[0-5]\d)"
_AMPM = r"(?P<ap>a\.?\s?m\b\.?|p\.?\s?m\b\.?|o'?\s?clock(?: (?:in the (?:morning|afternoon|evening)|at night))?|(?:today |tomorrow )?(?:in the (?:morning|afternoon|evening)|at night|tonight)|(?:this|tomorrow) (?:morning|afternoon|evening))"
_EN = re.compile(
    rf"\b(?P<h>{_EN_HOUR})(?:[:.](?P<mm>[0-5]\d)|\s(?P<m>{_EN_MIN})(?!\s*(?:hundred|dollars|bucks|days)))?\s*{_AMPM}"
)
_EN_24 = re.compile(r"\b(?P<h>[01]?\d|2[0-3]):(?P<m>[0-5]\d)(?!\d)")
_EN_PAST = re.compile(
    rf"\b(?P<what>half|quarter|a quarter|ten|five|twenty)\s(?P<side>past|to|after|till)\s(?P<h>{_EN_HOUR})\b(?:\s*{_AMPM})?"
)
_EN_AT = re.compile(
    rf"\b(?:at|after|before|around|by|until|till|between|about)\s(?:like |about )?(?!\w+ (?:and|to|or) \w+ (?:hundred|thousand|grand))(?P<h>{_EN_HOUR})(?:\s(?P<m>{_EN_MIN}))?(?=\s*(?:$|[,.?!]|or\b|and\b|tomorrow|today|tonight|on\b|then|please|would|works|is\b|when\b|if\b|because|i'll|i\b|call|to\b))"
)
_EN_IN = re.compile(
    r"\b(?:in|after|within|give me)\s(?:about |like |maybe |another )?(?P<n>half an|half a|an|a|a couple of|a couple|a few|\d+|[a-z]+(?:[\s-][a-z]+)?)\s(?P<unit>hours?|minutes?|mins?)(?P<half> and a half)?\b"
)
_EN_NOON = re.compile(r"\b(?:noon|midday|lunchtime|lunch time)\b")
_EN_PART = re.compile(
    r"\b(?:in the |this |tomorrow |today )?(?:morning|afternoon|evening)\b|\btonight\b|\bafter work\b|\bat night\b|\blater today\b|\bafter lunch\b"
)


def _clock(hour: int, minute: int) -> str:
    return f"{hour % 24:02d}:{minute:02d}"


def _bare(start: int, end: int, hour: int, minute: int) -> Mention | None:
    """An hour without its half of the day: both readings that lie within calling hours."""
    if hour > 24 or minute > 59:
        return None
    if hour >= 13 or hour == 0:
        return Mention(start, end, _clock(hour, minute), (), 1)
    options = [h for h in (hour, hour + 12) if _FIRST_HOUR <= h < _LAST_HOUR]
    if hour == 12:
        options = [12]
    values = tuple(_clock(h, minute) for h in options)
    return Mention(start, end, values[0] if len(values) == 1 else None, () if len(values) == 1 else values, 1)


def _from_now(start: int, end: int, minutes: int | None, context: SlotContext) -> Mention:
    if minutes is None or context.now is None:
        return Mention(start, end, None, (), 1)
    then = context.now + timedelta(minutes=minutes)
    return Mention(start, end, _clock(then.hour, then.minute), (), 1)


def find_time(text: str, lang: str, context: SlotContext) -> Mention | None:
    """The time in folded ``text``: ``HH:MM``, or without a value where only a part of the day was named."""
    found = _zh(text, context) if lang == "zh" else _en(text, context)
    kept: list[Mention] = []
    for m in sorted(found, key=lambda m: m.start - m.end):
        if all(m.end <= k.start or m.start >= k.end for k in kept):
            kept.append(m)
    return choose(sorted(kept, key=lambda m: m.start), text)


def _zh(text: str, context: SlotContext) -> list[Mention]:
    out: list[Mention] = []
    for m in _ZH.finditer(text):
        hour = zh_number(m["h"])
        if hour is None:
            continue
        rest, said = text[m.end() :], m["h"]
        exact = m["half"] or m["q"] or m["m"] or m["colon"] or "钟" in m[0] or "整" in m[0] or m["part"]
        if said == "一" and not exact and not re.match(r"^(?:以后|之后|以前|之前|左右|再|打|来|给|前|后)", rest):
            continue  # 一点 is "a little" oftener than one o'clock
        if not exact and (_ZH_NOT_TIME.match(rest) or re.search(r"[早晚快慢有多少好差第说这几]$", text[: m.start()])):
            continue
        if m["colon"]:
            minute = int(m["colon"])
        elif m["half"]:
            minute = 30
        elif m["q"]:
            minute = 15 if m["q"] == "一" else 45
        else:
            number = zh_number(m["m"].lstrip("零")) if m["m"] else None
            minute = int(number) if number is not None else 0
        h, part = int(hour), m["part"] or ""
        if part in ("下午", "午后", "傍晚", "晚上", "今晚", "明晚", "晚间", "夜里") and h < 12:
            h += 12 if not (part == "夜里" and h < 6) else 0
        elif part == "中午" and h in (1, 2):
            h += 12
        if h > 24 or minute > 59:
            continue
        mention = (
            Mention(m.start(), m.end(), _clock(h, minute), (), 1) if part else _bare(m.start(), m.end(), h, minute)
        )
        if mention:
            out.append(mention)
    for m in _ZH_IN.finditer(text):
        if not re.search(r"后|以后", m[0]) and not m[0].startswith("过"):
            continue
        count = zh_number(m["n"].removeprefix("一个")) if m["n"] not in ("半", "一个半") else None
        scale = 1 if m["unit"] == "分钟" else 15 if m["unit"] == "刻钟" else 60
        minutes = {"半": scale // 2, "一个半": scale * 3 // 2}.get(
            m["n"], int(count) * scale if count is not None else None
        )
        out.append(
            _from_now(
                m.start(),
                m.end(),
                minutes + (scale // 2 if m["half"] and minutes else 0) if minutes is not None else None,
                context,
            )
        )
    out += [Mention(m.start(), m.end(), "12:00", (), 0) for m in _ZH_NOON.finditer(text)]
    out += [Mention(m.start(), m.end(), None, (), 0) for m in _ZH_PART.finditer(text)]
    return out


def _small(said: str | None) -> int:
    if not said:
        return 0
    if said.isdigit():
        return int(said)
    number, _ = en_number(re.sub(r"^(?:oh|o) ", "", said))
    return int(number) if number is not None else 0


def _halved(start: int, end: int, hour: int, minute: int, ap: str | None, text: str) -> Mention | None:
    ap = re.sub(r"[.\s]", "", ap or "")
    if ap.startswith("p") or re.search(r"afternoon|evening|night", ap):
        hour = hour % 12 + 12
    elif ap.startswith("a") or "morning" in ap:
        hour %= 12
    else:
        return _bare(start, end, hour, minute)
    return Mention(start, end, _clock(hour, minute), (), 1)


def _en(text: str, context: SlotContext) -> list[Mention]:
    out: list[Mention | None] = []
    for m in _EN.finditer(text):
        out.append(_halved(m.start(), m.end(), _small(m["h"]), _small(m["mm"] or m["m"]), m["ap"], text))
    for m in _EN_24.finditer(text):
        hour, minute = int(m["h"]), int(m["m"])
        out.append(_bare(m.start(), m.end(), hour, minute))
    for m in _EN_PAST.finditer(text):
        minutes = {"half": 30, "quarter": 15, "a quarter": 15, "ten": 10, "five": 5, "twenty": 20}[m["what"]]
        hour = _small(m["h"])
        if m["side"] in ("to", "till"):
            hour, minutes = (hour - 1) or 12, 60 - minutes
        out.append(_halved(m.start(), m.end(), hour, minutes, m["ap"], text))
    for m in _EN_AT.finditer(text):
        out.append(_bare(m.start("h"), m.end(), _small(m["h"]), _small(m["m"])))
    for m in _EN_IN.finditer(text):
        said, scale = m["n"], 60 if m["unit"].startswith("hour") else 1
        if said.startswith("half"):
            minutes_from = scale // 2
        elif said in ("an", "a"):
            minutes_from = scale
        elif "few" in said or "couple" in said:
            out.append(Mention(m.start(), m.end(), None, (), 1))
            continue
        elif _small(said):
            minutes_from = _small(said) * scale
        else:
            continue
        out.append(_from_now(m.start(), m.end(), minutes_from + (scale // 2 if m["half"] else 0), context))
    out += [Mention(m.start(), m.end(), "12:00", (), 0) for m in _EN_NOON.finditer(text)]
    out += [Mention(m.start(), m.end(), None, (), 0) for m in _EN_PART.finditer(text)]
    return [m for m in out if m]
