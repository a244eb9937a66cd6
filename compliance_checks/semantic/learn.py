"""Learning the parts of the embedded model: the tuned encoder, the n-grams, and the head on the encoder that is not.

CPU, deterministic on one thread.
"""

from __future__ import annotations

import logging
import math
import random
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from compliance_checks.semantic.data import OK, Text
from compliance_checks.semantic.english import PARTIES, party_row, readable
from compliance_checks.semantic.linear import BUCKETS, features
from compliance_checks.semantic.meaning import entered
from compliance_checks.semantic.meaning import readable as meaning_text
from compliance_checks.semantic.model import Array
from sentence_encoder.head import HIDDEN
from sentence_encoder.multilingual import Multilingual
from sentence_encoder.network import POOLED
from sentence_encoder.pieces import UNKNOWN, Pieces
from sentence_encoder.torch_head import learn
from sentence_encoder.torch_net import PAD, TorchEncoder, padded

log = logging.getLogger(__name__)


def _rate(step: int, steps: int, warm: int) -> float:
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _buckets(encoded: Sequence[Sequence[int]], batch: int, rng: random.Random) -> list[list[int]]:
    """Batches of texts of like length, in random order: little padding."""
    order = sorted(range(len(encoded)), key=lambda i: (len(encoded[i]), rng.random()))
    batches = [order[i : i + batch] for i in range(0, len(order), batch)]
    rng.shuffle(batches)
    return batches


class _Classifier(nn.Module):
    """The encoder to tune and the head of :class:`compliance_checks.semantic.english.English`."""

    def __init__(self, weights: Mapping[str, Array], outputs: int) -> None:
        super().__init__()
        self.encoder = TorchEncoder(weights)
        self.hidden = nn.Linear(POOLED + len(PARTIES), HIDDEN)
        self.head = nn.Linear(HIDDEN, outputs)

    def forward(self, ids: Tensor, parties: Tensor) -> Tensor:
        entered = functional.dropout(torch.cat((self.encoder(ids), parties), -1), 0.1, self.training)
        hidden = functional.dropout(torch.relu(self.hidden(entered)), 0.2, self.training)
        found: Tensor = self.head(hidden)
        return found

    def weights(self) -> dict[str, Array]:
        found = self.encoder.weights()
        for name in ("hidden", "head"):
            layer = getattr(self, name)
            found[f"{name}.weight"] = layer.weight.T.detach().numpy().astype(np.float32)
            found[f"{name}.bias"] = layer.bias.detach().numpy().astype(np.float32)
        return found


def tune(
    pieces: Pieces,
    borrowed: Mapping[str, Array],
    texts: Sequence[Text],
    categories: Sequence[str],
    epochs: float,
    seed: int,
    batch: int = 32,
) -> dict[str, Array]:
    """The weights of :class:`~compliance_checks.semantic.english.English`: the borrowed encoder tuned on ``texts``."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    model = _Classifier(borrowed, len(categories) + 1)
    encoded = [pieces.encode(readable(text.text)) for text in texts]
    parties = torch.tensor([party_row(text.party) for text in texts])
    targets, weights = _targets(texts, categories)
    groups = [
        {"params": [*model.encoder.parameters()]},
        {"params": [*model.hidden.parameters(), *model.head.parameters()]},
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.01)
    steps = max(1, int(epochs * len(texts) / batch))
    queue: list[list[int]] = []
    model.train()
    for step in range(steps):
        if not queue:
            queue = _buckets(encoded, batch, rng)
        chosen = queue.pop()
        ids = padded([encoded[i] for i in chosen])
        lost = (torch.rand(ids.shape) < 0.05) & (ids != PAD)
        logits = model(torch.where(lost, torch.full_like(ids, UNKNOWN), ids), parties[chosen])
        losses = functional.binary_cross_entropy_with_logits(logits, targets[chosen], reduction="none")
        losses[:, 0] *= 4  # the decision hangs on this output
        for group, rate in zip(optimizer.param_groups, (3e-4, 1e-3), strict=True):
            group["lr"] = rate * _rate(step, steps, max(1, steps // 12))
        optimizer.zero_grad()
        loss = (losses.sum(1) * weights[chosen]).mean()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 200 == 0:
            log.warning("tuning %d/%d: %.3f", step + 1, steps, loss.item())
    return model.eval().weights()


def meaning(
    encoder: Multilingual, texts: Sequence[Text], categories: Sequence[str], seed: int, passes: float = 8.0
) -> dict[str, Array]:
    """The weights of :class:`~compliance_checks.semantic.meaning.Meaning`."""
    numbers = encoder.many([meaning_text(text.text, text.lang) for text in texts])
    targets, weights = _targets(texts, categories)

    def loss(logits: Tensor, rows: Tensor) -> Tensor:
        losses = functional.binary_cross_entropy_with_logits(logits, targets[rows], reduction="none")
        losses[:, 0] *= 4
        return (losses.sum(1) * weights[rows]).mean()

    return learn(entered(numbers, [text.party for text in texts]), targets.shape[1], loss, passes, seed)


def _targets(texts: Sequence[Text], categories: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Yes or no by output, softened by 0.02, and one weight a text: each language's labels count alike."""
    targets = torch.full((len(texts), len(categories) + 1), 0.02)
    count: dict[tuple[str, bool], float] = {}
    for text in texts:
        key = (text.lang, text.category == OK)
        count[key] = count.get(key, 0.0) + text.weight
    weights = torch.zeros(len(texts))
    for i, text in enumerate(texts):
        targets[i, 0 if text.category == OK else 1 + categories.index(text.category)] = 0.98
        weights[i] = text.weight / count[text.lang, text.category == OK]
    return targets, weights / weights.mean()


def linear(texts: Sequence[Text], categories: Sequence[str], seed: int, epochs: int = 8) -> tuple[Array, Array]:
    """The n-grams' weights [BUCKETS, outputs] and bias: Adam on the same texts, weights and targets."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    found = [torch.from_numpy(features(text.text, text.lang, text.party)) for text in texts]
    table = nn.EmbeddingBag(BUCKETS, len(categories) + 1, mode="sum", sparse=True)
    nn.init.zeros_(table.weight)
    bias = nn.Parameter(torch.zeros(len(categories) + 1))
    targets, weights = _targets(texts, categories)
    rare = torch.optim.SparseAdam(list(table.parameters()), lr=0.05)
    dense = torch.optim.Adam([bias], lr=0.01)
    order = list(range(len(texts)))
    for epoch in range(epochs):
        rng.shuffle(order)
        rare.param_groups[0]["lr"] = 0.05 * (1 - epoch / epochs)
        for i in range(0, len(order), 64):
            ids = order[i : i + 64]
            chosen = [found[j] for j in ids]
            offsets = torch.tensor([0, *np.cumsum([len(c) for c in chosen])[:-1]])
            root = torch.tensor([[len(c) ** -0.5] for c in chosen])
            logits = table(torch.cat(chosen), offsets) * root + bias
            losses = functional.binary_cross_entropy_with_logits(logits, targets[ids], reduction="none")
            losses[:, 0] *= 4
            rare.zero_grad()
            dense.zero_grad()
            (losses.sum(1) * weights[ids]).mean().backward()  # type: ignore[no-untyped-call]
            rare.step()  # type: ignore[no-untyped-call]
            dense.step()
    return table.weight.detach().numpy().astype(np.float32), bias.detach().numpy().astype(np.float32)
