"""What must never be missed, beside what only looks like it: a pair an idea, for the rules alone."""

from __future__ import annotations

import pytest

from sentiment.labels import INTENTS
from sentiment.rules import PRIORITY, fired
from sentiment.understand import SAFETY, Understander

PAIRS = [
    ("crisis", "en", "i just want to lie down in the sea and be done with it", "we lie down by the sea every summer"),
    ("crisis", "en", "i won't be around much longer", "i won't be on hold much longer i hope"),
    ("crisis", "en", "he's waving a knife at me", "he's waving a flag at the match"),
    ("crisis", "en", "he left his phone and walked out towards the railway line", "he walked to the railway station"),
    ("crisis", "en", "i'd rather die tonight than wake up", "i'd rather die than owe a man money"),
    ("deceased_or_incapacitated", "en", "papa is no more sir", "there is no more money this month"),
    ("deceased_or_incapacitated", "en", "granny went home to jesus in the fall", "granny went home to leeds"),
    ("request_human", "en", "i want to talk to a human", "say something only a human would say"),
    ("deny_identity", "en", "you've got the wrong person", "you've got the wrong end of the stick"),
    ("crisis", "en", "i've taken all my pills at once", "i took my pills this morning what did you want"),
    ("crisis", "en", "my husband beats me", "my husband beats me at chess"),
    ("crisis", "en", "i can't do this anymore i want it to end", "i can't do this anymore with your hold music"),
    ("crisis", "zh", "他要上吊", "我师傅上吊车了"),
    ("crisis", "zh", "药我都买好了今晚就结束", "药我早上吃了你说吧"),
    ("stop_contact", "zh", "你别打了", "你别打岔我在说正事"),
    ("stop_contact", "en", "i do not consent to any further calls", "i consent to the call"),
    ("deny_identity", "zh", "你们搞错人了", "是不是哪里搞错了差二百块"),
    ("legal_representation", "zh", "我找了律师", "你找一百个律师来我也是这句话"),
    ("request_human", "zh", "转人工服务", "挂号请按一人工服务请按零"),
    ("crisis", "en", "i've saved enough tablets and then it's over", "i saved up for my dog's tablets money and all"),
    ("legal_representation", "en", "my lawyer will call you", "my friend who's a lawyer moved away"),
    ("deceased_or_incapacitated", "en", "my dad passed in may", "i've been passed round four people"),
    ("crisis", "en", "i swallowed a whole bottle of tablets", "i took my tablets this morning and i feel fine"),
    ("crisis", "en", "i've been saving up my tablets for tonight", "we had pills for the cat"),
    ("crisis", "en", "i'm up on the roof and i'm looking down", "i'm up on the roof fixing the gutter"),
    ("crisis", "en", "he's breaking down the door he has a knife", "knife and fork prices have gone up"),
    ("crisis", "en", "it would be easier for everyone if i wasn't here", "it would be easier if i paid by card"),
    ("crisis", "en", "i left a note for my kids", "i left a note on the account last time i called"),
    ("crisis", "en", "you'll be talking to a corpse", "say goodbye to my bonus"),
    ("crisis", "en", "i can't breathe i've taken something", "i can't breathe in this heat honestly"),
    ("crisis", "zh", "我攒了一瓶安眠药", "刚吃了感冒药有点困"),
    ("crisis", "zh", "我现在就在桥上站着呢", "我在桥上开车呢不方便"),
    ("crisis", "zh", "我已经打开煤气了", "我忘了关煤气先挂了"),
    ("crisis", "zh", "没有我他们会过得更好", "没有我的份啊"),
    ("crisis", "zh", "有人拿刀堵在门口", "大桥堵在门口那条路"),
    ("crisis", "zh", "想睡过去再也不醒", "孩子睡着了叫不醒"),
    ("crisis", "zh", "后事我都交代好了人死债消", "我同学在电视台等着上新闻"),
    ("stop_contact", "en", "i withdraw my permission for calls", "i withdraw cash on fridays"),
    ("stop_contact", "en", "you're not allowed to call me at work", "you can call me at work"),
    ("stop_contact", "zh", "请以后用书面方式联系", "你们发短信通知我就行我会还"),
    ("stop_contact", "zh", "我申请免打扰", "免打扰怎么设置"),
    ("dispute_debt", "en", "this is somebody else's loan", "my neighbor has a loan with you too"),
    ("dispute_debt", "en", "i never took that out", "take off the charge from august that one's not mine"),
    ("dispute_debt", "en", "someone used my details to open this account", "no i haven't received any letter"),
    ("dispute_debt", "en", "i owe you people nothing", "i don't owe that much"),
    ("dispute_debt", "zh", "我名下没有任何贷款", "我没借到钱还不了"),
    ("dispute_debt", "zh", "这不是我本人办理的", "合同我签过字的"),
    ("legal_representation", "en", "i'm represented so call my attorney", "take me to court then see if i care"),
    ("legal_representation", "en", "i'm suing you for harassment", "go ahead and sue me"),
    ("legal_representation", "en", "my solicitor is dealing with it", "will you sue me if i miss one"),
    ("legal_representation", "zh", "我要去法院告你们", "有种去法院告我"),
    ("legal_representation", "zh", "跟我的代理律师谈", "你们去起诉吧"),
    ("request_human", "en", "put a person on the line", "is there a person talking or is it a recording"),
    ("request_human", "en", "could i have a word with one of your colleagues", "i was expecting someone else"),
    ("request_human", "zh", "让你同事来接一下", "你有没有真人啊还是就一个录音"),
    ("deny_identity", "en", "you must be looking for someone else", "it's a different number every time you call"),
    ("deny_identity", "en", "this is a pizza shop", "no objections here"),
    ("deny_identity", "zh", "你这电话打岔了", "金额弄错了吧"),
    ("deny_identity", "zh", "这个号以前的机主不是我", "没他电话我们不联系"),
    ("third_party", "en", "i'm his landlord he rents upstairs", "he's in the ground"),
    ("third_party", "en", "he left his phone here with me", "i left my phone at work"),
    ("third_party", "zh", "我是她家保姆", "我家请不起保姆"),
    ("third_party", "zh", "他手机落我这了", "我手机快没电了"),
    ("deceased_or_incapacitated", "en", "he didn't make it", "please i'm a widow can you bring it down"),
    ("deceased_or_incapacitated", "en", "he has been sectioned", "my phone died"),
    ("deceased_or_incapacitated", "zh", "我爸刚咽气", "我爸中风花了好多钱还不上"),
    ("deceased_or_incapacitated", "zh", "他在戒毒所呢", "我写完遗产公证再说"),
    ("crisis", "en", "i'm going to jump in the pool and never come up", "i'm off to jump in the pool"),
    ("legal_representation", "zh", "我请了律师跟你们谈", "请律师把积蓄耗没了"),
    ("legal_representation", "zh", "我要起诉你们", "我没想起诉你们"),
    ("request_human", "zh", "给我转人工客服", "人工客服几点下班啊"),
    ("request_human", "en", "can you send someone over to talk to me", "you're not going to send someone round"),
    ("dispute_debt", "en", "i never signed up for any loan", "i never signed up to any charges"),
]  # fmt: skip


@pytest.mark.parametrize(("intent", "lang", "meant", "_"), PAIRS)
def test_the_thing_itself_fires(intent: str, lang: str, meant: str, _: str) -> None:
    assert intent in fired(meant, lang)


@pytest.mark.parametrize(("intent", "lang", "_", "looks_like"), PAIRS)
def test_its_look_alike_does_not(intent: str, lang: str, _: str, looks_like: str) -> None:
    assert intent not in fired(looks_like, lang)


def test_every_safety_intent_is_paired_in_both_languages() -> None:
    assert {(intent, lang) for intent, lang, _, _ in PAIRS} == {(i, lang) for i in SAFETY for lang in ("zh", "en")}
    assert set(INTENTS) > set(PRIORITY) > SAFETY


@pytest.mark.parametrize(("text", "lang"), [("i'm not mister smith i'm his mom", "en"), ("我是他姐不是他", "zh")])
def test_who_says_whose_relative_they_are_need_not_deny_being_the_borrower(text: str, lang: str) -> None:
    assert "third_party" in fired(text, lang)
    assert "deny_identity" not in fired(text, lang)


@pytest.fixture(scope="module")
def reader() -> Understander:
    return Understander.load()


@pytest.mark.parametrize(
    ("text", "lang", "intent"),
    [
        ("我同学在电视台等着上新闻", "zh", "complain"),
        ("my attorney told me not to speak to you", "en", "legal_representation"),
    ],
)
def test_the_whole_reader_on_near_neighbours(reader: Understander, text: str, lang: str, intent: str) -> None:
    got = reader.understand(text, lang)
    assert got.intent == intent
    assert "crisis" not in dict(got.intents)


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("有种去法院告我", "zh"),
        ("有本事你们去起诉啊", "zh"),
        ("你去告啊", "zh"),
        ("take me to court then", "en"),
        ("go ahead and sue me", "en"),
    ],
)
def test_a_dare_to_sue_refuses_and_nobody_is_represented(text: str, lang: str) -> None:
    names = {name for name, _ in Understander.load().understand(text, lang).intents}
    assert "refuse_to_pay" in names
    assert "legal_representation" not in names


@pytest.mark.parametrize(("text", "lang"), [("你们会去法院告我吗", "zh"), ("will you take me to court", "en")])
def test_a_question_about_a_lawsuit_is_no_dare(text: str, lang: str) -> None:
    assert Understander.load().understand(text, lang).intent == "ask_details"


@pytest.mark.parametrize(
    ("text", "lang"),
    [("我表妹在电视台上班", "zh"), ("法院门口那家面馆挺好吃", "zh"), ("my cousin works at a tv station", "en")],
)
def test_a_place_of_work_is_no_threat(text: str, lang: str) -> None:
    names = {name for name, _ in Understander.load().understand(text, lang).intents}
    assert names.isdisjoint({"complain", "crisis", "legal_representation", "abuse"})
