"""Text messages: approved texts, through the same gate, the same contact rules and the same ledger as calls.

As with a call, the row is committed as ``sending`` before the service is asked, and a message of unknown fate is
never sent again by itself. A text that names a debt goes only to a number that the right party has answered.
"""

from __future__ import annotations

import json
import os
import string
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal, Protocol
from zoneinfo import ZoneInfo

import httpx
import sqlalchemy as sa
from sqlalchemy.orm import Session

from agent.events import CallFacts, Verdict
from archive.database import Database
from campaigns.config import CampaignConfig, load_yaml
from campaigns.errors import ConfigError, PlaceRefused, PlaceUncertain
from campaigns.models import Attempt, Campaign, Contact, Debt, Message, Number, Person, PersonNumber, Record
from campaigns.provider import Messenger, TextOrder
from campaigns.rules import ContactRules, Refusal, cases_of

_FOLDER: Final = Path(__file__).parent / "texts"
_STALE: Final = timedelta(minutes=5)
Template = Literal["promise_confirmation", "payment_link", "reminder"]


class Judge(Protocol):
    """What is asked of the gate: ``compliance_checks.Gate`` fits."""

    def judge(self, text: object, facts: CallFacts) -> Verdict: ...


@dataclass(frozen=True, slots=True)
class NotSent:
    """No message was sent, and why: a rule's id."""

    reason: str


@lru_cache(maxsize=4)
def templates(lang: str) -> Mapping[str, str]:
    """The approved texts of a language. Raises ``ConfigError``."""
    plain = load_yaml(_FOLDER / f"{'zh' if lang == 'zh' else 'en'}.yaml")
    if not isinstance(plain, dict) or not all(isinstance(v, str) for v in plain.values()):
        raise ConfigError(f"texts of {lang}: not a mapping of texts")
    return plain


def render(template: str, slots: Mapping[str, str]) -> str:
    """The text with its slots filled. Raises ``ConfigError`` for an empty or unknown one: nothing goes out half."""
    for _, name, _, _ in string.Formatter().parse(template):
        if name is not None and not slots.get(name):
            raise ConfigError(f"a text needs the slot {name!r}, which this case cannot fill")
    return template.format_map(slots)


class TextDesk:
    """Sends texts for one process. ``gate`` judges what is sent, the contact rules whether it may be."""

    def __init__(
        self,
        database: Database,
        gate: Judge,
        messenger: Messenger,
        clock: Callable[[], datetime],
        rules: ContactRules | None = None,
    ) -> None:
        self.database, self.gate, self.messenger, self.clock = database, gate, messenger, clock
        self.rules = rules or ContactRules()

    async def send(
        self, config: CampaignConfig, debt_id: int, template: Template, occasion: str, extra: Mapping[str, str]
    ) -> str | NotSent:
        """Send one text, once per debt, template and occasion; returns the message's id.

        Raises nothing for a refusal of any kind: that is a ``NotSent``.
        """
        order = self._commit(config, debt_id, template, occasion, extra)
        if isinstance(order, NotSent):
            return order
        state, provider_id, reason = "sent", None, None
        try:
            provider_id = await self.messenger.send(order)
        except PlaceRefused as e:
            state, reason = "failed", e.cause
        except Exception as e:  # whatever it was, the message may be on its way
            state, reason = "unknown", type(e).__name__
        self._enter(order.message_id, state, provider_id, reason)
        return order.message_id

    def _commit(
        self, config: CampaignConfig, debt_id: int, template: Template, occasion: str, extra: Mapping[str, str]
    ) -> TextOrder | NotSent:
        now = self.clock()
        with self.database.write() as session:
            debt = session.get(Debt, debt_id)
            if debt is None:
                return NotSent("message.no_debt")
            person = session.get_one(Person, debt.person_id, with_for_update=True, populate_existing=True)
            session.refresh(debt)
            if debt.state != "open":
                return NotSent(f"debt.{debt.state}")
            key = (Message.debt_id == debt_id, Message.template == template, Message.occasion == occasion)
            if session.scalar(sa.select(Message.id).where(*key)) is not None:
                return NotSent("message.sent_before")
            number = _verified(session, person.id)
            if number is None:
                # A text may be read by anybody: until the borrower has answered there, it must not name a debt.
                return NotSent("message.number_not_verified")
            contact = Contact(
                debt_id=debt_id, person_id=person.id, state="waiting", next_at=now, n=0, dialed=0, tries={},
                requested=occasion != "" and template != "reminder", updated_at=now,
            )  # fmt: skip
            (case,) = cases_of(session, [(contact, debt, person)], now)
            allowed = self.rules.permits(case, config, now)
            if isinstance(allowed, Refusal) and not _confirms(allowed, template):
                return NotSent(allowed.rule)
            sender = config.messages.sender or config.caller_id(debt.region)
            if sender is None:
                return NotSent("campaign.no_caller_id")
            try:
                slots = _slots(debt, person, now, extra)
                text = render(templates(debt.lang)[template], slots)
            except ConfigError:
                return NotSent("message.slot_missing")
            # The link is the campaign owner's, checked in the campaign file; the gate judges the sentence around it.
            judged = render(templates(debt.lang)[template], {**slots, "link": slots.get("payee", "")})
            verdict = self.gate.judge(judged, _facts(config, debt, person, now, extra))
            if verdict.decision != "allow":
                return NotSent(verdict.rules[0].id if verdict.rules else "gate.refused")
            row = Message(
                id=str(uuid.uuid4()), debt_id=debt_id, person_id=person.id, number=number, template=template,
                occasion=occasion, text=text, policy_hash=verdict.policy_hash, state="sending",
                provider=self.messenger.name, created_at=now, updated_at=now,
            )  # fmt: skip
            session.add(row)
            session.add(
                Record(
                    source=row.id, person_id=person.id, debt_id=debt_id, number=number, at=now, kind="text",
                    channel="text",
                )
            )  # fmt: skip
            return TextOrder(row.id, number, sender, text)

    def _enter(self, message_id: str, state: str, provider_id: str | None, reason: str | None) -> None:
        with self.database.write() as session:
            row = session.get_one(Message, message_id, with_for_update=True)
            row.state, row.provider_id, row.reason, row.updated_at = state, provider_id, reason, self.clock()
            if state == "failed":
                session.execute(sa.update(Record).where(Record.source == message_id).values(void=True))

    def reap(self) -> int:
        """Messages whose process died between commit and answer become ``unknown``; returns how many."""
        now = self.clock()
        with self.database.write() as session:
            stale = (Message.state == "sending", Message.updated_at < now - _STALE)
            ids = session.scalars(sa.select(Message.id).where(*stale)).all()
            session.execute(sa.update(Message).where(*stale).values(state="unknown", updated_at=now))
            return len(ids)

    async def remind(self, campaign_id: int, config: CampaignConfig, limit: int = 50) -> dict[str, int]:
        """Send the campaign's reminder to those waiting contacts that may have one today; counts by result."""
        now = self.clock()
        wanted = (
            sa.select(Contact.debt_id, Debt.time_zone)
            .join(Debt, Debt.id == Contact.debt_id)
            .where(Contact.campaign_id == campaign_id, Contact.state == "waiting")
            .order_by(Contact.next_at)
            .limit(limit)
        )
        with self.database.read() as session:
            rows = session.execute(wanted).all()
        counts: dict[str, int] = {}
        for debt_id, zone in rows:
            today = now.astimezone(ZoneInfo(zone)).date().isoformat()
            sent = await self.send(config, debt_id, "reminder", today, {})
            key = sent.reason if isinstance(sent, NotSent) else "sent"
            counts[key] = counts.get(key, 0) + 1
        return counts

    async def confirm(self, attempt_id: str, promise_date: str, promise_amount: str) -> str | NotSent:
        """What the campaign wants sent after a promise: its confirmation, and the payment link."""
        with self.database.read() as session:
            attempt = session.get_one(Attempt, attempt_id)
            contact = session.get_one(Contact, attempt.contact_id)
            plain = session.get_one(Campaign, contact.campaign_id).config
        config = CampaignConfig.model_validate(plain)
        extra = {"promise_date": promise_date, "promise_amount": promise_amount, "link": config.messages.link}
        result: str | NotSent = NotSent("message.not_wanted")
        if config.messages.promise_confirmation:
            result = await self.send(config, attempt.debt_id, "promise_confirmation", attempt_id, extra)
        if config.messages.payment_link:
            result = await self.send(config, attempt.debt_id, "payment_link", attempt_id, extra)
        return result


def _confirms(refusal: Refusal, template: Template) -> bool:
    """A confirmation of what was said a minute ago is no further attempt to collect: pauses *after* that very
    conversation do not hold it back. Stops, hours and counts of texts do."""
    return template != "reminder" and refusal.rule.startswith(
        ("contact.pause.", "contact.limit.conversations", "contact.limit.effective", "contact.limit.attempts",
         "contact.limit.unanswered", "contact.limit.contacts")
    )  # fmt: skip


def _verified(session: Session, person_id: int) -> str | None:
    wanted = (
        sa.select(PersonNumber.number)
        .join(Number, Number.number == PersonNumber.number)
        .where(PersonNumber.person_id == person_id, PersonNumber.verified_at.is_not(None), Number.stopped_at.is_(None))
        .order_by(PersonNumber.verified_at.desc())
        .limit(1)
    )
    return session.scalar(wanted)


def _slots(debt: Debt, person: Person, now: datetime, extra: Mapping[str, str]) -> dict[str, str]:
    facts = {name: value for name, value in debt.facts.items() if isinstance(value, str)}
    own = {
        "borrower_name": person.name,
        "lender": debt.lender,
        "amount_due": f"{debt.amount_due:.2f}",
        "currency": debt.currency,
        "due_date": debt.due_date.isoformat(),
    }
    return {**facts, **own, **extra}


def _facts(config: CampaignConfig, debt: Debt, person: Person, now: datetime, extra: Mapping[str, str]) -> CallFacts:
    days = (now.astimezone(ZoneInfo(debt.time_zone)).date() - debt.due_date).days
    case: dict[str, Any] = {
        **{k: v for k, v in debt.facts.items() if k != "id_last4"},
        **{k: v for k, v in _slots(debt, person, now, extra).items() if k not in ("id_last4", "link")},
        "days_past_due": max(0, days),
    }
    lang: Literal["zh", "en"] = "zh" if debt.lang == "zh" else "en"
    return CallFacts(lang, "borrower", config.policy(lang), case)


class FileMessenger:
    """Writes every message to a file of JSON lines, readable by its owner only: for the demo and for trying things."""

    name = "file"

    def __init__(self, path: Path) -> None:
        self.path = path

    async def send(self, order: TextOrder) -> str:
        line = json.dumps({"id": order.message_id, "to": order.number, "from": order.sender, "text": order.text},
                          ensure_ascii=False)  # fmt: skip
        with os.fdopen(os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "w", encoding="utf-8") as out:
            out.write(line + "\n")
        return f"file-{order.message_id}"


class TwilioMessenger:
    """Twilio's Messages resource: ``POST /2010-04-01/Accounts/{AccountSid}/Messages.json`` with To, From, Body.

    Twilio has no idempotency key, so a request without an answer is of unknown fate. Credentials come from
    ``CALLGATE_TWILIO_ACCOUNT_SID`` and ``CALLGATE_TWILIO_AUTH_TOKEN``.
    """

    name = "twilio"

    def __init__(
        self, account_sid: str, auth_token: str, *, base_url: str = "https://api.twilio.com", timeout: float = 15.0
    ) -> None:
        self._sid, self._token = account_sid, auth_token
        self._base_url, self._timeout = base_url.rstrip("/"), timeout

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> TwilioMessenger:
        names = ("CALLGATE_TWILIO_ACCOUNT_SID", "CALLGATE_TWILIO_AUTH_TOKEN")
        sid, token = (environment.get(name, "") for name in names)
        if not sid or not token:
            raise ConfigError(f"{' and '.join(names)} must be set to send texts through Twilio")
        return cls(sid, token)

    async def send(self, order: TextOrder) -> str:
        url = f"{self._base_url}/2010-04-01/Accounts/{self._sid}/Messages.json"
        form = {"To": order.number, "From": order.sender, "Body": order.text}
        try:
            async with httpx.AsyncClient(timeout=self._timeout, trust_env=False) as client:
                answer = await client.post(url, data=form, auth=(self._sid, self._token))
        except httpx.ConnectError as e:
            raise PlaceRefused("trunk_error", "no connection") from e  # nothing was sent
        except httpx.HTTPError as e:
            raise PlaceUncertain(type(e).__name__) from e
        if 400 <= answer.status_code < 500:
            raise PlaceRefused("rejected", f"status {answer.status_code}, code {_code(answer)}")
        if answer.status_code != 201:
            raise PlaceUncertain(f"status {answer.status_code}")
        sid = _json(answer).get("sid")
        if not isinstance(sid, str) or not sid:
            raise PlaceUncertain("an answer without sid")
        return sid


def _json(answer: httpx.Response) -> dict[str, Any]:
    try:
        plain = answer.json()
    except ValueError:
        return {}
    return plain if isinstance(plain, dict) else {}


def _code(answer: httpx.Response) -> object:
    code = _json(answer).get("code")
    return code if isinstance(code, int) else "none"
