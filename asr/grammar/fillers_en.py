"""English numbers, amounts, dates, times and digit strings as they are spoken, in words without hyphens."""

from random import Random

from asr.grammar.template import Filler

_ONES = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"),
    *("thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
_TENS = ("", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_ORDINALS = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}
_MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September", "October"),
    *("November", "December"),
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SPECIAL_DAYS: tuple[str, ...] = (
    *("payday", "my next payday", "the end of the month", "the end of the week", "the beginning of the month"),
    *("next week", "next month", "the middle of the month", "this weekend", "tomorrow", "today", "tonight"),
    *("the day after tomorrow", "tomorrow morning", "tomorrow afternoon", "tomorrow evening", "this afternoon"),
    *("later today", "the end of the day", "the first of the month", "the new year", "after Christmas"),
    *("after Thanksgiving", "the weekend", "sometime next week", "early next week", "late next week", "this evening"),
    *("the end of next month", "the end of the year", "first thing tomorrow", "end of day Friday"),
)

_LOOSE_DAYS: tuple[str, ...] = (
    *("in a couple of days", "in a few days", "in a couple of weeks", "when I get paid", "when my check comes"),
    *("by the weekend", "as soon as I can", "in two weeks", "a week from today", "a week from Friday", "in an hour"),
)


def cardinal(n: int, with_and: bool = False) -> str:
    """`n` (0 to 999,999) in words; `with_and` puts "and" before the tens, as the British do."""
    if n < 20:
        return _ONES[n]
    if n < 100:
        return _TENS[n // 10] + (f" {_ONES[n % 10]}" if n % 10 else "")
    size, unit = (1000, "thousand") if n >= 1000 else (100, "hundred")
    head, rest = divmod(n, size)
    said = f"{cardinal(head, with_and)} {unit}"
    if not rest:
        return said
    return f"{said} {'and ' if with_and and rest < 100 else ''}{cardinal(rest, with_and)}"


def ordinal(n: int) -> str:
    """`n` (1 to 99) as an ordinal: "twenty first"."""
    head, _, last = cardinal(n).rpartition(" ")
    said = _ORDINALS.get(last, last[:-1] + "ieth" if last.endswith("y") else last + "th")
    return f"{head} {said}".strip()


def digits(rng: Random, n: int) -> str:
    """`n` digits one by one; 0 is "zero" or "oh" through the whole string; doubles and pauses now and then."""
    zero = rng.choice(("zero", "zero", "oh", "oh"))
    figures = [rng.randrange(10) for _ in range(n)]
    words: list[str] = []
    i = 0
    doubles = rng.random() < 0.25
    while i < n:
        name = zero if figures[i] == 0 else _ONES[figures[i]]
        if doubles and i + 1 < n and figures[i] == figures[i + 1]:
            words.append(f"double {name}")
            i += 2
            continue
        words.append(name)
        i += 1
    style = rng.random()
    if style < 0.15:
        return ", ".join(words)
    if style < 0.4 and n > 2:
        cut = 3 if n > 5 else 2
        return ", ".join(" ".join(words[k : k + cut]) for k in range(0, len(words), cut))
    return " ".join(words)


def _pairs(rng: Random) -> str:
    """Four digits as two two-digit numbers: "forty seventy two", "nineteen oh five"."""
    first, second = rng.randrange(10, 100), rng.randrange(100)
    low = f"oh {_ONES[second]}" if 0 < second < 10 else ("hundred" if second == 0 else cardinal(second))
    return f"{cardinal(first)} {low}"


def _digits4(rng: Random) -> str:
    return _pairs(rng) if rng.random() < 0.15 else digits(rng, 4)


def amount(rng: Random) -> str:
    """A sum of money, exact, shortened or rough."""
    kind = rng.random()
    dollars = rng.choice((" dollars", " dollars", " bucks", ""))
    if kind < 0.25:
        return cardinal(rng.randrange(1, 20) * rng.choice((10, 50, 100, 1000))) + dollars
    if kind < 0.45:
        return cardinal(rng.randrange(101, 20000), rng.random() < 0.4) + dollars
    if kind < 0.55:
        return f"{cardinal(rng.randrange(11, 100))} hundred" + dollars
    if kind < 0.65:
        return f"{_ONES[rng.randrange(1, 10)]} {_TENS[rng.randrange(2, 10)]}" + rng.choice((dollars, ""))
    if kind < 0.73:
        return f"{cardinal(rng.randrange(11, 100))} {cardinal(rng.randrange(11, 100))}"
    if kind < 0.83:
        return f"{cardinal(rng.randrange(20, 999))} dollars and {cardinal(rng.randrange(2, 100))} cents"
    if kind < 0.9:
        head = rng.choice(("about", "around", "maybe", "at least", "like", "up to", "almost", "a little over"))
        return f"{head} {cardinal(rng.randrange(1, 20) * rng.choice((10, 50, 100)))}" + dollars
    return rng.choice(
        (
            *("a hundred dollars", "a hundred bucks", "a couple hundred", "a couple hundred dollars", "a few hundred"),
            *("a thousand dollars", "half", "half of it", "a quarter of it", "the full amount", "the whole thing"),
            *("the minimum", "the minimum payment", "one and a half thousand", "two and a half thousand", "a grand"),
            *("two grand", "three grand", "a hundred and fifty", "a hundred and twenty dollars", "twenty bucks"),
            *("part of it", "most of it", "two or three hundred", "four or five hundred dollars", "fifty bucks"),
        )
    )


def _day(rng: Random) -> str:
    return rng.choice(_DAYS)


def _month_day(rng: Random) -> str:
    day = ordinal(rng.randrange(1, 32))
    month = rng.choice(_MONTHS)
    kind = rng.random()
    if kind < 0.3:
        return f"the {day}"
    if kind < 0.55:
        return f"the {day} of {month}"
    if kind < 0.85:
        return f"{month} {day}"
    return f"the {day} of {rng.choice(('this month', 'next month', 'the month'))}"


def on_day(rng: Random) -> str:
    """A day that can follow "on": "Friday", "the fifteenth", "Monday the third"."""
    kind = rng.random()
    if kind < 0.55:
        return _month_day(rng)
    if kind < 0.85:
        return _day(rng) + rng.choice(("", "", "", " morning", " afternoon", " evening", " night"))
    return rng.choice(
        (f"{_day(rng)} the {ordinal(rng.randrange(1, 32))}", f"the {ordinal(rng.randrange(1, 32))}", "payday")
    )


def by_day(rng: Random) -> str:
    """A day that can follow "by", "until" or "to"."""
    kind = rng.random()
    if kind < 0.55:
        return on_day(rng)
    return f"{rng.choice(('next', 'this'))} {_day(rng)}" if kind < 0.7 else rng.choice(_SPECIAL_DAYS)


def date(rng: Random) -> str:
    """A day or a stretch of time, as a promise or a question names it."""
    kind = rng.random()
    if kind < 0.55:
        return on_day(rng)
    if kind < 0.7:
        lead = rng.choice(("next ", "this ", "this coming "))
        return lead + _day(rng) + rng.choice(("", "", "", " morning", " afternoon", " evening", " night"))
    if kind < 0.76:
        return rng.choice(_LOOSE_DAYS)
    if kind < 0.82:
        n = rng.randrange(2, 31)
        return rng.choice(
            (f"in {cardinal(n)} days", f"in {_ONES[rng.randrange(2, 7)]} weeks", f"within {cardinal(n)} days")
        )
    return rng.choice(_SPECIAL_DAYS)


def time(rng: Random) -> str:
    """A time of day."""
    hour = cardinal(rng.randrange(1, 13))
    kind = rng.random()
    if kind < 0.3:
        return hour + rng.choice((" o'clock", "", ""))
    if kind < 0.5:
        return rng.choice(("half past ", "quarter past ", "quarter to ", "ten past ", "twenty to ")) + hour
    if kind < 0.75:
        return hour + rng.choice((" thirty", " fifteen", " forty five", " ten", " twenty", " oh five"))
    return hour + rng.choice(
        (" in the morning", " in the afternoon", " in the evening", " at night", " sharp", " or so")
    )


def _birthday(rng: Random) -> str:
    year = rng.randrange(1950, 2008)
    low = year % 100
    if year < 2000:
        said = f"nineteen {'oh ' + _ONES[low] if low < 10 else cardinal(low)}"
    else:
        said = "two thousand" + (f" {_ONES[low]}" if low else "")
    return f"{rng.choice(_MONTHS)} {ordinal(rng.randrange(1, 32))}, {said}"


FILLERS: dict[str, Filler] = {
    "d4": _digits4,
    "d3": lambda rng: digits(rng, 3),
    "d2": lambda rng: digits(rng, 2),
    "d5": lambda rng: digits(rng, 5),
    "d6": lambda rng: digits(rng, 6),
    "d8": lambda rng: digits(rng, 8),
    "mobile": lambda rng: f"{digits(rng, 3)}, {digits(rng, 3)}, {digits(rng, 4)}",
    "amount": amount,
    "date": date,
    "onday": on_day,
    "byday": by_day,
    "time": time,
    "birthday": _birthday,
    "day": _day,
    "month": lambda rng: rng.choice(_MONTHS),
    "count": lambda rng: cardinal(rng.choice((2, 2, 3, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 20, 30))),
    "number": lambda rng: cardinal(rng.randrange(1, 1000), rng.random() < 0.3),
    "age": lambda rng: cardinal(rng.randrange(18, 90)),
    "percent": lambda rng: f"{cardinal(rng.randrange(1, 100))} percent",
}
