"""The evidence bundle: one call in one zip file that anybody can check with ``sha256sum`` and ``openssl``.

Rows are written as the very bytes that were hashed when the call was sealed, and links of the audit chain as the very
bytes that their hashes cover: so checking them needs no program of ours. ``VERIFY.md`` in the bundle says how.
"""

from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from archive.audit import AuditLog, Link, canonical
from archive.database import Database
from archive.digest import TABLES, canonical_rows
from archive.errors import ArchiveError, one_line
from archive.evidence import open_row
from archive.models import AuditRow, Call, RecordingRow
from archive.repository import CallRepository
from archive.sealing import SEALS
from archive.signing import fingerprint, public_pem, signing_key
from archive.store import Store
from archive.transcript import as_text, read_call

_VERIFY = Path(__file__).with_name("bundle_verify.md")
_SCRIPT = Path(__file__).with_name("bundle_verify.sh.txt")
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Bundle:
    """``sha256`` is that of the zip file, ``signer`` the signing key's fingerprint, ``link`` the audit entry."""

    path: Path
    sha256: str
    signer: str
    link: str


def write_bundle(
    database: Database, store: Store, call_id: str, path: Path, *, actor: str, purpose: str = "evidence"
) -> Bundle:
    """Write the evidence of a sealed call to ``path``, which must not exist. The export is audited, with whether the
    sound left with it: the sound is the original one, with nothing covered, or its hash would prove nothing.

    Raises ``ArchiveError`` for a call that is unknown or not sealed, and where the file cannot be written. A bundle
    shows what is there: whether it is what was sealed, it lets its reader check.
    """
    if path.exists():
        raise ArchiveError(f"{path} exists; evidence is not overwritten")
    key = signing_key(store.layout.home)
    with database.write() as session:
        repository = CallRepository(session)
        call = repository.call(call_id)
        if call is None:
            raise ArchiveError(f"the archive has no call {call_id!r}")
        if repository.audit.latest(call_id, SEALS) is None:
            raise ArchiveError(f"the call {call_id} is not sealed")
        sound = repository.recording(call_id)
        link = repository.audit.append(
            "call.exported", actor=actor, subject=call_id, signer=fingerprint(key), purpose=purpose,
            original_sound=sound is not None and sound.purged_at is None,
        )  # fmt: skip
    with database.read() as session:
        call = CallRepository(session).call(call_id)
        row = CallRepository(session).recording(call_id)
        if call is None:
            raise ArchiveError(f"the archive has no call {call_id!r}")
        files: dict[str, bytes] = {f"rows/{t}.jsonl": canonical_rows(session, t, call_id) for t in TABLES}
        files |= _links(AuditLog(session), call_id)
    document = read_call(database, store.layout.home, call_id)
    document["recording"] = "audio.wav" if row is not None and row.purged_at is None else None
    files["transcript.json"] = (json.dumps(document, ensure_ascii=False, indent=2) + "\n").encode()
    files["transcript.txt"] = as_text(document).encode()
    manifest = _manifest(call, row, link, fingerprint(key), actor)
    files["manifest.json"] = (json.dumps(manifest, ensure_ascii=False, indent=2, sort_keys=True) + "\n").encode()
    files["public.pem"] = public_pem(key)
    files["VERIFY.md"] = _VERIFY.read_bytes()
    files["verify.sh"] = _SCRIPT.read_bytes()
    part = path.with_name(path.name + ".part")
    try:
        fd = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w+b") as target:
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
                sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
                if document["recording"] is not None and row is not None:
                    sums["audio.wav"] = _write_audio(archive, store, row)
                for name, data in files.items():
                    _write(archive, name, data)
                listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(sums.items())).encode()
                _write(archive, "SHA256SUMS", listed)
                _write(archive, "SHA256SUMS.sig", key.sign(listed))
            target.flush()
            os.fsync(target.fileno())
            target.seek(0)
            digest = hashlib.file_digest(target, "sha256").hexdigest()
        part.replace(path)
    except OSError as e:
        part.unlink(missing_ok=True)
        raise ArchiveError(f"cannot write the bundle {path}: {e.strerror or one_line(e)}") from e
    except ArchiveError:
        part.unlink(missing_ok=True)
        raise
    return Bundle(path, digest, fingerprint(key), str(link))


def _links(log: AuditLog, call_id: str) -> dict[str, bytes]:
    """The chain's links about the call, each as the bytes that its hash covers, and a list of those hashes."""
    files: dict[str, bytes] = {}
    sums = []
    for row in reversed(log.entries(subject=call_id, limit=100_000)):
        name = f"audit/{row.seq:09d}.json"
        files[name] = link_bytes(row)
        sums.append(f"{row.hash}  {name}\n")
    files["AUDITSUMS"] = "".join(sums).encode()
    return files


def link_bytes(row: AuditRow) -> bytes:
    content = {
        "seq": row.seq,
        "at": row.at.isoformat(timespec="microseconds"),
        **{name: getattr(row, name) for name in ("kind", "actor", "subject", "payload", "previous")},
    }
    return canonical(content).encode()


def _manifest(call: Call, row: RecordingRow | None, link: Link, signer: str, actor: str) -> dict[str, Any]:
    try:
        program = version("callgate")
    except PackageNotFoundError:
        program = "unknown"
    return {
        "format": "callgate-evidence/1",
        "call_id": call.id,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "made_by": actor,
        "program": f"callgate {program}",
        "script": {"id": call.script_id, "sha256": call.script_hash},
        "policy": {"id": call.policy, "sha256": call.policy_hash},
        "models": call.models,
        "recording": None
        if row is None
        else {"sha256": row.sha256, "seconds": row.frames / 8000, "purged": row.purged_at is not None},
        "audit_link": str(link),
        "signer": signer,
    }


def _write_audio(archive: zipfile.ZipFile, store: Store, row: RecordingRow) -> str:
    whole = hashlib.sha256()
    entry = zipfile.ZipInfo("audio.wav", _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    with open_row(store, row) as recording, archive.open(entry, "w", force_zip64=True) as target:
        for piece in recording.wav():
            whole.update(piece)
            target.write(piece)
    return whole.hexdigest()


def _write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o600 << 16
    archive.writestr(entry, data)
