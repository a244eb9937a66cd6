"""A portfolio's row: its fields, which of them must be there, and what must hold between them."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from agent.case import CaseError, CaseFile
from campaigns.importing import fields as f
from campaigns.importing.mapping import FileMapping
from campaigns.importing.table import Cell
from campaigns.importing.text import FieldError, text_of
from compliance_checks.contact import CONSENTS

FIELDS: Final[Mapping[str, f.Parser]] = {
    "account": f.account,
    "lender": f.words,
    "person_id": f.account,
    "borrower_name": f.name,
    "phone": f.phone,
    "phone_2": f.phone,
    "phone_3": f.phone,
    "lang": f.one_of("zh", "en"),
    "time_zone": f.zone,
    "region": f.region,
    "product": f.words,
    "payee": f.words,
    "agent_name": f.words,
    "amount_due": f.money,
    "min_payment": f.money,
    "currency": f.currency,
    "due_date": f.day,
    "days_past_due": f.whole,
    "id_last4": f.last4,
    "call_back_number": partial(text_of, most=20),
    "plans": f.listed,
    "fees_allowed": f.listed,
    "lawsuit_filed": f.flag,
    "credit_report_due": f.flag,
    "note": f.note,
    "risk": f.one_of("low", "medium", "high"),
    "consents": f.consents,
    "do_not_contact": f.flag,
    "attorney": f.flag,
    "deceased": f.flag,
    "bankrupt": f.flag,
    "contact_from": f.clock,
    "contact_to": f.clock,
}
REQUIRED: Final = (
    "account", "lender", "borrower_name", "phone", "lang", "time_zone", "product", "payee", "agent_name", "amount_due",
    "currency", "due_date", "id_last4",
)  # fmt: skip
_CASE: Final = (
    "borrower_name", "lender", "product", "payee", "agent_name", "amount_due", "currency", "due_date", "id_last4",
    "time_zone", "call_back_number", "plans", "min_payment", "lawsuit_filed", "credit_report_due", "fees_allowed",
    "note",
)  # fmt: skip
FACTS: Final = tuple(
    name for name in _CASE if name not in ("amount_due", "currency", "due_date", "time_zone", "lender")
)
REPEATED: Final = frozenset(
    {"lender", "lang", "time_zone", "region", "product", "payee", "agent_name", "currency", "due_date", "risk"}
)


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row was refused: its line, the field (or "") and a reason without any of the row's data."""

    line: int
    field: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        return {"line": self.line, "field": self.field, "reason": self.reason}


@dataclass(frozen=True, slots=True)
class BorrowerRow:
    """One debt as imported, checked. ``facts`` is what of the case file has no column of its own.

    ``consents`` are those that the file states; ``()`` for an empty cell, which states that there is none; ``None``
    for a file without the column, which says nothing of them.
    """

    line: int
    account: str
    lender: str
    person_key: str
    name: str
    numbers: tuple[str, ...]
    lang: str
    time_zone: str
    region: str
    risk: str
    amount_due: Decimal
    currency: str
    due_date: date
    consents: tuple[str, ...] | None
    only: tuple[str, str] | None
    do_not_contact: bool
    attorney: bool
    deceased: bool
    bankrupt: bool
    facts: dict[str, Any]
    row_hash: str


def parse_row(
    line: int, cells: Mapping[str, Cell], mapping: FileMapping, as_of: date, memo: dict[tuple[str, str], object]
) -> BorrowerRow | list[Problem]:
    """The row, or everything that is wrong with it. ``memo`` keeps what a file says over and over."""
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, cell in cells.items():
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            if name == "consents":  # whoever keeps the column says with an empty cell that there is no consent
                values[name] = []
            continue
        key = (name, cell) if name in REPEATED and isinstance(cell, str) else None
        if key is not None and key in memo:
            values[name] = memo[key]
            continue
        try:
            values[name] = _parse(name, cell, mapping)
            if key is not None and len(memo) < 10_000:
                memo[key] = values[name]
        except FieldError as e:
            problems.append(Problem(line, name, str(e)))
    if "currency" in values:
        amounts = ((name, cells.get(name)) for name in ("amount_due", "min_payment"))
        problems += [
            Problem(line, name, why) for name, cell in amounts if (why := currency_problem(cell, values["currency"]))
        ]
    failed = {problem.field for problem in problems}
    for name in REQUIRED:
        if name not in failed and values.get(name) in (None, ""):
            problems.append(Problem(line, name, "is missing"))
    if not problems:
        problems = _together(line, values, as_of)
    if problems:
        return problems
    return _row(line, values)


def currency_problem(cell: Cell, currency: str) -> str:
    """What is wrong where an amount bears another currency than the row; "" where nothing is."""
    said = f.currency_in(cell)
    return f"is in {said}, the row's currency is another" if said is not None and said != currency else ""


def _parse(name: str, cell: Cell, mapping: FileMapping) -> object:
    if name in ("phone", "phone_2", "phone_3"):
        return f.phone(cell, mapping.country_code)
    if name == "due_date":
        return f.day(cell, mapping.date_order)
    return FIELDS[name](cell)


def _together(line: int, values: dict[str, Any], as_of: date) -> list[Problem]:
    """What must hold between fields; the case file's own rules last."""
    if unknown := set(values.get("consents", ())) - CONSENTS:
        return [Problem(line, "consents", f"{len(unknown)} unknown; there are: {', '.join(sorted(CONSENTS))}")]
    if ("contact_from" in values) != ("contact_to" in values):
        return [Problem(line, "contact_from", "and contact_to must be given together")]
    if "contact_from" in values and values["contact_from"] >= values["contact_to"]:
        return [Problem(line, "contact_from", "must be before contact_to")]
    if values["due_date"] > as_of + timedelta(days=400):
        return [Problem(line, "due_date", "lies more than a year ahead")]
    days = (as_of - values["due_date"]).days
    said = values.get("days_past_due")
    if said is not None and abs(said - days) > 1:
        return [Problem(line, "days_past_due", f"does not fit due_date on {as_of.isoformat()}")]
    case: dict[str, Any] = {name: values[name] for name in _CASE if name in values}
    try:
        CaseFile(
            **{
                **case,
                "days_past_due": max(0, days),
                "plans": tuple(case.get("plans", ())),
                "fees_allowed": tuple(case.get("fees_allowed", ())),
            }
        )
    except CaseError as e:
        reason = str(e).removeprefix("case file: ")
        return [Problem(line, next((name for name in case if reason.startswith(name)), ""), reason)]
    return []


def _row(line: int, values: dict[str, Any]) -> BorrowerRow:
    numbers = tuple(dict.fromkeys(values[n] for n in ("phone", "phone_2", "phone_3") if n in values))
    plain = {name: value if isinstance(value, str | bool | list) else str(value) for name, value in values.items()}
    plain.pop("days_past_due", None)
    text = json.dumps(plain, sort_keys=True, ensure_ascii=False)
    only = (values["contact_from"], values["contact_to"]) if "contact_from" in values else None
    facts: dict[str, Any] = {name: plain[name] for name in FACTS if name in plain}
    consents = tuple(values["consents"]) if "consents" in values else None
    return BorrowerRow(
        line=line, account=values["account"], lender=values["lender"], person_key=person_key(values, numbers),
        name=values["borrower_name"], numbers=numbers, lang=values["lang"], time_zone=values["time_zone"],
        region=values.get("region", ""), risk=values.get("risk", ""), amount_due=values["amount_due"],
        currency=values["currency"], due_date=values["due_date"], consents=consents,
        only=only, do_not_contact=values.get("do_not_contact", False), attorney=values.get("attorney", False),
        deceased=values.get("deceased", False), bankrupt=values.get("bankrupt", False), facts=facts,
        row_hash=hashlib.sha256(text.encode()).hexdigest(),
    )  # fmt: skip


def person_key(values: Mapping[str, Any], numbers: tuple[str, ...]) -> str:
    """How a person is recognised over lenders and imports: the operator's own person_id, else name and first number."""
    if values.get("person_id"):
        return hashlib.sha256(f"id\x00{values['person_id']}".encode()).hexdigest()
    return hashlib.sha256(f"name\x00{name_key(values['borrower_name'])}\x00{numbers[0]}".encode()).hexdigest()


def name_key(name: str) -> str:
    """A name without case, spaces and accents."""
    plain = unicodedata.normalize("NFKD", name).casefold()
    return "".join(c for c in plain if c.isalnum())
