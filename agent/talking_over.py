"""Whether somebody who speaks while the agent does means to interrupt. Pure: stream seconds and texts in.

A "嗯" or "uh-huh" keeps the agent talking (Yngve 1970 named these back-channels); an interruption stops it. Words
tell the two apart as soon as there are any; speech that goes on longer than any back-channel tells without words.
"""

from __future__ import annotations

from dataclasses import dataclass

from agent.turn_evidence import talks_over
from asr.transcriber import Transcription

FIRST_WORDS = 0.3
"""Seconds of speech from which there is a word to be recognised."""
AGAIN = 0.2
"""Seconds of further speech after which the words are asked for again."""
MEANT = 1.0
"""Seconds of unbroken speech that is meant, whatever it says: back-channels last about half a second, rarely one."""
MEANT_ALL_THE_SAME = 2.0
"""The same for speech whose words so far are back-channels: some people say them in a row."""
LEAST_CONFIDENCE = 0.5
"""Below this the words of an unfinished sound are not trusted: half a second of noise has words too."""


@dataclass(slots=True)
class TalkOver:
    """One a call. ``began``/``ended`` follow the person's speech, ``new_line`` the agent's."""

    _since: float | None = None
    _asked: float | None = None
    _told: bool = False
    _agreeing: bool = False  # the latest words were back-channels

    def began(self, at: float) -> None:
        """The person began to speak, or went on after a pause."""
        self._since, self._asked, self._agreeing = at, None, False

    def ended(self) -> None:
        """The person's turn is over."""
        self._since, self._asked, self._told, self._agreeing = None, None, False, False

    def new_line(self) -> None:
        """The agent began another line, which may be interrupted anew."""
        self._told = False

    def told(self) -> None:
        """The agent was told: once a line is enough."""
        self._told = True

    def meant_at(self, now: float) -> bool:
        """Whether speech up to ``now`` is an interruption by its length alone."""
        long = MEANT_ALL_THE_SAME if self._agreeing else MEANT
        return not self._told and self._since is not None and now - self._since >= long

    def wants_words(self, now: float) -> bool:
        """Whether the words up to ``now`` should be asked for."""
        if self._told or self._since is None:
            return False
        return now - self._since >= FIRST_WORDS if self._asked is None else now - self._asked >= AGAIN

    def asked(self, now: float) -> None:
        """The words up to ``now`` were asked for."""
        self._asked = now

    def meant_by(self, text: Transcription) -> bool:
        """Whether these words are an interruption."""
        if text.confidence < LEAST_CONFIDENCE:
            return False
        meant = talks_over(text.text, text.lang)
        self._agreeing = bool(text.text) and not meant
        return meant and not self._told
