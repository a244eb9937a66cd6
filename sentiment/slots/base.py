# ruff: noqa: E501 - tables, one entry a line
"""What every slot reader shares: the value type and the choice among several mentions in one utterance."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal


@dataclass(frozen=True, slots=True)
class Slot:
    """A value found in an utterance.

    ``value`` is the resolved value (ISO date, ``HH:MM``, decimal string, digit string), or ``None`` while it is
    ambiguous or impossible; then ``candidates`` holds what it may mean, most likely first (perhaps nothing).
    ``start``/``end`` are character offsets in the utterance and ``text`` is what stands there.
    """

    value: str | None
    text: str
    start: int
    end: int
    candidates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SlotContext:
    """What slots are resolved against: the day of the call in the borrower's time zone, and the loan.

    ``now``: the borrower's local time, for "in an hour". ``payday``: day of the month, if known. ``past``: the
    utterance tells what has happened, so "on the 15th" is the last 15th. ``month_first``: how "3/4" is read;
    ``None`` leaves it ambiguous.
    """

    today: date
    now: datetime | None = None
    expects: str | None = None
    currency: str | None = None
    amount_due: Decimal | None = None
    payday: int | None = None
    past: bool = False
    month_first: bool | None = None


@dataclass(frozen=True, slots=True)
class Mention:
    """One reading at ``[start, end)`` of the folded text. ``weight`` prefers mentions tied to paying."""

    start: int
    end: int
    value: str | None
    candidates: tuple[str, ...] = ()
    weight: int = 0


def money(amount: Decimal) -> str:
    """Decimal string without needless zeros: ``3500``, ``1200.50``. Halves of a cent round up."""
    cents = amount.quantize(Decimal("0.01"), ROUND_HALF_UP)
    return str(int(cents)) if cents == cents.to_integral_value() else str(cents)


_CORRECTION = re.compile(
    r"不对|算了|哦不|噢不|啊不|说错|错了|应该是|还是.{0,2}吧|改成|而是|不不"
    r"|\bno wait\b|\bwait\b|\bi mean\b|\bscratch that\b|\bactually\b|\bmake (?:that|it)\b|\bsorry\b|\brather\b|\bno\b"
)
_ALTERNATIVE = re.compile(
    r"^、?$|^[\s,、]*(?:或者?是?|还是|要么|要不|到|至|和|~|-|or|to|maybe|either|and)[\s,]*(?:说|the|on|maybe|周|\$)?[\s]*$"
)
_DENIED_BEFORE = re.compile(
    r"(?:不是|等不到|到不了|拿不出|凑不[出到齐]|没有|不可能(?:还|付|给)?|还不[了上起]|付不[了起]|没(?:办法|法)(?:还|付|一次性|一下子)?(?:还|付)?|"
    r"(?:不能|无法|不太?可能)(?:一次性?|一下子|全部|马上|现在)?(?:还|付|给)?|\bnot(?: on| by| until)?(?: the)?|\b(?:can't|cannot|can not|won't|couldn't)"
    r"(?: (?:do|pay|make|afford|come up with|manage|you|it|by|on|even|give|find))*(?: the)?)\s*$"
)
_DENIED_AFTER = re.compile(
    r"^[\s,]*(?:(?:我)?(?:肯定|可能|恐怕|是|也|都|真|还)*(?:不行|不可以|不方便|来不及|还不[了上]|做不到|没办法|没空|不成|太多|太早|太快|太紧|拿不出|没有钱|还没)"
    r"|(?:is|'s|are)(?: just)?(?: way)? (?:not|too|no good|impossible)|(?:isn't|doesn't|won't|wouldn't|can't)|no way|not possible)"
)


def choose(mentions: list[Mention], text: str) -> Mention | None:
    """The mention the speaker stands by.

    Denied ones fall out ("Friday is no good"); after a correction only what follows counts ("tomorrow, no, on
    Friday"); alternatives stay open ("Friday or Saturday" has no value and both as candidates); otherwise the
    first of those tied closest to paying.
    """
    kept: list[Mention] = []
    left = 0
    for m in mentions:
        denied = _DENIED_AFTER.match(text[m.end :])
        if not denied and not _DENIED_BEFORE.search(text[max(left, m.start - 28) : m.start]):
            kept.append(m)
        # A denial belongs to one mention: in "the tenth won't do the twentieth will" the second is not denied.
        left = m.end + denied.end() if denied else left
    for i in range(len(kept) - 1, 0, -1):
        if _CORRECTION.search(text[kept[i - 1].end : kept[i].start]):
            kept = kept[i:]
            break
    if not kept:
        return None
    first = max(kept, key=lambda m: (m.weight, -m.start))
    at = kept.index(first)
    group = [first]
    for after in kept[at + 1 :]:
        if not _ALTERNATIVE.match(text[group[-1].end : after.start]):
            break
        group.append(after)
    values: list[str] = []
    for m in group:
        values += [v for v in ((m.value,) if m.value else m.candidates) if v not in values]
    if len(group) > 1 and len(values) != 1:
        return replace(first, end=group[-1].end, value=None, candidates=tuple(values))
    return first
