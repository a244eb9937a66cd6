"""The recording file: aligned over ten minutes, readable when its process was killed, kept when the disk is full."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import wave
from pathlib import Path

import numpy as np
import pytest

from archive.errors import RecordingError
from archive.recorder import FLUSH_S, Recorder
from archive.track import Pcm16
from archive.wav import HEADER_BYTES, RATE, header, repair

FRAME = 160
TEN_MINUTES = 600.0


class Clock:
    def __init__(self) -> None:
        self.t = 1000.0

    def __call__(self) -> float:
        return self.t


@pytest.fixture
def quick_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated hours need no power cut to survive."""
    monkeypatch.setattr(os, "fdatasync", lambda _: None)


def read(path: Path) -> Pcm16:
    with wave.open(str(path), "rb") as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def clicks(lane: Pcm16) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Onsets of the marks in a lane: samples above half scale after silence of at least 100 samples."""
    loud = np.flatnonzero(np.abs(lane.astype(np.int32)) > 16000)
    return loud[np.diff(loud, prepend=-RATE) > 100]


def marked(seconds: float, *, every: float = 1.0) -> Pcm16:
    """Quiet hum with one loud mark (10 samples) each ``every`` seconds, in the middle of a frame."""
    pcm = np.full(round(seconds * RATE), 200, np.int16)
    for at in np.arange(0.5, seconds, every):
        pcm[round(at * RATE) + 75 : round(at * RATE) + 85] = 30000
    return pcm


@pytest.mark.usefixtures("quick_disk")
@pytest.mark.parametrize("drift", [0.0, 100e-6, -100e-6, 1000e-6])
def test_ten_minutes_stay_aligned_whatever_the_arrival(tmp_path: Path, drift: float) -> None:
    """Jitter to 60 ms, stalls of up to 4 s followed by bursts, true gaps, and a media clock that drifts."""
    rng = np.random.default_rng(11)
    clock = Clock()
    voice = marked(TEN_MINUTES)
    count = len(voice) // FRAME
    made = np.arange(count) * 0.02 * (1 - drift)  # wall time at which each frame was spoken
    arrival = made + rng.exponential(0.012, count).clip(0, 0.06)
    for stall in rng.choice(count - 500, 20, replace=False):
        until = made[stall] + rng.uniform(0.1, 4.0)
        arrival = np.where((made >= made[stall]) & (arrival < until), until, arrival)
    arrival = np.maximum.accumulate(arrival)
    lost = np.zeros(count, bool)
    for gap in rng.choice(count - 500, 15, replace=False):
        lost[gap : gap + int(rng.integers(1, 150))] = True  # the line was silent: nothing arrives
    recorder = Recorder(tmp_path / "r.wav", clock, background=False)
    start = clock.t
    for index in np.flatnonzero(~lost):
        clock.t = max(clock.t, start + arrival[index])
        recorder.write("borrower", voice[index * FRAME : (index + 1) * FRAME])
        if index % 50 == 25:  # the agent marks the wall clock itself
            recorder.write("agent", marked(1.0)[RATE // 2 :][:FRAME], at=float(made[index]))
    clock.t = max(clock.t, start + TEN_MINUTES)
    recorder.close()
    assert recorder.error is None
    left, right = read(tmp_path / "r.wav").T
    assert len(left) >= TEN_MINUTES * RATE
    for lane, name in ((left, "borrower"), (right, "agent")):
        expected = [made[i] * RATE + 75 for i in range(25, count, 50) if not lost[i]]
        heard = clicks(lane)
        nearest = np.abs(np.subtract.outer(np.array(expected), heard)).min(axis=1)
        assert nearest.max() / RATE <= 0.040, f"{name} strays by {nearest.max() / RATE * 1000:.0f} ms"
        assert len(heard) == len(expected)
    assert recorder.lost <= 1.2 * TEN_MINUTES * max(drift, 0) + 0.1


@pytest.mark.usefixtures("quick_disk")
def test_memory_is_bounded_over_an_hour(tmp_path: Path) -> None:
    clock = Clock()
    recorder = Recorder(tmp_path / "r.wav", clock, background=False)
    second = np.full(RATE, 7, np.int16)
    most = 0
    for _ in range(3600):
        recorder.write("borrower", second)
        recorder.write("agent", second)
        clock.t += 1.0
        most = max(most, recorder._timeline._frames.nbytes)
    recorder.close()
    assert most < 2_000_000
    assert abs(len(read(tmp_path / "r.wav")) - 3600 * RATE) <= 400


def test_silence_of_an_hour_needs_no_sound(tmp_path: Path) -> None:
    clock = Clock()
    recorder = Recorder(tmp_path / "r.wav", clock, background=False)
    clock.t += 3600.0
    recorder.write("borrower", np.full(FRAME, 9, np.int16))
    recorder.close()
    sound = read(tmp_path / "r.wav")
    assert np.flatnonzero(sound[:, 0]).tolist() == list(range(3600 * RATE, 3600 * RATE + FRAME))
    assert not sound[:, 1].any()


def test_what_an_interruption_cut_is_not_in_the_recording(tmp_path: Path) -> None:
    clock = Clock()
    recorder = Recorder(tmp_path / "r.wav", clock, background=False)
    recorder.write("agent", np.full(5 * RATE, 5, np.int16), at=0.0)
    clock.t += 2.0
    recorder.flush()
    recorder.truncate("agent", 1.75)  # the part from 1.75 s to 2 s is on the disk already
    recorder.write("agent", np.full(RATE, 6, np.int16), at=2.5)
    clock.t += 2.0
    recorder.close()
    right = read(tmp_path / "r.wav")[:, 1]
    assert len(right) == 4 * RATE
    assert (right[:14000] == 5).all()
    assert not right[14000:20000].any()
    assert (right[20000:28000] == 6).all()
    assert not right[28000:].any()


def test_sound_that_never_sounded_is_left_out_at_the_end(tmp_path: Path) -> None:
    clock = Clock()
    with Recorder(tmp_path / "r.wav", clock, background=False) as recorder:
        recorder.write("agent", np.full(5 * RATE, 5, np.int16))
        clock.t += 1.0
        recorder.flush()
        recorder.close(at=0.5)
    right = read(tmp_path / "r.wav")[:, 1]
    assert np.count_nonzero(right) == RATE // 2


def test_late_sound_is_placed_where_it_belongs_even_on_the_disk(tmp_path: Path) -> None:
    clock = Clock()
    recorder = Recorder(tmp_path / "r.wav", clock, background=False)
    clock.t += 5.0
    recorder.flush()
    assert not read(tmp_path / "r.wav").any()
    recorder.write("borrower", np.full(FRAME, 3, np.int16), at=3.0)
    recorder.flush()
    assert np.flatnonzero(read(tmp_path / "r.wav")[:, 0]).tolist() == list(range(3 * RATE, 3 * RATE + FRAME))
    recorder.close()


@pytest.mark.parametrize(
    ("pcm", "at"),
    [(np.zeros(4, np.float32), None), (np.zeros((4, 2), np.int16), None), (np.zeros(4, np.int16), float("nan"))],
)
def test_unusable_sound_is_named(tmp_path: Path, pcm: Pcm16, at: float | None) -> None:
    with Recorder(tmp_path / "r.wav") as recorder, pytest.raises(ValueError, match=r"int16|finite"):
        recorder.write("borrower", pcm, at)


def test_a_recording_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "r.wav").write_bytes(b"evidence")
    with pytest.raises(RecordingError, match="File exists"):
        Recorder(tmp_path / "r.wav")
    assert (tmp_path / "r.wav").read_bytes() == b"evidence"


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
        recorder.write("agent", np.full(160, 7, np.int16))
        index += 1
        time.sleep(max(0.0, started + index * 0.02 - time.monotonic()))
"""


def killed(path: Path) -> tuple[float, Pcm16]:
    """The seconds that a recording process lived, and what is left of its recording."""
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(KILLED), str(path)], stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        started = time.monotonic()
        try:
            while time.monotonic() - started < 3.0:
                assert process.poll() is None
                time.sleep(0.2)  # real time is the subject here
                if path.stat().st_size > HEADER_BYTES:
                    read(path)  # valid at every moment, not only at the end
        finally:
            process.send_signal(signal.SIGKILL)
            lived = time.monotonic() - started
            process.wait()
    return lived, read(path)


def test_a_killed_process_leaves_a_recording_up_to_the_last_second(tmp_path: Path) -> None:
    for attempt in range(3):  # a process that got no processor, or whose disk stood still, could write nothing
        path = tmp_path / f"r{attempt}.wav"
        lived, sound = killed(path)
        if len(sound) / RATE >= lived - 1.0:
            break
    assert len(sound) / RATE >= lived - 1.0
    left = sound[sound[:, 0] > 0, 0]
    assert (np.diff(left.astype(np.int32)) >= 0).all()
    assert repair(path) >= len(sound) / RATE


FULL = """
    import resource, sys
    import numpy as np
    from pathlib import Path
    from archive.recorder import Recorder
    now = [0.0]
    told = []
    recorder = Recorder(Path(sys.argv[1]), lambda: now[0], background=False, on_error=told.append)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    for index in range(1000):
        now[0] = index * 0.02
        recorder.write("borrower", np.full(160, 5, np.int16))
    recorder.close()
    assert recorder.error is not None and told == [recorder.error]
    print(recorder.error)
"""


def test_a_full_disk_keeps_what_is_there_and_lets_the_call_go_on(tmp_path: Path) -> None:
    path = tmp_path / "r.wav"
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"cannot write the recording {path}: File too large"
    left = read(path)[:, 0]
    assert len(left) / RATE >= (200_000 - HEADER_BYTES) / 4 / RATE - 2 * FLUSH_S
    assert (left == 5).all()


def test_writing_goes_on_when_the_disk_has_room_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    full = False
    really = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        if full:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return really(fd, data[:1000], offset)  # short writes happen too

    monkeypatch.setattr(os, "pwrite", pwrite)
    told: list[RecordingError] = []
    recorder = Recorder(tmp_path / "r.wav", clock, background=False, on_error=told.append)
    for index in range(3000):  # a minute; the disk is full from 10 s to 40 s
        full = 500 <= index < 2000
        recorder.write("borrower", np.full(FRAME, 5, np.int16))
        clock.t += 0.02
    recorder.close()
    assert [str(e) for e in told] == [f"cannot write the recording {tmp_path / 'r.wav'}: No space left on device"]
    left = read(tmp_path / "r.wav")[:, 0]
    assert len(left) == 60 * RATE
    assert (left[: 9 * RATE] == 5).all()
    assert (left[31 * RATE :] == 5).all()  # the window in memory reaches back ten seconds
    assert not left[12 * RATE : 28 * RATE].any()


def test_the_disk_does_not_hold_up_who_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck, entered = threading.Event(), threading.Event()
    really = os.pwrite

    def pwrite(fd: int, data: bytes, offset: int) -> int:
        if threading.current_thread() is not threading.main_thread():
            entered.set()
            assert stuck.wait(20)
        return really(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    recorder = Recorder(tmp_path / "r.wav")
    recorder.write("borrower", np.full(FRAME, 5, np.int16))
    assert entered.wait(20)
    recorder.write("borrower", np.full(FRAME, 5, np.int16))  # would hang here
    recorder.truncate("agent", 0.0)
    stuck.set()
    recorder.close()
    assert np.count_nonzero(read(tmp_path / "r.wav")[:, 0]) == 2 * FRAME


@pytest.mark.parametrize("tail", [b"", b"\x05", b"\x05\x00\x06\x00" * 1000 + b"\x01\x02\x03"])
@pytest.mark.parametrize("head", [header(0), header(10**6), b"\x00" * HEADER_BYTES, header(500)])
def test_repair_names_every_whole_frame(tmp_path: Path, head: bytes, tail: bytes) -> None:
    path = tmp_path / "r.wav"
    path.write_bytes(head + tail)
    assert repair(path) == len(tail) // 4 / RATE
    assert len(read(path)) == len(tail) // 4


def test_repair_of_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="No such file"):
        repair(tmp_path / "none.wav")
    (tmp_path / "short.wav").write_bytes(b"RI")
    assert repair(tmp_path / "short.wav") == 0.0
    assert len(read(tmp_path / "short.wav")) == 0


def test_recordings_are_private(tmp_path: Path) -> None:
    Recorder(tmp_path / "r.wav").close()
    assert (tmp_path / "r.wav").stat().st_mode & 0o077 == 0
