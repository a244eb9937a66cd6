"""What the semantic model learns from: the corpus's training families, disguises of them, and plain other text."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final

from agent.events import Lang
from compliance_checks.corpus import Example, load
from compliance_checks.english import word_view
from compliance_checks.folding import fold
from compliance_checks.mandarin import han_view
from compliance_checks.rulebook import Rulebook
from compliance_checks.semantic.mutations import KINDS, disguise
from compliance_checks.semantic.text import mask, windows

OK: Final = "ok"
# Judged by value and ledger, not by wording: in a text whose values are masked there is nothing to learn.
BY_VALUE: Final = frozenset({"amount", "privacy", "privacy_leak", "missing_disclosure", "gate"})
_FACT_FORMS: Final = frozenset({"slot", "truth"})
_MOST_OF_A_SET: Final = 6000
MAX_TEXT: Final = 400


@dataclass(frozen=True, slots=True)
class Text:
    """One text as the model reads it. ``category`` is ``ok`` or the kind of violation; ``weight`` of its loss."""

    text: str
    lang: Lang
    party: str
    category: str
    family: str
    weight: float = 1.0


class Reader:
    """Reads text as the gate's model does, without looking for rules: views alone are quick."""

    def __init__(self) -> None:
        self._vocabulary = Rulebook().matchers["en"].vocabulary

    def quick(self, text: str, lang: Lang, case: Mapping[str, Any] | None = None) -> str:
        """As :func:`compliance_checks.semantic.text.plain` reads ``text``."""
        base = fold(text[:MAX_TEXT])
        view = han_view(base) if lang == "zh" else word_view(base, self._vocabulary)
        return mask(view.text, lang, case or {})

    def example(self, row: Example, text: str | None = None) -> str:
        return self.quick(text or row.text, row.lang, row.facts)


def teachable(row: Example) -> bool:
    """False for rows whose label hangs on the case file's values rather than on what is said."""
    return row.category not in BY_VALUE and row.form not in _FACT_FORMS


def examples(rows: Iterable[Example], reader: Reader) -> list[Text]:
    return [
        Text(reader.example(row), row.lang, row.party, row.category if row.violation else OK, row.family)
        for row in rows
        if teachable(row)
    ]


def disguised(rows: Iterable[Example], reader: Reader, each: int, seed: int) -> list[Text]:
    """``each`` disguises of every row, of both labels."""
    rng = random.Random(seed)
    found: list[Text] = []
    for row in filter(teachable, rows):
        ways = (disguise(row.text, row.lang, kind, seed) for kind in rng.sample(sorted(KINDS), k=len(KINDS)))
        for changed in islice(filter(None, ways), each):
            text = reader.example(row, changed)
            found.append(Text(text, row.lang, row.party, row.category if row.violation else OK, row.family, 0.5))
    return found


def joined(texts: list[Text], count: int, seed: int) -> list[Text]:
    """Two texts said one after the other: a violation if either is one, in the company of both."""
    rng = random.Random(seed)
    found: list[Text] = []
    pools: dict[tuple[str, str], list[Text]] = {}
    for text in texts:
        pools.setdefault((text.lang, text.party), []).append(text)
    while len(found) < count:
        first = rng.choice(texts)
        second = rng.choice(pools[first.lang, first.party])
        bad = next((t for t in (first, second) if t.category != OK), first)
        mark = {"zh": "。", "en": " . "}[first.lang]
        whole = f"{first.text.rstrip('。. ')}{mark}{second.text}"
        found.append(replace(bad, text=whole, weight=0.5))
    return found


def other_names(texts: list[Text], seed: int) -> list[Text]:
    """The same texts with names in the place of the masks, as heard where the case file holds none."""
    rng = random.Random(seed)
    zh = (
        ["李先生", "王女士", "陈小姐", "刘敏", "赵强"],
        ["小安", "小慧"],
        ["顺风银行", "普信消费金融", "海棠小贷"],
        ["消费贷", "信用卡"],
    )
    en = (
        ["mr smith", "maria", "mr brown", "linda"],
        ["emma", "sam"],
        ["first union", "harbor credit", "north lending"],
        ["credit card", "auto loan", "loan"],
    )
    found = []
    for text in texts:
        changed = text.text
        for place, names in zip("\uf001\uf002\uf003\uf004", zh if text.lang == "zh" else en, strict=True):
            changed = changed.replace(place, rng.choice(names))
        if changed != text.text:
            found.append(replace(text, text=changed, weight=0.5))
    return found


# ------------------------------------------------------------------------------------------- other text


def benign(reader: Reader, folder: Path | None, root: Path) -> list[Text]:
    """Everyday sentences that are no violation in anyone's mouth: customers' questions, neutral talk."""
    found = []
    for name, questions in _customers(folder) if folder else []:
        chosen = [text for text in questions if len(text.split()) > 1]
        random.Random(name).shuffle(chosen)
        read = (reader.quick(text, "en") for text in chosen[:_MOST_OF_A_SET])
        found += [Text(text, "en", "borrower", OK, f"{name}:{text}", 0.3) for text in read if text]
    path = root / "asr" / "grammar" / "general_zh.txt"
    if path.exists():
        lines = path.read_text(encoding="utf-8").splitlines()
        found += [Text(reader.quick(t, "zh"), "zh", "borrower", OK, f"general:{t}", 0.3) for t in lines]
    return found


def _customers(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The public sets of ``folder`` that are there; each one's licence allows this use (see the model card)."""
    if (path := folder / "banking77_train.csv").exists():
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield "banking77", [row["text"] for row in csv.DictReader(stream)]
    if (path := folder / "clinc150.json").exists():
        sets = json.loads(path.read_text(encoding="utf-8"))
        yield "clinc150", [text for name in ("train", "val", "oos_train") for text, _ in sets.get(name, [])]


def script_lines(reader: Reader) -> list[Text]:
    """The approved scripts' lines, slots masked: what the agent says all day."""
    from scripts.loader import find_scripts, parse

    found = []
    for path in find_scripts():
        script = parse(path)
        for line_id, line in script.content.lines.items():
            for template in (line.text, *line.alternates.values()):
                text = reader.quick(re.sub(r"\{\w+\}", "0", template), script.lang)
                found += [
                    Text(part, script.lang, "borrower", OK, f"script:{script.lang}:{line_id}")
                    for part in windows(text, script.lang)
                ]
    return found


def corpus_train() -> list[Example]:
    return load("train")
