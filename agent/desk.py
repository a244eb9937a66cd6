"""The call desk: what a process needs to take part in calls, and the calls it has placed and expects to be answered.

Preparing a call costs what a borrower must not wait for: contact rules, the script, rendering every line.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from agent.case import CaseFile
from agent.dialogue import Dialogue
from agent.errors import ConfigurationError
from agent.events import CallFacts, Lang
from agent.live import CallOutcome, News
from agent.live_hub import LiveHub
from agent.models import Models
from agent.settings import Settings
from agent.speech.cache import PromptCache
from agent.speech.speaker import EspeakSpeaker, VoiceStyle
from agent.telephony.tokens import TokenIssuer
from agent.telephony.whisper import Whisper
from archive.database import Database, open_database
from archive.layout import Layout, private_folder
from archive.recovery import recover
from compliance_checks.approved import ApprovedLine
from compliance_checks.contact import ContactPerson, ContactRecord, may_dial
from scripts.loader import load_script
from scripts.schema import MANDATORY, Script

SCRIPT = "days_1_15_reminder"


class CallRefused(Exception):  # noqa: N818 - the domain's word
    """The call must not be placed. ``str()`` names the rule."""


@dataclass(frozen=True, slots=True)
class CallAbout:
    """Whose call it is, for the archive. ``person_id`` and ``case_id`` are pseudonyms; ``stage`` the tier of delay."""

    campaign: str | None = None
    case_id: str | None = None
    person_id: str | None = None
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class Callee:
    """Whom the contact rules judge: the person, and what happened with them before, as the frequency ledger has it.

    ``policy`` is the campaign's; ``None``: the script's.
    """

    person: ContactPerson
    history: tuple[ContactRecord, ...] = ()
    policy: str | None = None


def stage_of(days_past_due: int) -> str:
    """The stage of delay, by the half month: ``days 1-15``, ``days 16-30`` …"""
    first = max(0, days_past_due - 1) // 15 * 15 + 1
    return f"days {first}-{first + 14}"


@dataclass(slots=True)
class PreparedCall:
    """A call that may be placed: everything is loaded and rendered; only the line is missing."""

    call_id: str
    case: CaseFile
    lang: Lang
    script: Script
    dialogue: Dialogue
    policy: str | None
    at: datetime
    label: str
    listener: Callable[[News], None] | None = None
    about: CallAbout = field(default_factory=lambda: CallAbout())
    hand_over: Callable[[Whisper | None], Awaitable[None]] | None = None
    """Connects the person to the people's queue, where a human hears the whisper first; set by whoever placed the
    call, if the carrier can."""
    whisper_key: str = ""
    """What that human presses to take the person, where the carrier wants it."""
    claimed: bool = False
    outcome: asyncio.Future[CallOutcome] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def today(self) -> datetime:
        """The call's moment in the borrower's time zone."""
        return self.at.astimezone(ZoneInfo(self.case.time_zone))


class CallDesk:
    """One per process. Models, prompt cache and archive are shared by its calls."""

    def __init__(self, settings: Settings, models: Models) -> None:
        self.settings = settings
        self.models = models
        self.layout = Layout(settings.home)
        private_folder(settings.home)
        self.database: Database = open_database(settings.database_url or self.layout.database_url)
        recover(self.database, self.layout.home)
        self.style = VoiceStyle(variant=settings.voice_variant, rate=settings.voice_rate)
        self.cache = PromptCache(EspeakSpeaker())
        secret = settings.token_secret
        self.tokens = TokenIssuer(secret.get_secret_value().encode() if secret else secrets.token_bytes(32))
        self._expected: dict[str, PreparedCall] = {}
        self._live = 0
        self.hub = LiveHub()
        """The live calls, for supervisors."""

    def close(self) -> None:
        self.database.close()

    async def prepare(
        self,
        case: CaseFile,
        lang: Lang,
        *,
        at: datetime | None = None,
        script_id: str = SCRIPT,
        label: str = "",
        listener: Callable[[News], None] | None = None,
        about: CallAbout | None = None,
        callee: Callee | None = None,
    ) -> PreparedCall:
        """Check that the borrower may be called at ``at`` (aware; now if unset), load the script, render its lines.

        Of a ``callee`` that is not given nothing is known but what the case says. What places a call asks the contact
        rules again, in the transaction that enters the dial.

        Raises ``CallRefused`` naming the contact rule, ``ScriptError`` for a script that may not be used, and
        ``ConfigurationError`` for a script with a line that the gate refuses.
        """
        moment = at or datetime.now(UTC)
        script = load_script(self._script(script_id, lang), lang, moment)
        known = callee or Callee(ContactPerson("unknown", "unknown", (case.time_zone,), number_key="unknown"))
        policy = known.policy or script.policy
        verdict = may_dial(
            moment, known.person, known.history, policy, lang=lang, policies=self.models.gate.policies
        )  # fmt: skip
        if verdict.decision != "allow":
            first = verdict.rules[0]
            raise CallRefused(f"{first.id}: {first.explanation.get(lang, first.category)} ({first.clause})")
        today = moment.astimezone(ZoneInfo(case.time_zone)).date()
        dialogue = Dialogue(script, case, today)
        call = PreparedCall(
            str(uuid.uuid4()), case, lang, script, dialogue, script.policy, moment, label, listener,
            about or CallAbout(stage=stage_of(case.days_past_due)),
        )  # fmt: skip
        await asyncio.to_thread(self.cache.prepare, self._approved_lines(dialogue), self.style)
        return call

    def _script(self, script_id: str, lang: Lang) -> str | Path:
        """A script that ships by its id, one of the operator's own by its path."""
        folder = self.settings.scripts
        return script_id if folder is None else folder / lang / f"{script_id}.yaml"

    def _approved_lines(self, dialogue: Dialogue) -> list[ApprovedLine]:
        """Every line whose words are known before the call, as the gate approves them towards the borrower.

        Being prepared is no leave to speak: the gate judges again, by the facts of the moment.
        """
        case = dialogue.case
        lines = []
        for proposed in dialogue.prerender():
            facts = CallFacts(proposed.lang, "borrower", dialogue.script.policy, case.facts(), MANDATORY)
            verdict, line = self.models.gate.approve(proposed, facts)
            if line is None:
                rule = verdict.rules[0].id if verdict.rules else "?"
                raise ConfigurationError(f"script line {proposed.line_id!r} is refused by the gate: {rule}")
            lines.append(line)
        return lines

    def expect(self, call: PreparedCall, ttl: float = 60.0, *, carrier: str = "twilio") -> str:
        """Give out the path of the call's media socket at ``carrier``; it is good for one connection."""
        self._expected[call.call_id] = call
        return f"/media/{carrier}/{self.tokens.issue(call.call_id, ttl)}"

    def claim(self, call_id: str) -> PreparedCall | None:
        """The expected call of a redeemed token, once."""
        call = self._expected.pop(call_id, None)
        if call is not None:
            call.claimed = True
        return call

    def forget(self, call_id: str) -> None:
        """The call was never answered."""
        self._expected.pop(call_id, None)

    @property
    def live(self) -> int:
        """Calls that go on at present."""
        return self._live

    @property
    def full(self) -> bool:
        return self._live >= self.settings.max_calls

    def __enter__(self) -> CallDesk:
        self._live += 1
        return self

    def __exit__(self, *_: object) -> None:
        self._live -= 1
