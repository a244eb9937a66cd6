"""Carriers that misbehave: each ends its own call alone, and what was recorded stays."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import Callable
from typing import Any

import pytest
import websockets

from agent.case import demo_case
from agent.demo import daytime, demo_call, serving
from agent.desk import CallDesk, PreparedCall
from agent.errors import CallgateError
from agent.telephony.simulator import Fault, load_scenario, run_call
from archive.repository import CallRepository

REFUSED = ("wrong_token",)
BEFORE_START = ("early_media", "wrong_rate")


async def expected_call(desk: CallDesk) -> PreparedCall:
    case = demo_case("en")
    return await desk.prepare(case, "en", at=daytime(case), label="bad carrier")


FAULTY = [
    ("malformed_json", 3.0),
    ("oversized", 3.0),
    ("binary", 3.0),
    ("go_silent", 2.0),
    ("drop", 3.0),
]


@pytest.mark.timeout(240)
def test_each_fault_ends_its_own_call_and_no_other(desk: CallDesk, run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving(desk) as base_url:
            healthy = asyncio.create_task(demo_call(desk, base_url, "en", "wrong_number", seed=3))

            async def faulty(kind: str, at: float) -> tuple[PreparedCall, Any]:
                call = await expected_call(desk)
                url = base_url + desk.expect(call)
                scenario = load_scenario("silence", "en")
                report = await run_call(url, scenario, seed=1, out_dir=None, faults=[Fault(kind, at)], max_seconds=30)
                async with asyncio.timeout(20):
                    outcome = await call.outcome
                return call, (report, outcome)

            for call, (_, outcome) in await asyncio.gather(*(faulty(kind, at) for kind, at in FAULTY)):
                assert outcome.disposition in ("failed", "hung_up"), call.label
                with wave.open(str(outcome.recording)) as recording:
                    assert recording.getnframes() > 8000  # the seconds before the fault are kept
                with desk.database.read() as session:
                    row = CallRepository(session).call(call.call_id)
                    assert row is not None and row.status == "ended"
            assert (await healthy).document["disposition"] == "wrong_number"

    run(scene())


@pytest.mark.timeout(120)
def test_a_stream_that_starts_wrong_is_refused_with_a_reason(desk: CallDesk, run: Callable[..., Any]) -> None:
    async def scene() -> None:
        async with serving(desk) as base_url:
            for kind, words in (("early_media", "media message before start"), ("wrong_rate", "sampleRate is 16000")):
                call = await expected_call(desk)
                url = base_url + desk.expect(call)
                await run_call(url, load_scenario("silence", "en"), seed=1, out_dir=None, faults=[Fault(kind, 0.0)])
                with pytest.raises(CallgateError, match=words):
                    await call.outcome

    run(scene())


@pytest.mark.timeout(60)
def test_a_socket_without_its_own_fresh_token_is_refused(desk: CallDesk, run: Callable[..., Any]) -> None:
    async def status(url: str) -> int:
        try:
            async with websockets.connect(url, proxy=None):
                return 101
        except websockets.InvalidStatus as e:
            return e.response.status_code

    async def scene() -> None:
        async with serving(desk) as base_url:
            call = await expected_call(desk)
            path = desk.expect(call)
            flipped = path[:-1] + ("A" if path[-1] != "A" else "B")
            assert await status(base_url + "/media/twilio/nonsense") == 403
            assert await status(base_url + flipped) == 403
            assert await status(base_url + "/") in (403, 404)
            assert await status(base_url + path) == 101
            assert await status(base_url + path) == 403  # used
            with pytest.raises(CallgateError):
                await call.outcome  # that one connection never sent its start

    run(scene())
