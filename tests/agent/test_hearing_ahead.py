"""Understanding that begins in the pause, and the borrower who speaks another language than the script."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, cast

import numpy as np
import pytest

from agent.clock import CallClock
from agent.events import Heard, Lang, Span
from agent.frames import GuessFrame, HeardFrame, ListenFrame, UnderstoodFrame
from agent.understanding import Understand
from sentiment.understand import Understander, Understanding
from tests.agent.lines import Collector, Running

SOUND = np.zeros(8000, np.float32)


@dataclass
class Counted:
    """Reads every text as one intent, and remembers what it read."""

    intent: str = "affirm"
    read: list[str] = field(default_factory=list)
    fails: int = 0

    def understand(self, text: str, lang: str, **_: Any) -> Understanding:
        self.read.append(text)
        if self.fails:
            self.fails -= 1
            raise RuntimeError("broken model")
        return Understanding(self.intent, 0.9, ((self.intent, 0.9),))


def heard(text: str, lang: Lang = "zh") -> Heard:
    return Heard(text, lang, Span(1.0, 2.0), (), 0.9)


async def understood(model: Counted, *frames: Any) -> list[Any]:
    out = Collector()
    stage = Understand(
        cast(Understander, model), CallClock(), today=date(2026, 1, 5), time_zone="Asia/Shanghai", currency="CNY",
        amount_due=Decimal("3500"),
    )  # fmt: skip
    wanted = sum(isinstance(frame, HeardFrame) for frame in frames)
    async with Running([stage, out]) as worker:
        for frame in frames:
            await worker.queue_frame(frame)
            await asyncio.sleep(0.01)
        found = await out.wait_for(UnderstoodFrame, wanted)
    assert not out.of(GuessFrame)  # a guess is nobody else's business
    return [frame.understood for frame in found]


async def test_what_was_understood_in_the_pause_is_not_read_again() -> None:
    model = Counted()
    turn = heard("对没错")
    assert [u.intent for u in await understood(model, GuessFrame(turn, SOUND), HeardFrame(turn, SOUND))] == ["affirm"]
    assert model.read == ["对没错"]


async def test_other_words_are_read_anew() -> None:
    model = Counted()
    first, second = heard("我下周"), heard("我下周三还")
    (u,) = await understood(model, GuessFrame(first, SOUND), HeardFrame(second, SOUND))
    assert u.heard is second
    assert model.read == ["我下周", "我下周三还"]


async def test_the_same_words_to_another_question_are_read_anew() -> None:
    model = Counted()
    turn = heard("是")
    await understood(model, GuessFrame(turn, SOUND), ListenFrame("yes_no"), HeardFrame(turn, SOUND))
    assert model.read == ["是", "是"]


async def test_a_guess_serves_one_turn() -> None:
    model = Counted()
    turn = heard("是")
    await understood(model, GuessFrame(turn, SOUND), HeardFrame(turn, SOUND), HeardFrame(turn, SOUND))
    assert model.read == ["是", "是"]


async def test_a_reading_that_failed_in_the_pause_is_tried_again() -> None:
    model = Counted(fails=1)
    turn = heard("是")
    assert len(await understood(model, GuessFrame(turn, SOUND), HeardFrame(turn, SOUND))) == 1


async def test_a_person_who_keeps_to_another_language_is_given_a_human() -> None:
    model = Counted("promise_to_pay")
    turns = [HeardFrame(heard("i will pay", "en"), SOUND, foreign_turns=n) for n in (1, 2)]
    first, second = await understood(model, *turns)
    assert first.intent == "promise_to_pay"
    assert [name for name, _ in second.intents] == ["request_human", "promise_to_pay"]
    assert second.intent == "request_human"


@pytest.mark.parametrize("weighty", ["crisis", "stop_contact", "voicemail", "deny_identity"])
async def test_but_what_weighs_more_is_answered_as_such(weighty: str) -> None:
    (u,) = await understood(Counted(weighty), HeardFrame(heard("stop calling me", "en"), SOUND, foreign_turns=3))
    assert u.intent == weighty
