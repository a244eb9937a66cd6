"""The key that signs evidence: Ed25519, from the environment, or made once and kept in the archive's home.

``CALLGATE_SIGNING_KEY`` is the base64 of the key's 32 bytes. Without it the archive makes a key of its own on first
use, as an SSH server makes its host key: a signature then says that the bundle left this archive unchanged, and who
the archive is must be known from elsewhere (its fingerprint is in the audit chain, and every export tells it).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from archive.errors import ArchiveError, one_line

SIGNING_VARIABLE = "CALLGATE_SIGNING_KEY"
_FILE = "signing.key"


def signing_key(home: Path, environ: Mapping[str, str] | None = None) -> Ed25519PrivateKey:
    """The archive's signing key. Raises ``ArchiveError`` for one that is malformed or cannot be kept."""
    text = (os.environ if environ is None else environ).get(SIGNING_VARIABLE, "").strip()
    if text:
        return _parse(text, SIGNING_VARIABLE)
    path = home / _FILE
    try:
        if not path.exists():
            _make(path)
        return _parse(path.read_text(encoding="ascii").strip(), str(path))
    except (OSError, UnicodeDecodeError) as e:
        raise ArchiveError(f"cannot use the signing key {path}: {one_line(e)}") from e


def _make(path: Path) -> None:
    raw = Ed25519PrivateKey.generate().private_bytes_raw()
    part = path.with_name(f"{path.name}.{os.getpid()}")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(base64.b64encode(raw) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, path)  # unlike a rename, never replaces a key that another process made meanwhile
    except FileExistsError:
        pass
    finally:
        part.unlink()


def _parse(text: str, name: str) -> Ed25519PrivateKey:
    try:
        return Ed25519PrivateKey.from_private_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError) as e:
        raise ArchiveError(f"{name} is not the base64 of an Ed25519 key's 32 bytes") from e


def public_pem(key: Ed25519PrivateKey) -> bytes:
    """The public key as ``openssl`` reads it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


def fingerprint(key: Ed25519PrivateKey) -> str:
    """SHA-256 of the public key in DER: what ``openssl pkey -pubin -outform DER | sha256sum`` prints."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(key.public_key().public_bytes(serialization.Encoding.DER, form)).hexdigest()
