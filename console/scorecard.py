"""The scorecard: questions from a YAML file, answers checked against it, and one number between 0 and 100."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

Kind = Literal["yes_no", "yes_no_na", "scale", "text"]
VARIABLE = "CALLGATE_SCORECARD"
CHOICES: Mapping[str, tuple[str, ...]] = {
    "yes_no": ("yes", "no"),
    "yes_no_na": ("yes", "no", "na"),
    "scale": ("1", "2", "3", "4", "5"),
}
_POINTS = {"yes": 1.0, "no": 0.0, "1": 0.0, "2": 0.25, "3": 0.5, "4": 0.75, "5": 1.0}


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    kind: Kind
    weight: float
    text: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Card:
    id: str
    title: Mapping[str, str]
    questions: Sequence[Question]

    def check(self, answers: Mapping[str, str]) -> dict[str, str]:
        """The answers to this card's questions. Raises ``ValueError`` naming a question without a usable one."""
        kept: dict[str, str] = {}
        for question in self.questions:
            answer = answers.get(question.id, "").strip()
            if question.kind == "text":
                kept[question.id] = answer
            elif answer not in CHOICES[question.kind]:
                raise ValueError(f"{question.id}: answer with one of {', '.join(CHOICES[question.kind])}")
            else:
                kept[question.id] = answer
        return kept

    def score(self, answers: Mapping[str, str]) -> float:
        """Weighted share of the points, in percent, over the questions that apply."""
        counted = [(q.weight, _POINTS[answers[q.id]]) for q in self.questions if answers.get(q.id) in _POINTS]
        total = sum(weight for weight, _ in counted)
        return round(100 * sum(weight * points for weight, points in counted) / total, 1) if total else 0.0


def read_card(path: Path) -> Card:
    """Raises ``ValueError`` naming what is wrong in the file."""
    try:
        plain: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
        questions = [
            Question(str(q["id"]), q["kind"], float(q["weight"]), {"zh": str(q["zh"]), "en": str(q["en"])})
            for q in plain["questions"]
        ]
        card = Card(str(plain["id"]), dict(plain["title"]), questions)
    except (OSError, yaml.YAMLError) as e:
        raise ValueError(f"scorecard {path.name}: cannot be read ({type(e).__name__})") from e
    except (KeyError, TypeError, ValueError) as e:
        raise ValueError(f"scorecard {path.name}: {e}") from e
    bad = next((q for q in questions if q.kind not in get_args(Kind) or q.weight < 0), None)
    if bad is not None or len({q.id for q in questions}) != len(questions) or not questions:
        raise ValueError(f"scorecard {path.name}: question {bad.id if bad else '?'} has an unknown kind or a double id")
    return card


@lru_cache(maxsize=4)
def _card(path: Path) -> Card:
    return read_card(path)


def load_card() -> Card:
    """The card of ``CALLGATE_SCORECARD``, else the one that ships."""
    return _card(Path(os.environ.get(VARIABLE) or Path(__file__).parent / "scorecard.yaml"))


def kappa(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's kappa of two reviewers' answers to the same questions; ``None`` where there is nothing to agree on.

    Cohen, "A coefficient of agreement for nominal scales", 1960: (observed − expected) / (1 − expected).
    """
    n = len(pairs)
    if n == 0:
        return None
    observed = sum(a == b for a, b in pairs) / n
    labels = {label for pair in pairs for label in pair}
    expected = sum((sum(a == x for a, _ in pairs) / n) * (sum(b == x for _, b in pairs) / n) for x in labels)
    return 1.0 if expected == 1 else (observed - expected) / (1 - expected)
