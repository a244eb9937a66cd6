"""Who must approve a script before it is spoken: two people, of two roles. This is the one place that says so.

Approvals count while they have not expired and name exactly the content that is there. The two must differ in both: one
person in two roles is one person, and a desk does not approve its own work. Further approvals do no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import combinations

from scripts.errors import UnapprovedScriptError
from scripts.schema import Approval, Script

APPROVERS_NEEDED = 2


def same(one: str, other: str) -> bool:
    """Whether two names (of people, of roles) are the same but for case and spaces."""
    return _plain(one) == _plain(other)


def current(script: Script, now: datetime) -> list[Approval]:
    """The approvals that count at ``now`` (aware)."""
    return [each for each in script.approvals if each.content_hash == script.content_hash and now < each.expires]


def enough(approvals: Sequence[Approval]) -> bool:
    """Whether two of these (all of them count) are by different people of different roles."""
    return any(
        not same(one.who, other.who) and not same(one.role, other.role) for one, other in combinations(approvals, 2)
    )


def people(approvals: Sequence[Approval]) -> int:
    """How many different people gave these."""
    return len({_plain(each.who) for each in approvals})


def check_approved(script: Script, now: datetime) -> None:
    """Raises ``UnapprovedScriptError`` unless exactly this content is approved at ``now`` (aware)."""
    now = now if now.tzinfo else now.replace(tzinfo=UTC)
    counting = current(script, now)
    if enough(counting):
        return
    if any(each.content_hash != script.content_hash for each in script.approvals):
        raise UnapprovedScriptError(f"{script.path}: changed after approval")
    if any(each.expires <= now for each in script.approvals):
        raise UnapprovedScriptError(f"{script.path}: approval expired")
    found = people(counting)
    if found >= APPROVERS_NEEDED:
        raise UnapprovedScriptError(
            f"{script.path}: not approved: needs {APPROVERS_NEEDED} different roles, has {counting[0].role} alone"
        )
    raise UnapprovedScriptError(f"{script.path}: not approved: needs {APPROVERS_NEEDED} different people, has {found}")


def check_approver(script: Script, who: str, role: str, now: datetime) -> None:
    """Raises ``UnapprovedScriptError`` where ``who`` in ``role`` cannot help: all others are of that role."""
    others = [each for each in current(script, now) if not same(each.who, who)]
    if others and all(same(each.role, role) for each in others):
        raise UnapprovedScriptError("your role has approved this already: it needs a person of another role")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
