"""Make ``asr/models/voice-embedding-ge2e/weights.npz`` from Resemblyzer's checkpoint.

    pip download --no-deps resemblyzer==0.1.4 && unzip Resemblyzer-0.1.4-py3-none-any.whl resemblyzer/pretrained.pt
    python -m asr.diarization.convert resemblyzer/pretrained.pt

The checkpoint also holds the optimiser's state and the loss's two numbers; the encoder alone is kept, in half
precision.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from asr.diarization.embedding import WEIGHTS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    args = parser.parse_args()
    import torch

    state = {k: v.numpy() for k, v in torch.load(args.checkpoint, weights_only=True, map_location="cpu")["model_state"].items()}  # fmt: skip # noqa: E501
    kept = {"out": state["linear.weight"], "out_bias": state["linear.bias"]}
    for i in range(3):
        kept[f"ih{i}"], kept[f"hh{i}"] = state[f"lstm.weight_ih_l{i}"], state[f"lstm.weight_hh_l{i}"]
        kept[f"bias{i}"] = state[f"lstm.bias_ih_l{i}"] + state[f"lstm.bias_hh_l{i}"]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(args.out, **{name: value.astype(np.float16) for name, value in kept.items()})


if __name__ == "__main__":
    main()
