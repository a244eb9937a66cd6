"""Whole-archive throughput: recorded calls to text, beside faster-whisper's sequential mode on the same cores.

Both sides hear the same files with the same weights, the same beam, word times and voice activity detection; they take
turns, file by file. The embedded model's errors against what was said are printed for both: speed at worse text is no
speed. So there the peer runs twice: as its filter packs speech into whole windows, which is cheaper and, for a model
that learned single utterances, hears worse; and one stretch of speech at a time, which gives text like ours.
At the published sizes (tiny, base, small) the weights are random, which cost the same for each frame and token,
and each side is held to four tokens a second of what it decodes; the vocabulary is the embedded model's, a tenth of the
published one, for both. The embedded model's window is shorter than 30 seconds, which stock faster-whisper cannot cut
to: the peer's features are cut for it, and its windows are then full of speech. Beside the time by the clock stands the
processor's: on a machine with other work, only that one means something.

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
from faster_whisper import WhisperModel, decode_audio
from faster_whisper.vad import VadOptions, get_speech_timestamps

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


PEERS = {
    "peer": "faster-whisper sequential, speech packed by its own filter",
    "apart": "faster-whisper sequential, one stretch of speech at a time",
}


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
    most = int(json.loads((model / "preprocessor_config.json").read_text())["max_target_positions"])
    peer.max_length = most
    if size != "embedded":
        paced(peer), paced(ours_model)
    margin = (
        0.5 if size == "embedded" else 2.0
    )  # as ``FasterWhisper.load`` gives them; random weights doubt nothing twice
    whisper = FasterWhisper(ours_model, max_tokens=most, takes_prompts=False, margin=margin)
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

    def theirs_apart(path: Path) -> str:
        sound = decode_audio(str(path))
        found = get_speech_timestamps(sound, VadOptions(min_silence_duration_ms=500, speech_pad_ms=200))
        clips = [each[edge] / 16000 for each in found for edge in ("start", "end")]
        heard, _ = peer.transcribe(
            sound, language="zh", beam_size=5, temperature=0.0, condition_on_previous_text=False,
            clip_timestamps=clips, word_timestamps=True, without_timestamps=True,
        )  # fmt: skip
        return "".join(segment.text.strip() for segment in heard)

    sides: dict[str, tuple[Callable[[Path], str], Side]] = {"ours": (ours, Side()), "peer": (theirs, Side())}
    if size == "embedded":
        sides["apart"] = (theirs_apart, Side())
    for hear, _ in sides.values():
        hear(calls[0][0])  # first use loads and allocates
    for path, _ in calls:
        for hear, side in sides.values():
            begun, busy = time.perf_counter(), time.process_time()
            side.heard.append(hear(path))
            side.seconds += time.perf_counter() - begun
            side.processor += time.process_time() - busy
    length = sum(soundfile.info(path).duration for path, _ in calls)
    mine = sides.pop("ours")[1]
    rows: list[dict[str, object]] = []
    for way, (_, other) in sides.items():
        name = PEERS[way]

        def row(
            figure: str, a: float, b: float, unit: str, *, name: str = name, more: bool = False
        ) -> dict[str, object]:
            ratio = round(a / b if more else b / a, 2) if a and b else None
            return {"figure": f"{figure}, {size}", "ours": a, "peer": b, "peer_name": name, "ratio": ratio,
                    "unit": unit, "n": len(calls)}  # fmt: skip

        rows.append(
            row("archive throughput", round(length / mine.seconds, 1), round(length / other.seconds, 1),
                "x real time", more=True)
        )  # fmt: skip
        hour = [round(3600 * side.processor / length, 1) for side in (mine, other)]
        rows.append(row("processor time for an hour of archive", hour[0], hour[1], "s"))
        if size == "embedded":
            said = [words for _, words in calls]
            wrong = [round(error_rate(list(zip(said, s.heard, strict=True)), "zh"), 4) for s in (mine, other)]
            rows.append(row("character error rate of that text", wrong[0], wrong[1], "errors per character"))
            apart = round(error_rate(list(zip(other.heard, mine.heard, strict=True)), "zh"), 4)
            rows.append(row("characters in which the texts differ", apart, 0.0, "per character of the peer's"))
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
            found = measure(size, calls, cores, Path(folder))
            rows += found
            if not args.json:
                for r in found:
                    print(
                        f"{r['figure']}: {r['ours']} against {r['peer']} {r['unit']} ({r['ratio']}; {r['peer_name']})"
                    )
                sys.stdout.flush()
    if args.json:
        json.dump(rows, sys.stdout, indent=1)
        print()


if __name__ == "__main__":
    main()
