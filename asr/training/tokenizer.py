"""The embedded model's vocabulary: one token a Chinese character, some hundred English word pieces, else bytes.

A byte-level BPE as Whisper's own, so that every text can be written. Merges never join two characters: a
Mandarin character is one token, which keeps the output as long as it sounds. The order of special tokens is
Whisper's (openai/whisper ``tokenizer.py``), which CTranslate2 and faster-whisper rely on: text, end of text, start
of transcript, languages, tasks, no speech, no timestamps, and the timestamps last.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from asr.training.voices import Lang

LANGS: tuple[Lang, ...] = ("zh", "en")
TIMESTAMPS = 501
"""Timestamp tokens: every 0.02 s from 0.00 to 10.00 s."""
_ALONE = (" -", " '", " \u00e2")
# faster-whisper's default suppress list bans the first token of " -", " '" and " ♪". Where these are no tokens of
# their own that is the bare space, which words need: so they are (the last stands for the first byte of ♪).


def _byte_symbols() -> dict[int, str]:
    """GPT-2's printable stand-in for every byte."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = (b for b in range(256) if b not in keep)
    return {**{b: chr(b) for b in keep}, **{b: chr(256 + i) for i, b in enumerate(rest)}}


def build(characters: Sequence[str], english: Iterable[str], merges: int, out: Path) -> None:
    """Write ``out`` (a tokenizer.json) that holds ``characters`` and ``merges`` pieces learned from ``english``."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    symbols = _byte_symbols()
    learner = Tokenizer(models.BPE())
    learner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + merges, initial_alphabet=list(symbols.values()), show_progress=False, max_token_length=8
    )
    learner.train_from_iterator((f" {line}" for line in english), trainer)
    learned: list[Any] = json.loads(learner.to_str())["model"]["merges"]
    pairs: list[tuple[str, str]] = [(m[0], m[1]) for m in learned]
    pairs += [(symbols[32], a[1]) for a in _ALONE]
    for character in characters:
        a, b, c = (symbols[byte] for byte in character.encode())
        pairs += [(a, b), (a + b, c)]
    pairs = list(dict.fromkeys(pairs))

    vocabulary = {s: i for i, s in enumerate(symbols.values())}
    for left, right in pairs:
        vocabulary.setdefault(left + right, len(vocabulary))
    vocabulary[""] = len(vocabulary)  # CTranslate2 takes a vocabulary without "" for an English-only Whisper
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=pairs))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(
        ["<|endoftext|>", "<|startoftranscript|>", *(f"<|{lang}|>" for lang in LANGS), "<|translate|>",
         "<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    )  # fmt: skip
    tokenizer.add_special_tokens([f"<|{i * 0.02:.2f}|>" for i in range(TIMESTAMPS)])
    out.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(out))


class Vocabulary:
    """A tokenizer.json with the ids that training needs by name."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer

        self.path = path
        self.tokenizer = Tokenizer.from_file(str(path))
        self.size: int = self.tokenizer.get_vocab_size()
        self.eot = self.id("<|endoftext|>")
        self.sot = self.id("<|startoftranscript|>")
        self.transcribe = self.id("<|transcribe|>")
        self.nospeech = self.id("<|nospeech|>")
        self.notimestamps = self.id("<|notimestamps|>")
        self.lang: dict[Lang, int] = {lang: self.id(f"<|{lang}|>") for lang in LANGS}

    def id(self, token: str) -> int:
        found = self.tokenizer.token_to_id(token)
        if found is None:
            raise ValueError(f"{self.path}: no token {token!r}")
        return int(found)

    def encode(self, text: str, lang: Lang) -> list[int]:
        """Text tokens; English begins with a space, as Whisper's does."""
        ids: list[int] = self.tokenizer.encode(f" {text}" if lang == "en" else text, add_special_tokens=False).ids
        return ids

    def decode(self, ids: Iterable[int]) -> str:
        text: str = self.tokenizer.decode([i for i in ids if i < self.eot])
        return text.strip()

    def timestamp(self, seconds: float) -> int:
        """The token nearest to ``seconds``."""
        return self.notimestamps + 1 + min(TIMESTAMPS - 1, max(0, round(seconds / 0.02)))
