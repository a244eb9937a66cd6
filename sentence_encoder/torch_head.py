"""Learns a head on fixed numbers, for trainers; :class:`sentence_encoder.head.Head` computes the same without torch."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn

from sentence_encoder.head import HIDDEN
from sentence_encoder.network import Array

BATCH = 64
Loss = Callable[[Tensor, Tensor], Tensor]
"""From logits [batch, outputs] and the batch's row numbers [batch] to one number."""


def learn(entered: Array, outputs: int, loss: Loss, passes: float, seed: int, rate: float = 1.5e-3) -> dict[str, Array]:
    """Weights of a head that ``entered`` [rows, numbers] enters, trained on ``passes`` over the rows.

    Numbers are brought to like spread while learning; that is folded into the first layer at the end. Deterministic
    for a seed on one thread.
    """
    torch.manual_seed(seed)
    middle, spread = entered.mean(0), entered.std(0) + np.float32(1e-2)
    rows = torch.from_numpy((entered - middle) / spread)
    network = nn.Sequential(
        nn.Dropout(0.3), nn.Linear(rows.shape[1], HIDDEN), nn.ReLU(), nn.Dropout(0.3), nn.Linear(HIDDEN, outputs)
    )
    optimizer = torch.optim.AdamW(network.parameters(), rate, weight_decay=0.05)
    steps = max(20, int(passes * len(rows) / BATCH))
    plan = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=steps)
    for _ in range(steps):
        chosen = torch.randint(len(rows), (BATCH,))
        optimizer.zero_grad()
        loss(network(rows[chosen]), chosen).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        plan.step()
    first, last = network[1], network[4]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    weight = first.weight.detach().numpy().T / spread[:, None]
    return {
        "hidden.weight": weight.astype(np.float32),
        "hidden.bias": (first.bias.detach().numpy() - middle @ weight).astype(np.float32),
        "head.weight": last.weight.detach().numpy().T.astype(np.float32).copy(),
        "head.bias": last.bias.detach().numpy().astype(np.float32),
    }
