# ruff: noqa: E501 - tables, one entry a line
"""Numbers as they are said, in Mandarin and in English, to ``Decimal``."""

from __future__ import annotations

import re
from decimal import Decimal

ZH_DIGIT = {c: i for i, c in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2, "幺": 1, "俩": 2, "仨": 3}
_ZH_UNIT = {"十": 10, "百": 100, "千": 1000}
_ZH_BIG = {"万": 10_000, "亿": 100_000_000}
ZH_NUMBER = r"(?:\d[\d,]*(?:\.\d+)?|[零〇一二两三四五六七八九十百千万亿])(?:[零〇一二两三四五六七八九十百千万亿]|\d)*"
"""A run that may be a Mandarin number, in characters, Arabic figures, or both ("3千5")."""


_FORMAL = str.maketrans("壹贰叁肆伍陆柒捌玖拾佰仟", "一二三四五六七八九十百千")
_FORMAL_RUN = re.compile(r"[零〇壹贰叁肆伍陆柒捌玖拾佰仟万]{2,}(?=[元块圆整万]|$)")


_LETTER_UNIT = re.compile(r"(?<=[\d一二两三四五六七八九])(个?)([kw])(?![a-z0-9])")


def informal(text: str) -> str:
    """Banking numerals (壹仟) and letters for units (2k, 1.5w) as plain ones, character for character; alone some are
    words or names and stay."""
    text = _LETTER_UNIT.sub(lambda m: m[1] + {"k": "千", "w": "万"}[m[2]], text)
    return _FORMAL_RUN.sub(lambda m: m[0].translate(_FORMAL), text)


def zh_number(said: str) -> Decimal | None:
    """Value of a Mandarin number, ``None`` if it is not one.

    A last digit straight after a unit counts tenths of it: 三千五 = 3500, 一万二 = 12000, 两百五 = 250; with 零
    it does not: 三千零五 = 3005. Digits read one by one (四零七二) are no number.
    """
    said = said.replace(",", "")
    if re.fullmatch(r"\d+(?:\.\d+)?", said):
        return Decimal(said)
    total = Decimal(0)
    section = Decimal(0)
    digit: Decimal | None = None
    unit = 0
    zero = False
    for piece in re.findall(r"\d+(?:\.\d+)?|.", said):
        if piece[0].isdigit() and piece[0].isascii():
            if digit is not None:
                return None
            digit = Decimal(piece)
        elif piece in ZH_DIGIT:
            if ZH_DIGIT[piece] == 0:
                if digit is not None and digit != 0:
                    return None
                zero = True
                digit = None
                continue
            if digit is not None:
                return None
            digit = Decimal(ZH_DIGIT[piece])
        elif piece in _ZH_UNIT:
            value = _ZH_UNIT[piece]
            if digit is None and (value != 10 or section != 0) and value != 100:
                return None
            section += (Decimal(1) if digit is None else digit) * value
            digit, unit, zero = None, value, False
        elif piece in _ZH_BIG:
            section += digit or 0
            if section == 0:
                return None
            total = (total + section) * _ZH_BIG[piece] if piece == "亿" else total + section * _ZH_BIG[piece]
            section, digit, unit, zero = Decimal(0), None, _ZH_BIG[piece], False
        else:
            return None
    if digit is not None:
        tenths = unit >= 100 and not zero and digit < 10
        section += digit * (unit // 10) if tenths else digit
    elif unit == 0:
        return Decimal(0) if said in ("零", "〇") else None
    return total + section


_EN_ONES = {
    w: i
    for i, w in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_EN_TENS = {
    w: 10 * i for i, w in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], 2)
} | {"fourty": 40}
EN_ORDINAL = {
    w: i
    for i, w in enumerate(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
            "thirteenth",
            "fourteenth",
            "fifteenth",
            "sixteenth",
            "seventeenth",
            "eighteenth",
            "nineteenth",
            "twentieth",
        ],
        1,
    )
} | {"thirtieth": 30}
_EN_SCALE = {"hundred": 100, "thousand": 1000, "grand": 1000, "k": 1000, "million": 1_000_000}
_EN_WORD = "|".join(sorted([*_EN_ONES, *_EN_TENS, *_EN_SCALE], key=len, reverse=True))
EN_NUMBER = (
    rf"(?:\d[\d,]*(?:\.\d+)?(?:\s?(?:k|grand|thousand|hundred|million)\b)?"
    rf"|\b(?:half a |a |an )?(?:{_EN_WORD})\b(?:(?:[\s-]+(?:and[\s-]+)?(?:a[\s-]+(?=hundred|thousand|grand))?)(?:{_EN_WORD})\b)*)"
)
"""A run that may be an English number, in words, in figures, or both ("1.5k", "a thousand two hundred")."""


def en_number(said: str) -> tuple[Decimal | None, tuple[Decimal, ...]]:
    """Value of an English number, or the values it may have.

    ``thirty five hundred`` is 3500. Two small numbers in a row may be hundreds or a price: ``twelve fifty`` gives
    no value and the candidates 1250 and 12.50. What is no number gives ``(None, ())``.
    """
    said = said.strip().replace(",", "")
    half = said.startswith("half a ")
    tokens = re.findall(r"\d+(?:\.\d+)?|[a-z]+", said.removeprefix("half a "))
    groups: list[Decimal] = []
    total, current = Decimal(0), Decimal(0)
    last = 0  # size of the place the last word filled: 1, 10, 100; 0 before any
    for piece in tokens:
        if piece == "and":
            continue
        if piece in ("a", "an"):
            continue
        if piece[0].isdigit():
            value, place = Decimal(piece), 1
            if last:
                return None, ()
        elif piece in _EN_ONES:
            value = Decimal(_EN_ONES[piece])
            place = 1 if value < 10 else 2
        elif piece in _EN_TENS:
            value, place = Decimal(_EN_TENS[piece]), 10
        elif piece in _EN_SCALE:
            scale = _EN_SCALE[piece]
            if scale == 100:
                current = (current or Decimal(1)) * 100
            else:
                total += (current or Decimal(1)) * scale
                current = Decimal(0)
            last = 100
            continue
        else:
            return None, ()
        if last == 100 or last == 0 or (last == 10 and place == 1):
            current += value
        else:
            groups.append(total + current)
            total, current = Decimal(0), value
        last = place
    value = total + current
    if not tokens:
        return None, ()
    if groups:
        if len(groups) == 1 and 1 <= groups[0] < 100 and 10 <= value < 100:
            return None, (groups[0] * 100 + value, groups[0] + value / 100)
        return None, ()
    return (value / 2 if half else value), ()


EN_DIGIT_WORD = {w: str(i) for w, i in _EN_ONES.items() if i < 10} | {"oh": "0", "o": "0", "nought": "0", "zero": "0"}
EN_PAIR_WORD = {w: i for w, i in (_EN_ONES | _EN_TENS).items() if i >= 10}
