"""The English half of the embedded model: the borrowed sentence encoder, tuned on the corpus, and a small head.

Where n-grams know words, the encoder knows likeness of meaning: it read English before it read our corpus.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np

from compliance_checks.semantic.model import Array
from compliance_checks.semantic.text import PLACES
from sentence_encoder.network import Encoder
from sentence_encoder.pieces import Pieces

PARTIES: Final = ("borrower", "unverified", "third_party", "voicemail")
HIDDEN: Final = 512
_KEPT: Final = 4096  # texts whose judgement is remembered
# The encoder knows no private-use characters: in a mask's place it reads an ordinary name.
_NAMES: Final[Mapping[str, str]] = {
    PLACES["borrower_name"]: "james",
    PLACES["agent_name"]: "emma",
    PLACES["lender"]: "the bank",
    PLACES["product"]: "the loan",
}


def readable(text: str) -> str:
    """``text`` as the encoder reads it: names in the places of their masks."""
    for place, name in _NAMES.items():
        text = text.replace(place, name)
    return text


def party_row(party: str) -> list[float]:
    """One 1 among zeros; a party that is none of ``PARTIES`` is all zeros."""
    return [float(party == known) for known in PARTIES]


class English:
    """``weights``: the encoder's, and ``hidden.*`` [1024 + parties, 512] and ``head.*`` [512, outputs]."""

    def __init__(self, pieces: Pieces, weights: Mapping[str, Array], outputs: int) -> None:
        self._pieces = pieces
        self._encoder = Encoder(weights)
        self._w = {name: weights[name] for name in ("hidden.weight", "hidden.bias", "head.weight", "head.bias")}
        wanted = {
            "hidden.weight": (1024 + len(PARTIES), HIDDEN),
            "hidden.bias": (HIDDEN,),
            "head.weight": (HIDDEN, outputs),
            "head.bias": (outputs,),
        }
        for name, shape in wanted.items():
            if self._w[name].shape != shape or not np.isfinite(self._w[name]).all():
                raise ValueError(f"{name} has the shape {self._w[name].shape}, not {shape}, or is not finite")
        if len(pieces) != len(weights["pieces"]):
            raise ValueError(f"{len(pieces)} pieces, weights for {len(weights['pieces'])}")
        # A script's lines are judged before each call; without names and numbers they are the same for everybody.
        self._known = lru_cache(maxsize=_KEPT)(self._read)

    def logits(self, texts: Sequence[str], party: str) -> Array:
        """[texts, outputs]; output 0 speaks for ``ok``."""
        return np.stack([self._known(text, party) for text in texts])

    def _read(self, text: str, party: str) -> Array:
        pooled = self._encoder.pooled([self._pieces.encode(readable(text))])[0]
        entered = np.concatenate((pooled, np.array(party_row(party), np.float32)))
        hidden = np.maximum(entered @ self._w["hidden.weight"] + self._w["hidden.bias"], 0)
        return np.asarray(hidden @ self._w["head.weight"] + self._w["head.bias"], np.float32)
