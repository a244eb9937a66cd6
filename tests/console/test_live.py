"""Live calls: what pages are told, how often, by whom a call may be heard and steered; alerts."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from agent.events import Proposed, Verdict
from agent.live import LiveTurn, News
from agent.live_hub import INTERVAL, Command, LiveEntry, LiveHub
from archive.audit import AuditLog
from archive.writer import CallArchive, NewCall
from console.alerts import Alerts, group_of
from console.context import Context
from console.live_feed import events, shown, sound
from console.live_names import LiveNames

SignIn = Callable[..., httpx.Client]
ACall = Callable[..., str]


def entry(hub: LiveHub, call_id: str = "c1", **options: Any) -> tuple[LiveEntry, list[Command]]:
    commands: list[Command] = []

    async def steer(command: Command) -> None:
        commands.append(command)

    made = LiveEntry(hub, call_id, "zh", steer=steer, **options)
    hub.begin(made)
    return made, commands


def turn(text: str, who: Any = "borrower", emotion: str = "neutral") -> News:
    return News("turn", 1.0, LiveTurn(who, 0.0, 1.0, text, emotion=emotion))


async def taken(source: AsyncIterator[Any], seconds: float) -> list[Any]:
    found = []
    try:
        async with asyncio.timeout(seconds):
            async for each in source:
                found.append(each)
    except TimeoutError:
        pass
    return found


# the hub -------------------------------------------------------------------------------------------------------


async def test_a_call_appears_changes_and_ends() -> None:
    hub = LiveHub(interval=0.01)
    changes = hub.changes()
    call, _ = entry(hub, campaign="autumn")
    assert (await anext(changes))["campaign"] == "autumn"
    call.told(turn("我下周三还", emotion="anxious"))
    told = await anext(changes)
    assert (told["who"], told["text"], told["emotion"]) == ("borrower", "我下周三还", "anxious")
    call.told(turn("好的", "agent"))
    told = await anext(changes)
    assert (told["who"], told["text"], told["emotion"]) == ("agent", "好的", "anxious"), "the borrower's emotion stays"
    call.told(News("flag", 2.0, text="crisis", details={"severity": "critical"}))
    assert (await anext(changes))["flags"] == ({"reason": "crisis", "severity": "critical"},)
    hub.over(call)
    assert await anext(changes) == {"call_id": "c1", "ended": True}
    assert hub.snapshot() == []


async def test_anger_that_is_repeated_is_flagged_once() -> None:
    hub = LiveHub()
    call, _ = entry(hub)
    for emotion in ("angry", "neutral", "frustrated", "angry"):
        call.told(turn("…", emotion=emotion))
    assert [flag["reason"] for flag in hub.snapshot()[0]["flags"]] == ["repeated_anger"]


async def test_fifty_talkative_calls_cost_a_watcher_four_updates_a_second_each() -> None:
    hub = LiveHub()
    calls = [entry(hub, f"c{i}")[0] for i in range(50)]
    slow, watcher = hub.changes(), hub.changes()
    told: Counter[str] = Counter()

    async def watch() -> None:
        async for each in watcher:
            told[each["call_id"]] += 1

    watching = asyncio.create_task(watch())
    loop = asyncio.get_running_loop()
    began = loop.time()
    for n in range(200):  # 50 calls at 200 changes each
        for call in calls:
            call.told(turn(f"{n}"))
        if n % 20 == 19:
            await asyncio.sleep(0.05)
    lasted = loop.time() - began
    await asyncio.sleep(INTERVAL * 2)
    watching.cancel()
    assert len(told) == 50
    assert max(told.values()) <= (lasted + INTERVAL * 2) / INTERVAL + 2, "10,000 changes are not 10,000 updates"
    assert len(slow._noted) == 50, "a watcher that takes nothing holds one note a call"  # type: ignore[attr-defined]
    seen = {each["call_id"]: each["text"] for each in await taken(slow, 0.05)}
    assert seen == {f"c{i}": "199" for i in range(50)}, "and is told the newest, once"


async def test_a_watcher_that_leaves_is_forgotten() -> None:
    hub = LiveHub(interval=0.0)
    call, _ = entry(hub)
    changes = hub.changes()
    await changes.aclose()  # type: ignore[attr-defined]
    call.told(turn("x"))
    assert not changes._noted and await anext(changes, None) is None  # type: ignore[attr-defined]


async def test_listening_mixes_both_sides_and_keeps_no_backlog() -> None:
    hub = LiveHub()
    call, _ = entry(hub)
    ear = hub.sound("c1")
    call.sounded("borrower", np.full(800, 1000, np.int16))
    call.sounded("agent", np.full(1600, 32000, np.int16))
    call.sounded("borrower", np.full(800, 2000, np.int16))
    first, second = np.frombuffer(await anext(ear), "<i2"), np.frombuffer(await anext(ear), "<i2")
    assert set(first) == {32767}, "too loud together is clipped, not wrapped"
    assert set(second) == {32767}
    call.sounded("agent", np.full(800, 5, np.int16))
    call.cut()
    call.sounded("borrower", np.full(400, -7, np.int16))
    assert list(np.frombuffer(await anext(ear), "<i2")) == [-7] * 400 + [0] * 400
    for _ in range(100):  # ten seconds that nobody fetches
        call.sounded("borrower", np.zeros(800, np.int16))
    assert len(ear._sides["borrower"]) == 16000  # type: ignore[attr-defined]
    hub.over(call)
    assert await anext(ear, None) is None
    await ear.aclose()  # type: ignore[attr-defined]
    assert not call.ears
    with pytest.raises(KeyError):
        hub.sound("c1")


async def test_commands_reach_the_call_once() -> None:
    hub = LiveHub()
    _, commands = entry(hub, can_transfer=lambda: False)
    with pytest.raises(ValueError, match="cannot hand"):
        await hub.take_over("c1")
    await hub.end("c1")
    await hub.end("c1")
    assert commands == ["end"] and hub.snapshot()[0]["state"] == "ending"
    with pytest.raises(KeyError):
        await hub.end("nobody")


# events --------------------------------------------------------------------------------------------------------


def parsed(chunk: bytes) -> tuple[str, Any]:
    fields = dict(line.split(": ", 1) for line in chunk.decode().strip().splitlines() if not line.startswith(":"))
    return fields.get("event", ""), json.loads(fields.get("data", "null"))


async def test_a_page_gets_all_calls_then_changes_and_nothing_is_lost_between() -> None:
    hub = LiveHub(interval=0.0)
    call, _ = entry(hub)

    async def yes() -> bool:
        return True

    stream = events(hub, "en", None, yes)
    assert (await anext(stream)).startswith(b"retry:")
    kind, calls = parsed(await anext(stream))
    assert kind == "calls" and [each["call_id"] for each in calls] == ["c1"]
    call.told(turn("line one\nevent: call\ndata: {}"))
    kind, told = parsed(await anext(stream))
    assert kind == "call" and told["text"] == "line one\nevent: call\ndata: {}", "words cannot forge an event"
    await stream.aclose()
    assert len(hub._watchers) == 0


async def test_a_stream_is_kept_alive_and_ends_with_its_session() -> None:
    hub = LiveHub()
    answers = iter([True, False])

    async def allowed() -> bool:
        return next(answers)

    chunks = [chunk async for chunk in events(hub, "zh", None, allowed, keep_alive=0.02)]
    assert chunks[2] == b": alive\n\n" and parsed(chunks[-1])[0] == "closed"
    assert len(hub._watchers) == 0
    _, _ = entry(hub)

    async def never() -> bool:
        return False

    async with asyncio.timeout(20):
        assert [piece async for piece in sound(hub.sound("c1"), never, every=0.0)] == []


def test_names_are_hidden_from_who_need_not_know_as_they_fall(context: Context) -> None:
    names = LiveNames(context.database, None)
    same = {"call_id": "c", "lang": "zh", "started_at": datetime.now(UTC)}
    told = [
        shown({**same, "who": who, "text": text}, "zh", names)["text"]
        for who, text in (
            ("borrower", "谁啊"),
            ("agent", "请问您是马超然本人吗？"),
            ("borrower", "我是马超然，叫我超然就行"),
            ("agent", "谢谢您。我代表安信消费金融，提醒您消费贷款的还款。"),
        )
    ]
    assert told[0] == "谁啊" and "马超然" not in "".join(told) and "超然" not in told[2] and "安信" in told[3]
    clear = {**same, "who": "agent", "text": "请问您是马超然本人吗？"}
    assert shown(clear, "zh", None)["text"] == "请问您是马超然本人吗？"
    names.of({"call_id": "c", "ended": True})
    assert names.of({**same, "who": "borrower", "text": "马超然"}) == (), "an ended call is forgotten"


def test_a_name_that_fell_before_somebody_looked_is_hidden_too(context: Context) -> None:
    with CallArchive.begin(
        context.database, context.home, NewCall("zh", script_id="days_1_15_reminder", models={})
    ) as call:
        call.verdict(Verdict("allow", ""), Proposed("ask_name", "请问您是马超然本人吗？", "zh"))
    live = {"call_id": call.call_id, "lang": "zh", "started_at": datetime.now(UTC), "who": "borrower"}
    names = LiveNames(context.database, None)
    assert shown({**live, "text": "马超然不在"}, "zh", names)["text"].endswith("不在")
    assert "马超然" not in shown({**live, "text": "马超然不在"}, "zh", names)["text"]


def test_numbers_are_hidden_from_who_need_not_know(context: Context) -> None:
    names = LiveNames(context.database, None)
    call = {"call_id": "c", "lang": "zh", "started_at": datetime.now(UTC), "text": "卡号四零七二", "who": "borrower"}
    assert "四零七二" in shown(call, "zh", None)["text"] and "四零七二" not in shown(call, "zh", names)["text"]


# pages ---------------------------------------------------------------------------------------------------------


class Calls:
    """Live calls that stand still."""

    def __init__(self) -> None:
        self.commands: list[tuple[str, str]] = []

    def snapshot(self) -> Sequence[Mapping[str, Any]]:
        flag = {"reason": "crisis", "severity": "critical"}
        text = "<img src=x onerror=alert(1)> 我的电话是 13800138000"
        return [
            {"call_id": "c-1", "lang": "zh", "started_at": datetime.now(UTC), "campaign": "autumn", "emotion": "angry",
             "who": "borrower", "text": text, "flags": (flag,), "state": "live", "can_take_over": True}
        ]  # fmt: skip

    async def changes(self) -> AsyncIterator[Mapping[str, Any]]:
        yield {"call_id": "c-1", "ended": True}

    def sound(self, call_id: str) -> AsyncIterator[bytes]:
        if call_id != "c-1":
            raise KeyError(call_id)

        async def pieces() -> AsyncIterator[bytes]:
            yield b"\x01\x00" * 800
            yield b"\x02\x00" * 800

        return pieces()

    async def end(self, call_id: str) -> None:
        self.commands.append(("end", call_id))

    async def take_over(self, call_id: str) -> None:
        raise ValueError("this call's carrier cannot hand the person over")


@pytest.fixture
def live(context: Context) -> Calls:
    context.live = calls = Calls()
    return calls


def test_the_page_says_where_no_calls_run(sign_in: SignIn) -> None:
    client = sign_in("supervisor")
    assert "No calls run in this process" in client.get("/live").text
    assert client.get("/events/live").status_code == 204
    assert client.get("/live/x/sound").status_code == client.post("/live/x/end").status_code == 404


def test_the_page_shows_calls_to_each_role_as_it_may_see_them(sign_in: SignIn, live: Calls) -> None:
    page = sign_in("supervisor").get("/live").text
    assert "13800138000" in page and "<img src=x" not in page and "sev4" in page and " style=" not in page
    assert 'action="/live/c-1/end"' in page and "data-listen" in page
    watching = sign_in("auditor").get("/live").text
    assert "13800138000" not in watching and 'action="/live/' not in watching
    stream = sign_in("auditor").get("/events/live")
    assert stream.headers["content-type"].startswith("text/event-stream") and "13800138000" not in stream.text
    assert [parsed(f"{c}\n\n".encode())[0] for c in stream.text.strip().split("\n\n")] == ["", "calls", "call"]


def test_listening_ending_and_taking_over_are_audited(sign_in: SignIn, live: Calls, context: Context) -> None:
    client = sign_in("supervisor")
    heard = client.get("/live/c-1/sound")
    assert heard.headers["content-type"] == "audio/wav" and heard.content[:4] == b"RIFF"
    assert len(heard.content) == 44 + 3200 and heard.content[44:48] == b"\x01\x00\x01\x00"
    assert client.post("/live/c-1/end").status_code == 303 and live.commands == [("end", "c-1")]
    refused = client.post("/live/c-1/take-over", headers={"accept": "application/json"})
    assert refused.status_code == 409 and "cannot hand" in refused.json()["error"]
    assert client.get("/live/c-2/sound").status_code == client.post("/live/c-2/end").status_code == 404
    with context.database.read() as session:
        done = [(e.kind, e.actor) for e in AuditLog(session).entries(subject="c-1")]
        assert AuditLog(session).entries(subject="c-2") == []
    assert done == [(kind, "supervisor") for kind in ("live.taken_over", "live.ended", "live.listened")]
    assert sign_in("auditor").get("/live/c-1/sound").status_code == 403


# alerts --------------------------------------------------------------------------------------------------------


def flagged(context: Context, *flags: tuple[str, str], age: timedelta = timedelta()) -> str:
    new = NewCall(lang="zh", started_at=datetime.now(UTC) - age, models={})
    call = CallArchive.begin(context.database, context.home, new, clock=lambda: 4.0)
    for reason, severity in flags:
        call.flag(reason, severity)  # type: ignore[arg-type]
    call.close()
    return call.call_id


def test_alerts_wait_until_somebody_takes_note(sign_in: SignIn, context: Context) -> None:
    crisis = flagged(context, ("crisis", "critical"), ("long_silence", "low"))
    refused = flagged(context, ("refused utterance", "critical"), ("line_refused:greeting", "medium"))
    flagged(context, ("complaint", "medium"), age=timedelta(hours=25))
    flagged(context, ("low_confidence", "low"))
    client = sign_in("supervisor")
    assert client.get("/alerts/count", headers={"accept": "application/json"}).json() == {"alerts": 2, "more": False}
    page = client.get("/alerts").text
    assert crisis in page and refused in page and "×2" in page, "both flags of one refusal are one alert"
    data = {"call_id": crisis, "group": "crisis", "last": 0}
    assert sign_in("auditor").post("/alerts/acknowledge", data=data).status_code == 403
    assert client.post("/alerts/acknowledge", data=data).status_code == 303
    assert client.post("/alerts/acknowledge", data=data).status_code == 303
    assert crisis not in client.get("/alerts").text
    with context.database.read() as session:
        assert [e.kind for e in AuditLog(session).entries(subject=crisis)].count("alert.acknowledged") == 1
    for bad in ({}, {**data, "last": "x"}, {**data, "last": -1}, {**data, "call_id": "x" * 99}):
        assert client.post("/alerts/acknowledge", data=bad).status_code == 422


def test_what_came_after_the_click_still_waits(context: Context) -> None:
    call = flagged(context, ("complaint", "medium"), ("complaint", "high"))
    with context.database.write() as session:
        assert Alerts(session).acknowledge(call, "complaint", 0, by="sam") == 1
    with context.database.read() as session:
        (left,) = Alerts(session).open()
        assert (left.last, left.severity, left.times, left.group) == (1, 3, 1, "complaint")


@pytest.mark.parametrize(
    ("reason", "severity", "group"),
    [
        ("crisis_at_close", "medium", "crisis"), ("repeated_anger", "medium", "repeated_anger"),
        ("line_refused:greeting", "medium", "gate_refusal"), ("dispute_debt", "medium", None),
        ("ungated speech refused: TextFrame", "critical", "gate_refusal"), ("long_silence", "low", None),
        ("transfer failed", "critical", "transfer_failed"),
    ],
)  # fmt: skip
def test_what_alerts(reason: str, severity: str, group: str | None) -> None:
    assert group_of(reason, severity) == group
