# ruff: noqa: E501 - tables, one entry a line
"""Public sentences that teach the encoder the two languages before it meets our own: optional, read from a folder.

Used, with their licences (attribution in ``sentiment/models/README.md``): CLINC150 (CC BY 3.0) and Banking77
(CC BY 4.0) for English requests, GoEmotions (Apache-2.0) for English emotion, CPED (Apache-2.0) for spoken Mandarin,
its emotions and dialogue acts, COLD (Apache-2.0) for Mandarin insults. A missing file is skipped. Nothing of them is
shipped but what the encoder's weights keep.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

TASKS = ("clinc", "banking", "emotion_en", "emotion_zh", "act_zh", "insult_zh")
_GO = {
    "anger": "angry", "annoyance": "frustrated", "disappointment": "frustrated", "disapproval": "frustrated",
    "fear": "anxious", "nervousness": "anxious", "sadness": "sad", "grief": "sad", "remorse": "sad",
    "admiration": "positive", "amusement": "positive", "excitement": "positive", "gratitude": "positive",
    "joy": "positive", "love": "positive", "optimism": "positive", "relief": "positive", "pride": "positive",
    "neutral": "neutral",
}  # fmt: skip
_CPED = {
    "anger": "angry", "disgust": "frustrated", "depress": "sad", "sadness": "sad", "worried": "anxious", "fear": "anxious",
    "happy": "positive", "relaxed": "positive", "positive-other": "positive", "grateful": "positive", "neutral": "neutral",
}  # fmt: skip
_MOST = 16_000
"""Sentences of one source: more of one would drown the others."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A public sentence with its label for each of the ``TASKS`` it belongs to."""

    text: str
    lang: str
    labels: dict[str, str]


def _clinc(folder: Path) -> Iterator[Sentence]:
    data = json.loads((folder / "clinc150.json").read_text(encoding="utf-8"))
    for part in ("train", "oos_train"):
        for text, label in data[part]:
            yield Sentence(text, "en", {"clinc": label})


def _banking(folder: Path) -> Iterator[Sentence]:
    with (folder / "banking77_train.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield Sentence(row["text"], "en", {"banking": row["category"]})


def _goemotions(folder: Path) -> Iterator[Sentence]:
    names = (folder / "goemotions_labels.txt").read_text(encoding="utf-8").split()
    for line in (folder / "goemotions_train.tsv").read_text(encoding="utf-8").splitlines():
        text, label, _ = line.split("\t")
        ours = None if "," in label else _GO.get(names[int(label)])
        if ours and "[" not in text:
            yield Sentence(text, "en", {"emotion_en": ours})


def _cped(folder: Path) -> Iterator[Sentence]:
    with (folder / "cped_valid.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            labels = {"act_zh": row["DA"]}
            if row["Emotion"] in _CPED:
                labels["emotion_zh"] = _CPED[row["Emotion"]]
            yield Sentence(row["Utterance"], "zh", labels)


def _cold(folder: Path) -> Iterator[Sentence]:
    with (folder / "cold_train.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            if len(row["TEXT"]) <= 60:
                yield Sentence(row["TEXT"], "zh", {"insult_zh": row["label"]})


def load_public(folder: Path, seed: int = 7) -> list[Sentence]:
    """Every source that stands in ``folder``, at most ``_MOST`` sentences each, in a fixed random order."""
    rng = random.Random(seed)
    out: list[Sentence] = []
    for name, read in (
        ("clinc150.json", _clinc),
        ("banking77_train.csv", _banking),
        ("goemotions_train.tsv", _goemotions),
        ("cped_valid.csv", _cped),
        ("cold_train.csv", _cold),
    ):
        if (folder / name).is_file():
            rows = list(read(folder))
            rng.shuffle(rows)
            out += rows[:_MOST]
    rng.shuffle(out)
    return out


_CLINC_OURS = frozenset(
    {
        "are_you_a_bot", "balance", "bill_balance", "bill_due", "cancel", "goodbye", "greeting", "interest_rate",
        "maybe", "min_payment", "no", "pay_bill", "payday", "repeat", "report_fraud", "thank_you", "transfer",
        "what_is_your_name", "who_do_you_work_for", "who_made_you", "yes", "change_language", "change_speed",
        "change_volume", "whisper_mode", "make_call", "account_blocked", "freeze_account", "where_are_you_from",
    }
)  # fmt: skip
"""CLINC intents that mean something to a loan call, or stand near one that does."""


def beside_the_point(sentences: Sequence[Sentence]) -> list[Sentence]:
    """Public sentences that are surely no answer to a loan call: they teach the honest ``other``."""
    return [
        s
        for s in sentences
        if ("clinc" in s.labels and s.labels["clinc"] not in _CLINC_OURS)
        or (
            s.labels.get("act_zh") in ("statement-non-opinion", "statement-opinion")
            and s.labels.get("emotion_zh") in ("neutral", "positive")
            and len(s.text) >= 8
        )
    ]


def with_feeling(sentences: Sequence[Sentence]) -> list[tuple[Sentence, str]]:
    """Public sentences whose emotion is known and marked, with it; the neutral ones of other talk teach little here."""
    return [
        (s, emotion)
        for s in sentences
        if (emotion := s.labels.get("emotion_en") or s.labels.get("emotion_zh"))
        and emotion != "neutral"
        and 3 <= len(s.text) <= 120
    ]
