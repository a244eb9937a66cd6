"""The console's own tables: people, sessions, keys, and what reviewers do with calls. The calls are the archive's."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import CheckConstraint, ForeignKey, Index, MetaData, UniqueConstraint
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from archive.models import NAMING
from archive.types import CleanJson, CleanText, Label, UtcDateTime


class ConsoleBase(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {datetime: UtcDateTime, str: CleanText}


class Person(ConsoleBase):
    """Somebody who may sign in. ``password`` is an argon2 hash, ``None`` until it is first set. ``subject`` is the
    SHA-256 of who they are at the identity provider, for those who sign in there."""

    __tablename__ = "console_people"
    __table_args__ = (Index(None, "subject", unique=True),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Label(64), unique=True)
    password: Mapped[str | None] = mapped_column(Label(255))
    role: Mapped[str] = mapped_column(Label(16))
    lang: Mapped[str] = mapped_column(Label(8), default="zh")
    disabled_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    subject: Mapped[str | None] = mapped_column(Label(64))


class OidcAttempt(ConsoleBase):
    """A sign-in that was sent to the identity provider and has not come back. ``token`` is the SHA-256 of what the
    browser's cookie holds, ``state`` that of what the provider must bring back."""

    __tablename__ = "console_oidc_attempts"
    __table_args__ = (Index(None, "expires_at"),)

    token: Mapped[str] = mapped_column(Label(64), primary_key=True)
    state: Mapped[str] = mapped_column(Label(64))
    nonce: Mapped[str] = mapped_column(Label(64))
    verifier: Mapped[str] = mapped_column(Label(128))
    next: Mapped[str] = mapped_column(Label(2000))
    expires_at: Mapped[datetime]


class SessionRow(ConsoleBase):
    """A signed-in browser. ``token`` is the SHA-256 of what its cookie holds."""

    __tablename__ = "console_sessions"
    __table_args__ = (Index(None, "person_id"), Index(None, "expires_at"))

    token: Mapped[str] = mapped_column(Label(64), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("console_people.id", ondelete="CASCADE"))
    created_at: Mapped[datetime]
    seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class Invitation(ConsoleBase):
    """A one-time link with which somebody sets a password. ``token`` is the SHA-256 of what the link holds."""

    __tablename__ = "console_invitations"

    token: Mapped[str] = mapped_column(Label(64), primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("console_people.id", ondelete="CASCADE"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


class ApiKey(ConsoleBase):
    """A program's key. ``token`` is the SHA-256 of the key."""

    __tablename__ = "console_api_keys"

    id: Mapped[int] = mapped_column(primary_key=True)
    token: Mapped[str] = mapped_column(Label(64), unique=True)
    name: Mapped[str] = mapped_column(Label(64))
    role: Mapped[str] = mapped_column(Label(16))
    created_by: Mapped[str] = mapped_column(Label(64))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class Comment(ConsoleBase):
    """What a reviewer says of a moment (seconds since answer; ``None``: of the whole call)."""

    __tablename__ = "console_comments"
    __table_args__ = (Index(None, "call_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(Label(36))
    at: Mapped[float | None]
    author: Mapped[str] = mapped_column(Label(64))
    text: Mapped[str]
    created_at: Mapped[datetime]


class Assignment(ConsoleBase):
    """Who reviews a call. ``second`` is the second reviewer's row of the same call."""

    __tablename__ = "console_assignments"
    __table_args__ = (UniqueConstraint("call_id", "second"), Index(None, "reviewer"))

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(Label(36))
    reviewer: Mapped[str] = mapped_column(Label(64))
    second: Mapped[bool] = mapped_column(default=False)
    assigned_by: Mapped[str] = mapped_column(Label(64))
    assigned_at: Mapped[datetime]


class Scorecard(ConsoleBase):
    """One reviewer's answers for a call: ``answers`` maps a question's id to its answer."""

    __tablename__ = "console_scorecards"
    __table_args__ = (UniqueConstraint("call_id", "reviewer"), Index(None, "call_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(Label(36))
    reviewer: Mapped[str] = mapped_column(Label(64))
    card: Mapped[str] = mapped_column(Label(64))
    answers: Mapped[dict[str, Any]] = mapped_column(CleanJson)
    score: Mapped[float]
    saved_at: Mapped[datetime]


class Calibration(ConsoleBase):
    """Calls that several reviewers score, each without seeing the others' scorecards until the session is closed."""

    __tablename__ = "console_calibrations"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(Label(128))
    card: Mapped[str] = mapped_column(Label(64))
    opened_by: Mapped[str] = mapped_column(Label(64))
    opened_at: Mapped[datetime]
    closed_by: Mapped[str | None] = mapped_column(Label(64))
    closed_at: Mapped[datetime | None]


class CalibrationCall(ConsoleBase):
    """A call of a calibration session."""

    __tablename__ = "console_calibration_calls"
    __table_args__ = (Index(None, "call_id"),)

    calibration_id: Mapped[int] = mapped_column(
        ForeignKey("console_calibrations.id", ondelete="CASCADE"), primary_key=True
    )
    call_id: Mapped[str] = mapped_column(Label(36), primary_key=True)


class Correction(ConsoleBase):
    """A reviewer's word against a model's: ``field`` (intent, emotion, verdict) of a turn should be ``value``."""

    __tablename__ = "console_corrections"
    __table_args__ = (
        CheckConstraint("field IN ('intent', 'emotion', 'verdict', 'text')", name="field"),
        UniqueConstraint("call_id", "turn_seq", "field", "author"),
        Index(None, "call_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(Label(36))
    turn_seq: Mapped[int]
    field: Mapped[str] = mapped_column(Label(16))
    before: Mapped[str]
    value: Mapped[str]
    author: Mapped[str] = mapped_column(Label(64))
    created_at: Mapped[datetime]


class Acknowledgement(ConsoleBase):
    """An alert that somebody has taken note of."""

    __tablename__ = "console_acknowledgements"
    __table_args__ = (UniqueConstraint("call_id", "flag_seq"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    call_id: Mapped[str] = mapped_column(Label(36))
    flag_seq: Mapped[int]
    by: Mapped[str] = mapped_column(Label(64))
    at: Mapped[datetime]
