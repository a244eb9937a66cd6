"""Trains and measures a voice model: ``python -m sentiment.training.voice --emodb FOLDER [--out FILE]``.

Data: the Berlin database (Burkhardt et al., 2005) or any folder of clips named like it: two characters of speaker
first, the sixth letter the emotion. Every clip goes through 8 kHz mu-law first. Measured speaker by speaker: the model
never heard the speaker, and measures each clip against that speaker's clips played before it, in random order.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from audio.g711 import decode, encode, to_float, to_pcm16
from audio.telephone import RATE, resample
from sentiment.functionals import frames_of, functionals, levels, pitch_track, speech_mask
from sentiment.voice_model import Norm, VoiceModel, kernel

Array = NDArray[np.float32]
EMODB = {"W": "angry", "L": "neutral", "E": "frustrated", "A": "anxious", "F": "positive", "T": "sad", "N": "neutral"}
"""Emotion letter to our label; boredom counts as neutral."""
GAMMA, RIDGE = 0.3, 0.1
_ORDERS = 3


@dataclass(frozen=True, slots=True)
class Clips:
    """``vectors`` (n, features), the emotion letters and the speakers of n clips."""

    vectors: Array
    letters: NDArray[np.str_]
    speakers: NDArray[np.str_]


def read_clips(folder: Path) -> Clips:
    """Every ``.flac`` and ``.wav`` of a folder as a telephone hears it. Raises ``ValueError`` if there is none."""
    vectors, letters, speakers = [], [], []
    for path in sorted([*folder.glob("*.flac"), *folder.glob("*.wav")]):
        if len(path.stem) < 6 or path.stem[5] not in EMODB:
            continue
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
        line = to_float(decode(encode(to_pcm16(resample(samples.mean(axis=1), rate, RATE)))))
        frames = frames_of(line)
        level = levels(frames)
        vectors.append(functionals(frames, level, speech_mask(level), *pitch_track(frames)))
        letters.append(path.stem[5])
        speakers.append(path.stem[:2])
    if not vectors:
        raise ValueError(f"no clips named like EmoDB's in {folder}")
    return Clips(np.stack(vectors), np.array(letters), np.array(speakers))


def norm_of(vectors: Array, speakers: NDArray[np.str_]) -> Norm:
    """Means and variances over everyone, within and between speakers."""
    mean, spread = vectors.mean(axis=0), vectors.std(axis=0) + 1e-6
    z = (vectors - mean) / spread
    groups = [z[speakers == s] for s in np.unique(speakers)]
    within = np.mean([g.var(axis=0) for g in groups], axis=0) + 1e-4
    size = np.mean([len(g) for g in groups])
    between = np.maximum(np.var([g.mean(axis=0) for g in groups], axis=0) - within / size, 0.01)
    return Norm(*(a.astype(np.float32) for a in (mean, spread, within, between)))


def against_past(norm: Norm, vectors: Array, speakers: NDArray[np.str_], seed: int, past: bool = True) -> Array:
    """Each clip relative to the clips of its speaker that came before it, in a random order (or to none)."""
    rng = np.random.default_rng(seed)
    out = np.zeros_like(vectors)
    for speaker in np.unique(speakers):
        mean: Array | None = None
        for n, i in enumerate(rng.permutation(np.flatnonzero(speakers == speaker))):
            out[i] = norm.against(vectors[i], mean, n if past else 0)
            mean = vectors[i].copy() if mean is None else mean + (vectors[i] - mean) / np.float32(n + 1)
    return out


def fit(clips: Clips, letters: Sequence[str], seed: int, temperature: float = 1.0, past: bool = True) -> VoiceModel:
    """Kernel ridge on one-hot classes, rare ones weighted up."""
    norm = norm_of(clips.vectors, clips.speakers)
    x = against_past(norm, clips.vectors, clips.speakers, seed, past)
    y = np.array([letters.index(str(c)) for c in clips.letters])
    rarity = 1 / np.bincount(y, minlength=len(letters))[y]
    rarity = rarity / rarity.mean()
    target = np.eye(len(letters))[y] - 1 / len(letters)
    weights = np.linalg.solve(kernel(x, x, GAMMA).astype(np.float64) + RIDGE * np.diag(1 / rarity), target)
    return VoiceModel(norm, x, weights.astype(np.float32), tuple(EMODB[c] for c in letters), GAMMA, temperature)


def measure(clips: Clips, seed: int = 100, past: bool = True) -> dict[str, float]:
    """Unweighted average recall over the letters, speakers left out one by one; temperature of the pooled scores."""
    letters = sorted(set(clips.letters.tolist()))
    raw: list[Array] = []
    gold: list[int] = []
    for speaker in np.unique(clips.speakers):
        out = clips.speakers == speaker
        model = fit(Clips(clips.vectors[~out], clips.letters[~out], clips.speakers[~out]), letters, seed, past=past)
        for order in range(_ORDERS):
            x = against_past(model.norm, clips.vectors[out], clips.speakers[out], order, past)
            raw += list(kernel(x, model.examples, GAMMA) @ model.weights)
            gold += [letters.index(str(c)) for c in clips.letters[out]]
    scores, y = np.stack(raw), np.array(gold)
    said = scores.argmax(axis=1)
    merged = np.array([EMODB[c] for c in letters])

    def loss(temperature: float) -> float:
        z = scores / temperature
        z = z - z.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]))

    return {
        "n": len(clips.letters),
        "speakers": len(np.unique(clips.speakers)),
        "uar_7": float(np.mean([(said[y == k] == k).mean() for k in range(len(letters))])),
        "uar_ours": float(np.mean([(merged[said] == k)[merged[y] == k].mean() for k in np.unique(merged)])),
        "temperature": float(min(np.arange(0.05, 1.0, 0.01), key=loss)),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: measure, then train on all speakers if asked to write."""
    parser = argparse.ArgumentParser(prog="python -m sentiment.training.voice", description=__doc__)
    parser.add_argument("--emodb", type=Path, required=True)
    parser.add_argument("--out", type=Path, help="write a model trained on all speakers")
    args = parser.parse_args(argv)
    try:
        clips = read_clips(args.emodb)
    except ValueError as e:
        sys.stderr.write(f"{e}\n")
        return 2
    report = measure(clips)
    if args.out:
        fit(clips, sorted(set(clips.letters.tolist())), 100, report["temperature"]).save(args.out)
    sys.stdout.write(json.dumps(report, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
