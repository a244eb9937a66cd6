"""Chinese numbers, amounts, dates, times and digit strings as they are spoken, in characters."""

from random import Random

from asr.grammar.template import Filler

_DIGITS = "零一二三四五六七八九"
_UNITS = ((10000, "万"), (1000, "千"), (100, "百"), (10, "十"))
_PARTS_OF_DAY = ("早上", "上午", "中午", "下午", "傍晚", "晚上")


def cardinal(n: int, liang: bool = True) -> str:
    """`n` (0 to 99,999,999) in characters; `liang` says 两 before 百, 千 and 万, as people mostly do."""
    if n < 10:
        return _DIGITS[n]
    if n < 20:
        return "十" + (_DIGITS[n - 10] if n > 10 else "")
    out = ""
    rest = n
    for size, unit in _UNITS:
        count, rest = divmod(rest, size)
        if count == 0:
            if out and rest and not out.endswith("零"):
                out += "零"
            continue
        if count == 2 and size >= 100 and (liang or size == 10000):
            out += "两" + unit
        elif count >= 10:
            out += cardinal(count, liang) + unit
        else:
            out += _DIGITS[count] + unit
        if rest == 0:
            return out
    return out + _DIGITS[rest]


def digits(rng: Random, n: int) -> str:
    """`n` digits one by one; 1 is 幺 or 一 through the whole string, with a pause now and then."""
    one = "幺" if rng.random() < 0.5 else "一"
    said = [one if d == 1 else _DIGITS[d] for d in (rng.randrange(10) for _ in range(n))]
    style = rng.random()
    if n > 4:
        group = rng.choice((3, 4)) if style < 0.7 else n
        return "，".join("".join(said[i : i + group]) for i in range(0, n, group))
    if style < 0.12:
        return "，".join(said)
    if style < 0.22 and n == 4:
        return "".join(said[:2]) + "，" + "".join(said[2:])
    return "".join(said)


def _mobile(rng: Random) -> str:
    one = "幺" if rng.random() < 0.6 else "一"
    head = "1" + rng.choice(("30", "31", "35", "36", "37", "38", "39", "50", "51", "58", "59", "77", "80", "86", "89"))
    number = head + "".join(str(rng.randrange(10)) for _ in range(8))
    said = [one if c == "1" else _DIGITS[int(c)] for c in number]
    return "".join(said[:3]) + "，" + "".join(said[3:7]) + "，" + "".join(said[7:])


def _round_number(rng: Random) -> int:
    kind = rng.random()
    if kind < 0.3:
        return rng.randrange(1, 10) * 100
    if kind < 0.55:
        return rng.randrange(1, 10) * 1000
    if kind < 0.8:
        return rng.randrange(11, 100) * 100
    if kind < 0.9:
        return rng.randrange(1, 20) * 10000
    return rng.randrange(11, 99) * 1000


def _short_form(rng: Random) -> str:
    """三千五, 一万二, 两百五: the last unit is left out."""
    unit = rng.choice(("百", "千", "千", "万"))
    head = rng.randrange(1, 10)
    return ("两" if head == 2 else _DIGITS[head]) + unit + _DIGITS[rng.randrange(1, 10)]


def _rough(rng: Random) -> str:
    kind = rng.randrange(6)
    low = rng.randrange(1, 9)
    pair = ("两" if low == 2 else _DIGITS[low]) + _DIGITS[low + 1]
    if kind == 0:
        return pair + rng.choice(("百", "千", "万"))
    if kind == 1:
        return rng.choice(("三五百", "三五千", "百八十", "千八百", "百十来", "小一千", "小一万", "小两千"))
    if kind == 2:
        return cardinal(rng.randrange(1, 10) * rng.choice((100, 1000, 10000))) + "多"
    if kind == 3:
        return cardinal(rng.randrange(1, 10) * rng.choice((10, 100, 1000))) + "来"
    if kind == 4:
        return "大概" + cardinal(_round_number(rng))
    return pair + "十"


def amount(rng: Random) -> str:
    """A sum of money, exact, shortened or rough."""
    kind = rng.random()
    if kind < 0.22:
        return _short_form(rng)
    if kind < 0.52:
        return cardinal(_round_number(rng), rng.random() < 0.85) + rng.choice(("", "块", "块钱", "元", "块", "块钱"))
    if kind < 0.72:
        return cardinal(rng.randrange(101, 60000), rng.random() < 0.85) + rng.choice(("", "块", "块钱", "元"))
    if kind < 0.8:
        yuan = cardinal(rng.randrange(11, 9999))
        return f"{yuan}块{_DIGITS[rng.randrange(1, 10)]}" + rng.choice(("", "毛"))
    if kind < 0.84:
        return cardinal(rng.randrange(100, 9999)) + "点" + "".join(_DIGITS[rng.randrange(10)] for _ in range(2)) + "元"
    if kind < 0.88:
        return cardinal(rng.randrange(2, 100) * 10) + rng.choice(("块", "块钱"))
    return _rough(rng) + rng.choice(("", "块", "块钱", "块钱"))


def _day_number(rng: Random) -> str:
    return cardinal(rng.randrange(1, 32))


def _weekday(rng: Random) -> str:
    week = rng.choice(("周", "周", "星期", "礼拜"))
    day = rng.choice("一二三四五六" + ("日天" if week != "周" else "日"))
    lead = rng.choice(
        ("", "这", "下", "下", "下个" if week != "周" else "下", "下下", "本" if week == "周" else "这个")
    )
    return lead + week + day


def date(rng: Random) -> str:
    """A day, as a promise or a question names it."""
    kind = rng.random()
    if kind < 0.24:
        return _weekday(rng)
    if kind < 0.46:
        lead = rng.choice(("", "", "", "这个月", "下个月", "本月", "下月", "每个月", "这月"))
        return lead + _day_number(rng) + "号" + rng.choice(("", "", "", "之前", "左右", "以后"))
    if kind < 0.6:
        return cardinal(rng.randrange(1, 13)) + "月" + _day_number(rng) + rng.choice(("号", "号", "日"))
    if kind < 0.76:
        return rng.choice(("今天", "明天", "后天", "大后天", "今天", "明天")) + rng.choice(("", "", *_PARTS_OF_DAY))
    if kind < 0.84:
        return cardinal_of(rng) + rng.choice(
            ("天后", "天之内", "天以内", "天左右", "个星期", "个礼拜之后", "周之内", "个月后")
        )
    if kind < 0.9:
        return _weekday(rng) + rng.choice(_PARTS_OF_DAY)
    return rng.choice(
        (
            *(
                "月底",
                "月初",
                "月中",
                "下个月初",
                "下个月底",
                "这个月底",
                "本月底",
                "下个月",
                "下周",
                "这周",
                "这个礼拜",
            ),
            *(
                "发工资那天",
                "发工资以后",
                "等发工资",
                "年底",
                "年前",
                "年后",
                "过年以后",
                "过完年",
                "春节前",
                "国庆之后",
            ),
            *(
                "端午节",
                "中秋节前",
                "元旦以后",
                "过两天",
                "过几天",
                "这几天",
                "这两天",
                "周末",
                "下周末",
                "今晚",
                "明晚",
            ),
            *("半个月以后", "下半年", "秋收以后", "季度末", "工程款下来以后", "奖金发下来", "五一以后", "清明节后"),
        )
    )


def cardinal_of(rng: Random) -> str:
    """A small count before a measure word: 两, not 二."""
    n = rng.choice((1, 2, 2, 3, 3, 4, 5, 5, 6, 7, 8, 10, 10, 12, 15, 20, 30))
    return "两" if n == 2 else cardinal(n)


def time(rng: Random) -> str:
    """A time of day."""
    hour = rng.randrange(1, 13)
    said = "两" if hour == 2 else cardinal(hour)
    part = rng.choice(("", "", "早上", "上午", "中午", "下午", "下午", "晚上"))
    minute = rng.choice(
        ("", "", "", "半", "十分", "一刻", "二十", "四十", "左右", "以后", "钟", "多", "三刻", "五十", "之前")
    )
    return part + said + "点" + minute


def _year_month_day(rng: Random) -> str:
    one = "一"
    year = "".join(one if c == "1" else _DIGITS[int(c)] for c in str(rng.randrange(1960, 2008)))
    if rng.random() < 0.3:
        year = year[2:]
    return f"{year}年{cardinal(rng.randrange(1, 13))}月{_day_number(rng)}" + rng.choice(("号", "日", ""))


FILLERS: dict[str, Filler] = {
    "d4": lambda rng: digits(rng, 4),
    "d3": lambda rng: digits(rng, 3),
    "d2": lambda rng: digits(rng, 2),
    "d6": lambda rng: digits(rng, 6),
    "d7": lambda rng: digits(rng, 7),
    "d8": lambda rng: digits(rng, 8),
    "d5": lambda rng: digits(rng, 5),
    "mobile": _mobile,
    "amount": amount,
    "date": date,
    "time": time,
    "birthday": _year_month_day,
    "month": lambda rng: cardinal(rng.randrange(1, 13)) + "月",
    "count": cardinal_of,
    "number": lambda rng: cardinal(rng.randrange(1, 1000)),
    "age": lambda rng: cardinal(rng.randrange(18, 90)),
    "percent": lambda rng: "百分之" + cardinal(rng.randrange(1, 100)),
    "weekday": _weekday,
    "floor": lambda rng: cardinal(rng.randrange(1, 40)),
}
