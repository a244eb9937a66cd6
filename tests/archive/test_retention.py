"""Floors, ceilings, holds, purges and one person's rights, on both databases."""

from __future__ import annotations

import hashlib
import json
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from archive.audit import AuditLog, digest_of
from archive.errors import ArchiveError, RecordingError
from archive.evidence import open_recording
from archive.models import AuditRow, Base, Call, CallText, Turn, VerdictRow
from archive.queries import CallFilter, CallQueries
from archive.repository import CallRepository
from archive.retention import CLASSES, Policy, Receipt, holds, load_policy, place_hold, purge, release_hold
from archive.subjects import Holder, erase_subject, export_subject, register
from archive.transcript import write_transcript
from archive.verify import verify
from archive.writer import CallArchive, NewCall

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any

NOW = datetime.now(UTC)
PERSON = "p-7f31"
POLICY = """
id: test
classes:
  recording: {floor: 10, ceiling: 100, source: a law, review: confirmed}
  transcript: {floor: 20, ceiling: 200, source: a law}
  analysis: {floor: 0, ceiling: 50, source: a law}
  verdicts: {floor: 300, ceiling: 300, source: a law}
  contact_log: {floor: 300, ceiling: 400, source: a law}
"""


@pytest.fixture
def policy(tmp_path: Path) -> Policy:
    (tmp_path / "policy.yaml").write_text(POLICY)
    return load_policy(tmp_path / "policy.yaml")


def in_days(archive: Archive, policy: Policy, days: float, **options: Any) -> Receipt:
    return purge(archive.database, archive.store, policy, now=NOW + timedelta(days=days), **options)


def words(archive: Archive) -> str:
    """Everything that every table of the archive holds, as one text."""
    told = []
    with archive.database.engine.connect() as connection:
        names = sa.inspect(connection).get_table_names()
        for name in sorted(set(names) & set(Base.metadata.tables) | {n for n in names if n.startswith("call_fts_c")}):
            told += [str(tuple(row)) for row in connection.exec_driver_sql(f"SELECT * FROM {name}")]
    return "\n".join(told)


def test_the_policy_that_ships_is_usable_and_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CALLGATE_RETENTION", raising=False)
    policy = load_policy()
    assert set(policy.rules) == set(CLASSES)
    assert all(rule.source and rule.review == "needs_review" for rule in policy.rules.values())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("floor: 10", "floor: 101", "recording: floor and ceiling"),
        ("floor: 10", "floor: ten", "recording: floor and ceiling"),
        ("  analysis:", "  gossip:", "missing or unknown: analysis, gossip"),
        ("ceiling: 200", "ceiling: 500", "transcript: its ceiling lies past"),
        ("source: a law}", "review: confirmed}", "source"),
        ("review: confirmed", "review: sure", "review is confirmed or needs_review"),
        ("id: test", "- x", "unusable"),
    ],
)
def test_an_unusable_policy_is_named(tmp_path: Path, old: str, new: str, told: str) -> None:
    (tmp_path / "p.yaml").write_text(POLICY.replace(old, new))
    with pytest.raises(ArchiveError, match=told) as caught:
        load_policy(tmp_path / "p.yaml")
    assert "\n" not in str(caught.value)
    with pytest.raises(ArchiveError, match="cannot read"):
        load_policy(tmp_path / "none.yaml")


def test_each_class_goes_at_its_ceiling(archive: Archive, policy: Policy) -> None:
    call_id = archive.call()
    write_transcript(archive.database, archive.home, call_id)
    assert in_days(archive, policy, 49).destroyed == ()

    assert [d.classes for d in in_days(archive, policy, 51).destroyed] == [("analysis",)]
    with archive.database.read() as session:
        turn = CallRepository(session).turns(call_id)[1]
        assert (turn.emotion, turn.intent, turn.valence, turn.text[:6]) == (None, None, None, "I lost")
    assert in_days(archive, policy, 51).destroyed == ()

    with archive.database.read() as session:
        sha256 = CallRepository(session).recording(call_id).sha256
    [line] = in_days(archive, policy, 101).destroyed
    assert (line.call_id, line.classes, line.sha256) == (call_id, ("recording",), sha256)
    assert not list(archive.home.glob("calls/*/*/recording*"))
    with pytest.raises(RecordingError, match="was purged"):
        open_recording(archive.database, archive.store, call_id, actor="wang")

    assert "lost" in words(archive)
    assert [d.classes for d in in_days(archive, policy, 201).destroyed] == [("transcript",)]
    told = words(archive)
    assert not [word for word in ("lost", "Li", "will go", "还", "三千") if word in told.replace("Link", "")]
    assert not list(archive.home.glob("calls/*/*/transcript*"))
    if archive.database.engine.dialect.name == "sqlite":  # nor is it left in pages that were freed
        files = b"".join(p.read_bytes() for p in archive.home.glob("archive.db*"))
        assert not [word for word in ("lost my", "三千五", "还款", "jail. ") if word.encode() in files]
    with archive.database.read() as session:
        assert not CallQueries(session).page(CallFilter(text="lost")).calls
        assert CallRepository(session).verdicts(call_id)[1].rules[0]["id"] == "threat.jail"

    assert [d.classes for d in in_days(archive, policy, 301).destroyed] == [("verdicts",)]
    with archive.database.read() as session:
        assert not CallRepository(session).verdicts(call_id)
        assert CallRepository(session).call(call_id).disposition == "plan_requested"
    assert verify(archive.database, archive.store).intact

    receipt = in_days(archive, policy, 401)
    assert [d.classes for d in receipt.destroyed] == [CLASSES]
    assert not list(archive.home.glob("calls/*/*"))
    with archive.database.read() as session:
        for model in (Call, Turn, VerdictRow, CallText):
            assert session.scalars(sa.select(model)).all() == []
        entry = AuditLog(session).entries(kinds=["archive.purged"])[0]
        assert receipt.link == f"{entry.seq}:{entry.hash}"
    report = verify(archive.database, archive.store)
    assert report.intact, report.findings


def test_a_dry_run_does_nothing(archive: Archive, policy: Policy) -> None:
    archive.call()
    before = words(archive)
    receipt = in_days(archive, policy, 401, dry_run=True)
    assert [d.classes for d in receipt.destroyed] == [CLASSES]
    assert receipt.link is None
    assert words(archive) == before
    assert list(archive.home.glob("calls/*/*/recording.wav"))


@pytest.mark.parametrize("scope", ["call", "case", "person"])
def test_a_hold_stops_a_purge_and_an_erasure(archive: Archive, policy: Policy, scope: Any) -> None:
    call_id = archive.call(person_id=PERSON, case_id="c-1")
    other = archive.call(person_id="p-2", case_id="c-2")
    subject = {"call": call_id, "case": "c-1", "person": PERSON}[scope]
    with archive.database.write() as session:
        number = place_hold(session, scope, subject, reason="(2026) 京 0105 民初 1", actor="legal")
    receipt = in_days(archive, policy, 401)
    assert (receipt.held, [d.call_id for d in receipt.destroyed]) == ((call_id,), [other])
    erased = erase_subject(
        archive.database, archive.store, policy, "person", PERSON, actor="dpo", now=NOW + timedelta(days=401)
    )
    assert (erased.held, erased.destroyed) == ((call_id,), ())
    with archive.database.write() as session:
        assert [h.id for h in holds(session)] == [number]
        release_hold(session, number, actor="legal")
        with pytest.raises(ArchiveError, match="no hold"):
            release_hold(session, number, actor="legal")
    assert [d.call_id for d in in_days(archive, policy, 401).destroyed] == [call_id]
    assert verify(archive.database, archive.store).intact


def test_a_live_call_is_left_alone(archive: Archive, policy: Policy) -> None:
    live = CallArchive.begin(
        archive.database, archive.home, NewCall("en", person_id=PERSON, started_at=NOW - timedelta(days=900))
    )
    assert purge(archive.database, archive.store, policy).destroyed == ()
    receipt = erase_subject(archive.database, archive.store, policy, "person", PERSON, actor="dpo")
    assert receipt.kept == ({"call_id": live.call_id, "class": "all", "until": "the call has ended"},)
    live.close()


def test_one_person_is_given_what_is_held_of_them(archive: Archive, tmp_path: Path) -> None:
    mine = [archive.call(person_id=PERSON), archive.call(person_id=PERSON, sound=False)]
    other = archive.call(person_id="p-2")
    out = tmp_path / "out.zip"
    done = export_subject(archive.database, archive.store, "person", PERSON, out, actor="dpo")
    assert (done.calls, done.recordings) == (2, 1)
    assert done.sha256 == hashlib.sha256(out.read_bytes()).hexdigest()
    assert out.stat().st_mode & 0o077 == 0
    with zipfile.ZipFile(out) as bundle:
        index = json.loads(bundle.read("index.json"))
        assert set(index["files"]) | {"index.json"} == set(bundle.namelist())
        for name, digest in index["files"].items():
            assert hashlib.sha256(bundle.read(name)).hexdigest() == digest
        assert {name.split("/")[2] for name in index["files"]} == set(mine)
        records = json.loads(bundle.read(next(n for n in index["files"] if n.endswith("records.json"))))
        assert records["turns"][1]["text"] == "I lost my job, 我下个月还三千五"
        assert other not in "".join(bundle.namelist())
    with pytest.raises(ArchiveError, match="exists"):
        export_subject(archive.database, archive.store, "person", PERSON, out, actor="dpo")
    with pytest.raises(ArchiveError, match="nothing of this case"):
        export_subject(archive.database, archive.store, "case", "c-9", tmp_path / "no.zip", actor="dpo")
    assert not (tmp_path / "no.zip").exists()
    with archive.database.read() as session:
        [entry] = session.scalars(sa.select(AuditRow).where(AuditRow.kind == "subject.exported"))
        assert entry.subject == digest_of("person", PERSON)
        assert PERSON not in entry.subject + entry.payload


def test_erasure_goes_as_far_as_the_floors(archive: Archive, policy: Policy) -> None:
    call_id = archive.call(case_id="c-1")
    archive.call(case_id="c-2")

    def erase(days: float, **options: Any) -> Receipt:
        at = NOW + timedelta(days=days)
        return erase_subject(archive.database, archive.store, policy, "case", "c-1", actor="dpo", now=at, **options)

    dry = erase(15, dry_run=True)
    receipt = erase(15)
    assert dry.destroyed[0].classes == receipt.destroyed[0].classes == ("recording", "analysis")
    assert {k["class"] for k in receipt.kept} == {"transcript", "verdicts", "contact_log"}
    until = {k["class"]: k["until"] for k in receipt.kept}
    assert until["verdicts"] == until["contact_log"] > until["transcript"]
    assert [d.classes for d in erase(25).destroyed] == [("transcript",)]
    last = erase(301)
    assert (last.destroyed[0].call_id, last.destroyed[0].classes, last.kept) == (call_id, CLASSES, ())
    with archive.database.read() as session:
        assert [c.case_id for c in CallRepository(session).calls()] == ["c-2"]
    report = verify(archive.database, archive.store)
    assert report.intact, report.findings
    with pytest.raises(ArchiveError, match="nothing of this case"):
        erase(301)


def test_other_packages_give_and_erase_what_they_hold(
    archive: Archive, policy: Policy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ledger:
        name = "contact_ledger"

        def export(self, session: Any, who: str, subject: str) -> Any:
            return [{"attempt": 1}] if subject == PERSON else []

        def erase(self, session: Any, who: str, subject: str, now: datetime) -> dict[str, str]:
            return {"ledger": "2029-01-01"}

    monkeypatch.setattr("archive.subjects._holders", [])
    ledger: Holder = Ledger()
    register(ledger)
    register(ledger)
    export_subject(archive.database, archive.store, "person", PERSON, tmp_path / "o.zip", actor="dpo")
    with zipfile.ZipFile(tmp_path / "o.zip") as bundle:
        assert json.loads(bundle.read("contact_ledger.json")) == [{"attempt": 1}]
    receipt = erase_subject(archive.database, archive.store, policy, "person", PERSON, actor="dpo")
    assert receipt.kept == ({"holder": "contact_ledger", "class": "ledger", "until": "2029-01-01"},)
