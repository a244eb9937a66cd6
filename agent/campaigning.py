"""Campaigns' calls through the agent: makes a reserved call ready, and carries its outcome back to the ledger.

``campaigns`` decides whom to call and when; this module knows the call desk. Here is the simulated carrier; real ones
are in ``agent.campaigning_carriers``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.case import CaseFile
from agent.desk import CallAbout, CallDesk, Callee, CallRefused, PreparedCall, stage_of
from agent.dialing import result_of
from agent.errors import CallgateError
from agent.live import CallOutcome
from archive.database import DatabaseError
from campaigns.cases import case_of
from campaigns.config import CampaignConfig
from campaigns.errors import NotPrepared, PlaceRefused
from campaigns.ledger import Reservation
from campaigns.messages import NotSent, TextDesk
from campaigns.models import Attempt
from campaigns.provider import Absent, DialOrder, Found, Lookup
from campaigns.rules import contact_person, fetch_cases
from campaigns.settling import CallResult, Settling

log = logging.getLogger(__name__)

CALL_LIMIT = 400.0
"""Seconds after which a simulated call is given up: no scenario is that long, on a busy machine either."""


class CampaignCalls:
    """The dialer's runner: one prepared call an attempt, and what comes of it."""

    def __init__(
        self,
        desk: CallDesk,
        settling: Settling,
        config: CampaignConfig,
        clock: Callable[[], datetime],
        *,
        texts: TextDesk | None = None,
        on_outcome: Callable[[str], None] | None = None,
    ) -> None:
        self.desk, self.settling, self.config, self.clock = desk, settling, config, clock
        self._texts, self._on_outcome = texts, on_outcome
        self._calls: dict[str, PreparedCall] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def prepare(self, reservation: Reservation) -> None:
        """Load the case and the script, judge and render every line.

        Raises ``NotPrepared`` where a contact rule stands against it by now, else what ``CallDesk.prepare`` raises.
        """
        now = self.clock()
        case = await asyncio.to_thread(case_of, self.desk.database, reservation.debt_id, now)
        callee = await asyncio.to_thread(self._callee, reservation, now)
        about = CallAbout(
            self.config.name, case_id=f"debt-{reservation.debt_id}", person_id=f"person-{callee.person.person_id}",
            stage=stage_of(case.days_past_due),
        )  # fmt: skip
        try:
            call = await self.desk.prepare(
                case, reservation.lang, at=now, script_id=self.config.script, about=about, callee=callee
            )
        except CallRefused as e:
            raise NotPrepared(str(e)) from e
        self._calls[reservation.attempt_id] = call

    def _callee(self, reservation: Reservation, now: datetime) -> Callee:
        """The person and their history, as the ledger judges them when it dials."""
        with self.desk.database.read() as session:
            attempt = session.get_one(Attempt, reservation.attempt_id)
            (case,) = fetch_cases(session, [reservation.contact_id], now, attempt=attempt)
            return Callee(contact_person(case), case.history, self.config.policy(reservation.lang))

    @property
    def live(self) -> int:
        """Calls that were made ready and are not over."""
        return len(self._calls)

    def call(self, attempt_id: str) -> PreparedCall | None:
        return self._calls.get(attempt_id)

    def over(self, attempt_id: str) -> None:
        call = self._calls.pop(attempt_id, None)
        if call is not None:
            self.desk.forget(call.call_id)

    async def answered(self, attempt_id: str, outcome: CallOutcome) -> None:
        """Enter what the conversation came to, and send what the campaign sends after it."""
        result = result_of(outcome)
        await written(lambda: self.settling.settle(attempt_id, result))
        if self._on_outcome is not None:
            self._on_outcome(outcome.disposition)
        if self._texts is not None and outcome.promise is not None and outcome.disposition == "promise_to_pay":
            day, amount = outcome.promise
            sent = await self._texts.confirm(attempt_id, day.isoformat(), f"{amount:.2f}")
            if isinstance(sent, NotSent):
                log.warning("attempt %s: no confirmation was sent: %s", attempt_id, sent.reason)

    async def unanswered(self, attempt_id: str, outcome: str) -> None:
        await written(lambda: self.settling.progress("ended", attempt_id=attempt_id, outcome=outcome))
        if self._on_outcome is not None:
            self._on_outcome(outcome)

    async def lost(self, attempt_id: str) -> None:
        """Answered, and then broken off on our side: the person may have heard anything."""
        await written(lambda: self.settling.progress("ended", attempt_id=attempt_id))
        await written(lambda: self.settling.settle(attempt_id, CallResult("failed")))
        if self._on_outcome is not None:
            self._on_outcome("failed")


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one simulated number does. ``answers`` is ``answered`` or a network outcome; then a scenario's name."""

    answers: str = "answered"
    scenario: str = "promise"
    seed: int = 5
    ring: float = 1.0


class SimulatedCarrier:
    """Places calls to simulated borrowers, each a process of its own that opens the media socket when it answers."""

    name = "simulated"

    def __init__(
        self, base_url: str, calls: CampaignCalls, settling: Settling, town: Callable[[DialOrder], Behaviour]
    ) -> None:
        self._base_url, self._calls, self._settling, self._town = base_url, calls, settling, town
        self._known: dict[str, Found] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def place(self, order: DialOrder) -> str:
        """Ring. Raises ``PlaceRefused`` for the behaviour ``trunk_error`` and a call that was not prepared."""
        behaviour = self._town(order)
        call = self._calls.call(order.attempt_id)
        if call is None or behaviour.answers == "trunk_error":
            raise PlaceRefused("trunk_error" if call is not None else "not_prepared")
        call_id = f"sim-{uuid.uuid4()}"
        self._known[order.attempt_id] = Found(call_id, "placed")
        task = asyncio.create_task(self._ring(order, call_id, behaviour, call))
        self._tasks[order.attempt_id] = task
        task.add_done_callback(lambda _: self._tasks.pop(order.attempt_id, None))
        return call_id

    async def lookup(self, order: DialOrder) -> Lookup:
        """This carrier dies with its process: what it does not know never rang."""
        return self._known.get(order.attempt_id, Absent())

    async def hang_up(self, order: DialOrder) -> None:
        task = self._tasks.get(order.attempt_id)
        if task is not None:
            task.cancel()

    async def drained(self) -> None:
        """Wait until no call is left."""
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    async def _ring(self, order: DialOrder, call_id: str, behaviour: Behaviour, call: PreparedCall) -> None:
        attempt_id = order.attempt_id
        answered = False
        try:
            self._known[attempt_id] = Found(call_id, "ringing")
            await written(lambda: self._settling.progress("ringing", attempt_id=attempt_id, provider_call_id=call_id))
            if behaviour.answers == "no_answer":
                await asyncio.sleep(min(order.ring_seconds, behaviour.ring * 3))
            else:
                await asyncio.sleep(behaviour.ring)
            if behaviour.answers != "answered":
                await self._ended(order, call_id, behaviour.answers)
                return
            answered = True
            self._known[attempt_id] = Found(call_id, "answered")
            await written(lambda: self._settling.progress("answered", attempt_id=attempt_id))
            outcome = await self._talk(call, behaviour, order)
        except asyncio.CancelledError:
            self._calls.over(attempt_id)
            await self._lost(order, call_id) if answered else await self._ended(order, call_id, "canceled")
            return
        except (CallgateError, OSError, TimeoutError) as e:
            log.error("attempt %s: the simulated call broke: %s", attempt_id, _words(e))
            await self._lost(order, call_id)
            return
        self._known[attempt_id] = Found(call_id, "ended")
        await written(lambda: self._settling.progress("ended", attempt_id=attempt_id))
        await self._calls.answered(attempt_id, outcome)

    async def _ended(self, order: DialOrder, call_id: str, outcome: str) -> None:
        self._known[order.attempt_id] = Found(call_id, "ended", outcome)
        await self._calls.unanswered(order.attempt_id, outcome)

    async def _lost(self, order: DialOrder, call_id: str) -> None:
        self._known[order.attempt_id] = Found(call_id, "ended")
        await self._calls.lost(order.attempt_id)

    async def _talk(self, call: PreparedCall, behaviour: Behaviour, order: DialOrder) -> CallOutcome:
        with tempfile.TemporaryDirectory(prefix="callgate-borrower-") as folder:
            case = Path(folder) / "case.json"
            await asyncio.to_thread(case.write_text, json.dumps(simulator_case(call.case)), "utf-8")
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "agent.telephony.simulator"),
                *("--url", self._base_url + self._calls.desk.expect(call), "--call-id", call.call_id),
                *("--scenario", behaviour.scenario, "--lang", order.lang, "--seed", str(behaviour.seed)),
                *("--case", str(case)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            died = asyncio.ensure_future(process.wait())
            try:
                pending: set[asyncio.Future[Any]] = {call.outcome, died}
                await asyncio.wait(pending, timeout=CALL_LIMIT, return_when=asyncio.FIRST_COMPLETED)
                if not call.outcome.done() and died.done():
                    await asyncio.wait({call.outcome}, timeout=15.0)  # its last messages may still be on their way
                if not call.outcome.done():
                    raise TimeoutError
                return call.outcome.result()
            finally:
                if process.returncode is None:
                    try:
                        await asyncio.wait_for(asyncio.shield(died), 5.0 if call.outcome.done() else 0.1)
                    except TimeoutError:
                        process.kill()
                await died


def simulator_case(case: CaseFile) -> dict[str, object]:
    """What the simulated person knows of themselves: their name, the last digits of their ID, what they owe."""
    facts = case.facts()
    wanted = ("borrower_name", "amount_due", "min_payment")
    return {**{name: facts[name] for name in wanted if facts[name] is not None}, "id_last4": case.id_last4}


def _words(error: Exception) -> str:
    """Errors of ours hold no personal data; of others the kind is told."""
    return str(error) if isinstance(error, CallgateError) else type(error).__name__


async def written(write: Callable[[], object], tries: int = 6) -> None:
    """Enter into the ledger what is known, through a short outage of its database."""
    pause = 0.2
    for attempt in range(tries):
        try:
            await asyncio.to_thread(write)
        except DatabaseError as e:
            if e.row_at_fault or attempt == tries - 1:
                log.error("could not be written down: %s", e)
                return
            await asyncio.sleep(pause)
            pause *= 2
        else:
            return
