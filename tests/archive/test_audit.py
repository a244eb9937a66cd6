"""The audit chain on both databases: append-only, whole, and a witness of everything that was done past it."""

from __future__ import annotations

import shutil
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from archive.audit import GENESIS, AuditLog, Link
from archive.database import DatabaseError
from archive.errors import ArchiveError
from archive.evidence import open_recording, read_waveform
from archive.models import AuditRow, RecordingRow
from archive.recorder import Recorder
from archive.verify import Report, verify
from archive.writer import CallArchive, NewCall

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any


def check(archive: Archive, **options: Any) -> Report:
    return verify(archive.database, archive.store, **options)


def problems(report: Report) -> list[tuple[str, str, str]]:
    return [(f.what, f.where, f.problem) for f in report.findings]


def test_a_call_leaves_its_links(archive: Archive) -> None:
    call_id = archive.call()
    with archive.database.read() as session:
        rows = list(reversed(AuditLog(session).entries(subject=call_id)))
        assert [row.kind for row in rows] == ["call.began", "call.ended", "call.sealed"]
        assert rows[0].previous == GENESIS
        assert [row.previous for row in rows[1:]] == [row.hash for row in rows[:-1]]
        told = "".join(row.payload for row in rows)
        assert "Li" not in told.replace("Link", "")
        assert "job" not in told
    report = check(archive)
    assert (report.intact, report.links, report.calls, report.recordings, report.unsealed) == (True, 3, 1, 1, 0)
    assert report.head == Link(3, rows[-1].hash)


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"])
def test_the_database_refuses_to_change_a_link(archive: Archive, statement: str) -> None:
    archive.call(sound=False)
    with pytest.raises(DatabaseError, match="append-only"), archive.database.write() as session:
        session.execute(sa.text(statement))
    assert check(archive).intact


def test_an_entry_and_what_it_records_stand_or_fall_together(archive: Archive) -> None:
    call_id = archive.call(sound=False)
    with pytest.raises(KeyError), archive.database.write() as session:
        AuditLog(session).append("script.approved", actor="li", subject="s1")
        raise KeyError("the approval failed")
    with archive.database.write() as session:
        AuditLog(session).append("script.approved", actor="li", subject="s1", by=["li", "wang"])
    with archive.database.read() as session:
        log = AuditLog(session)
        assert log.latest("s1", ["script.approved"]) == {"by": ["li", "wang"]}
        assert log.latest("s1", ["script.expired"]) is None
        assert [row.seq for row in log.entries(before=4, limit=2)] == [3, 2]
        assert [row.actor for row in log.entries(actor="li", kinds=["script.approved"])] == ["li"]
    assert check(archive).links == 4
    assert call_id


def test_threads_that_write_at_once_make_one_chain(archive: Archive) -> None:
    def append(number: int) -> None:
        for _ in range(10):
            with archive.database.write() as session:
                AuditLog(session).append("test", subject=str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(append, range(4)))
    report = check(archive)
    assert (report.intact, report.links) == (True, 40)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE turns SET text = 'I will pay' WHERE seq = 1", "turns: a row was changed after sealing"),
        ("UPDATE turns SET emotion = 'neutral' WHERE seq = 1", "turns: a row was changed after sealing"),
        ("DELETE FROM flags", "flags: 1 rows were sealed, there are 0"),
        ("UPDATE verdicts SET decision = 'allow' WHERE seq = 1", "verdicts: a row was changed after sealing"),
        ("UPDATE calls SET disposition = 'refused'", "calls: a row was changed after sealing"),
        ("DELETE FROM recordings", "its row is gone"),
    ],
)
def test_a_tampered_row_is_found(archive: Archive, statement: str, words: str) -> None:
    archive.call()
    call_id = archive.call()
    where = " AND " if "WHERE" in statement else " WHERE "
    column = "id" if " calls " in statement else "call_id"
    archive.tamper(f"{statement}{where}{column} = '{call_id}'")
    report = check(archive)
    assert [(where, problem) for _, where, problem in problems(report)] == [(call_id, words)]


def test_a_swapped_recording_is_found(archive: Archive) -> None:
    first, second = archive.call(), archive.call(lang="zh")
    with archive.database.read() as session:
        paths = {
            row.call_id: archive.store.layout.absolute(row.path) for row in session.scalars(sa.select(RecordingRow))
        }
    data = bytearray(paths[first].read_bytes())
    data[100] ^= 1
    paths[first].write_bytes(data)
    assert problems(check(archive)) == [("recording", first, "it is not the file that was sealed")]
    assert check(archive, recordings=False).intact
    shutil.copyfile(paths[second], paths[first])  # the same sound, in fact: but a call of its own would differ
    paths[second].unlink()
    found = {where: problem for _, where, problem in problems(check(archive))}
    assert "cannot read the recording" in found[second]
    # Exchanging the row as well does not help: the chain has the digest.
    archive.tamper(f"UPDATE recordings SET stored_sha256 = '{'0' * 64}' WHERE call_id = '{first}'")
    assert ("recording", first, "its row was changed after sealing") in problems(check(archive))


@pytest.mark.parametrize(
    ("statement", "where", "words"),
    [
        ("DELETE FROM audit WHERE seq = 2", "2", "link 2 is missing: link 3 follows link 1"),
        ("DELETE FROM audit WHERE seq = 1", "1", "link 1 is missing: link 2 follows link 0"),
        ("DELETE FROM audit WHERE seq = 6", "6", "the chain ends at link 5, its head is link 6"),
        ("UPDATE audit SET actor = 'nobody' WHERE seq = 4", "4", "its content (call.began) was changed"),
        ("UPDATE audit SET payload = '{}' WHERE seq = 5", "5", "its content (call.ended) was changed"),
        (f"UPDATE audit SET hash = '{'0' * 64}' WHERE seq = 2", "2", "its content (call.ended) was changed"),
        (f"UPDATE audit SET previous = '{'0' * 64}' WHERE seq = 3", "3", "it does not follow from the link before it"),
        ("UPDATE audit_head SET seq = 5", "6", "the chain ends at link 6, its head is link 5"),
    ],
)
def test_the_first_broken_link_is_named(archive: Archive, statement: str, where: str, words: str) -> None:
    archive.call(sound=False)
    archive.call(sound=False)
    archive.tamper(statement)
    assert problems(check(archive))[0] == ("chain", where, words)


def test_calls_put_in_and_taken_out_are_found(archive: Archive) -> None:
    call_id = archive.call(sound=False)
    other = str(uuid.uuid4())
    archive.tamper(
        "INSERT INTO calls (id, lang, status, models, started_at, response_gap_n) "
        f"VALUES ('{other}', 'en', 'ended', '{{}}', '2026-01-01 00:00:00', 0)",
        *(f"DELETE FROM {table} WHERE call_id = '{call_id}'" for table in ("turns", "verdicts", "flags", "summaries")),
        f"DELETE FROM calls WHERE id = '{call_id}'",
    )
    assert problems(check(archive)) == [
        ("call", other, "the chain does not know this ended call"),
        ("call", call_id, "the chain knows this call, and it is not there"),
    ]


def test_a_chain_written_anew_does_not_hold_a_link_that_was_noted(archive: Archive) -> None:
    archive.call(sound=False)
    noted = check(archive).head
    assert check(archive, expect=noted).intact
    archive.call(sound=False)
    assert check(archive, expect=noted).intact
    archive.tamper("DELETE FROM audit", f"UPDATE audit_head SET seq = 0, hash = '{GENESIS}'")
    with archive.database.write() as session:
        for _ in range(6):
            AuditLog(session).append("forged")
    assert ("chain", str(noted.seq), "the chain does not hold the link that was noted") in problems(
        check(archive, expect=noted)
    )


@pytest.mark.parametrize("text", ["", "3", "3:", "x:" + "0" * 64, "3:" + "0" * 63, "3:" + "g" * 64])
def test_a_link_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="not a link"):
        Link.parse(text)
    assert Link.parse(str(Link(7, "a" * 64))) == Link(7, "a" * 64)


def test_hearing_a_recording_is_on_the_record(archive: Archive) -> None:
    call_id = archive.call()
    with open_recording(archive.database, archive.store, call_id, actor="wang", start=0.5, end=1.5) as recording:
        assert recording.seconds == 2.0
        samples = recording.samples(0.5, 1.5)
        assert samples.shape == (8000, 2)
        assert (samples[:4000, 1] == 900).all()
        assert (samples[4000:, 0] == -700).all()
        whole = b"".join(recording.wav())
        assert len(whole) == recording.size
        assert b"".join(recording.bytes_of(10, 50)) == whole[10:50]
        assert b"".join(recording.bytes_of(40_001, 50_003)) == whole[40_001:50_003]
        assert b"".join(recording.bytes_of(60_000, 10**9)) == whole[60_000:]
    with archive.database.read() as session:
        [row] = session.scalars(sa.select(AuditRow).where(AuditRow.kind == "recording.read"))
        assert (row.actor, row.subject) == ("wang", call_id)
        assert row.payload == '{"end":1.5,"purpose":"review","start":0.5}'
    drawn = read_waveform(archive.database, call_id)
    assert drawn is not None
    lanes = drawn.drawn(4)
    assert lanes[0][:4] == [0, 0, 0, 0]
    assert lanes[1][:2] == [pytest.approx(900 / 32767, abs=0.005)] * 2
    assert lanes[0][-2] == pytest.approx(-700 / 32767, abs=0.005)
    with pytest.raises(ArchiveError, match="no sealed recording"):
        open_recording(archive.database, archive.store, str(uuid.uuid4()), actor="wang")


def test_a_row_that_comes_late_is_sealed_too(archive: Archive) -> None:
    late = CallArchive.begin(archive.database, archive.home, NewCall("en"))
    late.finish("failed")
    late.close()
    late.event("after the end")
    assert late.flush()
    late._queue.write(lambda _: None)  # the seal stands behind the row in the queue
    assert check(archive).intact
    with archive.database.read() as session:
        assert AuditLog(session).entries(subject=late.call_id)[0].kind == "call.resealed"


def test_a_recording_that_is_still_written_is_not_sealed(archive: Archive) -> None:
    from archive.recovery import recover

    live = CallArchive.begin(archive.database, archive.home, NewCall("en"))
    recorder = Recorder(live.files.recording)
    live.finish("failed")
    assert live.close()
    assert check(archive).unsealed == 1
    recorder.close()
    recover(archive.database, archive.home)
    report = check(archive)
    assert (report.unsealed, report.recordings, report.intact) == (0, 1, True)
