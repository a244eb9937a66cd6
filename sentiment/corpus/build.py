# ruff: noqa: E501 - tables, one entry a line
"""Writes the labelled corpus from its hand-written patterns: ``python -m sentiment.corpus.build``.

A pattern file has three kinds of lines: ``@name = a | b`` (a filler, used as ``{name}``), ``## intent emotion`` (the
section's intent and usual emotion) and patterns. In a pattern ``(a|b|)`` is a choice and ``(a)?`` an option; after it may stand
``#emotion``, ``+further_intent``, ``?expects`` and ``*n`` (at most n utterances). Each pattern is a family: all its
utterances go to the same side of a train/test split.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from sentiment.labels import EMOTION_PLANE, EMOTIONS, INTENTS

FOLDER = Path(__file__).parent
_TAG = re.compile(r"\s+([#+?*])(\w+)$")
_PER_FAMILY = 6


@dataclass(frozen=True, slots=True)
class Utterance:
    """One labelled utterance. ``arousal`` and ``valence`` in [-1, 1]; ``expects`` as in a call, or ``None``."""

    text: str
    lang: str
    intent: str
    also: tuple[str, ...]
    emotion: str
    arousal: float
    valence: float
    family: str
    expects: str | None = None


def _expand(pattern: str, fillers: dict[str, list[str]], rng: random.Random) -> str:
    while True:
        m = re.search(r"\{(\w+)\}", pattern)
        if m:
            pattern = pattern[: m.start()] + rng.choice(fillers[m[1]]) + pattern[m.end() :]
            continue
        m = re.search(r"\(([^()]*)\)(\?)?", pattern)
        if not m:
            return re.sub(r" {2,}", " ", pattern).strip()
        said = "" if m[2] and rng.random() < 0.5 else rng.choice(m[1].split("|"))
        pattern = pattern[: m.start()] + said + pattern[m.end() :]


def parse(source: str, lang: str) -> list[Utterance]:
    """The utterances of a pattern file, in its order. Raises ``ValueError`` naming a bad line."""
    fillers: dict[str, list[str]] = {}
    intent = usual = ""
    out: list[Utterance] = []
    families: set[str] = set()
    for number, line in enumerate(source.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("//"):
            continue
        if line.startswith("@"):
            name, _, values = line[1:].partition("=")
            fillers[name.strip()] = [v.strip() for v in values.split("|")]
            continue
        if line.startswith("## "):
            intent, usual = line[3:].split()
            if intent not in INTENTS or usual not in EMOTIONS:
                raise ValueError(f"{lang}.txt line {number}: unknown label in {line!r}")
            continue
        emotion, expects, most = usual, None, _PER_FAMILY
        also: list[str] = []
        while m := _TAG.search(line):
            line = line[: m.start()]
            kind, value = m[1], m[2]
            if kind == "#":
                emotion = value
            elif kind == "+":
                also.insert(0, value)
            elif kind == "?":
                expects = value
            else:
                most = int(value)
        if emotion not in EMOTIONS or any(a not in INTENTS for a in also):
            raise ValueError(f"{lang}.txt line {number}: unknown label")
        family = f"{lang}-{intent}-{crc32(line.encode()):08x}"
        if family in families:
            continue
        families.add(family)
        rng = random.Random(family)
        texts = dict.fromkeys(_expand(line, fillers, rng) for _ in range(most * 4))
        arousal, valence = EMOTION_PLANE[emotion]
        out += [
            Utterance(text, lang, intent, tuple(also), emotion, arousal, valence, family, expects)
            for text in list(texts)[:most]
            if text
        ]
    return out


def load(path: Path) -> list[Utterance]:
    """Utterances of a ``.jsonl`` file."""
    out = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        out.append(Utterance(**(row | {"also": tuple(row["also"]), "expects": row.get("expects")})))
    return out


def dump(utterances: list[Utterance], path: Path) -> None:
    """Write utterances one JSON object a line; ``expects`` only where there is one."""
    with path.open("w", encoding="utf-8") as file:
        for u in utterances:
            row = {k: getattr(u, k) for k in u.__slots__ if not (k == "expects" and u.expects is None)}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


PATTERNS = {
    "zh": "zh",
    "en": "en",
    "spoken_zh": "zh",
    "spoken_en": "en",
    "felt_zh": "zh",
    "felt_en": "en",
    "near_zh": "zh",
    "near_en": "en",
    "pairs_zh": "zh",
    "pairs_en": "en",
    "voices_zh": "zh",
    "voices_en": "en",
    "safety_zh": "zh",
    "safety_en": "en",
}
"""Pattern files by name, with their language."""
TRAINING = (*PATTERNS, "hand", "heard")
"""The files a model may be trained on; those of ``UNSEEN`` are not among them."""
UNSEEN = ("fresh", "fresh2", "fresh3", "fresh4", "fresh5", "fresh6", "fresh7", "fresh8", "fresh9")
"""Sentences that no model was trained on, a ``.txt`` a language each."""


def _key(u: Utterance) -> tuple[str, str]:
    return u.lang, u.text.replace(" ", "")


def corpus() -> list[Utterance]:
    """Every utterance that may train a model. A sentence that stands in two files counts once, and one that stands in
    a set of ``UNSEEN`` not at all."""
    kept = {_key(u) for name in UNSEEN for u in load(FOLDER / f"{name}.jsonl")}
    seen: set[tuple[str, str, str | None]] = set()
    out: list[Utterance] = []
    for name in TRAINING:
        path = FOLDER / f"{name}.jsonl"
        for u in load(path) if path.is_file() else []:
            key = (u.lang, u.text, u.expects)
            if key not in seen and _key(u) not in kept:
                seen.add(key)
                out.append(u)
    return out


def main() -> None:
    """Build a ``.jsonl`` file beside each pattern file, and one of each set of ``UNSEEN``."""
    for name, lang in PATTERNS.items():
        dump(parse((FOLDER / f"{name}.txt").read_text(encoding="utf-8"), lang), FOLDER / f"{name}.jsonl")
    for name in UNSEEN:
        dump(unseen(name), FOLDER / f"{name}.jsonl")


def unseen(name: str) -> list[Utterance]:
    """The sentences of one of the sets of ``UNSEEN``, Mandarin first."""
    return [
        u for lang in ("zh", "en") for u in parse((FOLDER / f"{name}_{lang}.txt").read_text(encoding="utf-8"), lang)
    ]


if __name__ == "__main__":
    main()
