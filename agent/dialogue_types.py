"""The dialogue machine's events, actions and state: frozen values, no behaviour beyond (de)serialising.

Contract for whoever carries out the actions, in the order given:

* ``Say`` lines go to the gate one by one; report each with ``LineSpoken`` or ``LineRefused``. After a refusal the
  rest of that step's actions is dropped: what the machine answers to ``LineRefused`` takes their place.
* ``EndCall`` and ``Transfer`` wait until the line named in ``after`` was spoken in full (its mark echoed).
* A later ``EndCall`` or a later ``Listen`` replaces an ``EndCall`` that still waits.
* ``Listen`` starts after the last line: no speech within ``silence_timeout`` seconds is a ``Silence``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from agent.case import CaseFile
from agent.events import CallFacts, Disposition, Expects, Lang, Party, Proposed, Understood, Verdict

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody spoke for ``seconds`` after the agent's last line."""

    seconds: float


@dataclass(frozen=True, slots=True)
class LineSpoken:
    """A line left the line: ``complete`` is false if it was cut short."""

    line_id: str
    complete: bool


@dataclass(frozen=True, slots=True)
class LineRefused:
    """The gate refused a line, or it could not be rendered (``verdict`` is then ``None``)."""

    line_id: str
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class HungUp:
    """The far end is gone."""


@dataclass(frozen=True, slots=True)
class Dtmf:
    """One key: ``0``–``9``, ``*`` or ``#``."""

    digit: str


@dataclass(frozen=True, slots=True)
class MachineDetected:
    """An answering machine, by tone or by its greeting."""


@dataclass(frozen=True, slots=True)
class NotHeard:
    """Somebody spoke, but the transcript is not worth acting on."""


Event = Understood | Silence | LineSpoken | LineRefused | HungUp | Dtmf | MachineDetected | NotHeard


@dataclass(frozen=True, slots=True)
class Say:
    proposed: Proposed


@dataclass(frozen=True, slots=True)
class Listen:
    expects: Expects | None
    silence_timeout: float


@dataclass(frozen=True, slots=True)
class Transfer:
    """Hand the call to a human. ``urgent``: at once, ahead of any queue."""

    reason: str
    urgent: bool
    after: str | None = None


@dataclass(frozen=True, slots=True)
class EndCall:
    disposition: Disposition
    after: str | None = None


@dataclass(frozen=True, slots=True)
class SetParty:
    party: Party


@dataclass(frozen=True, slots=True)
class RecordPromise:
    date: date
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Restrict:
    """Stop or limit further contact, for ``reason``."""

    reason: str


@dataclass(frozen=True, slots=True)
class Flag:
    reason: str
    severity: Severity


@dataclass(frozen=True, slots=True)
class Note:
    key: str
    value: str


Action = Say | Listen | Transfer | EndCall | SetParty | RecordPromise | Restrict | Flag | Note


@dataclass(frozen=True, slots=True)
class State:
    """Where the call is. ``node`` is a state of the script; ``closing`` once the call is being ended."""

    node: str
    lang: Lang = "zh"
    policy: str | None = None
    party: Party = "unverified"
    closing: bool = False
    over: bool = False
    turns: int = 0
    counts: tuple[tuple[str, int], ...] = ()
    purposes_done: frozenset[str] = frozenset()
    queued: frozenset[str] = frozenset()
    owed: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    softer: bool = False
    slower: bool = False
    promise_date: str | None = None
    promise_amount: str | None = None
    date_options: tuple[str, ...] = ()
    amount_options: tuple[str, ...] = ()
    promised: bool = False
    plans_offered: int = 0
    plan: str | None = None
    callback_date: str | None = None
    callback_time: str | None = None
    digits: str = ""
    relayed: bool = False
    outcome: Disposition | None = None
    disposition: Disposition | None = None

    def count(self, signal: str) -> int:
        return dict(self.counts).get(signal, 0)

    def values(self, case: CaseFile) -> dict[str, Any]:
        """Every slot that can be filled now, in canonical form: the case's facts and what the call has settled."""
        said = {
            "promise_date": self.promise_date,
            "promise_amount": self.promise_amount,
            "callback_date": self.callback_date,
            "callback_time": self.callback_time,
            "plan_name": self.plan,
        }
        for name, options in (("date_option", self.date_options), ("amount_option", self.amount_options)):
            said |= {f"{name}_{index}": value for index, value in enumerate(options, 1)}
        return case.facts() | {name: value for name, value in said.items() if value is not None}

    def facts(self, case: CaseFile) -> CallFacts:
        """What the gate may rely on from here on, for any line of the last step.

        A disclosure that cannot be interrupted and is on its way counts as made for the lines behind it.
        """
        return CallFacts(
            lang=self.lang,
            party=self.party,
            policy=self.policy,
            case=self.values(case),
            purposes_done=self.purposes_done | self.queued,
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready; ``from_dict`` gives an equal state back."""
        plain: dict[str, Any] = {}
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, frozenset):
                value = sorted(value)
            elif item.name == "counts":
                value = dict(value)
            elif isinstance(value, tuple):
                value = list(value)
            plain[item.name] = value
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> State:
        """Raises ``ValueError`` naming the first key that is not a field of a state."""
        known = {item.name for item in fields(cls)}
        for key in plain:
            if key not in known:
                raise ValueError(f"dialogue state: unknown field {key!r}")
        if "node" not in plain:
            raise ValueError("dialogue state: field 'node' is missing")
        values: dict[str, Any] = dict(plain)
        if "counts" in values:
            values["counts"] = tuple(sorted((str(k), int(v)) for k, v in dict(values["counts"]).items()))
        for key in ("purposes_done", "queued"):
            if key in values:
                values[key] = frozenset(values[key])
        for key in ("owed", "last", "date_options", "amount_options"):
            if key in values:
                values[key] = tuple(values[key])
        return cls(**values)
