"""Call figures against calls small enough to work out by hand."""

from __future__ import annotations

import random

import pytest

from sentiment.analytics import CallTurn, analyze
from sentiment.labels import EMOTIONS


def feeling(label: str, p: float = 0.9) -> dict[str, float]:
    rest = (1 - p) / (len(EMOTIONS) - 1)
    return {name: p if name == label else rest for name in EMOTIONS}


def borrower(start: float, end: float, text: str = "好的", **more: object) -> CallTurn:
    return CallTurn("borrower", start, end, text, **more)  # type: ignore[arg-type]


CALM = {"emotion": "neutral", "scores": feeling("neutral")}
ANGRY = {"emotion": "angry", "scores": feeling("angry"), "arousal": 0.8, "valence": -0.8}
CALL = [
    CallTurn("agent", 0.0, 4.0, "您好请问是张先生吗", "ask_identity"),
    borrower(5.0, 7.0, "是我你说", **CALM),
    CallTurn("agent", 7.5, 12.5, "您的借款已到期", "tell_debt"),
    borrower(11.5, 14.5, "你们烦不烦", **ANGRY, intents={"complain": 0.5}),
    CallTurn("agent", 17.5, 19.5, "抱歉", "calm"),
    borrower(18.0, 18.5, "嗯", **CALM),
]


def test_times() -> None:
    got = analyze(CALL, end=30.0)
    assert got.talk_ratio == pytest.approx(11 / 16.5)
    assert got.overlap == pytest.approx(1.0 + 0.5)
    assert got.interruptions == {"agent": 0, "borrower": 1}  # the last "嗯" is a back-channel
    assert got.longest_silence == pytest.approx(10.5)
    assert analyze(CALL).longest_silence == pytest.approx(3.0)
    assert got.speech_rate["borrower"] == pytest.approx(10 / 5.5)


def test_turn_for_the_worse_names_the_line_before_it() -> None:
    points = analyze(CALL).turning_points
    assert [(p.agent_line, p.change < 0) for p in points] == [("tell_debt", True)]


def test_curve_keeps_raw_and_mood_apart() -> None:
    calm, angry, after = analyze(CALL).curve
    assert (angry.emotion, angry.valence) == ("angry", -0.8)
    assert -0.8 < angry.mood_valence < calm.mood_valence
    assert angry.mood_valence < after.mood_valence < 0
    unknown = analyze([*CALL, borrower(20, 21, emotion="unknown")]).curve[-1]
    assert (unknown.mood, unknown.mood_valence) == (after.mood, after.mood_valence)


def test_risks_rise_with_their_signs() -> None:
    sad = borrower(5, 7, emotion="sad", scores=feeling("sad"))
    crisis = borrower(8, 9, emotion="sad", scores=feeling("sad"), intents={"crisis": 0.95})
    quiet, low, high = (analyze(t).distress_risk for t in (CALL[:2], [sad], [sad, crisis]))
    assert quiet < 0.1 < 0.4 < low < 0.9 < high <= 1
    assert analyze(CALL[:2]).complaint_risk < 0.1 < 0.5 < analyze(CALL).complaint_risk < 1


def promise(**more: object) -> float:
    return analyze([borrower(1, 2, intents={"promise_to_pay": 0.9}, **more)]).promise_strength


def test_promise_strength() -> None:
    assert promise() == pytest.approx(0.2)
    assert promise(date="2026-12-02") == pytest.approx(0.5)
    assert promise(date="2026-12-02", amount="500") == pytest.approx(0.7)
    assert promise(date="2026-12-02", amount="500", confirmed=True) == pytest.approx(1.0)
    assert promise(date="2026-12-02", text="我尽量下周三") == pytest.approx(0.35)
    turns = [borrower(1, 2, intents={"promise_to_pay": 0.9}), borrower(3, 4, intents={"refuse_to_pay": 0.9})]
    assert analyze(turns).promise_strength == 0.0
    assert analyze(CALL).promise_strength == 0.0


def test_resolution() -> None:
    assert analyze(CALL, disposition="promise_to_pay").resolution == "promise"
    said = [borrower(1, 2, intents={"crisis": 0.9}), borrower(3, 4, intents={"promise_to_pay": 0.9})]
    assert analyze(said).resolution == "handed_over"
    assert analyze(said[1:]).resolution == "promise"
    assert analyze(CALL[:1]).resolution == "open"


def test_empty_and_shuffled_calls() -> None:
    empty = analyze([])
    assert (empty.talk_ratio, empty.longest_silence, empty.curve) == (None, 0.0, ())
    shuffled = CALL[:]
    random.Random(1).shuffle(shuffled)
    assert analyze(shuffled, end=30.0) == analyze(CALL, end=30.0)
    assert analyze(CALL).as_dict()["resolution"] == "open"
