"""When, how often and with whose leave a person may be called. See docs/compliance.md.

The values and the schema of the rules lie beneath the packs, the judging above them: what stands in ``__all__`` is
imported when it is first asked for, so that neither needs the other to be imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compliance_checks.contact.dialling import may_call, may_dial, next_allowed
    from compliance_checks.contact.facts import (
        CALL_OUTSIDE_HOURS,
        CONSENTS,
        REQUESTED_CALL,
        ROBOT_CALL,
        ContactKind,
        ContactPerson,
        ContactRecord,
    )

__all__ = [
    "CALL_OUTSIDE_HOURS",
    "CONSENTS",
    "REQUESTED_CALL",
    "ROBOT_CALL",
    "ContactKind",
    "ContactPerson",
    "ContactRecord",
    "may_call",
    "may_dial",
    "next_allowed",
]
_JUDGING = frozenset({"may_call", "may_dial", "next_allowed"})


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'dialling' if name in _JUDGING else 'facts'}"), name)
