"""A process that cannot keep time places fewer calls, one after the other, and more again when it can."""

from __future__ import annotations

import asyncio
import time

import pytest

from agent import campaigning_pulse
from agent.campaigning_pulse import GOOD, Pulse, pulse

IN_TIME, TOO_LATE = [0.01] * 80, [0.01] * 70 + [0.4] * 10


def test_one_call_fewer_than_there_are_and_one_more_after_good_spells() -> None:
    live = 6
    made = Pulse(8, lambda: live)
    made.judge(IN_TIME)
    assert made.room == 8
    made.judge(TOO_LATE)
    assert made.room == 5, "fewer than the six that there are, not than the eight that there might be"
    live = 5
    made.judge(TOO_LATE)
    assert made.room == 4
    for _ in range(GOOD):
        made.judge(IN_TIME)
    assert made.room == 5
    for _ in range(GOOD * 10):
        made.judge(IN_TIME)
    assert made.room == 8, "never more than the agents"


def test_there_is_always_room_for_one() -> None:
    made = Pulse(8, lambda: 0)
    made.judge(TOO_LATE)
    assert made.room == 4, "nobody speaks yet: half as many"
    for _ in range(4):
        made.judge(TOO_LATE)
    assert made.room == 1
    kept = made.kept()
    assert (kept.windows, kept.late, kept.least) == (5, 5, 1) and kept.p95 == pytest.approx(0.4)


def test_a_single_late_look_is_nobodys_matter() -> None:
    made = Pulse(8, lambda: 8)
    made.judge([0.0] * 79 + [2.0])
    assert made.room == 8 and made.kept().late == 0


async def test_a_loop_that_is_held_up_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(campaigning_pulse, "WINDOW", 0.5)
    async with pulse(4, lambda: 4) as made:
        async with asyncio.timeout(20):
            while made.kept().late == 0:
                time.sleep(0.3)  # noqa: ASYNC251 - what a busy machine does to the loop
                await asyncio.sleep(0.001)
    assert made.room < 4
