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
from sentence_encoder.classifier import Classifier
from sentence_encoder.pieces import Pieces

PARTIES: Final = ("borrower", "unverified", "third_party", "voicemail")
REMEMBERED = 4096
"""Texts whose judgement is kept."""
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
    """``weights``: those of :func:`sentence_encoder.classifier.all_shapes`, with the parties beside a sentence."""

    def __init__(self, pieces: Pieces, weights: Mapping[str, Array], outputs: int) -> None:
        self._classifier = Classifier(pieces, weights, len(PARTIES), outputs)
        # A script's lines are judged before each call; without names and numbers they are the same for everybody.
        self._known = lru_cache(maxsize=REMEMBERED)(self._read)

    def logits(self, texts: Sequence[str], party: str) -> Array:
        """[texts, outputs]; output 0 speaks for ``ok``."""
        return np.stack([self._known(text, party) for text in texts])

    def _read(self, text: str, party: str) -> Array:
        return np.asarray(self._classifier.logits([readable(text)], [party_row(party)])[0])
