"""Whole-archive throughput: recorded calls to text, beside faster-whisper's sequential mode on the same cores.

Both sides hear the same files with the same weights, the same beam, word times and voice activity detection; they take
turns, file by file. The embedded model's errors against what was said are printed for both: speed at worse text is no
speed. At the published sizes (tiny, base, small) the weights are random, which cost the same for each frame and token,
and each side is held to four tokens a second of what it decodes; the vocabulary is the embedded model's, a tenth of the
published one, for both. The embedded model's window is ten seconds, which stock faster-whisper cannot cut to: the
peer's features are cut for it. Beside the time by the clock stands the processor's: on a machine with other work, only
that one means something.

    python benchmarks/transcribe_archive.py [--quick] [--json] [--sizes embedded,tiny,base,small]
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from _random_whisper import SHAPES, paced, random_model
from faster_whisper import WhisperModel

from asr.audiofile import open_recording
from asr.batch import BatchTranscription
from asr.training.evaluate import spoken
from asr.training.scoring import error_rate
from asr.whisper import EMBEDDED, FasterWhisper
from audio.telephone import RATE


class Cut(WhisperModel):  # type: ignore[misc] # faster-whisper has no types
    """Stock faster-whisper with its features cut to the model's own window."""

    def encode(self, features: np.ndarray[Any, Any]) -> Any:
        return super().encode(features[..., : self.feature_extractor.nb_max_frames])


@dataclass(slots=True)
class Side:
    seconds: float = 0.0
    processor: float = 0.0
    heard: list[str] = field(default_factory=list)


def archive(folder: Path, files: int, seconds: float) -> list[tuple[Path, str]]:
    """Calls of one side each: utterances of voices never in training, pauses of one to four seconds."""
    rng = np.random.default_rng(9)
    clips = list(spoken("zh", "unseen", int(files * seconds / 4) + 10, seed=17))
    calls: list[tuple[Path, str]] = []
    at = 0
    for number in range(files):
        parts, words, length = [], [], 0
        while length < seconds * RATE:
            said, sound, *_ = clips[at % len(clips)]
            at += 1
            parts += [sound, np.zeros(int(rng.uniform(1, 4) * RATE), np.float32)]
            words.append(said)
            length += len(parts[-1]) + len(sound)
        path = folder / f"{number}.wav"
        soundfile.write(path, np.concatenate(parts), RATE, subtype="PCM_16")
        calls.append((path, "".join(words)))
    return calls


def measure(size: str, calls: list[tuple[Path, str]], cores: int, folder: Path) -> list[dict[str, object]]:
    model = EMBEDDED if size == "embedded" else random_model(size, folder / size)
    options: dict[str, Any] = {"device": "cpu", "compute_type": "int8"}
    peer = (Cut if size == "embedded" else WhisperModel)(str(model), cpu_threads=cores, num_workers=1, **options)
    ours_model = WhisperModel(str(model), cpu_threads=1, num_workers=cores, **options)
    peer.max_length = 160
    if size != "embedded":
        paced(peer), paced(ours_model)
    whisper = FasterWhisper(ours_model, max_tokens=160, takes_prompts=False)
    transcription = BatchTranscription(whisper, workers=cores)

    def ours(path: Path) -> str:
        with open_recording(path) as recording:
            return "".join(row.text for row in transcription.transcribe(recording, "zh"))

    def theirs(path: Path) -> str:
        found, _ = peer.transcribe(
            str(path), language="zh", beam_size=5, temperature=0.0, condition_on_previous_text=False,
            vad_filter=True, word_timestamps=True, without_timestamps=True,
        )  # fmt: skip
        return "".join(segment.text.strip() for segment in found)

    sides: dict[str, tuple[Callable[[Path], str], Side]] = {"ours": (ours, Side()), "peer": (theirs, Side())}
    for hear, _ in sides.values():
        hear(calls[0][0])  # first use loads and allocates
    for path, _ in calls:
        for hear, side in sides.values():
            begun, busy = time.perf_counter(), time.process_time()
            side.heard.append(hear(path))
            side.seconds += time.perf_counter() - begun
            side.processor += time.process_time() - busy
    length = sum(soundfile.info(path).duration for path, _ in calls)
    mine, other = sides["ours"][1], sides["peer"][1]
    rows: list[dict[str, object]] = [
        {"figure": f"archive throughput, {size}", "ours": round(length / mine.seconds, 1),
         "peer": round(length / other.seconds, 1), "peer_name": "faster-whisper sequential",
         "ratio": round(other.seconds / mine.seconds, 2), "unit": "x real time", "n": len(calls)},
        {"figure": f"processor time for an hour of archive, {size}",
         "ours": round(3600 * mine.processor / length, 1), "peer": round(3600 * other.processor / length, 1),
         "peer_name": "faster-whisper sequential", "ratio": round(mine.processor / other.processor, 2), "unit": "s",
         "n": len(calls)},
    ]  # fmt: skip
    if size == "embedded":
        errors = [error_rate(list(zip([w for _, w in calls], s.heard, strict=True)), "zh") for s in (mine, other)]
        rows.append(
            {"figure": "character error rate of that text", "ours": round(errors[0], 4), "peer": round(errors[1], 4),
             "peer_name": "faster-whisper sequential", "ratio": round(errors[0] / errors[1], 2),
             "unit": "errors per character", "n": len(calls)}
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two short calls a size instead of twelve")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--sizes", default="embedded,tiny,base,small")
    args = parser.parse_args()
    sizes = args.sizes.split(",")
    if unknown := [s for s in sizes if s not in ("embedded", *SHAPES)]:
        parser.error(f"no size {unknown[0]!r}; there are: embedded, {', '.join(SHAPES)}")
    cores = len(os.sched_getaffinity(0))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        calls = archive(Path(folder), 2 if args.quick else 12, 45.0 if args.quick else 120.0)
        for size in sizes:
            (Path(folder) / size).mkdir()
            rows += measure(size, calls, cores, Path(folder))
            if not args.json:
                for row in rows[-3 if size == "embedded" else -2 :]:
                    print(
                        f"{row['figure']}: {row['ours']} against {row['peer']} {row['unit']} ({row['ratio']})",
                        flush=True,
                    )
    if args.json:
        json.dump(rows, sys.stdout, indent=1)
        print()


if __name__ == "__main__":
    main()
