"""What happened in a call, row by row: the call, its turns, verdicts, events and flags."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal, get_args

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from agent.events import Decision, Disposition, Lang
from archive.models.base import Base, one_of
from archive.types import CleanJson, Label

Who = Literal["borrower", "agent"]
Status = Literal["live", "ended", "interrupted"]
Severity = Literal["low", "medium", "high", "critical"]


class Call(Base):
    """One answered or dialled call. ``recording`` is relative to the archive's home; ``person_id`` is whom it was
    made to, under the pseudonym that the campaigns use; ``stage`` the collection stage of the case."""

    __tablename__ = "calls"
    __table_args__ = (
        CheckConstraint(one_of("lang", get_args(Lang)), name="lang"),
        CheckConstraint(one_of("status", get_args(Status)), name="status"),
        CheckConstraint("disposition IS NULL OR " + one_of("disposition", get_args(Disposition)), name="disposition"),
        CheckConstraint("response_gap_n >= 0", name="response_gap_n"),
        Index(None, "started_at"),
        Index(None, "status"),
        Index(None, "disposition"),
        Index(None, "case_id"),
        Index(None, "person_id"),
        Index(None, "campaign"),
    )

    id: Mapped[str] = mapped_column(Label(36), primary_key=True)
    lang: Mapped[str] = mapped_column(Label(8))
    status: Mapped[str] = mapped_column(Label(16))
    scenario: Mapped[str | None] = mapped_column(Label(128))
    campaign: Mapped[str | None] = mapped_column(Label(128))
    case_id: Mapped[str | None] = mapped_column(Label(128))
    person_id: Mapped[str | None] = mapped_column(Label(128))
    stage: Mapped[str | None] = mapped_column(Label(64))
    script_id: Mapped[str | None] = mapped_column(Label(128))
    script_hash: Mapped[str | None] = mapped_column(Label(128))
    policy: Mapped[str | None] = mapped_column(Label(128))
    policy_hash: Mapped[str | None] = mapped_column(Label(128))
    models: Mapped[dict[str, str]] = mapped_column(CleanJson)
    started_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    disposition: Mapped[str | None] = mapped_column(Label(32))
    promise_date: Mapped[date | None]
    promise_amount: Mapped[Decimal | None]
    promise_currency: Mapped[str | None] = mapped_column(Label(8))
    recording: Mapped[str | None]
    response_gap_p50_ms: Mapped[float | None]
    response_gap_p95_ms: Mapped[float | None]
    response_gap_n: Mapped[int] = mapped_column(default=0)


class VerdictRow(Base):
    """What the gate said of one proposal. A proposal that was spoken is named by its turn; others stand alone.

    ``proposed`` is the text that was judged, ``text`` what might then be spoken ("" for nothing).
    """

    __tablename__ = "verdicts"
    __table_args__ = (
        UniqueConstraint("call_id", "seq"),
        CheckConstraint(one_of("decision", get_args(Decision)), name="decision"),
        Index(None, "decision"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    seq: Mapped[int]
    at: Mapped[float]
    recorded_at: Mapped[datetime]
    decision: Mapped[str] = mapped_column(Label(16))
    rules: Mapped[list[dict[str, Any]]] = mapped_column(CleanJson)
    proposed: Mapped[str]
    text: Mapped[str]
    line_id: Mapped[str | None] = mapped_column(Label(128))
    script_hash: Mapped[str | None] = mapped_column(Label(128))
    policy_hash: Mapped[str | None] = mapped_column(Label(128))


class Turn(Base):
    """One utterance of either side. ``heard_text`` is what was audible of an interrupted agent line;
    ``response_gap_ms`` is the silence from the borrower's last speech sample to this agent line."""

    __tablename__ = "turns"
    __table_args__ = (
        UniqueConstraint("call_id", "seq"),
        ForeignKeyConstraint(["call_id", "verdict_seq"], ["verdicts.call_id", "verdicts.seq"], ondelete="CASCADE"),
        CheckConstraint(one_of("who", get_args(Who)), name="who"),
        CheckConstraint('"end" >= start', name="span"),
        Index(None, "intent"),
        Index(None, "emotion"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    seq: Mapped[int]
    recorded_at: Mapped[datetime]
    who: Mapped[str] = mapped_column(Label(16))
    start: Mapped[float]
    end: Mapped[float]
    text: Mapped[str]
    heard_text: Mapped[str | None]
    words: Mapped[list[dict[str, Any]]] = mapped_column(CleanJson)
    confidence: Mapped[float | None]
    intent: Mapped[str | None] = mapped_column(Label(64))
    intents: Mapped[list[dict[str, Any]]] = mapped_column(CleanJson)
    slots: Mapped[dict[str, Any]] = mapped_column(CleanJson)
    emotion: Mapped[str | None] = mapped_column(Label(32))
    scores: Mapped[dict[str, float]] = mapped_column(CleanJson)
    arousal: Mapped[float | None]
    valence: Mapped[float | None]
    line_id: Mapped[str | None] = mapped_column(Label(128))
    script_hash: Mapped[str | None] = mapped_column(Label(128))
    verdict_seq: Mapped[int | None]
    interrupted: Mapped[bool] = mapped_column(default=False)
    response_gap_ms: Mapped[float | None]


class Event(Base):
    """Something else that happened: answered, DTMF, a mark, a hand-off, an error."""

    __tablename__ = "events"
    __table_args__ = (UniqueConstraint("call_id", "seq"), Index(None, "kind"))

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    seq: Mapped[int]
    at: Mapped[float]
    recorded_at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(Label(64))
    payload: Mapped[dict[str, Any]] = mapped_column(CleanJson)


class Flag(Base):
    """A reason for a reviewer to look at the call."""

    __tablename__ = "flags"
    __table_args__ = (
        UniqueConstraint("call_id", "seq"),
        CheckConstraint(one_of("severity", get_args(Severity)), name="severity"),
        Index(None, "reason"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    seq: Mapped[int]
    at: Mapped[float]
    recorded_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Label(64))
    severity: Mapped[str] = mapped_column(Label(16))
