"""Where rule, clause and model disagree: who is believed. The model is one that says what the test tells it to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest

from sentiment.labels import EMOTIONS, INTENTS
from sentiment.model import Calibration, IntentModel, Reading, Request, Scores
from sentiment.understand import Understander

_READING = Reading((1.0, 1.0), (1.0, 1.0, 0.0), sure=0.2, further=0.5, safety=0.3)


@dataclass
class Said:
    """A model that gives each text its intents; ``present`` is the same unless told otherwise."""

    intents: Mapping[str, Mapping[str, float]]
    present: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    calibration: Calibration = field(
        default_factory=lambda: Calibration((0.5, 0.5), {"zh": _READING, "en": _READING}, None, {})
    )

    def scores(self, text: str, lang: str, expects: str | None = None) -> Scores:
        given = self.intents.get(text.strip(), {"other": 1.0})
        intents = {name: given.get(name, 0.0) for name in INTENTS}
        there = {**intents, **self.present.get(text.strip(), {})}
        return Scores(intents, {name: float(name == "neutral") for name in EMOTIONS}, there)

    def batch(self, requests: Sequence[Request]) -> list[Scores]:
        return [self.scores(*request) for request in requests]


def read(text: str, lang: str, said: Said) -> dict[str, float]:
    return dict(Understander(cast(IntentModel, said)).understand(text, lang).intents)


ROUTING = "If I put the number in wrong does it go to somebody else?"


def test_a_rule_that_the_model_finds_impossible_does_not_count() -> None:
    assert list(read(ROUTING, "en", Said({ROUTING: {"ask_how_to_pay": 0.99}}))) == ["ask_how_to_pay"]


def test_a_rule_leads_where_the_model_only_doubts() -> None:
    said = Said({ROUTING: {"ask_how_to_pay": 0.95}}, {ROUTING: {"request_human": 0.03}})
    assert next(iter(read(ROUTING, "en", said))) == "request_human"


@pytest.mark.parametrize(
    ("text", "lang", "intent"),
    [
        ("I want to kill myself", "en", "crisis"),
        ("我不想活了", "zh", "crisis"),
        ("stop calling me", "en", "stop_contact"),
        ("别再给我打电话了", "zh", "stop_contact"),
    ],
)
def test_no_model_contradicts_a_life_or_a_wish_to_be_left_alone(text: str, lang: str, intent: str) -> None:
    assert next(iter(read(text, lang, Said({text: {"promise_to_pay": 1.0}})))) == intent


COUCH = "what will you do, send a judge after my couch? you get nothing"


def test_a_clause_torn_from_its_context_is_no_wish() -> None:
    said = Said(
        {
            COUCH: {"refuse_to_pay": 0.98, "legal_representation": 0.02},
            "send a judge after my couch": {"legal_representation": 0.93},
        }
    )
    assert "legal_representation" not in read(COUCH, "en", said)


def test_a_clause_that_the_whole_also_hears_is_a_further_wish() -> None:
    said = Said(
        {
            COUCH: {"refuse_to_pay": 0.9, "legal_representation": 0.1},
            "send a judge after my couch": {"legal_representation": 0.93},
        }
    )
    assert read(COUCH, "en", said)["legal_representation"] == pytest.approx(0.93)


def test_what_a_death_already_says_is_heard_where_the_death_is_impossible() -> None:
    """The rule for a death hides the one for a third party; with the death out, the third party is heard again."""
    text = "my husband passed away, this is his wife speaking"
    both = Said({text: {"deceased_or_incapacitated": 0.9, "third_party": 0.1}})
    assert next(iter(read(text, "en", both))) == "deceased_or_incapacitated"
    one = Said({text: {"third_party": 0.99}}, {text: {"deceased_or_incapacitated": 0.001}})
    assert next(iter(read(text, "en", one))) == "third_party"
