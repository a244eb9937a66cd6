"""Voices are told apart, words go to who said them, the score is the standard one, pyannote stands behind it too."""

from __future__ import annotations

import sys
import types
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.audiofile import open_recording
from asr.batch import FINE, speech_chances
from asr.diarization.embedding import VoiceEmbedder, mel_energies
from asr.diarization.load import load_diarizer
from asr.diarization.pyannote import PyannoteDiarizer
from asr.diarization.scoring import error, read_rttm
from asr.diarization.turns import SpeakerTurn, attribute, renumbered
from asr.diarization.voices import Chunk, VoiceClustering, around, cheapest_path, two_groups
from asr.transcriber import ModelError, TimedWord
from asr.vad import segments
from audio.espeak import Voice, synthesize
from audio.g711 import Floats, to_float
from audio.telephone import RATE, Line, telephone

ZH = (
    "请问您是王先生本人吗", "我就是有什么事", "您的贷款已经逾期十天了", "我这个月工资还没有发",
    "那您什么时候可以还款呢", "下周三我先还一千五百块", "好的我给您登记一下", "你们能不能不要再打电话了",
    "我们会在下周三再联系您", "知道了再见",
)  # fmt: skip
EN = ("am I speaking with mister smith", "yes this is he who is calling", "your payment is ten days past due",
      "I have not been paid this month", "when do you think you can pay", "I can send two hundred dollars on friday",
      "thank you I will make a note of that", "please do not call me at work again", "we will not call you at work",
      "all right goodbye")  # fmt: skip


def conversation(lines: tuple[str, ...], voices: tuple[str, ...]) -> tuple[Floats, list[SpeakerTurn]]:
    rng = np.random.default_rng(3)
    sound, turns, at = [], [], 0
    for i, text in enumerate(lines):
        who = i % len(voices)
        pcm, rate = synthesize(text, Voice(voices[who], rate=160))
        said = to_float(telephone(to_float(pcm), rate, Line(snr_db=28), rng))
        turns.append(SpeakerTurn(at / RATE, (at + len(said)) / RATE, who))
        sound += [said, np.zeros(RATE // 3, np.float32)]
        at += len(said) + RATE // 3
    return np.concatenate(sound), turns


def diarized(path: Path, sound: Floats) -> list[SpeakerTurn]:
    soundfile.write(path, sound, RATE)
    with open_recording(path) as recording:
        speech = segments(speech_chances(recording, None), recording.seconds, FINE)
        return VoiceClustering().diarize(recording, speech)


@pytest.mark.parametrize(
    ("lines", "voices"),
    [(ZH, ("cmn+f2", "cmn+m3")), (EN, ("en-us+m1", "en-us+f4")), (EN, ("en-us+m3", "en-gb-x-rp+f5"))],
)
def test_two_voices_are_told_apart(tmp_path: Path, lines: tuple[str, ...], voices: tuple[str, ...]) -> None:
    sound, truth = conversation(lines, voices)
    found = diarized(tmp_path / "call.wav", sound)
    assert error(truth, found).confusion < 0.05
    assert error(truth, found).rate < 0.25
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert found[0].speaker == 0  # counted as first heard


def test_nobody_and_one_voice(tmp_path: Path) -> None:
    assert diarized(tmp_path / "silence.wav", np.zeros(3 * RATE, np.float32)) == []
    sound, _ = conversation(EN[:1], ("en-us+m1",))
    assert {t.speaker for t in diarized(tmp_path / "one.wav", sound)} == {0}


def test_words_go_to_who_speaks_most_of_them() -> None:
    turns = [SpeakerTurn(0.0, 1.0, 0), SpeakerTurn(1.0, 2.0, 1), SpeakerTurn(5.0, 6.0, 0)]
    times = [(0.1, 0.5), (0.8, 1.1), (0.9, 1.4), (1.8, 2.4), (2.6, 2.9), (4.4, 4.8), (7.0, 7.5)]
    words = [TimedWord("w", a, b, 1.0) for a, b in times]
    assert attribute(words, turns) == [0, 0, 1, 1, 1, 0, 0]
    assert attribute(words, []) == [0] * len(words)


def test_speakers_are_counted_as_first_heard_and_touching_turns_are_one() -> None:
    turns = [SpeakerTurn(2.0, 3.0, 4), SpeakerTurn(0.0, 1.0, 9), SpeakerTurn(1.01, 1.5, 9)]
    assert renumbered(turns) == [SpeakerTurn(0.0, 1.5, 0), SpeakerTurn(2.0, 3.0, 1)]


def test_the_score_counts_misses_false_alarms_and_confusion() -> None:
    truth = [SpeakerTurn(0.0, 4.0, 0), SpeakerTurn(3.0, 6.0, 1)]  # 7 s, of which 1 s both
    found = [SpeakerTurn(0.0, 3.0, 1), SpeakerTurn(3.0, 5.0, 0), SpeakerTurn(6.0, 7.0, 0)]
    score = error(truth, found)
    assert score.missed == pytest.approx(2 / 7, abs=0.01)
    assert score.false_alarm == pytest.approx(1 / 7, abs=0.01)
    assert score.confusion == pytest.approx(0.0, abs=0.01)
    assert error(truth, truth).rate == 0.0
    assert error(truth, [SpeakerTurn(0.0, 6.0, 0)]).confusion == pytest.approx(2 / 7, abs=0.01)


def test_rttm_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.rttm"
    path.write_text(
        "SPEAKER a 1 0.50 1.25 <NA> <NA> anna <NA> <NA>\n;; a remark\nSPEAKER a 1 2 1 <NA> <NA> ben <NA> <NA>\n"
    )
    assert read_rttm(path) == [SpeakerTurn(0.5, 1.75, 0), SpeakerTurn(2.0, 3.0, 1)]


@pytest.mark.parametrize("change", [0.5, 2.0, 7.0])
def test_the_path_is_the_best_there_is(change: float) -> None:
    """Against every path of nine steps."""
    rng = np.random.default_rng(5)
    for _ in range(20):
        scores = rng.normal(0, 2, (9, 2))

        def worth(path: list[int], scores: Any = scores) -> float:
            return float(sum(scores[i, s] for i, s in enumerate(path))) - change * int(np.abs(np.diff(path)).sum())

        best = max(worth([n >> i & 1 for i in range(9)]) for n in range(512))
        assert worth(cheapest_path(scores, change).tolist()) == pytest.approx(best)


def test_voices_fall_into_two_groups() -> None:
    rng = np.random.default_rng(0)
    people = np.array([0, 1, 1, 0, 1, 0, 0, 1, 0, 1, 1, 0])
    centres = rng.normal(0, 1, (2, 64))
    voices = (centres[people] + 0.3 * rng.normal(0, 1, (12, 64))).astype(np.float32)
    voices /= np.linalg.norm(voices, axis=1, keepdims=True)
    groups, cosine = two_groups(voices, np.ones(12, np.float32))
    assert len({(int(g), int(p)) for g, p in zip(groups, people, strict=True)}) == 2
    _, alike = two_groups(voices[people == 0], np.ones(6, np.float32))
    assert cosine < 0.5 < alike


def test_a_window_does_not_reach_over_a_gap() -> None:
    assert around(Chunk(100, 140, 0, 400), 120) == (60, 180)
    assert around(Chunk(0, 40, 0, 400), 120) == (0, 120)
    assert around(Chunk(360, 400, 0, 400), 120) == (280, 400)
    assert around(Chunk(400, 430, 400, 430), 120) == (400, 430)


def test_the_encoder_gives_each_window_the_same_voice_in_any_company() -> None:
    encoder = VoiceEmbedder.load()
    sound = np.random.default_rng(1).normal(0, 0.05, 32000).astype(np.float32)
    energies = mel_energies(sound)
    assert energies.shape == (201, 40)
    windows = [energies[:120], energies[40:60], energies[100:200]]
    together = encoder.embed(windows)
    alone = np.concatenate([encoder.embed([w]) for w in windows])
    assert np.allclose(together, alone, atol=1e-5)
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)


class FakePipeline:
    """pyannote's, as far as it is used: answers an object with an exclusive diarization."""

    asked: list[tuple[Any, dict[str, Any]]]

    def __init__(self) -> None:
        self.asked = []

    def __call__(self, file: dict[str, Any], **options: Any) -> Any:
        self.asked.append((file, options))
        span = lambda a, b: types.SimpleNamespace(start=a, end=b)  # noqa: E731
        tracks = [(span(0.0, 1.0), "_", "SPEAKER_01"), (span(1.2, 2.0), "_", "SPEAKER_00")]
        annotation = types.SimpleNamespace(itertracks=lambda yield_label: iter(tracks))
        return types.SimpleNamespace(exclusive_speaker_diarization=annotation)


def test_a_pyannote_pipeline_is_asked_for_two_speakers(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(2 * RATE, np.float32), RATE)
    pipeline = FakePipeline()
    with open_recording(tmp_path / "a.wav") as recording:
        turns = PyannoteDiarizer(pipeline).diarize(recording, [(0.0, 2.0)])
        assert PyannoteDiarizer(pipeline).diarize(recording, []) == []
    assert turns == [SpeakerTurn(0.0, 1.0, 0), SpeakerTurn(1.2, 2.0, 1)]
    (file, options), *others = pipeline.asked
    assert not others
    assert options == {"num_speakers": 2}
    assert file["sample_rate"] == 16000
    assert tuple(file["waveform"].shape) == (1, 32000)


def test_pipelines_that_cannot_be_used_are_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="no such folder"):
        load_diarizer(str(tmp_path / "nowhere"))
    with pytest.raises(ModelError, match=r"config\.yaml"):
        load_diarizer(str(tmp_path))

    class Unreachable:
        @staticmethod
        def from_pretrained(_name: object) -> object:
            raise OSError("cannot reach\nthe hub")

    class Gated:
        @staticmethod
        def from_pretrained(_name: object) -> None:
            return None

    for kind, said in ((Unreachable, "cannot reach the hub"), (Gated, "HF_TOKEN")):
        fake: Any = types.ModuleType("pyannote.audio")
        fake.Pipeline = kind
        monkeypatch.setitem(sys.modules, "pyannote.audio", fake)
        with pytest.raises(ModelError, match=said) as caught:
            load_diarizer("pyannote/speaker-diarization-community-1")
        assert "\n" not in str(caught.value)


def test_no_diarizer_and_the_built_in_one() -> None:
    assert load_diarizer("none") is None
    assert isinstance(load_diarizer(), VoiceClustering)


@pytest.mark.slow
def test_real_pyannote_imports_without_cuda_and_without_telemetry() -> None:
    """In a process of its own: the import stays for good."""
    import subprocess

    code = (
        "import os; from asr.diarization.pyannote import _pipeline_class; print(_pipeline_class().__name__, "
        "os.environ['PYANNOTE_METRICS_ENABLED'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, check=True)
    assert done.stdout.split() == ["Pipeline", "0"]
