"""Writes ``sentiment/corpus/heard.jsonl``: what the recogniser makes of corpus sentences spoken on a telephone.

    python benchmarks/hear_corpus.py [-n 400] [--seed 7] [--whisper NAME]

Each sentence is spoken by an espeak-ng voice, passed through a telephone line (8 kHz mu-law, noise, lost packets) and
heard by the embedded recogniser, or by the one named. It keeps its labels and its family, so that a sentence and what
was heard of it stay on one side of the split. What came out with nothing or hardly half right is left out: nobody
could understand it. Not a figure: it makes training data, and stands here because ``sentiment`` may not know ``asr``.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from dataclasses import replace
from difflib import SequenceMatcher

import numpy as np

from asr.transcriber import Transcriber
from asr.whisper import FasterWhisper
from audio.espeak import Voice, synthesize
from audio.g711 import to_float
from audio.telephone import RATE, Line, telephone
from sentiment.corpus.build import FOLDER, PATTERNS, Utterance, dump, load
from sentiment.text import fold, plain

_VOICES = {
    "zh": ["cmn+f2", "cmn+m3", "cmn+f4", "cmn+m1", "cmn"],
    "en": ["en-us+f3", "en-us+m2", "en-us+f5", "en-us+m4", "en-us"],
}
_LEAST_ALIKE = 0.55


def heard(utterances: Sequence[Utterance], transcriber: Transcriber, rng: random.Random) -> list[Utterance]:
    """The utterances as ``transcriber`` hears them; those heard exactly right or hardly at all are left out."""
    out: list[Utterance] = []
    for u in utterances:
        lang = "zh" if u.lang == "zh" else "en"
        voice = Voice(rng.choice(_VOICES[lang]), rate=rng.randint(150, 210), pitch=rng.randint(30, 70))
        pcm, rate = synthesize(u.text, voice)
        line = Line(snr_db=rng.uniform(12, 35), level_db=rng.uniform(-28, -16), loss=rng.choice([0.0, 0.0, 0.02]))
        spoken = to_float(telephone(to_float(pcm), rate, line, np.random.default_rng(rng.randrange(1 << 30))))
        text = transcriber.transcribe(spoken, RATE, lang=lang).text.strip()
        said, got = (plain(fold(t).text).replace(" ", "") for t in (u.text, text))
        alike = SequenceMatcher(None, said, got, autojunk=False).ratio()
        if got != said and alike >= _LEAST_ALIKE:
            out.append(replace(u, text=text))
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=400, help="sentences to speak")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--whisper", help="name or folder of the recogniser; by default the embedded one")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    sentences = [u for name in (*PATTERNS, "hand") for u in load(FOLDER / f"{name}.jsonl") if len(u.text) >= 4]
    by_family: dict[str, Utterance] = {u.family: u for u in rng.sample(sentences, len(sentences))}
    chosen = rng.sample(sorted(by_family.values(), key=lambda u: u.family), min(args.n, len(by_family)))
    transcriber = FasterWhisper.load(args.whisper, words=False)
    rows = heard(chosen, transcriber, rng)
    dump(rows, FOLDER / "heard.jsonl")
    print(f"{len(chosen)} spoken, {len(rows)} heard differently and kept")


if __name__ == "__main__":
    main()
