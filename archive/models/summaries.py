"""A call as lists, search and filters need it: one row a call, its reasons, its rules, its words, its promise."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from archive.models.base import Base
from archive.types import Label

Review = Literal["none", "open", "done"]


class Summary(Base):
    """One call in one row, for lists and charts. ``doc`` is the call's start in microseconds since 1970, made unique:
    newest first is ``doc`` descending. ``severity`` is that of the worst flag, 0 (none) to 4 (critical). Sums over the
    borrower's turns; divide by ``borrower_turns``. A machine's greeting is no turn of the borrower's.

    ``promise_*`` are days since 1970, written by :mod:`archive.promises`: when the promised amount is due, when
    payments reached it, when another promise or the lender took its place. All ``None``: nothing is known of the
    case's payments.
    """

    __tablename__ = "summaries"
    __table_args__ = (
        UniqueConstraint("call_id"),
        CheckConstraint("review IN ('none', 'open', 'done')", name="review"),
        Index(None, "review", "severity", "doc"),
        Index(None, "severity", "doc"),
        Index(None, "disposition", "doc"),
        Index(None, "campaign", "doc"),
        Index(None, "lang", "doc"),
        Index(None, "script_id", "doc"),
        Index(None, "stage", "doc"),
        Index(None, "scenario", "doc"),
        Index(
            "ix_summaries_promised",
            "doc",
            "promise_due",
            "promise_reached",
            "promise_ended",
            "lang",
            "campaign",
            "script_id",
            "stage",
            "scenario",
            "disposition",
            sqlite_where=text("promise_due IS NOT NULL"),
            postgresql_where=text("promise_due IS NOT NULL"),
        ),
    )

    doc: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"))
    lang: Mapped[str] = mapped_column(Label(8))
    status: Mapped[str] = mapped_column(Label(16))
    disposition: Mapped[str | None] = mapped_column(Label(32))
    scenario: Mapped[str | None] = mapped_column(Label(128))
    campaign: Mapped[str | None] = mapped_column(Label(128))
    script_id: Mapped[str | None] = mapped_column(Label(128))
    stage: Mapped[str | None] = mapped_column(Label(64))
    review: Mapped[str] = mapped_column(Label(8))
    severity: Mapped[int]
    flags: Mapped[int]
    seconds: Mapped[float]
    turns: Mapped[int]
    borrower_turns: Mapped[int]
    valence_sum: Mapped[float]
    arousal_sum: Mapped[float]
    positive: Mapped[int]
    anxious: Mapped[int]
    sad: Mapped[int]
    frustrated: Mapped[int]
    angry: Mapped[int]
    refusals: Mapped[int]
    right_party: Mapped[bool]
    opt_out: Mapped[bool]
    complaint: Mapped[bool]
    gap_p95_ms: Mapped[float | None]
    promise_due: Mapped[int | None]
    promise_reached: Mapped[int | None]
    promise_ended: Mapped[int | None]


class PromiseCase(Base):
    """A case whose promises are to be looked at again: one was made, or a payment came."""

    __tablename__ = "promise_cases"

    case_id: Mapped[str] = mapped_column(Label(128), primary_key=True)


class PromiseSource(Base):
    """How far the news of a source of payments have been read."""

    __tablename__ = "promise_sources"

    name: Mapped[str] = mapped_column(Label(64), primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger)


class SummaryReason(Base):
    """Why a call is flagged, beside its summary: one row a reason. ``review`` is the summary's, so that a queue's
    reasons are counted without it."""

    __tablename__ = "summary_reasons"
    __table_args__ = (Index(None, "doc"), Index(None, "review", "reason", "severity"))

    reason: Mapped[str] = mapped_column(Label(64), primary_key=True)
    doc: Mapped[int] = mapped_column(ForeignKey("summaries.doc", ondelete="CASCADE"), primary_key=True)
    severity: Mapped[int]
    review: Mapped[str] = mapped_column(Label(8), server_default="none")


class SummaryRule(Base):
    """How often a rule fired in a call, by the decision it led to."""

    __tablename__ = "summary_rules"
    __table_args__ = (Index(None, "doc"),)

    rule: Mapped[str] = mapped_column(Label(128), primary_key=True)
    doc: Mapped[int] = mapped_column(ForeignKey("summaries.doc", ondelete="CASCADE"), primary_key=True)
    decision: Mapped[str] = mapped_column(Label(16), primary_key=True)
    category: Mapped[str] = mapped_column(Label(64))
    times: Mapped[int]


class CallText(Base):
    """What was said in a call, as space-joined tokens (:mod:`archive.tokens`): what full-text search looks in.

    SQLite keeps an FTS5 index of it (``call_fts``), PostgreSQL a generated ``tsvector`` column with a GIN index."""

    __tablename__ = "call_text"

    doc: Mapped[int] = mapped_column(ForeignKey("summaries.doc", ondelete="CASCADE"), primary_key=True)
    tokens: Mapped[str]
