"""One person's data: giving it to them, and erasing as much of it as the floors and holds allow.

A person is named by ``person`` (the campaigns' pseudonym) or by ``case`` (a case's id); both lead to calls. What other
packages keep of a person in the same database (a contact ledger, say) they give and erase themselves: they register a
:class:`Holder`.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Protocol

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.audit import AuditLog, digest_of
from archive.database import Database
from archive.digest import TABLES, rows_of
from archive.errors import ArchiveError, one_line
from archive.evidence import open_row
from archive.models import Call
from archive.repository import CallRepository
from archive.retention import CLASSES, Destroyed, Policy, Receipt, destroy, held, purged_classes
from archive.store import Store
from archive.transcript import as_text, read_call
from archive.types import clean_json

Who = Literal["person", "case"]


class Holder(Protocol):
    """Something else that keeps data of people in the archive's database. Runs inside the caller's transaction."""

    name: str

    def export(self, session: Session, who: Who, subject: str) -> Any:
        """All of it, as JSON."""

    def erase(self, session: Session, who: Who, subject: str, now: datetime) -> Mapping[str, str]:
        """Erase what may go; tell what was kept, and why or until when, by record class."""


_holders: list[Holder] = []


def register(holder: Holder) -> None:
    """Called once, when the package that keeps the data is set up."""
    _holders[:] = [each for each in _holders if each.name != holder.name] + [holder]


@dataclass(frozen=True, slots=True)
class Exported:
    path: Path
    calls: int
    recordings: int
    sha256: str
    link: str


def export_subject(database: Database, store: Store, who: Who, subject: str, path: Path, *, actor: str) -> Exported:
    """Write all that the archive holds of a person to a zip file: each call's records, transcript and sound.

    ``index.json`` lists the files with their SHA-256. The export is audited, without the person's name. Raises
    ``ArchiveError`` where nothing is held of them, and where the file exists or cannot be written.
    """
    if path.exists():
        raise ArchiveError(f"{path} exists; it is not overwritten")
    with database.read() as session:
        calls = _calls(session, who, subject)
        others = {holder.name: clean_json(holder.export(session, who, subject)) for holder in _holders}
    if not calls and not any(others.values()):
        raise ArchiveError(f"the archive holds nothing of this {who}")
    part = path.with_name(path.name + ".part")
    listed: dict[str, str] = {}
    sounds = 0
    try:
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w+b") as target:
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:

                def put(name: str, data: bytes) -> None:
                    archive.writestr(name, data)
                    listed[name] = hashlib.sha256(data).hexdigest()

                for call in calls:
                    sounds += _put_call(database, store, call, archive, put, listed)
                for name, document in others.items():
                    put(f"{name}.json", _json(document))
                index = {"made_at": datetime.now(UTC).isoformat(timespec="seconds"), "calls": len(calls)}
                put("index.json", _json({**index, "files": dict(sorted(listed.items()))}))
            target.flush()
            os.fsync(target.fileno())
            target.seek(0)
            digest = hashlib.file_digest(target, "sha256").hexdigest()
        with database.write() as session:
            log = AuditLog(session)
            link = log.append(
                "subject.exported", actor=actor, subject=digest_of(who, subject), calls=len(calls), sha256=digest
            )
        part.replace(path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise ArchiveError(f"cannot write the export {path}: {e.strerror or one_line(e)}") from e
    except ArchiveError:
        part.unlink(missing_ok=True)
        raise
    return Exported(path, len(calls), sounds, digest, str(link))


def _put_call(
    database: Database, store: Store, call: Call, archive: zipfile.ZipFile, put: Any, listed: dict[str, str]
) -> int:
    folder = f"calls/{call.started_at:%Y-%m-%d}/{call.id}"
    document = read_call(database, store.layout.home, call.id)
    with database.read() as session:
        row = CallRepository(session).recording(call.id)
        records = {table: clean_json(rows_of(session, table, call.id)) for table in TABLES}
    document["recording"] = "recording.wav" if row is not None and row.purged_at is None else None
    put(f"{folder}/records.json", _json(records))
    put(f"{folder}/transcript.txt", as_text(document).encode())
    if row is None or row.purged_at is not None:
        return 0
    whole = hashlib.sha256()
    name = f"{folder}/recording.wav"
    with open_row(store, row) as recording, archive.open(name, "w", force_zip64=True) as target:
        for piece in recording.wav():
            whole.update(piece)
            target.write(piece)
    listed[name] = whole.hexdigest()
    return 1


def erase_subject(
    database: Database,
    store: Store,
    policy: Policy,
    who: Who,
    subject: str,
    *,
    actor: str,
    now: datetime | None = None,
    dry_run: bool = False,
) -> Receipt:
    """Destroy what is past its floor of every call with a person; what is not stays, and the receipt says until when.

    A call's ``contact_log`` goes only when all its classes may: it carries the others. Calls under a hold stay whole.
    Raises ``ArchiveError`` where nothing is held of the person.
    """
    now = now or datetime.now(UTC)
    done: list[Destroyed] = []
    holding: list[str] = []
    kept: list[dict[str, str]] = []
    with database.read() as session:
        calls = _calls(session, who, subject)
        under_hold = {call.id for call in calls if held(session, call)}
        gone = {call.id: purged_classes(session, call.id) for call in calls}
    if not calls and not _holders:
        raise ArchiveError(f"the archive holds nothing of this {who}")
    for call in calls:
        if call.id in under_hold:
            holding.append(call.id)
            continue
        if call.status == "live":
            kept.append({"call_id": call.id, "class": "all", "until": "the call has ended"})
            continue
        ended = call.ended_at or call.started_at
        until = {name: ended + timedelta(days=policy.rules[name].floor) for name in CLASSES}
        free = [name for name in CLASSES if until[name] <= now and name not in gone[call.id]]
        if "contact_log" in free and any(until[name] > now for name in CLASSES):
            until["contact_log"] = max(until.values())
            free.remove("contact_log")
        stays = [name for name in CLASSES if until[name] > now and name not in gone[call.id]]
        kept += [{"call_id": call.id, "class": name, "until": until[name].date().isoformat()} for name in stays]
        if free and dry_run:
            done.append(Destroyed(call.id, ended.isoformat(), tuple(free)))
        elif free:
            done.append(destroy(database, store, call.id, free, actor=actor, why="erasure on request"))
    link = None
    if not dry_run:
        with database.write() as session:
            for holder in _holders:
                for name, reason in holder.erase(session, who, subject, now).items():
                    kept.append({"holder": holder.name, "class": name, "until": reason})
            link = AuditLog(session).append(
                "subject.erased",
                actor=actor,
                subject=digest_of(who, subject),
                policy=policy.id,
                destroyed=[{"call": d.call_id, "classes": d.classes} for d in done],
                held=len(holding),
                kept=len(kept),
            )
        database.scrub()
    shown = None if link is None else str(link)
    return Receipt(policy.id, now.isoformat(), dry_run, tuple(done), tuple(holding), tuple(kept), shown)


def _calls(session: Session, who: Who, subject: str) -> Sequence[Call]:
    column = Call.person_id if who == "person" else Call.case_id
    return session.scalars(sa.select(Call).where(column == subject).order_by(Call.started_at)).all()


def _json(document: Any) -> bytes:
    return (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()
