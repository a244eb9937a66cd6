"""Reading a sealed recording for a person: the audit chain has the reading before the first sample leaves."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from archive.audio_file import Recording
from archive.audit import SYSTEM
from archive.covering import Stretch
from archive.database import Database
from archive.errors import ArchiveError, RecordingError
from archive.keys import DataKey, KeyProblem, MasterKeys, master_keys
from archive.models import Peaks, RecordingRow
from archive.peaks import Waveform
from archive.repository import CallRepository
from archive.store import Store


def open_recording(
    database: Database,
    store: Store,
    call_id: str,
    *,
    actor: str,
    purpose: str = "review",
    start: float | None = None,
    end: float | None = None,
    covered: Sequence[Stretch] = (),
) -> Recording:
    """The call's recording, for ``actor`` to hear (from ``start`` to ``end`` seconds, which only the audit entry is
    told; ``Recording.wav(start, end)`` gives them), with a tone over what is ``covered``.

    Raises ``ArchiveError`` for a call that is not sealed or has no recording, ``RecordingError`` for one that was
    purged or cannot be read, ``KeyProblem`` without its master key. Nothing is audited then.
    """
    with database.read() as session:
        row = CallRepository(session).recording(call_id)
    if row is None:
        raise ArchiveError(f"the archive has no sealed recording of the call {call_id!r}")
    recording = open_row(store, row, covered=covered)
    try:
        with database.write() as session:
            CallRepository(session).audit.append(
                "recording.read", actor=actor, subject=call_id, purpose=purpose, start=start, end=end,
                **({"covered": len(covered)} if covered else {}),
            )  # fmt: skip
    except ArchiveError:
        recording.close()
        raise
    return recording


def open_row(
    store: Store, row: RecordingRow, keys: MasterKeys | None = None, covered: Sequence[Stretch] = ()
) -> Recording:
    """The recording of a row, without an entry in the chain: for the archive's own work."""
    if row.purged_at is not None:
        raise RecordingError(f"the recording of the call {row.call_id} was purged on {row.purged_at:%Y-%m-%d}")
    key = None
    if row.key_id is not None and row.wrapped_key is not None:
        plain = DataKey.parse(row.key_id, row.wrapped_key).open(keys or master_keys())

        def key(_: bytes) -> bytes:
            return plain

    return Recording(store.open(row.path, row.remote), row.path, key, covered)


def read_waveform(database: Database, call_id: str) -> Waveform | None:
    """The waveform that was drawn when the call was sealed; ``None`` without a recording, or after its purge."""
    with database.read() as session:
        row = session.get(Peaks, call_id)
        return None if row is None else Waveform.of(row.bin_frames, row.data)


def rotate_keys(database: Database, *, actor: str = SYSTEM, batch: int = 500) -> int:
    """Re-wrap every recording's data key under the current master key; returns how many were.

    No recording is read or written. Each batch is one transaction with one audit entry, so a rotation that was cut
    off goes on where it stopped. Raises ``KeyProblem`` where a key that wrapped one of them is missing.
    """
    keys = master_keys()
    if keys is None:
        raise KeyProblem("there is no master key to re-wrap the recordings' keys with")
    count = 0
    while True:
        with database.write() as session:
            found = sa.select(RecordingRow).where(
                RecordingRow.key_id.is_not(None), RecordingRow.key_id != keys.current, RecordingRow.purged_at.is_(None)
            )
            rows = session.scalars(found.order_by(RecordingRow.call_id).limit(batch)).all()
            for row in rows:
                assert row.key_id is not None
                key = DataKey.parse(row.key_id, row.wrapped_key or "").rewrapped(keys)
                row.key_id, row.wrapped_key = key.key_id, key.text
            if rows:
                CallRepository(session).audit.append(
                    "keys.rotated", actor=actor, key=keys.current, recordings=len(rows)
                )
        count += len(rows)
        if len(rows) < batch:
            return count
