"""What a carrier must be able to do, and what a text-message service must: the doors of this package.

A carrier's adapter needs nothing else of the campaigns. It hears of calls by ``place``, is asked about them by
``lookup``, and tells of them through ``campaigns.settling`` (from its webhooks) in any order and any number of times.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

CallStatus = Literal["placed", "ringing", "answered", "ended"]


@dataclass(frozen=True, slots=True)
class DialOrder:
    """One call to place, already committed as ``dialing``.

    ``attempt_id`` is a UUID: hand it to the provider as idempotency key or client reference where there is one.
    Numbers are E.164; ``ring_seconds`` is how long it may ring.
    """

    attempt_id: str
    contact_id: int
    debt_id: int
    person_id: int
    campaign: str
    n: int
    number: str
    caller_id: str
    lang: Literal["zh", "en"]
    ring_seconds: float
    dialing_at: datetime
    provider_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The provider has the call. ``outcome`` (of ``campaigns.outcomes``) once it has ended unanswered."""

    provider_call_id: str
    status: CallStatus
    outcome: str | None = None


@dataclass(frozen=True, slots=True)
class Absent:
    """The provider can prove that it never had this call, and that no request for it is on its way."""


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The provider cannot be reached, or has no way to search by our reference."""

    reason: str = ""


Lookup = Found | Absent | CannotTell


@runtime_checkable
class Provider(Protocol):
    """A carrier or PBX that places calls."""

    @property
    def name(self) -> str: ...

    async def place(self, order: DialOrder) -> str:
        """Dial; return the provider's own id of the call. Called once per attempt, never again.

        Raises ``PlaceRefused`` where no telephone rang for certain. Anything else that it raises, a time-out above
        all, leaves the attempt ``unknown``.
        """
        ...

    async def lookup(self, order: DialOrder) -> Lookup:
        """What became of the call? ``order.provider_call_id`` is ``None`` where ``place`` never answered. No raise."""
        ...

    async def hang_up(self, order: DialOrder) -> None:
        """End the call, ringing or answered. Must be harmless if it is over."""
        ...


@dataclass(frozen=True, slots=True)
class TextOrder:
    """One approved text to send, already committed as ``sending``."""

    message_id: str
    number: str
    sender: str
    text: str


@runtime_checkable
class Messenger(Protocol):
    """A service that sends text messages."""

    @property
    def name(self) -> str: ...

    async def send(self, order: TextOrder) -> str:
        """Send; return the service's own id. ``PlaceRefused`` if it was certainly not sent; else ``unknown``."""
        ...
