from __future__ import annotations

import pytest

from asr.training.scoring import edits, error_rate


@pytest.mark.parametrize(
    ("said", "heard", "count"),
    [("", "", 0), ("abc", "abc", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3)],
)
def test_edits(said: str, heard: str, count: int) -> None:
    assert edits(said, heard) == count


def test_rates_are_ratios_of_sums() -> None:
    assert error_rate([("我下周还款", "我下周还"), ("好的", "好的")], "zh") == pytest.approx(1 / 7)
    assert error_rate([("i will pay on friday", "i'll pay on friday")], "en") == pytest.approx(2 / 5)


def test_nothing_to_compare_is_an_error() -> None:
    with pytest.raises(ValueError, match="no reference"):
        error_rate([], "zh")
