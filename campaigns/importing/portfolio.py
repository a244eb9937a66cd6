"""Importing a portfolio: all of the file or nothing of it, unless told to leave out what cannot be used.

A row is known by lender and account. The same row again changes nothing; a changed one updates the debt, unless the
file is older than what is stored. No import lifts a stop, a dispute, or any other protection.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.database import Database
from campaigns.errors import ImportRefused
from campaigns.importing.mapping import FileMapping
from campaigns.importing.reading import read_table
from campaigns.importing.rows import FIELDS, REQUIRED, BorrowerRow, Problem, name_key, parse_row
from campaigns.importing.table import Cell, Table
from campaigns.models import Debt, Import, Number, Person, PersonNumber
from campaigns.settling import stop_person

CHUNK = 1000
SHARED = 8
"""People of one file who may have a telephone number in common: a household, or a small firm."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What became of a file. ``written`` is false after a dry run and after a refusal."""

    file: str
    encoding: str
    rows: int
    written: bool
    counts: dict[str, int]
    problems: tuple[Problem, ...] = field(default=())

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "encoding": self.encoding,
            "rows": self.rows,
            "written": self.written,
            **self.counts,
            "problems": [problem.as_json() for problem in self.problems],
        }


def no_progress(_what: str, _done: int, _total: int) -> None:
    return None


def import_portfolio(
    database: Database,
    path: Path,
    now: datetime,
    *,
    mapping: FileMapping | None = None,
    lender: str | None = None,
    as_of: date | None = None,
    dry_run: bool = False,
    skip_bad_rows: bool = False,
    progress: Progress = no_progress,
) -> ImportReport:
    """Read, check and enter a file of debts.

    ``lender`` stands for the whole file; ``as_of`` is the day the file describes (default: ``now``'s). Raises
    ``ImportRefused`` for a file that cannot be read at all; rows that cannot be used are in the report.
    """
    mapping = mapping or FileMapping()
    if lender is not None:
        mapping = mapping.model_copy(update={"constants": {**mapping.constants, "lender": lender}})
    day = as_of or now.date()
    table = read_table(path, delimiter=mapping.delimiter, sheet=mapping.sheet)
    rows, problems, total = _parse(table, mapping, day, progress)
    if not total:  # updates may be none on a quiet day; a portfolio without a debt is the wrong file
        raise ImportRefused(f"{table.name}: has a heading but no row")
    refused = len({problem.line for problem in problems})
    counts = {"new": 0, "updated": 0, "unchanged": 0, "older": 0, "repeated": 0, "refused": refused}
    rows, again = _distinct(rows)
    counts["repeated"] = again
    stop = bool(problems) and not skip_bad_rows
    agreed: dict[int, set[str]] = {}
    with database.write() as session:
        record = Import(kind="portfolio", lender=lender or "", sha256=table.sha256, at=now, counts={})
        session.add(record)
        session.flush()
        if not stop:
            for start in range(0, len(rows), CHUNK):
                _enter(session, rows[start : start + CHUNK], record.id, day, now, counts, agreed)
                progress("writing", min(start + CHUNK, len(rows)), len(rows))
        record.counts = counts
        if stop or dry_run:
            session.rollback()
    return ImportReport(table.name, table.encoding, total, not (stop or dry_run), counts, tuple(problems))


def _parse(
    table: Table, mapping: FileMapping, day: date, progress: Progress
) -> tuple[list[BorrowerRow], list[Problem], int]:
    bound = mapping.bind(table.columns, FIELDS, REQUIRED, table.name)
    rows: list[BorrowerRow] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, str], BorrowerRow] = {}
    doubtful: set[tuple[str, str]] = set()
    memo: dict[tuple[str, str], object] = {}
    total = 0
    for raw in table.rows:
        total += 1
        if total % CHUNK == 0:
            progress("reading", total, max(total, table.size))
        if raw.problem is not None:
            problems.append(Problem(raw.line, "", raw.problem))
            continue
        cells: dict[str, Cell] = mapping.cells(raw, bound)
        row = parse_row(raw.line, cells, mapping, day, memo)
        if isinstance(row, list):
            problems.extend(row)
            continue
        key = (row.lender, row.account)
        first = seen.setdefault(key, row)
        if first.row_hash != row.row_hash:
            problems.append(Problem(row.line, "account", f"is also on line {first.line}, with other values"))
            if key not in doubtful:
                problems.append(Problem(first.line, "account", f"is also on line {row.line}, with other values"))
            doubtful.add(key)
            continue
        rows.append(row)
    progress("reading", total, total)
    crowded = _crowded(rows)
    problems += [Problem(row.line, "phone", reason) for row in rows if (reason := _shared(row, crowded))]
    rows = [row for row in rows if crowded.isdisjoint(row.numbers)]
    if doubtful:  # nobody can say which of them holds
        rows = [row for row in rows if (row.lender, row.account) not in doubtful]
    return rows, sorted(problems, key=lambda p: p.line), total


def _crowded(rows: Sequence[BorrowerRow]) -> set[str]:
    """Numbers under which the file lists more people than share a telephone: a placeholder, or the lender's own."""
    people: dict[str, set[str]] = {}
    for row in rows:
        for number in row.numbers:
            people.setdefault(number, set()).add(row.person_key)
    return {number for number, listed in people.items() if len(listed) > SHARED}


def _shared(row: BorrowerRow, crowded: set[str]) -> str:
    return f"stands with more than {SHARED} people: it is nobody's own" if not crowded.isdisjoint(row.numbers) else ""


def _distinct(rows: Sequence[BorrowerRow]) -> tuple[list[BorrowerRow], int]:
    distinct = list({(row.lender, row.account): row for row in reversed(rows)}.values())[::-1]
    return distinct, len(rows) - len(distinct)


def _enter(
    session: Session,
    rows: Sequence[BorrowerRow],
    import_id: int,
    day: date,
    now: datetime,
    counts: dict[str, int],
    agreed: dict[int, set[str]],
) -> None:
    stored = _stored(session, rows)
    fresh, changed = [], []
    for row in rows:
        debt = stored.get((row.lender, row.account))
        if debt is None:
            fresh.append(row)
        elif debt.row_hash == row.row_hash:
            counts["unchanged"] += 1
        elif debt.as_of > day:
            counts["older"] += 1
        else:
            changed.append((row, debt))
    counts["new"] += len(fresh)
    counts["updated"] += len(changed)
    writing = [*fresh, *(row for row, _ in changed)]
    people = _people(session, writing, now)
    if fresh:
        session.execute(sa.insert(Debt), [_values(row, people[row.line], import_id, day, now) for row in fresh])
    for row, debt in changed:
        # A new instalment of an account that was paid up begins a new matter; nothing else reopens one.
        reopen = debt.state == "paid" and row.due_date > debt.due_date
        values = _values(row, people[row.line], import_id, day, now)
        for name in ("state", "created_at"):
            del values[name]
        for name, value in values.items():
            setattr(debt, name, value)
        if reopen:
            debt.state, debt.state_reason = "open", None
    session.flush()
    for row in writing:
        _flags(session, row, people[row.line], now)
    _consents(session, writing, people, now, agreed)


def _stored(session: Session, rows: Sequence[BorrowerRow]) -> dict[tuple[str, str], Debt]:
    found: dict[tuple[str, str], Debt] = {}
    for lender in {row.lender for row in rows}:
        accounts = [row.account for row in rows if row.lender == lender]
        wanted = sa.select(Debt).where(Debt.lender == lender, Debt.account.in_(accounts)).with_for_update()
        found |= {(debt.lender, debt.account): debt for debt in session.scalars(wanted)}
    return found


def _people(session: Session, rows: Sequence[BorrowerRow], now: datetime) -> dict[int, int]:
    """Each row's person by line, found or made, with the row's numbers entered."""
    numbers = sorted({number for row in rows for number in row.numbers})
    keys = sorted({row.person_key for row in rows})
    by_key = {key: i for i, key in session.execute(sa.select(Person.id, Person.key).where(Person.key.in_(keys)))}
    links = session.execute(
        sa.select(PersonNumber.number, PersonNumber.person_id, Person.name)
        .join(Person, Person.id == PersonNumber.person_id)
        .where(PersonNumber.number.in_(numbers))
    ).all()
    # The same name under a number that is known already is the same person, whichever number the file puts first.
    by_name = {(link.number, name_key(link.name)): link.person_id for link in links}
    people: dict[int, int] = {}
    missing: dict[str, BorrowerRow] = {}
    for row in rows:
        name = name_key(row.name)
        known = [by_name[number, name] for number in row.numbers if (number, name) in by_name]
        if row.person_key in by_key:
            people[row.line] = by_key[row.person_key]
        elif known:
            people[row.line] = known[0]
        else:
            missing.setdefault(row.person_key, row)
    if missing:
        made = session.execute(
            sa.insert(Person).returning(Person.id, Person.key),
            [
                {
                    "key": row.person_key, "name": row.name, "country": row.region,
                    "consents": sorted(row.consents or ()), "attorney": False, "deceased": False, "bankrupt": False,
                    "created_at": now, "updated_at": now,
                }
                for row in missing.values()
            ],
        )  # fmt: skip
        by_key |= {key: i for i, key in made}
    for row in rows:
        people.setdefault(row.line, by_key.get(row.person_key, 0))
    have = set(session.scalars(sa.select(Number.number).where(Number.number.in_(numbers))))
    if new := [number for number in numbers if number not in have]:
        session.execute(sa.insert(Number), [{"number": number} for number in new])
    linked = {(link.person_id, link.number) for link in links}
    pairs: dict[tuple[int, str], int] = {}
    for row in rows:
        for position, number in enumerate(row.numbers):
            if (people[row.line], number) not in linked:
                pairs.setdefault((people[row.line], number), position)
    if pairs:
        session.execute(
            sa.insert(PersonNumber),
            [{"person_id": p, "number": number, "position": at} for (p, number), at in pairs.items()],
        )
    return people


def _values(row: BorrowerRow, person_id: int, import_id: int, day: date, now: datetime) -> dict[str, Any]:
    return {
        "lender": row.lender, "account": row.account, "person_id": person_id, "lang": row.lang,
        "time_zone": row.time_zone, "region": row.region, "risk": row.risk, "amount_due": row.amount_due,
        "currency": row.currency, "due_date": row.due_date, "facts": row.facts, "state": "open",
        "row_hash": row.row_hash, "as_of": day, "import_id": import_id, "created_at": now, "updated_at": now,
    }  # fmt: skip


def _flags(session: Session, row: BorrowerRow, person_id: int, now: datetime) -> None:
    """What protects the person goes up by an import, never down; only wishes are replaced."""
    if not (row.attorney or row.deceased or row.bankrupt or row.do_not_contact or row.only):
        return
    person = session.get_one(Person, person_id, with_for_update=True)
    person.attorney = person.attorney or row.attorney
    person.deceased = person.deceased or row.deceased
    person.bankrupt = person.bankrupt or row.bankrupt
    if row.only is not None:
        person.only_from, person.only_to = row.only
    if row.do_not_contact:
        stop_person(session, person_id, "do_not_contact", now)


def _consents(
    session: Session, rows: Sequence[BorrowerRow], people: dict[int, int], now: datetime, agreed: dict[int, set[str]]
) -> None:
    """Consent that cannot be shown is no consent: an empty cell withdraws it, and where two rows of one file say
    different things of a person, what both of them state counts (``agreed``, by person, over the whole file)."""
    for row in rows:
        if row.consents is not None:
            person_id = people[row.line]
            agreed[person_id] = agreed.get(person_id, set(row.consents)) & set(row.consents)
    said = {people[row.line] for row in rows if row.consents is not None}
    stored = session.execute(sa.select(Person.id, Person.consents).where(Person.id.in_(said))) if said else ()
    for person_id in [i for i, consents in stored if set(consents) != agreed[i]]:
        person = session.get_one(Person, person_id, with_for_update=True)
        person.consents, person.updated_at = sorted(agreed[person_id]), now
