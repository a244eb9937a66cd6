"""The master keys that wrap each recording's own data key, and where they come from.

A recording is encrypted with a random key of its own (AES-256-GCM); that data key is kept wrapped by a master key.
Rotation re-wraps data keys and never touches a recording. Master keys come from the environment, or from a key
management service behind :class:`MasterKeys`.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from archive.errors import ArchiveError

KEYS_VARIABLE = "CALLGATE_RECORDING_KEYS"
KMS_VARIABLE = "CALLGATE_KMS"
REQUIRED_VARIABLE = "CALLGATE_RECORDING_ENCRYPTION"
_KEY_BYTES = 32
_NONCE_BYTES = 12


class KeyProblem(ArchiveError):  # noqa: N818 - KeyError is another thing
    """A master key is missing, malformed, or not the one that wrapped a data key."""


@runtime_checkable
class MasterKeys(Protocol):
    """What a key management service must do. ``context`` is bound to the wrapped key: a file's id.

    Both may raise ``ArchiveError``; ``unwrap`` must, for a wrapped key that is not its own or was tampered with.
    """

    @property
    def current(self) -> str:
        """The id of the key that ``wrap`` uses (at most 64 characters)."""

    def wrap(self, data_key: bytes, context: bytes) -> bytes: ...

    def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class LocalKeys:
    """Master keys held in memory, by id: 32 bytes each. ``current`` wraps, all unwrap."""

    current: str
    keys: Mapping[str, bytes] = field(repr=False)

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + AESGCM(self.keys[self.current]).encrypt(nonce, data_key, context)

    def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> bytes:
        key = self.keys.get(key_id)
        if key is None:
            raise KeyProblem(f"the master key {key_id!r} is not among those in {KEYS_VARIABLE}")
        try:
            return AESGCM(key).decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError) as e:
            raise KeyProblem(f"the master key {key_id!r} does not open this recording's key") from e


def new_key(key_id: str) -> str:
    """A fresh master key as ``CALLGATE_RECORDING_KEYS`` takes it. Raises ``KeyProblem`` for an unusable id."""
    if not key_id or len(key_id) > 64 or set(key_id) & set(":, \t\n"):
        raise KeyProblem(f"a key's id has 1 to 64 characters and no colon, comma or space: {key_id!r}")
    return f"{key_id}:{base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES)).decode()}"


def parse_keys(text: str) -> LocalKeys:
    """``id:base64,id:base64…``, the current key first. Raises ``KeyProblem`` that never tells a key."""
    keys: dict[str, bytes] = {}
    for number, entry in enumerate(text.split(","), 1):
        key_id, _, encoded = entry.strip().partition(":")
        try:
            key = base64.b64decode(encoded.replace("-", "+").replace("_", "/"), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not key_id or len(key_id) > 64 or len(key) != _KEY_BYTES:
            raise KeyProblem(f"{KEYS_VARIABLE}: entry {number} is not ID:BASE64 of {_KEY_BYTES} bytes")
        if key_id in keys:
            raise KeyProblem(f"{KEYS_VARIABLE}: the id {key_id!r} stands twice")
        keys[key_id] = key
    return LocalKeys(next(iter(keys)), keys)


def master_keys(environ: Mapping[str, str] | None = None) -> MasterKeys | None:
    """The master keys that the environment names; ``None`` where it names none: recordings are not encrypted then.

    ``CALLGATE_KMS`` is ``module:factory`` of a :class:`MasterKeys`. Raises ``KeyProblem`` for what cannot be used, and
    where ``CALLGATE_RECORDING_ENCRYPTION`` is ``required`` and there is no key.
    """
    environment = os.environ if environ is None else environ
    service, keys = environment.get(KMS_VARIABLE, "").strip(), environment.get(KEYS_VARIABLE, "").strip()
    required = environment.get(REQUIRED_VARIABLE, "").strip().casefold()
    if required not in ("", "optional", "required"):
        raise KeyProblem(f"{REQUIRED_VARIABLE} is 'optional' or 'required', not {required!r}")
    if service:
        return _service(service)
    if keys:
        return parse_keys(keys)
    if required == "required":
        raise KeyProblem(f"{REQUIRED_VARIABLE} is required, but neither {KEYS_VARIABLE} nor {KMS_VARIABLE} is set")
    return None


def _service(name: str) -> MasterKeys:
    module, _, factory = name.partition(":")
    try:
        service = getattr(importlib.import_module(module), factory)()
    except (ImportError, AttributeError, ValueError, TypeError) as e:
        raise KeyProblem(f"{KMS_VARIABLE}: {name!r} is not MODULE:FACTORY of a key service") from e
    if not isinstance(service, MasterKeys):
        raise KeyProblem(f"{KMS_VARIABLE}: what {name!r} made is no key service (current, wrap, unwrap)")
    return service


@dataclass(frozen=True, slots=True)
class DataKey:
    """A recording's own key, wrapped. ``file_id`` (16 bytes) is what it is bound to. Fit to be written down."""

    key_id: str
    wrapped: bytes
    file_id: bytes

    @staticmethod
    def make(keys: MasterKeys) -> tuple[DataKey, bytes]:
        """A fresh key: wrapped, and in the clear for use."""
        plain, file_id = secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(16)
        return DataKey(keys.current, keys.wrap(plain, file_id), file_id), plain

    def open(self, keys: MasterKeys | None) -> bytes:
        if keys is None:
            raise KeyProblem(f"this recording is encrypted under the master key {self.key_id!r}; set {KEYS_VARIABLE}")
        return keys.unwrap(self.key_id, self.wrapped, self.file_id)

    def rewrapped(self, keys: MasterKeys) -> DataKey:
        """The same data key under the current master key."""
        return DataKey(keys.current, keys.wrap(self.open(keys), self.file_id), self.file_id)

    @property
    def text(self) -> str:
        """``FILE_ID.WRAPPED``, both base64."""
        return ".".join(base64.b64encode(part).decode() for part in (self.file_id, self.wrapped))

    @staticmethod
    def parse(key_id: str, text: str) -> DataKey:
        try:
            file_id, wrapped = (base64.b64decode(part, validate=True) for part in text.split("."))
        except (binascii.Error, ValueError) as e:
            raise KeyProblem("a recording's key is damaged") from e
        return DataKey(key_id, wrapped, file_id)
