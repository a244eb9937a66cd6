"""A hosted carrier as a campaign's provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent.campaigning import CampaignCalls
from agent.errors import LineError
from agent.telephony.carrier import DialFailed, DialRequest, DialStatus, Failure, HostedCarrier
from campaigns.errors import PlaceRefused, PlaceUncertain
from campaigns.provider import CallStatus, CannotTell, DialOrder, Found, Lookup
from campaigns.settling import Applied, Settling

OUTCOMES: Final[Mapping[Failure, str]] = {
    "busy": "busy",
    "no_answer": "no_answer",
    "rejected": "rejected",
    "invalid_number": "invalid_number",
    "unreachable": "trunk_error",
    "carrier_error": "trunk_error",
    "cancelled": "canceled",
}
_STATUS: Final[Mapping[str, CallStatus]] = {
    "queued": "placed", "dialing": "placed", "ringing": "ringing", "answered": "answered", "ended": "ended",
}  # fmt: skip


class HostedProvider:
    """Wraps a carrier that opens the media socket to us (Twilio, Telnyx, Plivo)."""

    def __init__(self, carrier: HostedCarrier, calls: CampaignCalls) -> None:
        self._carrier, self._calls = carrier, calls

    @property
    def name(self) -> str:
        return self._carrier.name

    async def place(self, order: DialOrder) -> str:
        """See ``Provider.place``."""
        call = self._calls.call(order.attempt_id)
        if call is None:
            raise PlaceRefused("not_prepared")
        path = self._calls.desk.expect(call, ttl=min(3600.0, order.ring_seconds + 60))
        request = DialRequest(
            attempt_id=order.attempt_id, to=order.number, caller_id=order.caller_id, ring_timeout=order.ring_seconds,
            media_path=path,
        )  # fmt: skip
        try:
            return await self._carrier.place(request)
        except DialFailed as e:
            raise PlaceRefused(OUTCOMES[e.reason]) from e
        except LineError as e:
            raise PlaceUncertain(type(e).__name__) from e

    async def lookup(self, order: DialOrder) -> Lookup:
        """A hosted carrier is asked by its own id; without one it cannot tell."""
        if order.provider_call_id is None:
            return CannotTell("no id of the carrier's")
        try:
            status = await self._carrier.status(order.provider_call_id)
        except LineError as e:
            return CannotTell(type(e).__name__)
        if status.state == "unknown":
            return CannotTell("the carrier does not know")
        return Found(order.provider_call_id, _STATUS[status.state], outcome_of(status))

    async def hang_up(self, order: DialOrder) -> None:
        if order.provider_call_id is not None:
            await self._carrier.hang_up(order.provider_call_id)


def outcome_of(status: DialStatus) -> str | None:
    return OUTCOMES[status.failure] if status.failure is not None else None


def on_status(settling: Settling, carrier: str, provider_call_id: str, status: DialStatus) -> Applied:
    """For a carrier's status webhook, after its signature was checked. Duplicates and any order are fine."""
    if status.state == "unknown":
        return "ignored"
    return settling.progress(
        _STATUS[status.state], provider=carrier, provider_call_id=provider_call_id, outcome=outcome_of(status)
    )
