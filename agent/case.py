"""The case file: what is known about one loan before the borrower is called."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agent.events import Lang

CURRENCIES = frozenset({"CNY", "USD", "GBP", "EUR", "INR"})
MAX_TEXT = 80
MAX_FILE_BYTES = 64 * 1024
_TEXT = (
    "borrower_name",
    "lender",
    "product",
    "agent_name",
    "plan_name",
    "payee",
    "note",
    "call_back_number",
)
_REQUIRED = ("borrower_name", "lender", "product", "agent_name", "payee")


class CaseError(ValueError):
    """A case file that cannot be used; the message names the field. It never quotes the field's value."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """One loan and its borrower.

    ``amount_due`` and ``min_payment`` are ``Decimal`` in ``currency``; ``due_date`` is in the borrower's
    ``time_zone`` (IANA). ``id_last4`` is the verification secret: it is compared, never spoken, and is no part
    of ``facts``. ``plans`` are the plans that the loan's product allows, in the order they may be offered.
    """

    borrower_name: str
    lender: str
    product: str
    amount_due: Decimal
    currency: str
    days_past_due: int
    due_date: date
    id_last4: str
    payee: str
    agent_name: str
    time_zone: str = "Asia/Shanghai"
    call_back_number: str = ""
    plans: tuple[str, ...] = ()
    plan_name: str = ""
    min_payment: Decimal | None = None
    lawsuit_filed: bool = False
    credit_report_due: bool = False
    fees_allowed: tuple[str, ...] = ()
    callback_time: str = ""
    note: str = ""

    def __post_init__(self) -> None:
        for name in _TEXT:
            _check_text(name, getattr(self, name), required=name in _REQUIRED)
        for name in ("plans", "fees_allowed"):
            for item in getattr(self, name):
                _check_text(name, item, required=True)
        if self.currency not in CURRENCIES:
            raise CaseError(f"case file: currency must be one of {', '.join(sorted(CURRENCIES))}")
        for name, amount in (("amount_due", self.amount_due), ("min_payment", self.min_payment)):
            if amount is not None and not (Decimal(0) < amount < Decimal(10**9)):
                raise CaseError(f"case file: {name} must be above 0 and below 1000000000")
            if amount is not None and amount != amount.quantize(Decimal("0.01")):
                raise CaseError(f"case file: {name} has more than two decimals")
        if self.min_payment is not None and self.min_payment > self.amount_due:
            raise CaseError("case file: min_payment is above amount_due")
        if not 0 <= self.days_past_due <= 20000:
            raise CaseError("case file: days_past_due must be between 0 and 20000")
        if not re.fullmatch(r"[0-9]{3}[0-9X]", self.id_last4):
            raise CaseError("case file: id_last4 must be four digits (the last may be X)")
        if self.call_back_number and not re.fullmatch(r"\+?[0-9][0-9 -]{2,18}", self.call_back_number):
            raise CaseError("case file: call_back_number must be digits, spaces and dashes")
        if self.callback_time and not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", self.callback_time):
            raise CaseError("case file: callback_time must be HH:MM")
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, ValueError, OSError) as error:
            raise CaseError("case file: time_zone must be an IANA name such as Asia/Shanghai") from error

    def facts(self) -> dict[str, Any]:
        """The facts that the gate may rely on (``CallFacts.case``): DESIGN's names, plain values, no secret."""
        plain: dict[str, Any] = {item.name: getattr(self, item.name) for item in fields(self)}
        del plain["id_last4"]
        plain["amount_due"] = f"{self.amount_due:.2f}"
        plain["min_payment"] = None if self.min_payment is None else f"{self.min_payment:.2f}"
        plain["due_date"] = self.due_date.isoformat()
        plain["plans"] = list(self.plans)
        plain["fees_allowed"] = list(self.fees_allowed)
        plain["plan_name"] = self.plan_name or (self.plans[0] if self.plans else "")
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> CaseFile:
        """A case from plain JSON values; raises ``CaseError`` naming the field."""
        known = {item.name: item for item in fields(cls)}
        for key in plain:
            if key not in known:
                raise CaseError(f"case file: unknown field {key!r}")
        values: dict[str, Any] = {}
        for name, item in known.items():
            if name in plain:
                values[name] = _read(name, plain[name])
            elif item.default is MISSING:
                raise CaseError(f"case file: field {name!r} is missing")
        return cls(**values)

    @classmethod
    def load(cls, path: str | Path) -> CaseFile:
        """Read a JSON case file; raises ``CaseError`` if it cannot be read or used."""
        source = Path(path)
        try:
            if source.stat().st_size > MAX_FILE_BYTES:
                raise CaseError(f"case file {source}: larger than {MAX_FILE_BYTES} bytes")
            plain = json.loads(source.read_text(encoding="utf-8"))
        except OSError as error:
            raise CaseError(f"case file {source}: {error.strerror}") from error
        except ValueError as error:
            if isinstance(error, CaseError):
                raise
            raise CaseError(f"case file {source}: not JSON in UTF-8") from error
        if not isinstance(plain, dict):
            raise CaseError(f"case file {source}: must hold one JSON object")
        return cls.from_dict(plain)


def _check_text(name: str, value: object, *, required: bool) -> None:
    if not isinstance(value, str):
        raise CaseError(f"case file: {name} must be text")
    if required and not value.strip():
        raise CaseError(f"case file: {name} is empty")
    if len(value) > MAX_TEXT and name != "note":
        raise CaseError(f"case file: {name} is longer than {MAX_TEXT} characters")
    if not value.isprintable():
        raise CaseError(f"case file: {name} holds a control character or a line break")


def _read(name: str, value: Any) -> Any:
    if name in ("amount_due", "min_payment"):
        if value is None and name == "min_payment":
            return None
        if not isinstance(value, str | int) or isinstance(value, bool):
            raise CaseError(f'case file: {name} must be a decimal string such as "3500.00"')
        try:
            amount = Decimal(value)
        except InvalidOperation as error:
            raise CaseError(f'case file: {name} must be a decimal string such as "3500.00"') from error
        if not amount.is_finite():
            raise CaseError(f"case file: {name} must be a finite number")
        return amount
    if name == "due_date":
        try:
            return date.fromisoformat(value)
        except (TypeError, ValueError) as error:
            raise CaseError("case file: due_date must be an ISO date such as 2026-11-15") from error
    if name == "days_past_due":
        if not isinstance(value, int) or isinstance(value, bool):
            raise CaseError("case file: days_past_due must be a whole number")
        return value
    if name in ("plans", "fees_allowed"):
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise CaseError(f"case file: {name} must be a list of texts")
        return tuple(value)
    if name in ("lawsuit_filed", "credit_report_due"):
        if not isinstance(value, bool):
            raise CaseError(f"case file: {name} must be true or false")
        return value
    if not isinstance(value, str):
        raise CaseError(f"case file: {name} must be text")
    return value


def demo_case(lang: Lang, today: date = date(2026, 11, 21)) -> CaseFile:
    """The fictional borrower of the demo and of the tests, six days past due on ``today``. All invented."""
    due_date = today - timedelta(days=6)
    if lang == "zh":
        return CaseFile(
            borrower_name="张明",
            lender="安信消费金融",
            product="消费贷款",
            amount_due=Decimal("3500.00"),
            currency="CNY",
            days_past_due=6,
            due_date=due_date,
            id_last4="4072",
            payee="安信消费金融官方应用",
            agent_name="小安",
            time_zone="Asia/Shanghai",
            call_back_number="400-555-0136",
            plans=("三期分期还款",),
            min_payment=Decimal("500.00"),
            credit_report_due=True,
        )
    return CaseFile(
        borrower_name="Alex Morgan",
        lender="Harbor Lending",
        product="personal loan",
        amount_due=Decimal("350.00"),
        currency="USD",
        days_past_due=6,
        due_date=due_date,
        id_last4="4072",
        payee="the Harbor Lending website",
        agent_name="Robin",
        time_zone="America/New_York",
        call_back_number="800-555-0136",
        plans=("three month payment plan",),
        min_payment=Decimal("50.00"),
        credit_report_due=True,
    )
