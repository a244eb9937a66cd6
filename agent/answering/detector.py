"""Decides who answered, from words, tones and timing. A state machine without clock, audio or threads.

A person must not be hung up on, so nothing but evidence makes a machine: its set phrases, its tones, or an opening
that goes on as no greeting does together with words that no person answers with. Length alone never does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from agent.answering.words import machine_in
from audio.tones import ToneKind

Answerer = Literal["person", "voicemail", "announcement", "screening", "fax"]

LONG_OPENING = 4.5
"""Seconds of unbroken speech that few people open a call with (a hello lasts about one)."""
PERSON_INTENTS = frozenset({"greeting", "ask_who", "confirm_identity", "deny_identity", "affirm", "repeat_request"})


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered, and why we think so. ``beeped``: the machine's tone was heard, it records now."""

    who: Answerer
    evidence: str
    detail: str = ""
    beeped: bool = False


class AnswerDetector:
    """Tell it what is heard; ``answer`` is set once it is clear. What is unclear stays ``None``: treat as a person."""

    def __init__(self) -> None:
        self.answer: Answer | None = None
        self._beeped = False
        self._speech = 0.0

    def tone(self, kind: ToneKind) -> Answer | None:
        """A tone was heard on the line."""
        if kind == "fax":
            self._settle(Answer("fax", "fax tone"))
        elif kind == "information":
            self._settle(Answer("announcement", "special information tone", "out_of_service"))
        elif kind == "busy":
            self._settle(Answer("announcement", "busy tone", "busy"))
        elif kind == "beep":
            self._beeped = True
            if self._speech >= LONG_OPENING / 2 and (self.answer is None or self.answer.who == "voicemail"):
                self._settle(Answer("voicemail", "speech, then a beep", beeped=True))
        return self.answer

    def speech(self, text: str, seconds: float, intent: str | None, confidence: float = 0.0) -> Answer | None:
        """An utterance of ``seconds`` was heard (``text`` empty where no words could be trusted)."""
        self._speech += seconds
        machine = machine_in(text)
        if machine is not None:
            self._settle(Answer(machine.kind, "set phrase", machine.detail, self._beeped))
        elif intent == "voicemail" and (confidence >= 0.6 or seconds > LONG_OPENING):
            self._settle(Answer("voicemail", "words", beeped=self._beeped))
        elif seconds > LONG_OPENING and self._beeped and intent not in PERSON_INTENTS:
            self._settle(Answer("voicemail", "long opening and a beep", beeped=True))
        elif text and seconds <= LONG_OPENING and self.answer is None:
            self._settle(Answer("person", f"short answer: {intent or 'words'}"))
        return self.answer

    def _settle(self, answer: Answer) -> None:
        """The first evidence holds, except that a machine is never un-made, and a beep is remembered."""
        before = self.answer
        if (
            before is None
            or before.who == "person"
            or (answer.who == before.who and answer.beeped and not before.beeped)
        ):
            self.answer = answer
