# ruff: noqa: E501 - tables, one entry a line
"""What the words of a turn so far say about whether it is over, given what the agent had asked.

Pure. Three readings, in order: an answer to what was asked is complete; a text that breaks off (a conjunction, a
hesitation, "next", two of four digits) is unfinished; anything else is open, and the voice decides.
"""

from __future__ import annotations

import re
from datetime import date

from agent.events import Expects, Lang
from asr.guards import units
from asr.turns import Evidence
from sentiment.context import core, polarity, read_in_context, reports_payment
from sentiment.slots import Slot, SlotContext, extract
from sentiment.text import fold, plain

DIGITS_WANTED = 4
"""Digits of the secret that every script verifies by: the last four of an identity number."""
_DAY = date(2026, 1, 5)
"""Slots are only looked for here, not resolved: any day will do."""

_HESITATION: dict[Lang, re.Pattern[str]] = {
    "zh": re.compile(
        r"(?:呃+|额+|嗯+|唔+|那个|这个|就是|就是说|然后|怎么说呢?|等等啊?|等一下啊?|稍等(?:一下)?|等会儿?|我想想|我想一下|我看看|让我想想|让我看看|让我看一下|我看一下|等我看看|我算算|我算一下|(?:号码?|位|数字?)是)$"
    ),
    "en": re.compile(
        r"\b(?:um+|uh+|er+|erm|hmm+|you know|i mean|let me see|let me think|let me check|let's see|let me look|hold on|(?<!')wait|(?:just )?(?:a|one) (?:second|sec|moment|minute)|(?<!as )well|like)$"
    ),
}
"""A turn that ends in one of these goes on."""

_OPEN_END: dict[Lang, re.Pattern[str]] = {
    "zh": re.compile(
        r"(?:因为|所以|但是?|可是|不过|而且|还有|或者|如果|要是|比如|以及|虽然|除非|等到|等我|大概|大约|(?<!不)可能|也许|差不多|(?<!么)打算|准备|希望|想要|(?:^|[我你您们])(?:能不能|可不可以|会不会)"
        r"|觉得|我们?|你们|咱们?|他们|(?<![不我也还正都])在|把|被|跟|和|给|从|向|(?<!以)为|每|就|才|先|再|也|都|最|很|太|比较|的话|一个|那|这|第"
        r"|(?<![一二两三四五六七八九十几好])下个?|我[想要得]|(?:这|下|下下|上)个?(?:周|星期|礼拜|月)|[一二三四五六七八九十]月份?)$"
    ),
    "en": re.compile(
        r"\b(?:and|or|but|because|cause|'cause|since|so that|if|when|while|until|till|unless|although|than|which|whose|the|a|an|my|your|his|our|their|its|every|each"
        r"|of|into|onto|between|during|next|this coming|in the|on the|at|by|around|about|just|also|very|i|we|they|he's|she's|it's|i'm|i'll|i'd|i've|we're|we'll|you're|you've|they're|there's|that's"
        r"|(?<!as )(?<!if )(?<!all )(?<!when )(?<!what )(?<!than )i (?:can|could|will|would|might|should|must|want|need|was|had)|we (?:can|could|will|would)"
        r"|going to|trying to|like to|able to|would like|have to|need to|supposed to|\S+ (?:maybe|probably|perhaps)|the (?:twenty|thirty)"
        r"|(?:january|february|march|april|june|july|august|september|october|november|december)(?: the)?)$"
    ),
}
"""A clause that ends in one of these lacks its rest."""

_STRANDED_EN = re.compile(r"^(?:so |and |but |well |okay |ok |sorry )?(?:what|who|whom|where|which|whose|how)\b")
"""English questions and refusals may end in a preposition: "what is this about", "I don't want to"."""
_ELLIPSIS_EN = re.compile(
    r"\b(?:don't|do not|didn't|never|won't|can't|not) (?:want to|have to|need to|going to|like to)$|\b(?:yes|no|sure|of course|yeah) (?:i|we) (?:can|could|will|would|might|should|must|have|had|was)$|\b(?:who|where|what|how) (?:i|we|they|it|he|she)$"
)

_BRIEF: dict[Lang, re.Pattern[str]] = {
    "zh": re.compile(
        r"(?:[嗯恩唔哼对是好行成不没有喂啊哦噢]|好的|好吧|是的|对的|不是|没有|行吧|可以|你好|您好|喂?你好|喂+|不行|不对|ok|okay)+"
    ),
    "en": re.compile(
        r"(?:yes|yeah|yep|yup|no|nope|nah|okay|ok|sure|right|alright|all right|well|hello|hi|hey|sorry|what|oh|uh huh|uh-huh|mhm|mm hmm|fine|good)(?: (?:yes|yeah|no|okay|hello|hi|sure|sir|ma'am))*"
    ),
}
"""Answers of one breath that people often follow with what they mean."""

_NUMBER_END: dict[Lang, re.Pattern[str]] = {
    "zh": re.compile(r"[零〇一二两三四五六七八九十百千万幺\d]$"),
    "en": re.compile(
        r"(?:\d|\b(?:zero|oh|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety|hundred|thousand))$"
    ),
}
_WHY_ZH = re.compile(r"^(?:那|你们?|可是|但是?)*(?:为什么|为啥|凭什么|干嘛|干吗|怎么).{2,}")
_QUESTION: dict[Lang, re.Pattern[str]] = {
    "zh": re.compile(r"(?:吗|么|什么事|是谁|哪位|哪里|哪儿|多少钱?|怎么办|为什么|干嘛|干什么|什么意思)[啊呀呢]?$"),
    "en": re.compile(
        r"^(?:so |and |but |well |okay |sorry )?(?:who(?:'s| is| are| am)|what(?:'s| is| do| are| was)|why|where|when|how|are you|is this|is it|am i|can i|could i|can you|could you|do you|did you|may i|will you|would you)\b(?: \S+){2,}"
    ),
}


def evidence(text: str, lang: Lang, expects: Expects | None) -> Evidence:
    """Read ``text``, a transcript that ends in a pause; ``expects`` is what the agent's last line asked for.

    Empty text is ``open``: somebody makes a sound, and there is no telling.
    """
    broken_off = text.rstrip().endswith(("...", "…", "-", "—", ",", "，", "、"))
    said = plain(fold(text).text)
    said = said.replace(" ", "") if lang == "zh" else said
    if not said:
        return "open"
    if expects == "digits" and not _WHY_ZH.search(said):
        return _digits(said, text, lang)
    if _WHY_ZH.search(said):
        return "complete"
    if _only_hesitates(said, text, lang):
        return "unfinished"
    if (answer := _answer(said, text, lang, expects)) is not None:
        return answer
    if broken_off or breaks_off(said, lang):
        return "unfinished"
    if _QUESTION[lang].search(said):
        return "complete"
    return "open"


def breaks_off(said: str, lang: Lang) -> bool:
    """Whether folded text without punctuation ends in the middle of a clause, or in a hesitation."""
    if _HESITATION[lang].search(said):
        return True
    if lang == "en" and (_STRANDED_EN.search(said) or _ELLIPSIS_EN.search(said)):
        return False
    return bool(_OPEN_END[lang].search(said))


def _only_hesitates(said: str, text: str, lang: Lang) -> bool:
    """A trailing hesitation, but for the "嗯" that is a yes."""
    return bool(_HESITATION[lang].search(said)) and polarity(text, lang) is None


def _digits(said: str, text: str, lang: Lang) -> Evidence:
    """Digits come in groups: fewer than wanted are not all of them."""
    slot = _slots(text, lang, "digits").get("digits")
    if slot is None:
        if breaks_off(said, lang) or _NUMBER_END[lang].search(said):
            return "unfinished"
        return _answer(said, text, lang, "yes_no") or "open"
    count = max((len(value) for value in (slot.value, *slot.candidates) if value), default=0)
    if count < DIGITS_WANTED:
        return "unfinished"
    return "complete" if count == DIGITS_WANTED and not breaks_off(said, lang) else "open"


def _answer(said: str, text: str, lang: Lang, expects: Expects | None) -> Evidence | None:
    """How complete an answer to the question the text is; ``None`` where it is none."""
    if said in ("this is", "that is"):
        return "unfinished"
    if polarity(text, lang) is not None:
        return "brief" if _BRIEF[lang].fullmatch(said) or _BRIEF[lang].fullmatch(core(text, lang)) else "complete"
    if expects in ("date", "amount", "date_amount") and not breaks_off(said, lang):
        if reports_payment(text, lang):
            return "open"  # "I paid already": by what means, and when, often follows
        return _date_amount(said, _slots(text, lang, expects), lang, expects)
    if (
        expects in ("identity", "yes_no")
        and not breaks_off(said, lang)
        and read_in_context(text, lang, expects, _slots(text, lang, expects), "other") is not None
    ):
        return "complete"
    return "brief" if _BRIEF[lang].fullmatch(said) else None


def _date_amount(said: str, slots: dict[str, Slot], lang: Lang, expects: Expects) -> Evidence | None:
    """A date or sum that was asked for, and whether more of it may come."""
    wanted = {"date": ("date",), "amount": ("amount",), "date_amount": ("date", "amount")}[expects]
    found = [slots[name] for name in wanted if name in slots]
    if not found:
        return None
    if len(found) < len(wanted) or any(slot.value is None for slot in found):
        return "open"
    if "amount" in wanted and _NUMBER_END[lang].search(said):
        return "open"  # "three thousand": five hundred may follow
    return "complete"


def _slots(text: str, lang: Lang, expects: Expects) -> dict[str, Slot]:
    return extract(text, lang, SlotContext(today=_DAY, expects=expects))


# talking over the agent -------------------------------------------------------------------------------------------

_BACK_CHANNEL: dict[Lang, re.Pattern[str]] = {
    "zh": re.compile(
        r"(?:[嗯恩唔哼啊哦噢喔诶哎欸呃额对是好行呀吧的]|嗯哼|我(?=知道|明白|了解)|好的|好吧|好嘞|是的|是吗|是吧|对的|对啊|行吧|知道了?|明白了?|了解了?|这样(?:啊|子)?|没错|可以|ok|okay|yes|yeah|uh|huh|um|hmm|mm)+"
    ),
    "en": re.compile(
        r"(?:(?:uh|huh|um+|hm+|mm+|mhm|uh-huh|hmm|mmhmm|oh|ah|er|yes|yeah|yep|yup|ya|ok|okay|right|alright|all right|sure|i see|got it|understood|good|fine|great|true|of course|really|嗯|哦|啊|哎)(?:\s+|$))+"
    ),
}


def is_back_channel(text: str, lang: Lang) -> bool:
    """Whether ``text``, said while the agent talks, only shows that the person listens: no wish to speak."""
    said = plain(fold(text).text)
    return not said or bool(_BACK_CHANNEL[lang].fullmatch(said.replace(" ", "") if lang == "zh" else said))


def talks_over(text: str, lang: Lang) -> bool:
    """Whether ``text``, said while the agent talks, is meant: at least a word that is no back-channel.

    Words are characters in Mandarin, of which one alone may be half a word; in English a word is one.
    """
    return not is_back_channel(text, lang) and len(units(plain(fold(text).text))) >= (2 if lang == "zh" else 1)
