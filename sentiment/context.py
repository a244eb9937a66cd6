# ruff: noqa: E501 - tables, one entry a line
"""What the agent had just asked for, and how that shifts the reading of a short answer.

A bare "嗯" is a confirmation of identity after "is this Ms Wang?" and a plain yes after "shall I repeat that?"; a bare
date after "when can you pay?" is a promise. Only answers that say hardly anything else are shifted: what a longer
sentence says stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from sentiment.slots import Slot
from sentiment.text import fold, plain

EXPECTS = ("identity", "digits", "yes_no", "date", "amount", "date_amount", "open")
CONFIDENCE = 0.9
"""Confidence of a reading by context: our own figure, short answers leave little doubt."""

_FILLER = {
    "zh": re.compile(
        r"^(?:呃|额|嗯(?=.)|啊(?=.)|那个|这个(?=.)|就是说|哦|噢|喔|唉|哎|诶|喂(?=.)|那(?!天|个)|咱)+|(?:啊|呀|吧|呢|哈|嘛|啦|哦|喽|呗|哎|诶)+$"
    ),
    "en": re.compile(
        r"^(?:(?:uh|um|er|erm|well|so|oh|ah|hmm|like|okay so)\s+)+|(?:\s+(?:please|thanks|thank you|sir|ma'am|madam|mate|man))+$"
    ),
}
_YES = {
    "zh": re.compile(
        r"(?:嗯|恩|唔|哼|对|是|是的|对的|没错|不错|当然|好|好的|好滴|行|行的|可以|可以的|成|中|要得|得|ok|okay|没问题|可|是是|对对|确认|知道|明白|了解|晓得|同意|能|方便|有|会|会的|能的|有的|确定|就这样|就是|就是的|正确|没毛病|必须的|没意见|好嘞|好咧|系|系啊|冇问题|嗯哼|yes)+(?:的|了|啊|呀|啦|吧)?"
    ),
    "en": re.compile(
        r"(?:(?:yes|yeah|yep|yup|yah|ya|uh huh|uh-huh|mm hmm|mhm|mmhmm|sure|sure thing|right|correct|ok|okay|alright|all right|fine|that's right|that's correct|that is correct|thats right|that's fine|that works|sounds good|absolutely|of course|definitely|certainly|i do|i am|it is|i did|i can|i will|go ahead|go on|got it|understood|i understand|i agree|agreed|no problem|good|great|perfect|affirmative|indeed|exactly|please do|why not|you bet|aye|yes i do|yes i am|i guess so|i guess|i suppose|i suppose so|cool|works for me)(?:\s+|$))+"
    ),
}
_NO = {
    "zh": re.compile(
        r"(?:不|不是|不是的|不对|不行|不可以|没有|没|不要|不用|不好|不成|不能|不方便|不同意|不愿意|不会|否|不了|不用了|不需要|没有的|没门|不可能|不太行|不太方便|不确定|哪有|唔系|冇|不中|no)+(?:的|了|啊|呀|啦|吧)?"
    ),
    "en": re.compile(
        r"(?:(?:no|nope|nah|no way|not really|not at all|no thanks|no thank you|i don't|i do not|i'm not|i am not|it isn't|it's not|incorrect|that's wrong|that's not right|that is not right|i can't|i cannot|negative|never|absolutely not|definitely not|of course not|not at the moment|not right now|not now|not today|not yet|certainly not|i haven't|i have not|i don't think so|no i'm not|no i don't|no it isn't|not this time|i'd rather not|no sir|no ma'am)(?:\s+|$))+"
    ),
}
_SELF = {
    "zh": re.compile(
        r"(?:(?:嗯|对|是|是的|对的)*(?:我是|是我|我就是|本人|我本人|就是我|正是|我是本人|是本人|在|我在|就是本人|我就是本人|是他本人|是我本人|正是在下|说吧?|你说|您说|讲|你讲|请讲|请说|有什么事|啥事|什么事))+(?:的|了)?"
    ),
    "en": re.compile(
        r"(?:(?:yes|yeah|yep|uh|this is|that's|that is|it's|it is|you got|you've got|i am|i'm|that would be)\s+)*(?:speaking|me|he|she|him|her|myself|this is|that's me|i am|i'm (?:he|she|him|her)|this is (?:he|she|him|her|me)|you(?:'ve| have)? got (?:me|him|her))(?: (?:speaking|here|yes|yeah))*"
    ),
}
_THIN = {"zh": 3, "en": 2}
_PLAIN_WORDS = {
    "zh": re.compile(
        r"[我先就能只大概可以应该那在之前左右吧的了还付给你您们转打过去想会争取尽量一定到以后个和再,，。嗯啊呃行好是也要]|号码|尾号|后四位|末四位|身份证|最后|四位|数|第"
    ),
    "en": re.compile(
        r"\b(?:i|i'll|i'd|i'm|can|could|will|would|do|on|by|at|the|a|of|maybe|probably|say|about|around|like|it|it's|is|its|that|that's|make|let's|let|me|pay|you|then|for|and|just|only|try|get|have|to|how|before|ok|okay|yes|yeah|sure|last|four|digits|are|my|number|ending|in|um|uh|so|well|think|should|be|able|send|possible|best|afford|manage)\b|'"
    ),
}
_REPORTS_PAYMENT = {
    "zh": re.compile(
        r"(?:昨天|昨晚|前天|大前天|上周|上个?月|上星期|刚才|刚刚|今早|今天早上|早就|已经|[一二两三四五六七八九十几\d]+天前).{0,10}(?:还|付|转|交|汇|存|缴|打过去|划|扣)(?:了|过|的|款|清|完|掉|给你|进去)"
    ),
    "en": re.compile(
        r"\b(?:paid|sent|transferred|wired|mailed|settled|made (?:a|the|that|my) payment)\b.{0,40}\b(?:yesterday|ago|last|this morning|already|earlier)\b|\b(?:yesterday|ago|last (?:night|week|month|\w+day)|this morning|already)\b.{0,30}\b(?:paid|sent|transferred|wired|by|via|through|with my|bank|card|cash|check|transfer)\b"
    ),
}
_NO_PAYMENT = {
    "zh": re.compile(r"没(?:有)?(?:还|付|转|交)|工资|(?:会|再|打算|准备)(?:还|付|转)"),
    "en": re.compile(
        r"\b(?:not|n't|never|will|going to|gonna|i'll|got paid|get paid|was paid|lost|bank (?:closed|called)|they paid|paid me)\b|n't\b"
    ),
}
_NAMES_SELF = {
    "zh": re.compile(
        r"(?:对|嗯|是|是的|喂|你好)*(?:我是|我就是|我叫|这里是)(?!他|她|你|谁|不|没|在|想|说|要|去|来|机)[\u4e00-\u9fff]{2,4}"
    ),
    "en": re.compile(
        r"(?:(?:yes|yeah|hello|hi|hey) )*(?:this is|my name is|it's|i'm|i am)(?: (?!(?:his|her|their|my|your|a|an|the|not|n't|he|she|busy|sorry|driving|at|in|on|sick|broke|so|too|very|really|just|going|being|working|wrong|crazy|ridiculous|fine|good|ok|okay|bad|late|early|harassment|stupid|calling|listening|done|confused|tired|asleep|it|what|how|who|why|when|about)\b)[a-z']+){1,3}(?: speaking| here)?"
    ),
}
_NOT_UNWILLING = {
    "zh": re.compile(
        r"(?:我|又|也|可|并|真|这|啊|哎|那)*(?:不是|没有?说|没讲|哪有说)(?:我|要)?不(?:还|给|付)(?:钱|款|你们?)?(?:了|啊|呀|的|嘛|呢|吧|的意思)*"
    ),
    "en": re.compile(
        r"(?:(?:look|well|no|but|hey) )*(?:i'm|i am|it's) not (?:saying |that )?(?:i'm |i am )?(?:i won't|i will not|refusing to|not going to|unwilling to) pay(?: it| you)?|(?:i )?never said i (?:wouldn't|won't|would not) pay(?: it| you)?"
    ),
}
"""A double negation promises: who is "not not paying" will pay."""
_CUT_OFF = {
    "zh": re.compile(r"(?:你)?(?:声音|信号|电话)?(?:断了|断断续续的?|卡了|卡住了)(?:一下)?(?:没听[清到见])?"),
    "en": re.compile(
        r"(?:(?:sorry|hello|hey|oh) )*(?:you|you're|you are|you were|it|the line|your voice)(?: just| keep| kept)? (?:broke up|breaking up|cut out|cutting out|dropped out|went quiet)(?: there| again| for a second)?"
    ),
}
_KIN_ZH = re.compile(r"老婆|老公|爱人|妈|爸|儿子|女儿|哥|弟|姐|妹|同事|朋友|室友|家人|邻居|助理|父亲|母亲|先生的|的$")
_ANSWERS_A_DATE = {"other", "affirm", "promise_to_pay", "callback_later", "greeting", "confirm_identity", "ask_details", "request_plan"}  # fmt: skip


def core(text: str, lang: str) -> str:
    """The utterance without fillers at its ends, folded and without punctuation."""
    seen = plain(fold(text).text)
    if lang == "zh":
        seen = seen.replace(" ", "")
    while True:
        stripped = _FILLER[lang].sub("", seen).strip()
        if stripped == seen or not stripped:
            return seen
        seen = stripped


def polarity(text: str, lang: str) -> str | None:
    """``"yes"``, ``"no"`` or ``"self"`` ("speaking", 本人) if the utterance says only that, else ``None``."""
    whole = plain(fold(text).text)
    for said in (whole.replace(" ", "") if lang == "zh" else whole, core(text, lang)):
        for name, table in (("no", _NO), ("yes", _YES), ("self", _SELF)):
            if table[lang].fullmatch(said):
                return name
    return None


def _left(text: str, lang: str, slots: Collection[Slot]) -> int:
    """Words (characters of Mandarin) that say something beside ``slots``."""
    rest = text
    for slot in sorted(slots, key=lambda s: -s.start):
        rest = rest[: slot.start] + " " + rest[slot.end :]
    rest = _PLAIN_WORDS[lang].sub("", plain(fold(rest).text)).strip()
    return len(rest.replace(" ", "")) if lang == "zh" else len(rest.split())


def _says_little_else(text: str, lang: str, slots: Collection[Slot]) -> bool:
    return _left(text, lang, slots) <= _THIN[lang]


_MAY_NAME_SELF = {"confirm_identity", "other", "greeting", "affirm", "deny_identity", "third_party"}


def reports_payment(text: str, lang: str) -> bool:
    """Whether the words put a payment into the past: a date in them is when it was made, no promise."""
    seen = fold(text).text
    return bool(_REPORTS_PAYMENT[lang].search(seen)) and not _NO_PAYMENT[lang].search(seen)


def _names_self(text: str, lang: str) -> bool:
    whole = plain(fold(text).text)
    whole = whole.replace(" ", "") if lang == "zh" else whole
    return bool(_NAMES_SELF[lang].fullmatch(whole)) and not (lang == "zh" and _KIN_ZH.search(whole))


_DARES = {
    "zh": re.compile(
        r"(?:有种|有本事|有能耐|有胆|尽管|随便你?们?|只管|大可)(?:你们?)?(?:就|去|来|上|到){0,2}(?:法院|法庭)?(?:去)?(?:告|起诉)(?!诉)"
        r"|(?:你们?|就|那就)?(?:去|上)(?:法院|法庭)?(?:告|起诉)我?(?:啊|呀|呗|好了|去吧|我吧)"
    ),
    "en": re.compile(
        r"(?:^|\b(?:so|then|just|well|fine|go ahead(?: and)?|go on(?: and)?) )(?:take|drag|haul) me to (?:the )?court\b"
        r"|\b(?:take|drag|haul) me to (?:the )?court (?:then|and see|if you (?:want|like|dare)|i dare|see if)\b"
        r"|\b(?:so|then|go ahead(?: and)?|go on(?: and| then)?) sue me\b"
        r"|\bsue me (?:then|see if|and see|i dare|go on)\b|^sue me$"
    ),
}
"""To dare the lender to sue is to refuse: nobody is represented, and no question is asked."""


_ASKS_ABOUT_ANOTHER = {
    "zh": re.compile(
        r"(?:怎么|那|所以|啊|哎)*(?:他|她|我(?:老公|老婆|爱人|爸|妈|儿子|女儿|哥|弟|姐|妹|同事|朋友))(?:是不是|是否|到底|真的?|也|还)*(?:欠|差)(?:了|着)?(?:你们?|别人|人家|银行)?(?:了)?(?:多少|什么|很多)?(?:钱|款|债)?(?:了)?(?:吗|啊|啦|么|呀|呢|是吧|是不是)*"
    ),
    "en": re.compile(
        r"(?:(?:so|wait|what|why|hold on|and|but) )*(?:does|do|did|is|has|how much does|what does) (?:he|she|they|my \w+)(?: actually| really| still)? (?:owe|behind|in debt|in trouble|in arrears|borrowed?|taken? out)\b.{0,40}"
    ),
}
"""Somebody else asks what this is about: no dispute of a debt."""


def read_in_context(text: str, lang: str, expects: str | None, slots: dict[str, Slot], leading: str) -> str | None:
    """The intent that the context gives a short answer, ``None`` where it has no say.

    ``leading`` is the intent that the words alone suggest: a bare date does not override "I refuse".
    """
    bare = core(text, lang)
    if _NOT_UNWILLING[lang].fullmatch(bare):
        return "promise_to_pay"
    if _DARES[lang].search(plain(fold(text).text).replace(" ", "") if lang == "zh" else plain(fold(text).text)):
        return "refuse_to_pay"
    if _CUT_OFF[lang].fullmatch(bare):
        return "repeat_request"
    if expects != "identity" and _ASKS_ABOUT_ANOTHER[lang].fullmatch(bare):
        return "ask_details"
    said = polarity(text, lang)
    if said == "yes":
        return "confirm_identity" if expects == "identity" else "affirm"
    if said == "no":
        return "deny_identity" if expects == "identity" else "deny"
    if said == "self" and expects == "identity":
        return "confirm_identity"
    if expects == "identity" and leading in _MAY_NAME_SELF and _names_self(text, lang):
        return "confirm_identity"
    if expects in ("date", "amount", "date_amount") and reports_payment(text, lang):
        return "already_paid"
    if expects == "digits" and "digits" in slots and _says_little_else(text, lang, [slots["digits"]]):
        return "affirm"
    if expects in ("amount", "date_amount") and "amount" in slots and _left(text, lang, [slots["amount"]]) == 0:
        return "promise_to_pay"
    if expects in ("date", "amount", "date_amount") and leading in _ANSWERS_A_DATE:
        answer = [slots[k] for k in ("date", "amount") if k in slots]
        if answer and _says_little_else(text, lang, list(slots.values())):
            return "promise_to_pay"
    return None
