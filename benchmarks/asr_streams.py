"""Does batching across calls pay? The same turns from many calls at once, with and without the engine's batches.

Turns arrive at random moments (Poisson, seeded) at rising rates. Beside the engine with batches stands the engine that
decodes one turn at a time, on as many threads: everything else is equal. A rate holds while the 95th percentile of the
time from a turn's end to its text stays under twice what it is for a lone turn; the highest such rate, per core, is the
figure. Also printed: the median and 95th percentile at the highest rate that both were given.

    python benchmarks/asr_streams.py [--quick] [--json] [--model NAME_OR_FOLDER]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np

from asr.engine import Engine
from asr.engines import load_transcriber
from asr.training.evaluate import spoken
from asr.transcriber import BatchTranscriber, Lang, Transcription
from audio.g711 import Floats
from audio.telephone import RATE

Clip = tuple[Lang, Floats]


def waits(engine: Engine, clips: Sequence[Clip], rate: float, turns: int) -> list[float]:
    """Seconds from each of ``turns`` arrivals, ``rate`` a second, to its text."""
    rng = np.random.default_rng(11)
    moments = np.cumsum(rng.exponential(1 / rate, turns))
    done: dict[int, float] = {}
    futures: list[Future[Transcription]] = []
    begun = time.perf_counter()
    for i, moment in enumerate(moments):
        time.sleep(max(0.0, begun + moment - time.perf_counter()))
        lang, sound = clips[i % len(clips)]
        future = engine.submit(sound, RATE, lang)
        future.add_done_callback(lambda _, i=i: done.__setitem__(i, time.perf_counter()))
        futures.append(future)
    for future in futures:
        future.result()
    return [done[i] - begun - float(moments[i]) for i in range(turns)]


def p95(values: Sequence[float]) -> float:
    return float(np.percentile(values, 95))


def sweep(
    transcriber: BatchTranscriber, clips: Sequence[Clip], rates: Sequence[float], batch: int, cores: int, turns: int
) -> dict[float, list[float]]:
    """Waits at each rate; the first (lone turns) is key 0."""
    with Engine(transcriber, workers=cores, max_batch=batch, max_waiting=10_000) as engine:
        for lang, sound in clips[:4]:
            engine.transcribe(sound, RATE, lang)
        lone = []
        for lang, sound in clips:
            begun = time.perf_counter()
            engine.transcribe(sound, RATE, lang)
            lone.append(time.perf_counter() - begun)
        return {0.0: lone, **{rate: waits(engine, clips, rate, turns) for rate in rates}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="40 turns at four rates instead of 200 at eight")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--model", help="as for callgate transcribe; default: the embedded one")
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    clips: list[Clip] = [("zh", sound) for _, sound, _ in spoken("zh", "unseen", 16, seed=5)]
    clips += [("en", sound) for _, sound, _ in spoken("en", "unseen", 16, seed=5)]
    order = np.random.default_rng(2).permutation(len(clips))
    clips = [clips[i] for i in order]
    rates = (8.0, 16.0, 32.0, 64.0) if args.quick else (4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0)
    transcriber = load_transcriber(args.model, num_workers=cores)
    turns = 40 if args.quick else 200
    batched = sweep(transcriber, clips, rates, 8, cores, turns)
    single = sweep(transcriber, clips, rates, 1, cores, turns)
    bound = 2 * min(p95(batched[0.0]), p95(single[0.0]))
    best = [max((r for r in rates if p95(side[r]) <= bound), default=0.0) / cores for side in (batched, single)]
    rows = [
        {"figure": "turns a second per core before p95 doubles", "ours": best[0], "peer": best[1],
         "peer_name": "one turn at a time", "ratio": round(best[0] / best[1], 2) if best[1] else None,
         "unit": "turns/s/core", "n": turns}
    ]  # fmt: skip
    for rate in rates:
        for name, share in (("p50", 50), ("p95", 95)):
            a, b = (1000 * float(np.percentile(side[rate], share)) for side in (batched, single))
            rows.append(
                {"figure": f"{name} from turn's end to text at {rate:g} turns a second", "ours": round(a, 1),
                 "peer": round(b, 1), "peer_name": "one turn at a time", "ratio": round(a / b, 2), "unit": "ms",
                 "n": turns}
            )  # fmt: skip
    if args.json:
        json.dump(rows, sys.stdout, indent=1)
        print()
        return
    for row in rows:
        print(
            f"{row['figure']}: {row['ours']} against {row['peer']} {row['unit']} (ratio {row['ratio']}, n={row['n']})"
        )


if __name__ == "__main__":
    main()
