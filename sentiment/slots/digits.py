"""Digits read out one by one: the last four of an identity number, a code."""

from __future__ import annotations

import re

from sentiment.slots.base import Mention, SlotContext
from sentiment.slots.numbers import EN_DIGIT_WORD, EN_PAIR_WORD, ZH_DIGIT, zh_number

_LEAST = 4
_ZH_RUN = re.compile(r"[零〇一二三四五六七八九幺两\d](?:[\s,、.\-]?(?:[零〇一二三四五六七八九幺两\dx]|(?:洞|拐|勾)))+")
_ZH_SPOKEN = str.maketrans({"洞": "0", "拐": "7", "勾": "9"} | {k: str(v) for k, v in ZH_DIGIT.items()})
_ZH_NOT_CODE = re.compile(r"^(?:年|月|号|日|十|百|千|万|点|块|元|个|天|岁|[,.]\d)")
_EN_TOKEN = re.compile(r"\d+|[a-z']+|[^\sa-z\d]+")
_EN_JOIN = {",", "-", ".", "–", "and", "then", "uh", "um", "er", "..."}
_CORRECTION = re.compile(r"不对|错|不是|哦不|\bno\b|\bsorry\b|\bwait\b|\bi mean\b|\bactually\b")


def find_digits(text: str, lang: str, context: SlotContext) -> Mention | None:
    """A run of at least four digits (any run of two or more when digits were asked for); the last one stands.

    After a correction ("no, sorry …") the later run counts; two different runs without one are ambiguous.
    """
    asked = context.expects == "digits"
    runs = _runs_zh(text, asked) if lang == "zh" else _runs_en(text, asked)
    runs = [r for r in runs if r.value and len(r.value) >= (2 if asked else _LEAST)]
    if not runs:
        return None
    longest = max(len(r.value or "") for r in runs)
    runs = [r for r in runs if len(r.value or "") == longest] if asked else runs
    if len({r.value for r in runs}) > 1 and not _CORRECTION.search(text[runs[0].end : runs[-1].start]):
        return Mention(runs[0].start, runs[0].end, None, tuple(dict.fromkeys(r.value for r in runs if r.value)))
    return runs[-1]


def _runs_zh(text: str, asked: bool) -> list[Mention]:
    out: list[Mention] = []
    for m in _ZH_RUN.finditer(text):
        if _ZH_NOT_CODE.match(text[m.end() :]) or re.search(r"[十百千万.¥￥$]$", text[: m.start()]):
            continue
        value = re.sub(r"[\s,、.\-]", "", m[0]).translate(_ZH_SPOKEN).upper()
        if not asked and re.fullmatch(r"[\d]+", m[0]) and re.search(r"[还付交给转先](?:个|了)?$", text[: m.start()]):
            continue  # a sum in figures
        out.append(Mention(m.start(), m.end(), value))
    if asked and not out:
        for m in re.finditer(r"[零〇一二两三四五六七八九十百千]+", text):  # read as a number: 四千零七十二
            number = zh_number(m[0])
            if number is not None and number >= 10:
                out.append(Mention(m.start(), m.end(), str(number)))
    return out


def _runs_en(text: str, asked: bool) -> list[Mention]:
    out: list[Mention] = []
    value, start, end, repeat = "", 0, 0, 1
    pair = ""

    def close() -> None:
        nonlocal value, repeat, pair
        flush()
        if value:
            out.append(Mention(start, end, value))
        value, repeat = "", 1

    def flush() -> None:
        nonlocal value, pair
        value += pair
        pair = ""

    for m in _EN_TOKEN.finditer(text):
        piece = m[0]
        digits = EN_DIGIT_WORD.get(piece) or (piece if piece.isdigit() else None)
        if piece in ("double", "triple", "treble"):
            if not value:
                start = m.start()
            repeat = 2 if piece == "double" else 3
            continue
        if piece == "x" and value:
            flush()
            value += "X"
            end = m.end()
        elif digits is not None:
            if piece == "o" and not (value or pair):
                continue
            if not (value or pair) and repeat == 1:
                start = m.start()
            if len(pair) == 2 and pair[1] == "0" and len(digits) == 1 and digits != "0" and pair != "10":
                pair = pair[0] + digits  # "seventy two"
                flush()
            else:
                flush()
                value += digits * repeat
            repeat, end = 1, m.end()
        elif asked and piece in EN_PAIR_WORD:
            if not (value or pair):
                start = m.start()
            flush()
            pair, end = str(EN_PAIR_WORD[piece]), m.end()
        elif piece not in _EN_JOIN:
            if piece in ("hundred", "thousand", "dollars", "bucks", "grand"):
                value, pair = "", ""
            close()
    close()
    return [
        m
        for m in out
        if not re.search(r"[$£€/:.]$", text[: m.start])
        and not re.match(r"^(?:st|nd|rd|th|/|:\d|\.\d|,\d{3})", text[m.end :])
    ]
