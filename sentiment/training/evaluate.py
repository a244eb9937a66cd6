"""The figures of the model card: macro-F1, safety recall and precision, calibration error, emotion macro-F1."""

from __future__ import annotations

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from sentiment.corpus.build import Utterance
from sentiment.model import IntentModel
from sentiment.understand import SAFETY, Understander


def part(u: Utterance) -> str:
    """The side of the split that a family lies on: ``train``, ``dev`` or ``test``."""
    fold = crc32(f"split:{u.family}".encode()) % 10
    return "test" if fold < 2 else "dev" if fold == 2 else "train"


def macro_f1(gold: Sequence[str], said: Sequence[str]) -> float:
    """Mean F1 over the labels that occur in ``gold``."""
    total = []
    for label in sorted(set(gold)):
        both = sum(g == s == label for g, s in zip(gold, said, strict=True))
        total.append(2 * both / max(gold.count(label) + list(said).count(label), 1))
    return float(np.mean(total)) if total else 0.0


def calibration_error(pairs: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    """Expected calibration error (Naeini et al., 2015) of (confidence, right), equal-width bins."""
    total = 0.0
    for i in range(bins):
        inside = [(c, ok) for c, ok in pairs if i / bins <= c < (i + 1) / bins or (i == bins - 1 and c == 1.0)]
        if inside:
            total += len(inside) * abs(
                float(np.mean([c for c, _ in inside])) - float(np.mean([ok for _, ok in inside]))
            )
    return total / max(len(pairs), 1)


def safety(wanted: Sequence[set[str]], given: Sequence[set[str]]) -> tuple[float, float]:
    """Recall and precision of the safety intents among all intents wanted and given, pooled."""
    both = sum(len(w & g & SAFETY) for w, g in zip(wanted, given, strict=True))
    return (
        both / max(sum(len(w & SAFETY) for w in wanted), 1),
        both / max(sum(len(g & SAFETY) for g in given), 1),
    )


def measure(model: IntentModel, utterances: Sequence[Utterance]) -> dict[str, dict[str, float]]:
    """Figures a language, for the whole reader (rules, context, model) and for the model alone."""
    reader = Understander(model)
    out: dict[str, dict[str, float]] = {}
    for lang in ("zh", "en"):
        rows = [u for u in utterances if u.lang == lang]
        if not rows:
            continue
        read = [reader.understand(u.text, lang, expects=u.expects) for u in rows]
        alone = [s.intents for s in model.batch([(u.text, lang, u.expects) for u in rows])]
        gold = [u.intent for u in rows]
        recall, precision = safety([{u.intent, *u.also} for u in rows], [{name for name, _ in r.intents} for r in read])
        out[lang] = {
            "n": len(rows),
            "macro_f1": macro_f1(gold, [r.intent for r in read]),
            "accuracy": float(np.mean([r.intent == g for r, g in zip(read, gold, strict=True)])),
            "model_macro_f1": macro_f1(gold, [max(s, key=lambda k: s[k]) for s in alone]),
            "safety_recall": recall,
            "safety_precision": precision,
            "emotion_macro_f1": macro_f1([u.emotion for u in rows], [r.emotion for r in read]),
            "emotion_calibration_error": calibration_error(
                [(max(r.scores.values()), r.emotion == u.emotion) for r, u in zip(read, rows, strict=True)]
            ),
            "calibration_error": calibration_error(
                [(r.confidence, r.intent == g) for r, g in zip(read, gold, strict=True)]
            ),
        }
    return out


def errors(model: IntentModel, utterances: Sequence[Utterance]) -> list[str]:
    """What the whole reader got wrong, one line each."""
    reader = Understander(model)
    out = []
    for u in utterances:
        r = reader.understand(u.text, u.lang, expects=u.expects)
        if r.intent != u.intent:
            out.append(f"{u.intent:>20} -> {r.intent:<20} {r.confidence:.2f} {u.text}")
        elif r.emotion != u.emotion:
            out.append(f"{u.emotion:>20} ~> {r.emotion:<20} {max(r.scores.values()):.2f} {u.text}")
    return out
