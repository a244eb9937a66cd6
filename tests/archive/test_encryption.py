"""Encrypted recordings: as good as plain ones in every respect, and closed to whoever lacks the key."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import sqlalchemy as sa

from archive import encrypted, keyfile
from archive.audio_file import Recording, open_file
from archive.errors import ArchiveError, RecordingError
from archive.evidence import open_recording, rotate_keys
from archive.keys import DataKey, KeyProblem, LocalKeys, MasterKeys, master_keys, new_key, parse_keys
from archive.models import RecordingRow
from archive.recorder import Recorder
from archive.recovery import recover
from archive.repository import CallRepository
from archive.store import Store
from archive.track import Pcm16
from archive.transcript import write_transcript
from archive.verify import verify
from archive.wav import RATE
from archive.writer import CallArchive, NewCall

if TYPE_CHECKING:
    from conftest import Archive
else:
    Archive = Any

KEYS = "CALLGATE_RECORDING_KEYS"
FIRST, SECOND = new_key("first"), new_key("second")
FRAME = 160


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> LocalKeys:
    monkeypatch.setenv(KEYS, FIRST)
    return parse_keys(FIRST)


class Clock:
    def __init__(self) -> None:
        self.t = 100.0

    def __call__(self) -> float:
        return self.t


def read(path: Path, keys: MasterKeys) -> Pcm16:
    key = keyfile.read(keyfile.beside(path)).open(keys)
    with Recording(open_file(path), str(path), lambda _: key) as recording:
        return recording.samples()


def test_a_recording_is_what_the_plain_one_is(tmp_path: Path, keys: LocalKeys) -> None:
    """The same sound, jumping about, cut and late, into both: sample for sample the same, live and closed."""
    clock = Clock()
    plain = Recorder(tmp_path / "plain.wav", clock, background=False)
    closed = Recorder(tmp_path / "closed.cgr", clock, background=False)
    for index in range(1500):
        clock.t += 0.02
        if index == 700:
            clock.t += 40.0  # silence: nothing is written for it
        for recorder in (plain, closed):
            recorder.write("borrower", np.full(FRAME, index % 3000 + 1, np.int16))
            if index % 7 == 0:
                recorder.write("agent", np.full(FRAME, 7, np.int16), at=recorder.now - index % 50 / 10)
            if index % 333 == 0:
                recorder.truncate("agent", recorder.now - 0.5)
        if index % 400 == 399:
            for recorder in (plain, closed):
                recorder.flush()
            assert (read(tmp_path / "closed.cgr", keys) == wav(tmp_path / "plain.wav")).all()
    for recorder in (plain, closed):
        recorder.close()
    assert (plain.error, closed.error) == (None, None)
    assert (read(tmp_path / "closed.cgr", keys) == wav(tmp_path / "plain.wav")).all()
    assert (tmp_path / "closed.cgr").read_bytes().startswith(encrypted.SEALED)
    assert (tmp_path / "closed.cgr").stat().st_mode & 0o077 == 0
    assert (tmp_path / "closed.key").stat().st_mode & 0o077 == 0


def wav(path: Path) -> Pcm16:
    with Recording(open_file(path), str(path), None) as recording:
        return recording.samples()


def test_no_sound_lies_on_the_disk_in_the_clear(tmp_path: Path, keys: LocalKeys) -> None:
    clock = Clock()
    pattern = np.arange(1, RATE + 1, dtype=np.int16)
    with Recorder(tmp_path / "r.cgr", clock, background=False) as recorder:
        recorder.write("agent", pattern, at=0.0)
        recorder.write("borrower", pattern, at=0.0)
        clock.t += 1.0
        recorder.flush()
        needle = np.repeat(pattern[:50], 2).astype("<i2").tobytes()
        assert needle not in (tmp_path / "r.cgr").read_bytes()
    assert needle not in (tmp_path / "r.cgr").read_bytes()
    assert (read(tmp_path / "r.cgr", keys)[:, 0] == pattern).all()


def test_any_second_is_read_by_itself(tmp_path: Path, keys: LocalKeys) -> None:
    clock = Clock()
    with Recorder(tmp_path / "r.cgr", clock, background=False) as recorder:
        for second in range(100):
            recorder.write("agent", np.full(RATE, second + 1, np.int16), at=float(second))
            clock.t += 1.0
    key = keyfile.read(tmp_path / "r.key").open(keys)
    with Recording(open_file(tmp_path / "r.cgr"), "r", lambda _: key) as recording:
        assert recording.seconds == 100.0
        assert set(recording.samples(41.5, 42.5)[:, 1].tolist()) == {42, 43}
        assert len(recording.samples(99.9)) == RATE // 10
        assert len(recording.samples(200.0)) == 0
        assert len(recording.samples(3.0, 1.0)) == 0


def changed(data: bytearray) -> bytearray:
    data[5000] ^= 1
    return data


def shortened(data: bytearray) -> bytearray:
    return data[: 36 + 32028]  # one whole chunk of three


def renamed(data: bytearray) -> bytearray:
    data[30] ^= 1  # fewer frames, says the header
    return data


def exchanged(data: bytearray) -> bytearray:
    chunk = 32028
    return data[:36] + data[36 + chunk : 36 + 2 * chunk] + data[36 : 36 + chunk] + data[36 + 2 * chunk :]


@pytest.mark.parametrize("harm", [changed, shortened, renamed, exchanged])
def test_harm_to_a_sealed_recording_shows(tmp_path: Path, keys: LocalKeys, harm: Any) -> None:
    clock = Clock()
    with Recorder(tmp_path / "r.cgr", clock, background=False) as recorder:
        recorder.write("agent", np.arange(3 * RATE, dtype=np.int16), at=0.0)
        clock.t += 3.0
    path = tmp_path / "r.cgr"
    path.write_bytes(bytes(harm(bytearray(path.read_bytes()))))
    with pytest.raises(RecordingError, match="changed or cut off at second"):
        read(path, keys)


@pytest.mark.parametrize("cut", [0, 1, 30, 1000, 32000, 40000])
def test_a_log_that_was_torn_gives_what_is_whole(tmp_path: Path, keys: LocalKeys, cut: int) -> None:
    clock = Clock()
    recorder = Recorder(tmp_path / "r.cgr", clock, background=False)
    for _ in range(8):
        recorder.write("agent", np.full(RATE // 2, 5, np.int16))
        clock.t += 0.5
        recorder.flush()
    torn = tmp_path / "torn.cgr"
    data = (tmp_path / "r.cgr").read_bytes()
    torn.write_bytes(data[: len(data) - cut] + b"\x00" * (cut % 7))
    keyfile.write(tmp_path / "torn.key", keyfile.read(tmp_path / "r.key"))
    sound = read(torn, keys)
    assert len(sound) >= 4 * RATE - (0 if cut == 0 else RATE)
    assert (sound[:, 1] == 5).all()
    recorder.close()


KILLED = """
    import sys, time
    import numpy as np
    from pathlib import Path
    from archive.recorder import Recorder
    recorder = Recorder(Path(sys.argv[1]))
    started = time.monotonic()
    print("started", flush=True)
    index = 0
    while True:
        recorder.write("borrower", np.full(160, index % 30000 + 1, np.int16))
        index += 1
        time.sleep(max(0.0, started + index * 0.02 - time.monotonic()))
"""


def killed(path: Path, keys: LocalKeys) -> tuple[float, Pcm16]:
    """The seconds that a recording process lived, and what is left of its recording."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        started = time.monotonic()
        try:
            while time.monotonic() - started < 2.5:
                assert process.poll() is None
                time.sleep(0.2)  # real time is the subject here
                read(path, keys)  # readable at every moment
        finally:
            process.send_signal(signal.SIGKILL)
            lived = time.monotonic() - started
            process.wait()
    return lived, read(path, keys)


def test_a_killed_process_leaves_a_recording_up_to_the_last_second(tmp_path: Path, keys: LocalKeys) -> None:
    for attempt in range(3):  # a process that got no processor, or whose disk stood still, could write nothing
        path = tmp_path / f"r{attempt}.cgr"
        lived, sound = killed(path, keys)
        if len(sound) / RATE >= lived - 1.0:
            break
    assert len(sound) / RATE >= lived - 1.0
    left = sound[sound[:, 0] > 0, 0]
    assert (np.diff(left.astype(np.int32)) >= 0).all()
    assert encrypted.seal(path, keyfile.read(path.with_suffix(".key")).open(keys)) == len(sound)
    assert (read(path, keys) == sound).all()


def test_writing_goes_on_when_the_disk_has_room_again(
    tmp_path: Path, keys: LocalKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, full, really = Clock(), False, os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        if full:
            if len(data) > 20_000:
                return really(fd, data[:10_000], offset)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    told: list[RecordingError] = []
    recorder = Recorder(tmp_path / "r.cgr", clock, background=False, on_error=told.append)
    for index in range(1500):  # half a minute; the disk is full from 10 s to 15 s
        full = 500 <= index < 750
        recorder.write("borrower", np.full(FRAME, 5, np.int16))
        clock.t += 0.02
    recorder.close()
    assert len(told) == 1
    assert "No space left" in str(told[0])
    left = read(tmp_path / "r.cgr", keys)[:, 0]
    assert len(left) == 30 * RATE
    assert (left == 5).all()  # the window in memory outlasted the trouble


def test_without_a_key_nothing_is_recorded(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no key"):
        Recorder(tmp_path / "r.cgr")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "text",
    ["x", "a:b", "a:" + "A" * 43, ":" + FIRST.partition(":")[2], f"{FIRST},{FIRST}", f"{FIRST},", "a:é"],
    ids=range(7),
)
def test_an_unusable_key_is_named_and_not_told(text: str) -> None:
    with pytest.raises(KeyProblem, match=KEYS) as caught:
        parse_keys(text)
    assert FIRST.partition(":")[2] not in str(caught.value)


def test_where_keys_come_from() -> None:
    assert master_keys({}) is None
    assert master_keys({KEYS: " "}) is None
    found = master_keys({KEYS: f"{FIRST}, {SECOND}"})
    assert found is not None
    assert found.current == "first"
    assert FIRST.partition(":")[2] not in repr(found)
    with pytest.raises(KeyProblem, match="required"):
        master_keys({"CALLGATE_RECORDING_ENCRYPTION": "required"})
    with pytest.raises(KeyProblem, match="optional"):
        master_keys({"CALLGATE_RECORDING_ENCRYPTION": "yes"})
    for name in ("nothing", "no.such.module:x", "os:nothing", "os:getpid", "os:"):
        with pytest.raises(KeyProblem, match="CALLGATE_KMS"):
            master_keys({"CALLGATE_KMS": name})
    with pytest.raises(KeyProblem, match="colon"):
        new_key("a:b")


def test_a_key_opens_its_own_file_only() -> None:
    mine, other = parse_keys(FIRST), parse_keys(SECOND)
    key, plain = DataKey.make(mine)
    assert DataKey.parse(key.key_id, key.text).open(mine) == plain
    with pytest.raises(KeyProblem, match="not among"):
        key.open(other)
    with pytest.raises(KeyProblem, match="does not open"):
        DataKey(key.key_id, key.wrapped, b"another file's!!").open(mine)
    with pytest.raises(KeyProblem, match="set CALLGATE_RECORDING_KEYS"):
        key.open(None)
    with pytest.raises(KeyProblem, match="damaged"):
        DataKey.parse("first", "!.!")


def test_an_encrypted_call_from_end_to_end(archive: Archive, keys: LocalKeys) -> None:
    call_id = archive.call()
    with archive.database.read() as session:
        row = CallRepository(session).recording(call_id)
        call = CallRepository(session).call(call_id)
        assert row is not None
        assert call is not None
        assert (row.format, row.key_id, row.frames) == ("aes-gcm", "first", 2 * RATE)
        files = archive.store.layout.call(call_id, call.started_at, encrypted=True)
    assert write_transcript(archive.database, archive.home, call_id)["turns"]
    assert [p.name for p in files.folder.iterdir()] == ["recording.cgr"]  # the key is in the database now
    with open_recording(archive.database, archive.store, call_id, actor="wang") as recording:
        assert (recording.samples(0.0, 1.0)[:, 1] == 900).all()
    assert verify(archive.database, archive.store).intact


def test_a_plain_call_says_so(archive: Archive) -> None:
    call_id = archive.call()
    with archive.database.read() as session:
        row = CallRepository(session).recording(call_id)
        assert row is not None
        assert (row.format, row.key_id, row.wrapped_key) == ("wav", None, None)


def test_rotation_needs_no_recording(archive: Archive, keys: LocalKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = [archive.call() for _ in range(3)]
    before = verify(archive.database, archive.store)
    monkeypatch.setenv(KEYS, SECOND)
    with pytest.raises(KeyProblem, match="'first' is not among"):
        rotate_keys(archive.database)
    monkeypatch.setenv(KEYS, f"{SECOND},{FIRST}")
    assert rotate_keys(archive.database, batch=2) == 3
    assert rotate_keys(archive.database) == 0
    monkeypatch.setenv(KEYS, SECOND)
    with open_recording(archive.database, archive.store, calls[1], actor="wang") as recording:
        assert recording.samples().any()
    monkeypatch.setenv(KEYS, FIRST)
    with pytest.raises(KeyProblem):
        open_recording(archive.database, archive.store, calls[1], actor="wang")
    after = verify(archive.database, archive.store)
    assert (before.intact, after.intact) == (True, True)


class Vault:
    """Stands for a key service: keys never leave it."""

    current = "vault/7"

    def __init__(self) -> None:
        self._inner = parse_keys(FIRST)

    def wrap(self, data_key: bytes, context: bytes) -> bytes:
        return self._inner.wrap(data_key, context)

    def unwrap(self, key_id: str, wrapped: bytes, context: bytes) -> bytes:
        if key_id != self.current:
            raise KeyProblem(f"the vault has no key {key_id!r}")
        return self._inner.unwrap("first", wrapped, context)


def test_a_key_service_stands_behind_one_setting(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    module = type(sys)("vault_of_a_test")
    module.make = Vault  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vault_of_a_test", module)
    monkeypatch.setenv("CALLGATE_KMS", "vault_of_a_test:make")
    call_id = archive.call()
    with open_recording(archive.database, archive.store, call_id, actor="wang") as recording:
        assert recording.seconds == 2.0
    with archive.database.read() as session:
        assert session.scalars(sa.select(RecordingRow.key_id)).all() == ["vault/7"]


def test_a_crashed_encrypted_call_is_recovered(archive: Archive, keys: LocalKeys) -> None:
    call = CallArchive.begin(archive.database, archive.home, NewCall("en"))
    clock = Clock()
    recorder = Recorder(call.files.recording, clock, background=False)
    recorder.write("agent", np.full(2 * RATE, 5, np.int16))
    clock.t += 2.0
    recorder.flush()
    os.close(recorder._fd)  # as the kernel does for a process that dies
    call._live.release()
    [recovered] = recover(archive.database, archive.home)
    assert (recovered.call_id, recovered.seconds) == (call.call_id, 2.0)
    with open_recording(archive.database, archive.store, call.call_id, actor="wang") as recording:
        assert (recording.samples()[:, 1] == 5).all()
    assert verify(archive.database, archive.store).intact


def test_an_object_store_takes_the_recording(
    archive: Archive, keys: LocalKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLGATE_RECORDING_STORE", f"memory://bucket-{os.getpid()}/calls/")
    monkeypatch.setenv("CALLGATE_RECORDING_LOCAL", "drop")
    call_id = archive.call()
    store = Store.from_environment(archive.home)
    with archive.database.read() as session:
        row = CallRepository(session).recording(call_id)
        assert row is not None
        assert row.remote is not None
    assert not store.layout.absolute(row.path).exists()
    with open_recording(archive.database, store, call_id, actor="wang") as recording:
        assert (recording.samples(1.0)[:, 0] == -700).all()
    assert verify(archive.database, store).intact
    assert store.destroy(row.path, row.remote)
    assert [f.problem for f in verify(archive.database, store).findings] != []


def test_a_store_that_fails_keeps_the_local_copy(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLGATE_RECORDING_STORE", "nosuchprotocol://bucket")
    monkeypatch.setenv("CALLGATE_RECORDING_LOCAL", "drop")
    call_id = archive.call()
    assert verify(archive.database, archive.store).unsealed == 1
    monkeypatch.delenv("CALLGATE_RECORDING_STORE")
    recover(archive.database, archive.home)
    with open_recording(archive.database, archive.store, call_id, actor="wang") as recording:
        assert recording.seconds == 2.0
    monkeypatch.setenv("CALLGATE_RECORDING_LOCAL", "perhaps")
    with pytest.raises(ArchiveError, match="'keep' or 'drop'"):
        Store.from_environment(archive.home)
