# ruff: noqa: E501 - tables, one entry a line
"""Safety rules: what they must catch, and the harmless sentences that look like it."""

from __future__ import annotations

import pytest

from sentiment.rules import PRIORITY, cleared, fired, load_rules, without_alike

CAUGHT = {
    "crisis": ["活着没意思", "不如一了百了", "我不想活了", "我真的想死", "我站在楼顶", "让我死了算了", "i don't want to be here any more",
               "I want to die", "what's the point of living", "I'm going to kill myself", "everyone would be better off without me"],
    "stop_contact": ["别再给我打电话了", "不要再打我家人电话", "把我号码删掉", "以后别联系我了", "stop calling me", "Don't call me again", "take me off your list", "leave me alone"],
    "request_human": ["转人工", "我要找真人", "叫你们经理来", "不想跟机器人说话", "let me talk to a real person", "get me your supervisor", "operator"],
    "ask_if_robot": ["你是机器人吗", "是真人还是机器人啊", "are you a robot", "am I talking to a real person", "is this a recording"],
    "deny_identity": ["你打错了", "我不姓王", "没这个人", "我不认识这个人", "wrong number", "there's no one here by that name"],
    "third_party": ["我是他老婆", "他不在家", "I'm his wife", "he's at work", "she is not home right now"],
    "dispute_debt": ["我没借过你们的钱", "这钱不是我借的", "有人冒用我身份证贷款", "I never took out a loan", "somebody stole my identity", "that's not my debt"],
    "legal_representation": ["有事找我律师", "法院见", "我申请破产了", "talk to my attorney", "I've filed for bankruptcy", "see you in court"],
    "deceased_or_incapacitated": ["他去世了", "我爸上个月走了", "他昏迷了", "my mother passed away", "he died last year", "she's in a coma"],
    "voicemail": ["您拨打的电话暂时无法接听", "请在滴声后留言", "please leave a message after the tone", "you've reached the voicemail of john"],
}  # fmt: skip
HARMLESS = [
    "忙死了", "热死了", "累死我了", "气死我了", "我想死你了", "不用找人工", "不用转人工我就问一句", "我不是不还", "你别打断我", "我是本人",
    "我在上班", "等我老板发工资", "会起诉我吗", "公司破产了", "钱没了", "打错账户了", "没借那么多", "借不到钱", "我没有钱", "我没办法一次还完",
    "跳楼价", "活腻歪了是吧",
    "you're killing me", "this heat is killing me", "I'm dying to know", "no need to talk to a person", "I don't need a lawyer",
    "are you going to sue me", "the due date has passed", "my phone died", "I don't have any money", "I didn't borrow that much",
    "wrong amount", "I can't pay right now", "don't call before five", "I'm at work", "I have to go", "I hurt myself at work so I can't pay",
]  # fmt: skip


def lang_of(text: str) -> str:
    return "en" if text.isascii() else "zh"


@pytest.mark.parametrize(("intent", "text"), [(k, t) for k, texts in CAUGHT.items() for t in texts])
def test_caught(intent: str, text: str) -> None:
    assert intent in fired(text, lang_of(text))


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless(text: str) -> None:
    assert fired(text, lang_of(text)) == ()


def test_spelling_does_not_hide_it() -> None:
    assert "crisis" in fired("我 不 想 活 了", "zh")
    assert "crisis" in fired("我不想活\u200b了", "zh")
    assert "stop_contact" in fired("別再給我打電話了！", "zh")
    assert "stop_contact" in fired("DON’T CALL ME AGAIN!!!", "en")


def test_most_pressing_first() -> None:
    assert fired("别再打了我不想活了", "zh")[0] == "crisis"


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_rule_is_there(lang: str) -> None:
    assert tuple(rule.intent for rule in load_rules(lang)) == PRIORITY


@pytest.mark.parametrize(
    ("text", "lang", "intent"),
    [
        ("不用转人工了我明天还", "zh", "request_human"),
        ("我女儿在法院上班", "zh", "legal_representation"),
        ("你们是律师事务所还是催收公司", "zh", "legal_representation"),
        ("如果借款人去世了债怎么办", "zh", "deceased_or_incapacitated"),
        ("别现在打下午三点再打", "zh", "stop_contact"),
        ("没打错我就是", "zh", "deny_identity"),
        ("no need for a supervisor i'll pay friday", "en", "request_human"),
        ("my cousin is a lawyer", "en", "legal_representation"),
        ("are you from the court or the bank", "en", "legal_representation"),
        ("what happens if someone dies", "en", "deceased_or_incapacitated"),
        ("don't call now try me after six", "en", "stop_contact"),
        ("no mistake that's me", "en", "deny_identity"),
    ],
)
def test_a_look_alike_neither_fires_nor_is_believed_of_the_model(text: str, lang: str, intent: str) -> None:
    assert intent not in fired(text, lang)
    assert intent in cleared(text, lang)


def test_a_wish_beside_a_look_alike_still_fires() -> None:
    assert "request_human" in fired("no need for a lawyer just get me your manager", "en")
    assert "legal_representation" in fired("my cousin is a lawyer and he will contact you he is my lawyer", "en")
    assert "stop_contact" in fired("现在别打晚上也不要再打我电话了把我号码删掉", "zh")
    assert without_alike("no need for a supervisor i'll pay friday", "en") == "i'll pay friday"
    assert without_alike("我明天还", "zh") == "我明天还"
