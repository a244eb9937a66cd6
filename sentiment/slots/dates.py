# ruff: noqa: E501 - tables, one entry a line
"""The day an utterance speaks of."""

from __future__ import annotations

import re

from sentiment.slots.base import Mention, SlotContext, choose
from sentiment.slots.dates_en import DATES_EN
from sentiment.slots.dates_zh import DATES_ZH
from sentiment.slots.phrases import iso, scan

_PAY = {
    "zh": re.compile(
        r"还(?!没|不|有|要|是|在|得看|早)|付|转|打(?:过去|款|钱|给)|缴|交|给(?!我)|存|结|补|到账|处理|凑|安排"
    ),
    "en": re.compile(
        r"\b(?:pay|paid|send|transfer|deposit|settle|clear|make (?:a|the|my) payment|get (?:it|that|you)|do|have|put|give)"
    ),
}


def find_date(text: str, lang: str, context: SlotContext) -> Mention | None:
    """The date in folded ``text`` that the speaker stands by, ``None`` if there is none."""
    chosen = choose(dates_in(text, lang, context), text)
    if chosen and chosen.weight == -4 and context.expects not in ("date", "date_amount"):
        return None
    return chosen


def dates_in(text: str, lang: str, context: SlotContext) -> list[Mention]:
    """Every date in folded ``text``, in order; one that lies on the wrong side of today has no value.

    "Before the 15th" and "by the 15th" give the 15th: the last day meant. A day that lies behind is a value only
    when the utterance tells of the past (``context.past``): it is never a promise's date.
    """
    table = DATES_ZH if lang == "zh" else DATES_EN
    found = scan(text, table, context)
    mentions: list[Mention] = []
    for i, f in enumerate(found):
        day, options = f.reading.day, f.reading.options
        left = found[i - 1].end if i else 0
        right = found[i + 1].start if i + 1 < len(found) else len(text)
        near = _PAY[lang].search(text[f.end : min(right, f.end + 16)]) or (
            lang == "en" and _PAY[lang].search(text[max(left, f.start - 30) : f.start])
        )
        ahead = (day or (options[0] if options else None)) or None
        fits = ahead is None or ((ahead <= context.today) if context.past else (ahead >= context.today))
        if day and not fits and not context.past:
            mentions.append(Mention(f.start, f.end, None, (), -4))
            continue
        weight = (2 if fits else 0) + (1 if near else 0) + (1 if day else 0) - (1 if not day and not options else 0)
        mentions.append(Mention(f.start, f.end, day.isoformat() if day else None, iso(options), weight))
    return mentions
