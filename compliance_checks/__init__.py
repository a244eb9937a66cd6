"""The gate: every sentence is judged here before a borrower hears it."""

from compliance_checks.approved import ApprovedLine, is_approved, verify
from compliance_checks.contact import may_call
from compliance_checks.gate import Gate

__all__ = ["ApprovedLine", "Gate", "is_approved", "may_call", "verify"]
