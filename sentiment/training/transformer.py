"""Trains the small transformer: first on public sentences if there are any, then on the repository's own corpus.

First stage: masked pieces (Devlin et al., 2019) beside the public sets' own labels, each with a head that is thrown
away. Second stage: the corpus, misheard anew in every epoch. torch and transformers are needed here only.
"""

from __future__ import annotations

import logging
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio.broken_torchaudio import without_torchaudio_library
from sentiment.corpus.build import Utterance
from sentiment.encoder import Encoder, pack, unpacked
from sentiment.features import concept_names, model_text
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.text import is_han, syllable
from sentiment.tokens import ASKED, MASK, MAX_PIECES, SPECIAL, UNKNOWN, Encoded, Tokenizer, words_of
from sentiment.training.augment import Example, epoch
from sentiment.training.public import TASKS, Sentence

log = logging.getLogger(__name__)
WIDTH, LAYERS, HEADS = 128, 3, 4
Weights = dict[str, NDArray[np.float32]]
"""Of one member, under the names of ``sentiment.encoder``."""
_VOCABULARY_EN = 5000
_BATCH = 64
_STRAY = 0.05
_MOODS = 0.12
_INTENT = {name: i for i, name in enumerate(INTENTS)}
_EMOTION = {name: i for i, name in enumerate(EMOTIONS)}


def make_tokenizer(texts: Sequence[tuple[str, str]], english: int = _VOCABULARY_EN) -> Tokenizer:
    """Every Han character seen twice or in common use (GB 2312 level 1), and word pieces for the Latin words."""
    from tokenizers import Tokenizer as Trainable
    from tokenizers.models import WordPiece
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from tokenizers.trainers import WordPieceTrainer

    chars: Counter[str] = Counter()
    words: list[str] = []
    for text, lang in texts:
        seen = model_text(text, lang)
        for start, end in words_of(seen):
            (words.append if end - start > 1 or not is_han(seen[start]) else chars.update)(seen[start:end])
    common = [bytes((h, low)).decode("gb2312", "ignore") for h in range(0xB0, 0xD8) for low in range(0xA1, 0xFF)]
    trainable = Trainable(WordPiece(unk_token=SPECIAL[UNKNOWN]))
    trainable.pre_tokenizer = WhitespaceSplit()
    trainable.train_from_iterator(
        words, WordPieceTrainer(vocab_size=english, special_tokens=list(SPECIAL), show_progress=False)
    )
    latin = sorted(set(trainable.get_vocab()) - set(SPECIAL))
    han = sorted({c for c, n in chars.items() if n > 1} | {c for c in common if c})
    sounds = sorted({syllable(c) for c in han})
    return Tokenizer((*SPECIAL, *dict.fromkeys((*latin, *han))), ("", *sounds))


def _network(tokenizer: Tokenizer, seed: int) -> Any:
    import torch

    without_torchaudio_library()
    from transformers import BertConfig, BertModel

    torch.manual_seed(seed)

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            config = BertConfig(
                vocab_size=1, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                intermediate_size=4 * WIDTH, hidden_act="gelu_pytorch_tanh", max_position_embeddings=MAX_PIECES,
                hidden_dropout_prob=0.15, attention_probs_dropout_prob=0.0,
            )  # fmt: skip
            self.bert = BertModel(config, add_pooling_layer=False)

            def table(rows: int) -> Any:
                embedding = torch.nn.Embedding(rows, WIDTH)
                torch.nn.init.normal_(embedding.weight, std=0.05)
                return embedding

            self.piece, self.sound = table(len(tokenizer.pieces)), table(len(tokenizer.sounds))
            self.concept, self.asked = table(len(concept_names())), table(len(ASKED))
            self.drop = torch.nn.Dropout(0.3)
            self.head = torch.nn.Linear(3 * WIDTH, 2 * len(INTENTS) + len(EMOTIONS))
            self.public = torch.nn.ModuleDict()
            self.guess = torch.nn.Linear(WIDTH, WIDTH)
            self.guess_bias = torch.nn.Parameter(torch.zeros(len(tokenizer.pieces)))

        def hidden(self, pieces: Any, sounds: Any, concepts: Any, asked: Any, lang: Any, mask: Any) -> Any:
            x = self.piece(pieces) + self.sound(sounds) + concepts @ self.concept.weight
            first = torch.zeros_like(x)
            first[:, 0] = self.asked(asked)
            types = lang[:, None].expand(pieces.shape)
            return self.bert(
                inputs_embeds=x + first, attention_mask=mask.long(), token_type_ids=types
            ).last_hidden_state

        def pooled(self, x: Any, mask: Any) -> Any:
            shown = mask[..., None]
            mean = (x * shown).sum(1) / shown.sum(1)
            top = x.masked_fill(~shown, -1e9).max(1).values
            return self.drop(torch.cat([x[:, 0], mean, top], 1))

    return Network()


def _tensors(batch: Sequence[Encoded]) -> tuple[Any, ...]:
    import torch

    length = max(len(e.pieces) for e in batch)
    pieces, sounds = (torch.zeros(len(batch), length, dtype=torch.long) for _ in range(2))
    concepts = torch.zeros(len(batch), length, len(concept_names()))
    mask = torch.zeros(len(batch), length, dtype=torch.bool)
    for i, e in enumerate(batch):
        n = len(e.pieces)
        pieces[i, :n], sounds[i, :n] = torch.from_numpy(e.pieces), torch.from_numpy(e.sounds)
        concepts[i, :n], mask[i, :n] = torch.from_numpy(e.concepts), True
    return (
        pieces, sounds, concepts, torch.tensor([e.asked for e in batch]), torch.tensor([e.lang for e in batch]), mask
    )  # fmt: skip


def _batches(encoded: Sequence[Encoded], rng: random.Random) -> list[list[int]]:
    """Batches of about equal length, in random order."""
    order = sorted(range(len(encoded)), key=lambda i: len(encoded[i].pieces) + rng.random() * 6)
    batches = [order[i : i + _BATCH] for i in range(0, len(order), _BATCH)]
    rng.shuffle(batches)
    return batches


def schedule(optimizer: Any, steps: int, warm: float = 0.06) -> Any:
    """Learning rates: up to the full one over the first ``warm`` of the steps, then down in a line."""
    import torch

    first = max(1, int(steps * warm))
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda s: min((s + 1) / first, max(0.02, (steps - s) / max(1, steps - first)))
    )


def pretrain(network: Any, tokenizer: Tokenizer, sentences: Sequence[Sentence], epochs: int, seed: int) -> None:
    """First stage, in place. ``sentences`` should hold our own too (without labels), for the words they use."""
    import torch
    from torch.nn import functional

    labels = {task: sorted({s.labels[task] for s in sentences if task in s.labels}) for task in TASKS}
    number = {task: {name: i for i, name in enumerate(names)} for task, names in labels.items()}
    for task, names in labels.items():
        if names:
            network.public[task] = torch.nn.Linear(3 * WIDTH, len(names))
    encoded = [tokenizer.encode(s.text, s.lang) for s in sentences]
    rng = random.Random(seed)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1.0e-3, weight_decay=0.01, fused=True)
    plan = schedule(optimizer, epochs * (1 + len(encoded) // _BATCH))
    network.train()
    for turn in range(epochs):
        total = 0.0
        batches = _batches(encoded, rng)
        for done, batch in enumerate(batches):
            if done % 200 == 199:
                log.info("public epoch %d: %d of %d batches, loss %.3f", turn + 1, done + 1, len(batches), total / done)
            pieces, sounds, concepts, asked, lang, mask = _tensors([encoded[i] for i in batch])
            chosen = (torch.rand(pieces.shape) < 0.15) & mask
            chosen[:, 0] = False
            hiding = chosen & (torch.rand(pieces.shape) < 0.9)
            shown, heard = pieces.masked_fill(hiding, MASK), sounds.masked_fill(hiding, 0)
            # A piece that is to be guessed must not be told by its meaning.
            meant = concepts * (~hiding)[..., None]
            x = network.hidden(shown, heard, meant, asked, lang, mask)
            loss = torch.zeros(())
            if bool(chosen.any()):
                guess = functional.gelu(network.guess(x[chosen])) @ network.piece.weight.T + network.guess_bias
                loss = loss + functional.cross_entropy(guess, pieces[chosen])
            read = network.pooled(x, mask)
            for task in TASKS:
                at = [(k, number[task][sentences[i].labels[task]]) for k, i in enumerate(batch) if task in sentences[i].labels]  # fmt: skip  # noqa: E501
                if at:
                    rows, gold = zip(*at, strict=True)
                    loss = loss + functional.cross_entropy(
                        network.public[task](read[list(rows)]), torch.tensor(gold)
                    ) * (len(at) / len(batch))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            plan.step()
            total += float(loss.detach())
        log.info("public epoch %d loss %.3f", turn + 1, total / len(batches))


def targets(batch: Sequence[Example]) -> tuple[Any, Any, Any]:
    """Shares of the intents (n, intents), which of them are there (the same shape), the emotion's number (n,)."""
    import torch

    main = torch.zeros(len(batch), len(INTENTS))
    for i, e in enumerate(batch):
        for name, share in e.shares.items():
            main[i, _INTENT[name]] = share
    return main, (main > 0).float(), torch.tensor([_EMOTION[e.emotion] for e in batch])


def finetune(
    network: Any,
    tokenizer: Tokenizer,
    utterances: Sequence[Utterance],
    epochs: int,
    seed: int,
    stray: Sequence[Example] = (),
    moods: Sequence[Example] = (),
    rate: float = 1.0,
) -> None:
    """Second stage, in place: softmax over the main intent, a sigmoid an intent, softmax over emotions.

    ``stray``: sentences beside the point; each epoch sees ``_STRAY`` of them for every of ours. ``moods``: sentences of
    which only the emotion is known, ``_MOODS`` of them for every of ours. ``rate`` scales the learning rate.
    """
    import torch
    from torch.nn import functional

    rng = random.Random(seed)
    torch.manual_seed(seed)
    body = [p for name, p in network.named_parameters() if not name.startswith("head")]
    optimizer = torch.optim.AdamW(
        [{"params": body, "lr": 5e-4 * rate}, {"params": network.head.parameters(), "lr": 1.5e-3 * rate}],
        weight_decay=0.02,
        fused=True,
    )
    n = len(INTENTS)
    # A family of six fillings of one pattern says less than six sentences: it counts less.
    size = Counter(u.family for u in utterances)
    sample = epoch(utterances, random.Random(seed))
    felt = Counter(e.emotion for e in sample)
    # Rare emotions count more, by the root of their rarity: in full they would be seen everywhere.
    rarity = torch.tensor([(len(sample) / len(EMOTIONS) / max(felt[name], 1)) ** 0.5 for name in EMOTIONS])
    plan = schedule(
        optimizer, epochs * (1 + int(len(sample) * (1 + _STRAY * bool(stray) + _MOODS * bool(moods))) // _BATCH)
    )
    network.train()
    for number in range(epochs):
        data = epoch(utterances, rng)
        ours = len(data)
        for others, share in ((stray, _STRAY), (moods, _MOODS)):
            data += rng.sample(list(others), min(len(others), int(ours * share)))
        encoded = [tokenizer.encode(e.text, e.lang, e.expects) for e in data]
        total = 0.0
        batches = _batches(encoded, rng)
        for batch in batches:
            rows = [data[i] for i in batch]
            pieces, sounds, concepts, asked, lang, mask = _tensors([encoded[i] for i in batch])
            noise = torch.rand(pieces.shape)
            pieces = pieces.masked_fill((noise < 0.06) & (pieces > MASK), UNKNOWN)
            concepts = concepts * (torch.rand(concepts.shape) > 0.15)
            logits = network.head(network.pooled(network.hidden(pieces, sounds, concepts, asked, lang, mask), mask))
            main, present, emotion = targets(rows)
            weight = torch.tensor([min(size.get(e.family, 1), 3) ** -0.4 for e in rows])
            weight = weight / weight.mean()
            loss = functional.cross_entropy(logits[:, :n], main, reduction="none", label_smoothing=0.05)
            loss = (
                loss
                + 2.0
                * functional.binary_cross_entropy_with_logits(
                    logits[:, n : 2 * n], present, reduction="none", pos_weight=torch.tensor(2.0)
                ).mean(1)
                * 3
            )
            loss = loss * (main.sum(1) > 0)
            loss = loss + 0.8 * functional.cross_entropy(
                logits[:, 2 * n :], emotion, weight=rarity, reduction="none", label_smoothing=0.05
            )
            mean = (loss * weight).mean()
            optimizer.zero_grad()
            mean.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            plan.step()
            total += float(mean.detach())
        log.info("epoch %d loss %.3f", number + 1, total / len(batches))


def exported(network: Any) -> Weights:
    """The weights that reading needs, under the names of ``sentiment.encoder``."""
    state = {name: value.detach().numpy().astype(np.float32) for name, value in network.state_dict().items()}
    out = {name: state[f"{name}.weight"] for name in ("piece", "sound", "concept", "asked")}
    out |= {name: state[name] for name in ("head.weight", "head.bias")}
    out |= {
        name.removeprefix("bert."): value
        for name, value in state.items()
        if name.startswith("bert.") and "word_embeddings" not in name and "_ids" not in name
    }
    return out


def as_encoder(tokenizer: Tokenizer, members: Sequence[Weights]) -> Encoder:
    """An encoder of the members as they will be after packing to int8."""
    packed = [{f"m0.{name}": value for name, value in pack(member).items()} for member in members]
    return Encoder(tokenizer, [unpacked(one, "m0.") for one in packed], LAYERS, HEADS)


def save_encoder(path: Path, tokenizer: Tokenizer, members: Sequence[Weights]) -> None:
    """Write a model file (see ``sentiment.encoder``)."""
    arrays: dict[str, Any] = {
        "pieces": np.array(tokenizer.pieces),
        "sounds": np.array(tokenizer.sounds),
        "concepts": np.array(concept_names()),
        "labels": np.array([*INTENTS, *EMOTIONS]),
        "shape": np.array([len(members), LAYERS, HEADS], dtype=np.int32),
    }
    for i, member in enumerate(members):
        arrays |= {f"m{i}.{name}": value for name, value in pack(member).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


def first_stage(
    tokenizer: Tokenizer, public: Sequence[Sentence], utterances: Sequence[Utterance], epochs: int, seed: int
) -> dict[str, Any]:
    """Weights after the first stage; fresh ones if there are no public sentences."""
    network = _network(tokenizer, seed)
    if public and epochs:
        pretrain(network, tokenizer, [*public, *own_sentences(utterances)], epochs, seed)
    return {name: value for name, value in network.state_dict().items() if not name.startswith(("public.", "guess"))}


def second_stage(
    tokenizer: Tokenizer,
    start: dict[str, Any],
    utterances: Sequence[Utterance],
    epochs: int,
    seed: int,
    stray: Sequence[Example] = (),
    moods: Sequence[Example] = (),
    rate: float = 1.0,
) -> Any:
    """A network trained on our own corpus from the weights of the first stage, or of an earlier second one."""
    network = _network(tokenizer, seed)
    network.load_state_dict(start, strict=False)
    finetune(network, tokenizer, utterances, epochs, seed, stray, moods, rate)
    return network


def imported(weights: Weights) -> dict[str, Any]:
    """A member of an ``Encoder`` as weights to start from: the reverse of ``exported``."""
    import torch

    tables = ("piece", "sound", "concept", "asked")
    return {
        f"{name}.weight" if name in tables else name if name.startswith("head.") else f"bert.{name}": torch.from_numpy(
            value.astype(np.float32)
        )
        for name, value in weights.items()
    }


def members_of(path: Path) -> tuple[Tokenizer, list[Weights]]:
    """The tokenizer and the members of a model file, to go on from. Concepts that the lexicon has gained since have no
    meaning yet: their rows are zero."""
    with np.load(path, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    row = {str(name): i for i, name in enumerate(arrays["concepts"])}
    members = []
    for i in range(int(arrays["shape"][0])):
        weights = unpacked(arrays, f"m{i}.")
        zero = np.zeros(WIDTH, dtype=np.float32)
        weights["concept"] = np.stack([weights["concept"][row[n]] if n in row else zero for n in concept_names()])
        members.append(weights)
    return Tokenizer([str(p) for p in arrays["pieces"]], [str(s) for s in arrays["sounds"]]), members


def silent(weights: Weights) -> bool:
    """Whether a member says nothing about emotion: an older one that is kept for its intents."""
    return not weights["head.weight"][2 * len(INTENTS) :].any()


def beside(first: Weights, others: Sequence[Weights]) -> list[Weights]:
    """An ensemble whose emotions are those of ``first`` alone: what it says of them is raised to outlast the mean."""
    if not others:
        return [first]
    first = {name: value.copy() for name, value in first.items()}
    for name in ("head.weight", "head.bias"):
        first[name][2 * len(INTENTS) :] *= 1 + len(others)
    return [first, *others]


def own_sentences(utterances: Sequence[Utterance]) -> Iterator[Sentence]:
    """Our utterances as unlabelled sentences for the first stage."""
    for u in utterances:
        yield Sentence(u.text, u.lang, {})
