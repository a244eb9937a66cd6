"""Playbooks: a track of speech probabilities on one side, the events it must give on the other."""

from __future__ import annotations

import pytest

from asr.endpointing import Endpointer, EndpointerConfig, Event, Pause, SpeechResumed, SpeechStarted, TurnEnded

STEP = 256 / 8000


def windows(seconds: float) -> int:
    return round(seconds / STEP)


def play(endpointer: Endpointer, *track: tuple[float, float]) -> list[Event]:
    """Feed (probability, seconds) stretches; all events in order."""
    return [e for p, seconds in track for _ in range(windows(seconds)) for e in endpointer.feed(p)]


def test_one_turn() -> None:
    events = play(Endpointer(patience=0.5), (0.02, 0.96), (0.95, 1.6), (0.03, 1.0))
    started, pause, ended = events
    assert isinstance(started, SpeechStarted)
    assert started.at == pytest.approx(0.96)
    assert isinstance(pause, Pause)
    assert (pause.start, pause.at) == (started.at, pytest.approx(2.56))
    assert isinstance(ended, TurnEnded)
    assert (ended.start, ended.end, ended.forced) == (started.at, pause.at, False)


def test_a_pause_inside_a_turn_is_told_and_taken_back() -> None:
    endpointer = Endpointer(patience=0.8)
    events = play(endpointer, (0.9, 0.8), (0.1, 0.4), (0.9, 0.8), (0.1, 1.0))
    assert [type(e) for e in events] == [SpeechStarted, Pause, SpeechResumed, Pause, TurnEnded]
    assert events[-1] == TurnEnded(0.0, pytest.approx(windows(0.8) * 2 * STEP + windows(0.4) * STEP))


def test_a_short_gap_is_no_pause() -> None:
    events = play(Endpointer(), (0.9, 0.5), (0.1, 0.032), (0.9, 0.5))
    assert [type(e) for e in events] == [SpeechStarted]


@pytest.mark.parametrize("length", [0.032, 0.064, 0.096])
def test_a_click_is_no_turn(length: float) -> None:
    assert play(Endpointer(), (0.0, 0.5), (0.99, length), (0.0, 2.0)) == []


def test_clicks_apart_do_not_add_up() -> None:
    assert play(Endpointer(), *[(0.99, 0.064), (0.0, 0.3)] * 10) == []


def test_a_stuttering_onset_counts_from_its_beginning() -> None:
    events = play(Endpointer(), (0.0, 0.32), (0.9, 0.064), (0.1, 0.064), (0.9, 0.32))
    assert events == [SpeechStarted(pytest.approx(0.32))]


def test_hysteresis_keeps_soft_speech_but_starts_on_none() -> None:
    assert play(Endpointer(), (0.42, 2.0)) == []
    assert [type(e) for e in play(Endpointer(), (0.9, 0.3), (0.42, 2.0))] == [SpeechStarted]


def test_patience_decides_when_a_turn_ends() -> None:
    for patience in (0.3, 0.6, 1.2):
        endpointer = Endpointer(patience=patience)
        play(endpointer, (0.9, 0.8))
        silent = 0
        while endpointer.in_turn:
            endpointer.feed(0.0)
            silent += 1
        assert silent * STEP == pytest.approx(patience, abs=STEP)


def test_patience_may_change_during_a_turn() -> None:
    endpointer = Endpointer(patience=2.0)
    assert [type(e) for e in play(endpointer, (0.9, 0.8), (0.0, 0.6))] == [SpeechStarted, Pause]
    endpointer.set_patience(0.4)
    assert [type(e) for e in play(endpointer, (0.0, 0.032))] == [TurnEnded]


def test_a_pause_may_be_allowed_less_silence() -> None:
    endpointer = Endpointer(patience=2.0)
    play(endpointer, (0.9, 0.8), (0.0, 0.192))
    assert endpointer.allow(0.3) == []
    assert play(endpointer, (0.0, 0.128)) == [TurnEnded(0.0, pytest.approx(0.8))]


def test_a_silence_that_was_long_enough_already_ends_the_turn_at_once() -> None:
    endpointer = Endpointer(patience=2.0)
    play(endpointer, (0.9, 0.8), (0.0, 0.64))
    assert endpointer.allow(0.3) == [TurnEnded(0.0, pytest.approx(0.8))]
    assert not endpointer.in_turn


def test_a_pause_may_be_allowed_more_silence() -> None:
    endpointer = Endpointer(patience=0.4)
    play(endpointer, (0.9, 0.8), (0.0, 0.192))
    assert endpointer.allow(1.2) == []
    assert play(endpointer, (0.0, 0.8)) == []
    assert [type(e) for e in play(endpointer, (0.0, 0.3))] == [TurnEnded]


def test_what_a_pause_was_allowed_ends_with_it() -> None:
    endpointer = Endpointer(patience=1.0)
    play(endpointer, (0.9, 0.8), (0.0, 0.192))
    endpointer.allow(0.3)
    assert [type(e) for e in play(endpointer, (0.9, 0.3), (0.0, 0.64))] == [SpeechResumed, Pause]
    assert [type(e) for e in play(endpointer, (0.0, 0.4))] == [TurnEnded]


def test_nothing_is_allowed_outside_a_pause() -> None:
    endpointer = Endpointer(patience=1.0)
    assert endpointer.allow(0.1) == []
    play(endpointer, (0.9, 0.8))
    assert endpointer.allow(0.1) == []
    assert [type(e) for e in play(endpointer, (0.0, 0.64))] == [Pause]
    with pytest.raises(ValueError, match="patience"):
        endpointer.allow(0.0)


def test_patience_is_never_shorter_than_a_pause() -> None:
    endpointer = Endpointer(patience=0.01)
    events = play(endpointer, (0.9, 0.5), (0.0, 0.5))
    assert [type(e) for e in events] == [SpeechStarted, Pause, TurnEnded]


def test_speaking_follows_the_pause() -> None:
    endpointer = Endpointer(patience=0.6)
    seen = []
    for p, seconds in ((0.0, 0.2), (0.9, 0.5), (0.0, 0.4), (0.9, 0.3), (0.0, 1.0)):
        play(endpointer, (p, seconds))
        seen.append((endpointer.speaking, endpointer.in_turn))
    assert seen == [(False, False), (True, True), (False, True), (True, True), (False, False)]


def test_an_endless_turn_is_cut_where_it_was_quietest_and_goes_on() -> None:
    endpointer = Endpointer(config=EndpointerConfig(max_turn=5.0, look_back=2.0))
    events = play(endpointer, (0.9, 4.0), (0.4, 0.064), (0.9, 1.0), (0.0, 1.0))
    started, cut, again, pause, ended = events
    assert isinstance(cut, TurnEnded)
    assert cut.forced
    assert cut.end == pytest.approx(4.0 + 0.064, abs=2 * STEP)
    assert again == SpeechStarted(cut.end)
    assert isinstance(ended, TurnEnded)
    assert ended.start == cut.end
    assert isinstance(started, SpeechStarted)
    assert isinstance(pause, Pause)


def test_sixty_seconds_of_talk_never_make_a_turn_over_twenty() -> None:
    events = play(Endpointer(), (0.9, 60.0), (0.0, 1.0))
    turns = [e for e in events if isinstance(e, TurnEnded)]
    assert sum(t.end - t.start for t in turns) == pytest.approx(windows(60) * STEP)
    assert max(t.end - t.start for t in turns) <= 20.1


def test_a_line_that_closes_ends_the_turn() -> None:
    endpointer = Endpointer()
    assert endpointer.flush() == []
    play(endpointer, (0.9, 0.48), (0.0, 0.1))
    assert endpointer.flush() == [TurnEnded(0.0, pytest.approx(0.48))]
    assert not endpointer.in_turn


def test_not_a_number_is_silence() -> None:
    assert play(Endpointer(), (float("nan"), 1.0)) == []


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="thresholds"):
        EndpointerConfig(on=0.3, off=0.5)
    with pytest.raises(ValueError, match="patience"):
        Endpointer(patience=0)
    with pytest.raises(ValueError, match="sample rate"):
        Endpointer(rate=0)
    with pytest.raises(ValueError, match="look_back"):
        EndpointerConfig(max_turn=2.0)
