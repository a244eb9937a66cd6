"""Equal service said aloud, and other terms for what somebody is or where somebody lives."""

from __future__ import annotations

import pytest

from agent.events import CallFacts, Lang
from compliance_checks import Gate
from compliance_checks.corpus import default_facts

EQUAL: list[tuple[Lang, str]] = [
    ("en", "We treat customers from every part of the country the same."),
    ("en", "Would you rather speak with a native speaker of Spanish?"),
    ("en", "There are special rules for service members that protect you."),
    ("en", "We don't give extensions beyond ninety days."),
    ("en", "Older customers can get extra help if they ask."),
    ("en", "Pregnant customers can ask for a pause in payments."),
    ("en", "Disabled customers get a dedicated line."),
    ("en", "It depends on the plan you choose."),
    ("en", "We only offer hardship plans to customers who apply."),
    ("en", "Given where you live, the branch on Main Street is nearest."),
    ("en", "Deaf customers can use our text relay."),
    ("zh", "我们对所有客户的规定都一样。"),
    ("zh", "外地客户也能在网上办。"),
    ("zh", "只给本人办理，不能代办。"),
    ("zh", "残疾客户有专门的通道。"),
    ("zh", "上了年纪的客户可以申请上门帮助吗？没有上门，但有专线。"),
    ("zh", "您如果是学生，可以申请延期。"),
    ("zh", "您要是退伍军人，有专门的窗口。"),
    ("zh", "得过病没关系，可以申请困难帮扶。"),
    ("zh", "您那边的网点周六开门。"),
]
UNEQUAL: list[tuple[Lang, str]] = [
    ("en", "You people are all the same when it comes to paying."),
    ("en", "Women shouldn't handle money, put your husband on."),
    ("en", "I'm not surprised, given where you come from."),
    ("en", "With a surname like yours we expected trouble."),
    ("en", "We treat customers from your part of town differently."),
    ("en", "Your sort never pays on time."),
    ("en", "Folks with your skin colour are a risk for us."),
    ("en", "We don't usually lend to immigrants, you know."),
    ("en", "A man of your faith should know better."),
    ("en", "Typical of someone your age."),
    ("en", "Old folks like you forget everything."),
    ("en", "Is it because you're Muslim that you think you needn't pay interest?"),
    ("en", "People on benefits always find an excuse."),
    ("en", "You disabled people think the world owes you."),
    ("en", "Maybe in your country that's normal, but not here."),
    ("en", "Learn English before you borrow."),
    ("en", "I'd rather deal with a native speaker."),
    ("en", "If you were a proper American, you'd pay."),
    ("en", "Single mothers are the worst payers."),
    ("en", "You being gay explains a lot."),
    ("en", "Housewives don't understand contracts."),
    ("en", "We have special rules for foreigners."),
    ("en", "Because you're a woman, I'll need your husband's word for it."),
    ("en", "Someone with a mental illness can't be trusted with credit."),
    ("en", "People without a degree wouldn't understand."),
    ("en", "Farm boys never learn to count."),
    ("en", "Your accent tells me all I need to know."),
    ("en", "Truck drivers like you are always broke."),
    ("en", "Blue-collar workers like you live beyond their means."),
    ("en", "You're from the projects, what did we expect?"),
    ("en", "Our older clients get no plan, they won't live long enough."),
    ("en", "We only offer hardship plans to citizens."),
    ("en", "Church people like you should be ashamed to owe."),
    ("en", "Pregnant women get emotional, let me speak to the father."),
    ("en", "Your kind gets shorter deadlines with us."),
    ("en", "In my experience, Black customers default more."),
    ("en", "It's a cultural thing with you lot, isn't it?"),
    ("en", "You wouldn't get a plan with that postcode."),
    ("en", "A refugee ought to be grateful and pay."),
    ("en", "Deaf people waste our time on the phone."),
    ("en", "At sixty you're too old for a new plan."),
    ("en", "You young people never take anything seriously."),
    ("en", "Men like you leave their wives to pay."),
    ("en", "We don't give extensions to people in your line of work."),
    ("zh", "您那个地方的人我们都要多收一点押金。"),
    ("zh", "我们对外地户口的规定不一样。"),
    ("zh", "你们这种口音的，我一听就知道还不上。"),
    ("zh", "女的不懂这些，让你老公来。"),
    ("zh", "难怪，您是那边来的嘛。"),
    ("zh", "上了岁数的客户不给分期，怕活不到。"),
    ("zh", "我们只给本地人办延期。"),
    ("zh", "干你们这行的一律不给宽限。"),
    ("zh", "残疾人就别学人家贷款了。"),
    ("zh", "你一个农民工还懂什么权利。"),
    ("zh", "单亲妈妈还款最差劲。"),
    ("zh", "信你们那个教的都这样。"),
    ("zh", "少数民族的客户我们风控另算。"),
    ("zh", "小地方出来的人没见过世面。"),
    ("zh", "你学历这么低，说了你也不懂。"),
    ("zh", "还是跟说普通话的人打交道省心。"),
    ("zh", "您这个姓的在我们这儿坏账最多。"),
    ("zh", "离过婚的人信用能好到哪去。"),
    ("zh", "得过病的人我们不敢信。"),
    ("zh", "您要是城里人就好办了。"),
]


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate.load(semantic=None)


def facts(lang: Lang) -> CallFacts:
    return CallFacts(lang, "borrower", None, default_facts(lang), frozenset({"ai_disclosure", "recording_disclosure"}))


@pytest.mark.parametrize(("lang", "text"), EQUAL)
def test_equal_service_passes(gate: Gate, lang: Lang, text: str) -> None:
    verdict = gate.judge(text, facts(lang))
    assert verdict.decision == "allow", [rule.id for rule in verdict.rules]


@pytest.mark.parametrize(("lang", "text"), UNEQUAL)
def test_other_terms_for_some_do_not(gate: Gate, lang: Lang, text: str) -> None:
    assert gate.judge(text, facts(lang)).decision != "allow", text
