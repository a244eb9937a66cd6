"""A line on its way to the ear: positions, holding, and where it goes on."""

from __future__ import annotations

import numpy as np
import pytest

from agent.telephony.playback import BACK, FRAME, Playback, heard_part, phrase_start
from audio.g711 import Pcm16
from audio.telephone import RATE
from tests.agent.lines import tone


def line(*parts: tuple[float, bool]) -> Pcm16:
    """Stretches of (seconds, speech or not)."""
    return np.concatenate([tone(s) if loud else np.zeros(int(s * RATE), np.int16) for s, loud in parts])


def test_positions_follow_the_clock_and_stop_at_what_was_sent() -> None:
    way = Playback(tone(2.0), 10.0, 10.0)
    assert way.due == 10.0
    way.sent = 1600
    assert way.position(9.5) == 0
    assert way.position(10.1) == 800
    assert way.position(11.0) == 1600  # the carrier had no more
    assert way.end == 12.0


def test_a_held_line_says_its_last_phrase_again() -> None:
    way = Playback(line((1.0, True), (0.2, False), (2.0, True)), 0.0, 0.0)
    way.sent = int(1.66 * RATE)
    stopped = way.stop(1.6)
    assert stopped == pytest.approx(1.6, abs=0.001)
    again = way.go_on(2.5)
    assert way.sent == int(1.2 * RATE)
    assert again == pytest.approx(0.4, abs=0.02)
    assert way.due == 2.5
    assert way.end == pytest.approx(2.5 + 2.0)
    assert way.heard(2.5) == pytest.approx(1.6, abs=0.01)  # not less because it is said again
    way.sent += 4000
    assert way.heard(2.9) == pytest.approx(1.6, abs=0.01)
    assert way.position(2.9) == int(1.6 * RATE)


def test_a_line_that_has_hardly_begun_begins_anew() -> None:
    assert phrase_start(tone(3.0), int(0.7 * RATE)) == 0


def test_a_long_phrase_is_taken_up_at_the_last_syllable() -> None:
    pcm = tone(5.0)
    dip = int(2.9 * RATE) // FRAME * FRAME
    pcm[dip : dip + FRAME] //= 20
    assert phrase_start(pcm, 3 * RATE) == dip


def test_a_line_makes_headway_however_often_it_is_held() -> None:
    way = Playback(tone(4.0), 0.0, 0.0)
    now = 0.0
    for _ in range(8):
        way.sent = min(len(way.pcm), way.sent + int(0.9 * RATE))
        now = way.stop(way.due)
        way.go_on(now + 0.4)
        now += 0.4
    assert way.sent > 3 * RATE
    assert (now - way.at) <= BACK


def test_what_was_heard_of_a_text() -> None:
    text = "You can pay in the application"
    assert heard_part(text, tone(3.0), 1.5) == "You can pay in"
    assert heard_part(text, tone(3.0), 0.0) == ""
    assert heard_part("", tone(1.0), 0.5) == ""
