"""From a CTranslate2 folder back to a checkpoint: ``python -m asr.training.restore --model DIR --out RUN``.

Whoever has only this repository can so go on training from what ships: ``asr.training.train --init
RUN/checkpoint.pt``. int8 weights come back as they are heard today (a row's integers over its scale); the CTC head,
which conversion drops, begins afresh, and the trainer lets it catch up before the encoder listens to it.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr.training.model import Shape

_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_VERSION = 6

Variables = Mapping[str, NDArray[np.float32]]


def variables(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every variable of a ``model.bin`` (CTranslate2's binary version 6, model_spec.py), int8 multiplied out.

    Raises:
        ValueError: ``path`` is of another version, or cut short.
    """
    data = path.read_bytes()
    at = 0

    def take(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(form)
        return int(value)

    def name() -> str:
        nonlocal at
        length = take("H")
        at += length
        return data[at - length : at].rstrip(b"\0").decode()

    try:
        if take("I") != _VERSION:
            raise ValueError(f"not of binary version {_VERSION}")
        name(), take("I")
        raw = {}
        for _ in range(take("I")):
            key, shape = name(), tuple(take("I") for _ in range(take("B")))
            kind, size = _TYPES[take("B")], take("I")
            raw[key] = np.frombuffer(data, kind, size // np.dtype(kind).itemsize, at).reshape(shape)
            at += size
    except (struct.error, KeyError, ValueError) as error:
        raise ValueError(f"{path}: not a whole CTranslate2 model: {error}") from error
    out = {}
    for key, value in raw.items():
        scale = raw.get(f"{key}_scale")
        if scale is None:
            out[key] = value.astype(np.float32)
        else:
            out[key] = value.astype(np.float32) / scale.reshape(-1, *[1] * (value.ndim - 1))
    return out


def shape(found: Variables) -> Shape:
    """The sizes of the network that ``found`` belongs to."""
    layers = {
        part: sum(f"{part}/layer_{i}/ffn/linear_0/bias" in found for i in range(99)) for part in ("encoder", "decoder")
    }
    return Shape(
        d_model=found["decoder/embeddings/weight"].shape[1],
        encoder_layers=layers["encoder"],
        decoder_layers=layers["decoder"],
        heads=int(found["encoder/num_heads"]),
        ffn=found["encoder/layer_0/ffn/linear_0/weight"].shape[0],
    )


def weights(found: Variables) -> dict[str, Tensor]:
    """``found`` under transformers' names, as ``asr.training.model.Trained`` holds them, without the CTC head."""
    out: dict[str, NDArray[np.float32]] = {}
    sizes = shape(found)

    def both(to: str, source: str, rows: slice = slice(None), *, bias: bool = True) -> None:
        out[f"{to}.weight"] = found[f"{source}/weight"][rows]
        if bias:
            out[f"{to}.bias"] = found[f"{source}/bias"][rows]

    def norm(to: str, source: str) -> None:
        out[f"{to}.weight"], out[f"{to}.bias"] = found[f"{source}/gamma"], found[f"{source}/beta"]

    d = sizes.d_model
    q, k, v = (slice(i * d, (i + 1) * d) for i in range(3))
    out["encoder.embed_positions.weight"] = found["encoder/position_encodings/encodings"]
    out["decoder.embed_positions.weight"] = found["decoder/position_encodings/encodings"]
    out["decoder.embed_tokens.weight"] = found["decoder/embeddings/weight"]
    both("encoder.conv1", "encoder/conv1")
    both("encoder.conv2", "encoder/conv2")
    for part, depth in (("encoder", sizes.encoder_layers), ("decoder", sizes.decoder_layers)):
        norm(f"{part}.layer_norm", f"{part}/layer_norm")
        for i in range(depth):
            to, source = f"{part}.layers.{i}", f"{part}/layer_{i}"
            attention = f"{source}/self_attention"
            norm(f"{to}.self_attn_layer_norm", f"{attention}/layer_norm")
            both(f"{to}.self_attn.q_proj", f"{attention}/linear_0", q)
            both(f"{to}.self_attn.k_proj", f"{attention}/linear_0", k, bias=False)
            both(f"{to}.self_attn.v_proj", f"{attention}/linear_0", v)
            both(f"{to}.self_attn.out_proj", f"{attention}/linear_1")
            if part == "decoder":
                attention = f"{source}/attention"
                norm(f"{to}.encoder_attn_layer_norm", f"{attention}/layer_norm")
                both(f"{to}.encoder_attn.q_proj", f"{attention}/linear_0")
                both(f"{to}.encoder_attn.k_proj", f"{attention}/linear_1", q, bias=False)
                both(f"{to}.encoder_attn.v_proj", f"{attention}/linear_1", k)
                both(f"{to}.encoder_attn.out_proj", f"{attention}/linear_2")
            norm(f"{to}.final_layer_norm", f"{source}/ffn/layer_norm")
            both(f"{to}.fc1", f"{source}/ffn/linear_0")
            both(f"{to}.fc2", f"{source}/ffn/linear_1")
    named = {f"whisper.model.{key}": torch.from_numpy(np.ascontiguousarray(value)) for key, value in out.items()}
    return {**named, "whisper.proj_out.weight": named["whisper.model.decoder.embed_tokens.weight"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--model", type=Path, required=True, help="a CTranslate2 folder that asr.training.convert wrote"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoint.pt and tokenizer.json")
    args = parser.parse_args()
    found = variables(args.model / "model.bin")
    args.out.mkdir(parents=True, exist_ok=True)
    saved = {"model": weights(found), "shape": dataclasses.asdict(shape(found)), "step": 0}
    torch.save(saved, args.out / "checkpoint.pt")
    shutil.copy(args.model / "tokenizer.json", args.out)


if __name__ == "__main__":
    main()
