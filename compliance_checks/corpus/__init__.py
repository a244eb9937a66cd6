"""The labelled sentences: one row a sentence, split by template family. The datasheet is README.md beside this file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

from agent.events import CallFacts, Lang, Party

Label = Literal["ok", "violation"]
Split = Literal["train", "test"]

FOLDER: Final = Path(__file__).parent
# Splits of ``zh.jsonl`` and ``en.jsonl``; the held-out files stand outside and are read by name.
FILES: Final[Mapping[Lang, str]] = {"zh": "zh.jsonl", "en": "en.jsonl"}


class CorpusError(ValueError):
    """A row of the corpus cannot be read; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Example:
    """One labelled sentence.

    ``form`` tells how it is said (plain, polite, conditional, indirect, disguised, negated, quoted, slot, party,
    benign); ``family`` names its template, and no family stands in both splits; ``facts`` is the whole case file:
    that of ``facts.json`` for its language, with what the row itself says laid over it.
    """

    id: str
    text: str
    lang: Lang
    party: Party
    facts: Mapping[str, Any]
    label: Label
    category: str
    form: str
    family: str
    reason: str
    split: Split

    @property
    def violation(self) -> bool:
        return self.label == "violation"

    def call(self, policy: str | None = None) -> CallFacts:
        """The call in which the sentence is judged."""
        return CallFacts(self.lang, self.party, policy, self.facts)


@cache
def default_facts(lang: Lang) -> Mapping[str, Any]:
    """The invented case file that every sentence of ``lang`` is judged against unless its row says otherwise."""
    facts: Mapping[str, Any] = json.loads((FOLDER / "facts.json").read_text(encoding="utf-8"))[lang]
    return facts


def read(path: Path) -> Iterator[Example]:
    """The rows of one file. Raises :class:`CorpusError` naming the line that cannot be read."""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            yield Example(
                id=row["id"],
                text=row["text"],
                lang=row["lang"],
                party=row["party"],
                facts={**default_facts(row["lang"]), **row.get("facts", {})},
                label="violation" if row["label"] == "violation" else "ok",
                category=row["category"],
                form=row.get("form") or row["slice"],
                family=row.get("family", row["id"]),
                reason=row.get("reason", ""),
                split=row.get("split", "test"),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise CorpusError(f"{path.name}, line {number}: {error!r}") from error


def load(split: Split | None = None, lang: Lang | None = None) -> list[Example]:
    """The corpus's own sentences, Mandarin first, in the order of the files; of one split or language if named."""
    chosen: tuple[Lang, ...] = (lang,) if lang else ("zh", "en")
    return [row for name in chosen for row in read(FOLDER / FILES[name]) if split in (None, row.split)]
