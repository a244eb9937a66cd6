from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def gap() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*sys.path, str(BENCHMARKS)])  # last: benchmarks/console.py is not our console
        yield importlib.import_module("response_gap")


def turn(who: str, start: float, end: float, gap_ms: float | None = None, text: str = "yes") -> dict[str, Any]:
    return {"who": who, "start": start, "end": end, "text": text if who == "borrower" else "", "gap_ms": gap_ms}


def report(*turns: dict[str, Any], duration: float = 60.0, lang: str = "zh", overlaps: int = 0) -> dict[str, Any]:
    return {"turns": list(turns), "lang": lang, "duration_s": duration, "overlaps": overlaps}


def test_every_answered_turn_is_one_gap(gap: Any) -> None:
    read = gap.call_turns(
        report(
            turn("agent", 0.5, 4.0),
            turn("borrower", 5.0, 6.0, 700.0),
            turn("agent", 6.7, 9.0),
            turn("borrower", 10.0, 11.0, 650.0),
            turn("agent", 11.65, 13.0),
            overlaps=1,
        )
    )
    assert read == gap.CallTurns("zh", (700.0, 650.0), 0, 1, sentences=2)


def test_the_opening_is_no_answer(gap: Any) -> None:
    read = gap.call_turns(report(turn("borrower", 1.0, 1.5, 2000.0, "Hello?"), turn("agent", 3.5, 6.0)))
    assert read.gaps_ms == ()
    assert read.unanswered == 0


def test_a_turn_into_silence_is_unanswered(gap: Any) -> None:
    read = gap.call_turns(
        report(turn("agent", 0.5, 4.0), turn("borrower", 5.0, 6.0), turn("borrower", 15.0, 16.0, 800.0))
    )
    assert read == gap.CallTurns("zh", (800.0,), 1, 0, sentences=2)


def test_an_agent_that_begins_in_a_sentence_cuts_it_off(gap: Any) -> None:
    read = gap.call_turns(
        report(
            turn("agent", 0.5, 4.0),
            turn("borrower", 5.0, 8.0),
            turn("agent", 6.4, 6.9),  # in his pause
            turn("agent", 7.5, 7.7),  # and again: still one sentence
            turn("borrower", 10.0, 11.0),
            turn("agent", 10.1, 13.0),  # both at once
            turn("borrower", 14.0, 15.0),
            turn("agent", 15.4, 18.0),
        )
    )
    assert (read.sentences, read.cut_off) == (3, 1)


def test_an_agent_that_is_talked_over_gives_way(gap: Any) -> None:
    read = gap.call_turns(
        report(
            turn("agent", 0.5, 4.4),
            turn("borrower", 4.0, 6.0),  # silent after 0.4 s
            turn("agent", 7.0, 12.0),
            turn("borrower", 8.0, 9.0),  # talked through
        )
    )
    assert read.yielded_ms == pytest.approx((400.0,))
    assert read.cut_off == 0


@pytest.mark.parametrize(
    ("turns", "duration"),
    [
        ([turn("agent", 0.5, 8.0), turn("borrower", 5.0, 6.0)], 60.0),  # talked through
        ([turn("agent", 0.5, 4.0), turn("borrower", 5.0, 6.0)], 6.0),  # hung up in mid-sentence
        ([turn("agent", 0.5, 4.0), turn("borrower", 5.0, 6.0)], 7.0),  # the agent hung up
        ([turn("agent", 0.5, 4.0), turn("borrower", 5.0, 6.0, text="")], 60.0),  # a tone
    ],
)
def test_what_nobody_could_answer_does_not_count(gap: Any, turns: list[dict[str, Any]], duration: float) -> None:
    read = gap.call_turns(report(*turns, duration=duration))
    assert (read.gaps_ms, read.unanswered) == ((), 0)


def test_rows_are_percentiles_of_both_sides(gap: Any) -> None:
    ours, peer = gap.Side("callgate"), gap.Side("peer")
    ours.calls = [
        gap.CallTurns("zh", (500.0, 600.0), 0, 0, 30, 1, (300.0, 500.0)),
        gap.CallTurns("en", (700.0,), 1, 2, 20, 0),
    ]
    peer.calls = [gap.CallTurns("zh", (1000.0,), 0, 0), gap.CallTurns("en", (1400.0,), 0, 1)]
    peer.failed = ["promise en 1: broke"]
    table = {row["figure"]: row for row in gap.rows(ours, peer)}
    assert table["response gap p50 ms"] == {
        "figure": "response gap p50 ms",
        "ours": 600.0,
        "peer": 1200.0,
        "peer_name": "peer",
        "ratio": 0.5,
        "unit": "ms",
        "n": 3,
        "n_peer": 2,
    }
    assert table["response gap p95 ms"]["ours"] == 690.0
    assert table["our response gap p95 ms against the peer's p50"]["ratio"] == 0.575
    assert (table["response gap p50 ms, zh"]["ours"], table["response gap p50 ms, zh"]["n"]) == (550.0, 2)
    assert (table["turns without an answer"]["ours"], table["turns without an answer"]["peer"]) == (1, 0)
    overlaps = table["replies begun while the borrower spoke"]
    assert (overlaps["ours"], overlaps["peer"], overlaps["ratio"]) == (2, 1, 2.0)
    cut = table["borrower's sentences cut off"]
    assert (cut["ours"], cut["peer"], cut["unit"], cut["n"], cut["n_peer"]) == (2.0, None, "%", 50, 0)
    yielded = table["agent silent after being talked over p50 ms"]
    assert (yielded["ours"], yielded["n"], yielded["n_peer"]) == (400.0, 2, 0)
    assert table["calls that failed"]["peer"] == 1
    assert "600" in gap.as_text(list(table.values()))


def test_rows_without_any_turn_hold_no_number(gap: Any) -> None:
    table = gap.rows(gap.Side("callgate"), gap.Side("peer"))
    assert table[0]["ours"] is table[0]["peer"] is table[0]["ratio"] is None
    assert json.loads(json.dumps(table, allow_nan=False)) == table
    assert "-" in gap.as_text(table)


@pytest.mark.parametrize(
    ("said", "heard", "distance"),
    [("我周五还", "我周五还。", 0), ("Yes, speaking.", "yes speaking", 0), ("四八二一", "四八一", 1), ("", "ab", 2)],
)
def test_edit_distance_over_letters_and_digits(gap: Any, said: str, heard: str, distance: int) -> None:
    assert gap.edit_distance(said, heard) == distance


def test_plans_alternate_languages_and_renew_the_seed(gap: Any) -> None:
    plans = list(gap.plans(["promise", "refuses"], ["zh", "en"], 7))
    assert [(p.scenario, p.lang, p.seed) for p in plans[:5]] == [
        ("promise", "zh", 7),
        ("promise", "en", 7),
        ("refuses", "zh", 7),
        ("refuses", "en", 7),
        ("promise", "zh", 8),
    ]
    assert len(plans) == 4 * gap.ROUNDS == len(set(plans))


def test_calls_without_turns_cannot_be_asked_for(gap: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        gap.main(["--scenario", "voicemail"])
    assert stop.value.code == 2
    assert "voicemail" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["0", "-1", "two"])
def test_counts_are_positive(gap: Any, value: str) -> None:
    with pytest.raises(SystemExit) as stop:
        gap.main(["--parallel", value])
    assert stop.value.code == 2
