"""The contact rules of a policy pack: when, how often and with whose leave a person may be called. Data, judged by
:mod:`compliance_checks.contact.rules`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Annotated, Final, Literal, get_args

from pydantic import Field, StrictBool, StrictInt, model_validator

from compliance_checks.fields import Cited, Clock, Consent, Day, Model, Moment, Zone

Stop = Literal["do_not_contact", "cease_requested", "attorney", "deceased", "bankrupt", "disputed"]
STOPS: Final[tuple[Stop, ...]] = get_args(Stop)
Counted = Literal["attempts", "unanswered_attempts", "conversations", "effective_conversations", "contacts", "texts"]
Per = Literal["person", "debt", "number"]
Calendar = Literal["day", "week", "month"]
After = Literal["attempt", "conversation", "contact"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: Final[tuple[str, ...]] = get_args(Weekday)
_DAY = 24 * 60


class Happened(Model):
    """``times`` records of one kind, the first ``at`` (local time of the example's zone), each a minute later."""

    at: Moment
    kind: Literal[
        "attempt", "conversation", "voicemail", "text", "email", "letter", "third_party", "third_party_refused"
    ]
    times: Annotated[StrictInt, Field(ge=1, le=100)] = 1
    debt: str = "debt"
    effective: StrictBool = True
    answered: StrictBool = False
    number: str = ""
    third_party: str = ""


class Dialled(Model):
    """An example dial ``at`` (``YYYY-MM-DD HH:MM``, local time of the first of ``zones``)."""

    at: Moment
    zones: tuple[Zone, ...] = Field(min_length=1)
    country: str = ""
    consents: frozenset[Consent] = frozenset()
    flags: frozenset[Stop] = frozenset()
    history: tuple[Happened, ...] = ()
    callee: Literal["borrower", "third_party"] = "borrower"
    third_party: str = ""
    unreachable: StrictBool = False
    risk: str = ""
    robot: StrictBool = True


class ContactRule(Cited):
    refuse: tuple[Dialled, ...] = ()
    allow: tuple[Dialled, ...] = ()


class Window(Model):
    """A stretch of the day from ``start`` up to, but not including, ``end``; it may cross midnight."""

    start: Clock
    end: Clock

    @model_validator(mode="after")
    def _some_time(self) -> Window:
        if self.start == self.end or self.start == _DAY or self.end == 0:
            raise ValueError(f"holds no time of day: {self}")
        return self

    def holds(self, minute: int) -> bool:
        """Whether the minute of the day (0..1439) lies inside."""
        if self.start < self.end:
            return self.start <= minute < self.end
        return minute >= self.start or minute < self.end

    def __str__(self) -> str:
        return "–".join(f"{edge // 60:02}:{edge % 60:02}" for edge in (self.start, self.end))


class Hours(ContactRule):
    """When a call may start, in the borrower's local time: inside ``allowed``, outside every ``quiet`` window, on one
    of ``days``, on a workday or off public holidays where it says so. ``unless_consent`` lifts the times of day of
    this rule, and of this rule only."""

    allowed: Window | None = None
    quiet: tuple[Window, ...] = ()
    days: tuple[Weekday, ...] | None = Field(default=None, min_length=1)
    workdays_only: StrictBool = False
    no_holidays: StrictBool = False
    unless_consent: Consent | None = None

    @model_validator(mode="after")
    def _a_window(self) -> Hours:
        if self.allowed is None and not self.quiet:
            raise ValueError("need allowed or quiet times")
        if not any(map(self.holds, range(_DAY))):
            raise ValueError("leave no time of day")
        return self

    def holds(self, minute: int) -> bool:
        """Whether the minute of the day (0..1439) is one in which a call may start."""
        inside = self.allowed is None or self.allowed.holds(minute)
        return inside and not any(window.holds(minute) for window in self.quiet)

    @property
    def edges(self) -> frozenset[int]:
        """Minutes of the day at which the answer may change."""
        windows = [*([self.allowed] if self.allowed else []), *self.quiet]
        return frozenset(edge % _DAY for window in windows for edge in (window.start, window.end))

    def __str__(self) -> str:
        parts = [str(self.allowed)] if self.allowed else []
        return ", ".join(parts + [f"not {window}" for window in self.quiet])


class Limit(ContactRule):
    """At most ``max`` of what is counted, in the last ``days`` and ``hours`` or in the calendar period ``each``."""

    count: Counted
    max: Annotated[StrictInt, Field(ge=0)]
    per: Per = "person"
    days: Annotated[StrictInt, Field(ge=1, le=400)] | None = None
    hours: Annotated[StrictInt, Field(ge=1, le=400)] | None = None
    each: Calendar | None = None
    risk: Literal["low", "medium", "high"] | None = None
    unless_consent: Consent | None = None

    @model_validator(mode="after")
    def _one_period(self) -> Limit:
        if (self.each is None) == (self.days is None and self.hours is None):
            raise ValueError("needs either each (day, week, month) or days/hours")
        return self

    @property
    def span(self) -> timedelta | None:
        """The rolling window; ``None`` for a calendar period."""
        return None if self.each else timedelta(days=self.days or 0, hours=self.hours or 0)

    @property
    def length(self) -> timedelta:
        """How long the period is; of a month, at most."""
        return self.span or timedelta(days={"day": 1, "week": 7, "month": 31}[self.each or "day"])

    @property
    def key(self) -> str:
        """What two limits must share for one to be stricter than the other."""
        return f"{self.count} per {self.per} {self.period}" + (f" ({self.risk} risk)" if self.risk else "")

    @property
    def period(self) -> str:
        if self.each:
            return f"each {self.each}"
        parts = [f"{n} {unit}" for n, unit in ((self.days, "days"), (self.hours, "hours")) if n]
        return "in " + " ".join(parts)


class Pause(ContactRule):
    """No call for so long after what happened."""

    after: After
    per: Per = "person"
    days: Annotated[StrictInt, Field(ge=0, le=400)] = 0
    hours: Annotated[StrictInt, Field(ge=0, le=400)] = 0
    minutes: Annotated[StrictInt, Field(ge=0, le=6000)] = 0
    unless_consent: Consent | None = None

    @model_validator(mode="after")
    def _some_time(self) -> Pause:
        if not self.span:
            raise ValueError("needs days, hours or minutes")
        return self

    @property
    def span(self) -> timedelta:
        return timedelta(days=self.days, hours=self.hours, minutes=self.minutes)

    @property
    def key(self) -> str:
        return f"after {self.after} per {self.per}"


class ThirdParties(ContactRule):
    """Whether somebody else may be called to reach the borrower. ``max`` counts contacts with one of them."""

    max: Annotated[StrictInt, Field(ge=0)] | None = None
    only_if_unreachable: StrictBool = False
    refusal_ends: StrictBool = True


class NeededConsent(ContactRule):
    """Consents without which nobody is called. ``robot_call`` binds calls with an artificial voice only."""

    required: tuple[Consent, ...] = Field(min_length=1)


class Blackout(ContactRule):
    dates: tuple[Day, ...] = Field(min_length=1)

    def holds(self, day: date) -> bool:
        return day.isoformat() in self.dates or day.isoformat()[5:] in self.dates


class Contact(Model):
    """When and how often a person may be called."""

    hours: Hours | None = None
    limits: tuple[Limit, ...] = ()
    pauses: tuple[Pause, ...] = ()
    third_parties: ThirdParties | None = None
    consent: NeededConsent | None = None
    blackout: Blackout | None = None
    requests: ContactRule | None = None
    stops: Mapping[Stop, ContactRule] = Field(default_factory=dict)

    def rules(self) -> Iterator[tuple[str, ContactRule]]:
        """Every rule with its place in the file."""
        for name in ("hours", "third_parties", "consent", "blackout", "requests"):
            rule: ContactRule | None = getattr(self, name)
            if rule is not None:
                yield f"contact.{name}", rule
        for number, limit in enumerate(self.limits):
            yield f"contact.limits.{number}", limit
        for number, pause in enumerate(self.pauses):
            yield f"contact.pauses.{number}", pause
        for stop, rule in self.stops.items():
            yield f"contact.stops.{stop}", rule
