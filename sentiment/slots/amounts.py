# ruff: noqa: E501 - tables, one entry a line
"""The sum of money an utterance speaks of, in the loan's currency."""

from __future__ import annotations

import re
from decimal import Decimal

from sentiment.slots.base import Mention, SlotContext, choose, money
from sentiment.slots.numbers import EN_DIGIT_WORD, EN_NUMBER, ZH_DIGIT, ZH_NUMBER, en_number, zh_number

_FOREIGN = {  # words that name one currency only; 块, 元, bucks and grand fit any
    "CNY": re.compile(r"人民币|rmb|cny|yuan|kuai|renminbi"),
    "USD": re.compile(r"美元|美金|刀|\busd\b|us dollars"),
    "GBP": re.compile(r"英镑|pounds?|£|\bgbp\b|quid"),
    "EUR": re.compile(r"欧元|euros?|€|\beur\b"),
    "INR": re.compile(r"卢比|rupees?|₹|\binr\b"),
    "HKD": re.compile(r"港币|港元|hong kong dollars|\bhkd\b"),
}
_DOLLARS = {"USD", "CAD", "AUD", "NZD", "SGD", "HKD"}
_ZH_MONEY = r"(?:块钱|块(?!儿)|元钱|元|圆|rmb|人民币|美元|美金|港币|欧元|英镑|刀)"
_ZH_PAY = r"(?:还|付|给|交|缴|打|转|凑|存|拿|出|先|只能|能|就|最多|大概|差不多|左右|一共|总共|欠|借|扣|是)"
_ZH = re.compile(
    rf"(?P<sign>[¥￥$])?(?P<n>{ZH_NUMBER})(?P<more>多|来|几|把)?(?P<big>[万千百])?(?P<unit>{_ZH_MONEY})?(?P<tail>[零〇]?[一二两三四五六七八九\d](?:[毛角](?:[一二三四五六七八九\d]分?)?|[一二三四五六七八九\d]分)?(?![十百千万号月日点天个\d])|半)?(?P<cash>钱)?"
)
_ZH_SPREAD = re.compile(
    rf"(?P<a>[一二两三四五六七八九俩])(?P<b>[二三四五六七八九仨])(?P<scale>[十百千万]+)(?:来|多)?(?P<unit>{_ZH_MONEY})?"
)
_ZH_VAGUE = re.compile(
    rf"(?:好?几|数)(?P<scale>[十百千万]+)(?:来|多)?(?:{_ZH_MONEY})?|百八十(?:{_ZH_MONEY})?|[百千万]把(?:{_ZH_MONEY})?|千儿八百(?:{_ZH_MONEY})?|三瓜两枣|一点钱|一点点钱|一部分|部分(?=还|付)"
)
_ZH_ALL = re.compile(
    r"全部|全额|全款|(?:一次性?|都|全)(?:给你们?)?(?:还清|结清|付清|还完|还了|还上|缴清)|(?<![不没])(?:还清|结清|付清|缴清|还完)|所有的?(?:钱|欠款)|整笔|一把还|一次性还|(?<![完安健])全都?(?:给你|还你|转你|打给你|付给你)|连本带[利息](?!.{0,4}(?:多少|几))"
)
_ZH_BETWEEN = re.compile(
    rf"(?P<base>[一二两三四五六七八九])(?P<scale>[百千万])(?P<a>[一二三四五六七八])(?P<b>[二三四五六七八九])(?![百十千万点\d月号天个])(?:{_ZH_MONEY})?"
)
_ZH_NOTES = re.compile(rf"(?P<k>[一二两三四五六七八九十])张(?P<n>{ZH_NUMBER})(?:块|元)?的")
_ZH_PART = re.compile(r"(?<![一二三四五六七八九十分])(?P<tenths>[一二三四五六七八九])成(?![为功本交立果员年人都天])|一半(?!时间|天|个)|半数|对半|百分之(?P<pct>[一二三四五六七八九十百\d]+)|(?P<pct2>\d{1,3})%|(?P<den>[二三四五])分之(?P<num>[一二三四])")  # fmt: skip
_ZH_REST = re.compile(
    r"(?:剩下?|余下|其余|剩余|后面)(?:的|那些|的钱)?(?:我?(?:到时候|再|就|也|下个?月|月底|.{0,4}号))?$"
)
_ZH_MIN = re.compile(
    r"最低(?:还款)?(?:额|额度|还款)?|最低限度|(?:只|就|先|光|单)(?:还|给|付|交)个?(?:利息|本金|罚息)(?![一二两三四五六七八九\d])"
)
_ZH_NOT_MONEY = re.compile(
    r"^(?:个(?!亿)|人|次|年|天|遍|分钟|分之|度|条|里|公里|米|斤|公斤|小时|岁|号|楼|户|页|字|步|期|月|日|点|位|家|张|名|秒|倍|周|层|趟|届|级|%|/|:)"
)
_ABOUT_ZH = re.compile(
    r"^(?:块钱|块|元)?(?:左右|上下|来块|多块?|出[点个]?头|挂零|开外|冒[点个]?头|有余|不到|吧?差不多)"
)
_ABOUT_ZH_BEFORE = re.compile(
    r"(?:分成?[两二三四五六七八九十\d]+[次笔期].{0,4}|小|近|大概|大约|差不多|将近|约摸|接近|可能也就|不到|不超过|不多于|超不过|不会超过|最多|最少|顶多|至少|起码)(?:能?(?:还|付|给|拿|凑)(?:个|出|上)?)?$"
)

_EN_MONEY = r"(?:dollars?|bucks?|usd|us dollars|pounds?|quid|euros?|rupees?|yuan|rmb|kuai|renminbi|cny)"
_EN = re.compile(
    rf"(?P<sign>[$£€₹¥])?\s?(?P<n>{EN_NUMBER})(?:\s*(?P<unit>{_EN_MONEY})\b)?(?:\s*(?:and\s+)?(?P<cents>{EN_NUMBER})\s+(?:cents|pence)\b)?"
)
_EN_SPREAD = re.compile(rf"\b(?P<a>one|two|three|four|five|six|seven|eight|nine|\d+)\s*(?:or|to|-|(?<=between one )and|(?<=between two )and|(?<=between three )and|(?<=between four )and|(?<=between five )and|(?<=between six )and)\s*(?P<b>two|three|four|five|six|seven|eight|nine|ten|\d+)\s*(?P<scale>hundred|thousand|grand|k)\b(?:\s*{_EN_MONEY})?")  # fmt: skip
_EN_POINT = re.compile(r"\b(?P<whole>one|two|three|four|five|six|seven|eight|nine|ten) point (?P<part>(?:zero|oh|one|two|three|four|five|six|seven|eight|nine)(?: (?:zero|one|two|three|four|five|six|seven|eight|nine))*) (?P<scale>k|grand|thousand|hundred)\b")  # fmt: skip
_EN_HALVES = re.compile(r"\b(?P<whole>a|one|two|three|four|five|six|seven|eight|nine|ten|\d{1,2})(?: and a half (?P<scale>hundred|thousand|grand|k)| (?P<first>hundred|thousand|grand) and a half)\b")  # fmt: skip
"""``two and a half grand``, ``a grand and a half``: the half is of the scale, not of what is owed."""
_EN_COUPLE = re.compile(rf"\ba?\s?couple (?:of )?(?P<scale>hundred|thousand|grand)s?(?: of)?(?:\s*{_EN_MONEY})?")
_EN_VAGUE = re.compile(rf"\b(?:a few|few|several|some) (?:hundred|thousand|grand|bucks|dollars|pounds)(?:\s*{_EN_MONEY})?|\b(?:hundreds|thousands) of {_EN_MONEY}|\ba little (?:bit )?(?:of (?:it|money)|something)|\bpart of it\b|\bsome of it\b")  # fmt: skip
_EN_ALL = re.compile(
    r"\b(?:the )?(?:full|whole|entire|total|complete|remaining|outstanding) (?:amount|balance|thing|sum|payment|lot|debt|bill|loan|total)\b|\b(?:all of it|everything(?!'s\b| (?:is|was|has|went|goes|keeps|just|else|around)\b)|it all|in full|the balance|the lot|every penny|pay (?:it )?off|what i owe)\b"
)
_EN_PART = re.compile(r"\bhalf\b(?! (?:an hour|past|hour|a (?:hundred|grand|thousand|million|year|day|month)|the time|of the month|day|ten|nine|eight|seven|six|five|four|three|two|one|eleven|twelve))(?: of (?:it|that|the (?:amount|balance)|what i owe))?|\b(?P<third>a third|one third|two thirds)\b|\b(?P<quarter>a quarter|one quarter|three quarters)\b(?! (?:past|to|of an))|(?P<pct>\d{1,3})\s?(?:%|percent)|\b(?P<pctw>[a-z]+) percent")  # fmt: skip
_EN_MIN = re.compile(
    r"\b(?:the )?minimum(?: payment| amount| due)?\b|\b(?:just|only) (?:pay )?the (?:interest|principal)\b"
)
_EN_NOTE = re.compile(r"\b(?:a |one )?(?P<note>fiver|tenner)\b")
_EN_BUCK = re.compile(r"\ba buck (?P<n>ten|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety)(?: five)?\b")
_EN_BILLS = re.compile(r"^\s*(?:bills?|notes?)\b")
_EN_NOT_MONEY = re.compile(
    r"^\s*(?:days?|weeks?|months?|years?|hours?|minutes?|mins?|seconds?|times?|people|kids|children|calls?|jobs?|o'?clock|am\b|pm\b|a\.?m|p\.?m|%|percent|st\b|nd\b|rd\b|th\b|/|:|of (?:us|them|you)|payments?|instal\w+|letters?|phone|feet|miles|points?|more (?:days?|weeks?|times?|minutes?|months?)|or (?:two|three|four)|past|in the|loans?|cents)"
)
_EN_PAY = re.compile(r"\b(?:pay|paid|send|sent|give|do|afford|manage|put|transfer|deposit|make|cover|spare|have|only|maybe|about|around|scrape|around|least|most|for|another|of|just|get you|owe|borrowed|with)\s+(?:it |you |off |up |together |down |you guys |like |only |maybe |about |around |at least |just |in |the |another |approximately |roughly )*$")  # fmt: skip
_ABOUT_EN = re.compile(r"\b(?:about|around|roughly|approximately|maybe like|nearly|almost|at least|at most|up to|somewhere around|in the region of|in the neighbou?rhood of|close to|(?:just )?(?:shy|short|north|south) of|more or less|under|over|less than|more than)\s+(?:like )?$")  # fmt: skip


def find_amount(text: str, lang: str, context: SlotContext, taken: list[tuple[int, int]]) -> Mention | None:
    """The amount in folded ``text`` that the speaker stands by; ``taken`` are spans already read as dates or times.

    Shares ("half", 全部) need ``context.amount_due``; without it, and for round talk ("about 300", 三五百, "a couple
    hundred"), or where the words name another currency than the loan's, there are candidates only.
    """
    return choose(amounts_in(text, lang, context, taken), text)


def amounts_in(text: str, lang: str, context: SlotContext, taken: list[tuple[int, int]]) -> list[Mention]:
    """Every amount in folded ``text`` outside ``taken``, in order; where two overlap the longer one."""
    found = _read_zh(text, context) if lang == "zh" else _read_en(text, context)
    free = [m for m in found if not any(m.start < end and m.end > start for start, end in taken)]
    free.sort(key=lambda m: m.start - m.end)
    kept: list[Mention] = []
    for m in free:
        if all(m.end <= k.start or m.start >= k.end for k in kept):
            kept.append(m)
    return sorted(kept, key=lambda m: m.start)


def _settled(
    start: int, end: int, value: Decimal, said: str, about: bool, context: SlotContext, weight: int
) -> Mention:
    named = {code for code, pattern in _FOREIGN.items() if pattern.search(said)}
    if re.search(r"\$|dollar", said) and not named:
        named = _DOLLARS
    clash = context.currency is not None and named and context.currency not in named
    text = money(value)
    return Mention(start, end, None, (text,), weight) if about or clash else Mention(start, end, text, (), weight)


def _share(start: int, end: int, share: Decimal, context: SlotContext, weight: int = 1) -> Mention:
    if context.amount_due is None:
        return Mention(start, end, None, (), weight)
    return Mention(start, end, money(context.amount_due * share), (), weight)


def _expected(context: SlotContext) -> bool:
    return context.expects in ("amount", "date_amount")


def _read_zh(text: str, context: SlotContext) -> list[Mention]:
    out: list[Mention] = []
    for m in _ZH_SPREAD.finditer(text):
        scale = zh_number("一" + m["scale"])
        if scale and (m["unit"] or scale >= 100):
            if _ZH_NOT_MONEY.match(text[m.end() :]):
                continue
            values = tuple(money(ZH_DIGIT[m[k]] * scale) for k in ("a", "b"))
            out.append(Mention(m.start(), m.end(), None, values, 1))
    for m in _ZH_BETWEEN.finditer(text):
        scale = zh_number("一" + m["scale"])
        if scale and ZH_DIGIT[m["b"]] == ZH_DIGIT[m["a"]] + 1:
            low = ZH_DIGIT[m["base"]] * scale
            values = tuple(money(low + ZH_DIGIT[m[k]] * scale / 10) for k in ("a", "b"))
            out.append(Mention(m.start(), m.end(), None, values, 1))
    for m in _ZH_NOTES.finditer(text):
        count, note = zh_number(m["k"]), zh_number(m["n"])
        if count and note in (1, 5, 10, 20, 50, 100):
            out.append(_settled(m.start(), m.end(), count * note, m[0], False, context, 1))
    out += [Mention(m.start(), m.end(), None, (), 0) for m in _ZH_VAGUE.finditer(text)]
    for m in _ZH_ALL.finditer(text):
        rest = _ZH_REST.search(text[: m.start()])
        out.append(
            Mention(m.start(), m.end(), None, (), 0) if rest else _share(m.start(), m.end(), Decimal(1), context)
        )
    out += [Mention(m.start(), m.end(), None, (), 0) for m in _ZH_MIN.finditer(text)]
    for m in _ZH_PART.finditer(text):
        if m["pct"] or m["pct2"]:
            percent = zh_number(m["pct"] or m["pct2"])
            share = percent / 100 if percent is not None else None
        elif m["tenths"]:
            share = Decimal(ZH_DIGIT[m["tenths"]]) / 10
        elif m["den"]:
            share = Decimal(ZH_DIGIT[m["num"]]) / ZH_DIGIT[m["den"]]
        else:
            share = Decimal("0.5")
        if share is not None:
            out.append(_share(m.start(), m.end(), share, context))
    for m in _ZH.finditer(text):
        mention = _zh_amount(m, text, context)
        if mention:
            out.append(mention)
    return out


def _zh_amount(m: re.Match[str], text: str, context: SlotContext) -> Mention | None:
    said, unit, rest = m["n"], m["unit"], text[m.end() :]
    before = text[max(0, m.start() - 6) : m.start()]
    if m["big"] and not m["more"]:  # "3千": the unit belongs to the number
        said += m["big"]
    end = m.end()
    tail = m["tail"]
    if tail and not unit:
        tail, end = None, m.start("tail")
        rest = text[end:]
    value = zh_number(said)
    if value is None or value == 0:
        return None
    if m["more"] == "几" or (m["more"] in ("来", "把") and not unit and not m["big"]):
        return None
    scaled = bool(re.search(r"[百千万亿]", said))
    if said in ("百", "千", "万", "一", "两") and not unit:
        return None
    if unit in ("块",) and said == "一" and not m["cash"]:
        return None  # 一块 is "together" oftener than one yuan
    if not unit and not m["sign"]:
        if _ZH_NOT_MONEY.match(rest):
            return None
        figures = re.fullmatch(r"[\d,]+(?:\.\d+)?", said)
        if figures and len(said.replace(",", "").split(".")[0]) > 6:
            return None
        paying = re.search(rf"{_ZH_PAY}(?:个|了|你们?|您|他)?$", before)
        clause = re.match(r"^(?:吧|呢|啊|行|可以|行吗|可以吗|嘛|哈)?(?:$|[,。,.!?！？])", rest)
        if not (scaled or (paying and (value >= 50 or clause)) or (_expected(context) and value >= 10)):
            return None
        if figures and not (paying or _expected(context)):
            return None
        if re.search(r"[第周零〇]$|尾号.{0,2}$", before):
            return None
    if tail == "半":
        value += Decimal("0.5")
    elif tail:
        dime, *cent = (Decimal(ZH_DIGIT.get(c, c)) for c in tail.lstrip("零〇") if c not in "毛角分")
        value += dime / 10 + sum(cent, Decimal(0)) / 100
    about = bool(
        m["more"]
        or _ABOUT_ZH.match(text[m.end("n") :])
        or _ABOUT_ZH.match(rest)
        or _ABOUT_ZH_BEFORE.search(text[max(0, m.start() - 10) : m.start()])
    )
    weight = 1 if re.search(r"(?:还|付|交|缴|打|转|给|存|凑)(?:个|给你们?|你们?|您|上|掉)?$", before) else 0
    if re.search(
        r"(?:借了?|欠了?|收入|工资|房租|利息|花了?|挣|赚|剩下?的?|扣了?)(?:你们?|是|有|才|就|只有|只)*$", before
    ):
        weight = -1
    return _settled(m.start(), end, value, m[0], about, context, weight)


def _read_en(text: str, context: SlotContext) -> list[Mention]:
    out: list[Mention] = []
    for m in _EN_SPREAD.finditer(text):
        scale, _ = en_number("one " + m["scale"])
        values = [en_number(m[k])[0] for k in ("a", "b")]
        if scale:
            out.append(Mention(m.start(), m.end(), None, tuple(money(v * scale) for v in values if v is not None), 1))
    for m in _EN_COUPLE.finditer(text):
        scale, _ = en_number("one " + m["scale"])
        if scale:
            out.append(Mention(m.start(), m.end(), None, (money(2 * scale), money(3 * scale)), 1))
    out += [Mention(m.start(), m.end(), None, (), 0) for m in _EN_VAGUE.finditer(text)]
    out += [_share(m.start(), m.end(), Decimal(1), context) for m in _EN_ALL.finditer(text)]
    out += [Mention(m.start(), m.end(), None, (), 0) for m in _EN_MIN.finditer(text)]
    for m in _EN_PART.finditer(text):
        share: Decimal | None = Decimal("0.5")
        if m["third"]:
            share = Decimal(2 if m["third"].startswith("two") else 1) / 3
        elif m["quarter"]:
            share = Decimal(3 if m["quarter"].startswith("three") else 1) / 4
        elif m["pct"] or m["pctw"]:
            percent, _ = en_number(m["pct"] or m["pctw"])
            share = percent / 100 if percent is not None else None
        if share is not None:
            out.append(_share(m.start(), m.end(), share, context))
    for m in _EN_POINT.finditer(text):
        scale, _ = en_number("one " + m["scale"])
        whole, _ = en_number(m["whole"])
        if scale and whole is not None:
            value = (whole + Decimal("0." + "".join(EN_DIGIT_WORD[w] for w in m["part"].split()))) * scale
            out.append(Mention(m.start(), m.end(), money(value), (), 1))
    for m in _EN_HALVES.finditer(text):
        scale, _ = en_number("one " + (m["scale"] or m["first"]))
        whole, _ = (Decimal(1), ()) if m["whole"] == "a" else en_number(m["whole"])
        if scale and whole is not None:
            out.append(Mention(m.start(), m.end(), money((whole + Decimal("0.5")) * scale), (), 1))
    for m in _EN_NOTE.finditer(text):
        out.append(Mention(m.start(), m.end(), "5" if m["note"] == "fiver" else "10", (), 0))
    for m in _EN_BUCK.finditer(text):
        number, _ = en_number(m[0].removeprefix("a buck "))
        if number is not None:  # $1.50 in a shop, $150 in a pub
            values_ = tuple(money(v) for v in (100 + number, 1 + number / 100))
            out.append(Mention(m.start(), m.end(), None, values_, 1))
    for m in _EN.finditer(text):
        mention = _en_amount(m, text, context)
        if mention:
            out.append(mention)
    return out


def _en_amount(m: re.Match[str], text: str, context: SlotContext) -> Mention | None:
    said, unit, rest = m["n"], m["unit"], text[m.end() :]
    start = m.start() + len(m[0]) - len(m[0].lstrip())
    before = text[max(0, start - 40) : start]
    value, options = en_number(said)
    sure, spoken_cents, end = bool(unit or m["sign"]), m["cents"], m.end()
    tail = re.match(r"^\s*(?:cents|pence)\b", rest)
    if tail and " and " in said:  # "eight sixty six and sixty six cents": with cents beside it the whole part is whole
        whole, _, spoken_cents = said.rpartition(" and ")
        value, options = en_number(whole)
        value, options, sure = max(options) if options else value, (), True
        end += tail.end()
        rest = text[end:]
    if not sure and (_EN_NOT_MONEY.match(rest) or re.search(r"\b(?:number|ending(?: in)?|digits|code|zip|room|apartment|line|option|page|chapter|age|aged|i'm|am|the|december|january|february|march|april|june|july|august|september|october|november|at|until|till|after|by)\s+$", before)):  # fmt: skip
        return None
    tied = bool(_EN_PAY.search(before))
    scaled = bool(re.search(r"hundred|thousand|grand|million|\dk\b|\d k\b", said))
    about = bool(_ABOUT_EN.search(before)) or bool(
        _EN_BILLS.match(rest) or re.match(r"^\s*(?:or so|ish|-ish|something|and change|or more|or less)\b", rest)
    )
    weight = 1 if re.search(r"\b(?:pay|send|transfer|give you|deposit|do|manage|put down)\b", before) else 0
    if re.search(
        r"\b(?:borrowed|owe|owed|rent is|make|earn|took out|was|cost|costs|interest)\s+(?:only |like |about |around )*$",
        before,
    ):
        weight = -1
    if options:
        if not (sure or tied or _expected(context)):
            return None
        return Mention(start, m.end(), None, tuple(money(v) for v in options), weight)
    if value is None or value == 0:
        return None
    if not sure:
        bare = re.fullmatch(r"[\d,]+(?:\.\d+)?", said)
        if bare and len(said.replace(",", "").split(".")[0]) > 6:
            return None
        if not (scaled or (tied and value >= 20) or (_expected(context) and value >= 5)):
            return None
    if spoken_cents:
        cents, _ = en_number(spoken_cents)
        value += (cents or Decimal(0)) / 100
    return _settled(start, end, value, m[0], about, context, weight)
