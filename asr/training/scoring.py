"""Error rates: edits between what was said and what was heard, over what was said."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from asr.training.voices import Lang


def edits(said: Sequence[str], heard: Sequence[str]) -> int:
    """Levenshtein distance: the fewest insertions, deletions and substitutions that turn ``said`` into ``heard``."""
    row = list(range(len(heard) + 1))
    for i, a in enumerate(said, 1):
        diagonal, row[0] = row[0], i
        for j, b in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (a != b))
    return row[-1]


def units(text: str, lang: Lang) -> list[str]:
    """What is counted: characters of Mandarin (without spaces), words of English."""
    return list(text.replace(" ", "")) if lang == "zh" else text.split()


def error_rate(pairs: Iterable[tuple[str, str]], lang: Lang) -> float:
    """CER (zh) or WER (en) over (said, heard) pairs, a ratio of sums. Raises ``ValueError`` if nothing was said."""
    wrong = total = 0
    for said, heard in pairs:
        reference = units(said, lang)
        wrong += edits(reference, units(heard, lang))
        total += len(reference)
    if total == 0:
        raise ValueError("no reference text to compare with")
    return wrong / total
