"""Train the embedded Whisper on a pool of clips: ``python -m asr.training.train --pool DIR --out DIR --minutes 85``.

The schedule is wall-clock time: warm-up, then a cosine that reaches zero when the minutes are over. The pool may
still be growing. ``OUT/checkpoint.pt`` (averaged weights) is rewritten every few minutes; ``asr.training.convert``
turns it into the folder that faster-whisper loads.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
import json
import logging
import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from asr.training.augment import Augmenter
from asr.training.batching import Batch, Example, Pool, batches, longest_at, make_batch
from asr.training.exchange import Exchange
from asr.training.model import CtcUnits, Shape, Trained
from asr.training.pool import read_shard
from asr.training.scoring import error_rate
from asr.training.text import common_characters
from asr.training.tokenizer import Vocabulary, build
from asr.training.voices import Lang

log = logging.getLogger(__name__)
_HEAD_STEPS = 150


def losses(model: Trained, batch: Batch, apart: bool = False) -> tuple[Tensor, Tensor]:
    """Attention loss (label smoothing 0.1) and CTC loss, each per token. ``apart``: CTC teaches its head alone."""
    encoded = model.encode(batch.features.to(model.ctc.weight.dtype))
    logits = model.decode(encoded, batch.inputs)
    units = model.ctc(encoded.detach() if apart else encoded)
    attention = functional.cross_entropy(logits.float().flatten(0, 1), batch.labels.flatten(), label_smoothing=0.1)
    ctc = functional.ctc_loss(
        units.float().log_softmax(-1).transpose(0, 1),
        batch.units,
        batch.encoder_lengths.clamp(max=units.shape[1]),
        batch.unit_lengths,
        reduction="sum",
        zero_infinity=True,
    )
    return attention, ctc / max(1, len(batch.units))


@torch.no_grad()
def greedy(model: Trained, features: Tensor, lang: Lang, vocabulary: Vocabulary) -> list[str]:
    """The most likely text of every row, without timestamps."""
    n = len(features)
    encoded = model.encode(features)
    head = [vocabulary.sot, vocabulary.lang[lang], vocabulary.transcribe, vocabulary.notimestamps]
    tokens = torch.tensor([head] * n)
    done = torch.zeros(n, dtype=torch.bool)
    for _ in range(60):
        following = model.decode(encoded, tokens)[:, -1].float().argmax(-1)
        following[done] = vocabulary.eot
        tokens = torch.cat([tokens, following[:, None]], 1)
        done |= following == vocabulary.eot
        if bool(done.all()):
            break
    return [vocabulary.decode(row[4:]) for row in tokens.tolist()]


def measure(model: Trained, examples: list[Example], vocabulary: Vocabulary) -> dict[str, float]:
    """Error rate a language over ``examples``, each through its own random line, the same at every call."""
    found: dict[str, float] = {}
    for lang in vocabulary.lang:
        chosen = sorted((e for e in examples if e.clip.lang == lang), key=lambda e: len(e.clip.audio))
        augment = Augmenter(7)
        pairs: list[tuple[str, str]] = []
        for at in range(0, len(chosen), 32):
            part = chosen[at : at + 32]
            features, _, _ = augment.batch([e.clip.audio for e in part], hard=False)
            pairs += zip([e.clip.text for e in part], greedy(model, features, lang, vocabulary), strict=True)
        if pairs:
            found[lang] = error_rate(pairs, lang)
            log.info("  %s", " | ".join(f"{said} → {heard}" for said, heard in pairs[:: max(1, len(pairs) // 3)]))
    return found


def _fastest() -> torch.dtype:
    """bfloat16 where the processor multiplies it; one that only emulates it is forty times slower than in float32."""
    return torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32


def rate_at(fraction: float, step: int, peak: float, warmup: int) -> float:
    """Learning rate: linear over ``warmup`` steps, then a cosine to zero at ``fraction`` 1."""
    return peak * min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * min(1.0, fraction)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, required=True, help="folder of the pool that synth wrote")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints, log and tokenizer.json")
    parser.add_argument("--minutes", type=float, default=85.0)
    parser.add_argument("--general-share", type=float, default=0.08, help="share of general text in a batch")
    parser.add_argument("--positions", type=int, default=1250, help="encoder positions a batch and worker")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate")
    parser.add_argument("--merges", type=int, default=700, help="English word pieces beyond letters")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resume", action="store_true", help="go on from OUT/state.pt")
    parser.add_argument(
        "--init", type=Path, help="begin with the weights of this checkpoint.pt (see asr.training.grow)"
    )
    args = parser.parse_args()
    if args.init and args.resume:
        parser.error("--init begins a run, --resume goes on with one: choose")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)

    tokenizer = args.out / "tokenizer.json"
    if args.init and not tokenizer.exists():
        shutil.copy(args.init.with_name("tokenizer.json"), tokenizer)
    spoken = [clip.text for path in sorted(args.pool.glob("train-*-en-*.npz")) for clip in read_shard(path)]
    if not tokenizer.exists():
        build(common_characters(), spoken, args.merges, tokenizer)
    vocabulary = Vocabulary(tokenizer)
    units = CtcUnits(common_characters(), spoken)
    pool = Pool(args.pool, vocabulary, units)
    dev = Pool(args.pool, vocabulary, units, "dev-unseen-")
    start = args.out / "checkpoint.pt" if args.resume else args.init
    begun = torch.load(start, weights_only=True) if start else None
    shape = Shape(**begun["shape"]) if begun else Shape()
    master = Trained(shape, vocabulary, units.size)
    fresh_head = begun is not None and "ctc.weight" not in begun["model"]
    if begun:
        master.load_state_dict(begun["model"], strict=not fresh_head)
    model = copy.deepcopy(master).to(_fastest()).train()  # computes; the float32 master learns
    ema = copy.deepcopy(master).eval()
    log.info("%d + %d clips, %d tokens, %d units, %.1f M parameters", len(pool.grammar), len(pool.general),
             vocabulary.size, units.size, sum(p.numel() for p in master.whisper.parameters()) / 1e6)  # fmt: skip
    exchange = Exchange(list(master.parameters()), args.workers)
    rank = 0
    for i in range(1, args.workers):
        if os.fork() == 0:
            rank = i
            break
    run = _Run(args, vocabulary, pool, dev, shape, master, model, ema, exchange, rank, _HEAD_STEPS * fresh_head)
    run.train()
    if rank:
        os._exit(0)


class _Run:
    """One worker's training. Worker 0 also logs, measures and saves."""

    def __init__(
        self,
        args: argparse.Namespace,
        vocabulary: Vocabulary,
        pool: Pool,
        dev: Pool,
        shape: Shape,
        master: Trained,
        model: Trained,
        ema: Trained,
        exchange: Exchange,
        rank: int,
        apart: int = 0,
    ) -> None:
        self.args, self.vocabulary, self.pool, self.dev, self.shape = args, vocabulary, pool, dev, shape
        self.master, self.model, self.ema, self.exchange, self.rank = master, model, ema, exchange, rank
        self.optimizer = torch.optim.AdamW(
            master.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.rng = np.random.default_rng([args.seed, rank, 4])
        self.elapsed, self.step = 0.0, 0
        self.apart = apart  # steps in which a fresh CTC head learns from an encoder that does not listen to it
        self.seasoned = args.init is not None  # no easy lessons for a network that can hear
        if args.resume:
            state = torch.load(args.out / "state.pt", weights_only=True)
            master.load_state_dict(state["model"])
            model.load_state_dict(state["model"])
            ema.load_state_dict(state["ema"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.elapsed, self.step = state["elapsed"], state["step"]
            self.seasoned = state.get("seasoned", False)
            self.rng = np.random.default_rng([args.seed, rank, self.step])
        self.augment = Augmenter(args.seed + 100 * rank + self.step)

    def train(self) -> None:
        budget = self.args.minutes * 60
        started = time.monotonic() - self.elapsed
        saved = measured = time.monotonic()
        sums = np.zeros(3)
        while self.elapsed < budget:
            self.pool.refresh()
            fraction = self.elapsed / budget
            self.augment.hardness = 1.0 if self.seasoned else min(1.0, fraction / 0.3)
            longest = longest_at(1.0 if self.seasoned else fraction)
            for examples in batches(self.pool, self.rng, self.args.positions, self.args.general_share, longest):
                sums += (*self._learn(examples, self.elapsed / budget, time.monotonic() - started), 1)
                if self.elapsed >= budget:
                    break
                if self.rank:
                    continue
                if self.step % 50 == 0:
                    log.info("step %d %.1f min attention %.3f ctc %.3f lr %.2e", self.step, self.elapsed / 60,
                             sums[0] / sums[2], sums[1] / sums[2], self.optimizer.param_groups[0]["lr"])  # fmt: skip
                    sums[:] = 0
                now = time.monotonic()
                if now - saved > 180:
                    saved = now
                    self._save()
                if now - measured > 600:
                    measured = now
                    self._measure(self.dev.grammar[::10])
        if self.rank == 0:
            self._save()
            self._measure(self.dev.grammar[::3])

    def _learn(self, examples: list[Example], fraction: float, elapsed: float) -> tuple[float, float]:
        """One step, together with the other workers. Returns this worker's losses."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(fraction, self.step, self.args.rate, 100 if self.seasoned else 400)
        nothing = int(self.augment.rng.random() < 0.5)
        attention, ctc = losses(
            self.model, make_batch(examples, self.augment, self.vocabulary, nothing), self.step < self.apart
        )
        share = 0.3 if self.seasoned else 0.5 - 0.2 * fraction  # of CTC: it leads at first
        ((1 - share) * attention + share * ctc).backward()  # type: ignore[no-untyped-call]
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in self.model.parameters()]
        means, self.elapsed = self.exchange.average(gradients, self.rank, elapsed)
        for p, q, mean in zip(self.master.parameters(), self.model.parameters(), means, strict=True):
            q.grad, p.grad = None, mean if p.requires_grad else None
        torch.nn.utils.clip_grad_norm_(self.master.parameters(), 2.0)
        self.optimizer.step()
        decay = min(0.999, (self.step + 1) / (self.step + 20))
        with torch.no_grad():
            for p, q, average in zip(
                self.master.parameters(), self.model.parameters(), self.ema.parameters(), strict=True
            ):
                q.copy_(p)
                average.lerp_(p, 1 - decay)
        self.step += 1
        return float(attention.detach()), float(ctc.detach())

    def _measure(self, examples: list[Example]) -> None:
        log.info("dev at step %d: %s", self.step, json.dumps(measure(self.ema, examples, self.vocabulary)))

    def _save(self) -> None:
        _write(
            self.args.out / "checkpoint.pt",
            {"model": self.ema.state_dict(), "shape": dataclasses.asdict(self.shape), "step": self.step},
        )
        _write(
            self.args.out / "state.pt",
            {"model": self.master.state_dict(), "ema": self.ema.state_dict(), "step": self.step,
             "optimizer": self.optimizer.state_dict(), "elapsed": self.elapsed, "seasoned": self.seasoned},
        )  # fmt: skip


def _write(path: Path, content: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(content, partial)
    partial.rename(path)


if __name__ == "__main__":
    main()
