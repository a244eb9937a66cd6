"""Who may do what. Nobody may do anything that is not written here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

Role = Literal["operator", "reviewer", "supervisor", "compliance", "auditor", "admin"]
Permission = Literal[
    "calls.read",  # lists, transcripts (names and numbers hidden)
    "calls.listen",  # recordings, with a tone over what the other permissions do not give; every play is audited
    "personal.read",  # names and numbers in the clear
    "secrets.hear",  # recordings with the digits by which a borrower proved who they are
    "evidence.export",  # a call's evidence bundle: its sound as it is, nothing covered; every export is audited
    "review.write",  # comments, scorecards, corrections, assignment
    "dashboard.read",
    "live.read",
    "live.control",  # listen in, end, take over
    "softphone.use",  # talk to the agent from the browser, in a borrower's part
    "compliance.read",  # scripts, packs, refusals, a person's contact ledger
    "scripts.approve",  # two people in two roles must
    "campaigns.read",
    "campaigns.write",
    "audit.read",
    "people.manage",
    "account",  # one's own password, language, sign-out
]
ROLES: tuple[Role, ...] = get_args(Role)

_READING: frozenset[Permission] = frozenset({"account", "calls.read", "dashboard.read"})
GRANTS: Mapping[Role, frozenset[Permission]] = {
    "operator": frozenset(
        {"account", "dashboard.read", "live.read", "softphone.use", "campaigns.read", "campaigns.write"}
    ),
    "reviewer": _READING | {"calls.listen", "personal.read", "review.write"},
    "supervisor": _READING
    | {
        "calls.listen",
        "personal.read",
        "review.write",
        "live.read",
        "live.control",
        "softphone.use",
        "compliance.read",
        "scripts.approve",
        "campaigns.read",
    },
    "compliance": _READING
    | {
        "calls.listen",
        "personal.read",
        "secrets.hear",
        "evidence.export",
        "review.write",
        "compliance.read",
        "scripts.approve",
        "softphone.use",
        "campaigns.read",
    },
    "auditor": _READING | {"calls.listen", "compliance.read", "campaigns.read", "audit.read", "live.read"},
    "admin": frozenset({"account", "people.manage", "audit.read", "campaigns.read", "dashboard.read"}),
}
"""An auditor sees and hears everything but who it is; an admin manages people and sees no call at all."""


def allowed(role: str, permission: Permission) -> bool:
    """Whether ``role`` holds ``permission``; an unknown role holds nothing."""
    return role in GRANTS and permission in GRANTS[role]  # type: ignore[index]
