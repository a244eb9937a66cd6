"""A larger network that begins where a smaller one stopped: ``python -m asr.training.grow --run RUN --out OUT …``.

New layers copy the last one's weights but add nothing at first (their output projections are zero), and new
feed-forward units go nowhere at first, so that the grown network hears exactly what the small one heard (after Chen,
Goodfellow, Shlens 2016, Net2Net). Training then starts from there: ``asr.training.train --init OUT/checkpoint.pt``.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import shutil
from pathlib import Path

import torch
from torch import Tensor

from asr.training.model import Shape

_LAYER = re.compile(r"(whisper\.model\.(encoder|decoder)\.layers\.)(\d+)\.(.+)")
_ADDS = ("self_attn.out_proj.", "encoder_attn.out_proj.", "fc2.")


def grow(weights: dict[str, Tensor], old: Shape, new: Shape, seed: int = 0) -> dict[str, Tensor]:
    """``weights`` of a network of shape ``old`` laid out for ``new``, computing the same.

    Raises:
        ValueError: ``new`` is narrower, shallower, or of another width or number of heads.
    """
    deeper = new.encoder_layers >= old.encoder_layers and new.decoder_layers >= old.decoder_layers
    if not deeper or new.ffn < old.ffn or (new.d_model, new.heads) != (old.d_model, old.heads):
        raise ValueError(f"{old} does not grow into {new}: only layers and feed-forward units can be added")
    random = torch.Generator().manual_seed(seed)
    out = {name: _wider(name, value, old.ffn, new.ffn, random) for name, value in weights.items()}
    depths = {"encoder": (old.encoder_layers, new.encoder_layers), "decoder": (old.decoder_layers, new.decoder_layers)}
    for name, value in list(out.items()):
        if not (at := _LAYER.fullmatch(name)):
            continue
        before, after = depths[at[2]]
        if int(at[3]) == before - 1:
            for layer in range(before, after):
                fresh = torch.zeros_like(value) if at[4].startswith(_ADDS) else value.clone()
                out[f"{at[1]}{layer}.{at[4]}"] = fresh
    return out


def _wider(name: str, value: Tensor, old: int, new: int, random: torch.Generator) -> Tensor:
    """Feed-forward weights with ``new - old`` further units: random what they read, zero what they add."""
    if new == old or not _LAYER.fullmatch(name):
        return value
    if name.endswith("fc1.weight"):
        return torch.cat([value, torch.randn(new - old, value.shape[1], generator=random) * value.std()])
    if name.endswith("fc1.bias"):
        return torch.cat([value, torch.zeros(new - old)])
    if name.endswith("fc2.weight"):
        return torch.cat([value, torch.zeros(value.shape[0], new - old)], 1)
    return value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="the smaller network's output folder")
    parser.add_argument("--out", type=Path, required=True, help="folder for the grown checkpoint")
    parser.add_argument("--encoder-layers", type=int, default=6)
    parser.add_argument("--decoder-layers", type=int, default=3)
    parser.add_argument("--ffn", type=int, default=1536)
    args = parser.parse_args()
    saved = torch.load(args.run / "checkpoint.pt", weights_only=True)
    old = Shape(**saved["shape"])
    new = dataclasses.replace(old, encoder_layers=args.encoder_layers, decoder_layers=args.decoder_layers, ffn=args.ffn)
    args.out.mkdir(parents=True, exist_ok=True)
    grown = {"model": grow(saved["model"], old, new), "shape": dataclasses.asdict(new), "step": saved["step"]}
    torch.save(grown, args.out / "checkpoint.pt")
    shutil.copy(args.run / "tokenizer.json", args.out)


if __name__ == "__main__":
    main()
