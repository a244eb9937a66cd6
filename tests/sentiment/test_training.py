"""What training is made of: the moods set beside plain sentences, and ensembles that keep an older member."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sentiment.corpus.build import FOLDER, UNSEEN, corpus, load
from sentiment.encoder import Encoder
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.model import DEFAULT_MODEL
from sentiment.training import augment
from sentiment.training.transformer import beside, members_of, save_encoder, silent


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_every_marked_emotion_has_many_sayings(lang: str) -> None:
    moods = augment.feelings()[lang]
    assert set(moods) == set(EMOTIONS) - {"neutral"}
    for said in moods.values():
        assert len(said) >= 40
        assert all(s == s.strip() and s for s in said)


def test_no_blind_sentence_is_trained_on() -> None:
    trained = {(u.lang, u.text) for u in corpus()}
    blind = [u for name in UNSEEN for u in load(FOLDER / f"{name}.jsonl")]
    assert blind
    assert [u.text for u in blind if (u.lang, u.text) in trained] == []


def test_an_older_member_says_nothing_of_emotion(tmp_path: Path) -> None:
    tokenizer, members = members_of(DEFAULT_MODEL / "unseen" / "encoder.npz")
    older = {name: value.copy() for name, value in members[0].items()}
    older["head.bias"][: len(INTENTS)] += 1.0
    for name in ("head.weight", "head.bias"):
        older[name][2 * len(INTENTS) :] = 0.0
    assert silent(older)
    assert not silent(members[0])
    save_encoder(tmp_path / "pair.npz", tokenizer, beside(members[0], [older]))
    save_encoder(tmp_path / "one.npz", tokenizer, members)
    said = [tokenizer.encode("你们太过分了", "zh"), tokenizer.encode("i'll pay on friday", "en")]
    pair, one = (Encoder.load(tmp_path / name).logits(said) for name in ("pair.npz", "one.npz"))
    for p, o in zip(pair, one, strict=True):
        assert np.allclose(p.emotion, o.emotion, atol=0.2)
        assert np.allclose(p.main, o.main + 0.5, atol=0.2)
