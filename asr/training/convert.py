"""From a checkpoint to the folder faster-whisper loads: ``python -m asr.training.convert --run DIR --out DIR``.

int8 weights by CTranslate2. The folder is written beside its final place and swapped in whole.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import torch

from asr.training.model import HOP, MAX_TARGET, Shape, build_whisper
from asr.training.tokenizer import Vocabulary

CHUNK_SECONDS = 10


def convert(run: Path, out: Path) -> None:
    """Write ``out`` from ``run/checkpoint.pt`` and ``run/tokenizer.json``; files of other names in ``out`` stay."""
    from ctranslate2.converters import TransformersConverter

    vocabulary = Vocabulary(run / "tokenizer.json")
    saved = torch.load(run / "checkpoint.pt", weights_only=True)
    model = build_whisper(Shape(**saved["shape"]), vocabulary)
    weights = {k.removeprefix("whisper."): v for k, v in saved["model"].items() if k.startswith("whisper.")}
    model.load_state_dict(weights)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "hf"), Path(folder, "ct2")
        model.save_pretrained(source)
        shutil.copy(run / "tokenizer.json", source)
        (source / "preprocessor_config.json").write_text(
            json.dumps({"feature_size": 80, "sampling_rate": 16000, "hop_length": HOP, "chunk_length": CHUNK_SECONDS,
                        "n_fft": 400, "feature_extractor_type": "WhisperFeatureExtractor",
                        "max_target_positions": MAX_TARGET, "takes_prompts": False, "short_context": True}, indent=1)
        )  # fmt: skip
        _tokenizer_files(source, vocabulary)
        TransformersConverter(str(source), copy_files=["tokenizer.json", "preprocessor_config.json"]).convert(
            str(target), quantization="int8", force=True
        )
        out.mkdir(parents=True, exist_ok=True)
        for path in sorted(target.iterdir()):
            fresh = out / f"{path.name}.new"
            shutil.copy(path, fresh)
            fresh.rename(out / path.name)


def _tokenizer_files(folder: Path, vocabulary: Vocabulary) -> None:
    """What transformers needs to load the tokenizer.json as a Whisper tokenizer during conversion."""
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "WhisperTokenizerFast", "unk_token": "<|endoftext|>",
                    "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "model_max_length": 160})
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="the trainer's output folder")
    parser.add_argument("--out", type=Path, required=True, help="the model's folder")
    args = parser.parse_args()
    convert(args.run, args.out)


if __name__ == "__main__":
    main()
