"""Dates, times, amounts and digits in an utterance, resolved against the call. Ambiguous stays ambiguous."""

from __future__ import annotations

import re

from sentiment.slots.amounts import amounts_in, find_amount
from sentiment.slots.base import Mention, Slot, SlotContext, choose
from sentiment.slots.dates import dates_in, find_date
from sentiment.slots.digits import find_digits
from sentiment.slots.numbers import informal
from sentiment.slots.times import find_time
from sentiment.text import fold

__all__ = ["Slot", "SlotContext", "extract"]

_HALF_MISHEARD = re.compile(r"(?<=一)般(?=(?:吧|呗|啊|呢|行吗|行不行|可以吗|好吗)*$)")
"""一半 and 一般 sound nearly alike, and who is asked for an amount does not answer "ordinary"."""
_REST = {
    "zh": re.compile(r"剩下|剩余|余下|其余|剩的|剩(?=多少|下)|余款|尾款|差的|欠的那"),
    "en": re.compile(r"\b(?:the (?:rest|remainder|balance|other half)|what's left|the remaining|the outstanding)\b"),
}


def extract(text: str, lang: str, context: SlotContext) -> dict[str, Slot]:
    """The slots of an utterance under the keys ``date``, ``time``, ``amount`` and ``digits``; absent if not said."""
    folded = fold(text)
    said = informal(folded.text) if lang == "zh" else folded.text
    found: dict[str, Mention] = {}
    if lang == "zh" and context.expects in ("amount", "date_amount"):
        said = _HALF_MISHEARD.sub("半", said)
    digits = find_digits(said, lang, context)
    if digits and context.expects == "digits":
        found["digits"] = digits
    else:
        date = find_date(said, lang, context)
        time = find_time(said, lang, context)
        taken = [(m.start, m.end) for m in (date, time) if m]
        amount = find_amount(said, lang, context, taken)
        if date and amount:
            date, amount = _instalments(said, lang, context, date, amount)
        if date and amount and _REST[lang].search(said, amount.end, max(amount.end, date.start)):
            date = None  # "a thousand now and the rest on the tenth": when the thousand comes was not said
        if digits and not any(m and m.start < digits.end and digits.start < m.end for m in (date, time, amount)):
            found["digits"] = digits
        found |= {k: m for k, m in (("date", date), ("time", time), ("amount", amount)) if m}
    out: dict[str, Slot] = {}
    for key, m in found.items():
        start, end = folded.span(m.start, m.end)
        out[key] = Slot(m.value, text[start:end], start, end, m.candidates)
    return out


def _instalments(text: str, lang: str, context: SlotContext, date: Mention, amount: Mention) -> tuple[Mention, Mention]:
    """ "A thousand on the 5th and a thousand on the 15th" is two promises: neither date nor amount stands alone."""
    dates = [m for m in dates_in(text, lang, context) if m.value or m.candidates]
    amounts = [m for m in amounts_in(text, lang, context, [(m.start, m.end) for m in dates]) if m.weight >= 0]
    if len(dates) != len(amounts) or len(dates) < 2:
        return date, amount
    order = [kind for _, kind in sorted([(m.start, "d") for m in dates] + [(m.start, "a") for m in amounts])]
    if order not in (["d", "a"] * len(dates), ["a", "d"] * len(dates)) or choose(dates, text) != dates[0]:
        return date, amount

    def open_(parts: list[Mention]) -> Mention:
        values = dict.fromkeys(v for m in parts for v in ((m.value,) if m.value else m.candidates))
        return Mention(parts[0].start, parts[-1].end, None, tuple(values))

    return open_(dates), open_(amounts)
