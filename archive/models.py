"""The archive's tables.

Times named ``at``, ``start`` and ``end`` are seconds since the call was answered; moments end in ``_at`` and
are aware UTC. Rows of a call carry ``seq``, counted from 0 per table in the order in which they were recorded:
rows are only ever added, and a row that is written twice (after a crash) is recognised by it.
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal, get_args

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from agent.events import Decision, Disposition, Lang
from archive.types import CleanJson, CleanText, Label, Money, UtcDateTime

Who = Literal["borrower", "agent"]
Status = Literal["live", "ended", "interrupted"]
Severity = Literal["low", "medium", "high", "critical"]

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


def one_of(column: str, values: tuple[str, ...]) -> str:
    """SQL condition: ``column`` holds one of ``values`` (labels of ours, never user input)."""
    return f"{column} IN ({', '.join(repr(v) for v in values)})"


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime, Decimal: Money, str: CleanText}


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


RecordingFormat = Literal["wav", "aes-gcm"]
Review = Literal["none", "open", "done"]


class RecordingRow(Base):
    """A closed recording. ``sha256`` is that of the WAV file it plays as, ``stored_sha256`` that of the file as it
    lies in the store; ``wrapped_key`` is its data key under the master key ``key_id`` (``None``: not encrypted).
    ``remote`` names the copy in the object store; ``purged_at`` is when the sound was destroyed."""

    __tablename__ = "recordings"
    __table_args__ = (Index(None, "key_id"), Index(None, "purged_at"))

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str]
    remote: Mapped[str | None]
    format: Mapped[str] = mapped_column(Label(16))
    key_id: Mapped[str | None] = mapped_column(Label(64))
    wrapped_key: Mapped[str | None]
    frames: Mapped[int] = mapped_column(BigInteger)
    stored_bytes: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(Label(64))
    stored_sha256: Mapped[str] = mapped_column(Label(64))
    sealed_at: Mapped[datetime]
    purged_at: Mapped[datetime | None]


class Peaks(Base):
    """The waveform of a recording: per bin and channel the lowest and highest sample, as :mod:`archive.peaks` packs
    them."""

    __tablename__ = "peaks"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    bin_frames: Mapped[int]
    data: Mapped[bytes] = mapped_column(LargeBinary)


class AuditRow(Base):
    """One link of the audit chain. Triggers refuse to change or delete it. ``payload`` is canonical JSON;
    ``hash`` covers every other column and the hash before it."""

    __tablename__ = "audit"
    __table_args__ = (Index(None, "subject", "kind"), Index(None, "kind", "seq"))

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[datetime]
    kind: Mapped[str] = mapped_column(Label(64))
    actor: Mapped[str] = mapped_column(Label(128))
    subject: Mapped[str] = mapped_column(Label(160))
    payload: Mapped[str]
    previous: Mapped[str] = mapped_column(Label(64))
    hash: Mapped[str] = mapped_column(Label(64))


class AuditHead(Base):
    """The chain's last link; its one row is what writers of the chain queue for."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    seq: Mapped[int] = mapped_column(BigInteger)
    hash: Mapped[str] = mapped_column(Label(64))


class Hold(Base):
    """A legal hold on a call, a case or a person: nothing of it is purged or erased until it is released."""

    __tablename__ = "holds"
    __table_args__ = (
        CheckConstraint("scope IN ('call', 'case', 'person')", name="scope"),
        Index(None, "scope", "subject"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(Label(16))
    subject: Mapped[str] = mapped_column(Label(128))
    reason: Mapped[str]
    placed_by: Mapped[str] = mapped_column(Label(128))
    placed_at: Mapped[datetime]
    released_by: Mapped[str | None] = mapped_column(Label(128))
    released_at: Mapped[datetime | None]


class Purged(Base):
    """A record class of a call that was destroyed, and when."""

    __tablename__ = "purged"

    call_id: Mapped[str] = mapped_column(ForeignKey("calls.id", ondelete="CASCADE"), primary_key=True)
    record_class: Mapped[str] = mapped_column(Label(32), primary_key=True)
    at: Mapped[datetime]


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


class Sums:
    """What is summed up over calls in one language that share a ``value`` of one ``dimension`` ("": not set). ``hour``,
    the first one, is counted from 1970. What they mean, :class:`archive.dashboards.Numbers` says."""

    dimension: Mapped[str] = mapped_column(Label(16), primary_key=True)
    hour: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    lang: Mapped[str] = mapped_column(Label(8), primary_key=True)
    value: Mapped[str] = mapped_column(Label(128), primary_key=True)
    calls: Mapped[int]
    conversations: Mapped[int]
    right_party: Mapped[int]
    promises: Mapped[int]
    complaints: Mapped[int]
    opt_outs: Mapped[int]
    handed_over: Mapped[int]
    flagged: Mapped[int]
    refusals: Mapped[int]
    borrower_turns: Mapped[int]
    positive: Mapped[int]
    anxious: Mapped[int]
    sad: Mapped[int]
    frustrated: Mapped[int]
    angry: Mapped[int]
    seconds: Mapped[float]
    valence_sum: Mapped[float]
    arousal_sum: Mapped[float]


class SummaryCell(Sums, Base):
    """The sums of an hour. Kept by :mod:`archive.rollups`."""

    __tablename__ = "summary_cells"
    __table_args__ = ({"sqlite_with_rowid": False},)


class SummaryDay(Sums, Base):
    """The sums of 24 hours from a midnight (:class:`SummaryMidnight`) on."""

    __tablename__ = "summary_days"
    __table_args__ = ({"sqlite_with_rowid": False},)


class SummaryMidnight(Base):
    """When the days begin that sums are kept of: ``shift`` hours before midnight in Greenwich. No row: none are."""

    __tablename__ = "summary_midnight"
    __table_args__ = (CheckConstraint("id = 1", name="one"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    shift: Mapped[int]


class SummaryStale(Base):
    """An hour whose summaries changed since its cells were summed up. A trigger enters it; never unique, so that nobody
    waits for anybody."""

    __tablename__ = "summary_stale"
    __table_args__ = (Index(None, "hour"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    hour: Mapped[int]


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
