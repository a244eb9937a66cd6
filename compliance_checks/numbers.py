"""Numbers as they are written and spoken, in both languages: amounts of money, counts of days, digit strings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from compliance_checks.folding import View

_ZH_DIGITS = {c: i for i, c in enumerate("零一二三四五六七八九")} | {
    "〇": 0,
    "两": 2,
    "幺": 1,
    "洞": 0,
    "拐": 7,
    "勾": 9,
}
# Banker's numerals, one character each, so that offsets stay.
_FORMAL = str.maketrans("壹贰叁肆伍陆柒捌玖拾佰仟萬貳參陸", "一二三四五六七八九十百千万二三六")
_ZH_UNITS = {"十": 10, "百": 100, "千": 1000}
_ZH_NUMBER = r"(?:\d+(?:\.\d+)?[百千万亿]{0,2}|[零〇一二两三四五六七八九十百千万亿]+(?:点[零〇一二三四五六七八九]+)?)"
_EN_WORDS = {
    word: value
    for value, word in enumerate(
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
} | {
    word: (i + 2) * 10
    for i, word in enumerate(["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"])
}
_EN_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000, "grand": 1000, "k": 1000}
_EN_WORD = "|".join(sorted([*_EN_WORDS, *_EN_SCALES], key=len, reverse=True))
_EN_NUMBER = (
    rf"(?:\d+(?:\.\d+)?(?: ?(?:k|grand|thousand|hundred|million)\b)?|\b(?:(?:a"
    rf"|{_EN_WORD})\b(?: (?:and )?(?:{_EN_WORD})\b)*))"
)

_CURRENCY = {
    "元": "CNY", "块": "CNY", "圆": "CNY", "人民币": "CNY", "rmb": "CNY",
    "cny": "CNY", "yuan": "CNY", "renminbi": "CNY",
    "¥": "CNY", "￥": "CNY", "$": "USD", "usd": "USD", "dollar": "USD", "dollars": "USD", "buck": "USD", "bucks": "USD",
    "美元": "USD", "美金": "USD", "£": "GBP",
    "gbp": "GBP", "pound": "GBP", "pounds": "GBP", "quid": "GBP", "英镑": "GBP",
    "€": "EUR", "eur": "EUR", "euro": "EUR", "euros": "EUR", "欧元": "EUR", "₹": "INR", "inr": "INR", "rupee": "INR",
    "rupees": "INR", "rs": "INR", "卢比": "INR", "港币": "HKD", "港元": "HKD",
}  # fmt: skip

_ZH_MONEY = re.compile(
    rf"(?P<pre>人民币|rmb|¥|￥|\$|£|€)?(?P<n>{_ZH_NUMBER})(?P<more>多|余|来)?"
    rf"(?P<cur>元|块(?<![这那哪在跟和同们您你我起]一块)(?<!一块(?=[儿看还去来聊想把商处办算解研找核]))|圆|人民币|rmb|美元|美金|港币|港元|英镑|欧元"
    rf"|卢比)钱?(?:(?P<jiao>{_ZH_NUMBER})[角毛])?(?:(?P<fen>{_ZH_NUMBER})分)?"
)
_ZH_PREFIXED = re.compile(rf"(?P<pre>人民币|rmb|¥|￥|\$|£|€)(?P<n>{_ZH_NUMBER})")
_ZH_BARE = re.compile(
    rf"(?:还差|账上差|差着|连本带息|连本带利|[滚涨]到|滚成|累计到|增加到|欠款?|还款?|应还|金额|共计|合计|总额|本金|总共|付|转|缴|债务|账单|数额)(?:了|您|你|给我们?|我们|我行|银行"
    rf"|着|的|一共|总共){{0,3}}(?:金额)?(?:一共|总共)?(?:为|是|共|总共|一共|有|达|达到|约|大概)?(?:得|要|差不多|接近|将近|快要?|小|近){{0,2}}"
    rf"(?P<n>{_ZH_NUMBER})(?P<cur>)(?![年月日号天次点分%期个小时位岁后笔半项条遍种家名起声元块圆\d百千万])"
)
# 四千整: a round sum, and nothing that is merely whole (整个, 整年).
_ZH_ROUND = re.compile(rf"(?P<n>{_ZH_NUMBER})(?P<cur>)整(?![个天年套改理体合顿齐月夜周晚])")
# 按五千收, 都快六千了: what is charged, and what it has come to.
_ZH_CHARGED = re.compile(
    rf"(?:按(?P<n>{_ZH_NUMBER})(?=收|算|计)|(?:都|也|早)(?:快|得|要|有|过|破|上|近|将近)+(?P<n2>[一二两三四五六七八九十]+[千万]"
    rf"[一二三四五六七八九百]*)(?=了|[，。]|$))"
)
_EN_MONEY = re.compile(
    rf"(?P<pre>\$|£|€|¥|₹|\busd|\brmb|\bcny|\bgbp|\beur|\binr|\brs) ?(?P<n>{_EN_NUMBER})"
    rf"|(?P<n2>{_EN_NUMBER})(?: of)? (?P<cur>us dollars?|dollars?|usd|bucks?|yuan|rmb|cny|renminbi|pounds?|gbp|quid"
    rf"|euros?|eur|rupees?|inr)\b"
    rf"(?:(?: and)? (?P<cents>{_EN_NUMBER}) cents?)?"
)
_EN_BARE = re.compile(
    rf"\b(?:owe|owes|owed|owing|grown|grew|risen|climbed|ballooned|balance|amount|total|pay|debt|due|repay"
    rf"|payment|sum|comes|adds up"
    rf"|rises|grows|becomes|become|doubled|tripled|doubles|jumped|jumps|all in"
    rf"|up to|now at|sits at|stands at)(?: us| the bank| our bank| them| me| of| is| for| was| now"
    rf"| stands at| totals| comes to| to| at| a| the| back| showing| showing as| currently| still| sitting at| around"
    rf"| about| roughly| over| nearly| almost| exactly| just| only| today| tonight| this week)*"
    rf" (?P<n2>{_EN_NUMBER})\b(?! ?(?:days?|months?|weeks?|years?|hours?|minutes?|am|pm|times?|percent|%|of the"
    rf"|installments?|instalments?|payments?|or|more|january|february|march|april|may|june|july|august|september"
    rf"|october|november|december|st|nd|rd|th|last|digits?))"
)
# A round number that is nearly always money, whatever stands around it: seven grand, four thousand two hundred.
_EN_ROUND = re.compile(
    rf"\b(?P<n2>(?:\d+(?:\.\d+)?|(?:{_EN_WORD})) ?grand|(?:(?:{_EN_WORD}) (?:and )?){{2,}}(?:hundred|{_EN_WORD}))\b"
    rf"(?! ?(?:days?|months?|weeks?|years?|hours?|minutes?|seconds?|am|pm|times?|percent|%|people|calls?|letters?"
    rf"|accounts?|branches|customers|miles|points|words|street|avenue|road|and (?:{_EN_WORD})|{_EN_WORD}|st|nd|rd|th"
    rf"|per)\b)"
)
# 3,850 to clear, call it a round four thousand: what is said of a debt without a word for money.
_EN_SETTLED = re.compile(
    rf"\b(?:call it|make it|round it(?: up)? to|say)(?: a| an| about| around| even| round| flat| nice| cool)+"
    rf" (?P<n>{_EN_NUMBER})\b"
    rf"|(?P<n2>{_EN_NUMBER}) (?:to (?:clear|settle|close)|in total|all in|altogether|still owing|left to pay)\b"
)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount that was said. ``currency`` is an ISO code or ``None``; offsets are in the original text."""

    amount: Decimal
    currency: str | None
    start: int
    end: int


def chinese_number(text: str) -> Decimal | None:
    """``三千五`` → 3500, ``3.5万`` → 35000, ``一二三`` → 123; ``None`` if it is no number."""
    arabic = re.fullmatch(r"(\d+(?:\.\d+)?)([百千万亿]*)", text)
    if arabic:
        value = Decimal(arabic.group(1))
        for unit in arabic.group(2):
            value *= {"百": 100, "千": 1000, "万": 10_000, "亿": 100_000_000}[unit]
        return value
    whole, _, fraction = text.partition("点")
    if not whole or any(c not in _ZH_DIGITS and c not in _ZH_UNITS and c not in "万亿" for c in whole):
        return None
    if all(c in _ZH_DIGITS for c in whole):
        value = Decimal("".join(str(_ZH_DIGITS[c]) for c in whole))
    else:
        value = Decimal(_positional(whole))
    if fraction:
        if any(c not in _ZH_DIGITS for c in fraction):
            return None
        value += Decimal("0." + "".join(str(_ZH_DIGITS[c]) for c in fraction))
    return value


def _positional(text: str) -> int:
    total = section = digit = 0
    last_unit = 1
    zero = False
    for char in text:
        if char in "零〇":
            zero = True
            digit = 0
        elif char in _ZH_DIGITS:
            digit = _ZH_DIGITS[char]
        elif char in _ZH_UNITS:
            section += (digit or 1) * _ZH_UNITS[char]
            last_unit, digit, zero = _ZH_UNITS[char], 0, False
        else:
            unit = 10_000 if char == "万" else 100_000_000
            total = (total + section + digit) * unit if total and unit > 10_000 else total + (section + digit) * unit
            section, digit, last_unit, zero = 0, 0, unit, False
    # A final digit right after a unit is one place below it: 三千五 is 3500, 三千零五 is 3005.
    if digit and not zero and last_unit > 10:
        digit *= last_unit // 10
    return total + section + digit


def english_number(text: str) -> Decimal | None:
    """``three thousand five hundred`` → 3500, ``3.5k`` → 3500, ``thirty five hundred`` → 3500."""
    total = Decimal(0)
    section = Decimal(0)
    seen = False
    for word in re.findall(r"\d+(?:\.\d+)?|[a-z]+", text):
        if word[0].isdigit():
            try:
                section += Decimal(word)
            except InvalidOperation:
                return None
            seen = True
        elif word in _EN_WORDS:
            if 10 <= section < 100 and _EN_WORDS[word] >= 10:  # forty-two fifty: hundreds left unsaid
                section *= 100
            section += _EN_WORDS[word]
            seen = True
        elif word == "hundred":
            section = (section or Decimal(1)) * 100
            seen = True
        elif word in _EN_SCALES:
            total += (section or Decimal(1)) * _EN_SCALES[word]
            section = Decimal(0)
            seen = True
        elif word not in ("and", "a"):
            return None
    return total + section if seen else None


_SPOKEN = {"zero": "0", "oh": "0", "o": "0"} | {w: str(v) for w, v in _EN_WORDS.items() if v < 10}
# Digits read out before the last one: "three, five, zero, zero dollars" is 3500.
_SPELT = re.compile(r"(?:\b(?:" + "|".join(_SPOKEN) + r") (?:, )?)+$")


# Without one of these english_number finds nothing, and without numerals no pattern of amounts can match.
_EN_COUNT = re.compile(rf"\d|\b(?:{'|'.join((*_EN_WORDS, 'hundred', *_EN_SCALES))})\b")


def money_zh(view: View) -> Iterator[Money]:
    """Every amount in a Chinese view; bare numbers only after a word such as 欠 or 应还."""
    taken: set[int] = set()
    text = view.text.translate(_FORMAL)
    for pattern in (_ZH_MONEY, _ZH_PREFIXED, _ZH_BARE, _ZH_ROUND, _ZH_CHARGED):
        for match in pattern.finditer(text):
            name = "n" if match["n"] else "n2"
            if match.start(name) in taken:
                continue
            value = chinese_number(match[name])
            if value is None or (pattern in (_ZH_BARE, _ZH_ROUND) and value < 20):
                continue
            groups = match.groupdict()
            for coin, scale in (("jiao", "0.1"), ("fen", "0.01")):
                part = chinese_number(groups[coin]) if groups.get(coin) else None
                value += part * Decimal(scale) if part is not None else 0
            taken.add(match.start(name))
            mark = groups.get("cur") or groups.get("pre") or ""
            yield Money(value, _CURRENCY.get(mark), *view.origin(match.start(name), match.end()))


def money_en(view: View) -> Iterator[Money]:
    """Every amount in an English view."""
    if not _EN_COUNT.search(view.text):
        return
    taken: set[int] = set()
    for pattern in (_EN_MONEY, _EN_BARE, _EN_SETTLED, _EN_ROUND):
        for match in pattern.finditer(view.text):
            groups = match.groupdict()
            name = "n" if groups.get("n") else "n2"
            if any(match.start(name) <= at < match.end() for at in taken):
                continue
            value = english_number(groups[name] or "")
            spelt = _SPELT.search(view.text, 0, match.start(name))
            if spelt and (last := _SPOKEN.get(groups[name] or "")):
                value = Decimal("".join(_SPOKEN[word] for word in re.findall("[a-z]+", spelt.group())) + last)
            least = {_EN_BARE: 20, _EN_SETTLED: 100}.get(pattern, 0)
            if value is None or value < least:
                continue
            if pattern is _EN_ROUND and not _round_sum(groups[name] or "", value):
                continue
            if groups.get("cents"):
                value += (english_number(groups["cents"]) or 0) / Decimal(100)
            taken.add(match.start(name))
            mark = (groups.get("cur") or groups.get("pre") or "").replace("us ", "").strip()
            yield Money(value, _CURRENCY.get(mark), *view.origin(match.start(), match.end()))


def _round_sum(said: str, value: Decimal) -> bool:
    """True for a number with hundreds or thousands that is neither a year nor digits read out one by one."""
    if "grand" in said:
        return True
    return bool(re.search(r"hundred|thousand", said)) and value >= 100 and not 1900 <= value <= 2100


_DAYS_ZH = re.compile(
    rf"(?:逾期|拖欠|欠款?|超期|过期|晚了|拖了|欠了)[^，。\d]{{0,6}}?(?P<n>{_ZH_NUMBER}|半)(?:多|来)?(?P<unit>天"
    rf"|日(?!期)|个?多?月|年)(?!\d*[日号月])"
)
_DAYS_EN = re.compile(
    rf"(?P<n>{_EN_NUMBER}) (?:(?:solid|full|whole|long|entire|straight) )?(?P<unit>days?|weeks?|months?)"
    rf" (?:past due|overdue|late|behind|in arrears|delinquent"
    rf"|past the due)"
    rf"|(?:past due|overdue|late|behind|arrears|delinquent|pending|outstanding|unpaid|not paid)"
    rf"(?: us| a cent| anything| a thing| by| for| of| from| since| the| last| past| in| over| more than| about"
    rf"| almost| nearly| well)+ (?P<n2>{_EN_NUMBER}) (?P<unit2>days?|weeks?|months?)"
)
_UNIT_EN = re.compile("day|week|month")
_UNIT_DAYS = {"天": 1, "日": 1, "月": 30, "个月": 30, "年": 365, "day": 1, "week": 7, "month": 30}


# What a rule or a contract says of any loan that gets so late is no claim about this one.
_SUPPOSED = {
    "zh": re.compile(r"(?:如果|若是?|假如|要是|一旦|万一|凡是?|通常|一般|只有|除非|任何|当)[^，。]{0,10}$"),
    "en": re.compile(
        r"\b(?:if|once|unless|until|only when|only after|whenever|any|every|an account|accounts|a (?:late )?payment"
        r"|payments|loans|usually|generally|typically)\b(?![^.]*\byou (?:are|were|have been)\b)[^.]{0,60}$"
    ),
}
_CLAIMED = {"zh": re.compile(r"(?:已经?|您|你)[^，。]{0,4}$"), "en": re.compile(r"\b(?:now|already|currently) $")}


def days_late(view: View, lang: str) -> Iterator[tuple[int, int, int, int]]:
    """Spans said to be overdue: ``(count, days per unit, start, end)``, offsets in the original."""
    if lang == "en" and not _UNIT_EN.search(view.text):
        return
    for match in (_DAYS_ZH if lang == "zh" else _DAYS_EN).finditer(view.text):
        before = view.text[: match.start()]
        if _SUPPOSED[lang].search(before) and not _CLAIMED[lang].search(before):
            continue
        groups = match.groupdict()
        raw = groups.get("n") or groups.get("n2") or ""
        unit = (groups.get("unit") or groups.get("unit2") or "").rstrip("s").replace("多", "")
        if raw == "半":
            yield _UNIT_DAYS.get(unit, 1) // 2 or 1, 1, *view.origin(match.start(), match.end())
            continue
        value = chinese_number(raw) if lang == "zh" else english_number(raw)
        if value is not None:
            yield int(value), _UNIT_DAYS.get(unit, 1), *view.origin(match.start(), match.end())


_REPEATS = {"double": 2, "triple": 3, "treble": 3}
_DIGIT_CHARS = {**{str(i): str(i) for i in range(10)}, **{c: str(v) for c, v in _ZH_DIGITS.items()}}
_SEPARATORS = frozenset(" -.·_()/")
_LATIN = re.compile(r"[a-z]")
_DIGIT = re.compile("[" + "".join(_DIGIT_CHARS) + "]")


_SPOKEN_DIGIT = re.compile(rf"{_DIGIT.pattern}|(?<![a-z])(?:{'|'.join(_SPOKEN)})(?![a-z])")
_FEWEST = 3  # digits said, for a string of seven: triple five, triple six, one
_LETTER_DIGITS = {"l": "1", "i": "1", "o": "0"}  # 4l5 555 0l32


def _between_digits(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start].isdigit() or text[end : end + 1].isdigit()


def digit_strings(base: View) -> Iterator[tuple[str, int, int]]:
    """Runs of seven digits or more, written or spoken (一三八, one three eight, double seven), separators ignored.

    Yields ``(digits, start, end)`` with offsets in the original. A final ``x`` of an ID number is kept.
    """
    text = base.text.translate(_FORMAL)
    if len(_DIGIT.findall(text)) < 7 and (not _LATIN.search(text) or len(_SPOKEN_DIGIT.findall(text)) < _FEWEST):
        return
    digits: list[str] = []
    start = last = gap = 0
    repeat = 1
    pos = 0
    while pos <= len(text):
        char = text[pos] if pos < len(text) else "\0"
        step, value = 1, ""
        if char in _DIGIT_CHARS:
            value = _DIGIT_CHARS[char]
        elif "a" <= char <= "z":
            end = pos
            while end < len(text) and "a" <= text[end] <= "z":
                end += 1
            word = text[pos:end]
            step = end - pos
            if word in _REPEATS:
                repeat = _REPEATS[word]
                gap = 0
                pos += step
                continue
            value = _SPOKEN.get(word, "")
            if word == "x" and len(digits) == 17:
                value = "X"
            elif word in _LETTER_DIGITS and _between_digits(text, pos, end):
                value = _LETTER_DIGITS[word]
        if value:
            if not digits:
                start = pos
            digits.extend(value * repeat)
            repeat, gap, last = 1, 0, pos + step
        elif char in _SEPARATORS and gap < 2:
            gap += 1
        elif char in ",，、" and gap < 1:
            gap = 1
        else:
            if len(digits) >= 7:
                yield "".join(digits), *base.origin(start, last)
            digits, gap, repeat = [], 0, 1
        pos += step
