"""How well the embedded Whisper hears: error rates on sentences never in training, on voices seen and never seen.

Run: python benchmarks/asr_accuracy.py [--quick] [--json]. No other recogniser stands beside it: a real Whisper needs
a download, and hears espeak-ng badly. The peer is the target that the project set itself.
"""

from __future__ import annotations

import argparse
import json
import time

from asr.training.evaluate import score, spoken
from asr.whisper import FasterWhisper
from audio.telephone import RATE

TARGETS = {("zh", "unseen"): 0.08, ("zh", "seen"): 0.04, ("en", "unseen"): 0.12, ("en", "seen"): 0.06}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="60 sentences each instead of 400")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    n = 60 if args.quick else 400
    model = FasterWhisper.load(words=False)
    rows: list[dict[str, object]] = []
    for (lang, voices), target in TARGETS.items():
        scores, _ = score(model, lang, voices, n)
        found = scores[0]  # of what a call brings: what the targets are about
        unit = "character" if lang == "zh" else "word"
        rows.append(
            {"figure": f"{unit} error rate, {lang}, {voices} voices, unseen sentences of a call",
             "ours": round(found.error_rate, 4), "peer": target, "peer_name": "target",
             "ratio": round(found.error_rate / target, 3), "unit": f"errors per {unit}", "n": found.n}
        )  # fmt: skip
    clips = [(audio, lang) for lang in ("zh", "en") for _, audio, _, _ in spoken(lang, "seen", 30, 7)]
    timed = FasterWhisper.load()
    timed.transcribe(clips[0][0], RATE, "zh")
    begun = time.perf_counter()
    for clip, lang in clips:
        timed.transcribe(clip, RATE, lang)
    took, heard = time.perf_counter() - begun, sum(len(c) for c, _ in clips) / RATE
    rows.append(
        {"figure": "compute per second of speech, word times included, one thread", "ours": round(took / heard, 4),
         "peer": 1.0, "peer_name": "real time", "ratio": round(took / heard, 4), "unit": "s/s", "n": len(clips)}
    )  # fmt: skip
    if args.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(f"{row['figure']}: {row['ours']} (target {row['peer']}, ratio {row['ratio']}, n={row['n']})")


if __name__ == "__main__":
    main()
