"""Mu-law against the values of ITU-T G.711 (table 2a/2b: decision values and quantised outputs, scaled to 16 bits)."""

from __future__ import annotations

import numpy as np
import pytest

from audio import g711

# code word -> 14-bit output of table 2a/G.711, times four for 16 bits
KNOWN = {0x80: 8031, 0x8F: 4191, 0x9F: 2079, 0xAF: 1023, 0xBF: 495, 0xCF: 231, 0xDF: 99, 0xEF: 33, 0xFE: 2, 0xFF: 0}


@pytest.mark.parametrize(("code", "value"), KNOWN.items())
def test_decoding_gives_the_tables_values(code: int, value: int) -> None:
    assert g711.decode(bytes([code]))[0] == value * 4
    assert g711.decode(bytes([code & 0x7F]))[0] == -value * 4


def test_every_code_survives_the_way_there_and_back() -> None:
    codes = bytes(range(256))
    again = g711.encode(g711.decode(codes))
    assert all(a == b or {a, b} == {0x7F, 0xFF} for a, b in zip(codes, again, strict=True))  # both are zero


def test_error_is_at_most_half_a_step() -> None:
    pcm = np.arange(-32768, 32768).astype(np.int16)
    error = np.abs(g711.decode(g711.encode(pcm)).astype(int) - pcm.astype(int))
    assert error.max() <= 644  # overload beyond 32124
    small = np.abs(pcm.astype(int)) < 32124
    assert np.all(error[small] <= np.maximum(4, (np.abs(pcm[small].astype(int)) + 132) / 32 + 1))


def test_silence_and_floats() -> None:
    assert g711.encode(np.zeros(3, np.int16)) == g711.SILENCE * 3
    pcm = np.array([-32768, 0, 32767], np.int16)
    assert np.array_equal(g711.to_pcm16(g711.to_float(pcm)), pcm)
    assert g711.to_pcm16(np.array([9.0, -9.0], np.float32)).tolist() == [32767, -32768]
