"""Passwords as argon2id hashes; tokens that are kept only as their SHA-256."""

from __future__ import annotations

import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

MIN_PASSWORD, MAX_PASSWORD = 12, 256
_HASHER = PasswordHasher()  # RFC 9106's second recommendation: 64 MiB, three passes, four lanes
_NOBODY = _HASHER.hash(secrets.token_urlsafe(24))
"""Checked when there is no such person, so that the time taken does not tell who exists."""


def hash_password(password: str) -> str:
    """Raises ``ValueError`` for one that is too short or too long."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        raise ValueError(f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters")
    return _HASHER.hash(password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether ``password`` is the one behind ``stored``; takes as long when there is none."""
    try:
        _HASHER.verify(stored or _NOBODY, password[:MAX_PASSWORD])
    except (VerifyMismatchError, VerificationError, InvalidHashError):
        return False
    return stored is not None and len(password) <= MAX_PASSWORD


def new_token() -> tuple[str, str]:
    """A token to give away, and what to keep of it."""
    token = secrets.token_urlsafe(32)
    return token, digest(token)


def digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()
