"""One string chooses the recogniser; SenseVoice stands behind the protocol, over a fake of its library."""

from __future__ import annotations

import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asr.engines import load_transcriber
from asr.engines.sherpa import CONFIDENCE, SherpaSenseVoice
from asr.transcriber import ModelError, Utterance
from asr.whisper import EMBEDDED, FasterWhisper


class FakeStream:
    def __init__(self) -> None:
        self.heard: tuple[float, int] | None = None
        self.result: Any = None

    def accept_waveform(self, rate: float, samples: Any) -> None:
        assert samples.dtype == np.float32
        assert np.isfinite(samples).all()
        self.heard = (rate, len(samples))


class FakeRecognizer:
    """``sherpa_onnx.OfflineRecognizer``: what is heard depends on the length of what it was given."""

    made: list[dict[str, Any]]
    batches: list[int]

    def __init__(self, language: str) -> None:
        self.language = language

    @classmethod
    def from_sense_voice(cls, **options: Any) -> FakeRecognizer:
        if Path(options["model"]).read_bytes() != b"onnx":
            raise RuntimeError("Load model failed:\nnot a protobuf")
        cls.made.append(options)
        return cls(options["language"])

    def create_stream(self) -> FakeStream:
        return FakeStream()

    def decode_streams(self, streams: Sequence[FakeStream]) -> None:
        self.batches.append(len(streams))
        for stream in streams:
            assert stream.heard is not None
            rate, size = stream.heard
            if size < rate:
                result = ("", [], [], "", "<|Speech|>")
            elif size < 2 * rate:
                result = ("la la", ["▁la", "▁la"], [0.1, 0.5], "<|en|>", "<|BGM|>")
            elif self.language == "zh" or (self.language == "auto" and size < 3 * rate):
                result = ("我下周还", ["我", "下", "周", "还"], [0.2, 0.4, 0.6, 1.9], "<|zh|>", "<|Speech|>")
            else:
                tokens = ["▁I", "▁will", "▁pa", "y"]
                result = ("I will pay", tokens, [0.1, 0.3, 0.6, 0.8], "<|en|>", "<|Speech|>")
            keys = ("text", "tokens", "timestamps", "lang", "event")
            stream.result = types.SimpleNamespace(**dict(zip(keys, result, strict=True)))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "model.int8.onnx").write_bytes(b"onnx")
    (tmp_path / "tokens.txt").write_text("<blk> 0\n")
    library: Any = types.ModuleType("sherpa_onnx")
    library.OfflineRecognizer = FakeRecognizer
    FakeRecognizer.made, FakeRecognizer.batches = [], []
    monkeypatch.setitem(sys.modules, "sherpa_onnx", library)
    return tmp_path


def sound(seconds: float) -> Any:
    return np.full(int(seconds * 8000), 0.1, np.float32)


def test_sensevoice_hears_both_languages_with_word_times(folder: Path) -> None:
    engine = load_transcriber(f"sensevoice:{folder}", cpu_threads=3)
    assert [made["language"] for made in FakeRecognizer.made] == ["zh", "en", "auto"]
    assert {made["num_threads"] for made in FakeRecognizer.made} == {3}
    zh = engine.transcribe(sound(2.2), 8000, "zh", hotwords="王先生")
    assert (zh.text, zh.lang, zh.confidence) == ("我下周还", "zh", CONFIDENCE)
    assert [(w.text, w.start, w.end) for w in zh.words] == [
        ("我", 0.2, 0.4), ("下", 0.4, 0.6), ("周", 0.6, 1.1), ("还", 1.9, 2.2)
    ]  # fmt: skip
    en = engine.transcribe(sound(4.0), 8000)
    assert (en.text, en.lang) == ("I will pay", "en")
    assert [w.text for w in en.words] == ["I", "will", "pay"]
    assert en.words[2].start == 0.6


def test_sensevoice_takes_music_and_silence_for_nothing(folder: Path) -> None:
    engine = SherpaSenseVoice.load(folder)
    assert engine.transcribe(sound(0.5), 8000, "zh").text == ""
    music = engine.transcribe(sound(1.5), 8000, "en")
    assert (music.text, music.words, music.no_speech) == ("", (), 1.0)


def test_sensevoice_decodes_in_batches_of_one_language(folder: Path) -> None:
    engine = SherpaSenseVoice.load(folder)
    asked = [Utterance(sound(2.2), 8000, "zh" if i % 2 else "en") for i in range(10)]
    heard = engine.transcribe_all(asked, batch_size=4)
    assert [t.lang for t in heard] == ["zh" if i % 2 else "en" for i in range(10)]
    assert sorted(FakeRecognizer.batches) == [1, 1, 4, 4]
    assert engine.shape(asked[0]) == engine.shape(asked[2]) != engine.shape(asked[1])
    with pytest.raises(ValueError, match="mono"):
        engine.transcribe(np.zeros((2, 9), np.float32), 8000)
    with pytest.raises(ValueError, match="rate"):
        engine.transcribe(sound(1), 0)


def test_what_is_missing_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "model.int8.onnx").write_bytes(b"broken")
    with pytest.raises(ModelError, match="not a usable SenseVoice") as caught:
        SherpaSenseVoice.load(folder)
    assert "\n" not in str(caught.value)
    monkeypatch.setitem(sys.modules, "sherpa_onnx", None)  # not installed
    with pytest.raises(ModelError, match="pip install sherpa-onnx"):
        SherpaSenseVoice.load(folder)
    (folder / "tokens.txt").unlink()
    with pytest.raises(ModelError, match=r"tokens\.txt"):
        SherpaSenseVoice.load(folder)
    with pytest.raises(ModelError, match="neither"):
        SherpaSenseVoice.load(folder / "nowhere")
    with pytest.raises(ModelError, match="no engine 'kaldi'"):
        load_transcriber("kaldi:model")


def test_whisper_by_folder_and_in_memory() -> None:
    assert isinstance(load_transcriber(), FasterWhisper)
    assert isinstance(load_transcriber(f"whisper:{EMBEDDED}"), FasterWhisper)
    from faster_whisper import WhisperModel

    files: dict[str, Any] = {p.name: p.read_bytes() for p in EMBEDDED.iterdir() if p.suffix in (".json", ".bin")}
    held = FasterWhisper(WhisperModel("held in memory", files=files), max_tokens=160, takes_prompts=False)
    assert held.transcribe(sound(1.0), 8000, "zh").lang == "zh"


def test_a_name_that_cannot_be_fetched_is_told_with_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    import faster_whisper

    def unreachable(*_: object, **__: object) -> None:
        raise OSError("We couldn't connect to\nthe hub")

    monkeypatch.setattr(faster_whisper, "WhisperModel", unreachable)
    with pytest.raises(ModelError, match=r"hub cannot be reached.*give that FOLDER") as caught:
        load_transcriber("large-v3-turbo")
    assert "large-v3-turbo" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_does_not_exist_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    import faster_whisper
    import httpx
    from huggingface_hub.errors import RepositoryNotFoundError

    def missing(*_: object, **__: object) -> None:
        answer = httpx.Response(404, request=httpx.Request("GET", "https://hub.example/api/models/org/none"))
        raise RepositoryNotFoundError("404 Client Error", response=answer)

    monkeypatch.setattr(faster_whisper, "WhisperModel", missing)
    with pytest.raises(ModelError, match="'org/none': the model hub has no such model; check the name"):
        load_transcriber("org/none")
