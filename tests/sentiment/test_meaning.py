"""The head on the multilingual encoder: that it is there, that it helps, what its file must hold, and how it learns."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sentence_encoder import multilingual
from sentence_encoder.multilingual import MultilingualError, shipped
from sentiment.corpus.build import Utterance, corpus
from sentiment.errors import ModelError
from sentiment.labels import INTENTS
from sentiment.meaning import Meaning, save_meaning
from sentiment.model import DEFAULT_MODEL, Calibration, IntentModel
from sentiment.training import __main__ as trainer
from sentiment.training.evaluate import macro_f1, part
from sentiment.training.meaning import learn_meaning

SAID = {"zh": "我失业了能不能先还一半", "en": "i lost my job could i maybe pay half of it"}


@pytest.fixture(scope="module")
def model() -> IntentModel:
    return IntentModel.load()


def test_it_has_its_say_in_both_languages(model: IntentModel) -> None:
    without = replace(model, meaning=None)
    for lang, text in SAID.items():
        assert model.calibration.meaning[lang][0] > 0
        assert model.scores(text, lang) != without.scores(text, lang)


@pytest.mark.parametrize(("lang", "least"), [("zh", 0.82), pytest.param("en", 0.85, marks=pytest.mark.slow)])
def test_it_reads_families_that_it_never_saw_better_than_the_rest_does(lang: str, least: float) -> None:
    pair = IntentModel.load(DEFAULT_MODEL / "unseen", english=DEFAULT_MODEL / "english.npz")
    rows = [u for u in corpus() if u.lang == lang and part(u) == "test"][::4]
    requests = [(u.text, lang, u.expects) for u in rows]
    before, now = (
        macro_f1([u.intent for u in rows], [max(s.intents, key=lambda k: s.intents[k]) for s in some.batch(requests)])
        for some in (replace(pair, meaning=None), pair)
    )
    assert now > before
    assert now > least


def test_a_turn_does_not_depend_on_who_stands_beside_it(model: IntentModel) -> None:
    requests = [(text, lang, None) for lang, text in SAID.items()]
    for request, together in zip(requests, model.batch(requests), strict=True):
        alone = model.scores(*request)
        assert max(alone.intents, key=lambda k: alone.intents[k]) == max(
            together.intents, key=lambda k: together.intents[k]
        )
        assert np.allclose([*alone.intents.values()], [*together.intents.values()], atol=1e-3)


def test_without_its_file_the_model_does_not_load(tmp_path: Path) -> None:
    for name in ("encoder.npz", "linear.npz", "english.npz", "calibration.json"):
        shutil.copy(DEFAULT_MODEL / name, tmp_path / name)
    with pytest.raises(ModelError, match=r"meaning\.npz"):
        IntentModel.load(tmp_path)
    calibration = tmp_path / "calibration.json"
    calibration.write_text(json.dumps(json.loads(calibration.read_text("utf-8")) | {"meaning": {}}), "utf-8")
    assert IntentModel.load(tmp_path).meaning is None


def test_an_encoder_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise MultilingualError("multilingual.npz: there is no sentence encoder")

    monkeypatch.setattr("sentiment.meaning.shipped", missing)
    with pytest.raises(ModelError, match=r"multilingual\.npz"):
        IntentModel.load()


@pytest.mark.parametrize(
    "change", [{"share": [0.4]}, {"readings": {"zh": {}}}, {"meaning": {"zh": 1}}, {"readings": []}]
)
def test_a_calibration_that_does_not_fit_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(json.loads((DEFAULT_MODEL / "calibration.json").read_text("utf-8")) | change), "utf-8")
    with pytest.raises(ModelError, match=r"calibration\.json is damaged"):
        Calibration.load(path)


def test_it_learns_what_it_is_shown_and_reads_its_like(tmp_path: Path) -> None:
    said = {
        ("zh", "请不要再打来了"): "stop_contact",
        ("zh", "我下个月一号还"): "promise_to_pay",
        ("en", "do not ring me again"): "stop_contact",
        ("en", "i will pay it on monday"): "promise_to_pay",
    }
    rows = [
        Utterance(text, lang, intent, (), "neutral", 0.0, 0.0, f"{intent}-{lang}-{number}")
        for (lang, text), intent in said.items()
        for number in range(6)
    ]
    once, again = (learn_meaning(shipped(), rows, 3, passes=30) for _ in range(2))
    assert all(np.array_equal(once[name], again[name]) for name in once)
    save_meaning(tmp_path / "meaning.npz", once)
    read = Meaning.load(tmp_path / "meaning.npz").logits(["别再给我打电话", "i can pay you on tuesday"], [None, None])
    assert [[*INTENTS][i] for i in read[:, : len(INTENTS)].argmax(axis=1)] == ["stop_contact", "promise_to_pay"]


def test_the_trainer_names_an_encoder_that_is_not_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise MultilingualError("multilingual.npz: there is no sentence encoder")

    monkeypatch.setattr(multilingual, "shipped", missing)
    assert trainer.main(["--out", str(tmp_path), "--meaning-only"]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == "multilingual.npz: there is no sentence encoder"
    assert not any(tmp_path.rglob("*.npz"))
