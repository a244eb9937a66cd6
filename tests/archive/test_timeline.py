"""Where sound ends up, by the arithmetic alone: every pattern of arrival against the time at which it was made."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from archive.track import MAX_LEAD, TOLERANCE, Pcm16, Timeline
from archive.wav import RATE

FRAME = 160


def frames(n: int, rng: np.random.Generator) -> Pcm16:
    """``n`` frames of 20 ms of sound that is never zero and never repeats, so that it can be found again."""
    return rng.integers(1, 32767, n * FRAME, dtype=np.int16)


def play_live(arrivals: list[tuple[float, int]], voice: Pcm16) -> Timeline:
    line = Timeline()
    for at, index in arrivals:
        line.place_live(0, voice[index * FRAME : (index + 1) * FRAME], round(at * RATE))
    return line


def found(line: Timeline, voice: Pcm16, index: int) -> int:
    """Where the frame's 6th to 10th samples lie, as the position of the frame."""
    lane = line.copy(line.base, line.end)[:, 0]
    piece = voice[index * FRAME + 80 : index * FRAME + 84]
    hits = np.flatnonzero((np.lib.stride_tricks.sliding_window_view(lane, 4) == piece).all(axis=1))
    assert len(hits) == 1, f"frame {index} is there {len(hits)} times"
    return int(hits[0]) - 80


def test_jitter_leaves_no_trace() -> None:
    rng = np.random.default_rng(1)
    voice = frames(200, rng)
    delays = rng.uniform(0.0, 0.150, 200)
    delays[-15:] = 0.0
    order = np.maximum.accumulate(np.arange(200) * 0.02 + delays)  # a stream delivers in order
    line = play_live(list(zip(order.tolist(), range(200), strict=True)), voice)
    start = found(line, voice, 0)
    assert abs(start) <= TOLERANCE
    assert np.array_equal(line.copy(start, start + len(voice))[:, 0], voice)
    assert line.lost == 0


@pytest.mark.parametrize("stall", [0.1, 0.5, 2.0, 8.0])
def test_the_burst_after_a_stall_fills_the_stall(stall: float) -> None:
    voice = frames(600, np.random.default_rng(2))
    held = range(100, 100 + round(stall * 50))
    arrivals = [((held.stop - 1) * 0.02 if i in held else i * 0.02, i) for i in range(600)]
    line = play_live(arrivals, voice)
    assert np.array_equal(line.copy(0, len(voice))[:, 0], voice)
    assert line.lost == 0


def test_a_true_gap_stays_silent() -> None:
    voice = frames(100, np.random.default_rng(3))
    arrivals = [(i * 0.02 + (3.0 if i >= 50 else 0.0), i) for i in range(100)]
    line = play_live(arrivals, voice)
    assert found(line, voice, 50) == round(4.0 * RATE)
    assert not line.copy(RATE, 4 * RATE)[:, 0].any()


def test_a_burst_from_nowhere_is_bounded() -> None:
    voice = frames(500, np.random.default_rng(4))
    line = play_live([(i * 0.02, i) for i in range(100)] + [(2.0, i) for i in range(100, 500)], voice)
    assert line.cursor(0) <= 2.0 * RATE + TOLERANCE + FRAME
    assert line.lost > 0


def test_queued_sound_plays_one_after_the_other() -> None:
    voice = frames(150, np.random.default_rng(5))
    line = Timeline()
    for index in range(150):
        line.place_queued(1, voice[index * FRAME : (index + 1) * FRAME], RATE)
    assert np.array_equal(line.copy(RATE, RATE + len(voice))[:, 1], voice)
    line.truncate(1, 2 * RATE)
    assert np.array_equal(line.copy(RATE, 2 * RATE)[:, 1], voice[:RATE])
    assert not line.copy(2 * RATE, 5 * RATE).any()
    line.place_queued(1, voice[:FRAME], 2 * RATE + 800)
    assert np.array_equal(line.copy(2 * RATE + 800, 2 * RATE + 800 + FRAME)[:, 1], voice[:FRAME])


def test_taking_back_takes_what_an_overlapping_line_left_standing() -> None:
    line = Timeline()
    line.place_at(1, np.full(3 * RATE, 5, np.int16), 0, 0)
    line.place_at(1, np.full(RATE, 6, np.int16), RATE, RATE)  # the first line still stands from 2 s to 3 s
    assert (line.copy(2 * RATE, 3 * RATE)[:, 1] == 5).all()
    line.truncate(1, 2 * RATE + 100)
    assert not line.copy(2 * RATE + 100, 4 * RATE).any()
    assert line.copy(RATE, 2 * RATE + 100)[:, 1].all()


@pytest.mark.parametrize("order", list(itertools.permutations(range(10, 13))))
def test_stamped_frames_find_their_place_in_any_order(order: tuple[int, ...]) -> None:
    voice = frames(30, np.random.default_rng(6))
    line = Timeline()
    for index in (*range(10), *order, *range(13, 30)):
        line.place_at(0, voice[index * FRAME : (index + 1) * FRAME], index * FRAME, index * FRAME)
    assert np.array_equal(line.copy(0, len(voice))[:, 0], voice)


def test_jittering_stamps_do_not_click() -> None:
    rng = np.random.default_rng(7)
    voice = frames(100, rng)
    line = Timeline()
    for index in range(100):
        stamp = max(0, index * FRAME + int(rng.integers(-60, 60)))
        line.place_at(0, voice[index * FRAME : (index + 1) * FRAME], stamp, stamp)
    start = found(line, voice, 0)
    assert np.array_equal(line.copy(start, start + len(voice))[:, 0], voice)


def test_sound_that_is_too_late_or_far_too_early_is_counted_as_lost() -> None:
    line = Timeline()
    voice = np.ones(RATE, np.int16)
    line.place_at(0, voice, 0, 0)
    line.forget(RATE)
    line.place_at(0, voice, RATE // 2, 2 * RATE)
    assert line.lost == RATE // 2
    assert line.copy(RATE, RATE + RATE // 2)[:, 0].all()
    line.place_at(0, voice, 10**12, 2 * RATE)
    line.place_at(1, voice, -(10**12), 2 * RATE)
    assert line.lost == RATE // 2 + 2 * RATE
    assert line.end < 2 * RATE + MAX_LEAD
    line.place_at(0, voice, 3 * RATE, 3 * RATE)
    assert line.copy(3 * RATE, 4 * RATE)[:, 0].all()


def test_a_channel_that_was_silent_for_long_does_not_reach_back() -> None:
    line = Timeline()
    line.place_live(0, np.ones(FRAME, np.int16), 0)
    line.forget(100 * RATE)
    for _ in range(20):
        line.place_live(0, np.ones(FRAME, np.int16), 100 * RATE + 400)
    assert line.base == 100 * RATE
    assert line.copy(100 * RATE, 100 * RATE + 400)[:, 0].all()


def test_a_fast_media_clock_drops_without_a_click() -> None:
    tone = (8000 * np.sin(2 * np.pi * 200 * np.arange(60 * RATE) / RATE)).astype(np.int16)
    line = Timeline()
    for index in range(len(tone) // FRAME):
        line.place_live(0, tone[index * FRAME : (index + 1) * FRAME], round(index * 0.02 * 0.998 * RATE))
    lane = line.copy(0, line.cursor(0))[:, 0].astype(np.int32)
    assert abs(line.cursor(0) - 60 * 0.998 * RATE) <= TOLERANCE + FRAME
    # The tone itself moves by up to 1257 a sample; a hard cut could jump by 16000.
    assert np.abs(np.diff(lane)).max() < 2000
