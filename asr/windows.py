"""Cut long audio where it is quietest, so that a recogniser with a short context loses no word at the seam."""

from __future__ import annotations

import numpy as np

from audio.g711 import Floats


def split(samples: Floats, rate: int, longest: float, frame: float = 0.02) -> list[tuple[int, int]]:
    """Sample ranges of at most ``longest`` seconds that cover ``samples`` without gap or overlap.

    Each cut lies in the second half of its window, in the middle of the quietest fifth of a second.
    """
    out: list[tuple[int, int]] = []
    start, limit = 0, int(longest * rate)
    step = max(1, int(frame * rate))
    while len(samples) - start > limit:
        low = start + limit // 2
        region = samples[low : start + limit]
        count = len(region) // step
        power = np.mean(np.square(region[: count * step].reshape(count, step), dtype=np.float64), axis=1)
        smooth = np.convolve(power, np.ones(min(10, count)), mode="valid")
        cut = low + (int(np.argmin(smooth)) + min(10, count) // 2) * step
        out.append((start, cut))
        start = cut
    out.append((start, len(samples)))
    return out
