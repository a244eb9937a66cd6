"""What follows from how an attempt ended: try again when, stop whom, ask a person.

Outcomes are the agent's dispositions and what the network says. The starting values for retries are those of the
project's design: busy after 15 minutes twice, no answer after three hours in another part of the day, voicemail the
next day, trunk errors count for nobody, a number that does not exist is stopped, a refused or blocked call is for a
person to look at, "stop calling" and "wrong person" take effect at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo

from agent.events import Disposition

NetworkOutcome = Literal[
    "busy",
    "no_answer",
    "trunk_error",  # the trunk or the provider, not the borrower: no attempt on a person
    "invalid_number",  # 404, 484, "unallocated"
    "rejected",  # 603, 607, 608: declined or blocked on purpose
    "canceled",  # we hung up before anybody answered
    "not_prepared",  # the call could not be made ready on our side: the provider was not asked
]
DISPOSITIONS: Final[tuple[str, ...]] = get_args(Disposition)
OUTCOMES: Final[tuple[str, ...]] = (*DISPOSITIONS, *get_args(NetworkOutcome))
DayPart = Literal["morning", "afternoon", "evening"]


@dataclass(frozen=True, slots=True)
class Effect:
    """What an outcome does to its contact.

    ``retry`` waits ``after`` (or until the next day), if ``other_part`` for another part of the day, and at most
    ``times`` in a row (0: no limit but the campaign's), after which it is treated as ``then``. ``hold`` waits for a
    person. ``stop`` ends all contact with the ``person`` or on the ``number``; ``debt`` is the debt's new state.
    ``on_borrower``: it counts as an attempt. ``conversation``: somebody answered and (as far as we know) spoke.
    """

    does: Literal["retry", "done", "hold"]
    after: timedelta = timedelta()
    next_day: bool = False
    other_part: bool = False
    times: int = 0
    then: str = "no_answer"
    stop: Literal["", "person", "number"] = ""
    debt: Literal["", "disputed"] = ""
    on_borrower: bool = True
    conversation: bool = False


_TOMORROW = Effect("retry", next_day=True, other_part=True)
EFFECTS: Final[Mapping[str, Effect]] = {
    "busy": Effect("retry", timedelta(minutes=15), times=2),
    "no_answer": Effect("retry", timedelta(hours=3), other_part=True),
    "canceled": Effect("retry", timedelta(hours=3)),
    "trunk_error": Effect("retry", timedelta(minutes=5), times=6, then="not_prepared", on_borrower=False),
    "not_prepared": Effect("hold", on_borrower=False),
    "invalid_number": Effect("retry", stop="number", on_borrower=False),
    "rejected": Effect("hold"),
    "voicemail": _TOMORROW,
    "no_response": _TOMORROW,
    # Whether they spoke before is not known; as a conversation it protects them more.
    "hung_up": replace(_TOMORROW, conversation=True),
    "failed": replace(_TOMORROW, conversation=True),
    "callback_booked": Effect("retry", next_day=True, conversation=True),
    "wrong_number": Effect("retry", next_day=True, stop="number"),
    "third_party_reached": Effect("retry", next_day=True, stop="number"),
    "promise_to_pay": Effect("done", conversation=True),
    "plan_requested": Effect("hold", conversation=True),
    "paid_claimed": Effect("hold", conversation=True),
    "refused": Effect("done", conversation=True),
    "human_handoff": Effect("hold", conversation=True),
    "disputed": Effect("done", debt="disputed", conversation=True),
    "stop_contact": Effect("done", stop="person", conversation=True),
    "crisis_handoff": Effect("hold", stop="person", conversation=True),
}


@dataclass(frozen=True, slots=True)
class Retry:
    """A campaign's own values for an outcome that is retried. ``None`` leaves the default."""

    after: timedelta | None = None
    times: int | None = None


def effect(outcome: str, overrides: Mapping[str, Retry] | None = None) -> Effect:
    """The effect of ``outcome``. Only outcomes that are retried can be overridden; an unknown one is held."""
    found = EFFECTS.get(outcome, Effect("hold"))
    own = (overrides or {}).get(outcome)
    if own is None or found.does != "retry":
        return found
    return replace(
        found,
        after=found.after if own.after is None else own.after,
        times=found.times if own.times is None else own.times,
    )


def day_part(moment: datetime) -> DayPart:
    """Of a local moment: before noon, before five, after."""
    return "morning" if moment.hour < 12 else "afternoon" if moment.hour < 17 else "evening"


_STARTS: Final[Mapping[DayPart, time]] = {"morning": time(9), "afternoon": time(13), "evening": time(17, 30)}


def retry_at(now: datetime, zone: ZoneInfo, what: Effect) -> datetime:
    """The earliest moment (in ``now``'s zone) for the next try; the contact rules may still move it.

    The next day at nine, or, with ``other_part``, the start of a part of the day that is not this attempt's.
    """
    local = now.astimezone(zone)
    if what.next_day:
        tomorrow = local.date() + timedelta(days=1)
        part: DayPart = "morning"
        if what.other_part and day_part(local) == "morning":
            part = "afternoon"
        return _at(tomorrow, _STARTS[part], zone).astimezone(now.tzinfo)
    earliest = now + what.after
    if not what.other_part:
        return earliest
    here = day_part(local)
    candidate = earliest.astimezone(zone)
    if candidate.date() != local.date() or day_part(candidate) != here:
        return earliest
    order: tuple[DayPart, ...] = ("morning", "afternoon", "evening")
    later = [part for part in order if order.index(part) > order.index(here)]
    start = (
        _at(local.date(), _STARTS[later[0]], zone)
        if later
        else _at(local.date() + timedelta(days=1), _STARTS["morning"], zone)
    )
    return max(start.astimezone(now.tzinfo), earliest)


def callback_at(day: date | None, clock: time | None, now: datetime, zone: ZoneInfo) -> datetime | None:
    """A booked callback as a moment: its day and time in the borrower's zone; 10:00 where no time was said.

    ``None`` where nothing was booked or the moment has passed.
    """
    if day is None and clock is None:
        return None
    local = now.astimezone(zone)
    moment = _at(day or local.date(), clock or time(10), zone)
    if day is None and moment <= local:
        moment = _at(local.date() + timedelta(days=1), clock or time(10), zone)
    return moment.astimezone(now.tzinfo) if moment > local else None


def _at(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, zone)
