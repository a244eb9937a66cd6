"""Names in a sentence: 转告李建国 sounds like 高利 across the name's edge, and Sue is a person. Both are chance.

A name is trusted only as far as it looks like one. A person's name excuses what merely sounds like a term and
touches it, and exact words that are a part of it (钱 in 钱芳, sue in Sue Mills); any other name of the case excuses
only sounds that straddle its edge. An exact term that reaches over a name's edge always stays: 高利贷 is no 高利.
What a slot's value says by itself is judged apart (:mod:`compliance_checks.checks.slots`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

from compliance_checks.folding import View, is_han

PEOPLE: Final = ("borrower_name", "agent_name")
_OTHERS: Final = ("lender", "payee", "product", "plan_name")
_LONGEST: Final = 60

# The commonest family names of China, some five hundred single and the compound ones in use.
_SURNAMES: Final = frozenset(
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾萧肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范"
    "金石廖贾夏韦付傅方白邹孟熊秦邱丘江尹薛闫阎段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤常温康施文牛樊葛邢安齐易乔伍庞颜倪"
    "庄聂章鲁岳翟殷詹申欧耿关兰焦俞左柳甘祝包宁尚符舒阮柯纪梅童凌毕单季裴霍涂成苗谷盛曲翁冉骆蓝路游辛靳欧管柴蒙鲍华喻祁蒲房滕"
    "屈饶解牟艾尤阳时穆农司卓古吉缪简车项连芦麦褚娄窦戚岑景党宫费卜冷晏席卫米柏宗瞿桂全佟应臧闵苟邬边卞姬师和仇栾隋商刁沙荣巫寇"
    "桑郎甄丛仲虞敖巩明佘池查麻苑迟邝官封谈匡鞠惠荆乐冀郁胥南班储原栗燕楚鄢劳谌奚皮粟冼蔺楼盘满闻位厉伊仝区郜海阚花权强帅屠豆"
    "朴盖练廉禹井祖漆巴丰支卿国狄平计索宣晋相初门云容敬来扈晁芮都普阙浦戈伏鹿薄邸雍辜羊阿乌母裘亓修邰赫杭况那宿鲜印逯隆茹诺战慕"
    "危玉银亢嵇公哈湛宾戎勾茅利於呼居揭干但尉冶斯元束檀衣信展阴昝智幸奉植衡富尧闭由"
)
_COMMON: Final = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林罗郑梁谢宋唐许韩冯邓曹彭曾萧肖田董袁潘蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石"
    "廖贾夏韦付傅方邹孟熊秦邱江尹薛闫阎段雷侯史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤高白龙于"
)
_COMPOUND: Final = frozenset(
    "欧阳司马上官诸葛东方皇甫尉迟公孙慕容令狐宇文长孙司徒司空夏侯轩辕端木百里呼延申屠南宫独孤拓跋第五闻人"[i : i + 2]
    for i in range(0, 50, 2)
)
# Words before and after a name that make it one where the case file names nobody.
_INTRODUCED: Final = re.compile(
    rf"(?:转告|转达给|请问|是不是|就是|是|找|叫|姓名|名叫|联系|告诉|通知|请|让|给|跟|和)(?P<name>[{_COMMON}][\u4e00-\u9fff]{{1,2}})"
    r"(?=先生|女士|小姐|本人|您|你|吗|呢|的|接|回|给|来|有|在|方便|，|。|$)"
    rf"|(?P<title>[{_COMMON}](?:先生|女士|小姐|太太|老师|师傅|经理|总|阿姨|大哥|大姐|叔))"
)
_NO_NAME: Final = frozenset("您你我他她它们了吗呢吧的不把被给")
_TITLE: Final = re.compile(r"先生|女士|小姐|本人|您好")
_TOLD: Final = re.compile(r"(?:转告|请问您?是|您是|找|是不是|认识|您请)$")
_WORD: Final = re.compile(r"[^\W\d_]+(?:['’.-][^\W\d_]+)*\.?")
# English names in use that are words of the rules, too.
_SPOKEN_OF: Final = (
    "angel april art bailey bailiff bang bank banks baron best bill black bless blessing bond bonds brown "
    "burn burns butcher case cases cash chance charity chase cheatham christian church constable court "
    "courts coward crook crooks cross dawn day days devil devine dick dollar dollars dolly don drew duke "
    "dung dunn early english eve faith fee fees fine fox frank french gay gaye german golden goldman good "
    "grace gunn guy hell hope hunter hurt irish ivy jack jewel joy judge june kilmer king lance late law "
    "lawless laws lawyer lean lesbia lien loan long looney loony love ma major mark marshal marshall mason "
    "may messenger miles money month months moody moor muslim nickel olive outlaw page pain pat payne penny "
    "phuc pike polish poor poore pope pound pounds power price prince rich rob roman rose savage seller "
    "sellers sergeant sharp sheriff short silver slaughter sly small steele stone straight strange sue "
    "summer swift swindle tardy trader van victor victory wade ward warden week weeks white will wish wolf "
    "worth young "
)
_WORD_NAMES: Final = frozenset(_SPOKEN_OF.split())

Kind = Literal["person", "part", "other"]


@dataclass(frozen=True, slots=True)
class Name:
    """Where a name stands in the original text: a ``person``, ``part`` of a person's name, or any ``other`` name."""

    start: int
    end: int
    kind: Kind


@lru_cache(maxsize=4096)
def chinese_person(value: str) -> bool:
    """True for a family name that exists with a given name of one or two characters (or two family names)."""
    size = len(value)
    if not 2 <= size <= 4 or not all(map(is_han, value)):
        return False
    if value[:2] in _COMPOUND and size > 2:
        return True
    if value[0] not in _SURNAMES:
        return False
    return size <= 3 or value[1] in _COMMON


@lru_cache(maxsize=4096)
def _parts(value: str) -> tuple[tuple[int, int], ...]:
    """The stretches of a person's name within which exact terms are chance; empty if it looks like no person's."""
    if chinese_person(value):
        return ((0, len(value) - 1), (1, len(value)))
    words = list(_WORD.finditer(value))
    if not 2 <= len(words) <= 5 or " ".join(word.group() for word in words) != value:
        return ()
    telling = [word for word in words if word.group().lower() in _WORD_NAMES]
    if len(telling) == len(words) and words[0].group().lower() == "will":
        return ()  # Will Sue: more likely what somebody will do
    return tuple(word.span() for word in telling)


def names_in(text: str, case: Mapping[str, Any]) -> tuple[Name, ...]:
    """Where the names of the case file stand in ``text``, letter for letter."""
    return tuple(_of_case(text, case))


def _of_case(text: str, case: Mapping[str, Any]) -> Iterator[Name]:
    for key in (*PEOPLE, *_OTHERS):
        value = case.get(key)
        if not isinstance(value, str) or not 2 <= len(value.strip()) <= _LONGEST:
            continue
        value = value.strip()
        if not _NO_NAME.isdisjoint(value):
            continue  # 井抓您 is no name
        at = text.find(value)
        while at >= 0:
            person = key in PEOPLE
            yield Name(at, at + len(value), "person" if person and chinese_person(value) else "other")
            for start, end in _parts(value) if person else ():
                yield Name(at + start, at + end, "part")
            if person and chinese_person(value) and _addressed(text, at, at + len(value)):
                yield Name(at, at + len(value), "part")
            at = text.find(value, at + len(value))


def _addressed(text: str, start: int, end: int) -> bool:
    """True where even a name that is a word (高利) can only be a name: before a title, after "please tell"."""
    return _TITLE.match(text, end) is not None or (
        _TOLD.search(text[:start]) is not None and text[end : end + 1] not in ("贷", "息")
    )


def introduced(view: View) -> Iterator[Name]:
    """Persons whom a Chinese sentence names itself: 转告李建国, 严女士. They excuse sounds only."""
    for match in _INTRODUCED.finditer(view.text):
        start, end = match.span("name") if match["name"] else match.span("title")
        yield Name(*view.origin(start, end), kind="person")


def chance(names: tuple[Name, ...], start: int, end: int, *, heard: bool) -> bool:
    """True if a term at ``start:end`` of the original is there only by the chance of a name.

    ``heard``: the term is not spelt there, it only sounds so.
    """
    for name in names:
        if end <= name.start or name.end <= start:
            continue
        inside = name.start <= start and end <= name.end
        if name.kind == "part":
            if inside and not heard:
                return True
            continue
        straddles = not inside and not (start <= name.start and name.end <= end)
        # What lies within another name is judged: a lender's or a plan's name may be long, and say anything.
        if heard and (straddles or (inside and name.kind == "person")):
            return True
    return False
