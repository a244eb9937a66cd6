"""How long a pause ends a turn: a rule over what the words and the voice say of it. Pure, no audio, no clock.

People leave about 0.2 s between turns (Stivers et al. 2009, PNAS 106:10587), and pause as long or longer inside
their own sentences (Heldner & Edlund 2010, J. Phonetics 38:555): no single silence tells the two apart, so the
silence that is waited for follows the evidence. All silences are measured from the endpointer's last speech, which
lags the sound itself by about 0.12 s at 8 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from audio.g711 import Floats

Evidence = Literal["complete", "brief", "open", "unfinished"]
"""What the words say of the turn: they answer what was asked (``complete``); they are a single word that answers,
but that people like to go on from (``brief``: "yes, this is she"); they may be all or not (``open``); they cannot be
all (``unfinished``: "and then I", "next", two of four digits)."""


class TurnModel(Protocol):
    """Hears in the voice whether somebody has finished. One object serves every call, from several threads."""

    def finished(self, samples: Floats, rate: int) -> float | None:
        """Probability in [0, 1] that the turn is over, from its sound so far, mono float32 in [-1, 1] at ``rate`` Hz.

        ``None`` if there is no answer now (too much to do): a late answer is worth nothing here.
        """
        ...


@dataclass(frozen=True, slots=True)
class TurnPolicy:
    """Seconds of silence that end a turn.

    ``finished`` is the probability of the turn model from which an open turn counts as finished by the voice;
    ``open_finished`` and ``open`` are the silences for it, and for the others. ``blind`` holds while there is no
    evidence at all, and when none comes.
    """

    complete: float = 0.2
    brief: float = 0.35
    open_finished: float = 0.32
    open: float = 0.45
    unfinished: float = 1.2
    blind: float = 0.8
    finished: float = 0.7

    def __post_init__(self) -> None:
        waits = (self.complete, self.open_finished, self.open, self.unfinished)
        if self.complete <= 0 or list(waits) != sorted(waits):
            raise ValueError(f"silences must be positive and rise from complete to unfinished, not {waits}")
        if self.blind <= 0:
            raise ValueError(f"silences must be positive, not {self.blind}")
        if not 0 < self.finished <= 1:
            raise ValueError(f"finished must be a probability, not {self.finished}")

    def patience(self, evidence: Evidence | None, finished: float | None = None) -> float:
        """Seconds of silence after which the turn is over, by the words' evidence and, if open, by the voice's."""
        if evidence is None:
            return self.blind
        if evidence == "open" and finished is not None and finished >= self.finished:
            return self.open_finished
        return {
            "complete": self.complete,
            "brief": self.brief,
            "open": self.open,
            "unfinished": self.unfinished,
        }[evidence]
