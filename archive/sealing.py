"""Sealing a call that has ended: from then on a change to its rows or its recording shows.

The recording is hashed and drawn, flags that only show afterwards are added, the call's summary and searchable text
are written, and the audit chain takes the digests of all its rows: in one transaction.
"""

from __future__ import annotations

import fcntl
import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive import encrypted, keyfile
from archive.audio_file import Recording, open_file
from archive.audit import SYSTEM
from archive.database import Database
from archive.digest import call_digests
from archive.errors import ArchiveError
from archive.flagging import Sample, derive
from archive.keys import DataKey, MasterKeys, master_keys
from archive.layout import ENCRYPTED_SUFFIX
from archive.models import Call, Flag, Peaks, Purged, RecordingRow
from archive.peaks import Waveform, waveform
from archive.repository import CallRepository
from archive.store import Store
from archive.summaries import write_summary
from archive.wav import repair

_log = logging.getLogger(__name__)
SEALS = ("call.sealed", "call.resealed")
"""The audit entries that hold a call's digests; the newest one counts."""


@dataclass(frozen=True, slots=True)
class _Sound:
    row: dict[str, Any]
    waveform: Waveform
    key: DataKey | None


def seal_call(
    database: Database, store: Store, call_id: str, *, actor: str = SYSTEM, why: str | None = None
) -> dict[str, Any]:
    """Seal the call, or seal it anew because of ``why``; returns its digests as the chain has them.

    The first seal takes the recording; later ones leave it alone, so that none can hide that it was exchanged. Blocks
    for the time of reading the recording once. Raises ``ArchiveError`` for a call that is unknown or live and for a
    recording that is still being written or cannot be read.
    """
    with database.read() as session:
        call = CallRepository(session).call(call_id)
        if call is None:
            raise ArchiveError(f"the archive has no call {call_id!r}")
        if call.status == "live":
            raise ArchiveError(f"the call {call_id} is live")
        taken = CallRepository(session).recording(call_id) is not None
        stored = call.recording
    sound = None
    if not taken and stored is not None and store.layout.absolute(stored).is_file():
        sound = _take(store, stored, call_id)
    with database.write() as session:
        payload = _seal(session, call_id, sound, actor, why)
    if sound is not None:
        if sound.key is not None:
            keyfile.beside(store.layout.absolute(sound.row["path"])).unlink(missing_ok=True)
        if sound.row["remote"] is not None:
            store.drop_local(sound.row["path"])
    return payload


def reseal(session: Session, call_id: str, *, actor: str, why: str) -> dict[str, Any]:
    """Renew the digests and the summary inside the caller's transaction, after a change that the caller made."""
    return _seal(session, call_id, None, actor, why)


def _seal(session: Session, call_id: str, sound: _Sound | None, actor: str, why: str | None) -> dict[str, Any]:
    repository = CallRepository(session)
    call = session.get(Call, call_id, populate_existing=True)
    if call is None:
        raise ArchiveError(f"the archive has no call {call_id!r}")
    first = repository.audit.latest(call_id, SEALS) is None
    drawn: dict[str, Any] = {}
    if first:
        sample = Sample.from_environment()
        drawn = {"sample": {"rate": sample.rate, "seed": sample.seed, "drawn": sample.draws(call_id)}}
        _add_flags(session, call, drawn["sample"]["drawn"])
    if sound is not None and repository.recording(call_id) is None:
        session.execute(sa.insert(RecordingRow), [sound.row])
        peaks = {"call_id": call_id, "bin_frames": sound.waveform.bin_frames, "data": sound.waveform.data}
        session.execute(sa.insert(Peaks), [peaks])
    row = repository.recording(call_id)
    turns, verdicts = repository.turns(call_id), repository.verdicts(call_id)
    write_summary(session, call, turns, verdicts, repository.events(call_id), repository.flags(call_id))
    purged = session.scalars(sa.select(Purged.record_class).where(Purged.call_id == call_id)).all()
    payload: dict[str, Any] = {
        "digests": call_digests(session, call_id),
        "recording": None if row is None else recording_facts(row),
        "purged": sorted(purged),
        **drawn,
        **({} if why is None else {"why": why}),
    }
    repository.audit.append(SEALS[0 if first else 1], actor=actor, subject=call_id, **payload)
    return payload


def recording_facts(row: RecordingRow) -> dict[str, Any]:
    """What the chain keeps of a recording. The wrapped key is not among it: rotation changes that."""
    return {
        "sha256": row.sha256,
        "stored_sha256": row.stored_sha256,
        "frames": row.frames,
        "format": row.format,
        "path": row.path,
        "purged": row.purged_at is not None,
    }


def _add_flags(session: Session, call: Call, drawn: bool) -> None:
    repository = CallRepository(session)
    known = repository.flags(call.id)
    reasons = {f.reason for f in known}
    found = [(f.reason, f.severity, f.at) for f in derive(repository.turns(call.id)) if f.reason not in reasons]
    if drawn and "random_sample" not in reasons:
        found.append(("random_sample", "low", 0.0))
    seq = max((f.seq for f in known), default=-1) + 1
    now = datetime.now(UTC)
    rows = [
        {"call_id": call.id, "seq": seq + n, "at": at, "recorded_at": now, "reason": reason, "severity": severity}
        for n, (reason, severity, at) in enumerate(found)
    ]
    if rows:
        session.execute(sa.insert(Flag), rows)


def _take(store: Store, stored: str, call_id: str) -> _Sound:
    """Read the closed recording once: its hashes, its waveform; copy it to the object store."""
    path = store.layout.absolute(stored)
    _not_being_written(path)
    key: DataKey | None = None
    plain: bytes | None = None
    if path.suffix == ENCRYPTED_SUFFIX:
        key = keyfile.read(keyfile.beside(path))
        keys: MasterKeys | None = master_keys()
        plain = key.open(keys)
        encrypted.seal(path, plain)
    else:
        repair(path)
    whole = hashlib.sha256()
    with Recording(open_file(path), str(path), None if plain is None else lambda _: plain) as recording:

        def hashed() -> Iterator[bytes]:
            for number, piece in enumerate(recording.wav()):
                whole.update(piece)
                if number > 0:  # all but the header
                    yield piece

        drawn, frames = waveform(hashed()), recording.frames
    as_stored = file_sha256(open_file(path))
    row = {
        "call_id": call_id,
        "path": stored,
        "remote": store.upload(stored),
        "format": "wav" if key is None else "aes-gcm",
        "key_id": key.key_id if key is not None else None,
        "wrapped_key": key.text if key is not None else None,
        "frames": frames,
        "stored_bytes": path.stat().st_size,
        "sha256": whole.hexdigest(),
        "stored_sha256": as_stored,
        "sealed_at": datetime.now(UTC),
    }
    return _Sound(row, drawn, key)


def file_sha256(file: BinaryIO) -> str:
    """Of the whole file, which it closes."""
    whole = hashlib.sha256()
    with file:
        while piece := file.read(1 << 20):
            whole.update(piece)
    return whole.hexdigest()


def _not_being_written(path: Path) -> None:
    with open_file(path) as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as e:
            raise ArchiveError(f"the recording {path} is still being written") from e
        fcntl.flock(file.fileno(), fcntl.LOCK_UN)
