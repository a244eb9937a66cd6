"""Honest answers in the words of a threat: what has not happened, what a rule supposes, what is read back."""

from __future__ import annotations

from typing import Any

import pytest

from agent.events import CallFacts, Lang
from compliance_checks import Gate
from compliance_checks.corpus import default_facts


def allowed(gate: Gate, text: str, lang: Lang, **case: Any) -> bool:
    facts = CallFacts(lang, "borrower", None, {**default_facts(lang), **case})
    return gate.judge(text, facts).decision == "allow"


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("现在还没有上报征信。", "zh"),
        ("截至目前，这笔贷款还没有上报征信，您放心。", "zh"),
        ("目前尚未起诉，您不用担心。", "zh"),
        ("我没有说要起诉您，只是提醒您还款日过了。", "zh"),
        ("Nothing has been reported to the credit bureaus so far.", "en"),
        ("As of today the bank has not filed a lawsuit yet.", "en"),
        ("I never said we would sue you.", "en"),
    ],
)
def test_what_has_not_happened_may_be_said(gate: Gate, text: str, lang: Lang) -> None:
    assert allowed(gate, text, lang)


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("现在还没有上报征信，您抓紧时间。", "zh"),
        ("目前还没起诉您，再拖下去就不好说了。", "zh"),
        ("我们现在还没报警。", "zh"),
        ("暂时还没联系您单位。", "zh"),
        ("Nothing has been reported to the credit bureaus yet, but that changes tomorrow.", "en"),
        ("We have not sued you yet, so pay while you still can.", "en"),
        ("We haven't called the police yet.", "en"),
        ("I'm not saying we'll hurt you.", "en"),
    ],
)
def test_a_hint_of_what_may_still_come_is_refused(gate: Gate, text: str, lang: Lang) -> None:
    assert not allowed(gate, text, lang)


@pytest.mark.parametrize(
    ("text", "lang", "fine"),
    [
        ("如果逾期超过九十天，银行内部会换部门跟进。", "zh", True),
        ("您已经逾期九十天了。", "zh", False),
        ("您拖了两个多月了。", "zh", False),
        ("A late payment is only noted once it goes thirty days past due.", "en", True),
        ("You are thirty days past due.", "en", False),
        ("You haven't paid us in over two months.", "en", False),
        ("您上次还了一千五，对吗？", "zh", True),
        ("您上次还了一千五，还差八千。", "zh", False),
        ("You have paid fifteen hundred dollars already, is that right?", "en", True),
        ("You have to pay fifteen hundred dollars today, right?", "en", False),
        ("Let me say it once more: three, five, zero, zero dollars.", "en", True),
        ("Let me say it once more: three, six, zero, zero dollars.", "en", False),
    ],
)
def test_suppositions_and_what_is_read_back(gate: Gate, text: str, lang: Lang, fine: bool) -> None:
    assert allowed(gate, text, lang) is fine


def test_a_negation_in_mandarin_reaches_an_english_word(gate: Gate) -> None:
    assert allowed(gate, "我们不会问您的PIN。", "zh")
    assert not allowed(gate, "请告诉我您的PIN。", "zh")


def test_a_fact_of_the_case_file_may_be_named_and_not_denied_into_a_threat(gate: Gate) -> None:
    assert allowed(gate, "银行已经向法院起诉。", "zh", lawsuit_filed=True)
    assert not allowed(gate, "银行已经向法院起诉。", "zh")
