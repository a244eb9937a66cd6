"""What those who follow a call live are told: the archive's words, not the borrower's secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.archiving import Archivist
from agent.clock import CallClock
from agent.events import Heard, Proposed, SlotValue, Span, Understood, Verdict
from agent.frames import UnderstoodFrame, VerdictFrame
from agent.live import News
from agent.live_hub import LiveEntry, LiveHub
from archive.database import open_database
from archive.layout import Layout
from archive.writer import CallArchive, NewCall
from tests.agent.lines import Collector, Running


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[CallArchive]:
    database = open_database(Layout(tmp_path).database_url)
    with CallArchive.begin(database, tmp_path, NewCall(lang="zh")) as begun:
        yield begun
    database.close()


def said(text: str, start: float, **slots: SlotValue) -> UnderstoodFrame:
    return UnderstoodFrame(Understood(Heard(text, "zh", Span(start, start + 2.0), (), 0.9), "other", 0.5, (), slots))


async def test_live_turns_hide_the_digits_that_the_archive_hides(archive: CallArchive) -> None:
    told: list[News] = []
    hub = LiveHub()

    async def steer(_: object) -> None:
        return None

    entry = LiveEntry(hub, archive.call_id, "zh", steer=steer)
    hub.begin(entry)

    def listen(news: News) -> None:
        told.append(news)
        entry.told(news)

    archivist = Archivist(archive, CallClock(), listen)
    asks = Proposed("digits", "请说身份证后四位", "zh", expects="digits")
    collector = Collector()
    async with Running([archivist, collector]) as worker:
        await worker.queue_frame(VerdictFrame(asks, Verdict("allow", asks.text)))
        await collector.wait_for(VerdictFrame)
        await worker.queue_frame(said("四零七二", 3.0, digits=SlotValue("4072", "四零七二", 0, 4)))
        await collector.wait_for(UnderstoodFrame)
        assert hub.snapshot()[0]["text"] == "▇▇▇▇"
        thanks = Proposed("thanks", "谢谢", "zh")
        await worker.queue_frame(VerdictFrame(thanks, Verdict("allow", thanks.text)))
        await collector.wait_for(VerdictFrame, 2)
        await worker.queue_frame(said("我说了四零七二，下周三还三千五", 20.0))
        heard = await collector.wait_for(UnderstoodFrame, 2)
    turns = [news.turn.text for news in told if news.turn is not None]
    assert turns == ["▇▇▇▇", "我说了▇▇▇▇，下周三还三千五"]
    assert hub.snapshot()[0]["text"] == turns[-1]
    assert heard[0].understood.heard.text == "四零七二", "whoever verifies still hears them"
