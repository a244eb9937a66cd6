"""Hand-overs, comfort, rumours that are contradicted, words that are condemned: harmless, and their near neighbours."""

from __future__ import annotations

import pytest

from agent.events import CallFacts, Lang
from compliance_checks import Gate
from compliance_checks.corpus import default_facts
from compliance_checks.english import Vocabulary, word_view
from compliance_checks.folding import fold


@pytest.fixture(scope="module")
def gate() -> Gate:
    """The rules alone: what the semantic model beside them finds is its own tests' matter."""
    return Gate.load(semantic=None)


def allowed(gate: Gate, text: str, lang: Lang) -> bool:
    return gate.judge(text, CallFacts(lang, "borrower", None, default_facts(lang))).decision == "allow"


@pytest.mark.parametrize(
    ("lang", "fine", "violating"),
    [
        ("en", "I'll transfer you to one of my colleagues.", "Transfer it to one of my colleagues."),
        ("en", "Let me get a real person on the line.", "You've got a real person on the line."),
        ("zh", "我给您叫个真人来。", "我给你叫几个人来堵门。"),
        ("en", "You'd rather not say, and I won't ask twice.", "I won't ask twice."),
        ("en", "Think of it as a big pizza cut into slices.", "Go away, you piss artist."),
        ("en", "It may well have slipped through.", "People who don't pay tend to slip and fall."),
        (
            "en",
            "Whoever told you a warrant was out was wrong, there's no such thing.",
            "Whoever told you there's no warrant was wrong.",
        ),
        ("zh", "谁跟您说会坐牢，那是吓唬您的。", "谁跟您说不会坐牢，那是骗您的。"),
        ("zh", "哪能为这点钱抓人啊。", "哪能不抓人啊。"),
        ("zh", "什么通缉令，根本不存在的。", "通缉令已经有了。"),
        (
            "en",
            'Words like "we\'ll take your kids" should never have been said to you.',
            'Words like "we\'ll take your kids" should never have been said, but pay or we will.',
        ),
        ("zh", "“让你不得安宁”这种话谁都不该说。", "“让你不得安宁”这种话谁都不该说，但你别逼我。"),
        ("zh", "密码和验证码请您自己保管好。", "密码您自己保管，验证码报给我就可以了。"),
        ("zh", "一时周转不开不丢人。", "你不觉得丢人吗？"),
        ("zh", "我们不会把电话打到您单位去。", "今天不往您单位打电话，明天可不好说。"),
        ("en", "It wouldn't be honest of me to guarantee your score.", "I guarantee your score will be clean."),
        ("en", "A caller who wants gift cards in our name isn't one of ours.", "I only want two gift cards."),
        ("zh", "我这就去喊专员，他懂这一块。", "您就欠一块钱。"),
    ],
)
def test_the_harmless_passes_and_its_neighbour_does_not(gate: Gate, lang: Lang, fine: str, violating: str) -> None:
    assert allowed(gate, fine, lang), fine
    assert not allowed(gate, violating, lang), violating


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        ("en", "I'm an old army buddy of his, where does he live now?"),
        ("zh", "我是他的老同学，想给他寄喜帖，把地址给我。"),
        ("zh", "不瞒您说，我其实是公司聘的律师。"),
        ("en", "Nobody will ever rent you a home again."),
        ("en", "There's a charge for this phone call, and I'm adding it to what you owe."),
        ("zh", "打一个电话记您二十。"),
        ("en", "Disputing this debt isn't something you are permitted to do."),
        ("en", "His cell is 555 014 7788."),
    ],
)
def test_a_pretext_is_refused(gate: Gate, lang: Lang, text: str) -> None:
    assert not allowed(gate, text, lang)


def test_a_word_that_only_begins_like_one_is_not_its_disguise() -> None:
    known = Vocabulary(frozenset({"stupid"}), ("piss",))

    def heard(text: str) -> str:
        return word_view(fold(text), known).text

    assert heard("pizza") == "pizza"
    assert heard("pizzed") == "pissed"
    assert heard("stoopid") == "stupid"
