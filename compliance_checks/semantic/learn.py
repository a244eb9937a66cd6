"""Pretraining and fine-tuning of the small transformer, and the linear rival. CPU, deterministic for one thread."""

from __future__ import annotations

import copy
import logging
import math
import random
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from compliance_checks.semantic.data import OK, Task, Text
from compliance_checks.semantic.linear import BUCKETS, features
from compliance_checks.semantic.network import Array
from compliance_checks.semantic.tokens import SPECIAL, Tokenizer
from compliance_checks.semantic.torch_net import Classifier, Encoder, Size, pad

log = logging.getLogger(__name__)

Encoded = tuple[list[int], list[int]]
_MASK = SPECIAL.index("[mask]")
_UNKNOWN = SPECIAL.index("[unk]")


def _rate(step: int, steps: int, warm: int) -> float:
    return min(1.0, (step + 1) / warm) * 0.5 * (1 + math.cos(math.pi * step / steps))


def _buckets(encoded: Sequence[Encoded], batch: int, rng: random.Random) -> list[list[int]]:
    """Batches of texts of like length, in random order: little padding."""
    order = sorted(range(len(encoded)), key=lambda i: (len(encoded[i][0]), rng.random()))
    batches = [order[i : i + batch] for i in range(0, len(order), batch)]
    rng.shuffle(batches)
    return batches


def pretrain(
    tokenizer: Tokenizer,
    plain: Sequence[tuple[str, str]],
    tasks: Sequence[Task],
    size: Size,
    steps: int,
    seed: int,
    batch: int = 64,
) -> Encoder:
    """Masked words over all texts, and the public sets' own labels, on one encoder.

    ``plain`` holds (text, lang). One step is one batch of one source: words are masked in every batch, and a batch of
    a labelled set also learns its labels.
    """
    torch.manual_seed(seed)
    rng = random.Random(seed)
    encoder = Encoder(len(tokenizer.pieces), len(tokenizer.sounds), size)
    heads = nn.ModuleDict({task.name: nn.Linear(size.pool, task.classes) for task in tasks})
    bias = nn.Parameter(torch.zeros(len(tokenizer.pieces)))
    sources: list[tuple[Task | None, list[Encoded]]] = [
        (task, [tokenizer.encode(text, task.lang) for text, _ in task.rows]) for task in tasks
    ]
    sources.append((None, [tokenizer.encode(text, "zh" if lang == "zh" else "en") for text, lang in plain]))
    parameters = [*encoder.parameters(), *heads.parameters(), bias]
    optimizer = torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.98), weight_decay=0.01)
    queue: list[tuple[int, list[int]]] = []
    encoder.train()
    shown: list[tuple[float, float]] = []
    for step in range(steps):
        if not queue:
            queue = [(n, ids) for n, (_, texts) in enumerate(sources) for ids in _buckets(texts, batch, rng)]
            rng.shuffle(queue)
        number, ids = queue.pop()
        task, texts = sources[number]
        tokens, sounds = pad([texts[i] for i in ids])
        masked, muted, chosen = _mask_words(tokens, sounds)
        states, pooled = encoder(masked, muted)
        scores = states[chosen] @ encoder.tokens.weight.T + bias
        words = functional.cross_entropy(scores, tokens[chosen]) if chosen.any() else states.sum() * 0
        labels = torch.zeros(())
        if task is not None:
            wanted = torch.tensor([task.rows[i][1] for i in ids])
            labels = functional.cross_entropy(heads[task.name](pooled), wanted)
        for group in optimizer.param_groups:
            group["lr"] = 1e-3 * _rate(step, steps, 200)
        optimizer.zero_grad()
        (words + labels).backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        shown.append((words.item(), labels.item()))
        if (step + 1) % 250 == 0:
            mean = [sum(part) / len(shown) for part in zip(*shown, strict=True)]
            log.warning("pretraining %d/%d: words %.3f, labels %.3f", step + 1, steps, *mean)
            shown = []
    return encoder


def _mask_words(tokens: Tensor, sounds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """15 % of the tokens to guess; a fifth of them keep their sound, so that sounds are learnt as well."""
    chosen = (torch.rand(tokens.shape) < 0.15) & (tokens >= len(SPECIAL))
    masked = torch.where(chosen, torch.full_like(tokens, _MASK), tokens)
    muted = torch.where(chosen & (torch.rand(tokens.shape) < 0.8), torch.zeros_like(sounds), sounds)
    return masked, muted, chosen


def finetune(
    encoder: Encoder,
    tokenizer: Tokenizer,
    texts: Sequence[Text],
    categories: Sequence[str],
    epochs: float,
    seed: int,
    batch: int = 32,
) -> Classifier:
    """A classifier on a copy of ``encoder``: output 0 is ``ok``, the others the categories, each a yes or no."""
    torch.manual_seed(seed)
    rng = random.Random(seed)
    model = Classifier(copy.deepcopy(encoder), len(categories) + 1)
    encoded = [tokenizer.encode(text.text, text.lang, text.party) for text in texts]
    targets, weights = _targets(texts, categories)
    slow = [p for name, p in model.named_parameters() if name.startswith("encoder.") and "pool" not in name]
    fast = [p for name, p in model.named_parameters() if not name.startswith("encoder.") or "pool" in name]
    optimizer = torch.optim.AdamW([{"params": slow}, {"params": fast}], weight_decay=0.05)
    steps = max(1, int(epochs * len(texts) / batch))
    queue: list[list[int]] = []
    model.train()
    for step in range(steps):
        if not queue:
            queue = _buckets(encoded, batch, rng)
        ids = queue.pop()
        tokens, sounds = pad([encoded[i] for i in ids])
        lost = (torch.rand(tokens.shape) < 0.08) & (tokens >= len(SPECIAL))
        tokens = torch.where(lost, torch.full_like(tokens, _UNKNOWN), tokens)
        sounds = torch.where(lost & (torch.rand(tokens.shape) < 0.5), torch.zeros_like(sounds), sounds)
        losses = functional.binary_cross_entropy_with_logits(model(tokens, sounds), targets[ids], reduction="none")
        losses[:, 0] *= 4  # the decision hangs on this output
        loss = (losses.sum(1) * weights[ids]).mean()
        for group, rate in zip(optimizer.param_groups, (4e-4, 1.5e-3), strict=True):
            group["lr"] = rate * _rate(step, steps, max(1, steps // 12))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % 200 == 0:
            log.warning("fine-tuning %d/%d: %.3f", step + 1, steps, loss.item())
    return model.eval()


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
    """The rival's weights [BUCKETS, outputs] and bias: Adam on the same texts, weights and targets."""
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
