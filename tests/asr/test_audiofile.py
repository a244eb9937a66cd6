"""Every format that people keep calls in is read alike; every file that is no call is refused in one line."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from asr.audiofile import AudioFileError, open_recording
from audio.g711 import Floats


def tone(seconds: float, rate: int, hertz: float = 440.0) -> Floats:
    return (0.4 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def pitch(sound: Floats, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    return float(np.argmax(spectrum) * rate / len(sound))


def encode(path: Path, codec: str, sound: Floats, rate: int, layout: str = "mono") -> Path:
    """A file that libsndfile cannot write, through FFmpeg. ``sound`` [n] or [n, 2]."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        planes = np.ascontiguousarray(sound.reshape(len(sound), -1).T)
        for start in range(0, planes.shape[1], 960):
            part = np.ascontiguousarray(planes[:, start : start + 960])
            frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=layout)
            frame.sample_rate, frame.pts = rate, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_any_rate_keeps_pitch_and_length(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "call.wav", tone(2.0, rate), rate)
    with open_recording(tmp_path / "call.wav") as recording:
        assert recording.rate <= 16000
        assert recording.seconds == pytest.approx(2.0, abs=0.01)
        assert pitch(recording.read(None, 0.0, 2.0), recording.rate) == pytest.approx(440, abs=2)


@pytest.mark.parametrize(
    ("name", "subtype"),
    [("a.wav", "ULAW"), ("a.wav", "ALAW"), ("a.wav", "PCM_24"), ("a.wav", "FLOAT"), ("a.flac", None), ("a.mp3", None),
     ("a.ogg", "VORBIS"), ("a.ogg", "OPUS"), ("a.aiff", None)],
)  # fmt: skip
def test_formats_of_libsndfile(tmp_path: Path, name: str, subtype: str | None) -> None:
    rate = 48000 if subtype == "OPUS" else 16000
    both = np.stack([tone(1.5, rate, 300), tone(1.5, rate, 700)], axis=1)
    soundfile.write(tmp_path / name, both, rate, subtype=subtype)
    with open_recording(tmp_path / name) as recording:
        assert recording.channels == 2
        assert not recording.is_one_sound()
        assert recording.seconds == pytest.approx(1.5, abs=0.1)
        assert pitch(recording.read(0, 0.2, 1.2), recording.rate) == pytest.approx(300, abs=3)
        assert pitch(recording.read(1, 0.2, 1.2), recording.rate) == pytest.approx(700, abs=3)


@pytest.mark.parametrize(("name", "codec"), [("call.m4a", "aac"), ("call.mp4", "aac"), ("call.webm", "opus")])
def test_formats_of_ffmpeg(tmp_path: Path, name: str, codec: str) -> None:
    path = encode(tmp_path / name, codec, tone(1.5, 48000), 48000)
    with open_recording(path) as recording:
        assert recording.channels == 1
        assert recording.seconds == pytest.approx(1.5, abs=0.15)
        assert pitch(recording.read(None, 0.2, 1.2), recording.rate) == pytest.approx(440, abs=3)


def test_one_sound_on_both_channels_is_mono(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    one = tone(1.0, 8000)
    nearly = one + rng.normal(0, 1e-3, len(one)).astype(np.float32)
    soundfile.write(tmp_path / "same.wav", np.stack([one, nearly], axis=1), 8000)
    soundfile.write(tmp_path / "half.wav", np.stack([one, np.zeros_like(one)], axis=1), 8000)
    with open_recording(tmp_path / "same.wav") as same, open_recording(tmp_path / "half.wav") as half:
        assert same.is_one_sound()
        assert not half.is_one_sound()


def test_samples_that_are_no_numbers_are_silence(tmp_path: Path) -> None:
    sound = tone(1.0, 8000)
    sound[100:200] = np.nan
    sound[300] = np.inf
    soundfile.write(tmp_path / "a.wav", sound, 8000, subtype="FLOAT")
    with open_recording(tmp_path / "a.wav") as recording:
        assert not np.any(recording.samples[100:200])
        assert recording.samples[300, 0] == 32767


def bad(folder: Path, kind: str) -> Path:
    path = folder / f"{kind}.wav"
    good = folder / "good.wav"
    soundfile.write(good, tone(2.0, 8000), 8000, subtype="PCM_16")
    data = good.read_bytes()
    if kind == "missing":
        return path
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("Dear customer, this is not a sound.\n" * 50)
    elif kind == "zero":
        path.write_bytes(bytes(5000))
    elif kind == "noise":
        path.write_bytes(np.random.default_rng(0).bytes(5000))
    elif kind == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "header only":
        path.write_bytes(data[:44])
    elif kind == "half a header":
        path.write_bytes(data[:30])
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0, np.float32), 8000)
    elif kind == "0 Hz":
        path.write_bytes(data[:24] + struct.pack("<I", 0) + data[28:])
    elif kind == "12 channels":
        soundfile.write(path, np.zeros((8000, 12), np.float32), 8000)
    elif kind == "100 Hz":
        soundfile.write(path, np.zeros(1000, np.float32), 100)
    else:
        written = path.with_suffix(f".{kind.split()[1]}")
        soundfile.write(written, np.random.default_rng(0).normal(0, 0.1, 80000), 16000)
        path.write_bytes(written.read_bytes()[: int(written.stat().st_size * 0.6)])
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [("missing", "no such file"), ("folder", "not a file"), ("empty", "empty"), ("text", "not audio"),
     ("zero", "not audio"), ("noise", "not audio"), ("cut", "cut off"), ("header only", "no sound"),
     ("half a header", "cut off"), ("no samples", "no sound"), ("0 Hz", "0 Hz"), ("12 channels", "12 channels"),
     ("100 Hz", "100 Hz"), ("cut flac", "cut off"), ("cut mp3", "cut off"), ("cut ogg", "cut off")],
)  # fmt: skip
def test_bad_files_are_refused_in_one_line(tmp_path: Path, kind: str, said: str) -> None:
    path = bad(tmp_path, kind)
    with pytest.raises(AudioFileError) as caught:
        open_recording(path)
    message = str(caught.value)
    assert said in message
    assert str(path) in message
    assert "\n" not in message


def test_a_cut_m4a_is_refused(tmp_path: Path) -> None:
    path = encode(tmp_path / "call.m4a", "aac", tone(3.0, 16000), 16000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(AudioFileError, match=r"not audio|cut off|damaged"):
        open_recording(path)


def test_a_wav_of_a_writer_that_could_not_go_back_is_read(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1.0, 8000), 8000, subtype="PCM_16")
    data = bytearray((tmp_path / "a.wav").read_bytes())
    at = data.index(b"data") + 4
    data[4:8] = data[at : at + 4] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(bytes(data))
    with open_recording(tmp_path / "a.wav") as recording:
        assert recording.seconds == pytest.approx(1.0, abs=0.01)


@pytest.mark.slow
def test_hours_are_read_in_little_memory(tmp_path: Path) -> None:
    import resource

    block = np.tile(tone(1.0, 44100), 60).reshape(-1, 1).repeat(2, axis=1)
    with soundfile.SoundFile(tmp_path / "long.flac", "w", 44100, 2) as file:
        for _ in range(90):
            file.write(block)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with open_recording(tmp_path / "long.flac") as recording:
        assert recording.seconds == pytest.approx(5400, abs=1)
        for start in range(0, 5400, 60):
            recording.read(0, start, start + 60)
        # The decoded sound is on the disk; mapped pages may count while they are cached: never all of it.
        assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 420


def test_decoders_keep_their_remarks_to_themselves(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "noise.mp3").write_bytes(np.random.default_rng(3).bytes(3000))
    with pytest.raises(AudioFileError, match=r"noise\.mp3: not audio"):
        open_recording(tmp_path / "noise.mp3")
    assert capfd.readouterr() == ("", "")
    os.write(2, b"still there")
    assert capfd.readouterr().err == "still there"
