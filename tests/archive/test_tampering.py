"""Kinds of tampering beyond a changed row, each found by verify on both databases; and what only an anchor can find."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from archive.anchors import note, noted
from archive.audit import AuditLog, Link, canonical, link_hash
from archive.database import open_database
from archive.digest import call_digests
from archive.errors import ArchiveError
from archive.keys import new_key
from archive.models import AuditRow, RecordingRow
from archive.verify import verify

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any


def found(archive: Archive, **options: Any) -> list[tuple[str, str, str]]:
    return [(f.what, f.where, f.problem) for f in verify(archive.database, archive.store, **options).findings]


def test_turns_in_another_order(archive: Archive) -> None:
    call_id = archive.call(sound=False)
    one = f"UPDATE turns SET seq = {{}} WHERE seq = {{}} AND call_id = '{call_id}'"
    archive.tamper(one.format(7, 0), one.format(0, 1), one.format(1, 7))
    assert found(archive) == [("call", call_id, "turns: a row was changed after sealing")]


def test_a_turn_moved_to_another_call(archive: Archive) -> None:
    first, second = archive.call(sound=False), archive.call(sound=False)
    archive.tamper(f"UPDATE turns SET call_id = '{second}', seq = 2 WHERE call_id = '{first}' AND seq = 1")
    assert {where for _, where, _ in found(archive)} == {first, second}


@pytest.mark.parametrize(
    "change", ["decision = 'allow'", "text = 'said'", "rules = '[]'", "policy_hash = 'other'", "proposed = ''"]
)
def test_a_verdict_made_kinder(archive: Archive, change: str) -> None:
    call_id = archive.call(sound=False)
    archive.tamper(f"UPDATE verdicts SET {change} WHERE seq = 1 AND call_id = '{call_id}'")
    assert found(archive) == [("call", call_id, "verdicts: a row was changed after sealing")]


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_recording_cut_short(archive: Archive, encrypted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if encrypted:
        monkeypatch.setenv("CALLGATE_RECORDING_KEYS", new_key("k"))
    call_id = archive.call()
    with archive.database.read() as session:
        path = archive.store.layout.absolute(session.get_one(RecordingRow, call_id).path)
    whole = path.read_bytes()
    for keep in (len(whole) - 1, len(whole) // 2, 44, 0):
        path.write_bytes(whole[:keep])
        assert found(archive) == [("recording", call_id, "it is not the file that was sealed")]
    path.write_bytes(whole + b"\0")
    assert found(archive) == [("recording", call_id, "it is not the file that was sealed")]
    path.write_bytes(whole)
    assert found(archive) == []


def rehashed(archive: Archive, seq: int, **changes: Any) -> str:
    """The statement that changes a link and gives it the hash of its new content."""
    with archive.database.read() as session:
        row = session.get_one(AuditRow, seq)
        content = {n: getattr(row, n) for n in ("seq", "at", "kind", "actor", "subject", "payload", "previous")}
    content |= changes
    assigned = "".join(f"{name} = '{value}', " for name, value in changes.items())
    return f"UPDATE audit SET {assigned}hash = '{link_hash(**content)}' WHERE seq = {seq}"


def test_a_single_link_hashed_anew(archive: Archive) -> None:
    archive.call(sound=False)
    archive.call(sound=False)
    archive.tamper(rehashed(archive, 2, actor="nobody"))
    assert found(archive)[0] == ("chain", "3", "it does not follow from the link before it")


def test_links_in_another_order(archive: Archive) -> None:
    archive.call(sound=False)
    archive.call(sound=False)
    archive.tamper(*(f"UPDATE audit SET seq = {new} WHERE seq = {old}" for new, old in ((99, 2), (2, 3), (3, 99))))
    assert found(archive)[0][:2] == ("chain", "2")


def test_a_call_sealed_anew_by_hand_shows_against_an_anchor_only(archive: Archive, tmp_path: Path) -> None:
    """Who owns the database can change a row, the seal and every hash after it. Then the chain agrees with itself."""
    call_id = archive.call(sound=False)
    anchor = tmp_path / "anchors"
    note(archive.database, anchor)
    archive.tamper(f"UPDATE turns SET text = 'I will pay' WHERE seq = 1 AND call_id = '{call_id}'")
    with archive.database.read() as session:
        last = AuditLog(session).head().seq
        payload = json.loads(session.get_one(AuditRow, last).payload)
        payload["digests"] = json.loads(canonical(call_digests(session, call_id)))
    archive.tamper(rehashed(archive, last, payload=canonical(payload)))
    archive.tamper(f"UPDATE audit_head SET hash = (SELECT hash FROM audit WHERE seq = {last})")
    assert found(archive) == [], "by itself it cannot know"
    assert found(archive, expect=noted(anchor)) == [
        ("chain", str(last), "the chain does not hold the link that was noted")
    ]


def test_an_old_copy_brought_back(database: Any, home: Path, tmp_path: Path) -> None:
    from archive.layout import Layout
    from archive.store import Store
    from archive.writer import CallArchive, NewCall

    def call() -> None:
        with CallArchive.begin(database, home, NewCall("en")) as archive:
            archive.finish("refused")

    store, anchor, old = Store(Layout(home)), tmp_path / "anchors", tmp_path / "old.db"
    call()
    note(database, anchor)
    database.scrub()
    shutil.copyfile(Layout(home).database, old)
    call()
    head = note(database, anchor)
    restored = open_database(f"sqlite:///{old}")
    try:
        assert verify(restored, store).intact, "an old copy is whole in itself"
        report = verify(restored, store, expect=noted(anchor))
        assert [(f.what, f.where) for f in report.findings] == [("chain", str(head.seq))]
        # With the newer head put into it, it contradicts itself.
        with restored.engine.begin() as connection:
            connection.execute(
                sa.text("UPDATE audit_head SET seq = :seq, hash = :hash"), {"seq": head.seq, "hash": head.hash}
            )
        assert verify(restored, store).findings[0].problem == f"the chain ends at link 3, its head is link {head.seq}"
    finally:
        restored.close()
    assert verify(database, store, expect=noted(anchor)).intact


def test_anchors_are_a_file_of_links(database: Any, tmp_path: Path) -> None:
    path = tmp_path / "anchors"
    assert note(database, path) == Link(0, "0" * 64)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))  # somebody's editor
    with database.write() as session:
        second = AuditLog(session).append("test")
    note(database, path)
    assert noted(path) == [Link(0, "0" * 64), second]
    path.write_text(f"{second} noted by hand\nnothing\n")
    with pytest.raises(ArchiveError, match="line 2 holds no link"):
        noted(path)
    path.write_text("\n")
    with pytest.raises(ArchiveError, match="there is none in it"):
        noted(path)
    for wrong in (tmp_path, tmp_path / "no" / "file"):
        with pytest.raises(ArchiveError, match="cannot"):
            noted(wrong)
        with pytest.raises(ArchiveError, match="cannot write"):
            note(database, wrong)
