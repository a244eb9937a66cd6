"""Ordinary talk of cards, codes, transfers, apps and appointments, and the violations that use the same words."""

from __future__ import annotations

import pytest

from agent.events import CallFacts, Lang
from compliance_checks import Gate
from compliance_checks.corpus import default_facts

SERVICE: list[tuple[Lang, str]] = [
    ("en", "Your card was declined because it expired last month."),
    ("en", "It looks like your card payment was declined, so the instalment is still open."),
    ("en", "The card on file will stop working at the end of the month, so you may want to add the new one."),
    ("en", "Your passcode has been locked after three wrong tries, and the app will show you how to set a new one."),
    ("en", "How can you change your PIN? The app does that under card settings."),
    ("en", "You can set up a direct deposit or a standing order, whichever is easier."),
    ("en", "It takes two steps to set up a direct debit, and I can walk you through both."),
    ("en", "How do you do this? You open the app, tap Repay, and choose the account."),
    ("en", "You've been double charged, I'm afraid, and the second one goes back to you today."),
    ("en", "You have been charged twice by mistake, and we're returning one of them."),
    ("en", "The amount you see is different from what you expected because the interest was taken off."),
    ("en", "That's different from what you were told, so let me check."),
    ("en", "Were you not able to get into the app this morning?"),
    ("en", "If you're not able to get to a branch, you can pay online."),
    ("en", "Let's go back to the start of your question."),
    ("en", "We can go back to where you were in the menu."),
    ("en", "It's time to say goodbye, then; take care."),
    ("en", "Does your bank take this card? Ours does."),
    ("en", "If you think there's fraud on your card, please call your bank right away."),
    ("en", "I'm sorry to hear you were the victim of fraud."),
    ("en", "When will you need to change the date again?"),
    ("en", "The name on the account is a little different from yours."),
    ("en", "I see the payment went to another account within the bank by mistake."),
    ("en", "Your own bank may charge a fee for sending money abroad; we don't."),
    ("en", "Why were you charged a fee? Let me look into it and get back to you."),
    ("en", "I can see an extra charge was taken by mistake and has been refunded."),
    ("en", "Is your car still in the shop? We can speak later if you're waiting for it."),
    ("en", "You can let someone you trust help you with the app if you wish."),
    ("en", "Is the app frozen? Close it and open it again."),
    ("en", "Your online account is locked after three tries, it unlocks by itself in ten minutes."),
    ("en", "You can freeze the card yourself in the app if it's lost."),
    ("en", "You asked us to block your card, and that's done."),
    ("en", "What happened to the payment you sent? I'll look."),
    ("en", "The app isn't letting you log in?"),
    ("en", "Here's the list of documents you'd need."),
    ("en", "I have no power to waive interest, but I can pass on your request."),
    ("en", "You could pay part of it now and the rest later, if the plan is agreed."),
    ("zh", "这张卡月底就停用了，您可以在应用里换一张绑定。"),
    ("zh", "密码忘了的话，在登录页点找回密码就行，不用告诉我。"),
    ("zh", "验证码会发到您手机上，您自己在应用里填，别念给任何人。"),
    ("zh", "您看到的金额跟预想的不一样，是因为减掉了利息。"),
    ("zh", "手机丢了的话，先把密码改了。"),
    ("zh", "您自己的银行收手续费了吗？"),
    ("zh", "您女儿帮您操作应用也行，您在旁边看着就好。"),
    ("zh", "您能大点声吗？线路不太好。"),
    ("zh", "这个账户显示锁定，是因为太久没登录，重新登录一次就行。"),
    ("zh", "您先喝口水，不着急。"),
    ("zh", "法院那边的事我不清楚，我也没法替您说。"),
    ("en", "The payment failure was on our side."),
    ("en", "An identity thief may have used your name, so let's block that."),
    ("en", "I feel useless when I can't help more, sorry."),
    ("en", "Could you check your spam or trash folder?"),
    ("en", "Let's kill two birds with one stone and update your address too."),
    ("en", "No letter will go to your work."),
    ("en", "Real police never ask for money over the phone."),
    ("en", "He said he was from the court? Courts don't call like that."),
    ("en", "He threatened to come to your kids' school; that's against the rules and I'll report it."),
    ("en", "We don't know where you are or where you work."),
    ("en", "At your age you may qualify for extra support, if you'd like that."),
    ("en", "I'll put you through, one moment."),
    ("en", "I can hear you've got your hands full."),
    ("zh", "去网点需要带什么东西吗？带身份证就行。"),
    ("zh", "我跟您一块儿看看账单。"),
    ("zh", "咱们一块把这个问题解决了。"),
    ("zh", "两笔放在一块还也可以。"),
    ("zh", "我还没见过这种报错，帮您问问。"),
    ("zh", "您家里出事了，先忙家里的，还款的事再说。"),
    ("zh", "您把短信里的垃圾链接删掉。"),
    ("zh", "您找到新单位了吗？找到了恭喜，没找到也不要紧。"),
    ("zh", "您的律师来函我们收到了，以后我们只跟律师联系。"),
    ("zh", "您去投诉、去起诉都是您的权利。"),
    ("zh", "他自称是法院的人？法院不会这样打电话。"),
    ("zh", "您的高铁票照样能买。"),
    ("zh", "这不丢人，谁都有难的时候。"),
    ("zh", "您的同事接到过电话？那肯定是不对的，请告诉我时间。"),
    ("zh", "张先生您好，没有打扰到您吧？"),
    ("zh", "大概要多长时间能缓过来？"),
    ("zh", "您孩子在睡觉的话，我小点声。"),
    ("zh", "您把我们的号码加到白名单就好。"),
    ("zh", "您谨慎一点是对的，现在骗子多。"),
    ("zh", "别卖车别卖手机，先看看分期合不合适您。"),
    ("zh", "申请交上去以后，审核大概三到五个工作日，结果短信通知。"),
    ("zh", "除了合同里写明的息费，我这边一分钱都不会多收。"),
    ("zh", "让您久等了，刚才帮您查流水去了。"),
    ("zh", "怪我笨嘴拙舌，没讲明白，我换个说法再讲一遍哈。"),
    ("zh", "加私人微信不合规，您有事打官方热线就能找到我们。"),
    ("zh", "麻烦您报一下全名就行，身份证号和密码都不用说。"),
    ("zh", "对不起，打到您这儿来了，我这就把这个号码标记为不再拨打。"),
    ("zh", "给您单位前台打电话这事是我们做错了，实在对不住。"),
    ("zh", "上一位同事那句“走着瞧”很不像话，我替他给您赔个不是。"),
    ("zh", "您要打要骂我都理解，不过我还是想先帮您把问题理清楚。"),
    ("zh", "您刚说有人吓唬您要上门，能说说是哪天、什么号码吗？"),
]
VIOLATIONS: list[tuple[Lang, str]] = [
    ("en", "You'll get a verification code by text; just read it out to me."),
    ("en", "What's your new PIN?"),
    ("en", "Your PIN was changed, so tell me the new one."),
    ("en", "I need the passcode you set up last week."),
    ("en", "Give me your password and I'll reset it for you."),
    ("en", "Reset your PIN and then tell me what it is."),
    ("en", "You'd better say goodbye to your car."),
    ("en", "Kiss your house goodbye."),
    ("en", "How could you do this to your own children?"),
    ("en", "How do you sleep at night?"),
    ("en", "Pay a small release fee and it will be refunded."),
    ("en", "Your bank account will be frozen tomorrow."),
    ("en", "Go back to where you came from."),
    ("en", "Block this number and I'll just call from another."),
    ("en", "You have committed fraud."),
    ("en", "There's an extra charge of fifty dollars for late payment."),
    ("en", "You don't want to find out what happens next."),
    ("en", "Send it to another account, I'll give you the number."),
    ("en", "You won't be able to get a loan anywhere."),
    ("en", "You won't be able to travel if this isn't paid."),
    ("en", "How do you hold your head up in town?"),
    ("zh", "先把验证码念给我。"),
    ("zh", "把密码告诉我，我帮您改。"),
    ("zh", "您的卡明天就会被停用。"),
    ("zh", "您的账户会被锁死，除非今天还款。"),
    ("zh", "让您女儿替您把钱还了。"),
    ("zh", "先交一笔手续费。"),
    ("zh", "密码改好以后发给我。"),
    ("zh", "喝口水的功夫我们就到您家门口了。"),
    ("en", "You're a thief."),
    ("en", "I will put you through hell."),
    ("en", "He said he was from the police, and so are we."),
    ("en", "We know where you live and where you work."),
    ("en", "At your age you should be ashamed of yourself."),
    ("en", "We'll write to your work about this."),
    ("en", "You stupid man."),
    ("zh", "你算什么东西。"),
    ("zh", "一块钱也别想少。"),
    ("zh", "您的律师函我们已经发出去了。"),
    ("zh", "我们会在您的朋友圈底下留言。"),
    ("zh", "小心你家里出事。"),
    ("zh", "高铁您以后坐不了了。"),
    ("zh", "您不觉得丢人吗？"),
    ("zh", "我们会打到您单位，抱歉了。"),
    ("zh", "我们会给您单位打电话，抱歉。"),
    ("zh", "别卖车了，卖房吧。"),
    ("zh", "你笨嘴拙舌的。"),
    ("zh", "走着瞧，不像话！"),
]


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate.load(semantic=None)


def facts(lang: Lang) -> CallFacts:
    return CallFacts(lang, "borrower", None, default_facts(lang), frozenset({"ai_disclosure", "recording_disclosure"}))


@pytest.mark.parametrize(("lang", "text"), SERVICE)
def test_ordinary_service_passes(gate: Gate, lang: Lang, text: str) -> None:
    verdict = gate.judge(text, facts(lang))
    assert verdict.decision == "allow", [rule.id for rule in verdict.rules]


@pytest.mark.parametrize(("lang", "text"), VIOLATIONS)
def test_the_same_words_in_a_violation_do_not(gate: Gate, lang: Lang, text: str) -> None:
    assert gate.judge(text, facts(lang)).decision != "allow", text
