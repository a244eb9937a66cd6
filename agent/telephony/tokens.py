"""Who may open a call's media socket: a signed token for one call, good once, for a minute.

A token is base64url (RFC 4648, no padding) of ``version (1 byte) | expiry (8, ms since 1970) | nonce (16) |
call id (UTF-8) | HMAC-SHA256 (32) of all before``. The signature needs no memory; that a token is used only once
does, and that memory belongs to this process: the process that dials must be the one that answers the socket.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import secrets
import struct
import threading
import time
from collections.abc import Callable, Mapping
from typing import Literal

SECRET_VARIABLE = "CALLGATE_TOKEN_SECRET"  # noqa: S105 - the variable's name, not a secret
_VERSION = 1
_HEAD = struct.Struct(">BQ16s")
_MAC_BYTES = 32
_MAX_CALL_ID = 128
_MAX_TTL = 3600.0
_MAX_TOKEN = 512

Reason = Literal["malformed", "bad_signature", "expired", "already_used", "overloaded"]
_MESSAGES: dict[Reason, str] = {
    "malformed": "the token is malformed",
    "bad_signature": "the token was not signed by this service",
    "expired": "the token has expired",
    "already_used": "the token was already used",
    "overloaded": "too many unexpired tokens were used; try again in a minute",
}


class TokenRejected(Exception):  # noqa: N818 - the domain's word
    """The socket must be refused. ``str()`` says why in one line and holds nothing of the token."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(_MESSAGES[reason])
        self.reason = reason


class TokenIssuer:
    """Issues and redeems tokens. ``clock`` gives seconds since 1970. Safe to share between threads.

    ``remembered`` bounds the used tokens kept until they expire; beyond it redeeming fails closed.
    """

    def __init__(self, secret: bytes, clock: Callable[[], float] = time.time, *, remembered: int = 100_000) -> None:
        if len(secret) < 16:
            raise ValueError("the token secret must have at least 16 bytes")
        self._secret = secret
        self._clock = clock
        self._remembered = remembered
        self._used: dict[bytes, int] = {}  # nonce -> expiry in ms
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> TokenIssuer:
        """With the secret in ``CALLGATE_TOKEN_SECRET`` (at least 16 bytes), else one drawn for this process."""
        given = environment.get(SECRET_VARIABLE, "")
        if given and len(given.encode()) < 16:
            raise ValueError(f"{SECRET_VARIABLE} must have at least 16 bytes")
        return cls(given.encode() if given else secrets.token_bytes(32))

    def issue(self, call_id: str, ttl: float = 60.0) -> str:
        """A new token for ``call_id``, good for ``ttl`` seconds (above 0, at most an hour)."""
        name = call_id.encode()
        if not 0 < len(name) <= _MAX_CALL_ID:
            raise ValueError(f"a call id has 1 to {_MAX_CALL_ID} bytes")
        if not 0 < ttl <= _MAX_TTL:
            raise ValueError(f"a token's time to live is above 0 and at most {_MAX_TTL:g} s")
        expiry = int((self._clock() + ttl) * 1000)
        body = _HEAD.pack(_VERSION, expiry, secrets.token_bytes(16)) + name
        return _encode(body + self._sign(body))

    def redeem(self, token: str) -> str:
        """The call that ``token`` stands for, once. Raises ``TokenRejected``."""
        data = _decode(token)
        body, mac = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._sign(body)):
            raise TokenRejected("bad_signature")
        version, expiry, nonce = _HEAD.unpack_from(body)
        if version != _VERSION:
            raise TokenRejected("malformed")
        with self._lock:
            now = int(self._clock() * 1000)
            if expiry <= now:
                raise TokenRejected("expired")
            if nonce in self._used:
                raise TokenRejected("already_used")
            if len(self._used) >= self._remembered:
                self._used = {n: e for n, e in self._used.items() if e > now}
                if len(self._used) >= self._remembered:
                    raise TokenRejected("overloaded")
            self._used[nonce] = expiry
        return body[_HEAD.size :].decode()

    def _sign(self, body: bytes) -> bytes:
        return hmac.new(self._secret, b"callgate media token\x00" + body, hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(token: str) -> bytes:
    if len(token) > _MAX_TOKEN or not token.isascii():
        raise TokenRejected("malformed")
    try:
        data = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise TokenRejected("malformed") from None
    # One token has one spelling: the spare bits of the last character are not free to vary.
    if len(data) <= _HEAD.size + _MAC_BYTES or _encode(data) != token:
        raise TokenRejected("malformed")
    return data
