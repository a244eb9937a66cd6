"""How long records are kept, what is held back by law, and destroying what is past its time, with a receipt.

A record class has a floor (not destroyed before) and a ceiling (not kept past), in days after the call ended. ``purge``
destroys what is past its ceiling; :mod:`archive.subjects` destroys on request what is past its floor. A legal hold on
the call, its case or its person stops both. The audit chain is never purged: it names no person.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import sqlalchemy as sa
import yaml
from sqlalchemy.orm import Session

from archive.audit import SYSTEM, AuditLog, digest_of
from archive.database import Database
from archive.errors import ArchiveError
from archive.models import (
    Call,
    Event,
    Hold,
    Peaks,
    Purged,
    RecordingRow,
    Turn,
    VerdictRow,
)  # fmt: skip
from archive.repository import CallRepository
from archive.sealing import reseal
from archive.store import Store

RecordClass = Literal["recording", "transcript", "analysis", "verdicts", "contact_log"]
CLASSES: tuple[RecordClass, ...] = get_args(RecordClass)
Scope = Literal["call", "case", "person"]
RETENTION_VARIABLE = "CALLGATE_RETENTION"
ERASED = "␡"
"""What stands in place of words that were destroyed."""
_DEFAULT = Path(__file__).with_name("retention.yaml")


@dataclass(frozen=True, slots=True)
class Rule:
    """Days after the call ended. ``review`` is ``confirmed`` or ``needs_review``."""

    floor: int
    ceiling: int
    source: str
    review: str


@dataclass(frozen=True, slots=True)
class Policy:
    id: str
    rules: Mapping[RecordClass, Rule]


def load_policy(path: Path | None = None) -> Policy:
    """The retention policy at ``path`` (default ``CALLGATE_RETENTION``, else the one that ships).

    Raises ``ArchiveError`` naming what is wrong in it.
    """
    chosen = path or Path(os.environ.get(RETENTION_VARIABLE) or _DEFAULT)
    try:
        document = yaml.safe_load(chosen.read_text(encoding="utf-8"))
        classes = document["classes"]
        unknown, missing = set(classes) - set(CLASSES), set(CLASSES) - set(classes)
        if unknown or missing:
            raise ValueError(f"record classes missing or unknown: {', '.join(sorted(missing | unknown))}")
        rules = {name: _rule(name, classes[name]) for name in CLASSES}
        # What hangs on another class's rows cannot outlive them.
        for name in ("recording", "transcript", "analysis", "verdicts"):
            if rules[name].ceiling > rules["contact_log"].ceiling:
                raise ValueError(f"{name}: its ceiling lies past the contact log's, without which it means nothing")
        return Policy(str(document["id"]), rules)
    except OSError as e:
        raise ArchiveError(f"cannot read the retention policy {chosen}: {e.strerror}") from e
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as e:
        raise ArchiveError(f"the retention policy {chosen} is unusable: {str(e).splitlines()[0]}") from e


def _rule(name: str, values: Mapping[str, Any]) -> Rule:
    floor, ceiling = values["floor"], values["ceiling"]
    if not (isinstance(floor, int) and isinstance(ceiling, int) and 0 <= floor <= ceiling):
        raise ValueError(f"{name}: floor and ceiling are whole days with 0 <= floor <= ceiling")
    review = values.get("review", "needs_review")
    if review not in ("confirmed", "needs_review"):
        raise ValueError(f"{name}: review is confirmed or needs_review")
    return Rule(floor, ceiling, str(values["source"]), review)


def place_hold(session: Session, scope: Scope, subject: str, *, reason: str, actor: str) -> int:
    """Hold a call, a case or a person; returns the hold's number. Audited. A case or a person may have no call yet.

    Raises ``ArchiveError`` for an unknown call.
    """
    if scope not in get_args(Scope):
        raise ValueError(f"not a scope: {scope!r}")
    if scope == "call" and session.get(Call, subject) is None:
        raise ArchiveError(f"the archive has no call {subject!r}")
    hold = Hold(scope=scope, subject=subject, reason=reason, placed_by=actor, placed_at=datetime.now(UTC))
    session.add(hold)
    session.flush()
    AuditLog(session).append("hold.placed", actor=actor, subject=_named(scope, subject), hold=hold.id)
    return hold.id


def release_hold(session: Session, hold_id: int, *, actor: str) -> None:
    """Raises ``ArchiveError`` for a hold that is unknown or released."""
    hold = session.get(Hold, hold_id)
    if hold is None or hold.released_at is not None:
        raise ArchiveError(f"there is no hold {hold_id} to release")
    hold.released_by, hold.released_at = actor, datetime.now(UTC)
    AuditLog(session).append("hold.released", actor=actor, subject=_named(hold.scope, hold.subject), hold=hold.id)


def holds(session: Session) -> Sequence[Hold]:
    """Those in force, oldest first."""
    return session.scalars(sa.select(Hold).where(Hold.released_at.is_(None)).order_by(Hold.id)).all()


def held(session: Session, call: Call) -> bool:
    subjects = [("call", call.id), ("case", call.case_id), ("person", call.person_id)]
    wanted = sa.or_(*(sa.and_(Hold.scope == scope, Hold.subject == value) for scope, value in subjects if value))
    return session.scalar(sa.select(Hold.id).where(Hold.released_at.is_(None), wanted).limit(1)) is not None


def _named(scope: str, subject: str) -> str:
    return subject if scope == "call" else digest_of(scope, subject)


@dataclass(frozen=True, slots=True)
class Destroyed:
    """A line of a receipt: ``classes`` of a call are no more; ``sha256`` is what the recording's was."""

    call_id: str
    ended_at: str
    classes: tuple[RecordClass, ...]
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was destroyed (would be, where ``dry_run``), what a hold kept, and what a floor kept until when."""

    policy: str
    at: str
    dry_run: bool
    destroyed: tuple[Destroyed, ...]
    held: tuple[str, ...]
    kept: tuple[dict[str, str], ...] = ()
    link: str | None = None
    """The audit entry of this receipt, ``SEQ:HASH``."""

    def document(self) -> dict[str, Any]:
        return asdict(self)


def purge(
    database: Database,
    store: Store,
    policy: Policy,
    *,
    now: datetime | None = None,
    dry_run: bool = False,
    actor: str = SYSTEM,
) -> Receipt:
    """Destroy what is past its ceiling. Each call is a transaction of its own, its recording destroyed first, so a
    purge that is cut off is finished by the next. Raises ``ArchiveError``."""
    now = now or datetime.now(UTC)
    done: list[Destroyed] = []
    kept_back: list[str] = []
    for call_id in list(_past_ceiling(database, policy, now)):
        with database.read() as session:
            call = CallRepository(session).call(call_id)
            if call is None:
                continue
            due = [c for c in CLASSES if now > _ended(call) + timedelta(days=policy.rules[c].ceiling)]
            due = [c for c in due if c not in purged_classes(session, call_id)]
            if not due:
                continue
            if held(session, call):
                kept_back.append(call_id)
                continue
        if dry_run:
            done.append(Destroyed(call_id, _ended(call).isoformat(), tuple(due)))
        else:
            done.append(destroy(database, store, call_id, due, actor=actor, why=f"retention {policy.id}"))
    link = None
    if not dry_run and done:
        with database.write() as session:
            log = AuditLog(session)
            link = str(
                log.append("archive.purged", actor=actor, policy=policy.id, calls=len(done), held=len(kept_back))
            )
        database.scrub()
    return Receipt(policy.id, now.isoformat(), dry_run, tuple(done), tuple(kept_back), (), link)


def purged_classes(session: Session, call_id: str) -> set[str]:
    return set(session.scalars(sa.select(Purged.record_class).where(Purged.call_id == call_id)))


def _ended(call: Call) -> datetime:
    return call.ended_at or call.started_at


def _past_ceiling(database: Database, policy: Policy, now: datetime) -> Iterator[str]:
    soonest = now - timedelta(days=min(rule.ceiling for rule in policy.rules.values()))
    with database.read() as session:
        found = sa.select(Call.id).where(Call.status != "live", Call.started_at < soonest).order_by(Call.started_at)
        yield from session.scalars(found).all()


def destroy(
    database: Database, store: Store, call_id: str, classes: Sequence[RecordClass], *, actor: str, why: str
) -> Destroyed:
    """Destroy these classes of an ended call, whatever their age: the caller has looked at floors and holds.

    ``contact_log`` takes the whole call with it. Raises ``ArchiveError``; the call is as it was then, but for a
    recording that may be gone already.
    """
    with database.read() as session:
        recording = CallRepository(session).recording(call_id)
        call = CallRepository(session).call(call_id)
    if call is None:
        raise ArchiveError(f"the archive has no call {call_id!r}")
    if call.status == "live":
        raise ArchiveError(f"the call {call_id} is live")
    everything = "contact_log" in classes
    sha256 = recording.sha256 if recording is not None else None
    if everything or "recording" in classes:
        _destroy_sound(store, call, recording)
    if everything or "transcript" in classes:
        files = store.layout.call(call.id, call.started_at)
        for path in (files.transcript_json, files.transcript_text, files.journal):
            path.unlink(missing_ok=True)
    with database.write() as session:
        if everything:
            AuditLog(session).append("call.purged", actor=actor, subject=call_id, why=why, recording=sha256)
            session.execute(sa.delete(Call).where(Call.id == call_id))
        else:
            for each in classes:
                _DESTROY[each](session, call_id)
            now = datetime.now(UTC)
            session.execute(
                sa.insert(Purged), [{"call_id": call_id, "record_class": each, "at": now} for each in classes]
            )
            reseal(session, call_id, actor=actor, why=f"destroyed {', '.join(classes)}: {why}")
    if everything:
        with contextlib.suppress(OSError):  # something of somebody else's lies in it
            store.layout.call(call.id, call.started_at).folder.rmdir()
    shown = CLASSES if everything else tuple(classes)
    return Destroyed(call_id, _ended(call).isoformat(), shown, sha256 if "recording" in shown else None)


def _destroy_sound(store: Store, call: Call, recording: RecordingRow | None) -> None:
    if recording is not None:
        store.destroy(recording.path, recording.remote)
    elif call.recording is not None:
        store.destroy(call.recording, None)
    store.layout.call(call.id, call.started_at).key.unlink(missing_ok=True)


def _recording(session: Session, call_id: str) -> None:
    gone = {"purged_at": datetime.now(UTC), "wrapped_key": None}  # without its key, a copy in a backup is noise
    session.execute(sa.update(RecordingRow).where(RecordingRow.call_id == call_id).values(**gone))
    session.execute(sa.delete(Peaks).where(Peaks.call_id == call_id))


def _transcript(session: Session, call_id: str) -> None:
    words = {"text": ERASED, "words": [], "slots": {}}
    session.execute(sa.update(Turn).where(Turn.call_id == call_id).values(**words))
    interrupted = sa.update(Turn).where(Turn.call_id == call_id, Turn.heard_text.is_not(None))
    session.execute(interrupted.values(heard_text=ERASED))
    said = {"proposed": ERASED, "text": ERASED}
    session.execute(sa.update(VerdictRow).where(VerdictRow.call_id == call_id).values(**said))
    session.execute(sa.update(Event).where(Event.call_id == call_id).values(payload={}))


def _analysis(session: Session, call_id: str) -> None:
    nothing: dict[str, Any] = {
        "intent": None, "intents": [], "slots": {}, "emotion": None, "scores": {}, "arousal": None, "valence": None,
    }  # fmt: skip
    session.execute(sa.update(Turn).where(Turn.call_id == call_id).values(**nothing))


def _verdicts(session: Session, call_id: str) -> None:
    session.execute(sa.update(Turn).where(Turn.call_id == call_id).values(verdict_seq=None))
    session.execute(sa.delete(VerdictRow).where(VerdictRow.call_id == call_id))


_DESTROY = {"recording": _recording, "transcript": _transcript, "analysis": _analysis, "verdicts": _verdicts}
