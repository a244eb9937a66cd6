"""When a person's turn begins, pauses and ends: a state machine over speech probabilities. No audio, no clock.

Each call of ``feed`` brings the speech probability of the next window (Silero at 8 kHz: 256 samples). Two thresholds
with hysteresis decide speech or silence a window; a turn begins after ``min_speech`` of speech and ends after the
turn's patience of silence. A pause is told almost at once, so that recognition can start on it; what recognition
finds may then change the patience of that one pause (``allow``). All times are seconds since the first window.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """A turn began at ``at``, told once ``min_speech`` of it was heard."""

    at: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Speech that began at ``start`` fell silent at ``at``: time to recognise on speculation.

    If the turn then ends without more speech, ``TurnEnded.end`` equals ``at``.
    """

    start: float
    at: float


@dataclass(frozen=True, slots=True)
class SpeechResumed:
    """The person went on at ``at``, after a ``Pause``."""

    at: float


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """A turn from ``start`` to ``end`` (its last speech) is over. ``forced``: it was cut for being too long."""

    start: float
    end: float
    forced: bool = False


Event = SpeechStarted | Pause | SpeechResumed | TurnEnded


@dataclass(frozen=True, slots=True)
class EndpointerConfig:
    """Thresholds as probabilities, times in seconds.

    ``on``: speech begins at or above; ``off``: and lasts until below. ``min_speech``: shorter is a click.
    ``gap``: silence that does not interrupt a beginning. ``pause``: silence that is told as ``Pause``.
    ``max_turn``: a turn is cut at this length, at its quietest recent window.
    """

    window: int = 256
    on: float = 0.5
    off: float = 0.35
    min_speech: float = 0.12
    gap: float = 0.1
    pause: float = 0.064
    max_turn: float = 20.0
    look_back: float = 3.0

    def __post_init__(self) -> None:
        if not 0 < self.off <= self.on < 1:
            raise ValueError(f"thresholds must be 0 < off <= on < 1, not off {self.off}, on {self.on}")
        if self.window <= 0 or min(self.min_speech, self.gap, self.pause) <= 0:
            raise ValueError("window and times must be positive")
        if self.max_turn <= self.look_back:
            raise ValueError("max_turn must be longer than look_back")


class Endpointer:
    """Feed it probabilities; it returns what happened. Deterministic; one object a call."""

    def __init__(self, rate: int = 8000, config: EndpointerConfig | None = None, *, patience: float = 0.8) -> None:
        self.config = config or EndpointerConfig()
        if rate <= 0:
            raise ValueError(f"sample rate must be positive, not {rate}")
        self._step = self.config.window / rate
        self._fed = 0
        self._is_voice = False
        self._turn: float | None = None  # when the turn began
        self._onset: float | None = None  # when what may become a turn began
        self._voiced = 0.0  # speech in the onset so far
        self._last_voice = 0.0  # end of the last window of speech
        self._paused = False
        self._allowed: float | None = None  # the present pause's own patience
        self._recent: list[tuple[float, float]] = []  # (probability, end) of a turn's last windows
        self.set_patience(patience)

    @property
    def speaking(self) -> bool:
        """True while the person speaks: a turn is open and has not paused."""
        return self._turn is not None and not self._paused

    @property
    def in_turn(self) -> bool:
        """True from ``SpeechStarted`` to ``TurnEnded``."""
        return self._turn is not None

    def set_patience(self, seconds: float) -> None:
        """How much silence ends a turn, from now on; also for a turn already open. Never below ``pause``."""
        self._patience = self._checked(seconds)

    def allow(self, seconds: float) -> list[Event]:
        """How much silence the present pause needs to be the end; forgotten when the person goes on.

        Ends the turn now if it has been silent for that long. Without effect outside a pause.
        """
        seconds = self._checked(seconds)
        if self._turn is None or not self._paused:
            return []
        self._allowed = seconds
        return self._end_if_due()

    def _checked(self, seconds: float) -> float:
        if seconds <= 0:
            raise ValueError(f"patience must be positive, not {seconds}")
        return max(seconds, self.config.pause)

    def feed(self, probability: float) -> list[Event]:
        """Take the next window's speech probability (not a number counts as silence)."""
        begin, end = self._fed * self._step, (self._fed + 1) * self._step
        self._fed += 1
        self._is_voice = probability >= (self.config.off if self._is_voice else self.config.on)
        if self._turn is None:
            return self._wait(begin, end)
        return self._follow(probability, begin, end)

    def flush(self) -> list[Event]:
        """The line closed: end a turn that is still open."""
        if self._turn is None:
            return []
        return [self._end(self._last_voice)]

    def _wait(self, begin: float, end: float) -> list[Event]:
        if self._is_voice:
            if self._onset is None:
                self._onset, self._voiced = begin, 0.0
            self._voiced += self._step
            self._last_voice = end
            if self._voiced >= self.config.min_speech - 1e-9:
                self._turn, self._paused, self._recent = self._onset, False, []
                return [SpeechStarted(self._turn)]
        elif self._onset is not None and end - self._last_voice > self.config.gap:
            self._onset = None
        return []

    def _follow(self, probability: float, begin: float, end: float) -> list[Event]:
        assert self._turn is not None
        self._recent.append((probability, end))
        if len(self._recent) * self._step > self.config.look_back:
            self._recent.pop(0)
        if self._is_voice:
            self._last_voice = end
            resumed: list[Event] = [SpeechResumed(begin)] if self._paused else []
            self._paused, self._allowed = False, None
            if end - self._turn >= self.config.max_turn:
                return [*resumed, *self._cut()]
            return resumed
        silence = end - self._last_voice
        events: list[Event] = []
        if not self._paused and silence >= self.config.pause - 1e-9:
            self._paused = True
            events.append(Pause(self._turn, self._last_voice))
        return [*events, *self._end_if_due()]

    def _end_if_due(self) -> list[Event]:
        silence = self._fed * self._step - self._last_voice
        patience = self._patience if self._allowed is None else self._allowed
        return [self._end(self._last_voice)] if silence >= patience - 1e-9 else []

    def _cut(self) -> list[Event]:
        """End a turn that will not end, where it was least like speech, and go on with the rest as a new one."""
        at = min(self._recent)[1]
        ended = self._end(at, forced=True)
        self._turn, self._recent = at, []
        return [ended, SpeechStarted(at)]

    def _end(self, at: float, forced: bool = False) -> TurnEnded:
        assert self._turn is not None
        ended = TurnEnded(self._turn, at, forced)
        self._turn = self._onset = self._allowed = None
        self._paused = False
        return ended
