"""The promise-kept rate: what each promise came to, from the payments alone and through the archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive import promises
from archive.dashboards import Dashboards
from archive.errors import ArchiveError
from archive.models import Summary
from archive.promises import CaseHistory, Fate, Payment, Promised, fates, grace_days
from archive.queries import CallFilter, CallQueries
from archive.reprocess import reprocess
from archive.writer import CallArchive, NewCall, Promise

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any

MADE = datetime(2026, 3, 2, 2, 0, tzinfo=UTC)  # ten in the morning in Shanghai


def day(number: int) -> date:
    return date(2026, 3, number)


def paid(*payments: tuple[int, str]) -> tuple[Payment, ...]:
    return tuple(Payment(datetime(2026, 3, d, 12, tzinfo=UTC), Decimal(amount)) for d, amount in payments)


def history(*payments: tuple[int, str], **more: Any) -> CaseHistory:
    return CaseHistory("Asia/Shanghai", "CNY", paid(*payments), **more)


def promise(
    key: str = "a", made: int = 2, due: int = 10, amount: str = "500", currency: str | None = "CNY"
) -> Promised:
    return Promised(key, MADE.replace(day=made), day(due), Decimal(amount), currency)


@pytest.mark.parametrize(
    ("payments", "reached"),
    [
        ((), None),
        (((10, "500"),), 10),
        (((5, "200"), (9, "300")), 9),  # in two parts
        (((10, "499.99"),), None),  # partial
        (((15, "500"),), 15),  # late
        (((5, "900"),), 5),  # overpaid
        (((1, "500"),), None),  # before it was promised
        (((2, "500"),), 2),  # on the day itself
        (((5, "500"), (6, "-500")), None),  # taken back
        (((5, "500"), (6, "-500"), (9, "500")), 9),
    ],
)
def test_when_payments_reach_a_promise(payments: Any, reached: int | None) -> None:
    assert fates([promise()], history(*payments)) == {"a": Fate(reached and day(reached), None)}


def test_a_payment_belongs_to_the_promise_of_its_day() -> None:
    first, second = promise("a", made=2, due=5), promise("b", made=7, due=15)
    assert fates([second, first], history((8, "500"))) == {"a": Fate(None, day(7)), "b": Fate(day(8), None)}
    assert fates([first, second], history((4, "500"), (8, "500"))) == {
        "a": Fate(day(4), day(7)),
        "b": Fate(day(8), None),
    }
    again = promise("b", made=4, due=5)  # the same promise, said twice
    assert fates([first, again], history((5, "500"))) == {"a": Fate(None, day(4)), "b": Fate(day(5), None)}


def test_what_cannot_be_judged() -> None:
    assert fates([promise(currency="USD")], history((5, "500"))) == {"a": None}
    assert fates([promise(amount="0")], history((5, "500"))) == {"a": None}
    assert fates([promise(currency=None)], history((5, "500"))) == {"a": Fate(day(5), None)}
    with pytest.raises(ArchiveError, match="time zone"):
        fates([promise()], CaseHistory("Mars/Olympus", "CNY"))


def test_days_are_those_of_the_case() -> None:
    evening = Promised("a", datetime(2026, 3, 3, 1, tzinfo=UTC), day(10), Decimal(500), "USD")  # the 2nd, in New York
    same_day = (Payment(datetime(2026, 3, 2, 12, tzinfo=UTC), Decimal(500)),)
    assert fates([evening], CaseHistory("America/New_York", "USD", same_day))["a"] == Fate(day(2), None)
    assert fates([evening], CaseHistory("Asia/Tokyo", "USD", same_day))["a"] == Fate(None, None)


def test_the_grace_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALLGATE_PROMISE_GRACE_DAYS", raising=False)
    assert grace_days() == 1 and grace_days({"CALLGATE_PROMISE_GRACE_DAYS": "0"}) == 0
    for wrong in ("x", "-1", "61", "1.5", "²"):
        with pytest.raises(ArchiveError, match="0 to 60"):
            grace_days({"CALLGATE_PROMISE_GRACE_DAYS": wrong})


class Ledger:
    """A source of payments: news are numbered from 1."""

    name = "test"

    def __init__(self) -> None:
        self.cases: dict[str, CaseHistory] = {}
        self.entries: list[str] = []
        self.busy = False

    def pay(self, case: str, *payments: tuple[int, str], **more: Any) -> None:
        before = self.cases.get(case, history())
        known = (*before.payments, *paid(*payments))
        self.cases[case] = CaseHistory("Asia/Shanghai", "CNY", known, more.get("closed_at", before.closed_at))
        self.entries.append(case)

    def complete(self, session: Session) -> bool:
        return not self.busy

    def news(self, session: Session, after: int, limit: int) -> tuple[Sequence[str], int]:
        found = self.entries[after : after + limit]
        return found, after + len(found)

    def of(self, session: Session, cases: Sequence[str]) -> Mapping[str, CaseHistory]:
        return {case: self.cases[case] for case in cases if case in self.cases}


def called(archive: Archive, case: str | None, made: int = 2, due: int | None = 10, amount: str | None = "500") -> str:
    new = NewCall("zh", case_id=case, campaign="spring" if made < 9 else "summer", started_at=MADE.replace(day=made))
    with CallArchive.begin(archive.database, archive.home, new) as call:
        call.turn("borrower", 0, 1, "好的")
        call.finish("promise_to_pay", Promise(due and day(due), amount and Decimal(amount), "CNY"))  # type: ignore[arg-type]
    return call.call_id


def catch_up(archive: Archive, ledger: Ledger) -> None:
    for _ in range(50):
        if not promises.refresh(archive.database, ledger, limit=2):
            return
    raise AssertionError("it never comes to an end")


def test_the_rate_of_a_dashboard_and_of_each_campaign(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(promises, "today", lambda utc_offset_min=0, now=None: promises.day_number(day(20)))
    monkeypatch.setattr("archive.rollups.today", promises.today)
    monkeypatch.setattr("archive.queries.today", promises.today)
    ledger = Ledger()
    calls = {
        "kept": called(archive, "c1"), "in grace": called(archive, "c2"), "late": called(archive, "c3"),
        "partial": called(archive, "c4"), "overpaid": called(archive, "c5"), "unpaid": called(archive, "c6"),
        "cancelled": called(archive, "c7"), "replaced": called(archive, "c8"),
        "again": called(archive, "c8", made=9, due=15),
        "open": called(archive, "c9", made=9, due=20), "unknown case": called(archive, "c0"),
        "no case": called(archive, None), "no amount": called(archive, "c5", made=12, amount=None),
        "renewed": called(archive, "c10", due=4),
    }  # fmt: skip
    ledger.pay("c1", (10, "500"))
    ledger.pay("c2", (11, "500"))
    ledger.pay("c3", (12, "500"))
    ledger.pay("c4", (9, "300"))
    ledger.pay("c5", (9, "900"))
    ledger.pay("c6")
    ledger.pay("c7", closed_at=datetime(2026, 3, 8, tzinfo=UTC))
    ledger.pay("c8", (14, "500"))
    ledger.pay("c9")
    calls["after it was broken"] = called(archive, "c10", made=5, due=9)  # too late to take the first one's place
    ledger.pay("c10", (9, "500"))
    catch_up(archive, ledger)

    def found(outcome: Any) -> set[str]:
        with archive.database.read() as session:
            ids = {listed.call_id for listed in CallQueries(session).page(CallFilter(promise=outcome)).calls}
        return {name for name, call_id in calls.items() if call_id in ids}

    assert found("kept") == {"kept", "in grace", "overpaid", "again", "after it was broken"}
    assert found("broken") == {"late", "partial", "unpaid", "renewed"}
    assert found("open") == {"open"}
    with archive.database.read() as session:
        totals = Dashboards(session).totals(CallFilter())
        by = {bucket.key: bucket.numbers for bucket in Dashboards(session).by("campaign", CallFilter())}
        weeks = Dashboards(session).over_time("week", CallFilter())
    assert (totals.promises, totals.promises_kept, totals.promises_broken) == (15, 5, 4)
    assert totals.promise_kept_rate == pytest.approx(5 / 9)
    assert (by["spring"].promise_kept_rate, by["summer"].promise_kept_rate) == (pytest.approx(4 / 8), 1.0)
    assert [bucket.numbers.promises_kept for bucket in weeks] == [4, 1]

    monkeypatch.setenv("CALLGATE_PROMISE_GRACE_DAYS", "0")
    assert "in grace" in found("broken")
    monkeypatch.setenv("CALLGATE_PROMISE_GRACE_DAYS", "2")
    assert "late" in found("kept")
    monkeypatch.delenv("CALLGATE_PROMISE_GRACE_DAYS")
    reprocess(archive.database, archive.store)  # renews summaries, and forgets nothing
    assert found("kept") == {"kept", "in grace", "overpaid", "again", "after it was broken"}
    ledger.pay("c4", (11, "200"))
    assert "partial" in found("broken")
    catch_up(archive, ledger)
    assert "partial" in found("kept")


def test_news_are_read_some_at_a_time_and_never_passed_over(archive: Archive) -> None:
    database, ledger = archive.database, Ledger()
    calls = [called(archive, f"c{n}") for n in range(5)]
    for n in range(5):
        ledger.pay(f"c{n}", (5, "500"))
    ledger.busy = True
    assert promises.refresh(database, ledger) is False
    ledger.busy = False
    with database.read() as session:
        assert promises.behind(session, ledger)
    assert promises.refresh(database, ledger, limit=2) is True
    with database.read() as session:
        judged = session.scalar(sa.select(sa.func.count()).where(Summary.promise_reached.is_not(None)))
    assert 0 < judged < len(calls)
    catch_up(archive, ledger)
    with database.read() as session:
        assert session.scalar(sa.select(sa.func.count()).where(Summary.promise_reached.is_not(None))) == len(calls)
        assert not promises.behind(session, ledger)
    assert timedelta(days=promises.day_number(day(5))) == datetime(2026, 3, 5) - datetime(1970, 1, 1)
