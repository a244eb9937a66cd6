"""Calls from the console's softphone page: prepared, answered once, run through the same pipeline as any other call.

Implements :class:`console.softphone.Softphone`. Whoever calls here plays a borrower: the call is archived, gated and
supervised like a real one, under the label ``softphone``, and counts in nobody's contact ledger. The contact rules are
asked all the same; where they forbid a call at this hour, it is held as if at the next moment that they allow, and the
page says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agent.call import run_call
from agent.case import CaseError, CaseFile, demo_case
from agent.desk import CallAbout, CallDesk, Callee, CallRefused, PreparedCall, stage_of
from agent.errors import CallgateError, LineError
from agent.events import Lang
from agent.live import News
from agent.telephony.browser import BrowserLine, OfferRefused, missing
from agent.telephony.ice import IceServers
from agent.telephony.whisper import Whisper
from archive.errors import ArchiveError
from compliance_checks.contact import ROBOT_CALL, ContactPerson, next_allowed
from console.softphone import SoftphoneRefused
from scripts.errors import ScriptError
from scripts.loader import find_scripts, parse

log = logging.getLogger(__name__)

LANGS: Mapping[str, Lang] = {"zh": "zh", "en": "en"}
LABEL = "softphone"
TICKET_LIFE = 60.0
"""Seconds a prepared call waits for its browser."""
REMEMBERED = 200
"""Ended calls whose outcome a page may still ask for."""
CLOSING = 10.0
TRANSFER = "transfer_requested"
"""What a call tells of when the agent hands the person over (``agent.following``)."""


@dataclass(frozen=True, slots=True)
class _Rung:
    person: str
    call: PreparedCall
    until: float


@dataclass(slots=True)
class _Call:
    person: str
    line: BrowserLine | None
    disposition: str | None = None


def caller(case: CaseFile) -> ContactPerson:
    """Whoever plays the borrower, as the contact rules judge a borrower whom a dialer dials. They have agreed to a
    robot's voice; that they asked for this very call is not said, for in a borrower's part they did not."""
    return ContactPerson(
        "softphone", "softphone", (case.time_zone,), consents=frozenset({ROBOT_CALL}), number_key="softphone"
    )


async def _to_nobody(_: Whisper | None) -> None:
    """Where a hand-over from a browser ends. The call then bears the flag of every hand-over that nobody took
    (``transfer failed``, critical): the review queue's first, and a task for a person to call back."""
    raise LineError("there is no telephone behind the softphone")


class Softphone:
    """One per process. Call ``close`` before the desk is closed."""

    def __init__(self, desk: CallDesk, *, ice: IceServers | None = None, ticket_life: float = TICKET_LIFE) -> None:
        self._desk = desk
        self._ice = ice or IceServers()
        self._ticket_life = ticket_life
        self._rung: dict[str, _Rung] = {}
        self._calls: OrderedDict[str, _Call] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        """Hang up every call and wait until each is archived."""
        for call in tuple(self._calls.values()):
            if call.line is not None:
                call.line.leave()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSING)

    # the page's side -------------------------------------------------------------------------------------------

    def missing(self) -> str | None:
        return missing()

    def scripts(self) -> Mapping[str, Sequence[Mapping[str, str]]]:
        """Those that ship, or the operator's own. One that cannot be read is left out: the console's compliance page
        says what is wrong with it."""
        found: dict[str, list[Mapping[str, str]]] = {lang: [] for lang in LANGS}
        for lang, titles in found.items():
            for path in self._script_files(lang):
                with contextlib.suppress(ScriptError):
                    titles.append({"id": path.stem, "title": parse(path).content.title})
        return found

    def _script_files(self, lang: str) -> list[Path]:
        folder = self._desk.settings.scripts
        if folder is None:
            return [path for path in find_scripts() if path.parent.name == lang]
        return sorted((folder / lang).glob("*.yaml"))

    def case(self, lang: str) -> Mapping[str, Any]:
        chosen = LANGS.get(lang, "en")
        today = datetime.now(ZoneInfo(demo_case(chosen).time_zone)).date()
        case = demo_case(chosen, today)
        return case.facts() | {"id_last4": case.id_last4}

    async def prepare(self, person: str, lang: str, script: str, case: Mapping[str, Any]) -> Mapping[str, Any]:
        if (lacking := missing()) is not None:
            raise SoftphoneRefused(
                503, f"the softphone needs {lacking}, which is not installed: pip install callgate[softphone]"
            )
        if lang not in LANGS:
            raise SoftphoneRefused(422, "the language is zh or en")
        known = await asyncio.to_thread(self.scripts)
        if all(each["id"] != script for each in known[lang]):
            raise SoftphoneRefused(422, "there is no such script in this language")
        self._may_call(person)
        try:
            call, rule = await self._prepared(CaseFile.from_dict(case), LANGS[lang], script, datetime.now(UTC))
        except (CaseError, ScriptError) as e:
            raise SoftphoneRefused(422, str(e)) from e
        except (CallRefused, CallgateError) as e:
            raise SoftphoneRefused(409, str(e)) from e
        now = time.monotonic()
        # One prepared call a person: the newest one counts, and forgotten ones do not pile up.
        self._rung = {t: r for t, r in self._rung.items() if r.until > now and r.person != person}
        ticket = secrets.token_urlsafe(24)
        self._rung[ticket] = _Rung(person, call, now + self._ticket_life)
        as_if = None if rule is None else call.today.isoformat(timespec="minutes")
        servers = [each.plain() for each in self._ice.for_call(call.call_id)]
        return {"ticket": ticket, "call_id": call.call_id, "as_if": as_if, "rule": rule, "ice_servers": servers}

    async def answer(self, person: str, ticket: str, offer: str) -> tuple[str, str]:
        rung = self._rung.get(ticket)
        if rung is None or rung.person != person or rung.until <= time.monotonic():
            raise SoftphoneRefused(403, "the ticket is unknown, used or too old; begin again")
        self._may_call(person)
        del self._rung[ticket]  # good once, whatever comes of it
        call = rung.call
        self._remember(call.call_id, entry := _Call(person, None))
        try:
            line = await BrowserLine.open(offer, self._ice.for_call(call.call_id))
        except OfferRefused as e:
            raise SoftphoneRefused(422, str(e)) from e
        except CallgateError as e:
            raise SoftphoneRefused(503, str(e)) from e
        if self._desk.full:
            await line.hang_up("too many live calls")
            raise SoftphoneRefused(429, "too many live calls; try again in a moment")
        entry.line = line
        task = asyncio.create_task(self._run(call, entry, line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return call.call_id, line.answer

    async def hang_up(self, person: str, call_id: str) -> None:
        call = self._own(person, call_id)
        if call.line is not None:
            call.line.leave()

    def state(self, person: str, call_id: str) -> Mapping[str, Any]:
        call = self._own(person, call_id)
        return {"live": call.line is not None, "disposition": call.disposition}

    # the call's side -------------------------------------------------------------------------------------------

    async def _prepared(
        self, case: CaseFile, lang: Lang, script: str, now: datetime
    ) -> tuple[PreparedCall, str | None]:
        """The call at ``now``, or at the next lawful one with the rule that forbids this one."""
        about = CallAbout(stage=stage_of(case.days_past_due))
        policy = next(parse(path).content.policy for path in self._script_files(lang) if path.stem == script)
        callee = Callee(caller(case))
        more: dict[str, Any] = {"script_id": script, "label": LABEL, "about": about, "callee": callee}
        try:
            return await self._desk.prepare(case, lang, at=now, **more), None
        except CallRefused as e:
            refusal = e
        moment = next_allowed(now, callee.person, (), policy, lang=lang, policies=self._desk.models.gate.policies)
        if moment is None:
            raise refusal
        call = await self._desk.prepare(case, lang, at=moment, **more)
        return call, str(refusal)

    async def _run(self, call: PreparedCall, entry: _Call, line: BrowserLine) -> None:
        def tell(news: News) -> None:
            if news.kind == "event" and news.text == TRANSFER:
                # Only now: a hand-over that could be carried out would be offered to supervisors before.
                call.hand_over = _to_nobody
            if news.kind == "turn" and news.turn is not None and news.turn.text:
                line.tell({"type": "turn", "who": news.turn.who, "text": news.turn.text})

        call.listener = tell
        try:
            with self._desk:
                await line.connected()
                outcome = await run_call(self._desk, call, line)
            entry.disposition = outcome.disposition
        except (CallgateError, ArchiveError) as e:
            log.error("softphone call %s: %s", call.call_id, e)
            await line.hang_up("the call could not be held")
        finally:
            entry.line = None

    def _may_call(self, person: str) -> None:
        if any(call.person == person and call.line is not None for call in self._calls.values()):
            raise SoftphoneRefused(409, "you are in a call already")
        if self._desk.full:
            raise SoftphoneRefused(429, "too many live calls; try again in a moment")

    def _own(self, person: str, call_id: str) -> _Call:
        call = self._calls.get(call_id)
        if call is None or call.person != person:
            raise SoftphoneRefused(404, "there is no such call of yours")
        return call

    def _remember(self, call_id: str, call: _Call) -> None:
        self._calls[call_id] = call
        for old, each in tuple(self._calls.items()):
            if len(self._calls) <= REMEMBERED:
                break
            if each.line is None:
                del self._calls[old]
