"""The same network as :mod:`compliance_checks.semantic.network`, on torch, for training only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from compliance_checks.semantic.network import Array
from compliance_checks.semantic.tokens import MAX_TOKENS


@dataclass(frozen=True, slots=True)
class Size:
    """The shape of the network. ``dropout`` is for training alone."""

    width: int = 128
    heads: int = 4
    layers: int = 2
    inner: int = 384
    pool: int = 128
    dropout: float = 0.1


class Block(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads = size.heads
        self.qkv = nn.Linear(size.width, 3 * size.width)
        self.out = nn.Linear(size.width, size.width)
        self.up = nn.Linear(size.width, size.inner)
        self.down = nn.Linear(size.inner, size.width)
        self.norm1 = nn.LayerNorm(size.width)
        self.norm2 = nn.LayerNorm(size.width)
        self.dropout = nn.Dropout(size.dropout)

    def forward(self, x: Tensor, padding: Tensor) -> Tensor:
        batch, length, width = x.shape
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=padding[:, None, None, :])
        x = self.norm1(x + self.dropout(self.out(mixed.transpose(1, 2).reshape(batch, length, width))))
        inner: Tensor = self.norm2(x + self.dropout(self.down(torch.relu(self.up(x)))))
        return inner


class Encoder(nn.Module):
    """Tokens to states [batch, length, width] and one pooled state [batch, pool]."""

    def __init__(self, vocabulary: int, sounds: int, size: Size) -> None:
        super().__init__()
        self.size = size
        self.tokens = nn.Embedding(vocabulary, size.width)
        self.sounds = nn.Embedding(sounds + 1, size.width)
        self.places = nn.Embedding(MAX_TOKENS, size.width)
        for table in (self.tokens, self.sounds, self.places):
            nn.init.normal_(table.weight, std=0.05)
        self.norm = nn.LayerNorm(size.width)
        self.dropout = nn.Dropout(size.dropout)
        self.blocks = nn.ModuleList(Block(size) for _ in range(size.layers))
        self.pool = nn.Linear(2 * size.width, size.pool)

    def forward(self, tokens: Tensor, sounds: Tensor) -> tuple[Tensor, Tensor]:
        there = tokens != 0
        places = torch.arange(tokens.shape[1])[None]
        x = self.dropout(self.norm(self.tokens(tokens) + self.sounds(sounds) + self.places(places)))
        for block in self.blocks:
            x = block(x, there)
        mean = (x * there[..., None]).sum(1) / there.sum(1, keepdim=True)
        return x, torch.tanh(self.pool(torch.cat((x[:, 0], mean), dim=1)))


class Classifier(nn.Module):
    """An encoder and one linear layer: logits [batch, outputs]."""

    def __init__(self, encoder: Encoder, outputs: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(2 * encoder.size.dropout)
        self.head = nn.Linear(encoder.size.pool, outputs)

    def forward(self, tokens: Tensor, sounds: Tensor) -> Tensor:
        logits: Tensor = self.head(self.dropout(self.encoder(tokens, sounds)[1]))
        return logits


def weights_of(model: Classifier) -> dict[str, Array]:
    """The arrays under the names that :class:`compliance_checks.semantic.network.Network` reads."""
    encoder = model.encoder
    parts: dict[str, Tensor] = {
        "tokens": encoder.tokens.weight,
        "sounds": encoder.sounds.weight,
        "places": encoder.places.weight,
        "norm.weight": encoder.norm.weight,
        "norm.bias": encoder.norm.bias,
        "pool.weight": encoder.pool.weight.T,
        "pool.bias": encoder.pool.bias,
        "head.weight": model.head.weight.T,
        "head.bias": model.head.bias,
    }
    for i, block in enumerate(encoder.blocks):
        for name, value in block.named_parameters():
            matrix = value.ndim == 2
            parts[f"{i}.{name}"] = value.T if matrix else value
    return {name: np.ascontiguousarray(value.detach().numpy(), np.float32) for name, value in parts.items()}


def pad(encoded: list[tuple[list[int], list[int]]]) -> tuple[Tensor, Tensor]:
    """Token and sound numbers [batch, length], padded with 0."""
    length = max(len(tokens) for tokens, _ in encoded)
    tokens = torch.zeros(len(encoded), length, dtype=torch.long)
    sounds = torch.zeros(len(encoded), length, dtype=torch.long)
    for i, (own, sound) in enumerate(encoded):
        tokens[i, : len(own)] = torch.tensor(own)
        sounds[i, : len(sound)] = torch.tensor(sound)
    return tokens, sounds
