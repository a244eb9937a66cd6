"""A carrier places calls; a ``Line`` is the sound of one that was answered.

An adapter's ``dial`` returns when the person (or a machine) has answered and the media path stands, or raises
``DialFailed`` saying why nobody did. What it does not know, it says: after ``DialUnknown`` the phone may have rung,
so nobody may dial again by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from agent.errors import LineError
from agent.telephony.line import Line
from agent.telephony.whisper import Whisper

Failure = Literal["busy", "no_answer", "rejected", "invalid_number", "unreachable", "carrier_error", "cancelled"]
"""Why a dial was not answered. ``unreachable`` and ``carrier_error`` are faults of the way, not answers of a person."""
DialState = Literal["queued", "dialing", "ringing", "answered", "ended", "unknown"]
AnsweredBy = Literal["person", "machine", "fax", "unknown"]

_NUMBER = re.compile(r"\+?[0-9]{2,15}\Z")
_EXTENSION = re.compile(r"[A-Za-z0-9_.+-]{1,64}\Z")


class DialFailed(LineError):  # noqa: N818 - what happened to the dial
    """Nobody answered. ``reason`` says why; ``cause`` is the carrier's own code or word."""

    def __init__(self, reason: Failure, cause: str = "") -> None:
        super().__init__(f"the call was not answered: {reason.replace('_', ' ')}" + (f" ({cause})" if cause else ""))
        self.reason = reason
        self.cause = cause


class DialUnknown(LineError):  # noqa: N818 - what happened to the dial
    """The carrier did not say whether it placed the call: it may have rung, and must not be dialled again."""


@dataclass(frozen=True, slots=True)
class DialRequest:
    """One call to place. ``attempt_id`` is a UUID of ours that the carrier repeats, or that names its resources.

    ``to`` is an E.164 number, or an extension of the PBX. ``caller_id`` must be a number the carrier lets us show.
    ``ring_timeout`` in seconds. ``media_path`` is the path of the call's media socket for carriers that connect to
    us (from ``CallDesk.expect``).
    """

    attempt_id: str
    to: str
    caller_id: str | None = None
    ring_timeout: float = 40.0
    media_path: str = ""

    def __post_init__(self) -> None:
        if not (_NUMBER.match(self.to) or _EXTENSION.match(self.to)):
            raise ValueError("the number to dial is neither E.164 nor an extension")
        if self.caller_id is not None and not _NUMBER.match(self.caller_id):
            raise ValueError("the caller ID is not a telephone number")
        if not _EXTENSION.match(self.attempt_id):
            raise ValueError("the attempt id has characters that a carrier would not take")
        if not 5 <= self.ring_timeout <= 120:
            raise ValueError("a phone rings for 5 to 120 s")


@dataclass(frozen=True, slots=True)
class DialStatus:
    """What the carrier knows of a call. ``failure`` is set when it ended unanswered."""

    state: DialState
    failure: Failure | None = None
    answered_by: AnsweredBy = "unknown"
    cause: str = ""


Progress = Callable[[DialStatus], None]
"""Told as the dial goes on: ringing, answered, ended. Never waits."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A call that was answered: its line, the carrier's id of it, and who the carrier thinks is there."""

    line: Line
    provider_id: str
    answered_by: AnsweredBy = "unknown"


class Carrier(Protocol):
    """Places calls whose media this process speaks to itself (a PBX)."""

    @property
    def name(self) -> str: ...

    async def dial(self, request: DialRequest, progress: Progress | None = None) -> Answered:
        """Place one call and wait until it is answered. Raises ``DialFailed`` or ``DialUnknown``."""

    async def status(self, attempt_id: str) -> DialStatus:
        """What became of an attempt, by our id; ``unknown`` where the carrier cannot tell."""

    async def hang_up(self, attempt_id: str) -> None:
        """End an attempt in whatever state it is. Safe for one that is gone."""

    async def transfer(
        self, attempt_id: str, to: str, *, ring_timeout: float = 30.0, whisper: Whisper | None = None
    ) -> None:
        """Connect the person to ``to`` and let go of the call. Raises ``DialFailed``; the person then stays ours.

        Whoever answers at ``to`` hears ``whisper`` before they are joined; the person does not.
        """


class HostedCarrier(Protocol):
    """Places calls whose media socket the provider opens to us (Twilio, Telnyx, Plivo)."""

    @property
    def name(self) -> str: ...

    @property
    def whisper_key(self) -> str:
        """The key that a human presses after the whisper to take the person; empty where none is needed."""

    async def place(self, request: DialRequest) -> str:
        """Ask for one call. Returns the provider's id. Raises ``DialFailed`` (surely not placed) or ``DialUnknown``."""

    async def status(self, provider_id: str) -> DialStatus: ...

    async def hang_up(self, provider_id: str) -> None: ...

    async def transfer(self, provider_id: str, to: str, whisper: str | None = None) -> None:
        """Take the call away from the media socket and connect it to ``to``.

        ``whisper`` is the token of what the human at ``to`` hears first (``WhisperShelf``).
        """


# ITU-T Q.850 causes as Asterisk reports them for the final SIP codes in brackets.
_CAUSES: dict[int, Failure] = {
    1: "invalid_number",  # 404 unallocated
    3: "unreachable",
    16: "cancelled",  # normal clearing before answer
    17: "busy",  # 486
    20: "unreachable",  # 480 subscriber absent
    21: "rejected",  # 603, 403
    22: "invalid_number",
    27: "unreachable",
    28: "invalid_number",  # 484 address incomplete
    31: "cancelled",
    34: "carrier_error",  # 503 no circuit
    38: "carrier_error",
    41: "carrier_error",
    42: "carrier_error",
    44: "carrier_error",
    58: "carrier_error",
    88: "carrier_error",
    127: "rejected",  # 607, 608
}


def failure_of(cause: int, *, rang: bool) -> Failure:
    """The failure behind a Q.850 ``cause``.

    A ring that ran out and a trunk that cannot be reached both end in 19 (SIP 480) or 18 (408): only having rung
    tells them apart.
    """
    if cause in (18, 19):  # 18: no final answer of any kind in time (SIP 408)
        return "no_answer" if rang else "unreachable"
    if cause in (16, 31) and rang:
        return "no_answer"
    return _CAUSES.get(cause, "carrier_error")
