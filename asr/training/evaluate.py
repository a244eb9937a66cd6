"""Measure a model on sentences never in training: ``python -m asr.training.evaluate [--model DIR] [-n 300]``.

Sentences are the grammar's held-out ones (templates, fillings and everyday lines that training does not hold), spoken
by espeak-ng voices that training heard, or never heard, and passed through ``audio.telephone`` with lines from good
to bad. Prints Mandarin character and English word error rates, with 95 % bootstrap intervals over sentences: of what
a call brings (two thirds), of everyday speech (one third), and of all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from asr.grammar import Split, sentences
from asr.training.scoring import error_rate
from asr.training.synth import speak
from asr.training.voices import Lang, VoiceSet
from asr.transcriber import Transcriber
from asr.whisper import FasterWhisper
from audio.g711 import Floats, Pcm16, to_float
from audio.telephone import RATE, Line, telephone

Text = Literal["call", "everyday", "all"]


@dataclass(frozen=True, slots=True)
class Score:
    """Error rate of one language, set of voices and kind of text; ``low``–``high`` its 95 % interval over ``n``."""

    lang: Lang
    voices: VoiceSet
    text: Text
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


def spoken(
    lang: Lang, voices: VoiceSet, n: int, seed: int, split: Split = "test"
) -> Iterator[tuple[str, Floats, str, Text]]:
    """(transcript, 8 kHz audio as received, voice, kind of text) of ``n`` held-out sentences."""
    rng = np.random.default_rng([seed, 5])
    for sentence in sentences(lang, split, n, seed):
        said = speak(sentence.spoken, lang, voices, rng)
        if said is not None:
            quiet = np.zeros(int(rng.uniform(0.1, 0.3) * RATE), np.int16)
            clip: Pcm16 = np.concatenate([quiet, said[0], quiet])
            received = to_float(telephone(to_float(clip), RATE, random_line(rng), rng))
            yield sentence.text, received, said[1], "everyday" if sentence.source == "general" else "call"


def score(
    model: Transcriber, lang: Lang, voices: VoiceSet, n: int, seed: int = 2026
) -> tuple[list[Score], list[tuple[str, str, str]]]:
    """The scores of call, everyday and all text, and (said, heard, voice) of every sentence."""
    rows = [
        (said, model.transcribe(audio, RATE, lang).text, voice, text)
        for said, audio, voice, text in spoken(lang, voices, n, seed)
    ]
    scores = []
    kinds: tuple[Text, ...] = ("call", "everyday", "all")
    for kind in kinds:
        pairs = [(said, heard) for said, heard, _, text in rows if kind in (text, "all")]
        rng = np.random.default_rng(seed)
        draws = [error_rate([pairs[i] for i in rng.integers(len(pairs), size=len(pairs))], lang) for _ in range(100)]
        low, high = np.percentile(draws, [2.5, 97.5])
        scores.append(Score(lang, voices, kind, error_rate(pairs, lang), float(low), float(high), len(pairs)))
    return scores, [row[:3] for row in rows]


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
            scores += found
            for each in found if not args.json else ():
                name = "CER" if lang == "zh" else "WER"
                interval = f"({each.low:.1%}–{each.high:.1%}, n={each.n})"
                sys.stdout.write(
                    f"{lang} {voices:6} voices, {each.text:8}  {name} {each.error_rate:6.1%}  {interval}\n"
                )
            for said, heard, voice in [r for r in rows if r[0] != r[1]][: args.errors]:
                sys.stdout.write(f"    {said} → {heard}  [{voice}]\n")
    if args.json:
        sys.stdout.write(json.dumps([asdict(s) for s in scores], indent=1) + "\n")


if __name__ == "__main__":
    main()
