"""Learns the head on the borrowed multilingual encoder: intents and emotion at once, both languages together.

The encoder does not move, so its numbers are computed once for every sentence: as written, and twice as a line may
deliver it (``augment.epoch``).
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from sentence_encoder.multilingual import Multilingual
from sentence_encoder.network import Array
from sentiment.corpus.build import Utterance
from sentiment.english import readable
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.meaning import OUTPUTS, entered
from sentiment.training.augment import Example, epoch, shares_of
from sentiment.training.transformer import targets

MISHEARD = 2
"""Times that the sentences are misheard anew."""
PASSES = 12.0


def learn_meaning(
    encoder: Multilingual, utterances: Sequence[Utterance], seed: int, passes: float = PASSES
) -> dict[str, Array]:
    """The weights of ``sentiment.meaning`` from ``utterances`` of both languages."""
    import torch
    from torch.nn import functional

    from sentence_encoder.torch_head import learn

    rng = random.Random(seed)
    examples = [Example(u.text, u.lang, u.expects, shares_of(u), u.emotion, u.family) for u in utterances]
    for _ in range(MISHEARD):
        examples += epoch(utterances, rng)
    numbers = encoder.many([readable(e.text) for e in examples])
    main, _, emotion = targets(examples)
    size = Counter(u.family for u in utterances)
    weight = torch.tensor([min(size.get(e.family, 1), 3) ** -0.4 for e in examples])
    weight = weight / weight.mean()
    felt = Counter(e.emotion for e in examples)
    rarity = torch.tensor([(len(examples) / len(EMOTIONS) / max(felt[name], 1)) ** 0.25 for name in EMOTIONS])
    n = len(INTENTS)

    def loss(logits: Any, rows: Any) -> Any:
        by_row = functional.cross_entropy(logits[:, :n], main[rows], reduction="none", label_smoothing=0.05)
        by_row = by_row + 0.8 * functional.cross_entropy(
            logits[:, n:], emotion[rows], weight=rarity, reduction="none", label_smoothing=0.05
        )
        return (by_row * weight[rows]).mean()

    rows = entered(np.asarray(numbers), [e.expects for e in examples])
    return learn(rows, OUTPUTS, loss, passes / (1 + MISHEARD), seed)
