"""Speak sentences into a pool of clips: ``python -m asr.training.synth --pool DIR --lang zh --source grammar``.

Runs in one process (libespeak-ng has global state); start several with different ``--seed`` to go faster.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
from typing import Literal

import numpy as np

from asr.grammar import Split
from asr.grammar import sentences as grammar
from asr.training import flite
from asr.training.lexicon import phrases
from asr.training.pool import Clip, write_shard
from asr.training.text import corpus, general
from asr.training.voices import Lang, VoiceSet, draw
from audio.espeak import synthesize
from audio.g711 import Pcm16, to_float, to_pcm16
from audio.telephone import RATE, resample

log = logging.getLogger(__name__)
MAX_SECONDS = 8.0
SHARD = 500
Engine = Literal["espeak", "flite"]


def speak(
    spoken: str, lang: Lang, which: VoiceSet, rng: np.random.Generator, engine: Engine = "espeak"
) -> tuple[Pcm16, str] | None:
    """``spoken`` by a random speaker: 8 kHz audio without outer silence and the voice's name; None if too long."""
    if engine == "flite":
        pcm, rate, name = flite.say(spoken, which, rng)
    else:
        voice = draw(lang, which, rng)
        pcm, rate = synthesize(spoken, voice)
        name = f"{voice.name}/{voice.rate}/{voice.pitch}/{voice.pitch_range}"
    clip = trim(to_pcm16(resample(to_float(pcm), rate, RATE)))
    if not 0.1 * RATE < len(clip) < MAX_SECONDS * RATE:
        return None
    return clip, name


def trim(pcm: Pcm16, threshold: int = 150) -> Pcm16:
    """Cut leading and trailing samples quieter than ``threshold``."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > threshold)
    return pcm[loud[0] : loud[-1] + 1] if len(loud) else pcm[:0]


def sentences(lang: Lang, source: str, split: Split, n: int, seed: int, paths: list[Path]) -> list[tuple[str, str]]:
    """``n`` pairs (transcript, what to say) from the grammar's ``split``, general text, a corpus, or (Mandarin only) a
    dictionary's words."""
    if source == "grammar":
        return [(s.text, s.spoken) for s in grammar(lang, split, n, seed)]
    if source == "words":
        return [(phrase, phrase) for phrase in phrases(n, seed)]
    lines = (corpus if source == "corpus" else general)(lang, paths)
    rng = np.random.default_rng([seed, 1])
    pairs = []
    for i in rng.permutation(len(lines))[:n]:
        line = lines[i]
        if lang == "zh" and len(line) < 12 and rng.random() < 0.4:  # two short clauses with a breath between
            other = lines[rng.integers(len(lines))]
            if len(other) < 12:
                pairs.append((line + other, f"{line}，{other}"))
                continue
        pairs.append((line, line))
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, required=True, help="folder of the pool")
    parser.add_argument("--lang", choices=("zh", "en"), required=True)
    parser.add_argument("--source", choices=("grammar", "general", "corpus", "words"), default="grammar")
    parser.add_argument("--split", default="train", help="the grammar's split: train, dev or test")
    parser.add_argument("--voices", choices=("seen", "unseen"), default="seen")
    parser.add_argument("--engine", choices=("espeak", "flite"), default="espeak", help="who speaks")
    parser.add_argument("--text", type=Path, nargs="*", default=[], help="files of general text, or of a corpus")
    parser.add_argument("-n", type=int, default=10000, help="clips to make")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.source == "words" and args.lang != "zh":
        parser.error("--source words: the dictionary is Mandarin")
    if args.engine == "flite" and args.lang != "en":
        parser.error("--engine flite: it speaks English only")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")

    rng = np.random.default_rng([args.seed, 2])
    pairs = sentences(args.lang, args.source, args.split, args.n, args.seed, args.text)
    log.info("%d sentences", len(pairs))
    clips: list[Clip] = []
    shard = 0
    for i, (text, spoken) in enumerate(pairs):
        said = speak(spoken, args.lang, args.voices, rng, args.engine)
        if said is not None:
            clips.append(Clip(said[0], text, args.lang, said[1]))
        if clips and (len(clips) == SHARD or i == len(pairs) - 1):
            by = "" if args.engine == "espeak" else f"-{args.engine}"
            name = f"{args.split}-{args.voices}-{args.lang}-{args.source}{by}-{args.seed}-{shard:04d}.npz"
            write_shard(args.pool / name, clips)
            log.info("%s: %d clips", name, len(clips))
            clips, shard = [], shard + 1


if __name__ == "__main__":
    main()
