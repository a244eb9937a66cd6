"""Twelve hundred dirty rows, each of its own making: refused by line with a reason, and not a word of them told."""

from __future__ import annotations

import csv
import io
import logging
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from typer.testing import CliRunner
from world import MORNING

from archive.database import Database
from campaigns.cli import app
from campaigns.importing.portfolio import import_portfolio
from campaigns.models import Debt, Import, Number, Person, PersonNumber

DIRTY, CLEAN = 1200, 300
FIELDS = ("account", "lender", "borrower_name", "phone", "lang", "time_zone", "product", "payee", "agent_name",
          "amount_due", "currency", "due_date", "id_last4", "days_past_due", "min_payment", "consents", "attorney",
          "contact_from", "contact_to", "risk", "region", "plans", "note")  # fmt: skip
Spoil = Callable[[random.Random, str], str]
_CONTROL = "\x01\x07\x08\x0b\x1b\x7f\u200b\u200e\u202e\u2066\ufeff\ufffd"


def clean(n: int) -> dict[str, str]:
    row = dict.fromkeys(FIELDS, "")
    return row | {
        "account": f"AX{n:05d}", "lender": "安信消费金融", "borrower_name": f"欧阳{chr(0x4E00 + n)}明",
        "phone": f"+86138{31_000_000 + n}", "lang": "zh", "time_zone": "Asia/Shanghai", "product": "消费贷款",
        "payee": "安信官方应用", "agent_name": "小安", "amount_due": "3500.00", "currency": "CNY",
        "due_date": "2026-11-12", "id_last4": f"{n % 10000:04d}",
    }  # fmt: skip


def within(extra: str) -> Spoil:
    """One of ``extra`` put somewhere inside."""

    def spoil(rng: random.Random, value: str) -> str:
        at = rng.randint(1, len(value) - 1)
        return value[:at] + rng.choice(extra) * rng.randint(1, 3) + value[at:]

    return spoil


def instead(*values: str) -> Spoil:
    return lambda rng, _: rng.choice(values)


def digits(low: int, high: int) -> Spoil:
    """A number of digits that no telephone has."""
    return lambda rng, _: "+86" + "".join(rng.choice("0123456789") for _ in range(rng.randint(low, high)))


def formula(rng: random.Random, value: str) -> str:
    return rng.choice("=@") + rng.choice(("SUM(A1)", "cmd|'/c calc'!A1", "HYPERLINK(1)", value))


DIRT: dict[str, tuple[Spoil, ...]] = {
    "account": (instead(""), within(" ;'\"<>\\\t"), within(_CONTROL), formula, lambda r, v: v * 12,
                lambda r, _: f"{r.uniform(1, 9):.2f}E+{r.randint(9, 20)}"),
    "lender": (instead(""), within(_CONTROL), formula, lambda r, v: v * 20),
    "borrower_name": (instead("", "#REF!", "#N/A"), within(_CONTROL + "<>"), formula, lambda r, v: v * 40),
    "phone": (instead("", "unknown", "13812345678", "+86 138", "010"), digits(1, 6), digits(13, 20),
              lambda r, _: f"{r.uniform(1, 9):.2f}E+{r.randint(9, 12)}", within("abcxyz"), within("/,;"),
              lambda r, _: "+86" + str(r.randint(0, 9)) * 11, within(_CONTROL)),
    "lang": (instead("", "fr", "中", "zh-en", "1"), within(_CONTROL)),
    "time_zone": (instead("", "EST", "PRC", "Beijing", "+08:00", "Etc/GMT+8", "UTC", "Asia"), within("_x9"),
                  within(_CONTROL)),
    "product": (instead(""), within(_CONTROL), formula, lambda r, v: v * 40),
    "payee": (instead(""), within(_CONTROL), formula),
    "agent_name": (instead(""), within(_CONTROL), formula),
    "amount_due": (instead("", "0", "NaN", "Infinity", "about 300", "1e3", "12,34", "3.500,00", "9999999999"),
                   lambda r, _: f"-{r.randint(1, 999)}", lambda r, _: f"{r.uniform(1, 99):.5f}", within("aoOl")),
    "currency": (instead("", "XYZ", "元元", "US", "CNYY"), within(_CONTROL)),
    "due_date": (instead("", "03/04/2026", "2026-02-30", "46339", "yesterday", "2029-01-01", "1900-01-01"),
                 lambda r, _: f"2026-{r.randint(13, 99)}-{r.randint(1, 28):02d}", within("xyz")),
    "id_last4": (instead("", "72", "ABCD", "12345", "X123"), within(" -x")),
    "days_past_due": (instead("30", "-40", "six", "6.5", "1e1"),),
    "min_payment": (instead("99999", "-1", "none", "1e2"),),
    "consents": (instead("anything", "robot_call|all", "yes"),),
    "attorney": (instead("maybe", "2", "unknown"),),
    "contact_from": (instead("09:00", "25:00", "9am"),),
    "contact_to": (instead("21:00", "24:60", "late"),),
    "risk": (instead("extreme", "0"),),
    "region": (instead("China", "C", "US_NY", "12"),),
    "plans": (lambda r, _: "x" * r.randint(81, 200),),
    "note": (lambda r, _: "很长" * r.randint(251, 600), lambda r, _: f"a{r.choice(_CONTROL)}b"),
}  # fmt: skip


def portfolio(seed: int) -> tuple[list[dict[str, str]], dict[int, tuple[str, str]]]:
    """The rows, and of each dirty one by its line: the field and what stands in it."""
    rng = random.Random(seed)
    kinds = [(field, spoil) for field, spoils in DIRT.items() for spoil in spoils]
    rows: list[dict[str, str]] = []
    dirty: dict[int, tuple[str, str]] = {}
    bad = set(rng.sample(range(DIRTY + CLEAN), DIRTY))
    for n in range(DIRTY + CLEAN):
        row = clean(n)
        if n in bad:
            field, spoil = kinds[len(dirty) % len(kinds)]
            row[field] = spoil(rng, row[field])
            dirty[n + 2] = (field, row[field])
        rows.append(row)
    return rows, dirty


def written(path: Path, rows: list[dict[str, str]]) -> Path:
    out = io.StringIO()
    writer = csv.DictWriter(out, FIELDS)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(out.getvalue().encode())
    return path


def everything(database: Database) -> list[int]:
    with database.read() as session:
        return [
            session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
            for table in (Debt, Person, Number, PersonNumber, Import)
        ]


@pytest.mark.parametrize("seed", [1, 2])
def test_every_dirty_row_is_refused_and_every_clean_one_taken(
    seed: int, sqlite: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows, dirty = portfolio(seed)
    path = written(tmp_path / "p.csv", rows)
    with caplog.at_level(logging.DEBUG):
        whole = import_portfolio(sqlite, path, MORNING)
        assert not whole.written and everything(sqlite) == [0] * 5, "all of the file or nothing"
        part = import_portfolio(sqlite, path, MORNING, skip_bad_rows=True)
    told = {problem.line: problem for problem in part.problems}
    missed = {line: what for line, what in dirty.items() if line not in told}
    assert not missed, f"taken: {list(missed.items())[:5]}"
    assert set(told) == set(dirty), "a clean row was refused"
    assert everything(sqlite) == [CLEAN, CLEAN, CLEAN, CLEAN, 1]
    with sqlite.read() as session:
        accounts = set(session.scalars(sa.select(Debt.account)))
    assert accounts == {row["account"] for n, row in enumerate(rows) if n + 2 not in dirty}
    for problem in part.problems:
        field, value = dirty[problem.line]
        assert problem.reason and "\n" not in problem.reason, (field, problem)
        assert len(value) < 5 or value not in problem.reason, (field, problem)
        name = rows[problem.line - 2]["borrower_name"]
        assert not name or name not in problem.reason
    _nobody(caplog.text, rows)


def test_the_command_names_lines_and_nobody(tmp_path: Path) -> None:
    rows, dirty = portfolio(3)
    path = written(tmp_path / "p.csv", rows)
    home, errors = tmp_path / "home", tmp_path / "errors.csv"
    result = CliRunner().invoke(app, ["import", str(path), "--home", str(home), "--errors", str(errors)])
    assert result.exit_code == 1 and "NOT imported" in result.output
    text = errors.read_text("utf-8")
    assert {int(row["line"]) for row in csv.DictReader(io.StringIO(text))} == set(dirty)
    _nobody(result.output + text, rows)


def _nobody(text: str, rows: list[dict[str, str]]) -> None:
    """No name and no number of anybody stands in ``text``."""
    for n in range(len(rows)):
        row = clean(n)
        for secret in (row["borrower_name"], row["phone"], row["phone"].removeprefix("+86")):
            assert secret not in text
