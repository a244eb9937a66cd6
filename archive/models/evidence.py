"""What shows later that a call is still as it was, and what must not be kept longer: recordings, the audit chain,
holds, receipts of destruction."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from archive.models.base import Base
from archive.types import Label

RecordingFormat = Literal["wav", "aes-gcm"]


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
