"""Does batching across calls pay? The same turns from many calls at once, with and without the engine's batches.

Turns arrive at random moments (Poisson, seeded) at rising shares of what one turn at a time can bear on this machine.
Beside the engine with batches stands the engine that decodes one turn at a time, on as many threads: everything else is
equal, and the two take turns at each rate. A rate holds while the 95th percentile of the time from a turn's end to its
text stays under twice what it is for a lone turn; the highest such rate, per core, is the figure. At the published
sizes the weights are random (``_random_whisper.py``).

    python benchmarks/asr_streams.py [--quick] [--json] [--sizes embedded,tiny,base]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import numpy as np
from _random_whisper import SHAPES, paced, random_model
from faster_whisper import WhisperModel

from asr.engine import Engine
from asr.engines import load_transcriber
from asr.training.evaluate import spoken
from asr.transcriber import BatchTranscriber, Lang, Transcription
from asr.whisper import FasterWhisper
from audio.g711 import Floats
from audio.telephone import RATE

Clip = tuple[Lang, Floats]
SHARES = (0.25, 0.5, 0.75, 0.9, 1.1)
"""Rates of arrival, as shares of what one turn at a time decodes with a full queue."""


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


def load(size: str, cores: int, home: Path) -> BatchTranscriber:
    """The embedded model, one of a published size with random weights, or whatever ``load_transcriber`` takes."""
    if size not in SHAPES:
        return load_transcriber(None if size == "embedded" else size, num_workers=cores)
    model = WhisperModel(
        str(random_model(size, home)), device="cpu", compute_type="int8", cpu_threads=1, num_workers=cores
    )
    return FasterWhisper(paced(model), max_tokens=160, takes_prompts=False)


def spoken_clips(each: int) -> list[Clip]:
    """Turns of 0.5 to 6 s in both languages by voices never in training, shuffled."""
    clips: list[Clip] = [("zh", sound) for _, sound, *_ in spoken("zh", "unseen", each, seed=5)]
    clips += [("en", sound) for _, sound, *_ in spoken("en", "unseen", each, seed=5)]
    return [clips[i] for i in np.random.default_rng(2).permutation(len(clips))]


def capacity(engine: Engine, clips: Sequence[Clip]) -> float:
    """Turns a second with the queue never empty."""
    begun = time.perf_counter()
    for future in [engine.submit(sound, RATE, lang) for lang, sound in clips * 2]:
        future.result()
    return 2 * len(clips) / (time.perf_counter() - begun)


def measure(size: str, clips: Sequence[Clip], cores: int, seconds: float, home: Path) -> list[dict[str, object]]:
    """Waits at rates around what one turn at a time can bear, ``seconds`` of arrivals each, both ways in turn."""
    model = load(size, cores, home)
    with (
        Engine(model, workers=cores, max_batch=8, max_waiting=10_000) as batched,
        Engine(model, workers=cores, max_batch=1, max_waiting=10_000) as single,
    ):
        lone = []
        for lang, sound in clips:
            begun = time.perf_counter()
            single.transcribe(sound, RATE, lang)
            lone.append(time.perf_counter() - begun)
        bound = 2 * p95(lone)
        most = [capacity(engine, clips) for engine in (batched, single)]
        found: dict[float, tuple[list[float], list[float]]] = {}
        for share in SHARES:
            rate = share * most[1]
            turns = max(12, round(rate * seconds))
            found[share] = (waits(batched, clips, rate, turns), waits(single, clips, rate, turns))
        size_of = batched.load
    held = [max((s for s in SHARES if p95(found[s][i]) <= bound), default=0.0) * most[1] / cores for i in (0, 1)]
    n = sum(len(pair[0]) for pair in found.values())

    def row(figure: str, unit: str, ours: float, peer: float, count: int) -> dict[str, object]:
        return {"figure": f"{size}: {figure}", "ours": round(ours, 2), "peer": round(peer, 2),
                "peer_name": "one turn at a time", "ratio": round(ours / peer, 2) if peer else None, "unit": unit,
                "n": count}  # fmt: skip

    rows = [
        row(
            "turns a second per core with a full queue",
            "turns/s/core",
            most[0] / cores,
            most[1] / cores,
            2 * len(clips),
        ),
        row("turns a second per core before p95 doubles", "turns/s/core", held[0], held[1], n),
        row("turns in a batch, mean", "turns", size_of.decoded / max(1, size_of.batches), 1.0, size_of.decoded),
    ]
    for share, (a, b) in found.items():
        for name, q in (("p50", 50), ("p95", 95)):
            x, y = (1000 * float(np.percentile(v, q)) for v in (a, b))
            rows.append(row(f"{name} from turn's end to text at {share:.0%} of full", "ms", x, y, len(a)))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the embedded size only, for a few seconds a rate")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sizes", help="embedded, tiny, base, small, or a folder (default: embedded,tiny,base)")
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    sizes = (args.sizes or ("embedded" if args.quick else "embedded,tiny,base")).split(",")
    clips = spoken_clips(8 if args.quick else 16)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory(prefix="callgate-streams-") as folder:
        for size in sizes:
            home = Path(folder) / size.replace("/", "_")
            home.mkdir()
            rows += measure(size, clips, cores, 3.0 if args.quick else 8.0, home)
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
