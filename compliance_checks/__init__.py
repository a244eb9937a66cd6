"""The gate: every sentence is judged here before a borrower hears it.

What stands in ``__all__`` is imported when it is first asked for: naming the package costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from compliance_checks.approved import ApprovedLine, is_approved, verify
    from compliance_checks.contact import ContactPerson, ContactRecord, may_call, may_dial, next_allowed
    from compliance_checks.gate import Gate

__all__ = [
    "ApprovedLine",
    "ContactPerson",
    "ContactRecord",
    "Gate",
    "is_approved",
    "may_call",
    "may_dial",
    "next_allowed",
    "verify",
]
_HOMES = {"ApprovedLine": "approved", "Gate": "gate", "is_approved": "approved", "verify": "approved"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'contact')}"), name)
