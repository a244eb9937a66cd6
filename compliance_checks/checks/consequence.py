"""A legal consequence may be named only if the case file says that it is true."""

from __future__ import annotations

from compliance_checks.checks.wording import Wording
from compliance_checks.rulebook import Rulebook


class Consequence(Wording):
    def __init__(self, rulebook: Rulebook) -> None:
        super().__init__(rulebook, "false_consequence")
