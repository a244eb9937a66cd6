"""The network: a small true Whisper, with a CTC head beside it that only training sees.

The attention decoder alone learns slowly from scratch; a CTC loss on the encoder (Kim, Hori, Watanabe 2017, joint
CTC-attention) gives the encoder its alignment early. Its units are sounds,
not characters: few, frequent, and free of homophones, which no ear can tell apart. The head is dropped at export.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from asr.training.tokenizer import Vocabulary
from asr.training.voices import Lang
from audio.broken_torchaudio import without_torchaudio_library

HOP = 320
"""Feature hop in samples at 16 kHz: 20 ms, so that the encoder, which halves it, runs at 25 Hz."""
MAX_SOURCE = 1500
"""Encoder positions, Whisper's own number; position embeddings are sinusoids, so short contexts cost nothing."""
MAX_TARGET = 160


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of the network."""

    d_model: int = 256
    encoder_layers: int = 4
    decoder_layers: int = 2
    heads: int = 4
    ffn: int = 1024
    dropout: float = 0.0


def build_whisper(shape: Shape, vocabulary: Vocabulary) -> Any:
    """A fresh ``WhisperForConditionalGeneration`` of ``shape`` over ``vocabulary``."""
    without_torchaudio_library()
    from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

    harmless = vocabulary.id("")  # begin_suppress_tokens may not be empty; eot must stay possible: silence has no text
    config = WhisperConfig(
        vocab_size=vocabulary.size,
        num_mel_bins=80,
        d_model=shape.d_model,
        encoder_layers=shape.encoder_layers,
        decoder_layers=shape.decoder_layers,
        encoder_attention_heads=shape.heads,
        decoder_attention_heads=shape.heads,
        encoder_ffn_dim=shape.ffn,
        decoder_ffn_dim=shape.ffn,
        dropout=shape.dropout,
        max_source_positions=MAX_SOURCE,
        max_target_positions=MAX_TARGET,
        pad_token_id=vocabulary.eot,
        bos_token_id=vocabulary.eot,
        eos_token_id=vocabulary.eot,
        decoder_start_token_id=vocabulary.sot,
        suppress_tokens=[],
        begin_suppress_tokens=[harmless],
    )
    config._attn_implementation = "eager"  # faster than CPU flash attention's backward pass at these lengths
    model = WhisperForConditionalGeneration(config)
    last = shape.decoder_layers - 1
    model.generation_config = GenerationConfig(  # type: ignore[no-untyped-call]
        lang_to_id={f"<|{lang}|>": i for lang, i in vocabulary.lang.items()},
        task_to_id={"transcribe": vocabulary.transcribe, "translate": vocabulary.id("<|translate|>")},
        no_timestamps_token_id=vocabulary.notimestamps,
        is_multilingual=True,
        alignment_heads=[[last, head] for head in range(shape.heads)],
        suppress_tokens=[],
        begin_suppress_tokens=[harmless],
        decoder_start_token_id=vocabulary.sot,
        eos_token_id=vocabulary.eot,
        pad_token_id=vocabulary.eot,
        bos_token_id=vocabulary.eot,
        max_length=MAX_TARGET,
    )
    return model


class Trained(nn.Module):
    """Whisper and the CTC head. Features are [batch, 80, frames], the encoder's output [batch, frames/2, d_model]."""

    def __init__(self, shape: Shape, vocabulary: Vocabulary, ctc_units: int) -> None:
        super().__init__()
        self.shape = shape
        self.whisper = build_whisper(shape, vocabulary)
        self.ctc = nn.Linear(shape.d_model, ctc_units)

    def encode(self, features: Tensor) -> Tensor:
        """The encoder without transformers' demand that every input fill all positions."""
        encoder = self.whisper.model.encoder
        hidden = functional.gelu(encoder.conv1(features))
        hidden = functional.gelu(encoder.conv2(hidden)).transpose(1, 2)
        hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
        hidden = functional.dropout(hidden, self.shape.dropout, self.training)
        for layer in encoder.layers:
            out = layer(hidden, None)
            hidden = out[0] if isinstance(out, tuple) else out
        normed: Tensor = encoder.layer_norm(hidden)
        return normed

    def decode(self, encoded: Tensor, tokens: Tensor) -> Tensor:
        """Logits [batch, length, vocabulary] after each of ``tokens``."""
        hidden = self.whisper.model.decoder(
            input_ids=tokens, encoder_hidden_states=encoded, use_cache=False
        ).last_hidden_state
        logits: Tensor = self.whisper.proj_out(hidden)
        return logits


class CtcUnits:
    """What the CTC head names: blank (0), Mandarin initials and toned finals, English phonemes as espeak-ng has them.

    A few hundred units that each are heard often: an encoder learns them from scratch in minutes.
    """

    def __init__(self, characters: list[str], english: Iterable[str]) -> None:
        self._phonemes = _english_phonemes(sorted({w for line in english for w in line.split()}))
        names = {u for c in characters for u in self._syllables(c)} | {u for w in self._phonemes.values() for u in w}
        self._id = {name: i + 1 for i, name in enumerate(sorted(names))}
        self.size = 1 + len(self._id)

    def _syllables(self, text: str) -> list[str]:
        from pypinyin import Style, lazy_pinyin

        initials = lazy_pinyin(text, style=Style.INITIALS, strict=False)
        finals = lazy_pinyin(text, style=Style.FINALS_TONE3, strict=False, neutral_tone_with_five=True)
        return [f"zh-{u}" for pair in zip(initials, finals, strict=True) for u in pair if u]

    def encode(self, text: str, lang: Lang) -> list[int]:
        """Units of one sentence; what has none (a rare reading) is left out."""
        names = self._syllables(text) if lang == "zh" else [u for w in text.split() for u in self._phonemes.get(w, ())]
        return [self._id[u] for u in names if u in self._id]


def _english_phonemes(words: list[str]) -> dict[str, list[str]]:
    """espeak-ng's American phonemes of every word, without stress (``espeak_TextToPhonemes``, speak_lib.h)."""
    import espeakng_loader

    lib = ctypes.CDLL(espeakng_loader.get_library_path())
    lib.espeak_Initialize(0x02, 0, espeakng_loader.get_data_path().encode(), 0x8000)
    lib.espeak_SetVoiceByName(b"en-us")
    lib.espeak_TextToPhonemes.restype = ctypes.c_char_p
    lib.espeak_TextToPhonemes.argtypes = [ctypes.POINTER(ctypes.c_char_p), ctypes.c_int, ctypes.c_int]
    found = {}
    for word in words:
        pointer = ctypes.c_char_p(word.encode())
        said = (lib.espeak_TextToPhonemes(ctypes.byref(pointer), 1, ord("_") << 8) or b"").decode()
        parts = (re.sub(r"[',%=:|~;\"_!?-]", "", part) for part in said.replace(" ", "_").split("_"))
        found[word] = [f"en-{part}" for part in parts if part]
    return found
