"""The encoder in torch, for trainers; :mod:`sentence_encoder.network` computes the same without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sentence_encoder.network import HEADS, MOST_PIECES, Array, shapes

PAD = -1


def padded(texts: Sequence[Sequence[int]]) -> Tensor:
    """[texts, pieces] of piece numbers, ``PAD`` behind the shorter ones; cut as the network cuts."""
    cut = [list(text[:MOST_PIECES]) or [0] for text in texts]
    longest = max(map(len, cut))
    return torch.tensor([text + [PAD] * (longest - len(text)) for text in cut])


class _Layer(nn.Module):
    def __init__(self, narrow: int, wide: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(narrow, eps=1e-6)
        self.qkv = nn.Linear(narrow, 3 * narrow)
        self.out = nn.Linear(narrow, wide)
        self.widen = nn.Linear(narrow, wide) if narrow != wide else None
        self.norm2 = nn.LayerNorm(wide, eps=1e-6)
        self.up = nn.Linear(wide, 3 * wide)
        self.down = nn.Linear(3 * wide, wide)

    def forward(self, x: Tensor, mask: Tensor, dropout: float) -> Tensor:
        texts, pieces, narrow = x.shape
        q, k, v = (
            part.reshape(texts, pieces, HEADS, -1).transpose(1, 2) for part in self.qkv(self.norm1(x)).chunk(3, -1)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = (self.widen(x) if self.widen else x) + functional.dropout(
            self.out(mixed.transpose(1, 2).reshape(texts, pieces, narrow)), dropout, self.training
        )
        inner = self.down(torch.relu(self.up(self.norm2(x))))
        return x + functional.dropout(inner, dropout, self.training)


class TorchEncoder(nn.Module):
    """The network to tune; ``weights`` as :mod:`sentence_encoder.borrow` or :meth:`weights` gives them."""

    times: Tensor

    def __init__(self, weights: Mapping[str, Array], dropout: float = 0.1) -> None:
        super().__init__()
        self.pieces = nn.Embedding(*weights["pieces"].shape)
        self.layers = nn.ModuleList([_Layer(256, 512), _Layer(512, 512)])
        self.top = nn.Linear(512, 512)
        self.dropout = dropout
        self.register_buffer("times", torch.tensor(np.asarray(weights["times"], np.float32)))
        with torch.no_grad():
            for name, parameter in self._named():
                value = torch.tensor(np.asarray(weights[name], np.float32))
                parameter.copy_(value if name == "pieces" or value.ndim == 1 else value.T)

    def _named(self) -> list[tuple[str, nn.Parameter]]:
        return [
            ("pieces" if name == "pieces.weight" else name.removeprefix("layers."), parameter)
            for name, parameter in self.named_parameters()
        ]

    def forward(self, ids: Tensor) -> Tensor:
        """[texts, 1024] from [texts, pieces]; see :meth:`sentence_encoder.network.Encoder.pooled`."""
        real = ids != PAD
        turns = torch.arange(ids.shape[1])[:, None].float() * self.times
        x = 2 * self.pieces(ids.clamp(min=0)) + torch.cat((turns.sin(), turns.cos()), -1)
        mask = torch.where(real, 0.0, -1e9)[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask, self.dropout)
        mean = (x * real[..., None]).sum(1) / real.sum(1, keepdim=True)
        return torch.cat((torch.tanh(self.top(mean)), x.masked_fill(~real[..., None], -1e9).max(1).values), -1)

    def weights(self) -> dict[str, Array]:
        """The weights as :class:`sentence_encoder.network.Encoder` reads them."""
        found = {
            name: (value if name == "pieces" or value.ndim == 1 else value.T).detach().numpy().astype(np.float32)
            for name, value in self._named()
        }
        found["times"] = self.times.numpy().astype(np.float32)
        assert set(found) == set(shapes(len(found["pieces"])))
        return found
