"""Whether the page of live calls stays responsive: how late a word stands on it, and how long the browser is busy.

A supervisor's Chromium shows the console's page of live calls while some dozens of calls talk, each a turn every one
and a half to four seconds (both sides of a telephone call speak about so often), with an emotion and now and then a
flag. Measured in the page: from the moment that a call tells its words to the moment that they stand in the table (of
those that a newer turn did not replace first), and how late the page's own timer comes, which is how late a click
would be answered. Beside it, over HTTP, the dashboard.

The peer is the common way: the same page fetched again once a second, as ``hx-trigger="every 1s"`` does, with its table
put in place of the old one. Same server, same browser, same calls, in turns.

    python benchmarks/live_calls.py [--quick] [--calls 50] [--seconds 60] [--json]

Needs playwright and Debian's Chromium (``CALLGATE_CHROMIUM``).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import uvicorn

# A file beside this one is called like the package that is measured: this folder must not come first.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.append(str(Path(__file__).resolve().parent))
from _calls import load

from agent.live import LiveTurn, News
from agent.live_hub import Command, LiveEntry, LiveHub
from archive.database import open_database
from archive.layout import Layout
from archive.rollups import refresh
from console.app import create_app
from console.context import Context
from console.people import People

if TYPE_CHECKING:
    from playwright.async_api import Page

PEER = "the page fetched again each second"
CHROMIUM = os.environ.get("CALLGATE_CHROMIUM", "/usr/bin/chromium")
PAUSES = (1.5, 4.0)
"""Seconds between two turns of one call."""
ARCHIVED = 5000
"""Calls in the archive, which the dashboard counts."""
WORDS = ("我下周三还三千五", "你们别再打了", "I can pay on Friday", "that is not my debt", "我真的没有钱了")
FEELINGS = ("neutral", "anxious", "angry", "frustrated", "sad", "positive")

WATCH = """() => {
  window.seen = []; window.late = [];
  const now = () => (performance.timeOrigin + performance.now()) / 1000;
  const known = new Map();
  const look = () => {
    for (const cell of document.querySelectorAll('#live [data-cell="text"]')) {
      const number = (cell.textContent.match(/#(\\d+)$/) || [])[1];
      const call = cell.closest("tr").dataset.call;
      if (number && known.get(call) !== number) { known.set(call, number); window.seen.push([Number(number), now()]); }
    }
  };
  const all = {childList: true, characterData: true, subtree: true};
  new MutationObserver(look).observe(document.getElementById("live"), all);
  let due = performance.now() + 50;
  const timer = () => {
    window.late.push(Math.max(0, performance.now() - due));
    due = performance.now() + 50;
    setTimeout(timer, 50);
  };
  setTimeout(timer, 50);
}"""
POLL = """() => {
  setInterval(async () => {
    const text = await (await fetch(location.href)).text();
    const fresh = new DOMParser().parseFromString(text, "text/html").querySelector("#live tbody");
    document.querySelector("#live").tBodies[0].replaceWith(document.importNode(fresh, true));
  }, 1000);
}"""


class Talk:
    """``calls`` live calls that tell their turns; ``told`` is when each turn was told, by its number."""

    def __init__(self, hub: LiveHub, calls: int, seed: int) -> None:
        self.told: dict[int, float] = {}
        self._hub = hub
        self._random = random.Random(seed)
        self._entries = [LiveEntry(hub, str(uuid.UUID(int=n + 1)), "zh", steer=_steered) for n in range(calls)]

    async def go_on(self, seconds: float) -> None:
        for entry in self._entries:
            self._hub.begin(entry)
        async with asyncio.TaskGroup() as talking:
            for entry in self._entries:
                talking.create_task(self._one(entry, seconds))
        for entry in self._entries:
            self._hub.over(entry)

    async def _one(self, entry: LiveEntry, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(self._random.uniform(*PAUSES))
            number = len(self.told)
            self.told[number] = time.time()
            words = f"{self._random.choice(WORDS)} #{number}"
            turn = LiveTurn("borrower", 0.0, 1.0, words, emotion=self._random.choice(FEELINGS))
            entry.told(News("turn", 1.0, turn))
            if self._random.random() < 0.02:
                entry.told(News("flag", 1.0, text="complaint", details={"severity": "high"}))


async def _steered(command: Command) -> None:
    return None


async def watched(page: Page, url: str, hub: LiveHub, calls: int, seconds: float, *, poll: bool) -> dict[str, Any]:
    """Latencies in milliseconds while ``page`` watches, and how late the page's timer came."""
    if poll:  # without the page's own script
        await page.route("**/static/live.js", lambda route: route.fulfill(body="", content_type="text/javascript"))
    await page.goto(f"{url}/live")
    await page.evaluate(WATCH)
    if poll:
        await page.evaluate(POLL)
    talk = Talk(hub, calls, seed=7)
    await talk.go_on(seconds)
    seen = await page.evaluate("window.seen")
    late = await page.evaluate("window.late")
    words = [1000 * (at - talk.told[int(number)]) for number, at in seen if int(number) in talk.told]
    return {"words": words, "late": late, "told": len(talk.told)}


async def asked(url: str, key: str, path: str, times: int) -> list[float]:
    """Milliseconds of ``times`` requests, a second apart."""
    found = []
    headers = {"authorization": f"Bearer {key}", "accept": "text/html"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
        (await client.get(path)).raise_for_status()  # the first one loads what all of them use
        for n in range(times):
            begun = time.perf_counter()
            (await client.get(path, params={"days": 7 + n})).raise_for_status()
            found.append(1000 * (time.perf_counter() - begun))
            await asyncio.sleep(1)
    return found


async def measure(home: Path, calls: int, seconds: float) -> dict[str, Any]:
    from playwright.async_api import async_playwright

    database = open_database(Layout(home).database_url)
    load(database, ARCHIVED, 4)
    while refresh(database):
        pass
    hub = LiveHub()
    context = Context(database, home, live=hub)
    with database.write() as session:
        key = People(session).make_key("benchmark", "supervisor", by="benchmark")
    config = uvicorn.Config(create_app(context), host="127.0.0.1", port=0, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells it by this alone
        await asyncio.sleep(0.01)
    url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    found: dict[str, Any] = {}
    async with async_playwright() as started:
        browser = await started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        for name, poll in (("ours", False), ("peer", True)):
            window = await browser.new_context(extra_http_headers={"authorization": f"Bearer {key}"})
            page = await window.new_page()
            watching = asyncio.create_task(watched(page, url, hub, calls, seconds, poll=poll))
            pages = asyncio.create_task(asked(url, key, "/dashboard", int(seconds / 2)))
            found[name] = {**await watching, "dashboard": await pages}
            await window.close()
        await browser.close()
    server.should_exit = True
    with suppress(asyncio.CancelledError):
        await serving
    database.close()
    return found


def _figures(found: dict[str, Any], calls: int) -> list[dict[str, Any]]:
    def row(name: str, key: str) -> dict[str, Any]:
        ours, peer = _p50_p95(found["ours"][key]), _p50_p95(found["peer"][key])
        return {
            "figure": name, "unit": "ms", "p50": ours[0], "p95": ours[1], "n": len(found["ours"][key]),
            "peer_name": PEER, "peer_p50": peer[0], "peer_p95": peer[1], "peer_n": len(found["peer"][key]),
        }  # fmt: skip

    return [
        row(f"words told to words on the page, {calls} calls", "words"),
        row("the page's timer is late by", "late"),
        row("the dashboard meanwhile", "dashboard"),
    ]


def _p50_p95(values: Sequence[float]) -> tuple[float, float]:
    if len(values) < 2:
        return (float("nan"), float("nan"))
    return round(statistics.median(values), 1), round(statistics.quantiles(values, n=20)[-1], 1)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="ten seconds a side")
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each side")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    try:
        import playwright  # noqa: F401
    except ImportError:
        sys.stderr.write("playwright is not installed (pip install 'callgate[dev]'): nothing is measured\n")
        return 0
    if not Path(CHROMIUM).exists():
        sys.stderr.write(f"no Chromium at {CHROMIUM} (Debian: apt-get install chromium): nothing is measured\n")
        return 0
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="callgate-live-") as temporary:
        found = asyncio.run(measure(Path(temporary), options.calls, 10.0 if options.quick else options.seconds))
    figures = _figures(found, options.calls)
    if options.json:
        print(json.dumps(figures))
        return 0
    for each in figures:
        print(
            f"{each['figure']}: p50 {each['p50']}, p95 {each['p95']} ms (n = {each['n']}); {each['peer_name']}: "
            f"p50 {each['peer_p50']}, p95 {each['peer_p95']} ms (n = {each['peer_n']})"
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
