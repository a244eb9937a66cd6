"""Trains the embedded intent and emotion model on the repository's own corpus: ``python -m sentiment.training``.

Whole families of utterances are held out (two tenths to test, one to set the temperatures); the figures printed are
on those. The model that is written is then trained once more on everything. torch is needed here only.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from sentiment.corpus.build import FOLDER, Utterance, load
from sentiment.features import BUCKETS, features
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.model import DEFAULT_MODEL, LinearModel
from sentiment.text import is_han, syllable

log = logging.getLogger(__name__)

_COLUMNS = len(INTENTS) + len(EMOTIONS)
_INTENT = {name: i for i, name in enumerate(INTENTS)}
_EMOTION = {name: len(INTENTS) + i for i, name in enumerate(EMOTIONS)}
_MAIN_SHARE = 0.65
"""Share of the target that the main intent keeps where there are further ones."""
_LEAD = {
    "zh": ("呃", "嗯", "那个", "就是", "哎", "哦", "你听我说", "我跟你说", "那", "反正", "哎呀", "其实"),
    "en": ("um", "uh", "well", "so", "look", "listen", "oh", "okay so", "like", "honestly", "you know", "i mean"),
}
_TAIL = {
    "zh": ("啊", "吧", "呢", "嘛", "好吧", "行不行", "啊你", "知道吧", "好不好"),
    "en": ("okay", "you know", "please", "man", "sir", "ma'am", "right", "thanks", "alright"),
}
SAFETY = (
    "crisis",
    "stop_contact",
    "dispute_debt",
    "legal_representation",
    "request_human",
    "deceased_or_incapacitated",
)
_DECAY, _RATE, _BATCH, _DROP = 0.03, 0.03, 256, 0.35
_THRESHOLD = (0.25, 0.2)
"""Below the first the main intent is ``other``; above the second a further intent counts."""
_EXPECTS = ("identity", "digits", "yes_no", "date", "amount", "date_amount", "open")


@lru_cache(maxsize=1)
def _homophones() -> dict[str, list[str]]:
    """Common characters (GB 2312 level 1) by toneless syllable."""
    table: dict[str, list[str]] = {}
    for high in range(0xB0, 0xD8):
        for low in range(0xA1, 0xFF):
            try:
                char = bytes((high, low)).decode("gb2312")
            except UnicodeDecodeError:
                continue
            table.setdefault(syllable(char), []).append(char)
    return table


def _misheard(text: str, lang: str, rng: random.Random) -> str:
    """The text as a recogniser may have it: homophones (Mandarin), lost and repeated bits, fillers."""
    if lang == "zh":
        out = []
        for char in text:
            chance = rng.random()
            if chance < 0.05 and is_han(char):
                char = rng.choice(_homophones().get(syllable(char), [char]))
            elif chance < 0.07:
                continue
            out.append(char)
        text = "".join(out) or text
    else:
        words = text.split()
        if len(words) > 2:
            words = [w for w in words if rng.random() > 0.05] or words
        text = " ".join(words)
    gap = "" if lang == "zh" else " "
    if rng.random() < 0.25:
        text = rng.choice(_LEAD[lang]) + gap + text
    if rng.random() < 0.1:
        text = text + gap + rng.choice(_TAIL[lang])
    return text


@dataclass(frozen=True, slots=True)
class Example:
    found: NDArray[np.int64]
    target: NDArray[np.float32]
    family: str


def _target(intents: dict[str, float], emotion: str) -> NDArray[np.float32]:
    out = np.zeros(_COLUMNS, dtype=np.float32)
    for name, share in intents.items():
        out[_INTENT[name]] = share
    out[_EMOTION[emotion]] = 1.0
    return out


def _shares(u: Utterance) -> dict[str, float]:
    if not u.also:
        return {u.intent: 1.0}
    return {u.intent: _MAIN_SHARE} | {name: (1 - _MAIN_SHARE) / len(u.also) for name in u.also}


def examples(utterances: Sequence[Utterance], copies: int, rng: random.Random) -> list[Example]:
    """Each utterance as it is and ``copies`` times misheard, some joined with another of the same language."""
    out: list[Example] = []
    by_lang = {lang: [u for u in utterances if u.lang == lang and not u.expects] for lang in ("zh", "en")}
    for u in utterances:
        target = _target(_shares(u), u.emotion)
        out.append(Example(features(u.text, u.lang, u.expects), target, u.family))
        for _ in range(copies):
            # Most utterances mean the same whatever was asked: the model must not lean on the question.
            expects = u.expects or (rng.choice(_EXPECTS) if rng.random() < 0.3 else None)
            out.append(Example(features(_misheard(u.text, u.lang, rng), u.lang, expects), target, u.family))
        if rng.random() < 0.35 and not u.expects and u.intent != "voicemail":
            other = rng.choice(by_lang[u.lang])
            if other.intent not in ("voicemail", "other") and u.intent != "other":
                weak = {"affirm", "greeting", "deny", "goodbye"}
                first = 0.8 if other.intent in weak else 0.2 if u.intent in weak else 0.5
                shares = {u.intent: first}
                shares[other.intent] = shares.get(other.intent, 0.0) + 1 - first
                joined = u.text + ("" if u.lang == "zh" else " ") + other.text
                emotion = u.emotion if u.emotion != "neutral" else other.emotion
                found = features(_misheard(joined, u.lang, rng), u.lang)
                out.append(Example(found, _target(shares, emotion), u.family))
    return out


def _fit(
    data: Sequence[Example], epochs: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
    """Buckets kept, their weights (buckets, columns) and the biases of a softmax over intents and one over emotions."""
    import torch
    from torch.nn import functional

    torch.manual_seed(seed)
    torch.set_num_threads(1)
    row = _shared(data)
    known = [np.searchsorted(row, e.found[np.isin(e.found, row)]) for e in data]
    total_found = [len(e.found) for e in data]
    layer = torch.nn.EmbeddingBag(len(row), _COLUMNS, mode="sum")
    torch.nn.init.zeros_(layer.weight)
    bias = torch.nn.Parameter(torch.zeros(_COLUMNS))
    optimizer = torch.optim.AdamW(
        [{"params": [layer.weight], "weight_decay": _DECAY}, {"params": [bias], "weight_decay": 0.0}], lr=_RATE
    )
    rng = np.random.default_rng(seed)
    split = len(INTENTS)
    targets = torch.from_numpy(np.stack([e.target for e in data]))
    for epoch in range(epochs):
        order = rng.permutation(len(data))
        for group in optimizer.param_groups:
            group["lr"] = _RATE * (1 - epoch / epochs) + _RATE / 20
        total = 0.0
        for start in range(0, len(order), _BATCH):
            batch = order[start : start + _BATCH]
            # Dropping features makes the model spread its weight instead of learning whole sentences by heart.
            kept = [known[i][rng.random(len(known[i])) > _DROP] for i in batch]
            offsets = np.cumsum([0] + [len(k) for k in kept[:-1]])
            scale = np.repeat(
                [1 / ((1 - _DROP) * np.sqrt(max(total_found[i], 1))) for i in batch], [len(k) for k in kept]
            ).astype(np.float32)
            logits = bias + layer(
                torch.from_numpy(np.concatenate(kept)),
                torch.from_numpy(offsets),
                per_sample_weights=torch.from_numpy(scale),
            )
            target = targets[torch.from_numpy(batch)]
            loss = functional.cross_entropy(logits[:, :split], target[:, :split], label_smoothing=0.03)
            loss = loss + 0.5 * functional.cross_entropy(logits[:, split:], target[:, split:], label_smoothing=0.03)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += float(loss.detach()) * len(batch)
        log.info("epoch %d loss %.4f", epoch + 1, total / len(data))
    weight: NDArray[np.float32] = layer.weight.detach().numpy()
    return row, weight, bias.detach().numpy()


def _shared(data: Sequence[Example]) -> NDArray[np.int64]:
    """Buckets that at least two families use, ascending: what only one family says teaches its sentences by heart."""
    first: dict[int, str] = {}
    shared: set[int] = set()
    for e in data:
        for bucket in e.found.tolist():
            if first.setdefault(bucket, e.family) != e.family:
                shared.add(bucket)
    return np.array(sorted(shared), dtype=np.int64)


def _pack(
    row: NDArray[np.int64],
    weight: NDArray[np.float32],
    bias: NDArray[np.float32],
    temperature: tuple[float, float],
    threshold: tuple[float, float],
) -> LinearModel:
    scale = np.maximum(np.abs(weight).max(axis=0) / 127, 1e-8).astype(np.float32)
    return LinearModel(
        row.astype(np.int32),
        np.round(weight / scale).astype(np.int8),
        scale,
        bias.astype(np.float32),
        np.array(temperature, dtype=np.float32),
        np.array(threshold, dtype=np.float32),
    )


def save(model: LinearModel, path: Path) -> None:
    """Write a model file (see ``sentiment.model``)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        path,
        row=model.row,
        weight=model.weight,
        scale=model.scale,
        bias=model.bias,
        temperature=model.temperature,
        threshold=model.threshold,
        labels=np.array([*INTENTS, *EMOTIONS]),
        buckets=np.array(BUCKETS),
    )


def _nll(logits: NDArray[np.float32], gold: NDArray[np.int64], temperature: float) -> float:
    z = logits / temperature
    z = z - z.max(axis=1, keepdims=True)
    return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(gold)), gold]))


def _temperature(logits: NDArray[np.float32], gold: NDArray[np.int64]) -> float:
    """The temperature with the least log loss (Guo et al., 2017), by a fine grid."""
    return float(min(np.arange(0.3, 3.01, 0.05), key=lambda t: _nll(logits, gold, float(t))))


def macro_f1(gold: Sequence[str], said: Sequence[str]) -> float:
    """Mean F1 over the labels that occur in ``gold``."""
    total = []
    for label in sorted(set(gold)):
        both = sum(g == s == label for g, s in zip(gold, said, strict=True))
        total.append(2 * both / max(gold.count(label) + list(said).count(label), 1))
    return float(np.mean(total)) if total else 0.0


def part(u: Utterance) -> str:
    """The side of the split that a family lies on: ``train``, ``dev`` or ``test``."""
    fold = crc32(f"split:{u.family}".encode()) % 10
    return "test" if fold < 2 else "dev" if fold == 2 else "train"


def measure(model: LinearModel, utterances: Sequence[Utterance]) -> dict[str, dict[str, float]]:
    """Figures a language, for the whole reader (rules, context, model) and for the model alone."""
    from sentiment.understand import Understander

    reader = Understander(model)
    out: dict[str, dict[str, float]] = {}
    for lang in ("zh", "en"):
        rows = [u for u in utterances if u.lang == lang]
        if not rows:
            continue
        read = [reader.understand(u.text, lang, expects=u.expects) for u in rows]
        alone = [model.scores(u.text, lang, u.expects).intents for u in rows]
        gold = [u.intent for u in rows]
        safe = [(u, r) for u, r in zip(rows, read, strict=True) if u.intent in SAFETY]
        out[lang] = {
            "n": len(rows),
            "macro_f1": macro_f1(gold, [r.intent for r in read]),
            "accuracy": float(np.mean([r.intent == g for r, g in zip(read, gold, strict=True)])),
            "model_macro_f1": macro_f1(gold, [max(s, key=lambda k: s[k]) for s in alone]),
            "safety_recall": float(np.mean([any(u.intent == k for k, _ in r.intents) for u, r in safe]))
            if safe
            else 1.0,
            "emotion_macro_f1": macro_f1([u.emotion for u in rows], [r.emotion for r in read]),
            "calibration_error": _calibration_error(
                [(r.confidence, r.intent == g) for r, g in zip(read, gold, strict=True)]
            ),
        }
    return out


def _calibration_error(pairs: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    total = 0.0
    for i in range(bins):
        inside = [(c, ok) for c, ok in pairs if i / bins <= c < (i + 1) / bins or (i == bins - 1 and c == 1.0)]
        if inside:
            total += len(inside) * abs(
                float(np.mean([c for c, _ in inside])) - float(np.mean([ok for _, ok in inside]))
            )
    return total / max(len(pairs), 1)


def _errors(model: LinearModel, utterances: Sequence[Utterance]) -> list[str]:
    from sentiment.understand import Understander

    reader = Understander(model)
    out = []
    for u in utterances:
        r = reader.understand(u.text, u.lang, expects=u.expects)
        if r.intent != u.intent:
            out.append(f"{u.intent:>20} -> {r.intent:<20} {r.confidence:.2f} {u.text}")
    return out


def train(
    utterances: Sequence[Utterance], epochs: int, copies: int, seed: int, temperature: tuple[float, float]
) -> LinearModel:
    """Fit a model on all the given utterances."""
    row, weight, bias = _fit(examples(utterances, copies, random.Random(seed)), epochs, seed)
    return _pack(row, weight, bias, temperature, _THRESHOLD)


def calibrated(model: LinearModel, utterances: Sequence[Utterance]) -> LinearModel:
    """The model with temperatures set on utterances it was not trained on."""
    logits = np.stack([model.logits(u.text, u.lang, u.expects) for u in utterances])
    split = len(INTENTS)
    intents = np.array([_INTENT[u.intent] for u in utterances])
    emotions = np.array([_EMOTION[u.emotion] - split for u in utterances])
    temperature = np.array(
        [_temperature(logits[:, :split], intents), _temperature(logits[:, split:], emotions)], dtype=np.float32
    )
    return replace(model, temperature=temperature)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: measure on unseen families, then train on everything and write the model."""
    parser = argparse.ArgumentParser(prog="python -m sentiment.training", description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--copies", type=int, default=2, help="misheard copies of each utterance")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--errors", action="store_true", help="print what the held-out families got wrong")
    parser.add_argument("--no-final", action="store_true", help="measure only")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    utterances = [u for name in ("zh", "en", "hand") for u in load(FOLDER / f"{name}.jsonl")]
    sides = {name: [u for u in utterances if part(u) == name] for name in ("train", "dev", "test")}
    split_model = calibrated(train(sides["train"], args.epochs, args.copies, args.seed, (1.0, 1.0)), sides["dev"])
    report: dict[str, object] = {"unseen_families": measure(split_model, sides["test"])}
    heldout = load(FOLDER / "heldout.jsonl") if (FOLDER / "heldout.jsonl").is_file() else []
    if args.errors:
        sys.stderr.write("\n".join(_errors(split_model, sides["test"])) + "\n")
    if not args.no_final:
        t = split_model.temperature
        final = train(utterances, args.epochs, args.copies, args.seed, (float(t[0]), float(t[1])))
        save(final, args.out)
        report["written"] = {"path": str(args.out), "bytes": args.out.stat().st_size, "utterances": len(utterances)}
        if heldout:
            report["held_out_sentences"] = measure(final, heldout)
            if args.errors:
                sys.stderr.write("== held out\n" + "\n".join(_errors(final, heldout)) + "\n")
    sys.stdout.write(json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
