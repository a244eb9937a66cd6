"""Files as lenders' systems, spreadsheets and malice write them: what looks like data and is not is refused."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from openpyxl import Workbook
from typer.testing import CliRunner
from world import MORNING, count

from archive.database import Database
from campaigns.cli import app
from campaigns.errors import ImportRefused
from campaigns.importing import fields as f
from campaigns.importing.mapping import FileMapping
from campaigns.importing.portfolio import ImportReport, import_portfolio
from campaigns.importing.updates import import_updates
from campaigns.models import Debt, Person, Record

GOOD: dict[str, str] = {
    "account": "A1", "lender": "安信消费金融", "borrower_name": "张明", "phone": "+8613812345678", "lang": "zh",
    "time_zone": "Asia/Shanghai", "product": "消费贷款", "payee": "安信官方应用", "agent_name": "小安",
    "amount_due": "3500.00", "currency": "CNY", "due_date": "2026-11-12", "id_last4": "4072",
}  # fmt: skip


def many(n: int, **more: str) -> list[dict[str, str]]:
    return [{**GOOD, "account": f"A{i}", "phone": f"+86138{12_345_000 + i}", **more} for i in range(n)]


def table(rows: list[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def sheet(rows: list[dict[str, Any]], change: Callable[[Any], None] = lambda _: None) -> Workbook:
    book = Workbook()
    page = book.active
    assert page is not None
    page.append(list(rows[0]))
    for row in rows:
        page.append(list(row.values()))
    change(page)
    return book


def saved(path: Path, book: Workbook, edit: Callable[[str, bytes], bytes] = lambda _, data: data) -> Path:
    """The workbook, each of its parts passed through ``edit``."""
    plain = io.BytesIO()
    book.save(plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for part in source.namelist():
            out.writestr(part, edit(part, source.read(part)))
    return path


def in_sheet(old: bytes, new: bytes) -> Callable[[str, bytes], bytes]:
    def edit(part: str, data: bytes) -> bytes:
        if part != "xl/worksheets/sheet1.xml":
            return data
        assert old in data
        return data.replace(old, new, 1)

    return edit


def lines(report: ImportReport) -> list[int]:
    assert not report.written
    return sorted({problem.line for problem in report.problems})


# -- text files


def test_lines_of_another_encoding_are_found_by_line(tmp_path: Path, empty: Database) -> None:
    """Two exports put together: read as one encoding, the others' people would bear other names."""
    rows = table(many(6)).splitlines()
    for main, other, foreign in (("utf-8", "gb18030", [3]), ("gb18030", "utf-8", [3, 5])):
        data = b"\r\n".join(line.encode(other if n in foreign else main) for n, line in enumerate(rows, 1))
        (tmp_path / "p.csv").write_bytes(data)
        report = import_portfolio(empty, tmp_path / "p.csv", MORNING)
        assert report.encoding == main and lines(report) == foreign
        assert all("another encoding" in problem.reason for problem in report.problems)


def test_a_western_file_is_not_taken_for_chinese(tmp_path: Path, empty: Database) -> None:
    row = {**GOOD, "lang": "en", "lender": "Banco Ibérico", "borrower_name": "José Muñoz", "product": "Préstamo",
           "payee": "Ibérico", "agent_name": "Ana", "currency": "EUR", "phone": "+34612345678"}  # fmt: skip
    (tmp_path / "p.csv").write_bytes(table([row]).replace("José", "Joël").encode("cp1252"))
    with pytest.raises(ImportRefused, match=r"Western|neither"):
        import_portfolio(empty, tmp_path / "p.csv", MORNING)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda text: text.encode().decode("cp1252", "replace"),
        lambda text: text.encode().decode("latin-1"),
        lambda text: text.encode().decode("gb18030", "replace"),
        lambda text: text.encode().decode("ascii", "replace"),
        lambda text: text.encode("ascii", "replace").decode(),
    ],
)
@pytest.mark.parametrize("name", ["张明", "欧阳娜娜", "王小丽", "李伟"])
def test_names_that_a_wrong_encoding_has_spoilt(wrong: Callable[[str], str], name: str) -> None:
    with pytest.raises(f.FieldError):
        f.name(wrong(name))


def test_the_delimiter_that_excel_states(tmp_path: Path, sqlite: Database) -> None:
    rows = table(many(2)).replace(",", ";")
    (tmp_path / "p.csv").write_bytes(b"\xef\xbb\xbfsep=;\r\n" + rows.encode())
    assert import_portfolio(sqlite, tmp_path / "p.csv", MORNING).counts["new"] == 2


@pytest.mark.parametrize(
    "heading",
    ["Do Not Contact", "DO_NOT_CONTACT", "do-not-contact\u200b", "ｄｏ_not_contact", "DNC", "请勿联系", "Do not call"],
)
def test_a_protecting_column_is_never_ignored_for_its_spelling(
    tmp_path: Path, empty: Database, sqlite: Database, heading: str
) -> None:
    rows = [{**GOOD, heading: "yes"}]
    (tmp_path / "p.csv").write_text(table(rows), encoding="utf-8")
    with pytest.raises(ImportRefused, match="do_not_contact"):
        import_portfolio(empty, tmp_path / "p.csv", MORNING, mapping=FileMapping(ignore_other_columns=True))
    columns = import_portfolio(sqlite, tmp_path / "p.csv", MORNING, mapping=FileMapping(ignore=(heading,)))
    assert columns.written, "somebody has said so"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\n\n", "empty"), (b"\naccount\n", "no headings"), (b",,,\n1,2,3,4\n", "no headings"),
        (b"\xef\xbb\xbf", "no headings"), (b"sep=;", "no headings"), (b"account," * 300 + b"x\n", "more than 200"),
        (b"account,\xef\xbb\xbfaccount\n", "two columns"), (b"\xff\xfe\x00\x00a", "UTF-"),
        (b"a," + b'"' * 9, "heading"),
        (b"account," + b"x" * 200_000, "heading"), ("=cmd()\n1".encode("utf-16-le"), "NUL"),
        (b"\x80\x81\n\x80", "UTF-8"),
    ],
)  # fmt: skip
def test_headings_that_are_none(tmp_path: Path, empty: Database, data: bytes, reason: str) -> None:
    (tmp_path / "p.csv").write_bytes(data)
    with pytest.raises(ImportRefused, match=reason) as refused:
        import_portfolio(empty, tmp_path / "p.csv", MORNING)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 200


def test_a_huge_cell_costs_its_line(tmp_path: Path, empty: Database) -> None:
    rows = many(3)
    rows[1]["note"] = "x" * 200_000
    rows = [{"note": "", **row} for row in rows]
    (tmp_path / "p.csv").write_text(table(rows), encoding="utf-8")
    assert lines(import_portfolio(empty, tmp_path / "p.csv", MORNING)) == [3]


def test_a_cell_of_several_lines_is_no_row_of_its_own(tmp_path: Path, empty: Database) -> None:
    rows = [{"note": "", **row} for row in many(3)]
    lines_ = table(rows).splitlines()
    inside = lines_[2].removeprefix(",") + '"'  # what follows the break looks like a row
    (tmp_path / "p.csv").write_text("\n".join([lines_[0], f'"first{lines_[1]}', f",{inside}", lines_[3]]), "utf-8")
    assert lines(import_portfolio(empty, tmp_path / "p.csv", MORNING)) == [2, 3]


# -- cells


DIRT = [
    ("borrower_name", ["NULL", "n/a", "无", "13812345678", "???", "...", "张明 4072", "a@b.example", "张明_x000D_",
                       "Tom &amp; Ann", "'=1+1", "＝SUM(A1)", "锟斤拷", "#N/A", "###"]),
    ("phone", ["+8613812345①78", "+861381234567²", "+44 020 7946 0958", "+864001234567", "+1 911 555 0123",
               "+1 212 911 0123", "+910987654321", "1-800-FLOWERS", "+86 138 1234 567O", "tel:+8613812345678",
               "+8613812345678#", "+861381234567\u0668", "８６", "+", "00", "110"]),
    ("amount_due", ["1e309", "3.500", "$3500", "3500 EUR", "3500²", "३५००", "(3500)", "3500-", "3,50", "1,23,45",
                    "3500.00.00", "0x10", "'3500", "=3500", "3500元整", "¥¥3500", "inf", "-0", "1_000", "½"]),
    ("due_date", ["15-11-26", "Nov 5, 2026", "2027-5", "2026-11-12T10:00", "12.11", "20261301", "2026-02-30",
                  "1e5", "2026年11月", "二〇二六年十一月", "2026-11-12Z", "0000-00-00", "9999-12-31", "11/12/2026",
                  "2026−11−12"]),
    ("account", ["#N/A", "NULL", "-", "0", "A²", "1.0E+20", "A\u00a0B", "=A1", "A&amp;1"]),
    ("id_last4", ["40 2", "４０", "4072.0", "40²2"]),
    ("plans", ["=1+1|延期", "<b>", "延期|#REF!"]),
    ("note", ["=HYPERLINK(1)", "#VALUE!", "&lt;script&gt;"]),
    ("person_id", ["#N/A", "0", "null", "-"]),
    ("consents", ["robot_call,requested_call", "yes", "robot_call|everything"]),
    ("days_past_due", ["６²", "1e2", "6.5"]),
    ("contact_from", ["22:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in DIRT for value in values])
def test_cells_that_look_like_data(tmp_path: Path, empty: Database, field: str, value: str) -> None:
    bad = {**GOOD, "account": "B", "phone": "+8613812345679", field: value}
    if field == "contact_from":
        bad["contact_to"] = "08:00"
    (tmp_path / "p.csv").write_text(table([{name: GOOD.get(name, "") for name in bad}, bad]), encoding="utf-8")
    report = import_portfolio(empty, tmp_path / "p.csv", MORNING)
    assert lines(report) == [3]
    told = " ".join(problem.reason for problem in report.problems)
    assert told and (len(value) < 5 or value not in told)


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (f.phone, "+44 (0)20 7946 0958", "+442079460958"), (f.phone, "＋８６ 138-1234-5678", "+8613812345678"),
        (f.phone, "+86 10 6234 5678", "+861062345678"), (f.money, "₹12,34,567.50", f.money("1234567.50")),
        (f.money, "３，５００．００ 元", f.money("3500")), (f.name, "José Muñoz", "José Muñoz"),
        (f.name, "買買提·吐爾遜", "買買提·吐爾遜"), (f.name, "O'Brien-Smith, Jr.", "O'Brien-Smith, Jr."),
        (f.name, "李㛃", "李㛃"), (f.clock, time(9, 30), "09:30"), (f.consents, "none", []),
        (f.account, "合同-7/2#b", "合同-7/2#b"),
    ],
)  # fmt: skip
def test_what_is_certain_is_taken(parse: Callable[[Any], object], text: Any, value: object) -> None:
    assert parse(text) == value


def test_a_number_that_stands_with_many_people(tmp_path: Path, empty: Database) -> None:
    rows = [
        {**row, "borrower_name": f"张{chr(0x4E00 + i)}", "phone": "+8613800138000"} for i, row in enumerate(many(9))
    ]
    (tmp_path / "p.csv").write_text(table([*rows, GOOD | {"account": "own"}]), encoding="utf-8")
    report = import_portfolio(empty, tmp_path / "p.csv", MORNING)
    assert lines(report) == list(range(2, 11))


# -- consent


def test_an_empty_cell_of_consents_withdraws_and_no_column_says_nothing(tmp_path: Path, database: Database) -> None:
    path = tmp_path / "p.csv"

    def imported(rows: list[dict[str, str]], **options: Any) -> list[str]:
        path.write_text(table(rows), encoding="utf-8")
        assert import_portfolio(database, path, MORNING, **options).written
        with database.read() as session:
            return list(session.scalars(sa.select(Person)).one().consents)

    given = {**GOOD, "consents": "robot_call|requested_call"}
    assert imported([given]) == ["requested_call", "robot_call"]
    assert imported([{**GOOD, "amount_due": "3400.00"}]) == ["requested_call", "robot_call"], "no column, no word"
    assert imported([{**given, "consents": "robot_call"}]) == ["robot_call"]
    assert imported([{**GOOD, "consents": " "}]) == []
    assert imported([given]) == ["requested_call", "robot_call"], "given anew in a file of the same day"
    second = {**GOOD, "account": "A2", "consents": "robot_call"}
    assert imported([{**given, "amount_due": "3300.00"}, second]) == ["robot_call"], "what both rows state"
    assert imported([{**second, "amount_due": "1.00"}, {**GOOD, "consents": "无"}]) == []
    older = MORNING.date().replace(day=1)
    assert imported([given], as_of=older) == [], "an older file gives nothing back"


# -- spreadsheets


def test_merged_hidden_and_unsaved_cells_are_no_empty_ones(tmp_path: Path, empty: Database) -> None:
    """Each of them would lose a "do not contact" that a person sees on the screen."""
    rows: list[dict[str, Any]] = [{**row, "do_not_contact": None} for row in many(8)]

    def change(page: Any) -> None:
        page["N3"] = "yes"
        page.merge_cells("N3:N4")
        page.row_dimensions[6].hidden = True
        page["N8"] = "=TRUE()"

    report = import_portfolio(empty, saved(tmp_path / "p.xlsx", sheet(rows, change)), MORNING)
    assert lines(report) == [3, 4, 6, 8]
    reasons = {problem.line: problem.reason for problem in report.problems}
    assert "merged" in reasons[4] and "hidden" in reasons[6] and "formula" in reasons[8]


def test_a_formula_whose_value_was_saved_is_its_value(tmp_path: Path, sqlite: Database) -> None:
    rows: list[dict[str, Any]] = list(many(2))
    rows[0]["amount_due"] = "=3000+500"
    edit = in_sheet(b"<f>3000+500</f><v></v>", b"<f>3000+500</f><v>3500</v>")
    try:
        path = saved(tmp_path / "p.xlsx", sheet(rows), edit)
    except AssertionError:
        path = saved(tmp_path / "p.xlsx", sheet(rows), in_sheet(b"<f>3000+500</f><v />", b"<f>3000+500</f><v>3500</v>"))
    assert import_portfolio(sqlite, path, MORNING).counts["new"] == 2


@pytest.mark.parametrize("value", [float("inf"), 1e300, -1e300, 1e20, True, time(3, 5), 0.1 + 0.2 + 1e-4])
def test_numbers_that_no_row_can_hold(value: Any) -> None:
    for parse in (f.money, f.phone, f.account, f.whole, f.last4, f.day, f.zone, f.currency):
        with pytest.raises(f.FieldError):
            parse(value)


def test_which_sheet_is_read(tmp_path: Path, sqlite: Database, empty: Database) -> None:
    rows: list[dict[str, Any]] = list(many(2))
    book = sheet(rows)
    old = book.create_sheet("old", 0)
    old.append(list(GOOD))
    old.append(list(many(1, account="HIDDEN")[0].values()))
    book.create_sheet("nothing")
    with pytest.raises(ImportRefused, match="2 visible sheets"):
        import_portfolio(empty, saved(tmp_path / "p.xlsx", book), MORNING)
    named = import_portfolio(sqlite, tmp_path / "p.xlsx", MORNING, mapping=FileMapping(sheet="old"), dry_run=True)
    assert named.rows == 1
    old.sheet_state = "hidden"
    assert import_portfolio(sqlite, saved(tmp_path / "q.xlsx", book), MORNING).counts["new"] == 2
    with sqlite.read() as session:
        assert set(session.scalars(sa.select(Debt.account))) == {"A0", "A1"}


def test_a_size_that_lies_loses_no_row(tmp_path: Path, sqlite: Database) -> None:
    rows: list[dict[str, Any]] = list(many(30))
    path = saved(tmp_path / "p.xlsx", sheet(rows), in_sheet(b'<dimension ref="A1:M31"', b'<dimension ref="A1"'))
    assert import_portfolio(sqlite, path, MORNING).counts["new"] == 30


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'<row r="3"', b'<row r="2"', "twice or out of order"),
        (b'<row r="4"', b'<row r="999999999"', "more than"),
        (b"<sheetData>", b"<sheetData><!-- x --><row", "Excel file|damaged"),
        (b'<c r="A3"', b'<c r="ZZZZZ3"', "damaged|Excel file"),
    ],
)
def test_sheets_that_no_program_writes(tmp_path: Path, empty: Database, old: bytes, new: bytes, reason: str) -> None:
    rows: list[dict[str, Any]] = list(many(3))
    path = saved(tmp_path / "p.xlsx", sheet(rows), in_sheet(old, new))
    with pytest.raises(ImportRefused, match=reason):
        import_portfolio(empty, path, MORNING)


def test_bombs(tmp_path: Path, empty: Database) -> None:
    book = sheet(list(many(2)))

    def with_part(path: Path, name: str, data: bytes) -> Path:
        saved(path, book)
        with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as out:
            out.writestr(name, data)
        return path

    lol = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    for path, reason in (
        (with_part(tmp_path / "a.xlsx", "xl/big.xml", b"\0" * (20 << 20)), "unpacks"),
        (with_part(tmp_path / "b.xlsx", "docProps/x.xml", lol), "document type"),
    ):
        assert path.stat().st_size < 100_000
        with pytest.raises(ImportRefused, match=reason):
            import_portfolio(empty, path, MORNING)
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = with_part(tmp_path / "c.xlsx", "xl/workbook.xml", b"<a/>")
    with pytest.raises(ImportRefused, match="twice"):
        import_portfolio(empty, twice, MORNING)


def test_any_broken_workbook_is_refused_in_one_line(tmp_path: Path, empty: Database) -> None:
    """Cut short, or with bytes turned over, at many places: never a traceback, never half of it."""
    whole = saved(tmp_path / "p.xlsx", sheet(list(many(40)))).read_bytes()
    path = tmp_path / "broken.xlsx"
    refused = 0
    for place in range(30, len(whole), len(whole) // 40):
        for broken in (whole[:place], whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]):
            path.write_bytes(broken)
            try:
                import_portfolio(empty, path, MORNING, dry_run=True)
            except ImportRefused as e:
                refused += 1
                assert "\n" not in str(e)
    assert refused > 60


# -- updates


def test_updates_of_the_future_or_in_other_money(tmp_path: Path, database: Database) -> None:
    path = tmp_path / "p.csv"
    path.write_text(table([GOOD]), encoding="utf-8")
    import_portfolio(database, path, MORNING)
    base = {"account": "A1", "lender": GOOD["lender"], "kind": "payment", "amount": "5", "reference": "R", "date": ""}
    long = "R" * 99
    rows = [
        {**base, "date": "2027-11-18"}, {**base, "amount": "$5"}, {**base, "kind": "contact", "amount": "", "date": ""},
        {**base, "kind": "contact", "amount": "", "date": "2030-01-01"},
        {**base, "kind": "contact", "amount": "", "date": "2026-11-17", "reference": long + "1"},
        {**base, "kind": "contact", "amount": "", "date": "2026-11-17", "reference": long + "2"},
        {**base, "amount": "¥5"},
    ]  # fmt: skip
    path.write_text(table(rows), encoding="utf-8")
    report = import_updates(database, path, MORNING, skip_bad_rows=True)
    assert {problem.line for problem in report.problems} == {2, 3, 4, 5} and report.counts["applied"] == 3
    assert count(database, Record) == 2


def test_the_command_answers_every_file_in_one_line(tmp_path: Path) -> None:
    files = {
        "a.csv": b"\x00", "b.csv": b"account\n", "c.xlsx": b"PK\x03\x04" + b"\xff" * 50, "d.csv": b"\xff\xfeab",
        "e.csv": b"account," * 999, "f.csv": b'"', "g.csv": "account\n张".encode("gbk") + b"\xe5",
    }  # fmt: skip
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        result = CliRunner().invoke(app, ["import", str(tmp_path / name), "--home", str(tmp_path / "home")])
        assert result.exit_code == 2 and result.exception.__class__ is SystemExit, (name, result.output)
        assert result.output.count("\n") == 1 and name in result.output, (name, result.output)


def test_text_that_is_called_a_workbook_says_so(tmp_path: Path, empty: Database) -> None:
    (tmp_path / "p.xlsx").write_text("hello\n", encoding="utf-8")
    with pytest.raises(ImportRefused, match=r"no Excel file: read as CSV.*'hello' is no field"):
        import_portfolio(empty, tmp_path / "p.xlsx", MORNING)
