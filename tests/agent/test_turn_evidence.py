"""What is over, what may be, what cannot be: sentences on one side, the reading they must get on the other."""

from __future__ import annotations

import pytest

from agent.events import Expects, Lang
from agent.turn_evidence import evidence, is_back_channel, talks_over


@pytest.mark.parametrize(
    ("lang", "expects", "text"),
    [
        ("zh", "identity", "我就是"),
        ("zh", "identity", "是我"),
        ("zh", "yes_no", "对没错"),
        ("zh", "yes_no", "可以没问题"),
        ("zh", "digits", "四零七二"),
        ("zh", "digits", "后四位是4072"),
        ("zh", "date", "下周三"),
        ("zh", "date_amount", "十五号还两千块"),
        ("zh", "open", "你们是什么公司，你是谁"),
        ("zh", "digits", "你为什么要这个"),
        ("zh", "date_amount", "可以分期还吗"),
        ("en", "identity", "Yes, speaking."),
        ("en", "yes_no", "Yes, that's right."),
        ("en", "yes_no", "yes i can"),
        ("en", "digits", "It's four zero seven two."),
        ("en", "digits", "4 0 7 2"),
        ("en", "date", "on the fifteenth"),
        ("en", "date_amount", "I will pay three hundred fifty dollars next Friday."),
        ("en", "open", "what is this about"),
        ("en", "date_amount", "can i pay in instalments"),
    ],
)
def test_answers_are_complete(lang: Lang, expects: Expects, text: str) -> None:
    assert evidence(text, lang, expects) == "complete"


@pytest.mark.parametrize(
    ("lang", "expects", "text"),
    [
        ("zh", "date", "我下周"),
        ("zh", "date", "下个月"),
        ("zh", "date", "十二月"),
        ("zh", "date_amount", "我大概"),
        ("zh", "open", "我最近失业了，所以"),
        ("zh", "open", "那个"),
        ("zh", "open", "我想想"),
        ("zh", "yes_no", "呃"),
        ("zh", "identity", "等一下"),
        ("zh", "digits", "四零"),
        ("zh", "digits", "后四位是"),
        ("zh", "digits", "后四位是四零七"),
        ("zh", "amount", "我先还，"),
        ("en", "date", "next"),
        ("en", "date", "in the"),
        ("en", "date", "on december"),
        ("en", "open", "I lost my job and"),
        ("en", "open", "because I"),
        ("en", "open", "um"),
        ("en", "date_amount", "I will pay three hundred fifty dollars next"),
        ("en", "open", "I will pay..."),
        ("en", "digits", "four zero"),
        ("en", "digits", "it's"),
        ("en", "identity", "hold on"),
        ("en", "identity", "this is"),
    ],
)
def test_half_sentences_are_unfinished(lang: Lang, expects: Expects, text: str) -> None:
    assert evidence(text, lang, expects) == "unfinished"


@pytest.mark.parametrize(
    ("lang", "expects", "text"),
    [
        ("zh", "identity", "是"),
        ("zh", "yes_no", "嗯"),
        ("zh", "yes_no", "好的"),
        ("zh", None, "喂你好"),
        ("en", "identity", "yes"),
        ("en", "yes_no", "okay"),
        ("en", None, "Hello?"),
        ("en", "date_amount", "no"),
    ],
)
def test_single_words_leave_room_for_more(lang: Lang, expects: Expects | None, text: str) -> None:
    assert evidence(text, lang, expects) == "brief"


@pytest.mark.parametrize(
    ("lang", "expects", "text"),
    [
        ("zh", "date_amount", "我没钱还"),
        ("zh", "date_amount", "我下周三还"),  # how much?
        ("zh", "amount", "三千"),  # five hundred?
        ("zh", "identity", "他不在"),
        ("zh", "open", "不可能的事"),
        ("zh", "digits", "我不记得了"),
        ("en", "date_amount", "I can pay five hundred"),
        ("en", "date_amount", "I can't afford it"),
        ("en", "date_amount", "I don't want to"),
        ("en", "open", "as soon as I can"),
        ("en", "date_amount", "I paid it yesterday"),
        ("en", "open", ""),
    ],
)
def test_the_rest_is_open(lang: Lang, expects: Expects, text: str) -> None:
    assert evidence(text, lang, expects) == "open"


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        *(
            ("zh", t)
            for t in ("嗯", "嗯嗯", "好的", "好的好的", "对对对", "是的", "哦", "我知道了", "嗯，明白", "是吗")
        ),
        *(("en", t) for t in ("uh-huh", "Mm-hmm.", "yeah", "okay", "right", "yes, okay, I see", "got it", "Sure.")),
    ],
)
def test_back_channels_do_not_interrupt(lang: Lang, text: str) -> None:
    assert is_back_channel(text, lang)
    assert not talks_over(text, lang)


@pytest.mark.parametrize(
    ("lang", "text"),
    [
        *(("zh", t) for t in ("等一下", "不是", "你先听我说", "好的但是我没钱", "我已经还了", "什么意思")),
        *(("en", t) for t in ("wait", "Stop.", "no", "okay but listen", "hello?", "I already paid")),
    ],
)
def test_real_interruptions_do(lang: Lang, text: str) -> None:
    assert talks_over(text, lang)


def test_one_chinese_character_is_not_yet_a_word() -> None:
    assert not talks_over("我", "zh")
    assert not talks_over("", "zh")
    assert not talks_over("...", "en")
