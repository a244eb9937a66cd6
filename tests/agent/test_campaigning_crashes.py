"""Campaign processes killed at every step of a call over each real carrier's adapter: nobody is dialled twice.

The provider's side lives on in the test, rings, and tells whoever answers at our address. A second process then does
what a healthy one does about the dead one's calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
import sqlalchemy as sa
from websockets.exceptions import WebSocketException

from agent.campaigning_demo import Town
from archive.database import Database
from campaigns.models import LIVE, Attempt, Contact, Record
from campaigns.store import open_campaigns

sys.path.append(str(Path(__file__).parent / "telephony"))
import fake_asterisk
from fake_hosted import FakeHosted, Phone

HERE = Path(__file__).parent
EVENING = datetime(2026, 11, 18, 13, 5, tzinfo=UTC)
NUMBERS = ("+8613820000000", "+12122550001")
PUBLIC = "https://calls.example.com"
STEPS = (
    "request:before:0", "request:during:0", "request:after:0", "webhook:0", "webhook:2", "claimed", "talking", "over",
    "entered",
)  # fmt: skip
DATABASE = (*(f"committed:{n}" for n in range(3, 16)), *(f"statement:{n}" for n in range(20, 120, 9)))
PBX = ("request:before:0", "request:after:0", *(f"request:{when}:{n}" for n in range(1, 7)
       for when in ("before", "during", "after")), "over", "entered")  # fmt: skip


class Provider(FakeHosted):
    """Goes on telling whoever answers at our address, as providers do, and is in no hurry to answer a dial.

    ``nobody``: no process of ours will answer any more; what is still to be told would be tried for ever.
    """

    nobody = False

    def idle(self) -> bool:
        return not self._tasks

    async def _dial(self, body: dict[str, Any]) -> Any:
        answer = await super()._dial(body)
        await asyncio.sleep(0.3)
        return answer

    async def _post(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        for _ in range(3000):
            try:
                return await super()._post(url, body, headers)
            except httpx.TransportError:
                if self.nobody:
                    break
                await asyncio.sleep(0.1)
        return 0

    async def _ask_what_to_do(self, call: Any) -> str:
        try:
            return await super()._ask_what_to_do(call)
        except httpx.TransportError:
            return ""

    async def _media(self, call: Any, phone: Phone) -> None:
        with contextlib.suppress(OSError, WebSocketException):
            await super()._media(call, phone)


async def _note_idle(idle: Callable[[], bool], told: Path) -> None:
    """Touches ``told`` for as long as the provider has nothing more to tell: what comes later is entered by nobody."""
    while True:
        if idle():
            await asyncio.to_thread(told.touch)
        await asyncio.sleep(0.1)


@contextlib.asynccontextmanager
async def crash_server() -> AsyncIterator[Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(HERE / "carrier_crash.py"), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(HERE.parents[1]), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None and stdout is not None

    async def run(job: dict[str, Any]) -> str:
        stdin.write(json.dumps(job).encode() + b"\n")
        await stdin.drain()
        return (await stdout.readline()).decode().strip()

    try:
        yield run
    finally:
        stdin.close()
        await process.wait()


def check(database: Database, dialled: Counter[str], fault: str) -> None:
    """Nobody was dialled twice, no attempt is lost, and nothing is left that nobody looks after."""
    with database.read() as session:
        attempts = list(session.scalars(sa.select(Attempt).order_by(Attempt.contact_id, Attempt.n)))
        contacts = list(session.scalars(sa.select(Contact)))
        counted = set(session.scalars(sa.select(Record.source).where(Record.kind == "attempt", ~Record.void)))
    for number in NUMBERS:
        mine = [each for each in attempts if each.number == number]
        placed = [each for each in mine if each.dialing_at is not None and each.state not in ("absent", "failed")]
        assert dialled[number] <= 1, f"{fault}: dialled twice"
        assert len(placed) == 1, f"{fault}: {[each.state for each in mine]}"
        (attempt,) = placed
        if dialled[number] == 0:
            # The request never left: nobody can prove it, so nobody is dialled, and a person is told.
            assert attempt.state == "unknown", f"{fault}: {attempt.state}, and never dialled"
        else:
            assert attempt.state in ("ended", "unknown"), f"{fault}: left as {attempt.state}"
        assert attempt.id in counted, f"{fault}: not in the frequency ledger"
    assert all(each.state in ("ended", "unknown", "released") for each in attempts), fault
    for contact in contacts:
        held = any(each.contact_id == contact.id and each.state in LIVE for each in attempts)
        assert (contact.state == "live") == held, f"{fault}: contact {contact.state}"


async def inject(kind: str, faults: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    from tests.agent.test_campaigning_carriers import free_port

    seen: Counter[str] = Counter()
    for number in NUMBERS:
        monkeypatch.setitem(fake_asterisk.PHONES, number, fake_asterisk.Phone(hangs_up_after=0.6))
    start = open_campaigns(f"sqlite:///{tmp_path / 'start' / 'archive.db'}")
    Town(len(NUMBERS), 1, date(2026, 11, 18)).move_in(start, tmp_path / "files", EVENING, [])
    start.close()
    async with crash_server() as run:
        for n, fault in enumerate(faults):
            home = tmp_path / f"{kind}{n}"
            shutil.copytree(tmp_path / "start", home)
            async with contextlib.AsyncExitStack() as stack:
                listen = f"127.0.0.1:{free_port()}"
                if kind == "asterisk":
                    pbx = fake_asterisk.FakeAsterisk()
                    api = await stack.enter_async_context(pbx.serve())
                else:
                    phones = {number: Phone(talks=0.5) for number in NUMBERS}
                    hosted = Provider(cast(Any, kind), PUBLIC, f"http://{listen}", phones)
                    api = await stack.enter_async_context(hosted.serve())
                    stack.callback(setattr, hosted, "nobody", True)
                job = {"kind": kind, "home": str(home), "listen": listen, "api": api}
                seen[await run({**job, "at": fault, "now": EVENING.isoformat()})] += 1
                later = (EVENING + timedelta(minutes=4)).isoformat()
                idle = hosted.idle if kind != "asterisk" else lambda: True
                telling = asyncio.create_task(_note_idle(idle, home / "told"))
                stack.callback(telling.cancel)
                assert await run({**job, "at": "heal", "now": later}) == "done", fault
                if kind == "asterisk":
                    created = {q["channelId"]: q["endpoint"].split("/")[1] for _, path, q in pbx.requests
                               if path == "channels/create"}  # fmt: skip
                    rung = [path.split("/")[1] for _, path, _ in pbx.requests if path.endswith("/dial")]
                    dialled = Counter(created[channel] for channel in rung)
                    assert not pbx.channels, f"{fault}: a call was left on the PBX"
                else:
                    dialled = Counter(hosted.dialled)
                database = open_campaigns(f"sqlite:///{home / 'archive.db'}")
                check(database, dialled, fault)
                database.close()
    return seen


@pytest.mark.timeout(1200)
async def test_killed_over_a_hosted_carrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = ("request:during:0",)  # the slow run has them all
    seen = await inject("twilio", faults, tmp_path, monkeypatch)
    assert seen["killed"] == len(faults), seen


@pytest.mark.slow
@pytest.mark.timeout(1200)
async def test_killed_over_a_pbx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = ("request:during:5",)
    seen = await inject("asterisk", faults, tmp_path, monkeypatch)
    assert seen["killed"] == len(faults), seen


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["twilio", "telnyx", "plivo", "asterisk"])
async def test_killed_at_every_step(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = (*(PBX if kind == "asterisk" else STEPS), *DATABASE)
    seen = await inject(kind, faults, tmp_path, monkeypatch)
    assert seen["killed"] > len(faults) * 0.8, seen
