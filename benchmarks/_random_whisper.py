"""A Whisper of a published size with random weights: what it costs, without what it knows.

A frame and a token cost the same whatever the weights say; only how much is said must be fixed, since random weights
never stop. The vocabulary is the embedded model's, a tenth of the published one.
"""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

from faster_whisper import WhisperModel

from asr.whisper import EMBEDDED

SHAPES = {"tiny": (384, 4, 4, 6), "base": (512, 6, 6, 8), "small": (768, 12, 12, 12)}
"""Published sizes (Radford et al. 2022, table 1): width, encoder and decoder layers, heads."""
TOKENS_A_SECOND = 4.0


class Paced:
    """A CTranslate2 Whisper that decodes so many tokens for each second of context, as random weights never stop."""

    def __init__(self, model: Any, frames_a_second: float, end: int) -> None:
        self._model, self._rate, self._end = model, frames_a_second, end

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def generate(self, encoded: Any, prompts: Any, **options: Any) -> Any:
        length = math.ceil(TOKENS_A_SECOND * encoded.shape[1] / self._rate)
        options |= {"max_length": min(len(prompts[0]) + length, 150), "suppress_tokens": [self._end]}
        return self._model.generate(encoded, prompts, **options)


def random_model(size: str, folder: Path) -> Path:
    """Write such a model below ``folder``, int8, as faster-whisper loads it; returns its folder."""
    from ctranslate2.converters import TransformersConverter

    from asr.training.convert import _tokenizer_files
    from asr.training.model import Shape, build_whisper
    from asr.training.tokenizer import Vocabulary

    width, encoder, decoder, heads = SHAPES[size]
    source, target = folder / "hf", folder / "ct2"
    vocabulary = Vocabulary(EMBEDDED / "tokenizer.json")
    build_whisper(Shape(width, encoder, decoder, heads, 4 * width), vocabulary).save_pretrained(source)
    shutil.copy(EMBEDDED / "tokenizer.json", source)
    features = {"feature_size": 80, "sampling_rate": 16000, "hop_length": 160, "chunk_length": 30, "n_fft": 400}
    (source / "preprocessor_config.json").write_text(json.dumps({**features, "max_target_positions": 160}))
    _tokenizer_files(source, vocabulary)
    converter = TransformersConverter(str(source), copy_files=["tokenizer.json", "preprocessor_config.json"])
    converter.convert(str(target), quantization="int8", force=True)
    shutil.rmtree(source)
    return target


def paced(model: WhisperModel) -> WhisperModel:
    """``model``, made to stop as speech would."""
    end = model.hf_tokenizer.token_to_id("<|endoftext|>")
    model.model = Paced(model.model, model.frames_per_second / 2, end)  # the encoder halves the frames
    return model
