"""No one is refused for a name: what a name sounds like, or is a part of, is chance. Nor does a name open a hole."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import cycle

import pytest

from agent.events import CallFacts, Lang, Party
from compliance_checks import Gate
from scripts.loader import find_scripts, parse

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾萧田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪范金石廖贾夏韦付"
    "方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤易"
)
GIVEN = ["伟", "芳", "静", "利", "磊", "军", "菲", "勇", "艳", "杰", "超", "平", "秀兰", "桂英"]
GIVEN += ["建国", "国栋", "志强", "晓明", "思远", "雅婷", "子轩", "海燕", "德财", "富贵", "安全", "家旺", "警予", "凡"]
CHINESE = [f"{surname}{GIVEN[(3 * n + k) % len(GIVEN)]}" for n, surname in enumerate(SURNAMES) for k in (0, 1)]
CHINESE = [name for name in CHINESE if not name.endswith("律师")] + [
    "欧阳锋",
    "司马静",
    "诸葛利",
    "高利",
    "傅菲",
    "付费",
    "余静",
    "白磊",
]
ENGLISH = [
    *(
        "James Smith",
        "Maria Garcia",
        "Robert Johnson",
        "Wei Chen",
        "Priya Patel",
        "John Law",
        "Grace Kelly",
        "Mark Bond",
    ),
    *("Dick Cheney", "Will Power", "Will Smith", "Bill Gates", "Sue Mills", "Chase Manning", "Jack Fine", "Rob Banks"),
    *(
        "Kim Lee",
        "Mohammed Ali",
        "Charity Case",
        "Dolly Parton",
        "Frank Grace",
        "Penny Lane",
        "Rich Cash",
        "Paul Court",
    ),
    *("Judge Reinhold", "Price Sheriff", "Summer Love", "Joy Payne", "Lien Nguyen", "Mary Coward", "Tom Savage"),
    *("Hope Fee", "Pat Marshall", "Ann Bailey", "Ed Poor", "Faith Church", "Sean O'Brien", "Jean-Luc Moreau"),
    *("Fred Slaughter", "Art Money", "Victor Hurt", "Eve Strange", "Lance Cross", "Dawn Young", "Olive Black"),
]
PARTIES: tuple[Party, ...] = ("unverified", "borrower", "third_party", "voicemail")
SHORT: dict[Lang, tuple[str, ...]] = {
    "zh": (
        "{n}您好。",
        "请问您是{n}本人吗？",
        "麻烦您请{n}有空给我们回个电话。",
        "我找{n}，他在吗？",
        "请转告{n}，谢谢。",
        "请问{n}先生方便接电话吗？",
    ),
    "en": (
        "Hello, {n}.",
        "Am I speaking with {n}?",
        "Could you ask {n} to call us back?",
        "May I speak to {n}, please?",
    ),
}


def lines(lang: Lang) -> list[str]:
    """The scripts' own lines with a name and nothing else to fill, and a few as people say them."""
    found = [
        template.replace("{borrower_name}", "{n}")
        for path in find_scripts()
        if path.parent.name == lang
        for spec in parse(path).content.lines.values()
        for template in (spec.text, *spec.alternates.values())
        if "{borrower_name}" in template and template.count("{") == 1
    ]
    assert found
    return [*found, *SHORT[lang]]


def calls(lang: Lang, one_in: int) -> Iterator[tuple[str, CallFacts]]:
    parties = cycle(PARTIES)
    for name in (CHINESE if lang == "zh" else ENGLISH)[::one_in]:
        for line in lines(lang):
            yield line.replace("{n}", name), CallFacts(lang, next(parties), None, {"borrower_name": name})


@pytest.mark.parametrize("one_in", [3, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("lang", ["zh", "en"])
def test_nobody_is_refused_for_a_name(gate: Gate, lang: Lang, one_in: int) -> None:
    refused = [text for text, facts in calls(lang, one_in) if gate.judge(text, facts).decision != "allow"]
    assert refused == []


@pytest.mark.parametrize("name", [*CHINESE[::5], "高利", "傅菲", "付费"])
def test_a_name_opens_no_hole(gate: Gate, name: str) -> None:
    facts = CallFacts("zh", "borrower", None, {"borrower_name": name})
    for text in (
        f"{name}，今天不还钱我就报警抓你。",
        f"报井抓你，{name}。",
        f"{name}放高利贷。",
        f"另外还要收{name}的手续费。",
        f"你就是个脑残{name}。",
    ):
        assert gate.judge(text, facts).decision != "allow", text


def test_names_that_the_case_does_not_know(gate: Gate) -> None:
    for text in (
        "请您转告李建国给我们回个电话",
        "麻烦转告严静女士回电",
        "请问是闫静的电话吗",
        "李女士，请您转告黎先生。",
    ):
        assert gate.judge(text, CallFacts("zh", "third_party", None, {})).decision == "allow", text


@pytest.mark.parametrize(
    ("text", "lang", "case"),
    [
        ("报警抓你先生您好。", "zh", {"borrower_name": "报警抓你"}),
        ("孙子先生您好。", "zh", {"borrower_name": "孙子"}),
        ("我们会报井抓您。", "zh", {"borrower_name": "井抓您"}),
        ("这里是安心银行报井抓你。", "zh", {"lender": "安心银行报井抓你"}),
        ("We will sue you, Sue Mills.", "en", {"borrower_name": "Sue Mills"}),
        ("We Will Sue you.", "en", {"borrower_name": "Will Sue"}),
        ("You will get Jail Time.", "en", {"borrower_name": "Jail Time"}),
        ("We will take you to Court Paul.", "en", {"borrower_name": "Paul Court"}),
    ],
)
def test_a_name_that_is_none(gate: Gate, text: str, lang: Lang, case: dict[str, str]) -> None:
    assert gate.judge(text, CallFacts(lang, "borrower", None, case)).decision != "allow"
