# ruff: noqa: E501 - tables, one entry a line
"""Mandarin date phrases, spoken and written."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta

from sentiment.slots import calendar as cal
from sentiment.slots.base import SlotContext
from sentiment.slots.calendar import Reading
from sentiment.slots.numbers import ZH_DIGIT, zh_number
from sentiment.slots.phrases import Phrase

_Read = Callable[[re.Match[str], SlotContext], Reading | None]

_D = r"(?:三十一?|二十[一二三四五六七八九]?|廿[一二三四五六七八九]?|十[一二三四五六七八九]?|[一二两三四五六七八九]|[0-2]?\d|3[01])"
_M = r"(?:十[一二]?|[一二三四五六七八九]|1[0-2]|0?[1-9])"
_N = r"(?:[一二两三四五六七八九十俩]+|\d{1,3})"
_REL_MONTH = {"这个月": 0, "这月": 0, "本月": 0, "当月": 0, "下个月": 1, "下月": 1, "下下个月": 2, "下下月": 2, "上个月": -1,
              "上月": -1}  # fmt: skip
_RM = "|".join(sorted(_REL_MONTH, key=len, reverse=True))
_REL_WEEK = {"上上": -2, "上": -1, "这": 0, "本": 0, "下": 1, "下下": 2}
_WEEK = r"(?:周|礼拜|星期)"
_NEAR = {"大前天": -3, "前天": -2, "前儿": -2, "昨天": -1, "昨儿": -1, "昨日": -1, "昨晚": -1, "今天": 0, "今儿": 0,
         "今日": 0, "今晚": 0, "今早": 0, "今晨": 0, "明天": 1, "明儿": 1, "明日": 1, "明早": 1, "明晚": 1, "明个": 1, "明个儿": 1,
         "后天": 2, "后儿": 2, "后个": 2, "后个儿": 2, "后日": 2, "大后天": 3, "大后儿": 3}  # fmt: skip
_HOLIDAYS = {"国庆节": "national", "国庆": "national", "十一长假": "national", "十一假期": "national", "元旦": "new_year",
             "五一": "labour", "劳动节": "labour", "圣诞节": "christmas", "圣诞": "christmas", "平安夜": "christmas_eve",
             "春节": "spring", "过年": "spring", "大年初一": "spring", "除夕": "spring_eve", "大年三十": "spring_eve",
             "年三十": "spring_eve", "中秋节": "mid_autumn", "中秋": "mid_autumn", "端午节": "dragon_boat",
             "端午": "dragon_boat", "清明": "qingming", "双十一": "double_11", "双十二": "double_12",
             "双11": "double_11", "双12": "double_12"}  # fmt: skip
_AFTER = re.compile(r"^(?:的)?(?:以后|之后|过后|后)(?!天|悔|面|来)")
_ABOUT = re.compile(r"^(?:那天|这天)?(?:的)?(?:左右|前后|上下|那几天|那阵|附近|的样子)")


def _int(said: str) -> int:
    if said.startswith("廿"):
        return 20 + ZH_DIGIT.get(said[1:], 0)
    number = zh_number(said)
    return int(number) if number is not None else 0


def _weekday(said: str) -> int:
    return "一二三四五六日".index({"天": "日"}.get(said, said)) if not said.isdigit() else int(said) - 1


def _ahead(days: int, c: SlotContext) -> Reading | None:
    return Reading(c.today + timedelta(days=days)) if 0 < days < 1000 else None


def _count(said: str) -> list[int]:
    """A count, or the two counts of 两三: ``[2, 3]``."""
    if len(said) == 2 and all(c in ZH_DIGIT for c in said):
        return [ZH_DIGIT[said[0]], ZH_DIGIT[said[1]]]
    return [_int(said)]


def _later(m: re.Match[str], c: SlotContext) -> Reading | None:
    unit, counts = m["unit"], _count(m["n"])
    if not all(0 < n < 1000 for n in counts):
        return None
    back = m.groupdict().get("back") is not None
    days = []
    for n in (-n if back else n for n in counts):
        if "月" in unit:
            days.append(cal.add_months(c.today, n))
        else:
            days.append(c.today + timedelta(days=n * (1 if unit == "天" or unit == "日" else 7)))
    return Reading(days[0]) if len(days) == 1 else Reading(None, tuple(days))


def _open(reading: Reading | None) -> Reading | None:
    """Round talk: the day is a candidate, not a value."""
    return Reading(None, (reading.day,)) if reading and reading.day else reading


def _part_of_month(m: re.Match[str], c: SlotContext) -> Reading | None:
    said, part = m["month"] or "", m["part"]
    if said in _REL_MONTH:
        months = _REL_MONTH[said]
    elif said:
        number = _int(re.sub(r"月份?$", "", said))
        months = (number - c.today.month) % 12
    else:
        months = 0
    if part in ("底", "末"):
        return Reading(cal.month_end(c.today, months))
    first = cal.add_months(c.today.replace(day=1), months)
    if part in ("初", "头", "上旬"):
        reading = cal.month_start(c.today, months)
        return reading if reading.options else cal.month_start(c.today, months + 1)
    days = {"中": (15,), "中旬": (15,), "下旬": (25,)}[part]
    return Reading(None, tuple(first.replace(day=d) for d in days))


def _holiday(m: re.Match[str], c: SlotContext) -> Reading | None:
    reading = cal.holiday(c.today, _HOLIDAYS[m["name"]], c.past)
    if reading.day is None:
        return Reading()
    if m["through"]:
        return Reading(None, (reading.day + timedelta(days=1),))
    if m["side"] in ("前", "以前", "之前"):
        return Reading(reading.day - timedelta(days=1))
    if m["side"]:
        return Reading(None, (reading.day + timedelta(days=1),))
    return reading


def _payday(m: re.Match[str], c: SlotContext) -> Reading | None:
    return cal.day_of_month(c.today, c.payday, c.past) if c.payday else Reading()


def _year_month_day(m: re.Match[str], c: SlotContext) -> Reading | None:
    said = "".join(str(ZH_DIGIT.get(ch, ch)) for ch in m["y"])
    return Reading(cal.safe_date(int(said), _int(m["m"]), _int(m["d"])))


def _week_day(m: re.Match[str], c: SlotContext) -> Reading | None:
    rel, day = (m["rel"] or "").rstrip("个"), m["day"]
    if day == "末":
        return cal.weekend(c.today, _REL_WEEK.get(rel, 0))
    if not rel:
        return cal.weekday(c.today, _weekday(day), c.past)
    return cal.weekday_of(c.today, _REL_WEEK[rel], _weekday(day))


def _named_month(m: re.Match[str], c: SlotContext) -> Reading | None:
    month, day = _int(m["m"]), _int(m["d"])
    if m["rel"]:
        return Reading(cal.safe_date(c.today.year + {"今年": 0, "明年": 1, "去年": -1}[m["rel"]], month, day))
    return cal.month_day(c.today, month, day, c.past)


def _either_day(m: re.Match[str], c: SlotContext) -> Reading | None:
    base = {"二十": 20, "十": 10, None: 0}[m["ten"]]
    if m["rel"]:
        found = [cal.in_month(c.today, _REL_MONTH[m["rel"]], base + ZH_DIGIT[m[k]]).day for k in ("a", "b")]
        return Reading(None, tuple(d for d in found if d))
    days = [cal.day_of_month(c.today, base + ZH_DIGIT[m[k]], c.past).day for k in ("a", "b")]
    return Reading(None, tuple(d for d in days if d))


def _working_day(m: re.Match[str], c: SlotContext) -> Reading | None:
    months = _REL_MONTH[m["rel"]] if m["rel"] else 0
    if m["which"] == "第一个" and not m["rel"] and cal.working_day(c.today, 0, False, "CN") < c.today:
        months = 1
    return Reading(cal.working_day(c.today, months, m["which"] != "第一个", "CN"))


_NTH = {"第一": 1, "第二": 2, "第三": 3, "第四": 4, "头一": 1, "最后一": -1, "最末": -1}


def _nth_weekday(m: re.Match[str], c: SlotContext) -> Reading | None:
    said = m["month"]
    months = _REL_MONTH[said] if said in _REL_MONTH else (_int(re.sub(r"月份?$", "", said)) - c.today.month) % 12
    first = cal.add_months(c.today.replace(day=1), months)
    return cal.nth_weekday(c.today, first.month, _NTH[m["nth"]], _weekday(m["day"]))


def _hours(m: re.Match[str], c: SlotContext) -> Reading | None:
    hours = _int(m["n"])
    return cal.hours_on(c.today, c.now, hours) if hours >= 24 else None


def _lone_day(m: re.Match[str], c: SlotContext) -> Reading | None:
    """廿八 is mostly a day of the lunar calendar: read back."""
    day = cal.day_of_month(c.today, _int(m[0]), c.past).day
    return Reading(None, (day,) if day else ())


def _duration(m: re.Match[str], c: SlotContext) -> Reading | None:
    """A bare length of time answers the question when: 两个礼拜."""
    return _later(m, c) if c.expects in ("date", "date_amount") else None


_TABLE: list[tuple[str, _Read]] = [
        (rf"(?P<rel>{_RM})?的?(?P<which>最后一个|最末一个|第一个)工作日", _working_day),
        (rf"(?P<month>(?:{_RM})|)的?月?(?P<part>)(?:最后一天|最末一天)", lambda m, c: Reading(cal.month_end(c.today, _REL_MONTH.get(m["month"], 0)))),
        (rf"(?P<month>(?:{_RM})|{_M}月份?)的?(?P<nth>{'|'.join(_NTH)})个?{_WEEK}(?P<day>[一二三四五六日天1-7])", _nth_weekday),
        (rf"大下个?{_WEEK}(?P<day>[一二三四五六日天1-7])", lambda m, c: Reading(None, tuple(cal.weekday_of(c.today, n, _weekday(m["day"])).day or c.today for n in (2, 3)))),
        (r"(?P<rel>下个月|下月)的?(?:今天|今日|这一?天)", lambda m, c: Reading(cal.add_months(c.today, 1))),
        (r"(?P<n>[一二三四五六七八九十百]+|\d{2,3})个?小时(?:之|以)?[内里]", _hours),
        (rf"(?:(?:{_RM})的?)?二?十[来几多][号日]", lambda m, c: Reading()),
        (rf"每个?月(?P<d>{_D})[号日]?(?=发|开支|开工资|领|到账|出粮)", lambda m, c: cal.day_of_month(c.today, _int(m["d"]), c.past)),
        (r"^(?:那|就|大概|嗯|呃|再)?(?:半个月|半拉月)(?:吧|时间|呢|左右|行吗|可以吗|行不行)*$", lambda m, c: _ahead(15, c) if c.expects in ("date", "date_amount") else None),
        (r"(?:立春|雨水|惊蛰|春分|谷雨|立夏|小满|芒种|夏至|小暑|大暑|立秋|处暑|白露|秋分|寒露|霜降|立冬|小雪|大雪|冬至|小寒|大寒|元宵|重阳|七夕)(?:节|那天|前后|之?前|之?后|以?前|以?后)", lambda m, c: Reading()),
        (r"冬至|大寒|小寒|立春", lambda m, c: Reading()),
        (r"腊八节?|小年|(?<!当)初[一二三四五六七八九十](?![中高级次恋衷始步期年])", lambda m, c: Reading()),
        (r"廿[一二三四五六七八九]?(?![日号])", _lone_day),
        (r"(?P<n>[一二三四五六七八九]?十)[来几多](?P<unit>天|日|个?月)(?:之|以)?[后内]?", lambda m, c: _open(_later(m, c))),
        (r"(?:等|到时候)[^,，。、]{1,8}?(?:开学|放假|到账|回款|(?:资|钱|款|金|贴|险|偿|薪)下来|卖掉?了|收了|结了|收完|打工回来|结账|结款|打款|给钱|发钱|汇款)(?:了?以后|之后|后)?", lambda m, c: Reading()),
        (r"明后[天日两]天?|明[天儿]?后天", lambda m, c: Reading(None, tuple(c.today + timedelta(days=n) for n in (1, 2)))),
        (rf"(?:腊月|正月|冬月|农历|阴历|旧历)(?:{_M}月)?(?:初?{_D}|底|初)?[日号]?", lambda m, c: Reading()),
        (rf"(?P<rel>上上|下下|上|下|这|本)个?{_WEEK}的{_WEEK}(?P<day>[一二三四五六日天末1-7])", _week_day),
        (rf"^(?:那|就|大概|嗯|呃|再)?(?P<n>{_N})个?(?P<unit>天|日|周|礼拜|星期|月)(?:吧|时间|呢|左右|行吗|可以吗|行不行)*$", _duration),
        (rf"(?P<y>[零〇一二三四五六七八九]{{4}}|20\d\d)[年\-/.](?P<m>{_M})[月\-/.](?P<d>{_D})(?:[日号])?", _year_month_day),
        (rf"(?P<rel>今年|明年|去年)?(?<![\d一二三四五六七八九十个])(?P<m>{_M})月份?的?(?P<d>{_D})(?:[日号]|(?![\d百千万个块元次点期天多两三]))",
         _named_month),
        (rf"(?P<rel>{_RM})的?(?P<d>{_D})(?:[日号]|(?![\d百千万个块元次点期天多两三]))",
         lambda m, c: cal.in_month(c.today, _REL_MONTH[m["rel"]], _int(m["d"]))),
        (rf"(?P<month>(?:{_RM})|{_M}月份?)的?月?(?P<part>底|末|初|头|中旬|上旬|下旬|中(?![国间午]))", _part_of_month),
        (r"(?P<month>)(?<!年)(?<!个)月(?P<part>底|末|初|头(?!条)|中旬|上旬|下旬|中(?![国间午]))", _part_of_month),
        (r"年[底末]", lambda m, c: Reading(c.today.replace(month=12, day=31))),
        (rf"(?<![每一两几三\d])(?P<rel>(?:上上|下下|上|下|这|本)个?)?{_WEEK}(?P<day>[一二三四五六日天末1-7])(?!个|次|天后|年)", _week_day),
        (rf"(?P<rel>下下|下|这|本)个?{_WEEK}(?![一二三四五六日天末1-7])(?:之?内|以内|里)?",
         lambda m, c: cal.week(c.today, _REL_WEEK[m["rel"]])),
        (r"(?:下个?月)(?!的?月?[底末初头中上下旬])", lambda m, c: Reading(None, (cal.add_months(c.today.replace(day=1), 1), cal.month_end(c.today, 1)))),
        ("|".join(sorted(_NEAR, key=len, reverse=True)), lambda m, c: Reading(c.today + timedelta(days=_NEAR[m[0]]))),
        (r"这两天|过两天(?!后)|过个两天|一两天(?:内|之内|以内)?|过一两天", lambda m, c: Reading(None, tuple(c.today + timedelta(days=n) for n in (1, 2)))),
        (rf"(?:再?过|再等|再给我?|给我|宽限我?|宽限个?|缓我?|等我?|缓个?|容我)(?P<n>{_N})个?(?P<unit>天|日|周|礼拜|星期|月)(?:以?之?[后内])?",
         _later),
        (rf"(?<![第\d一二两三四五六七八九十])(?P<n>{_N})个?(?P<unit>天|日|周|礼拜|星期|月)(?:之|以|过)?(?:后|内)(?!天|悔)", _later),
        (rf"(?P<n>{_N})个?(?P<unit>天|周|礼拜|星期|月)(?P<back>之?以?前)", _later),
        (r"(?:再?过|再给我?|给我|宽限|缓|等)?(?:半个月|半拉月|半月|十五天)(?:之|以|过)?(?:后|内)", lambda m, c: _ahead(15, c)),
        (r"(?:再?过|再给我?|给我|宽限我?|缓我?|等)(?:半个月|半拉月)", lambda m, c: _ahead(15, c)),
        (r"(?:再?过|再等|再给我?|给我|宽限我?|缓我?|缓)(?:几|些|一些|好几)[天日](?:之后|以后|后)?|几天(?:以|之|过)?后|这几天|过一?阵子?|过一?段时间?|改天|过些时候|十天半个?月",
         lambda m, c: Reading()),
        (rf"(?<![\d零一二三四五六七八九十月年第楼单])(?P<d>{_D})(?:号(?![楼线院店机码门铺车房召称外])|日(?![内子常期元本后前用]))",
         lambda m, c: cal.day_of_month(c.today, _int(m["d"]), c.past)),
        (rf"(?:(?P<rel>{_RM})的?)?(?P<ten>二十|十)?(?P<a>[一二三四五六七八九])(?P<b>[一二三四五六七八九])[号日](?![楼线院店机码门])",
         _either_day),
        (rf"(?P<through>过完|过了)?(?P<name>{'|'.join(sorted(_HOLIDAYS, key=len, reverse=True))})(?:的?时候|那天|当天|假期)?(?P<side>之前|以前|前(?!天)|之后|以后|过后|后(?!天))?",
         _holiday),
        (r"(?<!每)年前(?!就)|赶在年前", lambda m, c: Reading(None, (cal.holiday(c.today, "spring_eve", False).day or c.today,))),
        (r"过完?年以?之?后|过[完了]年|年后", lambda m, c: Reading()),
        (r"(?<![没不])(?<!还没)(?:发了?工资|发薪水?|开工资|领工资|出粮|发饷|开支|工资(?:一|到时候)?(?:发下来|发了|下来|到账|到手|到了?|打过来))"
         r"(?:了|那一?天|当天|的?时候|的?日子|日|就|之后|以后|后)?", _payday),
        (r"(?<![\d/\-.])(?P<m>0?[1-9]|1[0-2])[/\-](?P<d>0?[1-9]|[12]\d|3[01])(?![\d/\-.])",
         lambda m, c: cal.month_day(c.today, int(m["m"]), int(m["d"]), c.past)),
]  # fmt: skip


def _phrase(pattern: str, read: _Read) -> Phrase[Reading]:
    def meaning(m: re.Match[str], c: SlotContext) -> Reading | None:
        reading = read(m, c)
        if reading is None or reading.day is None:
            return reading
        rest = m.string[m.end() :]
        if _ABOUT.match(rest):
            return Reading(None, (reading.day,))
        if _AFTER.match(rest) and not re.search(r"[天周月期拜]$", m[0]):
            return Reading(None, (reading.day + timedelta(days=1),))
        return reading

    return Phrase(re.compile(pattern), meaning)


DATES_ZH = [_phrase(pattern, read) for pattern, read in _TABLE]
"""The table: see ``sentiment.slots.phrases.scan``."""
