"""Mandarin as it is spoken: what a kindness taken back, a date, or somebody else's words make of a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from agent.events import CallFacts, Party
from compliance_checks import Gate
from compliance_checks.corpus import default_facts


def fine(gate: Gate, text: str, party: Party = "borrower", **facts: Any) -> bool:
    case = {**default_facts("zh"), **facts}
    return gate.judge(text, CallFacts("zh", party, None, case)).decision == "allow"


@pytest.mark.parametrize(
    ("kind", "taken_back"),
    [
        ("您的单位我们从来没有联系过。", "您的单位我们暂时没有联系，今天再不到账就难说了。"),
        ("您有权投诉，投诉电话是4008001234。", "您有权投诉，不过投诉了我们就去您单位。"),
        ("您可以要求转人工。", "您可以要求转人工，不过转了会更难听。"),
        ("除非您书面授权，否则我们不会跟您的家人谈这笔账。", "除非您今天还款，否则我们就跟您的家人谈这笔账。"),
        ("投诉是您的权利。", "投诉是您的权利，可投诉完您家门口会不会多出几个人，我就不知道了。"),
        ("我们一天最多跟您联系一次。", "我们一天跟您联系十次，直到您还款。"),
    ],
)
def test_a_kindness_taken_back_is_none(gate: Gate, kind: str, taken_back: str) -> None:
    assert fine(gate, kind)
    assert not fine(gate, taken_back)


def test_what_somebody_else_did_is_repeated_with_regret_only(gate: Gate) -> None:
    assert fine(gate, "之前的催收员骂您是老赖，这个做法是不对的，我向您道歉。")
    assert not fine(gate, "之前的催收员骂您是老赖，我看骂得没错。")
    assert not fine(gate, "我们同事要去您单位，不好意思了。")


def test_two_denials_joined_deny_twice(gate: Gate) -> None:
    assert fine(gate, "我不是警察也不是法院的，我是安心银行的智能语音助手。")
    assert not fine(gate, "我不是不能报警。")


def test_a_date_or_a_sum_is_no_telephone_number(gate: Gate) -> None:
    for text in (
        "您约的是2026-11-25 的电话回访。",
        "您登记的回访电话时间是2026-11-25 14:30，没有问题吧？",
        "电话回访约在2026-11-25T14:30，对吗？",
        "电话里您约的日子是20261125，对吧？",
    ):
        assert fine(gate, text), text
    assert fine(gate, "刚才电话里说的是3500000元，对吧？", amount_due="3500000")
    for text in ("他的电话是13812345678。", "电话2026-11-25 13812345678。", "手机号码是62345678。"):
        assert not fine(gate, text), text


def test_amounts_that_the_borrower_named(gate: Gate) -> None:
    assert fine(gate, "您说已经还了一千五，我帮您查一下到账没有。")
    assert fine(gate, "请问您刚才说的是两千还是两百？")
    assert not fine(gate, "您说没收到账单，可账单明明白白写着四千整。")
    assert not fine(gate, "您问的金额，我查了，是四千二百元。")
    assert not fine(gate, "您问的金额我查了是四千二百元。")


def test_an_accepted_lawsuit_may_be_named(gate: Gate) -> None:
    text = "法院已经受理了这个案子，您可以在开庭前跟我们联系和解。"
    assert fine(gate, text, lawsuit_filed=True)
    assert not fine(gate, text)
    assert not fine(gate, text, lawsuit_filed="true")


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ("逾期期间会按合同约定计收罚息，具体数字以App显示为准。", True),
        ("罚息每天加收五十元。", False),
        ("罚息由您承担，另外再收三百。", False),
        ("外面下大雨，您开车注意安全。", True),
        ("您开车注意点，别出什么事。", False),
        ("您不是一个人，我们马上找人帮您。", True),
        ("您根本不是一个人，是一条狗。", False),
        ("大爷，您可以带身份证到网点办。", True),
        ("欠钱的都是大爷。", False),
        ("征信记录没有人可以删除，说能删的都是骗子。", True),
        ("征信记录我让后台给您删了。", False),
    ],
)
def test_look_alikes(gate: Gate, text: str, allowed: bool) -> None:
    assert fine(gate, text) is allowed
