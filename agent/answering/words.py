"""What machines say, recognised by their set phrases."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, cast

import yaml

from agent.events import Lang

Kind = Literal["voicemail", "announcement", "screening"]
_NOT_HAN = re.compile(r"[^\u4e00-\u9fff]+")
_NOT_WORD = re.compile(r"[^a-z']+")


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine, by its words. ``detail`` says what an announcement announces: ``switched_off``, ``busy`` …"""

    kind: Kind
    detail: str = ""


@lru_cache(maxsize=1)
def _phrases() -> tuple[tuple[Machine, str], ...]:
    table = yaml.safe_load((Path(__file__).parent / "phrases.yaml").read_text(encoding="utf-8"))
    found: list[tuple[Machine, str]] = []
    for kind, content in table.items():
        groups = content.items() if kind == "announcement" else (("", content),)
        for detail, languages in groups:
            for phrases in languages.values():
                found += [(Machine(cast(Kind, kind), detail), _plain(str(phrase))) for phrase in phrases]
    # The longest phrase says most: 已停机 must not hide behind 停机 of another kind.
    return tuple(sorted(found, key=lambda pair: -len(pair[1])))


def _plain(text: str) -> str:
    """Chinese characters without anything between them, or lower-case English words with single spaces."""
    han = _NOT_HAN.sub("", text)
    return han if len(han) >= 2 else " " + _NOT_WORD.sub(" ", text.lower().replace("’", "'")).strip() + " "


def machine_in(text: str, lang: Lang | None = None) -> Machine | None:
    """The machine whose set phrase is in ``text``, or ``None``. A carrier may speak in either language."""
    del lang  # announcements are often bilingual, whatever the call's language
    han, words = _NOT_HAN.sub("", text), " " + _NOT_WORD.sub(" ", text.lower().replace("’", "'")).strip() + " "
    for machine, phrase in _phrases():
        if (phrase in words) if phrase.startswith(" ") else (phrase in han):
            return machine
    return None
