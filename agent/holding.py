"""Whether the agent falls silent while it finds out what a sound over its line is. Pure: probabilities in, moves out.

Words need a third of a second of speech and a decode, which is too long to be talked at: so the line is held at the
first sound that is surely a voice, and goes on if that was a back-channel or nothing. People do the same: of two who
talk at once, one stops within a syllable or two (Schegloff 2000, Language in Society 29:1).

What holds the line for nothing (a television, somebody else in the room) must not do so for ever: after a few such
alarms only words count, until words come. And one line is held only a few times, however often somebody says "mhm".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Move = Literal["hold", "go_on"]

SURE, SURE_TWICE = 0.5, 0.8
"""Speech probabilities that hold a line: the last window's, and the sum of the last two. Over synthetic voices on four
kinds of line they are reached 50 ms after the first sound (median; 95 of 100: 130 ms); a minute each of clicks, coughs,
street, DTMF and ring-back reached them never."""
VOICE = 0.35
"""Below this nobody speaks any more."""
CLICK = 0.2
"""Seconds of silence after which a sound too short for a turn is forgotten."""
LIMIT = 0.6
"""Seconds of silence after which the words are no longer waited for: they may still end the line when they come."""
ALARMS = 3
"""Holds for nothing, one after the other, after which sound alone holds no more lines."""
A_LINE = 2
"""Times that one line is held and goes on; after that only words stop it."""


@dataclass(slots=True)
class Holding:
    """One a call. Times are stream seconds."""

    held: bool = False
    _before: float = 0.0
    _last_voice: float = 0.0
    _alarms: int = 0
    _this_line: int = 0
    _over: bool = False  # the line was told to end, or has ended

    def new_line(self) -> None:
        """The agent began another line."""
        self.held, self._this_line, self._over = False, 0, False

    def cut(self) -> None:
        """The person means it: the line ends, nothing is left to hold."""
        self.held, self._over, self._alarms = False, True, 0

    def heard(self, probability: float, now: float, *, in_turn: bool, sounding: bool) -> Move | None:
        """Take the speech probability of the window that ends ``now``. ``in_turn``: a turn of the person's is open;
        ``sounding``: a line of the agent's is.
        """
        both, self._before = probability + self._before, probability
        if probability >= VOICE:
            self._last_voice = now
        if not sounding:
            self.held = False
            return None
        if self.held:
            silence = now - self._last_voice
            return self.decided(False) if silence >= (LIMIT if in_turn else CLICK) - 1e-9 else None
        if self._over or probability < SURE or both < SURE_TWICE:
            return None
        if self._alarms >= ALARMS or self._this_line >= A_LINE:
            return None
        self.held = True
        return "hold"

    def decided(self, words: bool) -> Move | None:
        """What was said is known and is no interruption; ``words``: it was something that somebody said."""
        if words:
            self._alarms = 0
        if not self.held:
            return None
        self.held = False
        self._this_line += 1
        self._alarms += not words
        return "go_on"
