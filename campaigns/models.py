"""The tables of portfolios, campaigns and the attempt ledger.

They live in the archive's database under an Alembic history of their own. Moments end in ``_at`` and are aware UTC.
Three partial unique indexes on ``campaign_attempts`` are the heart of "exactly once": while an attempt is live
(``unknown`` included) no second one can exist for the same contact, the same person, or the same number.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, get_args

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, ForeignKey, Index, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from archive.models import NAMING, one_of
from archive.types import CleanJson, CleanText, Label, Money, UtcDateTime

AttemptState = Literal[
    "reserved",  # a slot and a channel are held; the provider has not been asked
    "dialing",  # committed before the provider is asked: from here on a telephone may ring
    "placed",  # the provider has confirmed
    "ringing",
    "answered",
    "closing",  # the line is down, what came of the call is not entered yet
    "unknown",  # nobody can say whether it rang: never dialled again by itself
    "ended",  # over, with its outcome
    "failed",  # the provider refused for certain: no telephone rang
    "absent",  # was unknown; the provider has proved that it never had the call
    "released",  # given back before the provider was asked
]
LIVE: tuple[AttemptState, ...] = ("reserved", "dialing", "placed", "ringing", "answered", "closing", "unknown")
ContactState = Literal["waiting", "live", "held", "done"]
DebtState = Literal["open", "paid", "ceased", "disputed", "withdrawn"]
CampaignState = Literal["ready", "running", "stopping", "stopped"]
MessageState = Literal["sending", "sent", "failed", "unknown"]


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime, Decimal: Money, str: CleanText}


class Import(Base):
    """One file that was taken in: its SHA-256 and what became of its rows."""

    __tablename__ = "campaign_imports"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Label(16))
    lender: Mapped[str] = mapped_column(Label(128))
    sha256: Mapped[str] = mapped_column(Label(64))
    at: Mapped[datetime]
    counts: Mapped[dict[str, int]] = mapped_column(CleanJson)


class Person(Base):
    """A human being, whatever number of lenders and debts. ``key`` is how imports recognise them.

    ``stopped_*``: do not contact, by anybody, ever. The protective flags only ever go up by themselves.
    """

    __tablename__ = "campaign_people"
    __table_args__ = (UniqueConstraint("key"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Label(64))
    name: Mapped[str]
    country: Mapped[str] = mapped_column(Label(16), default="")
    consents: Mapped[list[str]] = mapped_column(CleanJson)
    stopped_at: Mapped[datetime | None]
    stopped_reason: Mapped[str | None] = mapped_column(Label(32))
    attorney: Mapped[bool] = mapped_column(default=False)
    deceased: Mapped[bool] = mapped_column(default=False)
    bankrupt: Mapped[bool] = mapped_column(default=False)
    only_from: Mapped[str | None] = mapped_column(Label(5))
    only_to: Mapped[str | None] = mapped_column(Label(5))
    not_before_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Number(Base):
    """A telephone number in E.164. Once stopped it is not dialled for anybody until a person lifts it."""

    __tablename__ = "campaign_numbers"

    number: Mapped[str] = mapped_column(Label(20), primary_key=True)
    stopped_at: Mapped[datetime | None]
    stopped_reason: Mapped[str | None] = mapped_column(Label(32))


class PersonNumber(Base):
    """A number under which a person may be reached, best first; ``verified_at``: the right party answered it."""

    __tablename__ = "campaign_person_numbers"
    __table_args__ = (Index(None, "number"),)

    person_id: Mapped[int] = mapped_column(ForeignKey("campaign_people.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[str] = mapped_column(ForeignKey("campaign_numbers.number"), primary_key=True)
    position: Mapped[int]
    verified_at: Mapped[datetime | None]


class Debt(Base):
    """One loan. ``facts`` are the case file's further fields; ``row_hash`` is the imported row it came from.

    ``amount_due`` follows payments; ``time_zone`` comes from the lender's record, never from a number's prefix.
    """

    __tablename__ = "campaign_debts"
    __table_args__ = (
        UniqueConstraint("lender", "account"),
        CheckConstraint(one_of("state", get_args(DebtState)), name="state"),
        Index(None, "person_id"),
        Index(None, "lender", "state"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    lender: Mapped[str] = mapped_column(Label(128))
    account: Mapped[str] = mapped_column(Label(64))
    person_id: Mapped[int] = mapped_column(ForeignKey("campaign_people.id"))
    lang: Mapped[str] = mapped_column(Label(8))
    time_zone: Mapped[str] = mapped_column(Label(64))
    region: Mapped[str] = mapped_column(Label(16), default="")
    risk: Mapped[str] = mapped_column(Label(16), default="")
    amount_due: Mapped[Decimal]
    currency: Mapped[str] = mapped_column(Label(8))
    due_date: Mapped[date]
    facts: Mapped[dict[str, Any]] = mapped_column(CleanJson)
    state: Mapped[str] = mapped_column(Label(16))
    state_reason: Mapped[str | None] = mapped_column(Label(32))
    row_hash: Mapped[str] = mapped_column(Label(64))
    as_of: Mapped[date]
    import_id: Mapped[int | None] = mapped_column(ForeignKey("campaign_imports.id"))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Update(Base):
    """A later word of the lender on a debt or person. ``reference`` makes it idempotent within the lender."""

    __tablename__ = "campaign_updates"
    __table_args__ = (UniqueConstraint("lender", "reference"), Index(None, "debt_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    lender: Mapped[str] = mapped_column(Label(128))
    reference: Mapped[str] = mapped_column(Label(128))
    debt_id: Mapped[int] = mapped_column(ForeignKey("campaign_debts.id"))
    kind: Mapped[str] = mapped_column(Label(24))
    amount: Mapped[Decimal | None]
    at: Mapped[datetime]


class Campaign(Base):
    __tablename__ = "campaigns"
    __table_args__ = (UniqueConstraint("name"), CheckConstraint(one_of("state", get_args(CampaignState)), name="state"))

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Label(64))
    trunk: Mapped[str] = mapped_column(Label(64))
    config: Mapped[dict[str, Any]] = mapped_column(CleanJson)
    state: Mapped[str] = mapped_column(Label(16))
    stop_mode: Mapped[str | None] = mapped_column(Label(16))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Trunk(Base):
    """What all dialer processes share: channels, the rate's token bucket, and the circuit breaker.

    ``channels`` and ``per_minute`` are upper bounds; ``per_minute`` of 0 means no limit of our own.
    """

    __tablename__ = "campaign_trunks"

    name: Mapped[str] = mapped_column(Label(64), primary_key=True)
    channels: Mapped[int]
    per_minute: Mapped[float]
    tokens: Mapped[float]
    filled_at: Mapped[datetime]
    failures: Mapped[int] = mapped_column(default=0)
    closed_until: Mapped[datetime | None]


class Dialer(Base):
    """A dialer process and its heartbeat: attempts of one that no longer beats are the reaper's."""

    __tablename__ = "campaign_dialers"

    id: Mapped[str] = mapped_column(Label(64), primary_key=True)
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    stopped_at: Mapped[datetime | None]


class Contact(Base):
    """A debt in a campaign: when it may next be tried, what came of it, why it is not tried.

    ``reason`` is an outcome, or the id of the rule that refused; ``tries`` counts outcomes in a row by name.
    """

    __tablename__ = "campaign_contacts"
    __table_args__ = (
        UniqueConstraint("campaign_id", "debt_id"),
        CheckConstraint(one_of("state", get_args(ContactState)), name="state"),
        Index(None, "campaign_id", "state", "next_at"),
        Index(None, "person_id"),
        Index(None, "debt_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("campaigns.id", ondelete="CASCADE"))
    debt_id: Mapped[int] = mapped_column(ForeignKey("campaign_debts.id"))
    person_id: Mapped[int] = mapped_column(ForeignKey("campaign_people.id"))
    state: Mapped[str] = mapped_column(Label(16))
    next_at: Mapped[datetime]
    n: Mapped[int] = mapped_column(default=0)
    dialed: Mapped[int] = mapped_column(default=0)
    outcome: Mapped[str | None] = mapped_column(Label(32))
    reason: Mapped[str | None] = mapped_column(Label(64))
    tries: Mapped[dict[str, int]] = mapped_column(CleanJson)
    requested: Mapped[bool] = mapped_column(default=False)
    updated_at: Mapped[datetime]


class Attempt(Base):
    """One dial. Committed as ``dialing`` before the provider is asked.

    ``verified``: whoever answered had shown that they are the borrower.
    """

    __tablename__ = "campaign_attempts"
    __table_args__ = (
        UniqueConstraint("contact_id", "n"),
        CheckConstraint(one_of("state", get_args(AttemptState)), name="state"),
        *(
            Index(
                f"ux_campaign_attempts_live_{column}",
                column,
                unique=True,
                sqlite_where=sa.text(one_of("state", LIVE)),
                postgresql_where=sa.text(one_of("state", LIVE)),
            )
            for column in ("contact_id", "person_id", "number")
        ),
        Index(None, "state"),
        Index(None, "trunk", "state"),
        Index(None, "provider", "provider_call_id"),
    )

    id: Mapped[str] = mapped_column(Label(36), primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("campaign_contacts.id", ondelete="CASCADE"))
    n: Mapped[int]
    person_id: Mapped[int]
    debt_id: Mapped[int]
    number: Mapped[str] = mapped_column(Label(20))
    caller_id: Mapped[str] = mapped_column(Label(20))
    trunk: Mapped[str] = mapped_column(Label(64))
    provider: Mapped[str] = mapped_column(Label(32))
    provider_call_id: Mapped[str | None] = mapped_column(Label(128))
    dialer: Mapped[str] = mapped_column(Label(64))
    state: Mapped[str] = mapped_column(Label(16))
    outcome: Mapped[str | None] = mapped_column(Label(32))
    reason: Mapped[str | None] = mapped_column(Label(64))
    call_id: Mapped[str | None] = mapped_column(Label(36))
    policy_hash: Mapped[str | None] = mapped_column(Label(128))
    verified: Mapped[bool] = mapped_column(default=False, server_default=sa.false())
    reserved_at: Mapped[datetime]
    dialing_at: Mapped[datetime | None]
    placed_at: Mapped[datetime | None]
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    settled_at: Mapped[datetime | None]
    updated_at: Mapped[datetime]


class Record(Base):
    """The frequency ledger: everything that counts as a contact, of every campaign, import and channel.

    Rows of an attempt are written in the transaction that dials it and voided if it proves never to have rung.
    ``running``: a call placed by hand that nobody has settled yet; one of a campaign has its attempt to say so.
    """

    __tablename__ = "campaign_records"
    __table_args__ = (
        UniqueConstraint("source", "kind"),
        Index(None, "person_id", "at"),
        Index(None, "number", "at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(Label(160))
    person_id: Mapped[int]
    debt_id: Mapped[int | None]
    number: Mapped[str | None] = mapped_column(Label(20))
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(Label(24))
    channel: Mapped[str] = mapped_column(Label(16))
    answered: Mapped[bool] = mapped_column(default=False)
    effective: Mapped[bool] = mapped_column(default=True)
    void: Mapped[bool] = mapped_column(default=False)
    running: Mapped[bool] = mapped_column(default=False, server_default=sa.false())


class Message(Base):
    """One text message. ``occasion`` makes it unique: an attempt's id for a confirmation, a date for a reminder."""

    __tablename__ = "campaign_messages"
    __table_args__ = (
        UniqueConstraint("debt_id", "template", "occasion"),
        CheckConstraint(one_of("state", get_args(MessageState)), name="state"),
        Index(None, "state"),
    )

    id: Mapped[str] = mapped_column(Label(36), primary_key=True)
    debt_id: Mapped[int] = mapped_column(ForeignKey("campaign_debts.id"))
    person_id: Mapped[int]
    number: Mapped[str] = mapped_column(Label(20))
    template: Mapped[str] = mapped_column(Label(64))
    occasion: Mapped[str] = mapped_column(Label(64))
    text: Mapped[str]
    policy_hash: Mapped[str] = mapped_column(Label(128))
    state: Mapped[str] = mapped_column(Label(16))
    provider: Mapped[str] = mapped_column(Label(32))
    provider_id: Mapped[str | None] = mapped_column(Label(128))
    reason: Mapped[str | None] = mapped_column(Label(64))
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]


class Outgoing(Base):
    """A webhook to be delivered: entered in the transaction whose news it carries."""

    __tablename__ = "campaign_outbox"
    __table_args__ = (UniqueConstraint("event_id"), Index(None, "state", "next_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(Label(36))
    kind: Mapped[str] = mapped_column(Label(32))
    url: Mapped[str]
    payload: Mapped[dict[str, Any]] = mapped_column(CleanJson)
    state: Mapped[str] = mapped_column(Label(16))
    tries: Mapped[int] = mapped_column(default=0)
    next_at: Mapped[datetime]
    error: Mapped[str | None] = mapped_column(Label(128))
    created_at: Mapped[datetime]
