"""Dialers that are killed at every step of placing a call, and what must hold whatever happened."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from world import MORNING, Clock, borrower, campaign

from archive.database import Database
from campaigns.ledger import Ledger
from campaigns.models import LIVE, Attempt, Contact
from campaigns.reaper import reap
from campaigns.settling import Settling
from campaigns.store import open_campaigns

HERE = Path(__file__).parent
PROVIDER = ("provider:before", "provider:after", "provider:timeout", "provider:lost", "provider:early",
            "provider:refused")  # fmt: skip
_names = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[Callable[[dict[str, Any]], str]]:
    process = subprocess.Popen(
        [sys.executable, HERE / "crash_server.py"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None and process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def run(job: dict[str, Any]) -> str:
        stdin.write(json.dumps(job) + "\n")
        stdin.flush()
        return stdout.readline().strip()

    yield run
    stdin.close()
    process.wait(30)
    stdout.close()


class World:
    """A campaign of a few borrowers, and the books of the provider beside it."""

    def __init__(self, url: str, folder: Path, server: Callable[[dict[str, Any]], str], people: int) -> None:
        self.url, self.run_job = url, server
        self.database: Database = open_campaigns(url)
        self.dials = folder / f"dials-{next(_names)}"
        self.clock = Clock()
        for _ in range(people):
            borrower(self.database, f"+86138{next(_names) + 30_000_000:08d}", account=f"C{next(_names)}")
        self.campaign = campaign(self.database, self.clock, name=f"crash{next(_names)}", max_attempts=50)

    def crash(self, at: str) -> str:
        return self.run_job(
            {
                "url": self.url, "campaign": self.campaign, "at": at, "dials": str(self.dials),
                "now": self.clock().isoformat(), "worker": f"w{next(_names)}",
            }
        )  # fmt: skip

    async def heal(self) -> None:
        """Time passes; the reaper of a healthy process looks at what is left."""
        self.clock.forward(minutes=3)
        ledger = Ledger(self.database, f"healer{next(_names)}", clock=self.clock)
        ledger.beat()
        from crash_server import FileProvider

        settling = Settling(self.database, self.clock)
        provider = FileProvider(self.dials, "never", settling)
        for _ in range(3):  # what was in doubt may be closing now, and then over
            await reap(ledger, settling, {"file": provider})
            self.clock.forward(minutes=3)
            ledger.beat()

    def check(self) -> None:
        """No attempt was dialled twice, none is lost, and nobody was dialled again on a doubt."""
        lines = [line.split() for line in self.dials.read_text().splitlines()] if self.dials.exists() else []
        dialled = Counter(line[0] for line in lines)
        assert all(n == 1 for n in dialled.values()), "dialled twice"
        with self.database.read() as session:
            rows = session.scalars(
                sa.select(Attempt).join(Contact, Contact.id == Attempt.contact_id).where(
                    Contact.campaign_id == self.campaign
                )
            ).all()  # fmt: skip
            contacts = session.scalars(sa.select(Contact).where(Contact.campaign_id == self.campaign)).all()
        attempts = {row.id: row for row in rows}
        assert set(dialled) <= set(attempts), "a call that the ledger does not know"
        for row in rows:
            rang = row.id in dialled
            assert row.state not in LIVE, f"left as {row.state}"
            assert rang == (row.state == "ended"), f"{row.state} and rang: {rang}"
        for contact in contacts:
            mine = sorted((row for row in rows if row.contact_id == contact.id), key=lambda row: row.n)
            assert [row.n for row in mine] == list(range(1, len(mine) + 1))
            assert contact.n == len(mine)
            assert contact.state != "live"
            doubtful = [row for row in mine if row.state == "absent"]
            if doubtful:  # never redialled by itself
                assert mine[-1] is doubtful[-1] and contact.state == "held"
            assert contact.dialed == sum(row.state == "ended" for row in mine) + sum(
                row.state == "failed" and row.outcome == "rejected" for row in mine
            )

    def close(self) -> None:
        self.database.close()


async def inject(world: World, faults: list[str]) -> Counter[str]:
    """Each fault in a dialer of its own, with the reaper after it; the next morning for the next."""
    seen: Counter[str] = Counter()
    for fault in faults:
        seen[world.crash(fault)] += 1
        await world.heal()
        world.check()
        world.clock.forward(hours=4)
        if not 9 <= (world.clock() + timedelta(hours=8)).hour < 18:
            world.clock.now = world.clock().replace(hour=2) + timedelta(days=1)
        if world.clock() > MORNING + timedelta(days=6):
            world.clock.now = MORNING
    return seen


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_killed_at_steps_of_placing_a_call(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, server: Callable[[dict[str, Any]], str]
) -> None:
    faults = [*PROVIDER, *(f"committed:{n}" for n in range(0, 12, 4)), *(f"statement:{n}" for n in range(6, 90, 21))]
    url = request.getfixturevalue(f"{kind}_url")
    seen: Counter[str] = Counter()
    for start in range(0, len(faults), 9):
        world = World(url, tmp_path, server, people=3)
        seen += await inject(world, faults[start : start + 9])
        world.close()
    assert not seen["failed"]
    assert seen["killed"] >= len(faults) // 2, "the faults no longer hit"


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["postgres", "sqlite"])
async def test_a_thousand_faults(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, server: Callable[[dict[str, Any]], str]
) -> None:
    """On PostgreSQL 800, on SQLite 300: every statement, every commit, every fault of the provider, again and again."""
    every = [*(f"statement:{n}" for n in range(140)), *(f"committed:{n}" for n in range(30)), *PROVIDER * 5]
    wanted = 800 if kind == "postgres" else 300
    faults = list(itertools.islice(itertools.cycle(every), wanted))
    url = request.getfixturevalue(f"{kind}_url")
    seen: Counter[str] = Counter()
    for start in range(0, len(faults), 8):
        world = World(url, tmp_path, server, people=4)
        seen += await inject(world, faults[start : start + 8])
        world.close()
    assert sum(seen.values()) == wanted and not seen["failed"]
    assert seen["killed"] > wanted * 0.6
