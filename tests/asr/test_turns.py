"""How much silence ends a turn, by what the words and the voice say."""

from __future__ import annotations

import pytest

from asr.turns import TurnPolicy


def test_an_answer_ends_sooner_than_a_story_and_a_story_sooner_than_half_a_sentence() -> None:
    policy = TurnPolicy()
    waits = [policy.patience(e) for e in ("complete", "brief", "open", "unfinished")]
    assert waits == sorted(set(waits))
    assert waits[0] <= 0.25
    assert 1.0 <= waits[-1] <= 1.2


def test_the_voice_counts_only_where_the_words_leave_it_open() -> None:
    policy = TurnPolicy()
    assert policy.patience("open", 0.95) < policy.patience("open", 0.2) == policy.patience("open", None)
    assert policy.patience("unfinished", 0.95) == policy.patience("unfinished")
    assert policy.patience("complete", 0.01) == policy.patience("complete")


def test_without_evidence_the_clock_decides() -> None:
    assert TurnPolicy(blind=0.7).patience(None) == 0.7


@pytest.mark.parametrize(
    ("bad", "named"),
    [
        ({"complete": 0.0}, "rise"),
        ({"complete": 0.9}, "rise"),
        ({"unfinished": 0.2}, "rise"),
        ({"blind": 0}, "positive"),
        ({"finished": 1.5}, "probability"),
    ],
)
def test_silences_that_make_no_sense_are_refused(bad: dict[str, float], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        TurnPolicy(**bad)
