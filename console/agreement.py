"""How far reviewers agree: Cohen's kappa over pairs of scorecards of the same call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from console.models import Scorecard
from console.scorecard import Card, kappa

Pair = tuple[Scorecard, Scorecard]


@dataclass(frozen=True, slots=True)
class Agreed:
    """``pairs`` of answers that were compared, ``same`` the share of them that are equal."""

    pairs: int
    same: float | None
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """``calls`` that two people scored; over all questions of the card, by question, and by two reviewers' names."""

    calls: int
    all: Agreed
    by_question: Mapping[str, Agreed]
    by_reviewers: Mapping[tuple[str, str], Agreed]


def agreement(pairs: Iterable[Pair], card: Card) -> Agreement:
    """Over the questions of ``card`` that are answered by a choice; cards of another name are left out."""
    used = [(a, b) if a.reviewer <= b.reviewer else (b, a) for a, b in pairs if a.card == b.card == card.id]
    questions = [q.id for q in card.questions if q.kind != "text"]
    answered = {question: _answers(used, [question]) for question in questions}
    people: dict[tuple[str, str], list[Pair]] = {}
    for a, b in used:
        people.setdefault((a.reviewer, b.reviewer), []).append((a, b))
    return Agreement(
        len({a.call_id for a, _ in used}),
        _agreed([pair for found in answered.values() for pair in found]),
        {question: _agreed(found) for question, found in answered.items()},
        {names: _agreed(_answers(found, questions)) for names, found in sorted(people.items())},
    )


def pairs_of(cards: Iterable[Scorecard]) -> list[Pair]:
    """Every two scorecards of the same call."""
    calls: dict[str, list[Scorecard]] = {}
    for card in cards:
        calls.setdefault(card.call_id, []).append(card)
    return [pair for found in calls.values() for pair in combinations(found, 2)]


def _answers(pairs: Iterable[Pair], questions: Sequence[str]) -> list[tuple[str, str]]:
    return [
        (str(a.answers[q]), str(b.answers[q])) for a, b in pairs for q in questions if q in a.answers and q in b.answers
    ]


def _agreed(found: Sequence[tuple[str, str]]) -> Agreed:
    return Agreed(len(found), sum(a == b for a, b in found) / len(found) if found else None, kappa(found))
