"""What a turn's slots come to: verification digits, a promise's date and amount, a time to call back.

Pure functions from what was understood and the state so far to the state and a signal of ``scripts.schema``.
Ambiguous values are never chosen for the borrower: they become options that a line asks about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_DOWN, Decimal, InvalidOperation

from agent.case import CaseFile
from agent.dialogue_types import State
from agent.events import SlotValue, Understood
from scripts.schema import Limits

_ZH = dict(zip("零〇一二三四五六七八九幺两叉", "001234567891" + "2X", strict=True))
_EN = {
    word: digit
    for digit, words in {
        "0": "zero oh o nought", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five",
        "6": "six", "7": "seven", "8": "eight", "9": "nine", "X": "x ex",
    }.items()
    for word in words.split()
}  # fmt: skip
_TOKEN = re.compile(r"[0-9]|[零〇一二三四五六七八九幺两叉]|[A-Za-z]+")
_REPEATS = {"double": 2, "triple": 3}


def spoken_digits(text: str) -> str:
    """The digits of a text, written or spoken one by one, in order (``四零七二``, ``four oh seven two`` → 4072)."""
    found, times = "", 1
    for token in _TOKEN.findall(text):
        word = token.lower()
        if word in _REPEATS:
            times = _REPEATS[word]
            continue
        digit = token if token.isdigit() else _ZH.get(token) or _EN.get(word)
        if digit:
            found += digit * times
        times = 1
    return found


def mostly_digits(text: str) -> bool:
    """True if a text is little else than four or more digits: no other reading of it can be trusted."""
    tokens = [t for t in re.findall(r"[0-9]|[\u4e00-\u9fff]|[A-Za-z]+", text) if t.lower() not in _REPEATS]
    count = sum(1 for t in tokens if t.isdigit() or t in _ZH or t.lower() in _EN)
    return count >= 4 and count >= 0.75 * len(tokens)


def offered_numbers(understood: Understood) -> tuple[str, ...]:
    """Every reading of the turn as a digit string: the slots' and the text's own."""
    readings: list[str] = []
    for name in ("digits", "id_last4", "number"):
        slot = understood.slots.get(name)
        if slot is not None:
            readings += [item for item in (slot.value, *slot.candidates) if item]
    readings.append(spoken_digits(understood.heard.text))
    cleaned = (re.sub(r"[^0-9X]", "", reading.upper()) for reading in readings)
    return tuple(dict.fromkeys(item for item in cleaned if item))


def verify(readings: Iterable[str], secret: str) -> str | None:
    """``verify_ok``, ``verify_fail`` or ``verify_partial``; ``None`` if no digits were offered.

    A reading counts if it is the four digits or a whole identity number (15 or 18) that ends in them.
    """
    result = None
    for reading in readings:
        if len(reading) in (4, 15, 18):
            if reading[-4:] == secret:
                return "verify_ok"
            result = "verify_fail"
        elif len(reading) >= 2 and result is None:
            result = "verify_partial"
    return result


def has_promise_slots(understood: Understood) -> bool:
    return bool({"date", "amount"} & understood.slots.keys())


def read_promise(state: State, understood: Understood, case: CaseFile, today: date, limits: Limits) -> State:
    """Take date and amount from a turn into the state; what the turn does not name stays as it was."""
    when = understood.slots.get("date")
    if when is not None:
        # Only days that can still be promised are worth a question.
        options = tuple(o for o in when.candidates if _in_reach(o, today, limits.max_promise_days))
        if when.value is not None:
            state = replace(state, promise_date=when.value, date_options=())
        elif len(options) == 1:
            state = replace(state, promise_date=options[0], date_options=())
        else:
            state = replace(state, promise_date=None, date_options=options[:2])
    amount, options = _amount(understood, case)
    if amount is not None:
        return replace(state, promise_amount=f"{amount:.2f}", amount_options=())
    if options:
        return replace(state, promise_amount=None, amount_options=options)
    whole = understood.intent in ("affirm", "confirm_identity") and state.promise_amount is None
    if whole and state.promise_date is not None and not state.date_options and not state.amount_options:
        # The only question left was "the whole amount?", and the answer is yes.
        return replace(state, promise_amount=f"{case.amount_due:.2f}")
    return state


def judge_promise(state: State, case: CaseFile, today: date, limits: Limits) -> tuple[State, str]:
    """What is still wrong or missing in the promise; ``promise_ready`` once it can be read back."""
    if state.date_options:
        return state, "date_ambiguous"
    if state.promise_date is None:
        return state, "date_missing"
    try:
        when = date.fromisoformat(state.promise_date)
    except ValueError:
        return replace(state, promise_date=None), "date_missing"
    if when < today:
        return replace(state, promise_date=None), "date_past"
    if when > today + timedelta(days=limits.max_promise_days):
        return replace(state, promise_date=None), "date_too_far"
    if state.amount_options:
        return state, "amount_ambiguous"
    if state.promise_amount is None:
        return state, "amount_missing"
    amount = Decimal(state.promise_amount)
    if amount > case.amount_due:
        return replace(state, promise_amount=None), "amount_too_high"
    if amount <= 0 or (case.min_payment is not None and amount < case.min_payment):
        return replace(state, promise_amount=None), "amount_too_low"
    return state, "promise_ready"


def forget_promise(state: State) -> State:
    return replace(state, promise_date=None, promise_amount=None, date_options=(), amount_options=())


def _in_reach(value: str, today: date, days: int) -> bool:
    try:
        when = date.fromisoformat(value)
    except ValueError:
        return False
    return today <= when <= today + timedelta(days=days)


def _amount(understood: Understood, case: CaseFile) -> tuple[Decimal | None, tuple[str, ...]]:
    slot: SlotValue | None = understood.slots.get("amount")
    if slot is not None:
        exact = _decimal(slot.value)
        if exact is not None:
            return exact, ()
        options = tuple(f"{d:.2f}" for d in map(_decimal, slot.candidates) if d is not None and d <= case.amount_due)
        if len(options) == 1:
            return Decimal(options[0]), ()
        if options:
            return None, options[:2]
    return None, ()


def _decimal(value: str | None) -> Decimal | None:
    """A spoken amount rounded down to cents; ``None`` if it is no plain number."""
    if value is None:
        return None
    try:
        amount = Decimal(value)
    except InvalidOperation:
        return None
    if not amount.is_finite() or not 0 <= amount < 10**9:
        return None
    return amount.quantize(Decimal("0.01"), rounding=ROUND_DOWN)


def read_callback(state: State, understood: Understood, today: date, limits: Limits) -> tuple[State, str]:
    """Take the day and time to call back; ``callback_ready`` with either, ``callback_missing`` with neither."""
    day, time = understood.slots.get("date"), understood.slots.get("time")
    if day is not None:
        choices = [c for c in (day.value, *day.candidates) if c and _in_reach(c, today, limits.max_callback_days)]
        if day.value is not None and not choices:
            return state, "callback_missing"
        if len(set(choices)) == 1:
            state = replace(state, callback_date=choices[0])
    if time is not None:
        heard = {c for c in (time.value, *time.candidates) if c and re.fullmatch(r"[0-2]\d:[0-5]\d", c)}
        # "Three o'clock" may be three in the night: only times at which we may call at all are candidates.
        allowed = sorted(c for c in heard if limits.callback_from <= c <= limits.callback_to)
        if heard and not allowed:
            return replace(state, callback_time=None), "callback_outside_hours"
        if len(allowed) == 1:
            state = replace(state, callback_time=allowed[0])
    ready = state.callback_date is not None or state.callback_time is not None
    return state, "callback_ready" if ready else "callback_missing"
