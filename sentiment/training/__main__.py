"""Trains the embedded intent and emotion model: ``python -m sentiment.training [--public FOLDER] [--encoder FOLDER]``.

Whole families of utterances are held out (two tenths to test, one to calibrate); the figures printed are on those.
That pair is kept in ``unseen/`` beside the model for the benchmark, with a head on the multilingual encoder that has
seen no more. What ships goes on from there over everything, but for the English part: what ``--encoder`` makes has seen
the training families alone and stands beside both pairs; without that option one that lies in the folder stays.
The files of ``corpus.build.UNSEEN`` are measured and never trained on.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentence_encoder import multilingual
from sentence_encoder.borrow import BorrowError, borrow
from sentence_encoder.multilingual import MultilingualError
from sentiment.corpus.build import FOLDER, UNSEEN, Utterance, corpus, load
from sentiment.encoder import Encoder
from sentiment.english import English, save_english
from sentiment.errors import ModelError
from sentiment.meaning import Meaning, save_meaning
from sentiment.model import DEFAULT_MODEL, PARTS, Calibration, IntentModel, LinearModel
from sentiment.tokens import Tokenizer
from sentiment.training import transformer
from sentiment.training.augment import Example
from sentiment.training.calibrate import calibrate
from sentiment.training.english import tune
from sentiment.training.evaluate import errors, measure, part
from sentiment.training.linear import save_linear, train_linear
from sentiment.training.meaning import learn_meaning
from sentiment.training.public import beside_the_point, load_public, with_feeling

_FINAL_RATE = 0.5
"""Learning rate of the last passes, over everything, beside that of the split's."""


def _calibrated_anew(out: Path, english: English | None, dev: Sequence[Utterance]) -> None:
    """Sets shares and readings anew for the parts at hand, which stay as they are."""
    unseen = out / "unseen"
    encoder, linear = Encoder.load(unseen / "encoder.npz"), LinearModel.load(unseen / "linear.npz")
    head = unseen / "meaning.npz"
    calibration = calibrate(encoder, linear, dev, english, Meaning.load(head) if head.is_file() else None)
    for folder in (unseen, out):
        calibration.save(folder / "calibration.json")


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    import torch

    parser = argparse.ArgumentParser(prog="python -m sentiment.training", description=__doc__)
    parser.add_argument("--out", type=Path, default=DEFAULT_MODEL, help="folder to write the model to")
    parser.add_argument("--public", type=Path, help="folder with the public sets named in sentiment/training/public.py")
    parser.add_argument(
        "--encoder", type=Path, help="folder of the unpacked npm package named in sentence_encoder/borrow.py: tune it"
    )
    parser.add_argument("--english-epochs", type=int, default=5)
    parser.add_argument("--english-only", action="store_true", help="keep both pairs; tune and calibrate English only")
    parser.add_argument(
        "--meaning-only", action="store_true", help="keep all other parts; learn the multilingual encoder's head only"
    )
    parser.add_argument("--public-epochs", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=7, help="passes over our own corpus")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--errors", action="store_true", help="print what the held-out families got wrong")
    parser.add_argument("--no-final", action="store_true", help="train and measure the model of the split only")
    parser.add_argument("--final-only", action="store_true", help="keep the model of the split and its calibration")
    parser.add_argument("--first-stage", type=Path, help="keep the first stage's weights here, and start from them")
    parser.add_argument(
        "--go-on",
        action="store_true",
        help="start from the model of the split, not from a first stage; older members of the ensemble stay",
    )
    parser.add_argument("--rate", type=float, default=1.0, help="learning rate, beside the usual one")
    parser.add_argument("--final-epochs", type=int, default=3, help="passes over everything, from the split's weights")
    args = parser.parse_args(argv)
    if args.english_only and not args.encoder:
        parser.error("--english-only needs --encoder")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    torch.set_num_threads(args.threads)
    utterances = corpus()
    sides = {name: [u for u in utterances if part(u) == name] for name in ("train", "dev", "test")}
    public = load_public(args.public) if args.public else []
    stray = [
        Example(s.text, s.lang, None, {"other": 1.0}, s.labels.get("emotion_zh", "neutral"), "")
        for s in beside_the_point(public)
    ]
    moods = [Example(s.text, s.lang, None, {}, emotion, "") for s, emotion in with_feeling(public)]
    unseen, english_file = args.out / "unseen", args.out / "english.npz"
    english: English | None = None
    try:
        if args.encoder:
            pieces, borrowed = borrow(args.encoder)
            tuned = tune(pieces, borrowed, sides["train"], args.english_epochs, args.seed, stray, moods, public)
            save_english(english_file, pieces, tuned)
        if english_file.is_file():
            english = English.load(english_file)
        if args.meaning_only:
            for folder, rows in ((unseen, sides["train"]), (args.out, utterances)):
                save_meaning(folder / "meaning.npz", learn_meaning(multilingual.shipped(), rows, args.seed))
    except (BorrowError, ModelError, MultilingualError) as e:
        sys.stderr.write(f"{e}\n")
        return 2
    if args.meaning_only or (english is not None and args.english_only):
        _calibrated_anew(args.out, english, sides["dev"])
        split = IntentModel.load(unseen, english=english_file)
        shown: dict[str, object] = {"unseen_families": measure(split, sides["test"])}
        sys.stdout.write(json.dumps(shown, ensure_ascii=False, indent=1) + "\n")
        return 0
    start: dict[str, Any]
    others: list[transformer.Weights] = []
    if args.go_on or args.final_only:
        tokenizer, before = transformer.members_of(args.out / "unseen" / "encoder.npz")
        start = transformer.imported(before[0])
        shipped = args.out / "encoder.npz"
        if shipped.is_file():
            others = [w for w in transformer.members_of(shipped)[1][1:] if transformer.silent(w)]
    elif args.first_stage and args.first_stage.is_file():
        pieces, sounds, start = torch.load(args.first_stage, weights_only=True)
        tokenizer = Tokenizer(pieces, sounds)
    else:
        tokenizer = transformer.make_tokenizer(
            [*((s.text, s.lang) for s in public), *((u.text, u.lang) for u in utterances)]
        )
        start = transformer.first_stage(tokenizer, public, utterances, args.public_epochs, args.seed)
        if args.first_stage:
            torch.save((tokenizer.pieces, tokenizer.sounds, start), args.first_stage)

    def fit(rows: Sequence[Utterance], calibration: Calibration | None, out: Path) -> IntentModel:
        first = calibration is None
        network = transformer.second_stage(
            tokenizer,
            start if first else transformer.imported(transformer.members_of(unseen / "encoder.npz")[1][0]),
            rows,
            args.epochs if first else args.final_epochs,
            args.seed,
            stray,
            moods,
            args.rate if first else args.rate * _FINAL_RATE,
        )
        out.mkdir(parents=True, exist_ok=True)
        members = transformer.beside(transformer.exported(network), [] if first else others)
        transformer.save_encoder(out / "encoder.npz", tokenizer, members)
        linear = train_linear(rows, seed=args.seed)
        save_linear(linear, out / "linear.npz")
        encoder = transformer.as_encoder(tokenizer, members)
        save_meaning(out / "meaning.npz", learn_meaning(multilingual.shipped(), rows, args.seed))
        meaning = Meaning.load(out / "meaning.npz")
        calibration = calibration or calibrate(encoder, linear, sides["dev"], english, meaning)
        model = IntentModel(encoder, linear, calibration, english, meaning)
        model.calibration.save(out / "calibration.json")
        return model

    if args.final_only:
        split = IntentModel.load(unseen, english=english_file)
        english = split.english
    else:
        split = fit(sides["train"], None, unseen)
    report: dict[str, object] = {}
    model = split
    if not args.no_final:
        model = fit(utterances, split.calibration, args.out)
        report["bytes"] = sum((args.out / name).stat().st_size for name in PARTS if (args.out / name).is_file())
    report["unseen_families"] = measure(split, sides["test"])
    if args.errors:
        sys.stderr.write("\n".join(errors(split, sides["test"])) + "\n")
    for name in UNSEEN:
        fresh = load(FOLDER / f"{name}.jsonl")
        report[name] = measure(model, fresh)
        if args.errors:
            sys.stderr.write(f"== {name}\n" + "\n".join(errors(model, fresh)) + "\n")
    sys.stdout.write(json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
