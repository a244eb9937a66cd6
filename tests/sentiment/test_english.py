"""The English part: that it is there, that it is used, what its file must hold, and that its trainer teaches it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from sentence_encoder.classifier import head_shapes
from sentence_encoder.network import shapes
from sentence_encoder.pieces import Pieces
from sentiment.corpus.build import Utterance, corpus
from sentiment.english import OUTPUTS, English, readable, save_english
from sentiment.errors import ModelError
from sentiment.labels import INTENTS
from sentiment.meaning import Meaning
from sentiment.model import DEFAULT_MODEL, Calibration, IntentModel, log_softmax
from sentiment.tokens import ASKED
from sentiment.training import __main__ as trainer
from sentiment.training.english import tune
from sentiment.training.evaluate import macro_f1, part
from sentiment.understand import Understander

MONDAY = date(2026, 11, 23)
TURN = "i lost my job last month so could i maybe pay half of it next friday"


@pytest.fixture(scope="module")
def model() -> IntentModel:
    return IntentModel.load()


def small(seed: int) -> tuple[Pieces, dict[str, np.ndarray]]:
    """An encoder of the true shape that knows a few letters and nothing else."""
    drawn = np.random.default_rng(seed)
    pieces = Pieces([f"<{i}>" for i in range(6)] + [*"\u2581abcdefghijklmnopqrstuvwxyz"], [-1.0] * 33)
    weights = {
        name: (
            drawn.normal(0, 0.05, shape) if len(shape) == 2 else np.full(shape, float("norm" in name and "w" in name))
        ).astype(np.float32)
        for name, shape in shapes(len(pieces)).items()
    }
    weights["times"] = np.linspace(1, 1e-4, 128, dtype=np.float32)
    return pieces, weights


def test_it_is_part_of_what_ships_and_changes_english_alone(model: IntentModel) -> None:
    assert model.english is not None
    assert model.calibration.english is not None
    assert min(model.calibration.english) > 0
    without = replace(model, english=None)
    for lang, text in (("en", TURN), ("zh", "我失业了能不能先还一半")):
        with_it, alone = model.scores(text, lang), without.scores(text, lang)
        assert (with_it == alone) == (lang == "zh")


def test_it_reads_families_that_it_never_saw_better_than_the_rest_does() -> None:
    pair = IntentModel.load(DEFAULT_MODEL / "unseen", english=DEFAULT_MODEL / "english.npz")
    rows = [u for u in corpus() if u.lang == "en" and part(u) == "test"][::6]
    requests = [(u.text, "en", u.expects) for u in rows]
    before, now = (
        macro_f1([u.intent for u in rows], [max(s.intents, key=lambda k: s.intents[k]) for s in some.batch(requests)])
        for some in (replace(pair, english=None), pair)
    )
    assert now > before
    assert now > 0.84


def test_without_its_file_the_model_does_not_load(tmp_path: Path) -> None:
    for name in ("encoder.npz", "linear.npz", "meaning.npz", "calibration.json"):
        shutil.copy(DEFAULT_MODEL / name, tmp_path / name)
    with pytest.raises(ModelError, match=r"english\.npz"):
        IntentModel.load(tmp_path)
    assert IntentModel.load(tmp_path, english=DEFAULT_MODEL / "english.npz").english is not None
    calibration = tmp_path / "calibration.json"
    calibration.write_text(json.dumps(json.loads(calibration.read_text("utf-8")) | {"english": None}), "utf-8")
    assert IntentModel.load(tmp_path).english is None


def test_a_calibration_for_english_survives_the_disk(tmp_path: Path, model: IntentModel) -> None:
    model.calibration.save(tmp_path / "calibration.json")
    again = Calibration.load(tmp_path / "calibration.json")
    assert again == model.calibration
    assert set(again.readings) == {"zh", "en"}


def test_how_it_is_written_and_who_stands_beside_make_no_difference(model: IntentModel) -> None:
    assert readable("I CAN\u2019T pay - not today!") == "i can't pay not today"
    english = model.english
    assert english is not None
    one = english.logits([TURN], [None])[0]
    loud = english.logits([TURN.upper() + "!"], [None])[0]
    batch = english.logits(["no", TURN, "please stop calling me at work"], ["identity", None, None])[1]
    assert np.array_equal(one.main, loud.main)
    assert np.allclose(one.main, batch.main, atol=1e-3)


def test_what_was_asked_is_heard(model: IntentModel) -> None:
    english = model.english
    assert english is not None
    at = [*INTENTS].index("confirm_identity")
    after = {asked: log_softmax(english.logits(["yes"], [asked])[0].main)[at] for asked in ("identity", "yes_no")}
    assert after["identity"] > after["yes_no"] + 0.1


def test_a_turn_is_read_once_by_each_encoder(model: IntentModel, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    for part_, name in ((English, "english"), (Meaning, "meaning")):
        logits = part_.logits
        monkeypatch.setattr(
            part_, "logits", lambda self, *a, logits=logits, name=name: read.append(name) or logits(self, *a)
        )
    Understander(model).understand(TURN, "en", today=MONDAY)
    assert sorted(read) == ["english", "meaning"]


def test_tuning_teaches_and_repeats_itself(tmp_path: Path) -> None:
    said = {"abc abc": ("affirm", "positive"), "xyz xyz": ("complain", "angry"), "klm kl": ("hardship", "sad")}
    rows = [
        Utterance(f"{text} {end}", "en", intent, (), emotion, 0.0, 0.0, f"{intent}-{end}")
        for text, (intent, emotion) in said.items()
        for end in "opqr"
    ]
    pieces, weights = small(1)
    once, again = (tune(pieces, weights, some, 1, 3) for some in ([*rows, replace(rows[0], lang="zh")], rows))
    assert all(np.array_equal(once[name], again[name]) for name in once)
    assert not np.array_equal(once["pieces"], weights["pieces"])
    sure = []
    for number, tuned in enumerate((once, tune(pieces, weights, rows, 4, 3))):
        save_english(tmp_path / f"{number}.npz", pieces, tuned)
        read = English.load(tmp_path / f"{number}.npz").logits(list(said), [None] * len(said))
        gold = [[*INTENTS].index(intent) for intent, _ in said.values()]
        sure.append(float(np.mean([log_softmax(r.main)[g] for r, g in zip(read, gold, strict=True)])))
    assert sure[1] > sure[0] + 0.2


def test_weights_of_another_shape_are_refused() -> None:
    pieces, weights = small(2)
    head = {name: np.zeros(shape, dtype=np.float32) for name, shape in head_shapes(len(ASKED), OUTPUTS).items()}
    with pytest.raises(ValueError, match=r"head\.bias"):
        English(pieces, weights | head | {"head.bias": np.zeros(3, dtype=np.float32)})
    with pytest.raises(ValueError, match="33 pieces, weights for 34"):
        English(pieces, weights | head | {"pieces": np.zeros((34, 256), dtype=np.float32)})


def test_the_trainer_names_an_encoder_that_it_cannot_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "english.npz").write_bytes(b"not a model")
    assert trainer.main(["--out", str(tmp_path)]) == 2
    assert "english.npz is damaged" in capsys.readouterr().err.splitlines()[-1]


def test_the_trainer_names_a_folder_that_is_no_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path)]
    assert trainer.main([*out, "--encoder", str(tmp_path)]) == 2
    assert capsys.readouterr().err.strip().splitlines()[-1].startswith(str(tmp_path))
    with pytest.raises(SystemExit):
        trainer.main([*out, "--english-only"])
