"""Live calls of one process in another's hub, over a real socket."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from agent.campaigning_live import FOLDER, LiveEverywhere, everywhere, published
from agent.live import LiveTurn, News
from agent.live_hub import Command, LiveEntry, LiveHub


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.campaigning_live.LOOK_EVERY", 0.02)


class Steered:
    def __init__(self) -> None:
        self.commands: list[Command] = []

    async def __call__(self, command: Command) -> None:
        self.commands.append(command)


def entry_of(hub: LiveHub, steer: Steered, *, transfer: bool = True) -> LiveEntry:
    return LiveEntry(hub, "call-1", "zh", steer, campaign="november", can_transfer=lambda: transfer)


def said(text: str, emotion: str) -> News:
    return News("turn", 1.0, LiveTurn("borrower", 0.0, 1.0, text, emotion=emotion))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def only(live: LiveEverywhere) -> dict[str, object]:
    (call,) = live.snapshot()
    return dict(call)


async def test_a_call_of_another_process_is_seen_steered_and_heard(tmp_path: Path) -> None:
    theirs, ours = LiveHub(0.01), LiveHub(0.01)
    steer = Steered()
    entry = entry_of(theirs, steer)
    theirs.begin(entry)
    entry.told(said("我知道了", "anxious"))
    async with published(theirs, tmp_path), everywhere(ours, tmp_path) as live:
        changes = live.changes()
        await until(lambda: bool(live.snapshot()))
        assert only(live) == theirs.document("call-1"), "as it stands, with its words and its moment"
        entry.told(said("我明天还", "neutral"))
        await until(lambda: only(live)["text"] == "我明天还")
        assert (await anext(changes))["text"] == "我明天还"

        pieces = live.sound("call-1")
        first = asyncio.ensure_future(anext(pieces))
        await until(lambda: bool(entry.ears))
        loud = b""
        while not np.frombuffer(loud, "<i2").any():
            entry.sounded("borrower", np.full(800, 1000, np.int16))
            loud = await (first if not loud else anext(pieces))
        await pieces.aclose()  # type: ignore[attr-defined]
        await until(lambda: not entry.ears)

        await live.take_over("call-1")
        await live.end("call-1")
        assert steer.commands == ["take_over", "end"]
        theirs.over(entry)
        await until(lambda: not live.snapshot())
        with pytest.raises(KeyError):
            live.sound("call-1")
        with pytest.raises(KeyError):
            await live.end("call-1")


async def test_what_the_carrier_cannot_do_is_not_offered(tmp_path: Path) -> None:
    theirs, ours = LiveHub(0.01), LiveHub(0.01)
    entry = entry_of(theirs, Steered(), transfer=False)
    async with published(theirs, tmp_path), everywhere(ours, tmp_path) as live:
        theirs.begin(entry)
        await until(lambda: bool(live.snapshot()))
        assert only(live)["can_take_over"] is False
        with pytest.raises(ValueError, match="cannot hand"):
            await live.take_over("call-1")


async def test_a_process_that_goes_takes_its_calls_with_it(tmp_path: Path) -> None:
    theirs, ours = LiveHub(0.01), LiveHub(0.01)
    async with everywhere(ours, tmp_path) as live:
        async with published(theirs, tmp_path):
            theirs.begin(entry_of(theirs, Steered()))
            await until(lambda: bool(live.snapshot()))
        await until(lambda: not live.snapshot())
        assert list((tmp_path / FOLDER).iterdir()) == []


async def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    folder = tmp_path / FOLDER
    folder.mkdir()
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    (folder / "1-dead.json").write_text(json.dumps({"port": port, "key": "k"}))
    (folder / "2-junk.json").write_text("{")
    async with everywhere(LiveHub(), tmp_path) as live:
        await until(lambda: not (folder / "1-dead.json").exists())
        assert live.snapshot() == []


async def test_nobody_else_is_told_anything(tmp_path: Path) -> None:
    hub = LiveHub(0.01)
    hub.begin(entry_of(hub, Steered()))
    async with published(hub, tmp_path):
        (announced,) = (tmp_path / FOLDER).iterdir()
        assert stat.S_IMODE(announced.stat().st_mode) == 0o600
        port = json.loads(announced.read_text())["port"]
        for request in (b"{}\n", b'{"key": "guess", "want": "calls"}\n', b"GET / HTTP/1.1\r\n", b"[1]\n"):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            assert await reader.read() == b"", request
            writer.close()
            await writer.wait_closed()
