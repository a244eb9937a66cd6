"""An archive with calls in it is brought up to date: nothing is lost, and what is new is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from archive.dashboards import Dashboards
from archive.database import migrate_to, open_database
from archive.layout import Layout
from archive.queries import CallFilter
from archive.rollups import refresh

STARTED = datetime(2025, 11, 8, tzinfo=UTC)
DAY = (STARTED - datetime(1970, 1, 1, tzinfo=UTC)).days
HOUR_US = 3_600_000_000
CALLS: tuple[Mapping[str, Any], ...] = (
    {"disposition": "promise_to_pay", "promise": True, "review": "open", "angry": 1},
    {"disposition": "voicemail", "promise": False, "review": "none", "angry": 2},
    {"disposition": "refused", "promise": False, "review": "done", "angry": 0},
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        (tmp_path / "home").mkdir()
        return Layout(tmp_path / "home").database_url
    found: str = request.getfixturevalue("new_postgres")
    return found


def fill(url: str) -> None:
    """Rows as revision 0002 had them."""
    engine = sa.create_engine(url)
    meta = sa.MetaData()
    meta.reflect(engine, only=["calls", "summaries", "summary_reasons", "call_text", "turns", "audit_head"])
    table = meta.tables
    with engine.begin() as connection:
        for n, call in enumerate(CALLS):
            call_id = f"6a4e9a7c-0d0b-4c43-8d52-3d7f6f5a000{n}"
            doc = DAY * 24 * HOUR_US + n * 2 * HOUR_US
            same = {"lang": "en", "status": "ended", "disposition": call["disposition"], "campaign": "autumn"}
            connection.execute(
                sa.insert(table["calls"]).values(
                    **same, id=call_id, models={}, started_at=STARTED, response_gap_n=0,
                    case_id=f"debt-{n}", promise_date=STARTED.date() if call["promise"] else None,
                    promise_amount="3500.00" if call["promise"] else None,
                )
            )  # fmt: skip
            counts = dict.fromkeys(("positive", "anxious", "sad", "frustrated", "refusals"), 0)
            connection.execute(
                sa.insert(table["summaries"]).values(
                    **same, **counts, doc=doc, call_id=call_id, review=call["review"], severity=3, flags=1,
                    seconds=30.0, turns=6, borrower_turns=3, angry=call["angry"], valence_sum=-0.5, arousal_sum=0.5,
                    right_party=True, opt_out=False, complaint=False,
                )
            )  # fmt: skip
            connection.execute(sa.insert(table["summary_reasons"]).values(reason="anger", doc=doc, severity=3))
            connection.execute(sa.insert(table["call_text"]).values(doc=doc, tokens=f"word{n} shared"))
    engine.dispose()


def all_rows(url: str, *tables: str) -> dict[str, list[dict[str, Any]]]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = {
            name: sorted(
                (dict(row._mapping) for row in connection.execute(sa.text(f"SELECT * FROM {name}"))),
                key=lambda row: str(row.get("doc") or list(row.values())),
            )
            for name in tables
        }
    engine.dispose()
    return found


def test_an_archive_of_0002_keeps_its_rows_and_gains_its_sums(url: str) -> None:
    migrate_to(url, "0002")
    fill(url)
    kept = ("calls", "summaries", "summary_reasons", "call_text")
    before = all_rows(url, *kept)
    assert len(before["summaries"]) == 3

    migrate_to(url, "0003")
    after = all_rows(url, *kept, "promise_cases", "summary_stale")
    for name in ("calls", "call_text"):
        assert after[name] == before[name]
    for old, new in zip(before["summaries"], after["summaries"], strict=True):
        changed = {key for key in old if old[key] != new[key]}
        machine = old["disposition"] == "voicemail"
        assert changed == ({"borrower_turns", "angry", "valence_sum", "arousal_sum"} if machine else set())
        assert new.keys() - old.keys() == {"promise_due", "promise_reached", "promise_ended"}
        assert not machine or new["borrower_turns"] == 0, "a machine's greeting is no turn of the borrower's"
    reasons = [(row["reason"], row["severity"], row["review"]) for row in after["summary_reasons"]]
    assert reasons == [("anger", 3, "open"), ("anger", 3, "none"), ("anger", 3, "done")]
    assert after["promise_cases"] == [{"case_id": "debt-0"}], "its promise is looked at anew"
    assert sorted(row["hour"] for row in after["summary_stale"]) == [DAY * 24, DAY * 24 + 2, DAY * 24 + 4]

    database = open_database(url)  # to the head
    with database.read() as session:
        unsummed = Dashboards(session).totals(CallFilter())
    while refresh(database, midnight=480):
        pass
    with database.read() as session:
        summed = Dashboards(session).totals(CallFilter())
        assert session.scalar(sa.text("SELECT COUNT(*) FROM summary_days WHERE dimension = 'lang'")) == 1
    assert summed == unsummed
    assert (summed.calls, summed.conversations, summed.promises, summed.borrower_turns) == (3, 2, 1, 6)
    database.close()


def test_the_days_of_one_midnight_stay_when_there_may_be_several(url: str) -> None:
    migrate_to(url, "0004")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.text("INSERT INTO summary_midnight (id, shift) VALUES (1, 8)"))
    engine.dispose()
    migrate_to(url, "0005")
    assert all_rows(url, "summary_midnight")["summary_midnight"] == [{"shift": 8}]
    migrate_to(url, "0004")
    assert all_rows(url, "summary_midnight")["summary_midnight"] == []


def test_down_again_with_rows_present(url: str) -> None:
    migrate_to(url, "0002")
    fill(url)
    before = all_rows(url, "calls", "call_text", "summary_reasons")
    database = open_database(url)
    while refresh(database, midnight=0):
        pass
    database.close()
    migrate_to(url, "0002")
    assert all_rows(url, "calls", "call_text", "summary_reasons") == before
    migrate_to(url, "head")
    assert len(all_rows(url, "summary_stale")["summary_stale"]) == 3, "the sums are made anew"
