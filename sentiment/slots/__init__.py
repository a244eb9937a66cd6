"""Dates, times, amounts and digits in an utterance, resolved against the call. Ambiguous stays ambiguous."""

from __future__ import annotations

from sentiment.slots.amounts import find_amount
from sentiment.slots.base import Mention, Slot, SlotContext
from sentiment.slots.dates import find_date
from sentiment.slots.digits import find_digits
from sentiment.slots.times import find_time
from sentiment.text import fold

__all__ = ["Slot", "SlotContext", "extract"]


def extract(text: str, lang: str, context: SlotContext) -> dict[str, Slot]:
    """The slots of an utterance under the keys ``date``, ``time``, ``amount`` and ``digits``; absent if not said."""
    folded = fold(text)
    found: dict[str, Mention] = {}
    digits = find_digits(folded.text, lang, context)
    if digits and context.expects == "digits":
        found["digits"] = digits
    else:
        date = find_date(folded.text, lang, context)
        time = find_time(folded.text, lang, context)
        taken = [(m.start, m.end) for m in (date, time) if m]
        amount = find_amount(folded.text, lang, context, taken)
        if digits and not any(m and m.start < digits.end and digits.start < m.end for m in (date, time, amount)):
            found["digits"] = digits
        found |= {k: m for k, m in (("date", date), ("time", time), ("amount", amount)) if m}
    out: dict[str, Slot] = {}
    for key, m in found.items():
        start, end = folded.span(m.start, m.end)
        out[key] = Slot(m.value, text[start:end], start, end, m.candidates)
    return out
