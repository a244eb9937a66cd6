"""What a sentence is like, in both languages: a head on the borrowed multilingual encoder, which is not tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from agent.events import Lang
from compliance_checks.semantic.english import PARTIES, party_row
from compliance_checks.semantic.model import Array
from compliance_checks.semantic.text import PLACES
from sentence_encoder.head import Head
from sentence_encoder.multilingual import NUMBERS, Multilingual

ENTERED: Final = NUMBERS + len(PARTIES)
# The encoder knows no private-use characters: in a mask's place it reads an ordinary name.
_NAMES: Final[Mapping[Lang, Mapping[str, str]]] = {
    "zh": {"borrower_name": "张伟", "agent_name": "小李", "lender": "银行", "product": "贷款"},
    "en": {"borrower_name": "james", "agent_name": "emma", "lender": "the bank", "product": "the loan"},
}


def readable(text: str, lang: Lang) -> str:
    """``text`` as the encoder reads it: names in the places of their masks."""
    for slot, name in _NAMES[lang].items():
        text = text.replace(PLACES[slot], name)
    return text


def entered(numbers: Array, parties: Sequence[str]) -> Array:
    """What enters the head, [texts, ENTERED]: the sentences' numbers and who hears them."""
    heard = np.array([party_row(party) for party in parties], np.float32).reshape(-1, len(PARTIES))
    return np.concatenate((numbers, 2 * heard), axis=1)


class Meaning:
    """``weights``: those of :func:`sentence_encoder.head.shapes`. Safe to share between threads."""

    def __init__(self, encoder: Multilingual, weights: Mapping[str, Array], outputs: int) -> None:
        self._encoder = encoder
        self._head = Head(weights, ENTERED, outputs)

    def logits(self, texts: Sequence[str], lang: Lang, party: str) -> Array:
        """[texts, outputs]; output 0 speaks for ``ok``."""
        numbers = self._encoder.numbers([readable(text, lang) for text in texts])
        return self._head.logits(entered(numbers, [party] * len(texts)))
