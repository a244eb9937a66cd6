"""What a recording gives away lies under a tone: where, and sample by sample."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from archive.audio_file import Recording
from archive.covering import MARGIN_S, MASK, Stretch, cover, stretches, tone
from archive.peaks import waveform
from audio.espeak import Voice, synthesize

RATE = 8000


@dataclass
class Said:
    who: str
    start: float
    end: float
    text: str
    heard_text: str | None = None
    words: list[dict[str, Any]] = field(default_factory=list)


def word(text: str, start: float, end: float) -> dict[str, Any]:
    return {"text": text, "start": start, "end": end}


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(3).integers(-9000, 9000, (int(seconds * RATE), 2), dtype=np.int16)


def recording(frames: np.ndarray, *covered: Stretch) -> Recording:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(2)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(frames.astype("<i2").tobytes())
    return Recording(file, "call.wav", None, covered)


def spans(found: list[Stretch]) -> list[tuple[int, float, float]]:
    return [(each.channel, round(each.start, 3), round(each.end, 3)) for each in found]


# -- where


def test_masked_words_are_covered_by_their_times() -> None:
    words = [word("my", 5.0, 5.2), word(" last", 5.2, 5.4), word(f" {MASK}", 6.0, 6.3), word(f" {MASK}", 6.4, 6.6)]
    turn = Said("borrower", 5.0, 7.0, f"my last {MASK} {MASK}", words=words)
    assert spans(stretches([turn])) == [(0, 5.8, 6.8)], "stretches that touch are one"


def test_a_turn_without_word_times_is_covered_as_a_whole() -> None:
    assert spans(stretches([Said("borrower", 5.0, 7.0, f"是{MASK * 4}")])) == [(0, 4.8, 7.2)]
    assert stretches([Said("borrower", 5.0, 7.0, "是我")]) == []


@pytest.mark.parametrize("words", [["我", "是"], ["别的", "话", MASK * 4], [MASK * 3]])
def test_words_that_are_not_the_texts_cover_the_turn(words: list[str]) -> None:
    turn = Said("borrower", 1.0, 3.0, "我是" + MASK * 4, words=[word(each, 1.0, 1.5) for each in words])
    assert spans(stretches([turn])) == [(0, 0.8, 3.2)]


def test_names_are_covered_too_where_they_are_hidden() -> None:
    words = [word(w, 1 + n / 2, 1.4 + n / 2) for n, w in enumerate(["my", " name", " is", " Alex"])]
    said = Said("borrower", 1.0, 3.0, "my name is Alex", words=words)
    found = stretches([said], lambda text: text.replace("Alex", MASK * 4))
    assert spans(found) == [(0, 2.3, 3.1)]
    assert stretches([said]) == []


def test_of_an_interrupted_line_only_what_was_heard_counts() -> None:
    line = Said("agent", 1.0, 2.0, f"May I speak with {MASK * 4}?", heard_text="May I")
    assert stretches([line]) == []


@pytest.mark.parametrize(
    ("lang", "before", "name", "after"),
    [
        ("en-us", "Am I speaking with ", "Alex Morgan", "?"),
        ("en-us", "I am Casey, an automated assistant. It is a personal matter for ", "Alex Morgan",
         ", which I may only explain after a short check."),
        ("en-us", "Hello, this is Casey, an automated assistant, with a message for ", "Alexandra Brown-Martinez", "."),
        ("en-us", "The amount of ", "3,500.00", " dollars was due on the twentieth."),
        ("cmn", "您好，请问是", "李小明先生", "本人吗？"),
        ("cmn", "您好，我是小安，这是一通自动语音电话，想找一下", "李小明", "，方便的话请他回电。"),
        ("cmn", "您的欠款是", "3500.00", "元，请问您什么时候方便还款？"),
    ],
)  # fmt: skip
def test_a_name_in_a_spoken_line_is_covered_where_it_sounds(lang: str, before: str, name: str, after: str) -> None:
    """Against the voice itself: the beginning of the name is where the line without it ends, its end likewise."""

    def seconds(text: str) -> float:
        pcm, rate = synthesize(text, Voice(f"{lang}+f2"))
        loud = np.flatnonzero(np.abs(pcm) > 200)
        return float(loud[-1]) / rate if len(loud) else 0.0

    line = before + name + after
    length = seconds(line)
    turn = Said("agent", 10.0, 10.0 + length, line)
    (found,) = stretches([turn], lambda text: text.replace(name, MASK * len(name)))
    assert found.channel == 1
    assert found.start <= 10.0 + seconds(before) + 0.05 and found.end >= 10.0 + seconds(before + name) - 0.05
    if length > 3:
        assert found.end - found.start < 0.8 * length, "the rest of the line is heard"


# -- the samples


def test_covered_samples_are_the_tone_and_all_others_are_untouched() -> None:
    frames = noise(5.0)
    covered = [Stretch(0, 1.0, 2.0), Stretch(1, 2.5, 3.0), Stretch(0, 4.5, 9.0)]
    heard = recording(frames, *covered).samples()
    assert np.array_equal(heard[8000:16001, 0], tone(8000, 8001))
    assert np.array_equal(heard[20000:24001, 1], tone(20000, 4001))
    assert np.array_equal(heard[36000:, 0], tone(36000, 4000)), "beyond the end is the end"
    untouched = np.ones_like(frames, bool)
    untouched[8000:16001, 0] = untouched[20000:24001, 1] = untouched[36000:, 0] = False
    assert np.array_equal(heard[untouched], frames[untouched])
    left = np.corrcoef(heard[8000:16001, 0], frames[8000:16001, 0])[0, 1]
    assert abs(left) < 0.03, "nothing of the voice is left under it"
    assert np.sqrt(np.mean(np.square(heard[8000:16001, 0].astype(float)))) == pytest.approx(3277 / 2**0.5, rel=0.01)


def test_every_range_of_bytes_is_covered_alike() -> None:
    frames, stretch = noise(3.0), Stretch(0, 0.5003, 2.2)
    whole = b"".join(recording(frames, stretch).wav())
    source = recording(frames, stretch)
    for first, last in ((0, len(whole)), (44, 45), (9001, 9003), (8043, 40007), (30011, len(whole)), (3, 50)):
        assert b"".join(source.bytes_of(first, last)) == whole[first:last], (first, last)
    assert b"".join(source.sound(1.0, 1.5)) == whole[44 + 32000 : 44 + 48000]


def test_frames_that_nothing_covers_are_not_copied() -> None:
    frames = noise(0.1)
    assert cover(frames, 0, [Stretch(0, 5.0, 6.0)]) is frames


def test_the_waveform_tells_nothing_of_what_is_covered() -> None:
    frames = np.zeros((3 * RATE, 2), np.int16)
    for n in range(4):  # four digits, with pauses that can be counted
        frames[8000 + n * 2000 : 9000 + n * 2000, 0] = 20000
    drawn = waveform([frames.astype("<i2").tobytes()])
    covered = drawn.covered([Stretch(0, 1.0 - MARGIN_S, 2.0 + MARGIN_S)])
    assert len(np.unique(covered.values[16:44, 0], axis=0)) == 1
    assert np.array_equal(covered.values[:, 1], drawn.values[:, 1])
    assert drawn.covered([]) is drawn and not np.array_equal(drawn.values, covered.values)
