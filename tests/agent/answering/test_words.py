"""What machines say, and what people answer the phone with: nobody is hung up on for their words."""

from __future__ import annotations

import pytest

from agent.answering import AnswerDetector, machine_in
from agent.answering.detector import LONG_OPENING

VOICEMAIL = [
    "您好，您所拨打的用户暂时无法接听，请在哔声后留言，留言结束请挂机。",
    "这里是语音信箱，请在听到提示音后留言",
    "我现在不方便接听，请留言，我会尽快给您回复",
    "Hi, this is Dana. I can't come to the phone right now, leave your name and number and I'll call you back.",
    "You've reached the voice mailbox of five five five zero one two three. At the tone, please record your message.",
    "Please leave a message after the beep",
    "Sorry, nobody is available to take your call. When you have finished recording, you may hang up or press 1.",
]
ANNOUNCEMENTS = [
    ("您好，您拨打的用户正在通话中，请稍后再拨。Sorry, the subscriber you dialed is busy now", "busy"),
    ("您好，您拨打的电话已关机。", "switched_off"),
    ("对不起，您拨打的电话已停机。Sorry, the number you dialed is out of service.", "out_of_service"),
    ("您好，您拨打的号码是空号，请核对后再拨。", "no_such_number"),
    ("您拨打的用户暂时无人接听，请稍后再拨", "no_answer"),
    ("The number you have dialled is not in service. Please check the number and dial again.", None),
    ("The mobile customer you are calling cannot be reached at the moment", "switched_off"),
    ("The person you are calling is not answering. Please try again later.", "no_answer"),
]
SCREENING = [
    "您好，我是机主的智能助理，机主现在不方便接听，请问您是哪位，有什么事情我可以转告他",
    "Hi, the person you're calling is using a screening service. Go ahead and say your name and why you're calling.",
]
PEOPLE = [
    "喂",
    "喂你好",
    "你好哪位",
    "哪位啊",
    "谁啊",
    "你是谁",
    "喂喂听得到吗",
    "我是张明",
    "是我你说",
    "对我就是",
    "什么事",
    "我现在在开车",
    "我在开会晚点再打",
    "你打错了",
    "没有这个人",
    "他不在",
    "他出去了你有什么事吗",
    "我是他老婆",
    "我不需要谢谢",
    "喂你好请问你找谁",
    "你说吧我听着呢",
    "不好意思刚才信号不好你再说一遍",
    "我手机快没电了",
    "我这边忙着呢有话快说",
    "你是不是骗子",
    "别再打了",
    "我已经还了",
    "我这个月真的没钱",
    "我等一下打给你",
    "留个电话吧我让他回你",
    "哎等一下啊",
    "我电话刚停机刚交的费",
    "他手机关机了你打我这个没用",
    "我在医院呢",
    "你们是银行的吗",
    "谁给你我的号码的",
    "Hello?",
    "Hello, who's this?",
    "Yes?",
    "Speaking.",
    "This is Alex.",
    "Yeah this is he, what's up",
    "Who is calling please",
    "You have the wrong number",
    "He's not here right now",
    "Can I take a message?",
    "Sorry, I'm driving, can you call back?",
    "I'm busy right now",
    "Hang on a second",
    "Hold on let me get him",
    "She can't talk right now, she's at work",
    "What do you want",
    "Are you a robot?",
    "I already paid that",
    "Stop calling me",
    "Is this about my loan?",
    "Good morning, Miller residence",
    "Can you hear me? Hello?",
    "Say that again please",
    "I lost my job, I can't pay",
    "My phone was off all day, sorry",
    "I was on another call",
    "Leave me alone",
    "Give me your number, I'll ring you",
]


@pytest.mark.parametrize("text", VOICEMAIL)
def test_voicemail(text: str) -> None:
    machine = machine_in(text)
    assert machine is not None and machine.kind == "voicemail"


@pytest.mark.parametrize(("text", "detail"), ANNOUNCEMENTS)
def test_announcements(text: str, detail: str | None) -> None:
    machine = machine_in(text)
    assert machine is not None and machine.kind == "announcement"
    assert detail is None or machine.detail == detail


@pytest.mark.parametrize("text", SCREENING)
def test_screening(text: str) -> None:
    machine = machine_in(text)
    assert machine is not None and machine.kind == "screening"


@pytest.mark.parametrize("text", PEOPLE)
def test_people_are_people(text: str) -> None:
    assert machine_in(text) is None
    answer = AnswerDetector().speech(text, 1.2, "other", 0.5)
    assert answer is not None and answer.who == "person"


def test_length_alone_makes_no_machine() -> None:
    detector = AnswerDetector()
    assert (
        detector.speech("well hello there I was just thinking about you lot", LONG_OPENING + 3, "greeting", 0.9) is None
    )
    assert detector.speech("", LONG_OPENING + 3, None) is None


def test_speech_then_a_beep_is_voicemail_and_a_lone_beep_is_not() -> None:
    detector = AnswerDetector()
    assert detector.tone("beep") is None
    detector = AnswerDetector()
    detector.speech("you have reached the millers we are out sailing", LONG_OPENING + 1, "other", 0.4)
    answer = detector.tone("beep")
    assert answer is not None and answer.who == "voicemail" and answer.beeped


def test_a_machine_is_never_unmade() -> None:
    detector = AnswerDetector()
    detector.tone("fax")
    answer = detector.speech("hello", 1.0, "greeting", 0.9)
    assert answer is not None and answer.who == "fax"


def test_a_person_who_turns_out_to_be_a_machine() -> None:
    detector = AnswerDetector()
    detector.speech("hello", 0.8, "greeting", 0.9)
    answer = detector.speech("please leave a message after the tone", 3.0, "voicemail", 0.9)
    assert answer is not None and answer.who == "voicemail"
