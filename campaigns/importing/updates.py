"""What a lender tells later: payments, stops, disputes, contacts made elsewhere. By file or by :func:`apply_update`.

Every update has a reference of the lender's own; the same reference again changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal, get_args
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.database import Database
from campaigns.errors import CampaignError
from campaigns.importing import fields as f
from campaigns.importing.mapping import FileMapping
from campaigns.importing.portfolio import CHUNK, ImportReport, Progress, no_progress
from campaigns.importing.reading import read_table
from campaigns.importing.rows import Problem
from campaigns.importing.table import Cell
from campaigns.importing.text import FieldError, text_of
from campaigns.models import Debt, Import, Person, Record, Update
from campaigns.settling import close_debt, stop_person

UpdateKind = Literal[
    "payment",  # an amount was paid: what is due falls; at zero the debt is closed
    "cease",  # the person wants no further contact, by anybody
    "dispute",
    "withdraw",  # the lender takes the debt back
    "attorney",
    "deceased",
    "bankrupt",
    "contact",  # a conversation that took place elsewhere: it counts in the frequency ledger
]
FIELDS: Final[Mapping[str, f.Parser]] = {
    "account": f.account,
    "lender": f.words,
    "kind": f.one_of(*get_args(UpdateKind)),
    "amount": f.money,
    "date": f.day,
    "reference": partial(text_of, most=100),
    "channel": f.one_of("voice", "text", "email", "letter"),
}


@dataclass(frozen=True, slots=True)
class DebtUpdate:
    """One update. ``amount`` for a payment only; ``at`` (aware) when it happened; ``reference`` is the lender's."""

    lender: str
    account: str
    kind: UpdateKind
    reference: str
    at: datetime
    amount: Decimal | None = None
    channel: Literal["voice", "text", "email", "letter"] = "voice"
    currency: str | None = None
    """Where the amount bears one, it must be the debt's."""


class UpdateError(CampaignError):
    """An update that cannot be applied; says why without personal data."""


def apply_update(database: Database, update: DebtUpdate, now: datetime) -> bool:
    """Apply one update now; ``False`` if its reference was applied before. Raises ``UpdateError``."""
    with database.write() as session:
        return apply_in(session, update, now)


def apply_in(session: Session, update: DebtUpdate, now: datetime) -> bool:
    """The same inside the caller's transaction."""
    debt = session.scalar(sa.select(Debt).where(Debt.lender == update.lender, Debt.account == update.account))
    if debt is None:
        raise UpdateError("is no account of this lender")
    if (update.amount is None) == (update.kind == "payment"):
        raise UpdateError("a payment needs an amount, and nothing else has one")
    if update.at.tzinfo is None:
        raise UpdateError("the moment has no time zone")
    if update.at > now + timedelta(days=1):
        raise UpdateError("the moment lies in the future")
    if update.currency is not None and update.currency != debt.currency:
        raise UpdateError(f"the amount is in {update.currency}, the debt is not")
    person = session.get_one(Person, debt.person_id, with_for_update=True, populate_existing=True)
    session.refresh(debt, with_for_update=True)
    before = sa.select(Update.kind, Update.amount, Update.debt_id).where(
        Update.lender == update.lender, Update.reference == update.reference
    )
    if (known := session.execute(before).first()) is not None:
        if (known.kind, known.amount, known.debt_id) != (update.kind, update.amount, debt.id):
            raise UpdateError("the reference was used for something else")
        return False
    session.add(
        Update(
            lender=update.lender, reference=update.reference, debt_id=debt.id, kind=update.kind, amount=update.amount,
            at=update.at,
        )
    )  # fmt: skip
    session.flush()
    _apply(session, debt, person, update, now)
    return True


def _apply(session: Session, debt: Debt, person: Person, update: DebtUpdate, now: datetime) -> None:
    if update.kind == "payment":
        assert update.amount is not None
        left = debt.amount_due - update.amount
        if left <= 0:
            close_debt(session, debt.id, "paid", "payment", now)
        else:
            debt.amount_due, debt.updated_at = left, now
    elif update.kind == "cease":
        stop_person(session, person.id, "cease", now)
    elif update.kind == "dispute":
        close_debt(session, debt.id, "disputed", "lender", now)
    elif update.kind == "withdraw":
        close_debt(session, debt.id, "withdrawn", "lender", now)
    elif update.kind == "contact":
        session.add(
            Record(
                source=_source(update), person_id=person.id, debt_id=debt.id,
                number=None, at=update.at, kind="conversation" if update.channel == "voice" else update.channel,
                channel=update.channel, answered=True,
            )
        )  # fmt: skip
    else:
        setattr(person, update.kind, True)
        person.updated_at = now


def _source(update: DebtUpdate) -> str:
    """What tells this contact from every other; shortened without making two of them one."""
    whole = f"{update.lender}\x1f{update.reference}"
    return whole if len(whole) <= 160 else hashlib.sha256(whole.encode()).hexdigest()


def import_updates(
    database: Database,
    path: Path,
    now: datetime,
    *,
    mapping: FileMapping | None = None,
    lender: str | None = None,
    dry_run: bool = False,
    skip_bad_rows: bool = False,
    progress: Progress = no_progress,
) -> ImportReport:
    """A file of updates (columns: account, kind, reference, amount, date, channel). As ``import_portfolio``.

    Without a reference a stop is known by its account and kind; a payment and a contact must have one.
    """
    mapping = mapping or FileMapping()
    if lender is not None:
        mapping = mapping.model_copy(update={"constants": {**mapping.constants, "lender": lender}})
    table = read_table(path, delimiter=mapping.delimiter, sheet=mapping.sheet)
    bound = mapping.bind(table.columns, FIELDS, ("account", "lender", "kind"), table.name)
    problems: list[Problem] = []
    counts = {"applied": 0, "repeated": 0, "refused": 0}
    total = 0
    with database.write() as session:
        for raw in table.rows:
            total += 1
            if total % CHUNK == 0:
                progress("applying", total, max(total, table.size))
            found = raw.problem and [Problem(raw.line, "", raw.problem)]
            update = found or _read(raw.line, mapping.cells(raw, bound), mapping, now)
            if isinstance(update, list):
                problems.extend(update)
                continue
            try:
                counts["applied" if apply_in(session, update, now) else "repeated"] += 1
            except UpdateError as e:
                problems.append(Problem(raw.line, "", str(e)))
        counts["refused"] = len({problem.line for problem in problems})
        session.add(Import(kind="updates", lender=lender or "", sha256=table.sha256, at=now, counts=counts))
        stop = (bool(problems) and not skip_bad_rows) or dry_run
        if stop:
            session.rollback()
    return ImportReport(table.name, table.encoding, total, not stop, counts, tuple(problems))


def _read(line: int, cells: Mapping[str, Cell], mapping: FileMapping, now: datetime) -> DebtUpdate | list[Problem]:
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, cell in cells.items():
        if cell is None or (isinstance(cell, str) and not cell.strip()):
            continue
        try:
            values[name] = f.day(cell, mapping.date_order) if name == "date" else FIELDS[name](cell)
        except FieldError as e:
            problems.append(Problem(line, name, str(e)))
    failed = {problem.field for problem in problems}
    kind = values.get("kind")
    needed = ["account", "lender", "kind"] + (["reference", "amount"] if kind == "payment" else [])
    needed += ["reference", "date"] if kind == "contact" else []
    problems += [Problem(line, n, "is missing") for n in needed if n not in failed and not values.get(n)]
    if "amount" in values and kind != "payment":
        problems.append(Problem(line, "amount", "belongs to a payment only"))
    if problems:
        return problems
    at = now
    if "date" in values:
        # Which hour is not known: noon UTC falls on that day in nearly every zone where people are called.
        at = datetime.combine(values["date"], time(12), ZoneInfo("UTC")).astimezone(UTC)
    reference = values.get("reference") or f"{kind}:{values['account']}"
    return DebtUpdate(
        values["lender"], values["account"], values["kind"], reference, at, values.get("amount"),
        values.get("channel", "voice"), f.currency_in(cells.get("amount")),
    )  # fmt: skip
