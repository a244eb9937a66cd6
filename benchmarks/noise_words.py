"""Words out of nothing: what is heard while nobody speaks, ten minutes of each kind of sound.

Three ways hear the same sound with the same weights, in both languages: a live call (detector, endpointer, recogniser,
guards, without the pipeline around them), ``callgate transcribe``, and stock faster-whisper with its own voice activity
detection and thresholds. The figure is words (characters of Mandarin) in all; none is right.

    python benchmarks/noise_words.py [--quick] [--json] [--minutes N] [--kinds "silence;fax;…"]
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, get_args

import numpy as np
import soundfile
from _nothing import NOTHING
from faster_whisper import WhisperModel

from asr.audiofile import open_recording
from asr.batch import BatchTranscription
from asr.endpointing import Endpointer, TurnEnded
from asr.guards import turn_doubt, units
from asr.languages import transcribe_either
from asr.transcriber import Lang, Transcriber
from asr.whisper import EMBEDDED, FasterWhisper
from audio.g711 import Floats, decode, encode, to_float, to_pcm16
from audio.telephone import RATE, resample

WINDOW = 256
PRE_ROLL, POST_ROLL = 0.25, 0.15
"""As ``agent.hearing`` cuts a turn out."""


class Cut(WhisperModel):  # type: ignore[misc] # faster-whisper has no types
    """Stock faster-whisper with its features cut to the model's own window."""

    def encode(self, features: np.ndarray[Any, Any]) -> Any:
        return super().encode(features[..., : self.feature_extractor.nb_max_frames])


def live_turns(sound: Floats) -> list[Floats]:
    """What a live call takes for turns."""
    from pipecat.audio.vad.silero import SileroVADAnalyzer

    detector, endpointer = SileroVADAnalyzer(sample_rate=RATE), Endpointer(patience=0.8)
    detector.set_sample_rate(RATE)
    pcm = decode(encode(to_pcm16(sound)))
    turns: list[Floats] = []
    for end in range(WINDOW, len(pcm), WINDOW):
        chance = float(np.squeeze(detector.voice_confidence(pcm[end - WINDOW : end].tobytes())))
        for event in endpointer.feed(chance):
            if isinstance(event, TurnEnded):
                first, last = int((event.start - PRE_ROLL) * RATE), int((event.end + POST_ROLL) * RATE)
                turns.append(to_float(pcm[max(0, first) : last]))
    return turns


def live_words(turns: list[Floats], transcriber: Transcriber, lang: Lang) -> list[str]:
    """Texts that a dialogue would have answered."""
    found = []
    for turn in turns:
        heard = transcribe_either(transcriber, turn, RATE, lang)
        if turn_doubt(heard, len(turn) / RATE) is None:
            found.append(heard.text)
    return found


def stock_words(model: WhisperModel, sound: Floats, lang: Lang) -> list[str]:
    try:
        found, _ = model.transcribe(
            resample(sound, RATE, 16000), language=lang, beam_size=5, condition_on_previous_text=False,
            vad_filter=True, temperature=0.0,
        )  # fmt: skip
    except ValueError:  # it was left no speech at all, and its features cannot be empty
        return []
    return [segment.text for segment in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="half a minute of each")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--kinds", help="; ".join(NOTHING))
    args = parser.parse_args()
    kinds = args.kinds.split(";") if args.kinds else list(NOTHING)
    if unknown := [kind for kind in kinds if kind not in NOTHING]:
        parser.error(f"no kind {unknown[0]!r}; there are: {'; '.join(NOTHING)}")
    from loguru import logger

    logger.remove()
    seconds = 30.0 if args.quick else 60 * args.minutes
    whisper, peer = FasterWhisper.load(), Cut(str(EMBEDDED), device="cpu", compute_type="int8", cpu_threads=1)
    peer.max_length = int(json.loads((EMBEDDED / "preprocessor_config.json").read_text())["max_target_positions"])
    transcription = BatchTranscription(whisper)
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "nothing.wav"
        for kind in kinds:
            sound = NOTHING[kind](seconds)
            soundfile.write(path, sound, RATE)
            turns = live_turns(sound)
            texts: dict[str, list[str]] = {"live": [], "transcribe": [], "peer": []}
            for lang in get_args(Lang):
                texts["live"] += live_words(turns, whisper, lang)
                with open_recording(path) as recording:
                    texts["transcribe"] += [row.text for row in transcription.transcribe(recording, lang)]
                texts["peer"] += stock_words(peer, sound, lang)
            words = {way: sum(len(units(text)) for text in each) for way, each in texts.items()}
            for way in ("live", "transcribe"):
                rows.append(
                    {"figure": f"words out of {kind}, {way}", "ours": words[way], "peer": words["peer"],
                     "peer_name": "faster-whisper with its voice activity detection", "ratio": None,
                     "unit": "words", "n": len(turns) if way == "live" else 2}
                )  # fmt: skip
                if not args.json:
                    row = rows[-1]
                    said = f" {texts[way][:3]}" if texts[way] else ""
                    print(f"{row['figure']}: {row['ours']} against {row['peer']} ({row['n']}){said}", flush=True)
    if args.json:
        json.dump(rows, sys.stdout, indent=1, ensure_ascii=False)
        print()


if __name__ == "__main__":
    main()
