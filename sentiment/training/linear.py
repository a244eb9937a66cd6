"""The n-gram baseline: one sparse softmax layer over hashed features, and a part of the shipped ensemble."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sentiment.corpus.build import Utterance
from sentiment.features import BUCKETS, features
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.model import LinearModel
from sentiment.training.augment import Example, examples

log = logging.getLogger(__name__)

_COLUMNS = len(INTENTS) + len(EMOTIONS)
_INTENT = {name: i for i, name in enumerate(INTENTS)}
_EMOTION = {name: len(INTENTS) + i for i, name in enumerate(EMOTIONS)}
_DECAY, _RATE, _BATCH, _DROP = 0.03, 0.03, 256, 0.35


@dataclass(frozen=True, slots=True)
class _Row:
    found: NDArray[np.int64]
    target: NDArray[np.float32]
    family: str


def _row(e: Example) -> _Row:
    target = np.zeros(_COLUMNS, dtype=np.float32)
    for name, share in e.shares.items():
        target[_INTENT[name]] = share
    target[_EMOTION[e.emotion]] = 1.0
    return _Row(features(e.text, e.lang, e.expects), target, e.family)


def train_linear(utterances: Sequence[Utterance], *, epochs: int = 10, copies: int = 2, seed: int = 7) -> LinearModel:
    """Fit the linear model on all the given utterances; its temperatures are left at one."""
    rows = [_row(e) for e in examples(utterances, copies, random.Random(seed))]
    row, weight, bias = _fit(rows, epochs, seed)
    return _pack(row, weight, bias)


def _fit(
    data: Sequence[_Row], epochs: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Buckets kept, their weights (buckets, columns) and the biases of a softmax over intents and one over emotions."""
    import torch
    from torch.nn import functional

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    row = _shared(data)
    known = [np.searchsorted(row, e.found[np.isin(e.found, row)]) for e in data]
    total_found = [len(e.found) for e in data]
    layer = torch.nn.EmbeddingBag(len(row), _COLUMNS, mode="sum")
    torch.nn.init.zeros_(layer.weight)
    bias = torch.nn.Parameter(torch.zeros(_COLUMNS))
    optimizer = torch.optim.AdamW(
        [{"params": [layer.weight], "weight_decay": _DECAY}, {"params": [bias], "weight_decay": 0.0}], lr=_RATE
    )
    rng = np.random.default_rng(seed)
    split = len(INTENTS)
    targets = torch.from_numpy(np.stack([e.target for e in data]))
    # As in the transformer: rare emotions count more, by the root of their rarity.
    felt = targets[:, split:].sum(0).clamp(min=1.0)
    rarity = (len(data) / len(EMOTIONS) / felt) ** 0.5
    for epoch in range(epochs):
        order = rng.permutation(len(data))
        for group in optimizer.param_groups:
            group["lr"] = _RATE * (1 - epoch / epochs) + _RATE / 20
        total = 0.0
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            # Dropping features makes the model spread its weight instead of learning whole sentences by heart.
            kept = [known[i][rng.random(len(known[i])) > _DROP] for i in batch]
            offsets = np.cumsum([0] + [len(k) for k in kept[:-1]])
            scale = np.repeat(
                [1 / ((1 - _DROP) * np.sqrt(max(total_found[i], 1))) for i in batch], [len(k) for k in kept]
            ).astype(np.float32)
            logits = bias + layer(
                torch.from_numpy(np.concatenate(kept)),
                torch.from_numpy(offsets),
                per_sample_weights=torch.from_numpy(scale),
            )
            target = targets[torch.from_numpy(batch)]
            loss = functional.cross_entropy(logits[:, :split], target[:, :split], label_smoothing=0.03)
            loss = loss + 0.5 * functional.cross_entropy(
                logits[:, split:], target[:, split:], weight=rarity, label_smoothing=0.03
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        log.info("epoch %d loss %.4f", epoch + 1, total / len(data))
    weight: NDArray[np.float32] = layer.weight.detach().numpy()
    return row, weight, bias.detach().numpy()


def _shared(data: Sequence[_Row]) -> NDArray[np.int64]:
    """Buckets that at least two families use, ascending: what only one family says teaches its sentences by heart."""
    first: dict[int, str] = {}
    shared: set[int] = set()
    for e in data:
        for bucket in e.found.tolist():
            if first.setdefault(bucket, e.family) != e.family:
                shared.add(bucket)
    return np.array(sorted(shared), dtype=np.int64)


def _pack(
    row: NDArray[np.int64],
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> LinearModel:
    scale = np.maximum(np.abs(weight).max(axis=0) / 127, 1e-8).astype(np.float32)
    return LinearModel(
        row.astype(np.int32),
        np.round(weight / scale).astype(np.int8),
        scale,
        bias.astype(np.float32),
    )


def save_linear(model: LinearModel, path: Path) -> None:
    """Write a linear model file (see ``sentiment.model``)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        row=model.row,
        weight=model.weight,
        scale=model.scale,
        bias=model.bias,
        labels=np.array([*INTENTS, *EMOTIONS]),
        buckets=np.array(BUCKETS),
    )
