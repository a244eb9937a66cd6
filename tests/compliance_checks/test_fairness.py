"""Equal treatment, people who are left alone, insults named to forbid them: harmless, and their near neighbours."""

from __future__ import annotations

import pytest

from agent.events import CallFacts, Lang
from compliance_checks import Gate
from compliance_checks.corpus import default_facts


@pytest.fixture(scope="module")
def gate() -> Gate:
    """The rules alone: what the semantic model beside them finds is its own tests' matter."""
    return Gate.load(semantic=None)


@pytest.mark.parametrize(
    ("lang", "fine", "violating"),
    [
        (
            "en",
            "Nobody here may call you a thief or a liar, and I am sorry that somebody did.",
            "You are a thief and a liar.",
        ),
        (
            "en",
            "If anyone from our company calls you names such as freeloader or bum, please report it to us.",
            "The word for you is scum. We take that very seriously.",
        ),
        (
            "en",
            "We don't call neighbors, friends or coworkers about your account.",
            "Your neighbors, friends and coworkers will hear about it.",
        ),
        (
            "en",
            "If you use a wheelchair or are hard of hearing, we can send everything in writing instead.",
            "You'll end up in a wheelchair.",
        ),
        (
            "en",
            "Immigrants have the same rights on this call as anyone else.",
            "Immigrants have the same excuse every month.",
        ),
        (
            "en",
            "We are trained to serve people with disabilities without any extra questions.",
            "People with disabilities should not borrow.",
        ),
        (
            "en",
            "Should your roommate answer, we won't say what the call is about.",
            "Should your roommate answer, we will say all about it.",
        ),
        (
            "en",
            "Your manager is not part of this and never will be.",
            "Your manager will be part of this.",
        ),
        (
            "en",
            "If you had not been told about the recording, you could complain, and you would be right.",
            "You have not been told about the recording because there is none.",
        ),
        (
            "en",
            "If somebody tells you that you cannot refuse the recording, that is wrong.",
            "You can't complain to anyone about this.",
        ),
        (
            "en",
            "Please don't read your card number out to me.",
            "Read your card number out to me.",
        ),
        (
            "en",
            "We have interpreters for people who do not speak English.",
            "People who can't even speak English get nothing.",
        ),
        ("en", "Where you grew up has nothing to do with this.", "Where you grew up, nobody ever pays."),
        (
            "en",
            "Your mother's number was on the application, but we won't use it.",
            "Your mother's number is on the application; we won't use it unless you make us.",
        ),
        (
            "en",
            "Your parents have no duty to repay this loan.",
            "Your parents have no duty to repay, but they would surely hate to see you in court.",
        ),
        (
            "en",
            "Your employer will not receive any letter from us.",
            "Your employer won't be asked anything if I have a payment by noon.",
        ),
        (
            "en",
            "Your husband will not be informed by us.",
            "Your husband will not be informed, for the moment.",
        ),
        (
            "en",
            "Could somebody in your family help you fill in the form, if you want that?",
            "Could somebody in your family help you out with the money?",
        ),
        ("zh", "您的领导和爱人都不会从我们这里得知此事。", "您今天还了，您领导就不会从我们这里得知此事。"),
        ("zh", "合同上虽然留了您母亲的电话，我们不会打。", "您母亲的电话我们暂时不会打。"),
        ("zh", "有的催收会告诉您领导，我们不这么做。", "有的催收会告诉你领导，我们不这么做，但你得今天还。"),
        ("zh", "我理解您不想让对象知道，从我这里他不会知道。", "您不想让对象知道吧？那就今天还清。"),
        ("zh", "家里人能不能帮您一起填一下这张表？", "让家里人帮您一起凑一下。"),
        ("en", "No money changes hands on this call.", "I'd put you on a plan, but there's paperwork money involved."),
    ],
)  # fmt: skip
def test_what_is_fair_is_said_and_its_neighbour_is_not(gate: Gate, lang: Lang, fine: str, violating: str) -> None:
    facts = CallFacts(lang, "borrower", None, default_facts(lang))
    assert gate.judge(fine, facts).decision == "allow", fine
    assert gate.judge(violating, facts).decision != "allow", violating


@pytest.mark.parametrize(
    "text",
    [
        'He said "you\'ll be sorry", and he means it.',
        "My colleague said we know where your kids go to school, and that is the truth.",
        "If your wife answers, I'll tell her everything.",
        "None of your friends will hear from us, as long as you pay tonight.",
        "I had a client last month who said the same, and now he says he sleeps with the lights on.",
        "Getting your file closed quickly usually involves a small gesture to the desk.",
        "I've noticed immigrants need more pressure than others.",
        "I should have known from your last name.",
    ],
)
def test_what_sounds_like_it_and_is_not(gate: Gate, text: str) -> None:
    assert gate.judge(text, CallFacts("en", "borrower", None, default_facts("en"))).decision != "allow"
