"""Leverage, advances, sums in another's mouth, wrongs put right: violations and their harmless neighbours."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from agent.events import CallFacts, Lang
from compliance_checks import Gate
from compliance_checks.corpus import default_facts
from compliance_checks.rulebook import CATEGORIES, RULES, Rulebook
from compliance_checks.terms import PatternError


@pytest.fixture(scope="module")
def gate() -> Gate:
    """The rules alone: what the semantic model beside them finds is its own tests' matter."""
    return Gate.load(semantic=None)


@pytest.mark.parametrize(
    ("lang", "fine", "violating"),
    [
        ("zh", "您的房子和这笔贷款没有关系。", "您那套房子说不定过几天就不是您的了。"),
        ("zh", "我们没有人会去您家附近。", "我们外访的兄弟今晚正好路过您家附近，您明白的。"),
        ("zh", "链接半小时之内有效，过期可以再发。", "一小时之内不还，以后就没有商量的余地了。"),
        ("zh", "您的病历不用给我们看。", "您的病历我这里都有，清清楚楚。"),
        ("zh", "我们是银行，不是公安机关。", "您现在是在和派出所的同志讲话。"),
        ("zh", "三千五百元就是全部，没有别的。", "这三千五不过是零头。"),
        ("zh", "孩子的学费请先留着，不要动。", "要不先把孩子的学费取出来垫上？"),
        ("zh", "您有癫痫，我们不会因为这个拒绝您的申请。", "有癫痫的人，谁敢给你批分期。"),
        ("zh", "晚几天会产生罚息，合同里写了。", "您欠着没关系，我替您把案子压着。"),
        ("zh", "您的声音听不太清，能大声一点吗？", "您声音真好听，有男朋友了吗？"),
        ("zh", "您先还五百元，还剩三千元。", "您先还五百元，还剩四千元。"),
        ("zh", "最低要还五百元。", "最低要还两千元。"),
        ("zh", "如果有人让您还一万元，那不是我们，请报警。", "您要还一万元，不是我们说了算的。"),
        ("zh", "您不是欠六千元，系统显示是三千五百元。", "您不是欠三千五百元，系统显示是六千元。"),
        ("zh", "同事说过要抓人，这不是事实，我向您道歉。", "同事说过要抓人，这可是事实。"),
        ("zh", "有人拿您家人的照片威胁您的话，请报警并保存证据。", "我们会把您的事告诉您家人。"),
        ("zh", "要是多收了手续费，核查以后会退给您。", "还要另外收一笔手续费。"),
        ("zh", "我们误拨了您单位的电话，对不起，不会再打。", "我们会一直打您单位的电话。"),
        ("en", "Your home has nothing to do with this loan.", "Your home may soon no longer be yours."),
        ("en", "Nobody from our team will visit you.", "Our guys happen to be in your neighbourhood tonight."),
        ("en", "I don't need to see your medical records.", "I've read your medical records, you know."),
        ("en", "Please keep the rent money for the rent.", "Just use the rent money for this one."),
        ("en", "Is this a bad line, or is it my voice?", "Your voice is so sexy, has anyone told you?"),
        ("en", "Are you the only holder of this account?", "So are you single, by any chance?"),
        (
            "en",
            "If anyone asks you to pay nine thousand dollars, that is not us, so please report it.",
            "You have to pay nine thousand dollars.",
        ),
        ("en", "The minimum payment is 500 dollars.", "The minimum payment is 2000 dollars."),
    ],
)
def test_what_is_fair_is_said_and_its_neighbour_is_not(gate: Gate, lang: Lang, fine: str, violating: str) -> None:
    facts = CallFacts(lang, "borrower", None, default_facts(lang))
    assert gate.judge(fine, facts).decision == "allow", fine
    assert gate.judge(violating, facts).decision != "allow", violating


RULE = """
category: {}
rules:
  - id: mine.one
    explain: {{zh: 一, en: one}}
    zh: [阿布拉]
    en: [abracadabra]
"""


def test_a_category_that_no_check_asks_for_is_refused(tmp_path: Path) -> None:
    """Such a rule would be read and never judged by."""
    rules = tmp_path / "rules"
    shutil.copytree(RULES, rules)
    (rules / "mine.yaml").write_text(RULE.format("borrowing"), "utf-8")
    with pytest.raises(PatternError, match=r"mine\.yaml.*borrowing.*pushing_borrowing"):
        Rulebook(rules)


@pytest.mark.parametrize("category", sorted(CATEGORIES))
def test_every_category_is_judged(tmp_path: Path, category: str) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    for name in ("lexicon", "scope", "alternatives"):
        shutil.copy(RULES / f"{name}.yaml", rules)
    (rules / "mine.yaml").write_text(RULE.format(category), "utf-8")
    gate = Gate.load(rules_dir=rules, semantic=None)
    verdict = gate.judge("Well, abracadabra then.", CallFacts("en", "unverified", None, default_facts("en")))
    assert "mine.one" in [hit.id for hit in verdict.rules]
