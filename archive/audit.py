"""The audit chain: who did what to the archive, each entry bound to the one before it by its hash.

An entry is written in the same transaction as what it records, so neither is ever there without the other. Triggers
refuse to change or delete an entry; :mod:`archive.verify` finds what was done past them. Entries name calls, keys,
rules and receipts; never a borrower's words, name or number. A case or a person is named by :func:`digest_of`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.models import AuditHead, AuditRow
from archive.types import clean_json, clean_text

GENESIS = "0" * 64
"""The hash before the first entry."""
SYSTEM = "system"
"""Who did what no person asked for."""


@dataclass(frozen=True, slots=True)
class Link:
    """An entry's place in the chain: its number from 1, and its hash (64 hexadecimal digits)."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @staticmethod
    def parse(text: str) -> Link:
        """Raises ``ValueError`` for anything but ``SEQ:HASH``."""
        seq, _, digest = text.partition(":")
        if not seq.isdigit() or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
            raise ValueError(f"not a link of the audit chain (SEQ:HASH): {text!r}")
        return Link(int(seq), digest)


def canonical(value: Any) -> str:
    """``value`` as the one JSON text that is hashed: sorted keys, no spaces, UTF-8 as it is."""
    return json.dumps(clean_json(value), ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest_of(scope: str, subject: str) -> str:
    """How the chain names a case or a person, so that it can be kept after they are erased: ``case:sha256…``."""
    return f"{scope}:{hashlib.sha256(f'callgate:{scope}:{subject}'.encode()).hexdigest()[:32]}"


def link_hash(*, seq: int, at: datetime, kind: str, actor: str, subject: str, payload: str, previous: str) -> str:
    """SHA-256 over the entry's canonical JSON; ``payload`` is hashed as the text that it is."""
    content = {
        "seq": seq,
        "at": at.astimezone(UTC).isoformat(timespec="microseconds"),
        "kind": kind,
        "actor": actor,
        "subject": subject,
        "payload": payload,
        "previous": previous,
    }
    return hashlib.sha256(canonical(content).encode()).hexdigest()


class AuditLog:
    """The chain, inside the caller's unit of work (a *writing* one for :meth:`append`)."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def append(self, kind: str, *, actor: str = SYSTEM, subject: str = "", **payload: Any) -> Link:
        """Add an entry. It is there if and only if the caller's transaction commits.

        ``kind`` says what was done (``recording.read``); ``subject`` to what (a call's id, ``case:…``); ``actor``
        is a user's name, an API key's id, or ``system``. Writers of the chain queue for its head until they commit.
        """
        head = sa.select(AuditHead.seq, AuditHead.hash).where(AuditHead.id == 1).with_for_update()
        last, previous = self._session.execute(head).one()
        values: dict[str, Any] = {
            "seq": last + 1,
            "at": datetime.now(UTC),
            "kind": clean_text(kind)[:64],
            "actor": clean_text(actor)[:128],
            "subject": clean_text(subject)[:160],
            "payload": canonical(payload),
            "previous": previous,
        }
        link = Link(last + 1, link_hash(**values))
        self._session.execute(sa.insert(AuditRow), [{**values, "hash": link.hash}])
        self._session.execute(sa.update(AuditHead).where(AuditHead.id == 1).values(seq=link.seq, hash=link.hash))
        return link

    def head(self) -> Link:
        """The last link, ``0:000…`` of an empty chain."""
        seq, digest = self._session.execute(sa.select(AuditHead.seq, AuditHead.hash)).one()
        return Link(seq, digest)

    def entries(
        self,
        *,
        subject: str | None = None,
        kinds: Sequence[str] = (),
        actor: str | None = None,
        before: int | None = None,
        limit: int = 100,
    ) -> Sequence[AuditRow]:
        """Newest first; ``before`` is the last ``seq`` of the page before this one."""
        found = sa.select(AuditRow).order_by(AuditRow.seq.desc()).limit(limit)
        if subject is not None:
            found = found.where(AuditRow.subject == subject)
        if kinds:
            found = found.where(AuditRow.kind.in_(kinds))
        if actor is not None:
            found = found.where(AuditRow.actor == actor)
        if before is not None:
            found = found.where(AuditRow.seq < before)
        return self._session.scalars(found).all()

    def latest(self, subject: str, kinds: Sequence[str]) -> Mapping[str, Any] | None:
        """The payload of the newest entry of these kinds about ``subject``."""
        found = (
            sa.select(AuditRow.payload)
            .where(AuditRow.subject == subject, AuditRow.kind.in_(kinds))
            .order_by(AuditRow.seq.desc())
            .limit(1)
        )
        text = self._session.scalar(found)
        if text is None:
            return None
        document: Mapping[str, Any] = json.loads(text)
        return document
