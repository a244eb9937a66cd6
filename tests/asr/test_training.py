"""The trainer in small: vocabulary, features, batches, one step, and a conversion that faster-whisper loads."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.training import flite, synth
from asr.training.augment import Augmenter, change_speed, warped
from asr.training.batching import IGNORED, Example, Pool, batches, longest_at, make_batch
from asr.training.convert import convert
from asr.training.grow import grow
from asr.training.model import CtcUnits, Shape, Trained
from asr.training.pool import Clip, read_shard, write_shard
from asr.training.restore import shape, variables, weights
from asr.training.scoring import error_rate
from asr.training.synth import speak
from asr.training.text import common_characters, english, general, mandarin
from asr.training.tokenizer import Vocabulary, build
from asr.training.train import greedy, losses, rate_at
from asr.training.voices import SEEN_VARIANTS, UNSEEN_VARIANTS, Lang, draw
from asr.whisper import EMBEDDED, FasterWhisper
from audio.espeak import synthesize
from audio.telephone import RATE, resample

ENGLISH = ["i'll pay on friday", "please call me back", "i can't pay the whole amount"]
TINY = Shape(d_model=32, encoder_layers=1, decoder_layers=1, heads=2, ffn=64)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Vocabulary:
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    build(common_characters(), ENGLISH, 40, path)
    return Vocabulary(path)


@pytest.fixture(scope="module")
def clips() -> list[Clip]:
    rng = np.random.default_rng(0)
    said: list[tuple[str, Lang]] = [("我下周五还款", "zh"), ("打错了", "zh"), ("please call me back", "en")]
    out = []
    for text, lang in said:
        spoken = speak(text, lang, "seen", rng)
        assert spoken is not None
        out.append(Clip(spoken[0], text, lang, spoken[1]))
    return out


@pytest.mark.parametrize(
    ("text", "lang"), [("我下周五还三千五百块", "zh"), ("i'll pay on friday", "en"), ("龘 naïve ♪", "zh"), ("", "en")]
)
def test_every_text_can_be_written(vocabulary: Vocabulary, text: str, lang: Lang) -> None:
    assert vocabulary.decode(vocabulary.encode(text, lang)) == text


def test_a_character_is_a_token(vocabulary: Vocabulary) -> None:
    text = "".join(common_characters())
    assert len(vocabulary.encode(text, "zh")) == len(text)


def test_special_tokens_are_in_whispers_order(vocabulary: Vocabulary) -> None:
    names = ["<|endoftext|>", "<|startoftranscript|>", "<|zh|>", "<|en|>", "<|translate|>", "<|transcribe|>"]
    names += ["<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>", "<|0.00|>", "<|0.02|>"]
    ids = [vocabulary.id(name) for name in names]
    assert ids == list(range(ids[0], ids[0] + len(ids)))
    assert vocabulary.id("<|10.00|>") == vocabulary.size - 1
    assert vocabulary.id("") < vocabulary.eot
    assert vocabulary.timestamp(99.0) == vocabulary.size - 1


def test_default_suppression_spares_the_bare_space(vocabulary: Vocabulary) -> None:
    from faster_whisper.tokenizer import Tokenizer

    banned = Tokenizer(vocabulary.tokenizer, True, task="transcribe", language="en").non_speech_tokens
    assert vocabulary.id("\u0120") not in banned


def test_features_are_faster_whispers(clips: list[Clip]) -> None:
    from faster_whisper.feature_extractor import FeatureExtractor

    augment = Augmenter(0)
    rows = [c.audio.astype(np.float32) / 32768 for c in clips]
    audio = augment.line(rows)
    ours, frames = augment.features(audio, np.array([len(r) for r in rows]))
    extractor = FeatureExtractor(hop_length=320, chunk_length=10)
    for i, row in enumerate(rows):
        theirs = extractor(resample(audio[i, : len(row)].numpy(), RATE, 16000))
        assert theirs.shape[1] == frames[i]
        inside = np.abs(theirs - ours[i, :, : frames[i]].numpy())[:54, 2:-2]  # bands below 3.4 kHz
        assert inside.mean() < 0.01
        assert not ours[i, :, frames[i] :].any()


def test_speed_changes_length() -> None:
    assert len(change_speed(np.zeros(1000, np.float32), 1.25)) == 800


def test_batches_are_laid_out_as_whisper_decodes(vocabulary: Vocabulary, clips: list[Clip]) -> None:
    units = CtcUnits(common_characters(), ENGLISH)
    examples = [Example(c, vocabulary.encode(c.text, c.lang), units.encode(c.text, c.lang)) for c in clips]
    batch = make_batch(examples, Augmenter(1), vocabulary, nothing=2)
    assert batch.features.shape[:2] == (5, 80)
    assert batch.inputs[:, 0].tolist() == [vocabulary.sot] * 5
    assert batch.labels[:3, 0].tolist() == [vocabulary.lang["zh"]] * 2 + [vocabulary.lang["en"]]
    assert batch.labels[3:, 0].tolist() == [vocabulary.nospeech] * 2
    for row, e in enumerate(examples):
        label = [i for i in batch.labels[row, 1:].tolist() if i != IGNORED and i <= vocabulary.eot]
        assert label == [*e.tokens, vocabulary.eot]
    assert batch.unit_lengths.tolist()[3:] == [0, 0]
    assert int(batch.unit_lengths[0]) == 12  # w o x ia zh ou w u h uan k uan
    assert torch.isfinite(batch.features).all()


def test_the_pool_is_written_read_and_mixed(tmp_path: Path, vocabulary: Vocabulary, clips: list[Clip]) -> None:
    write_shard(tmp_path / "train-seen-zh-grammar-0-0000.npz", clips[:2])
    again = list(read_shard(tmp_path / "train-seen-zh-grammar-0-0000.npz"))
    assert [(c.text, c.voice) for c in again] == [(c.text, c.voice) for c in clips[:2]]
    assert all(np.array_equal(a.audio, b.audio) for a, b in zip(again, clips, strict=False))
    pool = Pool(tmp_path, vocabulary, CtcUnits(common_characters(), ENGLISH))
    write_shard(tmp_path / "train-seen-en-general-0-0000.npz", clips[2:])
    pool.refresh()
    assert (len(pool.grammar), len(pool.general)) == (2, 1)
    laid = batches(pool, np.random.default_rng(0), positions=400, general_share=0.5, longest=9.0)
    assert sum(len(b) for b in laid) == 1200
    assert max(sum(len(e.clip.audio) // 320 + 6 for e in b) for b in laid) < 800


def test_schedules() -> None:
    assert rate_at(0.0, 0, 1e-3, 100) == pytest.approx(1e-5)
    assert rate_at(0.5, 1000, 1e-3, 100) == pytest.approx(5e-4)
    assert rate_at(1.0, 1000, 1e-3, 100) == pytest.approx(0.0)
    assert longest_at(0.0) < 2 < 8 < longest_at(0.5)


def test_learning_converts_and_loads(tmp_path: Path, vocabulary: Vocabulary, clips: list[Clip]) -> None:
    torch.manual_seed(0)
    units = CtcUnits(common_characters(), ENGLISH)
    examples = [Example(c, vocabulary.encode(c.text, c.lang), units.encode(c.text, c.lang)) for c in clips]
    model, augment = Trained(TINY, vocabulary, units.size), Augmenter(2)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    seen = []
    for _ in range(12):
        attention, ctc = losses(model, make_batch(examples, augment, vocabulary, nothing=1))
        (attention + ctc).backward()
        optimizer.step()
        optimizer.zero_grad()
        seen.append((attention + ctc).item())
    assert seen[-1] < 0.8 * seen[0]
    features, _, _ = augment.batch([c.audio for c in clips], hard=False)
    assert len(greedy(model, features, "zh", vocabulary)) == 3

    run = tmp_path / "run"
    run.mkdir()
    (run / "tokenizer.json").write_bytes(vocabulary.path.read_bytes())
    shape = {name: getattr(TINY, name) for name in TINY.__dataclass_fields__}
    torch.save({"model": model.state_dict(), "shape": shape, "step": 12}, run / "checkpoint.pt")
    convert(run, tmp_path / "model")
    loaded = FasterWhisper.load(tmp_path / "model")
    assert loaded.transcribe(clips[0].audio.astype(np.float32) / 32768, RATE, "zh").lang == "zh"


def test_training_goes_on_from_the_model_that_ships(clips: list[Clip], tmp_path: Path) -> None:
    found = variables(EMBEDDED / "model.bin")
    vocabulary = Vocabulary(EMBEDDED / "tokenizer.json")
    model = Trained(shape(found), vocabulary, 40)
    left = model.load_state_dict(weights(found), strict=False)
    assert set(left.missing_keys) == {"ctc.weight", "ctc.bias"}
    assert not left.unexpected_keys
    features, _, _ = Augmenter(2).batch([clips[0].audio, clips[1].audio], hard=False)
    heard = greedy(model.eval(), features, "zh", vocabulary)
    assert error_rate([(c.text, text) for c, text in zip(clips[:2], heard, strict=True)], "zh") < 0.35

    run = tmp_path / "run"
    run.mkdir()
    (run / "tokenizer.json").write_bytes((EMBEDDED / "tokenizer.json").read_bytes())
    kept = {"model": model.state_dict(), "shape": dataclasses.asdict(model.shape), "step": 0}
    torch.save(kept, run / "checkpoint.pt")
    convert(run, tmp_path / "again")
    again = variables(tmp_path / "again" / "model.bin")
    assert set(again) == set(found)
    for name, value in found.items():
        np.testing.assert_allclose(again[name], value, atol=0.02 * max(1.0, float(np.abs(value).max())))


@pytest.mark.parametrize("damage", ["empty", "cut", "version"])
def test_a_model_that_cannot_be_read_back_is_named(tmp_path: Path, damage: str) -> None:
    whole = (EMBEDDED / "model.bin").read_bytes()
    path = tmp_path / "model.bin"
    path.write_bytes({"empty": b"", "cut": whole[:90_000], "version": b"\x09" + whole[1:]}[damage])
    with pytest.raises(ValueError, match=r"model\.bin"):
        variables(path)


def test_a_fresh_head_learns_from_an_encoder_that_does_not_listen(vocabulary: Vocabulary, clips: list[Clip]) -> None:
    units = CtcUnits(common_characters(), ENGLISH)
    examples = [Example(c, vocabulary.encode(c.text, c.lang), units.encode(c.text, c.lang)) for c in clips]
    model = Trained(TINY, vocabulary, units.size)
    for apart in (True, False):
        model.zero_grad()
        _, ctc = losses(model, make_batch(examples, Augmenter(2), vocabulary, nothing=0), apart)
        ctc.backward()
        assert model.ctc.weight.grad is not None
        first = model.whisper.model.encoder.conv1.weight.grad
        assert (first is None or not first.any()) == apart


def test_flite_is_for_english_and_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert not set(flite.VOICES["seen"]) & set(flite.VOICES["unseen"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RuntimeError, match="flite is not installed"):
        speak("hello", "en", "seen", np.random.default_rng(0), "flite")
    monkeypatch.setattr("sys.argv", ["synth", "--pool", str(tmp_path), "--lang", "zh", "--engine", "flite"])
    with pytest.raises(SystemExit):
        synth.main()
    assert "English only" in capsys.readouterr().err


@pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")
def test_flite_speaks_at_many_paces() -> None:
    rng = np.random.default_rng(1)
    lengths = set()
    for _ in range(4):
        spoken = speak("i can pay on friday", "en", "seen", rng, "flite")
        assert spoken is not None
        assert spoken[1].startswith("flite-")
        lengths.add(len(spoken[0]))
        assert 0.6 * RATE < len(spoken[0]) < 4 * RATE
    assert len(lengths) > 1


def test_no_voice_is_both_seen_and_unseen() -> None:
    assert not set(SEEN_VARIANTS) & set(UNSEEN_VARIANTS)
    rng = np.random.default_rng(0)
    for lang in ("zh", "en"):
        for which in ("seen", "unseen"):
            for _ in range(20):
                voice = draw("zh" if lang == "zh" else "en", "seen" if which == "seen" else "unseen", rng)
                assert len(synthesize("a", voice)[0]) > 0


def test_general_text_is_what_a_synthesiser_says_as_written(tmp_path: Path) -> None:
    assert english("I’ll call you back, ok?") == "i'll call you back ok"
    assert english("I owe $35 on 3 loans") is None
    assert english("see www.example.com") is None
    assert mandarin("我会还的，OK？明天吧！") == ["我会还的", "明天吧"]
    path = tmp_path / "some.csv"
    path.write_text("id,text\n1,我要吃饭了，你呢\n2,https://x.y\n", encoding="utf-8")
    assert general("zh", [path]) == ["我要吃饭了", "你呢"]
    path.write_text("id,other\n1,x\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no column"):
        general("zh", [path])


def test_a_grown_network_hears_what_the_small_one_heard(vocabulary: Vocabulary) -> None:
    torch.manual_seed(0)
    small = Trained(TINY, vocabulary, 20).eval()
    larger = Shape(d_model=32, encoder_layers=3, decoder_layers=2, heads=2, ffn=96)
    large = Trained(larger, vocabulary, 20).eval()
    large.load_state_dict(grow(small.state_dict(), TINY, larger))
    features, tokens = torch.randn(2, 80, 60), torch.randint(0, 300, (2, 7))
    with torch.no_grad():
        said = [m.decode(m.encode(features), tokens) for m in (small, large)]
    torch.testing.assert_close(*said)
    large.decode(large.encode(features), tokens).sum().backward()  # type: ignore[no-untyped-call]
    learns = large.whisper.model.encoder.layers[2].self_attn.out_proj.weight.grad
    assert float(learns.abs().sum()) > 0, "a layer that adds nothing yet must be able to begin"


@pytest.mark.parametrize("other", [Shape(32, 0, 1, 2, 64), Shape(32, 1, 1, 2, 32), Shape(64, 1, 1, 2, 64)])
def test_a_network_does_not_grow_smaller_or_wider(vocabulary: Vocabulary, other: Shape) -> None:
    with pytest.raises(ValueError, match="only layers and feed-forward units"):
        grow(Trained(TINY, vocabulary, 20).state_dict(), TINY, other)


def test_moved_formants_are_heard_where_they_went() -> None:
    filters = Augmenter(0)._mel.numpy()
    np.testing.assert_allclose(warped(filters, 1.0), filters, atol=1e-6)
    tone = np.zeros(filters.shape[1], np.float32)
    tone[25] = 1.0  # 1 kHz
    centre = [float((filters @ np.roll(tone, k)).argmax()) for k in (-3, 0, 3)]
    assert (warped(filters, 0.87) @ tone).argmax() == pytest.approx(centre[0], abs=1)
    assert (warped(filters, 1.12) @ tone).argmax() == pytest.approx(centre[2], abs=1)
    assert np.allclose(warped(filters, 1.15)[:, -1], filters[:, -1]), "the line's upper edge stays"
