"""The checks, one idea a file. :func:`default_checks` gives them in the order in which they run."""

from __future__ import annotations

from compliance_checks.check import Check
from compliance_checks.checks.address import Address
from compliance_checks.checks.consequence import Consequence
from compliance_checks.checks.disclosure import Disclosure
from compliance_checks.checks.fees import Fees
from compliance_checks.checks.identifiers import Identifiers
from compliance_checks.checks.ledger import Amounts, Days, DueDate
from compliance_checks.checks.letters import Letters
from compliance_checks.checks.promise import Promise
from compliance_checks.checks.script_language import ScriptLanguage
from compliance_checks.checks.slots import Slots
from compliance_checks.checks.wording import Wording
from compliance_checks.rulebook import Rulebook

# Categories judged by their wording and scope alone.
WORDING = (
    "crisis",
    "missing_disclosure",
    "threat",
    "insult",
    "harassment",
    "impersonation",
    "payment_diversion",
    "pushing_borrowing",
    "discrimination",
    "pretending_human",
    "injection",
    "privacy",
    "amount",
)


def default_checks(rulebook: Rulebook) -> tuple[Check, ...]:
    return (
        Slots(rulebook),
        *(Wording(rulebook, category) for category in WORDING),
        Disclosure(rulebook),
        Consequence(rulebook),
        Promise(rulebook),
        Fees(rulebook),
        Identifiers(),
        Address(),
        Amounts(),
        Days(),
        DueDate(),
        Letters(),
        ScriptLanguage(),
    )
