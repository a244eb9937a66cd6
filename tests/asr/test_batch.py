"""Recordings become transcripts: by channel or by speaker, whatever their length, and nothing out of nothing."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.audiofile import Recording, open_recording
from asr.batch import BatchTranscription, Row
from asr.diarization.turns import SpeakerTurn
from asr.transcriber import TimedWord, Transcription, Utterance
from asr.whisper import FasterWhisper
from audio.espeak import Voice, synthesize
from audio.g711 import Floats, to_float
from audio.telephone import RATE, Line, telephone


@pytest.fixture(scope="module")
def model() -> FasterWhisper:
    return FasterWhisper.load()


def call(text: str, voice: str) -> Floats:
    pcm, rate = synthesize(text, Voice(voice, rate=160))
    return to_float(telephone(to_float(pcm), rate, Line(snr_db=30), np.random.default_rng(3)))


@pytest.fixture(scope="module")
def sides() -> tuple[Floats, Floats]:
    """A borrower and an agent who take turns, as two channels of equal length."""
    lines = [("a", "您的贷款已经逾期十天了"), ("b", "我下周三还款"), ("a", "好的谢谢您"), ("b", "再见")]
    parts: dict[str, list[Floats]] = {"a": [], "b": []}
    for who, text in lines:
        said = call(text, "cmn+f2" if who == "a" else "cmn+m3")
        gap = np.zeros(RATE, np.float32)
        for side, sound in parts.items():
            sound += [said if side == who else np.zeros_like(said), gap]
    return np.concatenate(parts["b"]), np.concatenate(parts["a"])


def heard(path: Path, sound: Floats, transcription: BatchTranscription) -> list[Row]:
    soundfile.write(path, sound, RATE)
    with open_recording(path) as recording:
        return transcription.transcribe(recording, "zh")


def test_two_channels_are_heard_apart(tmp_path: Path, model: FasterWhisper, sides: tuple[Floats, Floats]) -> None:
    rows = heard(tmp_path / "a.wav", np.stack(sides, axis=1), BatchTranscription(model))
    assert [row.channel for row in rows] == [1, 0, 1, 0]
    assert "还款" in rows[1].text
    assert all(row.speaker is None for row in rows)
    assert [row.start for row in rows] == sorted(row.start for row in rows)
    borrower = np.flatnonzero(np.abs(sides[0]) > 0.05) / RATE
    assert rows[1].start == pytest.approx(borrower[0], abs=0.25)
    for row in rows:
        assert row.words
        assert all(row.start - 0.3 <= w.start <= w.end <= row.end + 0.4 for w in row.words)


class Fixed:
    """A diarizer that knows: the first speaker until ``at`` seconds, then the second."""

    def __init__(self, at: float) -> None:
        self.at = at

    def diarize(self, recording: Recording, speech: Sequence[tuple[float, float]]) -> list[SpeakerTurn]:
        assert speech
        return [SpeakerTurn(0.0, self.at, 0), SpeakerTurn(self.at, recording.seconds, 1)]


def test_one_channel_is_split_by_speaker_even_within_an_utterance(tmp_path: Path, model: FasterWhisper) -> None:
    first, second = call("您的贷款已经逾期十天了", "cmn+f2"), call("我下周三还款", "cmn+m3")
    edge = int(np.flatnonzero(np.abs(first) > 0.02)[-1])
    sound = np.concatenate([first[:edge], second])  # no pause at all
    rows = heard(tmp_path / "a.wav", sound, BatchTranscription(model, diarizer=Fixed(edge / RATE)))
    assert [row.speaker for row in rows] == [0, 1]
    assert "十天" in rows[0].text and "还款" not in rows[0].text
    assert "还款" in rows[1].text and "天" not in rows[1].text
    assert all("".join(w.text for w in row.words) == row.text for row in rows)
    assert rows[0].as_dict()["speaker"] == "speaker_1"


class Traditional:
    """A transcriber that writes as many published checkpoints do."""

    def shape(self, utterance: Utterance) -> int:
        return len(utterance.samples)

    def transcribe_all(self, utterances: Sequence[Utterance], *, batch_size: int = 16) -> list[Transcription]:
        words = (TimedWord("換", 0.1, 0.4, 0.9), TimedWord("一首歌", 0.4, 1.0, 0.9))
        return [Transcription("換一首歌", "zh", words, 0.9, 0.0) for _ in utterances]


def test_the_transcript_is_in_simplified_characters(tmp_path: Path) -> None:
    (row,) = heard(tmp_path / "a.wav", call("换一首歌", "cmn+f2"), BatchTranscription(Traditional()))
    assert row.text == "换一首歌" == "".join(word.text for word in row.words)


def test_the_number_of_threads_and_the_batch_change_nothing(
    tmp_path: Path, model: FasterWhisper, sides: tuple[Floats, Floats]
) -> None:
    sound = np.stack(sides, axis=1)
    rows = [
        heard(tmp_path / "a.wav", sound, BatchTranscription(model, workers=workers, batch_size=size))
        for workers, size in ((1, 1), (2, 3))
    ]
    assert [(r.text, r.channel, r.start) for r in rows[0]] == [(r.text, r.channel, r.start) for r in rows[1]]


def test_the_language_is_found_and_progress_is_told(
    tmp_path: Path, model: FasterWhisper, sides: tuple[Floats, Floats]
) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack(sides, axis=1), RATE)
    shares: list[float] = []
    with open_recording(tmp_path / "a.wav") as recording:
        rows = BatchTranscription(model).transcribe(recording, None, shares.append)
    assert {row.lang for row in rows} == {"zh"}
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))  # last: benchmarks/console.py is not our console
NOTHING: dict[str, Callable[[float], Floats]] = importlib.import_module("_nothing").NOTHING
HARDEST = ("babble of six, loud", "babble of twenty", "television next door")
"""Not all silent yet: ``benchmarks/noise_words.py`` counts their words."""


@pytest.mark.parametrize("kind", [kind for kind in NOTHING if kind not in HARDEST])
def test_no_words_out_of_nothing(tmp_path: Path, model: FasterWhisper, kind: str) -> None:
    rows = heard(tmp_path / "a.wav", NOTHING[kind](12.0), BatchTranscription(model))
    assert [(row.text, round(row.confidence, 2)) for row in rows] == []


@pytest.mark.slow
@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("kind", [kind for kind in NOTHING if kind not in HARDEST])
def test_no_words_out_of_ten_minutes_of_nothing(tmp_path: Path, model: FasterWhisper, kind: str, lang: str) -> None:
    soundfile.write(tmp_path / "a.wav", NOTHING[kind](600.0), RATE)
    with open_recording(tmp_path / "a.wav") as recording:
        rows = BatchTranscription(model).transcribe(recording, "zh" if lang == "zh" else "en")
    assert [(row.text, round(row.confidence, 2)) for row in rows] == []


@pytest.mark.slow
def test_an_hour_is_heard_in_shards(tmp_path: Path, model: FasterWhisper, sides: tuple[Floats, Floats]) -> None:
    once = np.stack(sides, axis=1)
    times = int(3600 * RATE / len(once))
    with soundfile.SoundFile(tmp_path / "a.flac", "w", RATE, 2) as file:
        for _ in range(times):
            file.write(once)
    with open_recording(tmp_path / "a.flac") as recording:
        rows = BatchTranscription(model).transcribe(recording, "zh")
    assert len(rows) == pytest.approx(4 * times, rel=0.02)
