"""What the contact rules rely on: who would be dialled, and what happened before. Plain values, no storage."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, time
from typing import Final, Literal

ContactKind = Literal[
    "attempt",  # one dial, answered or not
    "conversation",  # the borrower answered that dial and spoke: written beside its attempt
    "voicemail",  # a message was left: written beside its attempt
    "text",
    "email",
    "letter",
    "third_party",  # somebody else was spoken to about reaching the borrower
    "third_party_refused",  # that person refused to pass anything on, or to be called again
]
Channel = Literal["voice", "text", "email", "letter", "visit"]
Callee = Literal["borrower", "third_party"]

# Consents that a pack may ask for or except: anything else in ``ContactPerson.consents`` has no effect.
CALL_OUTSIDE_HOURS: Final = "call_outside_hours"  # agreed to be called outside the statutory hours
ROBOT_CALL: Final = "robot_call"  # agreed to calls with an artificial voice
REQUESTED_CALL: Final = "requested_call"  # asked for this very call (a booked callback)
CONSENTS: Final = frozenset({CALL_OUTSIDE_HOURS, ROBOT_CALL, REQUESTED_CALL})


@dataclass(frozen=True, slots=True)
class ContactPerson:
    """The borrower of one debt, as the ledger knows them at the moment of dialling.

    ``time_zones`` are all IANA zones where the person may be (address, number, last word): every one must allow the
    call, none known is a refusal. ``country`` is ISO 3166-1 alpha-2, or 3166-2 such as ``US-CA``, for holidays.
    ``number_key`` names the number that would be dialled (an opaque key, never the number), ``callee`` who is expected
    to answer it, ``third_party_id`` which other person. ``only_between`` is the time of day that the borrower asked
    for, local, and may cross midnight; ``not_before`` (aware) a moment that they asked to be left alone until.
    ``risk`` is the lender's own tier (``low``, ``medium``, ``high``) where a pack limits a tier. A ``robot`` call
    speaks with an artificial voice.
    """

    person_id: str
    debt_id: str
    time_zones: tuple[str, ...]
    country: str = ""
    consents: frozenset[str] = frozenset()
    do_not_contact: bool = False
    cease_requested: bool = False
    attorney: bool = False
    deceased: bool = False
    bankrupt: bool = False
    disputed: bool = False
    number_key: str = ""
    callee: Callee = "borrower"
    third_party_id: str = ""
    unreachable: bool = False
    risk: str = ""
    only_between: tuple[time, time] | None = None
    not_before: datetime | None = None
    robot: bool = True


@dataclass(frozen=True, slots=True)
class ContactRecord:
    """One thing that happened with this person before, on any of their debts.

    ``at`` is aware. Every dial is one ``attempt``; what it led to is a record of its own beside it. ``effective``
    says of a conversation that it counts as an effective interactive call; leave it true where that is not known.
    ``answered`` says of an attempt that somebody picked up. A record without ``number_key`` or ``debt_id`` counts
    towards every number and every debt.
    """

    at: datetime
    kind: ContactKind
    debt_id: str = ""
    channel: Channel = "voice"
    effective: bool = True
    answered: bool = False
    number_key: str = ""
    third_party_id: str = ""
