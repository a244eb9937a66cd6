"""Sentences to speak: our own grammar of borrower talk, and general text for breadth.

General text comes from files the caller names (none ships here): plain text or the first column that holds
sentences of a CSV, TSV or CLINC-style JSON. What this repository holds of call sentences elsewhere
(``sentiment/corpus``, ``compliance_checks/corpus``) is read by the same rules from its JSON lines. Only what a
synthesiser says as it is written is kept: no digits, no Latin inside Mandarin, no characters outside the vocabulary.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from asr.grammar import sentences as grammar
from asr.training.voices import Lang

_EN_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*")
_EN_BAD = re.compile(r"[^a-zA-Z' ,.?!;:\-\"]|\.[a-zA-Z]|[A-Z]{2,}")
_ZH_SPLIT = re.compile(r"[，。！？；：、,.!?;:~…\s“”\"()（）《》]+")
_COLUMNS = ("TEXT", "Utterance", "text", "sentence")


def common_characters() -> list[str]:
    """The 3,755 most used simplified characters: level one of GB/T 2312-1980 (rows 16 to 55)."""
    cells = (bytes((0xA0 + row, 0xA0 + cell)) for row in range(16, 56) for cell in range(1, 95))
    return [c for c in (cell.decode("gb2312", "ignore") for cell in cells) if c]


_COMMON = frozenset(common_characters())


def _raw_lines(path: Path) -> list[str]:
    """Every text that ``path`` holds, as written."""
    if path.suffix == ".jsonl":
        return [str(json.loads(row).get("text") or "") for row in path.read_text(encoding="utf-8").splitlines()]
    if path.suffix == ".json":
        data = json.loads(path.read_text(encoding="utf-8"))
        return [str(row[0]) for rows in data.values() for row in rows]
    if path.suffix == ".csv":
        with path.open(encoding="utf-8-sig", newline="") as f:
            reader = csv.DictReader(f)
            column = next((c for c in _COLUMNS if c in (reader.fieldnames or ())), None)
            if column is None:
                raise ValueError(f"{path}: no column named {', '.join(_COLUMNS)}")
            return [row[column] or "" for row in reader if row.get("label", "0") != "1"]
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split("\t")[0] for line in lines]


def english(text: str) -> str | None:
    """``text`` as the recogniser writes English (lower-case words), or None if it cannot be spoken as written."""
    text = text.replace("’", "'").strip()
    if _EN_BAD.search(text):
        return None
    words = _EN_WORD.findall(text.lower())
    if not 1 <= len(words) <= 18 or any(len(w) > 14 for w in words):
        return None
    return " ".join(words)


def mandarin(text: str) -> list[str]:
    """The clauses of ``text`` that are plain common characters, joined two and two now and then by the caller."""
    clauses = (clause for clause in _ZH_SPLIT.split(text) if clause)
    return [c for c in clauses if 2 <= len(c) <= 24 and all(ch in _COMMON for ch in c)]


def corpus(lang: Lang, paths: list[Path]) -> list[str]:
    """Distinct usable sentences of ``lang`` in JSON-lines files; none that the grammar can hold out for dev or test."""
    kept = {s.text for split in ("dev", "test") for s in grammar(lang, split, 20000, 0)}
    everyday = set(held_out(lang))
    return [s for s in _usable(lang, paths) if s not in kept and s not in everyday]


def held_out(lang: Lang) -> list[str]:
    """Everyday sentences that the grammar keeps for dev and test."""
    texts = {s.text for split in ("dev", "test") for s in grammar(lang, split, 4000, 0, domain_share=0.0)}
    return sorted(texts)


def general(lang: Lang, paths: list[Path]) -> list[str]:
    """Distinct usable sentences of ``lang`` in ``paths``, in file order; none that overlaps with a held-out one."""
    kept = held_out(lang)
    found = _usable(lang, paths)
    whole, joined = set(kept), "\n".join(kept)
    return [s for s in found if s not in whole and s not in joined and not any(k in s for k in kept)]


def _usable(lang: Lang, paths: list[Path]) -> list[str]:
    found: dict[str, None] = {}
    for path in paths:
        for line in _raw_lines(path):
            if lang == "en":
                sentence = english(line)
                if sentence:
                    found[sentence] = None
            else:
                found.update(dict.fromkeys(mandarin(line)))
    return list(found)
