# ruff: noqa: E501 - tables, one entry a line
"""How well and how fast utterances are understood, beside character n-gram logistic regression on the same sentences.

    python benchmarks/understanding.py [--quick] [--json] [--emodb FOLDER]

"unseen": template families that neither model was trained on (``sentiment/models/unseen`` is the pair trained on the
other seven tenths; beside it stands the English part that ships, which has seen no more). "fresh" to "fresh9":
colloquial sentences, trained on by nobody (what ships). Peer: the linear model over n-grams alone, the best label above
its threshold, no rules, no context. Slots: phrases with the one
right answer written beside them; peer: ``dateutil``-style guessing does not exist for Mandarin, so none. Voice: EmoDB,
speakers left out, at 8 kHz mu-law, each clip against the speaker's past clips; peer: the same without the past.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np

from audio.espeak import Voice, synthesize
from audio.g711 import to_float
from sentiment.corpus.build import FOLDER, UNSEEN, Utterance, corpus, load
from sentiment.labels import EMOTIONS, INTENTS
from sentiment.model import DEFAULT_MODEL, IntentModel, log_softmax
from sentiment.slots import SlotContext, extract
from sentiment.training.evaluate import calibration_error, macro_f1, measure, part, safety
from sentiment.understand import Understander
from sentiment.voice import read_voice

PEER = "n-gram logistic regression"
NOW = datetime(2026, 11, 23, 10, 5)


def row(figure: str, ours: float, peer: float | None, unit: str, n: int, peer_name: str = PEER) -> dict[str, object]:
    return {
        "figure": figure,
        "ours": round(ours, 3),
        "peer": None if peer is None else round(peer, 3),
        "peer_name": None if peer is None else peer_name,
        "ratio": round(ours / peer, 3) if peer else None,
        "unit": unit,
        "n": n,
    }


def _peer(model: IntentModel, rows: Sequence[Utterance]) -> dict[str, float]:
    """The same figures of the linear model alone: softmax, best label, further ones above 0.2."""
    names, n = list(INTENTS), len(INTENTS)
    felt = list(EMOTIONS)
    logits = np.stack([model.linear.logits(u.text, u.lang, u.expects) for u in rows])
    p = np.exp(np.stack([log_softmax(one[:n]) for one in logits]))
    mood = np.exp(np.stack([log_softmax(one[n:]) for one in logits]))
    gold = [u.intent for u in rows]
    said = [names[i] for i in p.argmax(axis=1)]
    recall, precision = safety(
        [{u.intent, *u.also} for u in rows], [{names[i] for i in np.flatnonzero(one >= min(0.2, one.max()))} for one in p]
    )  # fmt: skip
    return {
        "macro_f1": macro_f1(gold, said),
        "safety_recall": recall,
        "safety_precision": precision,
        "calibration_error": calibration_error([(float(o.max()), s == g) for o, s, g in zip(p, said, gold, strict=True)]),
        "emotion_macro_f1": macro_f1([u.emotion for u in rows], [felt[i] for i in mood.argmax(axis=1)]),
        "emotion_calibration_error": calibration_error(
            [(float(m.max()), felt[int(m.argmax())] == u.emotion) for m, u in zip(mood, rows, strict=True)]
        ),
    }  # fmt: skip


def meaning(name: str, model: IntentModel, rows: Sequence[Utterance]) -> list[dict[str, object]]:
    out = []
    ours = measure(model, rows)
    for lang in ("zh", "en"):
        own = [u for u in rows if u.lang == lang]
        peer = _peer(model, own)
        for figure, unit in (
            ("macro_f1", "F1"),
            ("safety_recall", "share"),
            ("safety_precision", "share"),
            ("calibration_error", "ECE"),
            ("emotion_macro_f1", "F1"),
            ("emotion_calibration_error", "ECE"),
        ):
            out.append(row(f"{name} {lang} {figure}", ours[lang][figure], peer[figure], unit, len(own)))
    return out


def slots() -> list[dict[str, object]]:
    out = []
    cases = [json.loads(line) for line in (FOLDER / "slots.jsonl").read_text(encoding="utf-8").splitlines()]
    for lang in ("zh", "en"):
        own = [c for c in cases if c["lang"] == lang]
        right = 0
        for c in own:
            context = SlotContext(
                today=NOW.date(), now=NOW, expects=c.get("expects"), amount_due=Decimal("3500.00"),
                currency="CNY" if lang == "zh" else "USD", month_first=True,
            )  # fmt: skip
            got = {k: s.value for k, s in extract(c["text"], lang, context).items()}
            right += all(got.get(k, "absent") == v for k, v in c["slots"].items()) and (bool(c["slots"]) or not got)
        out.append(row(f"slots exact {lang}", right / len(own), None, "share", len(own)))
    return out


def _times(run: Callable[[int], object], n: int) -> list[float]:
    out = []
    for i in range(n):
        start = time.thread_time()
        run(i)
        out.append(1000 * (time.thread_time() - start))
    return out


def speed(rows: Sequence[Utterance], reader: Understander, quick: bool) -> list[dict[str, object]]:
    """Milliseconds of one core (the thread's own time, so other work on the machine does not count)."""
    n = min(len(rows), 60 if quick else 300)
    today = date(2026, 11, 23)
    ours = _times(lambda i: reader.understand(rows[i].text, rows[i].lang, today=today, expects=rows[i].expects), n)
    peer = _times(lambda i: reader.model.linear.logits(rows[i].text, rows[i].lang, rows[i].expects), n)
    pcm, rate = synthesize("I will call you back about the payment on Friday next week", Voice("en-us"))
    sound = to_float(pcm)
    voice = _times(lambda i: read_voice(sound, rate), 10 if quick else 40)
    out = [
        row(f"words a turn p{p}", float(np.percentile(ours, p)), float(np.percentile(peer, p)), "ms", n)
        for p in (50, 95)
    ]
    out.append(
        row(f"voice a turn p95 ({len(sound) / rate:.1f} s)", float(np.percentile(voice, 95)), None, "ms", len(voice))
    )
    return out


def voice(folder: Path) -> list[dict[str, object]]:
    from sentiment.training import voice as trainer

    clips = trainer.read_clips(folder)
    ours = trainer.measure(clips)
    alone = trainer.measure(clips, past=False)
    name = "the same without the speaker's past"
    return [row("voice EmoDB 7 classes, speakers out", ours["uar_7"], alone["uar_7"], "UAR", int(ours["n"]), name)]


def figures(quick: bool, emodb: Path | None) -> list[dict[str, object]]:
    reader = Understander.load()
    out: list[dict[str, object]] = []
    for name in UNSEEN:
        fresh = load(FOLDER / f"{name}.jsonl")
        out += meaning(name, reader.model, fresh)
    unseen = [u for u in corpus() if part(u) == "test"]
    split = IntentModel.load(DEFAULT_MODEL / "unseen", english=DEFAULT_MODEL / "english.npz")
    out += meaning("unseen", split, unseen[::6] if quick else unseen)
    out += slots() + speed(fresh, reader, quick)
    return out + (voice(emodb) if emodb else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a sixth of the unseen families, fewer timings")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--emodb", type=Path, help="folder with EmoDB's clips, for the voice's figure")
    args = parser.parse_args()
    rows = figures(args.quick, args.emodb)
    if args.json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    for f in rows:
        print(f"{f['figure']!s:<36} ours {f['ours']!s:<7} peer {f['peer']!s:<7} ratio {f['ratio']!s:<7} {f['unit']} (n={f['n']})")  # fmt: skip


if __name__ == "__main__":
    main()
