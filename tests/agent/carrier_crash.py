"""Forks one campaign process over a real carrier's adapter a line of standard input, and lets it be killed.

It imports once what every process needs, and stays single-threaded so that forking is safe. Each line is JSON: ``kind``
of carrier, ``home``, ``listen``, ``api`` (the provider's address), ``now``, ``at``. ``at`` says where SIGKILL comes:

``request:before:N``, ``request:after:N``  around the N-th request to the provider that changes something
``request:during:N``                       while its answer is on its way
``webhook:N``                              when the provider's N-th word arrives, before it is entered
``claimed``, ``talking``                   when the media socket opens; a quarter of a second into the call
``over``, ``entered``                      when the call is over, before and after its outcome is entered
``statement:N``, ``committed:N``           before the N-th SQL statement, after the N-th commit
``heal``                                   nowhere: reaps what dead ones left, then goes on dialling, until nothing
                                           is live and the file ``told`` says that the provider told everything

The answer is one line: ``killed``, ``done`` or ``failed``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx

import agent.carriers
import agent.desk
from agent.campaigning import CampaignCalls
from agent.campaigning_carriers import CampaignBoard
from agent.campaigning_run import CampaignRun, campaign_run
from agent.desk import CallDesk
from agent.models import Models
from agent.telephony.plivo import PlivoCarrier
from agent.telephony.telnyx import TelnyxCarrier
from agent.telephony.twilio import TwilioCarrier
from campaigns.reaper import reap
from compliance_checks.gate import Gate

HERE = Path(__file__).parent
sys.path += [str(HERE), str(HERE / "telephony"), str(HERE.parent / "campaigns")]

from crash_server import arm as arm_database  # noqa: E402
from crash_server import serve  # noqa: E402

HEALING = 120.0
"""Seconds after which a healing process leaves what nobody can say anything about."""


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Countdown:
    """Kills when it has been asked ``n`` times before."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self) -> bool:
        self.left -= 1
        return self.left < 0


def arm(at: str, run: CampaignRun) -> None:
    """Set the trap for this process."""
    kind, _, rest = at.partition(":")
    if kind in ("statement", "committed"):
        arm_database(run.database.engine, at)
    elif kind == "request":
        _arm_requests(*rest.split(":"))
    elif kind == "webhook":
        hit, post = Countdown(int(rest)), CampaignBoard.post
        _patch(CampaignBoard, "post", lambda self, *a: die() if hit() else post(self, *a))
    elif kind in ("claimed", "talking"):
        claim = CallDesk.claim

        def claimed(self: CallDesk, call_id: str) -> Any:
            found = claim(self, call_id)
            if found is not None:
                die() if kind == "claimed" else asyncio.get_running_loop().call_later(0.25, die)
            return found

        _patch(CallDesk, "claim", claimed)
    elif kind in ("over", "entered"):
        answered = CampaignCalls.answered

        async def enter(self: CampaignCalls, *arguments: Any) -> None:
            if kind == "entered":
                await answered(self, *arguments)
            die()

        _patch(CampaignCalls, "answered", enter)


def _patch(owner: Any, name: str, value: Callable[..., Any]) -> None:
    setattr(owner, name, value)


def _arm_requests(when: str, n: str) -> None:
    hit, request = Countdown(int(n)), httpx.AsyncClient.request

    async def watched(self: httpx.AsyncClient, method: str, url: Any, **more: Any) -> httpx.Response:
        mine = method == "POST" and hit()
        if mine and when == "before":
            die()
        if mine and when == "during":
            asyncio.get_running_loop().call_later(0.1, die)
        answer = await request(self, method, url, **more)
        if mine:
            die()
        return answer

    _patch(httpx.AsyncClient, "request", watched)


async def child(job: dict[str, Any], models: Models) -> None:
    from tests.agent.test_campaigning_carriers import config_of, settings_of

    settings = settings_of(job["kind"], Path(job["home"]), listen=job["listen"])
    settings.asterisk_url = job["api"]
    for name, carrier in (("Twilio", TwilioCarrier), ("Telnyx", TelnyxCarrier), ("Plivo", PlivoCarrier)):
        setattr(agent.carriers, f"{name}Carrier", partial(cast(Any, carrier), api=job["api"]))
    now, began = datetime.fromisoformat(job["now"]), time.monotonic()

    def clock() -> datetime:
        return now + timedelta(seconds=time.monotonic() - began)

    async with campaign_run(settings, config_of(), agents=2, clock=clock, models=models) as run:
        provider = run.provider(cast(Any, None))
        dialer = run.dialer(provider)
        dialer.tick = 0.02
        if job["at"] == "heal":
            await _heal(run, provider, dialer, Path(job["home"]) / "told")
            return
        arm(job["at"], run)
        async with asyncio.timeout(HEALING):
            await dialer.run()
            await provider.drained()


def _touched_since(path: Path, moment: float) -> bool:
    return path.exists() and path.stat().st_mtime > moment


async def _heal(run: CampaignRun, provider: Any, dialer: Any, told: Path) -> None:
    """What a healthy process does: look at what is left again and again, and dial who was never dialled."""
    run.ledger.beat()
    await reap(run.ledger, run.settling, {provider.name: provider})
    try:
        async with asyncio.timeout(HEALING):
            await dialer.run()
            await provider.drained()
            over = time.time()
            while True:
                everything = _touched_since(told, over)
                await reap(run.ledger, run.settling, {provider.name: provider})
                if everything and not [state for _, state in run.ledger.live(mine=False) if state != "unknown"]:
                    break
                await asyncio.sleep(0.1)
    except TimeoutError:
        sys.stderr.write(f"still live: {run.ledger.live(mine=False)}\n")


def main() -> None:
    from tests.agent.test_call import Broken
    from tests.agent.test_following import Beeper

    logging.disable(logging.CRITICAL)
    agent.desk.EspeakSpeaker = cast(Any, Beeper)
    models = Models(cast(Any, Broken()), cast(Any, None), Gate.load())
    serve(lambda job: asyncio.run(child(job, models)))


if __name__ == "__main__":
    main()
