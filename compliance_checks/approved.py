"""The only thing that may be spoken: a line that the gate has approved.

An :class:`ApprovedLine` can be made by :mod:`compliance_checks.gate` alone. Its constructor wants a private seal,
and every line carries a keyed digest (BLAKE2b, a random key per process) over all that matters, so an object
forged with ``object.__new__`` or changed with ``object.__setattr__`` is found by :func:`is_approved`.
This is a guard against mistakes and short cuts; a process that runs hostile code has no such thing as a private key.
"""

from __future__ import annotations

import hmac
import secrets
from typing import Any, Final, NoReturn, final

from agent.events import Expects, Lang, Proposed, Verdict

_SEAL: Final = object()
_KEY: Final = secrets.token_bytes(32)


def _digest(line: ApprovedLine) -> bytes:
    parts = (
        line.text,
        line.lang,
        line.line_id,
        line.script_id,
        line.script_hash,
        line.policy_hash,
        line.decision,
        str(line.interruptible),
        *sorted(line.purposes),
        line.expects or "",
        *(f"{key}={value}" for key, value in line.slots),
    )
    message = b"".join(len(raw).to_bytes(4, "big") + raw for raw in (part.encode("utf-8") for part in parts))
    return hmac.new(_KEY, message, "blake2b").digest()


@final
class ApprovedLine:
    """One utterance that the gate allowed, immutable. ``slots`` are ``(name, value)`` pairs."""

    __slots__ = (
        "_digest",
        "decision",
        "expects",
        "interruptible",
        "lang",
        "line_id",
        "policy_hash",
        "purposes",
        "script_hash",
        "script_id",
        "slots",
        "text",
    )

    text: str
    lang: Lang
    line_id: str
    script_id: str
    script_hash: str
    policy_hash: str
    decision: str
    interruptible: bool
    purposes: frozenset[str]
    expects: Expects | None
    slots: tuple[tuple[str, str], ...]

    def __new__(cls, *_args: object, seal: object = None, **_kwargs: object) -> ApprovedLine:
        if seal is not _SEAL:
            raise TypeError("an ApprovedLine is made by the gate only")
        return object.__new__(cls)

    def __init__(self, proposed: Proposed, verdict: Verdict, *, seal: object = None) -> None:
        if seal is not _SEAL:
            raise TypeError("an ApprovedLine is made by the gate only")
        if verdict.decision != "allow" or verdict.text != proposed.text:
            raise TypeError(f"a line with the verdict {verdict.decision!r} cannot be approved")
        put = object.__setattr__
        put(self, "text", proposed.text)
        put(self, "lang", proposed.lang)
        put(self, "line_id", proposed.line_id)
        put(self, "script_id", proposed.script_id)
        put(self, "script_hash", proposed.script_hash)
        put(self, "policy_hash", verdict.policy_hash)
        put(self, "decision", verdict.decision)
        put(self, "interruptible", proposed.interruptible)
        put(self, "purposes", frozenset(proposed.purposes))
        put(self, "expects", proposed.expects)
        put(self, "slots", tuple(sorted((str(k), str(v)) for k, v in proposed.slots.items())))
        put(self, "_digest", _digest(self))

    def __init_subclass__(cls, **_kwargs: Any) -> NoReturn:
        raise TypeError("ApprovedLine is final")

    def __setattr__(self, name: str, _value: object) -> NoReturn:
        raise AttributeError(f"ApprovedLine is immutable: cannot set {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"ApprovedLine is immutable: cannot delete {name!r}")

    def __reduce_ex__(self, _protocol: object) -> NoReturn:
        raise TypeError("an ApprovedLine cannot be copied or pickled; ask the gate again")

    def __replace__(self, **_changes: object) -> NoReturn:
        raise TypeError("an ApprovedLine cannot be changed; ask the gate again")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApprovedLine) and is_approved(self) and is_approved(other) and self._mac == other._mac

    def __hash__(self) -> int:
        return hash(self._mac)

    def __repr__(self) -> str:
        return f"ApprovedLine(line_id={self.line_id!r}, lang={self.lang!r}, {len(self.text)} characters)"

    @property
    def _mac(self) -> bytes:
        value: bytes = object.__getattribute__(self, "_digest")
        return value


def _seal(proposed: Proposed, verdict: Verdict) -> ApprovedLine:
    """For the gate alone: seal a line that ``verdict`` allows. Raises ``TypeError`` for any other verdict."""
    return ApprovedLine(proposed, verdict, seal=_SEAL)


def is_approved(value: object) -> bool:
    """True only for an unchanged :class:`ApprovedLine` that this process's gate sealed."""
    if type(value) is not ApprovedLine:
        return False
    try:
        return hmac.compare_digest(value._mac, _digest(value))
    except (AttributeError, TypeError, ValueError):
        return False


def verify(value: object) -> ApprovedLine:
    """``value`` itself if :func:`is_approved`, else ``TypeError``: the door of every speaker."""
    if not isinstance(value, ApprovedLine) or not is_approved(value):
        raise TypeError(f"not an approved line: {type(value).__name__}")
    return value
