"""Measure a model on sentences never in training: ``python -m asr.training.evaluate [--model DIR] [-n 300]``.

Sentences are the grammar's held-out ones (templates, fillings and everyday lines that training does not hold), spoken
by espeak-ng voices that training heard, or never heard, and passed through ``audio.telephone`` with lines from good
to bad. Prints Mandarin character and English word error rates, with 95 % bootstrap intervals over sentences.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from asr.grammar import Split, sentences
from asr.training.scoring import error_rate
from asr.training.synth import speak
from asr.training.voices import Lang, VoiceSet
from asr.transcriber import Transcriber
from asr.whisper import FasterWhisper
from audio.g711 import Floats, Pcm16, to_float
from audio.telephone import RATE, Line, telephone


@dataclass(frozen=True, slots=True)
class Score:
    """Error rate of one language and set of voices, ``low``–``high`` its 95 % interval over ``n`` sentences."""

    lang: Lang
    voices: VoiceSet
    error_rate: float
    low: float
    high: float
    n: int


def random_line(rng: np.random.Generator) -> Line:
    """A line from good to bad: 12–35 dB SNR, level and band spread, one in six clipped or losing packets."""
    return Line(
        snr_db=float(rng.uniform(12, 35)),
        noise_color=float(rng.choice([0.0, 1.0, 2.0])),
        band=(float(rng.uniform(100, 320)), float(rng.uniform(3200, 3700))),
        level_db=float(rng.uniform(-28, -15)),
        clip=0.3 if rng.random() < 1 / 6 else 1.0,
        loss=0.02 if rng.random() < 1 / 6 else 0.0,
    )


def spoken(lang: Lang, voices: VoiceSet, n: int, seed: int, split: Split = "test") -> Iterator[tuple[str, Floats, str]]:
    """(transcript, 8 kHz audio as received, voice) of ``n`` held-out sentences."""
    rng = np.random.default_rng([seed, 5])
    for sentence in sentences(lang, split, n, seed):
        said = speak(sentence.spoken, lang, voices, rng)
        if said is not None:
            quiet = np.zeros(int(rng.uniform(0.1, 0.3) * RATE), np.int16)
            clip: Pcm16 = np.concatenate([quiet, said[0], quiet])
            yield sentence.text, to_float(telephone(to_float(clip), RATE, random_line(rng), rng)), said[1]


def score(
    model: Transcriber, lang: Lang, voices: VoiceSet, n: int, seed: int = 2026
) -> tuple[Score, list[tuple[str, str, str]]]:
    """The score, and (said, heard, voice) of every sentence."""
    rows = [
        (said, model.transcribe(audio, RATE, lang).text, voice) for said, audio, voice in spoken(lang, voices, n, seed)
    ]
    pairs = [(said, heard) for said, heard, _ in rows]
    rng = np.random.default_rng(seed)
    draws = [error_rate([pairs[i] for i in rng.integers(len(pairs), size=len(pairs))], lang) for _ in range(100)]
    low, high = np.percentile(draws, [2.5, 97.5])
    return Score(lang, voices, error_rate(pairs, lang), float(low), float(high), len(pairs)), rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a CTranslate2 folder; the embedded model if left out")
    parser.add_argument("-n", type=int, default=300, help="sentences a language and set of voices")
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--beam", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--errors", type=int, default=0, help="show this many misheard sentences each")
    args = parser.parse_args()
    model = FasterWhisper.load(args.model, beam_size=args.beam, words=False)
    scores = []
    for lang in ("zh", "en"):
        for voices in ("unseen", "seen"):
            found, rows = score(model, lang, voices, args.n, args.seed)
            scores.append(found)
            if not args.json:
                name = "CER" if lang == "zh" else "WER"
                interval = f"({found.low:.1%}–{found.high:.1%}, n={found.n})"
                sys.stdout.write(f"{lang} {voices:6} voices  {name} {found.error_rate:6.1%}  {interval}\n")
            for said, heard, voice in [r for r in rows if r[0] != r[1]][: args.errors]:
                sys.stdout.write(f"    {said} → {heard}  [{voice}]\n")
    if args.json:
        sys.stdout.write(json.dumps([asdict(s) for s in scores], indent=1) + "\n")


if __name__ == "__main__":
    main()
