"""What a recogniser is to the rest of the program, whichever Whisper stands behind it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from audio.g711 import Floats

Lang = Literal["zh", "en"]


class ModelError(RuntimeError):
    """A model cannot be loaded: missing, incomplete, corrupt or out of reach. The message is one line with a hint."""


@dataclass(frozen=True, slots=True)
class TimedWord:
    """A word (a character in Mandarin) with its times in seconds from the first sample, and probability in [0, 1]."""

    text: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True, slots=True)
class Transcription:
    """What was heard in one piece of audio.

    ``text`` has no punctuation from the embedded model and is empty where nobody speaks. ``confidence`` in [0, 1]
    is the geometric mean of the tokens' probabilities; ``no_speech`` the probability that nobody speaks.
    """

    text: str
    lang: Lang
    words: tuple[TimedWord, ...]
    confidence: float
    no_speech: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """One piece of audio to hear: the arguments of ``Transcriber.transcribe``."""

    samples: Floats
    rate: int
    lang: Lang | None = None
    hotwords: str | None = None


class Transcriber(Protocol):
    """Speech to text. One object serves every call of a process, from several threads at once."""

    def transcribe(
        self, samples: Floats, rate: int, lang: Lang | None = None, *, hotwords: str | None = None
    ) -> Transcription:
        """Hear ``samples``, float32 mono in [-1, 1] at ``rate`` Hz.

        ``lang`` None detects the language, which costs time. ``hotwords`` are phrases to expect, for models that
        take prompts. Raises ``ValueError`` for audio that is not one-dimensional, or a rate that is not positive.
        """
        ...


class BatchTranscriber(Transcriber, Protocol):
    """A transcriber that decodes several utterances in one batch, each as if it were alone."""

    def transcribe_all(self, utterances: Sequence[Utterance], *, batch_size: int = 16) -> list[Transcription]:
        """What ``transcribe`` gives for each, in their order. Raises as it does."""
        ...

    def shape(self, utterance: Utterance) -> Hashable:
        """Utterances of equal shape cost least when they are decoded together."""
        ...
