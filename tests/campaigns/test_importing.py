from __future__ import annotations

import csv
import io
import random
import zipfile
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from openpyxl import Workbook
from world import MORNING, count

from archive.database import Database
from campaigns.errors import ConfigError, ImportRefused
from campaigns.importing import fields as f
from campaigns.importing.mapping import FileMapping, load_mapping
from campaigns.importing.portfolio import import_portfolio
from campaigns.importing.updates import DebtUpdate, UpdateError, apply_update, import_updates
from campaigns.models import Debt, Import, Person, PersonNumber, Record

GOOD: dict[str, str] = {
    "account": "A1", "lender": "安信消费金融", "borrower_name": "张明", "phone": "+8613812345678", "lang": "zh",
    "time_zone": "Asia/Shanghai", "product": "消费贷款", "payee": "安信官方应用", "agent_name": "小安",
    "amount_due": "3500.00", "currency": "CNY", "due_date": "2026-11-12", "id_last4": "4072",
}  # fmt: skip


def write(path: Path, rows: list[dict[str, str]], encoding: str = "utf-8", **options: Any) -> Path:
    out = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(out, columns, restval="", **options)
    writer.writeheader()
    writer.writerows(rows)
    path.write_bytes(out.getvalue().encode(encoding))
    return path


def many(n: int) -> list[dict[str, str]]:
    return [{**GOOD, "account": f"A{i}", "phone": f"+86138{12_345_000 + i}"} for i in range(n)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "gbk"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(sqlite: Database, tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = write(tmp_path / "p.csv", many(3), encoding, delimiter=delimiter)
    report = import_portfolio(sqlite, path, MORNING)
    assert report.counts["new"] == 3 and not report.problems
    assert report.encoding == ("gb18030" if encoding.startswith("gb") else "utf-8")
    with sqlite.read() as session:
        assert set(session.scalars(sa.select(Person.name))) == {"张明"}


def test_again_changes_nothing_and_a_change_updates(database: Database, tmp_path: Path) -> None:
    path = write(tmp_path / "p.csv", many(3))
    assert import_portfolio(database, path, MORNING).counts["new"] == 3
    again = import_portfolio(database, path, MORNING)
    assert (again.counts["unchanged"], again.counts["new"], again.counts["updated"]) == (3, 0, 0)
    rows = many(4)
    rows[0]["amount_due"] = "3,000.00"
    changed = import_portfolio(database, write(tmp_path / "q.csv", rows), MORNING)
    assert (changed.counts["new"], changed.counts["updated"], changed.counts["unchanged"]) == (1, 1, 2)
    assert count(database) == 4 and count(database, Person) == 4
    older = import_portfolio(database, path, MORNING, as_of=date(2026, 11, 17))
    assert older.counts["older"] == 1
    with database.read() as session:
        assert session.scalar(sa.select(Debt.amount_due).where(Debt.account == "A0")) == Decimal("3000.00")


def test_a_person_is_one_over_lenders(database: Database, tmp_path: Path) -> None:
    rows = [
        GOOD,
        {**GOOD, "lender": "Baixin", "account": "B1", "borrower_name": " 张 明"},
        {**GOOD, "account": "A2", "phone": "+8613900000001", "phone_2": "+8613812345678"},
        {**GOOD, "account": "A3", "borrower_name": "王芳"},
    ]
    import_portfolio(database, write(tmp_path / "p.csv", rows[:1]), MORNING)
    import_portfolio(database, write(tmp_path / "q.csv", rows[1:]), MORNING)
    assert count(database, Person) == 2  # 王芳 shares the number, not the person
    assert count(database, PersonNumber) == 3


def test_all_or_nothing_and_the_good_rows_on_request(database: Database, tmp_path: Path) -> None:
    rows = [*many(3), {**GOOD, "account": "B", "phone": "12"}]
    path = write(tmp_path / "p.csv", rows)
    report = import_portfolio(database, path, MORNING)
    assert not report.written and count(database) == 0 and count(database, Import) == 0
    assert [(p.line, p.field) for p in report.problems] == [(5, "phone")]
    dry = import_portfolio(database, path, MORNING, skip_bad_rows=True, dry_run=True)
    assert dry.counts["new"] == 3 and not dry.written and count(database) == 0
    report = import_portfolio(database, path, MORNING, skip_bad_rows=True)
    assert report.written and count(database) == 3


DIRT = [
    ("phone", ""), ("phone", "1.38E+10"), ("phone", "13812345678"), ("phone", "+86 138"), ("phone", "+8611111111111"),
    ("phone", "+8613812345678/+8613812345679"), ("phone", "+8613812345678 ext 5"), ("phone", "unknown"),
    ("phone", "+1 555 123 4567"), ("phone", "+86138１２３"), ("borrower_name", ""), ("borrower_name", "=HYPERLINK(1)"),
    ("borrower_name", "#REF!"), ("borrower_name", "张\u200b明"), ("borrower_name", "<script>"),
    ("borrower_name", "张\x07"),
    ("borrower_name", "长" * 81), ("borrower_name", "\ufffd\ufffd"), ("time_zone", "EST"), ("time_zone", "Beijing"),
    ("time_zone", "+08:00"), ("time_zone", "Etc/GMT+8"), ("time_zone", ""), ("amount_due", "0"), ("amount_due", "-5"),
    ("amount_due", "3.500,00"), ("amount_due", "1e3"), ("amount_due", "12,34"), ("amount_due", "NaN"),
    ("amount_due", "3500.001"), ("amount_due", "9999999999"), ("amount_due", "about 300"), ("currency", "XYZ"),
    ("due_date", "03/04/2026"), ("due_date", "2026-02-30"), ("due_date", "46339"), ("due_date", "yesterday"),
    ("due_date", "1900-01-01"), ("due_date", "2029-01-01"), ("lang", "fr"), ("id_last4", "72"), ("id_last4", "ABCD"),
    ("account", "A 1"), ("account", "A;DROP"), ("account", "1.2E+15"), ("account", "A" * 65), ("lender", "@sum"),
    ("product", ""), ("payee", "\u202eevil"), ("days_past_due", "30"), ("min_payment", "99999"),
    ("call_back_number", "call me"), ("consents", "anything"), ("attorney", "maybe"), ("contact_from", "09:00"),
    ("contact_to", "25:00"), ("risk", "extreme"), ("region", "China"), ("plans", "x" * 90),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), DIRT)
def test_dirt_is_refused_with_its_line_field_and_no_data(
    tmp_path: Path, empty: Database, field: str, value: str
) -> None:
    bad = {**GOOD, "account": "B", "phone": "+8613812345679", field: value}
    report = import_portfolio(empty, write(tmp_path / "p.csv", [GOOD, bad]), MORNING)
    assert not report.written and report.counts["refused"] == 1
    assert {p.line for p in report.problems} <= {3, 4}
    told = " ".join(p.reason for p in report.problems)
    assert told and (len(value) < 5 or value not in told)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"), (b"   \n", "is empty"), ("account,张".encode("utf-16"), "UTF-16"), (b"a\x00b", "NUL"),
        (b"account,\xff\xff\xff,\n", "neither UTF-8 nor GB18030"), (b"account,account\n", "two columns"),
        (b"account,,x\n", "no heading"), (b"account,nonsense\n", "is no field"), (b"PK\x03\x04 not a zip", "Excel"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old or encrypted"), (b'"account\n', "heading"),
        (",".join(GOOD).encode() + b"\n\n", "no row"),
    ],
)  # fmt: skip
def test_files_that_are_refused_whole(tmp_path: Path, empty: Database, data: bytes, reason: str) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(data)
    with pytest.raises(ImportRefused, match=reason):
        import_portfolio(empty, path, MORNING)
    assert count(empty, Import) == 0


def test_a_column_that_the_command_line_gives_too_is_named(tmp_path: Path, empty: Database) -> None:
    path = write(tmp_path / "p.csv", [GOOD])
    with pytest.raises(ImportRefused, match="'lender': the whole file is given one already"):
        import_portfolio(empty, path, MORNING, mapping=FileMapping(constants={"lender": "Harbor Lending"}))
    assert count(empty, Import) == 0


def test_a_lost_quote_costs_its_own_line_only(tmp_path: Path, sqlite: Database) -> None:
    lines = write(tmp_path / "p.csv", many(5)).read_text().splitlines()
    lines[2] = lines[2].replace("张明", '"张明')
    lines[4] += ",extra"
    path = tmp_path / "q.csv"
    path.write_text("\r".join(lines))  # and old line ends
    report = import_portfolio(sqlite, path, MORNING, skip_bad_rows=True)
    assert [p.line for p in report.problems] == [3, 5]
    assert report.counts["new"] == 3


def test_the_same_account_twice(tmp_path: Path, sqlite: Database) -> None:
    rows = [GOOD, GOOD, {**GOOD, "account": "B"}, {**GOOD, "account": "B", "amount_due": "1.00"}]
    report = import_portfolio(sqlite, write(tmp_path / "p.csv", rows), MORNING, skip_bad_rows=True)
    assert (report.counts["new"], report.counts["repeated"], report.counts["refused"]) == (1, 1, 2)
    assert {p.line for p in report.problems} == {4, 5}


def test_random_dirt_is_refused_or_taken_but_never_half(tmp_path: Path, sqlite: Database) -> None:
    rng = random.Random(7)
    rows = many(300)
    alphabet = "\x00\x1b\u200b\ud7ff,;\"'=@<>\\ 　０１２eE+-./张é\U0001f600"
    for row in rows:
        if rng.random() < 0.5:
            field = rng.choice(list(row))
            place = rng.randrange(len(row[field]) + 1)
            row[field] = row[field][:place] + rng.choice(alphabet) * rng.randint(1, 3) + row[field][place:]
    path = write(tmp_path / "p.csv", [{k: v.replace("\x00", "\x01") for k, v in row.items()} for row in rows])
    report = import_portfolio(sqlite, path, MORNING, skip_bad_rows=True)
    good = report.counts["new"] + report.counts["repeated"]
    assert good + report.counts["refused"] == report.rows and report.counts["refused"] > 50
    assert count(sqlite) == report.counts["new"]


def test_xlsx_with_a_mapping(tmp_path: Path, sqlite: Database) -> None:
    book = Workbook()
    page = book.active
    assert page is not None
    page.append(["合同号", "姓名", "手机", "金额", "到期", "证件后四位", "语种", "客户经理"])
    page.append(["X-1", "张明", 13812345678, 3500.5, datetime(2026, 11, 12), "0072", "中文", "谁"])
    page.append([10**16, "王芳", "13912345678", 100, "2026/11/10", 72, "中文", None])
    page.append([None] * 8)
    book.save(tmp_path / "p.xlsx")
    (tmp_path / "map.yaml").write_text(
        """
columns: {account: 合同号, borrower_name: 姓名, phone: 手机, amount_due: 金额, due_date: 到期, id_last4: 证件后四位,
          lang: 语种}
constants: {currency: CNY, time_zone: Asia/Shanghai, product: 消费贷款, payee: 官方应用, agent_name: 小安}
values: {lang: {中文: zh}}
country_code: "+86"
ignore_other_columns: true
""",
        encoding="utf-8",
    )
    mapping = load_mapping(tmp_path / "map.yaml")
    report = import_portfolio(sqlite, tmp_path / "p.xlsx", MORNING, mapping=mapping, lender="安信", skip_bad_rows=True)
    assert report.counts["new"] == 1 and report.encoding == "xlsx"
    assert {(p.line, p.field) for p in report.problems} == {(3, "account"), (3, "id_last4")}
    with sqlite.read() as session:
        debt = session.scalars(sa.select(Debt)).one()
        assert (debt.amount_due, debt.facts["id_last4"], debt.lender) == (Decimal("3500.50"), "0072", "安信")


def test_a_zip_that_is_no_workbook_and_mappings_that_do_not_fit(tmp_path: Path, sqlite: Database) -> None:
    path = tmp_path / "p.xlsx"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "y")
    with pytest.raises(ImportRefused, match="not an Excel file"):
        import_portfolio(sqlite, path, MORNING)
    good = write(tmp_path / "p.csv", [GOOD])
    for mapping, reason in (
        (FileMapping(columns={"account": "none"}), "has no column"),
        (FileMapping(columns={"nickname": "account"}), "unknown field"),
    ):
        with pytest.raises(ImportRefused, match=reason):
            import_portfolio(sqlite, good, MORNING, mapping=mapping)
    (tmp_path / "m.yaml").write_text("colums: {}")
    with pytest.raises(ConfigError, match="colums"):
        load_mapping(tmp_path / "m.yaml")


def test_updates_are_applied_once(database: Database, tmp_path: Path) -> None:
    import_portfolio(database, write(tmp_path / "p.csv", many(5)), MORNING)
    rows = [
        {"account": "A0", "lender": GOOD["lender"], "kind": "payment", "amount": "500", "reference": "P1", "date": ""},
        {"account": "A1", "lender": GOOD["lender"], "kind": "payment", "amount": "3500", "reference": "P2", "date": ""},
        {"account": "A2", "lender": GOOD["lender"], "kind": "cease", "amount": "", "reference": "", "date": ""},
        {"account": "A3", "lender": GOOD["lender"], "kind": "dispute", "amount": "", "reference": "", "date": ""},
        {"account": "A4", "lender": GOOD["lender"], "kind": "contact", "amount": "", "reference": "C1",
         "date": "2026-11-17"},
    ]  # fmt: skip
    path = write(tmp_path / "u.csv", rows)
    assert import_updates(database, path, MORNING).counts["applied"] == 5
    assert import_updates(database, path, MORNING).counts["repeated"] == 5
    with database.read() as session:
        debts = {debt.account: debt for debt in session.scalars(sa.select(Debt))}
        assert debts["A0"].amount_due == Decimal("3000.00")
        assert (debts["A1"].state, debts["A3"].state) == ("paid", "disputed")
        assert session.get_one(Person, debts["A2"].person_id).stopped_reason == "cease"
        assert session.scalars(sa.select(Record.kind)).all() == ["conversation"]
    # The old portfolio again lifts nothing.
    import_portfolio(database, tmp_path / "p.csv", MORNING)
    with database.read() as session:
        assert session.scalar(sa.select(Debt.state).where(Debt.account == "A1")) == "paid"


def test_bad_updates_are_refused_and_nothing_is_half_applied(database: Database, tmp_path: Path) -> None:
    import_portfolio(database, write(tmp_path / "p.csv", [GOOD]), MORNING)
    base = {"account": "A1", "lender": GOOD["lender"], "kind": "payment", "amount": "1", "reference": "R"}
    rows = [
        base, {**base, "reference": ""}, {**base, "account": "NO", "reference": "S"}, {**base, "kind": "gift"},
        {**base, "kind": "cease", "reference": "T"}, {**base, "amount": "2"},
    ]  # fmt: skip
    report = import_updates(database, write(tmp_path / "u.csv", rows), MORNING)
    assert {p.line for p in report.problems} == {3, 4, 5, 6, 7}
    with database.read() as session:
        assert session.scalar(sa.select(Debt.amount_due)) == Decimal("3500.00")


def test_updates_by_function(database: Database, tmp_path: Path) -> None:
    import_portfolio(database, write(tmp_path / "p.csv", [GOOD]), MORNING)
    update = DebtUpdate(GOOD["lender"], "A1", "payment", "api-1", MORNING, Decimal("3500.00"))
    assert apply_update(database, update, MORNING) is True
    assert apply_update(database, update, MORNING) is False
    with pytest.raises(UpdateError, match="no account"):
        apply_update(database, DebtUpdate("nobody", "A1", "cease", "x", MORNING), MORNING)


@pytest.mark.parametrize(
    ("text", "amount"),
    [("3500", "3500.00"), ("¥3,500.50", "3500.50"), ("３５００元", "3500.00"), ("1,234,567.8", "1234567.80"),
     ("$12", "12.00")],
)  # fmt: skip
def test_amounts_that_are_certain(text: str, amount: str) -> None:
    assert f.money(text) == Decimal(amount)


@pytest.mark.parametrize(
    ("text", "number"),
    [("138 1234 5678", "+8613812345678"), ("86-138-1234-5678", "+8613812345678"), ("008613812345678", "+8613812345678"),
     ("010-62345678", "+861062345678"), ("+1 (212) 555-0123", "+12125550123"), (13812345678, "+8613812345678"),
     (13812345678.0, "+8613812345678")],
)  # fmt: skip
def test_numbers_that_are_certain(text: str | float, number: str) -> None:
    assert f.phone(text, "+86") == number


def test_dates_by_order() -> None:
    assert f.day("03/04/2026", "DMY") == date(2026, 4, 3)
    assert f.day("03/04/2026", "MDY") == date(2026, 3, 4)
    assert f.day("25/12/2026") == date(2026, 12, 25)
    assert f.day("2026年1月5日") == date(2026, 1, 5)
    assert f.day("2026-01-05 00:00:00") == date(2026, 1, 5)
