"""From the pool to batches: which clips are learned from when, and how they are laid out for the decoder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asr.training.augment import Augmenter, Placed
from asr.training.model import CtcUnits
from asr.training.pool import Clip, read_shard
from asr.training.tokenizer import Vocabulary
from audio.telephone import RATE

IGNORED = -100
"""Label of a position that no loss counts."""


@dataclass(frozen=True, slots=True)
class Example:
    """A clip with its tokens, ready to batch. ``lang`` None: nobody speaks."""

    clip: Clip
    tokens: list[int]
    units: list[int]


class Pool:
    """The training clips, re-read from disk as shards appear."""

    def __init__(self, folder: Path, vocabulary: Vocabulary, units: CtcUnits, prefix: str = "train-") -> None:
        self.folder, self.vocabulary, self.units, self.prefix = folder, vocabulary, units, prefix
        self._seen: set[str] = set()
        self.grammar: list[Example] = []
        self.general: list[Example] = []
        self.refresh()

    def refresh(self) -> None:
        for path in sorted(self.folder.glob(f"{self.prefix}*.npz")):
            if path.name in self._seen:
                continue
            self._seen.add(path.name)
            kept = self.general if "-general-" in path.name else self.grammar
            for clip in read_shard(path):
                tokens = self.vocabulary.encode(clip.text, clip.lang)
                kept.append(Example(clip, tokens, self.units.encode(clip.text, clip.lang)))

    def draw(self, n: int, rng: np.random.Generator, general_share: float, longest: float) -> list[Example]:
        """About ``n`` random examples of at most ``longest`` seconds, ``general_share`` of them general text."""
        drawn: list[Example] = []
        for examples, share in ((self.general, general_share), (self.grammar, 1 - general_share)):
            fitting = [e for e in examples if len(e.clip.audio) <= longest * RATE]
            if fitting:
                drawn += [fitting[i] for i in rng.integers(len(fitting), size=int(n * share))]
        return drawn


@dataclass(frozen=True, slots=True)
class Batch:
    """Features [n, 80, frames]; decoder input and labels [n, length]; CTC targets, concatenated; lengths."""

    features: Tensor
    inputs: Tensor
    labels: Tensor
    units: Tensor
    unit_lengths: Tensor
    encoder_lengths: Tensor


def make_batch(examples: list[Example], augment: Augmenter, vocabulary: Vocabulary, nothing: int) -> Batch:
    """Augment ``examples``, add ``nothing`` clips without speech, and lay out prompts as Whisper does."""
    rng = augment.rng
    clips = [e.clip.audio for e in examples] + [augment.nothing() for _ in range(nothing)]
    features, lengths, placed = augment.batch(clips)
    rows = [_prompt(e, place, vocabulary, rng) for e, place in zip(examples, placed, strict=False)]
    for _ in range(nothing):
        lang = vocabulary.lang["zh" if rng.random() < 0.5 else "en"]
        prompt = [vocabulary.sot, lang, vocabulary.transcribe, vocabulary.notimestamps]
        rows.append((prompt, [vocabulary.nospeech, IGNORED, IGNORED, vocabulary.eot]))
    longest = max(len(inputs) for inputs, _ in rows)
    inputs = torch.full((len(rows), longest), vocabulary.eot)
    labels = torch.full((len(rows), longest), IGNORED)
    for i, (row, label) in enumerate(rows):
        inputs[i, : len(row)] = torch.tensor(row)
        labels[i, : len(label)] = torch.tensor(label)
    return Batch(
        features,
        inputs,
        labels,
        torch.tensor([u for e in examples for u in e.units], dtype=torch.long),
        torch.tensor([len(e.units) for e in examples] + [0] * nothing),
        torch.from_numpy(lengths),
    )


def _prompt(e: Example, at: Placed, v: Vocabulary, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Decoder input and labels of one sentence, one in sixteen with timestamps; the first label is the language."""
    head = [v.sot, v.lang[e.clip.lang], v.transcribe]
    body = e.tokens
    if rng.random() < 0.06:
        body = [v.timestamp(at.start), *body, v.timestamp(at.end)]
        return head + body, [v.lang[e.clip.lang], IGNORED, *body, v.eot]
    return [*head, v.notimestamps, *body], [v.lang[e.clip.lang], IGNORED, IGNORED, *body, v.eot]


def longest_at(fraction: float) -> float:
    """Seconds of the longest clip to learn from, over training: short ones first, whose alignment is easy to find."""
    return 1.5 + 24 * max(0.0, fraction - 0.12)


def batches(
    pool: Pool, rng: np.random.Generator, positions: int, general_share: float, longest: float
) -> list[list[Example]]:
    """A few dozen batches of clips of like length, each of about ``positions`` encoder positions, in random order."""
    drawn = sorted(pool.draw(1200, rng, general_share, longest), key=lambda e: len(e.clip.audio))
    out: list[list[Example]] = []
    batch: list[Example] = []
    for e in drawn:
        length = len(e.clip.audio) // 320 + 6
        if batch and (len(batch) + 1) * length > positions:
            out.append(batch)
            batch = []
        batch.append(e)
    if batch:
        out.append(batch)
    return [out[i] for i in rng.permutation(len(out))]
