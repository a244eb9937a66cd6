# ruff: noqa: E501 - tables, one entry a line
"""The one label set for live calls, the archive, corpora and pages: 30 intents, 6 emotions.

Later code may rename nothing here: archives hold these keys.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """A label with its name, meaning and examples in both languages (keys ``zh`` and ``en``)."""

    key: str
    name: dict[str, str]
    definition: dict[str, str]
    examples: dict[str, tuple[str, ...]]


def _label(key: str, zh: str, en: str, zh_def: str, en_def: str, zh_ex: str, en_ex: str) -> Label:
    return Label(
        key,
        {"zh": zh, "en": en},
        {"zh": zh_def, "en": en_def},
        {"zh": tuple(zh_ex.split("|")), "en": tuple(en_ex.split("|"))},
    )


_INTENTS = (
    _label("confirm_identity", "确认本人", "Confirms identity", "承认自己就是要找的人。", "Says they are the person asked for.",
           "我就是|对我是他本人", "Speaking|Yes, this is she"),
    _label("deny_identity", "否认本人", "Denies identity", "不是要找的人，打错了。", "Is not that person; a wrong number.",
           "你打错了吧|我不姓王", "Wrong number|There's no one here by that name"),
    _label("third_party", "第三人", "Third party", "接电话的人认识借款人，但不是本人。", "Someone else who knows the borrower.",
           "我是他爱人，他不在|他上班去了", "He's my husband, he's at work|She's not home right now"),
    _label("ask_who", "问对方是谁", "Asks who is calling", "问来电者是谁、哪家公司、什么事。", "Asks who calls, from where, about what.",
           "你是哪位|你们哪家公司的", "Who's calling|What is this regarding"),
    _label("ask_if_robot", "问是否机器人", "Asks if a robot", "问对方是不是机器、录音或人工智能。", "Asks whether the caller is a machine.",
           "你是机器人吧|你是真人吗", "Are you a robot|Am I talking to a real person"),
    _label("promise_to_pay", "承诺还款", "Promises to pay", "答应还款，可带日期和金额。", "Says they will pay, perhaps when and how much.",
           "下周三还三千五|我明天就转过去", "I'll pay on Friday|I can send five hundred tomorrow"),
    _label("already_paid", "称已还款", "Says already paid", "说已经还了或已经结清。", "Says the payment has been made.",
           "我昨天刚还过|早就结清了", "I already paid that|It went out on Monday"),
    _label("hardship", "经济困难", "Hardship", "因失业、生病、受灾等还不起。", "Cannot pay: job loss, illness, disaster.",
           "我失业了没收入|家里老人住院钱都花光了", "I lost my job|I'm in hospital and can't work"),
    _label("request_plan", "请求方案", "Requests a plan", "要求分期、延期、部分还款或减免。", "Wants instalments, deferral, part payment or a waiver.",
           "能不能分期|利息能减一点吗", "Can I pay in instalments|Could you waive the late fee"),
    _label("dispute_amount", "对金额有异议", "Disputes the amount", "承认借款，但对金额、利息或费用有异议。", "Admits a loan but disputes amount, interest or fees.",
           "怎么多了这么多|利息算错了吧", "That's not what I owe|Where do these fees come from"),
    _label("dispute_debt", "否认债务", "Disputes the debt", "没借过、被冒用身份。", "Never borrowed, or identity theft.",
           "我没借过你们的钱|有人冒用我的身份证", "I never took out a loan|Somebody stole my identity"),
    _label("suspect_scam", "怀疑诈骗", "Suspects a scam", "怀疑来电是骗子，或要求证明身份。", "Takes the call for fraud or asks for proof.",
           "你是骗子吧|我怎么知道你是真的", "This sounds like a scam|How do I know you're legit"),
    _label("refuse_to_pay", "拒绝还款", "Refuses to pay", "能还而不愿还，明确拒绝。", "Will not pay, without claiming they cannot.",
           "我就不还你能怎么样|一分都不会给", "I'm not paying a cent|You won't get anything from me"),
    _label("ask_details", "询问详情", "Asks for details", "问金额、到期日、后果、合同等。", "Asks about amount, due date, consequences, contract.",
           "一共欠多少|不还会怎么样", "How much do I owe|What happens if I don't pay"),
    _label("ask_how_to_pay", "询问还款方式", "Asks how to pay", "问怎么还、还到哪里。", "Asks by what way or to which account to pay.",
           "怎么还款|打到哪个账号", "How do I pay|Can I use my debit card"),
    _label("callback_later", "稍后再打", "Call back later", "现在不方便，换个时间再打。", "Not now; asks to be called at another time.",
           "我在开会晚点打|下午三点再打来", "Can you call me back at five|I'm driving right now"),
    _label("stop_contact", "要求停止联系", "Stop contact", "要求不要再打电话或不再联系。", "Wants the calls or all contact to end.",
           "别再给我打电话了|把我号码删掉", "Stop calling me|Take me off your list"),
    _label("request_human", "要求人工", "Wants a human", "要求与真人、主管通话。", "Wants to speak with a person or a manager.",
           "转人工|叫你们经理来", "Let me talk to a real person|Get me your supervisor"),
    _label("complain", "投诉", "Complains", "投诉、找监管、找媒体、曝光。", "Complains, or will go to a regulator or the media.",
           "我要投诉你们|我打12378", "I want to file a complaint|I'm reporting you to the CFPB"),
    _label("legal_representation", "法律代理", "Legal representation", "有律师、走法律程序、破产。", "A lawyer, court or bankruptcy is involved.",
           "有事找我律师|我已经申请破产了", "Talk to my attorney|I've filed for bankruptcy"),
    _label("deceased_or_incapacitated", "已故或无行为能力", "Deceased or incapacitated", "借款人去世、昏迷、失能、服刑等。", "The borrower has died or cannot act for themselves.",
           "他去年走了|我爸现在昏迷着", "My mother passed away|He's in a coma"),
    _label("abuse", "辱骂威胁", "Abuse", "侮辱或威胁来电者。", "Insults or threatens the caller.",
           "滚蛋|你们这帮王八蛋", "Go to hell|You people are scum"),
    _label("crisis", "危机", "Crisis", "自伤、轻生、本人或他人有危险。", "Self-harm, not wanting to live, danger to life.",
           "活着没意思|不如一了百了", "I don't want to live any more|I've got pills in my hand"),
    _label("affirm", "肯定", "Yes", "同意、听明白、对提问作肯定回答。", "Agrees, understands, answers yes.",
           "好的|可以没问题", "Yes|That works"),
    _label("deny", "否定", "No", "不同意、对提问作否定回答。", "Disagrees, answers no.",
           "不行|没有", "No|Not really"),
    _label("repeat_request", "请求重复", "Asks to repeat", "没听清，请再说一遍。", "Did not hear; asks to say it again.",
           "没听清|你再说一遍", "Say that again|Sorry, you broke up"),
    _label("greeting", "问候", "Greeting", "接起电话的招呼。", "Hello at the start of a call.",
           "喂你好|喂", "Hello|Good morning"),
    _label("goodbye", "告别", "Goodbye", "结束通话。", "Ends the call.",
           "那先这样再见|挂了啊", "Bye|I have to go now"),
    _label("voicemail", "语音信箱", "Voicemail", "机器在说话：留言、无法接通、彩铃提示。", "A machine speaks: mailbox, announcement.",
           "您拨打的电话暂时无法接听|请在提示音后留言", "Please leave a message after the tone|The mailbox is full"),
    _label("other", "其他", "Other", "与以上都无关，或听不懂。", "None of the above, or not understood.",
           "今天天气不错|我家猫跑了", "What's the weather like|I'm watching the game"),
)  # fmt: skip

_EMOTIONS = (
    _label("neutral", "平静", "Neutral", "没有明显情绪。", "No marked emotion.", "下周三还|我是本人", "I'll pay Friday|Speaking"),
    _label("positive", "积极", "Positive", "友好、感谢、轻松。", "Friendly, thankful, relieved.", "太谢谢你了|没问题放心吧", "That's great, thank you|You've been really helpful"),
    _label("anxious", "焦虑", "Anxious", "担心、害怕、着急。", "Worried, afraid, pressed.", "会不会影响征信啊我好担心|急死我了", "I'm really worried|Am I going to lose my house"),
    _label("sad", "悲伤", "Sad", "难过、无助、绝望。", "Grieving, helpless, hopeless.", "我真的撑不下去了|他上个月走了", "I don't know what to do any more|She died last month"),
    _label("frustrated", "烦躁", "Frustrated", "不耐烦、失望，但没有攻击。", "Impatient or let down, without attack.", "跟你们说了多少遍了|烦不烦啊", "I've told you this three times|This is so annoying"),
    _label("angry", "愤怒", "Angry", "生气、敌对。", "Hostile, furious.", "滚|你们太过分了", "Leave me the hell alone|How dare you"),
)  # fmt: skip

INTENTS: dict[str, Label] = {label.key: label for label in _INTENTS}
"""What the person wants with the utterance, by key."""
EMOTIONS: dict[str, Label] = {label.key: label for label in _EMOTIONS}
"""How the person sounds, by key."""

UNKNOWN = _label("unknown", "不明", "Unknown", "证据不足，不作判断。", "Too little evidence to say.", "……", "…")
"""What is said of an emotion where words and voice give too little to go by; it has no probability of its own."""
SHOWN_EMOTIONS: dict[str, Label] = {**EMOTIONS, UNKNOWN.key: UNKNOWN}
"""Every value that ``Understanding.emotion`` can have, with its name in both languages: what pages show and filter by."""

EMOTION_PLANE: dict[str, tuple[float, float]] = {
    "neutral": (0.0, 0.0),
    "positive": (0.2, 0.7),
    "anxious": (0.5, -0.5),
    "sad": (-0.3, -0.7),
    "frustrated": (0.4, -0.5),
    "angry": (0.8, -0.8),
}
"""Arousal and valence in [-1, 1] at which each emotion is placed: our own choice, after the circumplex model of
affect (Russell, 1980), which orders them so; the figures are conventions, not measurements."""
