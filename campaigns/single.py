"""Calls that somebody places by hand: the same contact rules, and an entry in the same frequency ledger.

Whoever stands behind the number in any lender's import is known by it; of a number that nobody imported only its own
history is known.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.orm import Session

from archive.database import Database
from campaigns.ledger import utc_now
from campaigns.models import Attempt, Debt, Number, Person, PersonNumber, Record
from campaigns.outcomes import effect
from campaigns.rules import busy_now, number_key, records_of, stop_reasons
from campaigns.settling import CallResult, enter_records, restrict_person, stop_number, stop_person
from compliance_checks.contact import CONSENTS, ContactPerson, may_dial, next_allowed
from compliance_checks.policy import Policies

NOBODY = 0
"""Whose record it is where no import knows the number: it then counts for the number alone."""
_IN_A_CALL = {
    "zh": "本系统正与该人通话，或上一通尚未结算",
    "en": "another call of ours to them is going on, or is not settled yet",
}


class SingleDials:
    """Judges and enters calls placed by hand. Numbers are E.164 or a PBX's extensions."""

    def __init__(
        self, database: Database, policies: Policies | None = None, clock: Callable[[], datetime] = utc_now
    ) -> None:
        self.database, self.clock, self._policies = database, clock, policies

    def dial(self, attempt_id: str, number: str, time_zone: str, lang: Literal["zh", "en"], policy: str) -> str | None:
        """``None``: it may be dialled now, and is entered as dialled; else the rule that stands against it.

        ``time_zone`` is the case file's; every zone that an import names for the number's people must allow it too.
        """
        now = self.clock()
        number = number[:20]
        with self.database.write() as session:
            if session.get(Number, number, with_for_update=True) is None:
                session.add(Number(number=number))
                session.flush()  # whoever adds it at the same moment fails here, and is not dialled
            people = _people(session, number)
            if any(busy_now(session, [each.id for each in people], [number], now)):
                return f"person_in_a_call: {_IN_A_CALL[lang]}"
            person = self._person(session, number, people, time_zone)
            by_person, by_number = records_of(session, [each.id for each in people], [number], now)
            history = dict(by_number.get(number, {}))
            for each in people:
                history |= by_person.get(each.id, {})
            past = tuple(history.values())
            verdict = may_dial(now, person, past, policy, lang=lang, policies=self._policies)
            if verdict.decision != "allow":
                first = verdict.rules[0]
                later = next_allowed(now, person, past, policy, lang=lang, policies=self._policies)
                return f"{first.id}: {first.explanation.get(lang, first.category)} ({first.clause})" + (
                    f"; allowed from {later:%Y-%m-%d %H:%M}Z" if later is not None else ""
                )
            session.add(
                Record(
                    source=attempt_id, person_id=people[0].id if people else NOBODY, debt_id=None, number=number,
                    at=now, kind="attempt", channel="voice", running=True,
                )
            )  # fmt: skip
        return None

    def settle(self, attempt_id: str, result: CallResult) -> None:
        """Enter what came of it, and stop whom it stops. A second word on the same call is ignored."""
        now = self.clock()
        what = effect(result.outcome)
        with self.database.write() as session:
            mine = sa.select(Record).where(Record.source == attempt_id, Record.kind == "attempt")
            record = session.scalar(mine.with_for_update())
            if record is None or record.number is None or not record.running:
                return
            record.running = False
            # Not stored: what is entered for an attempt of a campaign is entered for this one.
            attempt = Attempt(
                id=attempt_id, person_id=record.person_id, debt_id=None, number=record.number,
                answered_at=now if what.conversation else None,
            )  # fmt: skip
            enter_records(session, attempt, result, what, now)
            people = _people(session, record.number)
            if what.stop == "person" or "stop_contact" in result.restrictions:
                stop_number(session, record.number, "stop_contact", now)
                for person in people:
                    stop_person(session, person.id, "stop_contact", now)
            elif what.stop == "number" or "wrong_number" in result.restrictions:
                stop_number(session, record.number, result.outcome, now)
            for person in people:
                restrict_person(session, person.id, result.restrictions, now)

    def _person(self, session: Session, number: str, people: list[Person], time_zone: str) -> ContactPerson:
        """Everybody whose number it is, as one: what protects any of them protects the call."""
        ids = [each.id for each in people]
        zones = session.scalars(sa.select(Debt.time_zone).where(Debt.person_id.in_(ids)).distinct())
        stopped = session.get_one(Number, number).stopped_at is not None
        never, ceased = stop_reasons(people)
        consents = frozenset(CONSENTS).intersection(*(each.consents for each in people)) if people else frozenset()
        return ContactPerson(
            person_id=str(ids[0] if ids else NOBODY),
            debt_id="by hand",
            time_zones=tuple(sorted({time_zone, *zones})),
            country=next((each.country for each in people if each.country), ""),
            consents=consents,
            do_not_contact=stopped or never,
            cease_requested=ceased,
            attorney=any(each.attorney for each in people),
            deceased=any(each.deceased for each in people),
            bankrupt=any(each.bankrupt for each in people),
            number_key=number_key(number),
            not_before=max((each.not_before_at for each in people if each.not_before_at is not None), default=None),
        )


def _people(session: Session, number: str) -> list[Person]:
    wanted = (
        sa.select(Person)
        .join(PersonNumber, PersonNumber.person_id == Person.id)
        .where(PersonNumber.number == number)
        .order_by(Person.id)
        .with_for_update(of=Person)
    )
    return list(session.scalars(wanted))
