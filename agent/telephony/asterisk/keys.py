"""Keys of a phone, told twice: by the media channel (not by every version), and by ARI for the phone's own channel.

Both tell the same keys in the same order, so the n-th key counts once, whoever tells it first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from agent.telephony.line import DigitPressed

DIGITS: Final = frozenset("0123456789*#ABCD")


class Keys:
    """``put`` gets each key once."""

    def __init__(self, put: Callable[[DigitPressed], None]) -> None:
        self._put = put
        self._told: Counter[str] = Counter()
        self._passed = 0

    def pressed(self, digit: str, source: str) -> None:
        """``source`` is who tells it. What is no key is ignored."""
        if len(digit) != 1 or digit not in DIGITS:
            return
        self._told[source] += 1
        if self._told[source] > self._passed:
            self._passed += 1
            self._put(DigitPressed(digit))
