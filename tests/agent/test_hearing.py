"""Turns, guesses and talking over, on a simulated clock with scripted words."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from agent import hearing
from agent.echo import OwnVoice
from agent.events import Span, Spoken
from agent.frames import (
    BargeInFrame,
    CallerStartedFrame,
    EventFrame,
    FlagFrame,
    GoOnFrame,
    HeardFrame,
    HoldFrame,
    LineStartedFrame,
    NotHeardFrame,
    SpokenFrame,
)
from asr.turns import TurnPolicy
from compliance_checks.approved import ApprovedLine
from tests.agent.hearing_playbook import PACKET, Scripted, Voice, call

AT_ONCE = TurnPolicy().complete + 0.064
"""Seconds: what an answer must be followed by, in whole packets and windows."""


LINE = cast(ApprovedLine, SimpleNamespace(line_id="ask"))
NEXT = cast(ApprovedLine, SimpleNamespace(line_id="next"))


def spoken(line: ApprovedLine) -> SpokenFrame:
    return SpokenFrame(Spoken(line.line_id, "", "", Span(0.0, 1.0)), line)


async def test_an_answer_ends_the_turn_at_once_and_is_decoded_once() -> None:
    model = Scripted({0.2: "对没错"})
    async with call(model) as play:
        await play.expect("yes_no")
        await play.quiet(0.3)
        await play.say(0.8)
        assert await play.wait_until_ended() <= AT_ONCE
        (heard,) = await play.got(HeardFrame)
        assert heard.heard.text == "对没错"
        assert heard.heard.span.end - heard.heard.span.start == pytest.approx(0.8, abs=0.07)
        assert len(model.heard) == 1
        assert len(play.out.of(CallerStartedFrame)) == 1


async def test_half_a_sentence_is_waited_for() -> None:
    model = Scripted({0.2: "我下周", 1.2: "我下周三还三千块"})
    async with call(model) as play:
        await play.expect("date_amount")
        await play.say(0.8)
        await play.quiet(0.9)
        assert not play.out.of(HeardFrame)
        await play.say(0.8)
        assert await play.wait_until_ended() <= AT_ONCE
        (heard,) = await play.got(HeardFrame)
        assert heard.heard.text == "我下周三还三千块"
        assert heard.heard.span.duration == pytest.approx(2.5, abs=0.1)


async def test_half_a_sentence_is_not_waited_for_for_ever() -> None:
    async with call(Scripted({0.2: "我下周"})) as play:
        await play.expect("date_amount")
        await play.say(0.8)
        assert 1.0 <= await play.wait_until_ended() <= 1.25


async def test_digits_are_heard_in_groups() -> None:
    async with call(Scripted({0.2: "四零", 0.9: "四零七二"})) as play:
        await play.expect("digits")
        await play.say(0.5)
        await play.quiet(0.7)
        await play.say(0.5)
        assert await play.wait_until_ended() <= AT_ONCE
        assert [f.heard.text for f in await play.got(HeardFrame)] == ["四零七二"]


async def test_the_voice_decides_an_open_turn() -> None:
    waited = {}
    for probability in (0.95, 0.1):
        voice = Voice(probability)
        async with call(Scripted({0.2: "我最近没有钱"}), voice=voice) as play:
            await play.expect("date_amount")
            await play.say(0.8)
            waited[probability] = await play.wait_until_ended()
            assert voice.asked == 1
    assert waited[0.95] < 0.4 < waited[0.1] < 0.52


async def test_the_voice_is_not_asked_where_the_words_suffice() -> None:
    voice = Voice(0.0)
    async with call(Scripted({0.2: "是我"}), voice=voice) as play:
        await play.expect("identity")
        await play.say(0.5)
        assert await play.wait_until_ended() <= AT_ONCE
        assert voice.asked == 0


async def test_a_pause_that_goes_on_forgets_what_it_was_allowed() -> None:
    async with call(Scripted({0.2: "对没错", 0.6: "我大概", 1.2: "我没有钱"})) as play:
        await play.expect("yes_no")
        await play.say(0.4)
        await play.quiet(0.12)  # too short to end even an answer
        await play.say(0.3)
        await play.quiet(0.8)
        assert not play.out.of(HeardFrame)
        await play.wait_until_ended()
        assert [f.heard.text for f in await play.got(HeardFrame)] == ["我大概"]


async def test_a_turn_ends_though_no_audio_comes_any_more() -> None:
    async with call(Scripted({0.2: "我没有钱还"})) as play:
        await play.say(0.8)
        for _ in range(60):  # packets have stopped: only time passes
            play.clock.t += 0.05
            await asyncio.sleep(hearing.TICK / 2)
            if play.out.of(HeardFrame):
                break
        (heard,) = await play.got(HeardFrame)
        assert heard.heard.text == "我没有钱还"
        assert heard.heard.span.end == pytest.approx(0.8, abs=0.1)
        await play.quiet(0.5)
        await play.say(0.8)  # and they come again
        await play.wait_until_ended()
        later = (await play.got(HeardFrame, 2))[1].heard.span
        assert later.start == pytest.approx(play.clock.t - 0.8, abs=1.0)
        assert later.start > heard.heard.span.end


async def test_a_back_channel_lets_the_agent_talk() -> None:
    for text in ("嗯", "好的", "嗯嗯好的"):
        async with call(Scripted({0.1: text})) as play:
            await play.tell(LineStartedFrame(LINE, 0.0))
            await play.say(0.7)
            await play.wait_until_ended()
            assert not play.out.of(BargeInFrame)
            assert (await play.got(HeardFrame))[0].heard.text == text  # the archive keeps what was said


async def test_a_back_channel_holds_the_line_and_lets_it_go_on() -> None:
    async with call(Scripted({0.1: "嗯"})) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        await play.quiet(0.5)
        began = play.clock.t
        await play.say(0.12)
        (held,) = await play.got(HoldFrame)
        assert held.at - began <= 0.1  # one window, and the packets to fill it
        await play.say(0.28)
        assert not play.out.of(GoOnFrame)
        await play.quiet(0.14)
        (gone_on,) = await play.got(GoOnFrame)
        assert gone_on.at - began <= 0.4 + 0.14
        assert not play.out.of(BargeInFrame)


async def test_an_interruption_holds_the_line_until_it_is_cut() -> None:
    async with call(Scripted({0.25: "等一下"})) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        await play.quiet(0.2)
        await play.say(1.0)
        await play.quiet(1.0)
        kinds = [type(f) for f in play.out.frames if isinstance(f, HoldFrame | GoOnFrame | BargeInFrame)]
        assert kinds == [HoldFrame, BargeInFrame]


async def test_a_click_holds_the_line_for_a_moment() -> None:
    async with call(Scripted({})) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        await play.quiet(0.2)
        await play.say(0.08)
        await play.quiet(0.3)
        kinds = [type(f) for f in play.out.frames if isinstance(f, HoldFrame | GoOnFrame | BargeInFrame)]
        assert kinds == [HoldFrame, GoOnFrame]
        assert not play.out.of(CallerStartedFrame)


async def test_words_that_come_late_still_cut_the_line_that_went_on() -> None:
    async with call(Scripted({0.15: "不是"}, takes=0.1)) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        settle, play.settle = play.settle, lambda: asyncio.sleep(0)  # type: ignore[method-assign]
        await play.say(0.24)
        await play.quiet(0.9)  # simulated: the recogniser has not answered yet
        await settle()
        kinds = [type(f) for f in play.out.frames if isinstance(f, HoldFrame | GoOnFrame | BargeInFrame)]
        assert kinds == [HoldFrame, GoOnFrame, BargeInFrame]


async def test_nothing_is_held_while_the_agent_is_silent() -> None:
    async with call(Scripted({0.2: "我没有钱"})) as play:
        await play.say(0.8)
        await play.wait_until_ended()
        assert not play.out.of(HoldFrame)
        await play.tell(LineStartedFrame(LINE, 2.0))
        await play.quiet(0.5)
        assert not play.out.of(HoldFrame)


async def test_several_back_channels_in_a_row_are_no_interruption() -> None:
    async with call(Scripted({0.1: "嗯好的好的"})) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        await play.say(1.4)
        assert not play.out.of(BargeInFrame)
        await play.say(0.8)  # for ever they may not
        assert len(play.out.of(BargeInFrame)) == 1


async def test_our_own_voice_coming_back_neither_holds_nor_is_heard() -> None:
    own = OwnVoice()
    async with call(Scripted({0.2: "等一下"}), own=own) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        await play.quiet(0.2)
        babble = np.random.default_rng(2).normal(0, 3000, 16000).astype(np.int16)
        begun = play.clock.t
        for at in range(0, len(babble), PACKET):
            own.say(begun + at / 8000 - 0.1, babble[at : at + PACKET])
            await play.send(babble[at : at + PACKET] // 2)
        await play.quiet(0.5)
        assert not [f for f in play.out.frames if isinstance(f, HoldFrame | BargeInFrame | HeardFrame)]
        await play.say(0.6)
        assert [type(f) for f in play.out.frames if isinstance(f, HoldFrame | BargeInFrame)] == [
            HoldFrame,
            BargeInFrame,
        ]


async def test_an_interruption_is_told_as_soon_as_it_has_words() -> None:
    async with call(Scripted({0.25: "等一下"})) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        await play.quiet(0.2)
        began = play.clock.t
        while not play.out.of(BargeInFrame):
            await play.say(0.02)
            assert play.clock.t - began < 0.45
        await play.say(1.5)
        assert len(play.out.of(BargeInFrame)) == 1


async def test_a_short_interruption_is_told_in_the_pause_after_it() -> None:
    async with call(Scripted({0.15: "不是"})) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        await play.say(0.24)
        await play.quiet(0.16)
        assert len(play.out.of(BargeInFrame)) == 1


async def test_words_that_begin_as_a_back_channel_may_go_on_as_an_interruption() -> None:
    async with call(Scripted({0.2: "好的", 0.55: "好的但是我没钱"})) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        await play.say(0.44)
        assert not play.out.of(BargeInFrame)
        await play.say(0.4)
        assert len(play.out.of(BargeInFrame)) == 1


async def test_a_long_sound_without_words_is_an_interruption_too() -> None:
    async with call(Scripted({}, confidence=0.2)) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        await play.say(0.9)
        assert not play.out.of(BargeInFrame)
        await play.say(0.2)
        assert len(play.out.of(BargeInFrame)) == 1


async def test_noise_with_doubtful_words_does_not_interrupt() -> None:
    async with call(Scripted({0.1: "我要投诉"}, confidence=0.4)) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        await play.say(0.8)
        assert not play.out.of(BargeInFrame)


async def test_the_next_line_can_be_interrupted_though_the_last_is_reported_late() -> None:
    async with call(Scripted({0.2: "等一下"})) as play:
        await play.tell(LineStartedFrame(LINE, 0.0))
        await play.tell(LineStartedFrame(NEXT, 1.0))
        await play.tell(spoken(LINE))
        await play.say(0.5)
        assert len(play.out.of(BargeInFrame)) == 1
        await play.tell(spoken(NEXT))
        await play.say(1.5)
        assert len(play.out.of(BargeInFrame)) == 1  # nobody is talked over any more


async def test_a_recogniser_that_fails_costs_one_turn() -> None:
    async with call(Scripted({0.2: "是我"}, fails=1)) as play:
        await play.say(0.5)
        await play.wait_until_ended()
        (not_heard,) = await play.got(NotHeardFrame)
        assert not_heard.reason == "recogniser failed"
        assert [f.payload for f in play.out.of(EventFrame) if f.kind == "hearing_failed"] == [{"error": "RuntimeError"}]
        await play.quiet(0.3)
        await play.say(0.5)
        await play.wait_until_ended()
        assert [f.heard.text for f in await play.got(HeardFrame)] == ["是我"]


@pytest.mark.parametrize(
    ("text", "confidence", "reason"),
    [
        ("请不吝点赞订阅", 0.9, "phantom"),
        ("我没钱", 0.2, "unsure"),
        ("", 0.0, "no words"),
        ("嗯嗯嗯嗯嗯嗯嗯嗯嗯嗯", 0.9, "repetition"),
    ],
)
async def test_what_is_not_believed_is_not_heard(text: str, confidence: float, reason: str) -> None:
    async with call(Scripted({0.2: text}, confidence=confidence)) as play:
        await play.say(0.8)
        await play.wait_until_ended()
        assert [f.reason for f in await play.got(NotHeardFrame)] == [reason]
        assert not play.out.of(HeardFrame)


async def test_a_phantom_over_a_click_is_nothing_at_all() -> None:
    async with call(Scripted({0.05: "谢谢观看"})) as play:
        await play.say(0.2)
        await play.wait_until_ended()
        assert [f.reason for f in await play.got(NotHeardFrame)] == ["no words"]


async def test_one_decode_at_a_time_and_none_for_what_speech_overtook() -> None:
    model = Scripted({0.2: "我大概", 2.0: "我没有钱"}, takes=0.05)
    async with call(model) as play:
        play.settle = lambda: asyncio.sleep(0)  # type: ignore[method-assign]  # time does not wait for the recogniser
        for _ in range(10):
            await play.say(0.3)
            await play.quiet(0.1)
        await play.wait_until_ended()
        (heard,) = await play.got(HeardFrame)
        assert heard.heard.text == "我没有钱"
        assert model.most_at_once == 1
        assert len(model.heard) < 10


async def test_a_slow_recogniser_does_not_hold_the_turn_open() -> None:
    async with call(Scripted({0.2: "我大概"}, takes=1.0)) as play:
        play.settle = lambda: asyncio.sleep(0)  # type: ignore[method-assign]
        await play.say(0.8)
        assert await play.wait_until_ended() == pytest.approx(TurnPolicy().blind, abs=0.05)
        assert [f.heard.text for f in await play.got(HeardFrame)] == ["我大概"]


async def test_another_language_is_told_and_stays() -> None:
    model = Scripted({}, others={"zh": "爱威尔佩", "en": "i will pay on friday"})
    async with call(model) as play:
        for _ in range(3):
            await play.say(1.5)
            await play.wait_until_ended()
            await play.quiet(0.2)
        heard = await play.got(HeardFrame, 3)
        assert [(f.heard.lang, f.foreign_turns) for f in heard] == [("en", 1), ("en", 2), ("en", 3)]
        kinds = [f.kind for f in play.out.of(EventFrame)]
        assert kinds == ["other_language_heard", "language_changed"]
        assert [f.severity for f in play.out.of(FlagFrame)] == ["medium"]
        assert len(model.heard) == 5  # two, two, and then one: it is expected by now
