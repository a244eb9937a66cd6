"""The embedded model hears real synthesised telephone speech; models that cannot be used say so in one line."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from asr.training.evaluate import spoken
from asr.training.scoring import error_rate
from asr.transcriber import Lang, ModelError, Utterance
from asr.whisper import EMBEDDED, FasterWhisper, cut_context
from audio.espeak import Voice, synthesize
from audio.g711 import Floats, to_float
from audio.telephone import RATE, Line, noise, telephone


@pytest.fixture(scope="module")
def model() -> FasterWhisper:
    return FasterWhisper.load()


def call(text: str, voice: str, rate: int = 165) -> Floats:
    """``text`` as it arrives over a fair line."""
    pcm, source = synthesize(text, Voice(voice, rate=rate))
    return to_float(telephone(to_float(pcm), source, Line(snr_db=25), np.random.default_rng(3)))


@pytest.mark.parametrize(("lang", "most"), [("zh", 0.16), ("en", 0.24)])
def test_held_out_sentences_by_unheard_voices(model: FasterWhisper, lang: Lang, most: float) -> None:
    """Half as much again as the card says: enough to catch the loss of the model, whatever the thirty sentences are."""
    pairs = [
        (said, model.transcribe(audio, RATE, lang).text) for said, audio, _, _ in spoken(lang, "unseen", 30, seed=11)
    ]
    assert error_rate(pairs, lang) < most, pairs


def test_words_have_times_in_order_within_the_audio(model: FasterWhisper) -> None:
    for lang, text, voice in (("zh", "我下周三还款", "cmn+f2"), ("en", "I will pay you on Friday", "en-us+m3")):
        audio = call(text, voice)
        heard = model.transcribe(audio, RATE, "zh" if lang == "zh" else "en")
        assert heard.words
        times = [t for w in heard.words for t in (w.start, w.end)]
        assert times == sorted(times)
        assert times[0] >= 0.0
        assert times[-1] <= len(audio) / RATE + 0.1
        assert all(0.0 <= w.probability <= 1.0 for w in heard.words)
        assert ("" if lang == "zh" else " ").join(w.text for w in heard.words) == heard.text


def test_words_lie_where_they_were_spoken(model: FasterWhisper) -> None:
    gap = np.zeros(RATE, np.float32)
    audio = np.concatenate([gap, call("yes", "en-us+m1"), gap, call("no problem", "en-us+m1")])
    words = model.transcribe(audio, RATE, "en").words
    assert words[0].end > 0.9
    assert words[-1].start > 2.0


def test_confidence_follows_the_line(model: FasterWhisper) -> None:
    clean = call("我下个月十五号把钱还上", "cmn+m3")
    buried = clean + noise(len(clean), 0.0, np.random.default_rng(0)) * np.float32(0.4)
    sure, unsure = (model.transcribe(a, RATE, "zh").confidence for a in (clean, buried))
    assert 0.0 <= unsure < sure <= 1.0


def ring(seconds: float) -> Floats:
    t = np.arange(int(seconds * RATE)) / RATE
    return (0.1 * np.sin(2 * np.pi * 425 * t) * (t % 2 < 1)).astype(np.float32)


@pytest.mark.parametrize("lang", ["zh", "en"])
@pytest.mark.parametrize("kind", ["silence", "faint noise", "noise", "ring", "beep", "empty", "ten samples"])
def test_nothing_said_is_nothing_heard(model: FasterWhisper, kind: str, lang: Lang) -> None:
    rng = np.random.default_rng(1)
    audio = {
        "silence": np.zeros(2 * RATE, np.float32),
        "faint noise": noise(3 * RATE, 1.0, rng) * np.float32(0.002),
        "noise": noise(2 * RATE, 0.0, rng) * np.float32(0.03),
        "ring": ring(3.0),
        "beep": 3 * ring(0.4),
        "empty": np.zeros(0, np.float32),
        "ten samples": np.ones(10, np.float32),
    }[kind]
    heard = model.transcribe(audio, RATE, lang)
    assert (heard.text, heard.words) == ("", ())
    assert heard.confidence == 0.0


def test_long_audio_is_heard_to_its_end(model: FasterWhisper) -> None:
    part = call("我没有钱还款", "cmn+f2")
    gap = np.zeros(RATE // 2, np.float32)
    once = model.transcribe(np.concatenate([gap, part, gap]), RATE, "zh").text
    audio = np.concatenate([x for _ in range(10) for x in (gap, part)])
    heard = model.transcribe(audio, RATE, "zh")
    assert len(heard.text) == pytest.approx(10 * len(once), abs=6)
    assert heard.words[-1].end > len(audio) / RATE - 2.5


def test_the_language_is_found(model: FasterWhisper) -> None:
    assert model.transcribe(call("请问你是谁", "cmn+m1"), RATE).lang == "zh"
    assert model.transcribe(call("Who is calling please", "en-us+m1"), RATE).lang == "en"


def test_sample_rates_and_loudness_change_little(model: FasterWhisper) -> None:
    audio = call("我已经还过了", "cmn+m2")
    text = model.transcribe(audio, RATE, "zh").text
    wide = np.interp(np.arange(2 * len(audio)) / 2, np.arange(len(audio)), audio).astype(np.float32)
    assert error_rate([(text, model.transcribe(wide, 16000, "zh").text)], "zh") <= 0.4
    assert error_rate([(text, model.transcribe(audio * np.float32(0.5), RATE, "zh").text)], "zh") <= 0.4


def test_broken_samples_do_not_break_it(model: FasterWhisper) -> None:
    audio = call("你好", "cmn")
    audio[100:200] = np.nan
    audio[300:310] = np.inf
    model.transcribe(audio, RATE, "zh")


def test_threads_share_one_model(model: FasterWhisper) -> None:
    clips = [call(text, "cmn+f4") for text in ("我明天还", "打错了", "我没钱", "你是谁")] * 2
    alone = [model.transcribe(c, RATE, "zh") for c in clips]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda c: model.transcribe(c, RATE, "zh"), clips))
    assert [t.text for t in together] == [t.text for t in alone]


def test_bad_arguments(model: FasterWhisper) -> None:
    with pytest.raises(ValueError, match="mono"):
        model.transcribe(np.zeros((2, 100), np.float32), RATE)
    with pytest.raises(ValueError, match="sample rate"):
        model.transcribe(np.zeros(100, np.float32), 0)


def test_the_context_is_cut_to_the_audio() -> None:
    features = np.ones((80, 131), np.float32)
    assert cut_context(features, margin=24, window=500).shape == (80, 156)
    assert cut_context(features, margin=24, window=500)[:, 131:].sum() == 0
    assert cut_context(np.ones((80, 700), np.float32), 24, 500).shape == (80, 500)


def test_the_committed_model_is_small_and_has_its_card() -> None:
    assert sum(p.stat().st_size for p in EMBEDDED.iterdir()) < 20e6
    card = (EMBEDDED / "README.md").read_text(encoding="utf-8")
    assert "python -m asr.training.evaluate" in card


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EMBEDDED, tmp_path / "model"))


def one_line(folder: str | Path) -> str:
    with pytest.raises(ModelError) as e:
        FasterWhisper.load(folder)
    message = str(e.value)
    assert "\n" not in message
    return message


def test_a_folder_loads_as_well(copy: Path) -> None:
    assert FasterWhisper.load(copy, words=False).transcribe(call("你好", "cmn"), RATE, "zh").words == ()


def test_missing_folder(tmp_path: Path) -> None:
    assert "no such model folder" in one_line(tmp_path / "nowhere")
    assert "no such model folder" in one_line("./nowhere/at/all")


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.json"])
def test_missing_file(copy: Path, name: str) -> None:
    (copy / name).unlink()
    assert f"{name} is missing" in one_line(copy)


@pytest.mark.parametrize("content", [b"", b"not a model", bytes(range(256)) * 64])
def test_corrupt_weights(copy: Path, content: bytes) -> None:
    (copy / "model.bin").write_bytes(content)
    assert "not a usable" in one_line(copy)


def test_cut_off_weights(copy: Path) -> None:
    whole = (copy / "model.bin").read_bytes()
    (copy / "model.bin").write_bytes(whole[: len(whole) // 2])
    assert "not a usable" in one_line(copy)


def test_corrupt_tokenizer(copy: Path) -> None:
    (copy / "tokenizer.json").write_text('{"half": ')
    assert "not a usable" in one_line(copy)


def test_foreign_model(copy: Path) -> None:
    (copy / "vocabulary.json").write_text(json.dumps(["a", "b"]))
    assert "not a usable" in one_line(copy)


def test_a_name_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert "no Whisper 'enormous'" in one_line("enormous")


@pytest.fixture
def contexts(model: FasterWhisper, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The frames of every context that the model encodes."""
    seen: list[int] = []
    encode = model._model.encode

    def watched(features: Floats) -> object:
        seen.append(features.shape[-1])
        return encode(features)

    monkeypatch.setattr(model._model, "encode", watched)
    return seen


@pytest.mark.parametrize("lang", ["zh", None])
def test_a_model_that_learned_on_whole_windows_hears_again_what_it_doubts(
    model: FasterWhisper, contexts: list[int], lang: Lang | None
) -> None:
    whole = model._model.feature_extractor.nb_max_frames
    loud = 0.2 * noise(RATE * 2, 0.0, np.random.default_rng(1))
    clear = call("我下周三还款", "cmn+f2")
    other = FasterWhisper(model._model, margin=2.0, short_context=False, max_tokens=160, takes_prompts=False)
    heard = other.transcribe_all([Utterance(loud, RATE, lang), Utterance(clear, RATE, lang)])
    assert "还款" in heard[1].text and heard[1].words
    assert contexts.count(whole) == 1, "what is doubted is heard again, what is clear is not"
    del contexts[:]
    model.transcribe(loud, RATE, lang)
    assert contexts and whole not in contexts, "the embedded model learned on short contexts"


def test_a_folder_says_what_its_model_learned_on(tmp_path: Path) -> None:
    folder = tmp_path / "other"
    shutil.copytree(EMBEDDED, folder)
    written = folder / "preprocessor_config.json"
    settings = json.loads(written.read_text(encoding="utf-8"))
    assert settings.pop("short_context") is True
    written.write_text(json.dumps(settings), encoding="utf-8")
    own, other = FasterWhisper.load(), FasterWhisper.load(folder)
    assert (own._short_context, other._short_context) == (True, False)
    assert other._margin == 4 * own._margin
