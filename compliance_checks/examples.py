"""A pack's own tests: every example under a rule must be refused, or allowed, by the gate or the contact rules.

An example is judged under the pack that holds it (and the floor beneath, and what it extends). One that must be refused
must be refused *by that rule*: the verdict has to carry the rule's citation.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from agent.events import CallFacts, Lang, Party, Proposed, Verdict
from compliance_checks.contact.dialling import may_dial
from compliance_checks.contact.facts import ContactPerson, ContactRecord
from compliance_checks.contact.schema import ContactRule, Dialled, Happened
from compliance_checks.folding import is_han
from compliance_checks.gate import Gate
from compliance_checks.pack import Clause, Pack, Said

# The case that example sentences speak of, unless an example says otherwise.
CASE: Final[dict[str, Any]] = {
    "borrower_name": "张伟",
    "lender": "安心银行",
    "product": "安心贷",
    "amount_due": "3500.00",
    "days_past_due": 6,
    "due_date": "2026-11-15",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one example. ``problem`` is empty if the pack does what the example says."""

    pack: str
    rule: str
    wanted: str
    example: str
    problem: str


def run_examples(pack: Pack, gate: Gate) -> Iterator[Outcome]:
    """Every example of ``pack``. ``gate`` must know the pack."""
    for category, clause in pack.clauses.items():
        for wanted, examples in (("refuse", clause.refuse), ("allow", clause.allow)):
            for said in examples:
                verdict = judge_said(said, category, pack, gate)
                problem = _problem(verdict, wanted, clause, category)
                yield Outcome(pack.id, f"clauses.{category}", wanted, said.text, problem)
    for place, rule in pack.contact.rules():
        for wanted, dials in (("refuse", rule.refuse), ("allow", rule.allow)):
            for dialled in dials:
                verdict = judge_dialled(dialled, pack, gate)
                yield Outcome(pack.id, place, wanted, _shown(dialled), _problem(verdict, wanted, rule, None))


def judge_said(said: Said, category: str, pack: Pack, gate: Gate) -> Verdict:
    lang: Lang = said.lang or ("zh" if any(map(is_han, said.text)) else "en")
    party: Party = said.party or "borrower"
    case = {**CASE, "currency": "CNY" if lang == "zh" else "USD", **said.facts}
    facts = CallFacts(lang, party, pack.id, case, frozenset(said.done))
    if not said.purposes:
        return gate.judge(said.text, facts)
    return gate.approve(Proposed("example", said.text, lang, purposes=frozenset(said.purposes)), facts)[0]


def judge_dialled(dialled: Dialled, pack: Pack, gate: Gate) -> Verdict:
    zone = ZoneInfo(dialled.zones[0])
    flags: dict[str, Any] = dict.fromkeys(dialled.flags, True)
    person = ContactPerson(
        person_id="person",
        debt_id="debt",
        time_zones=dialled.zones,
        country=dialled.country or pack.country or "",
        consents=dialled.consents,
        callee=dialled.callee,
        third_party_id=dialled.third_party,
        unreachable=dialled.unreachable,
        risk=dialled.risk,
        robot=dialled.robot,
        number_key="number",
        **flags,
    )
    history = tuple(record for happened in dialled.history for record in _records(happened, zone))
    return may_dial(_at(dialled.at, zone), person, history, pack.id, policies=gate.policies)


def _records(happened: Happened, zone: ZoneInfo) -> Iterator[ContactRecord]:
    first = _at(happened.at, zone)
    for minute in range(happened.times):
        yield ContactRecord(
            at=first + timedelta(minutes=minute),
            kind=happened.kind,
            debt_id=happened.debt,
            effective=happened.effective,
            answered=happened.answered,
            number_key=happened.number,
            third_party_id=happened.third_party,
        )


def _at(text: str, zone: ZoneInfo) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M").replace(tzinfo=zone)


def _shown(dialled: Dialled) -> str:
    told = [f"{one.times} x {one.kind} at {one.at}" for one in dialled.history]
    flags = sorted({*dialled.flags, *dialled.consents})
    return ", ".join([f"dial at {dialled.at} {'/'.join(dialled.zones)}", *flags, *told])


def _problem(verdict: Verdict, wanted: str, rule: Clause | ContactRule, category: str | None) -> str:
    if wanted == "allow":
        by = ", ".join(dict.fromkeys(hit.id for hit in verdict.rules))
        return "" if verdict.decision == "allow" else f"is not allowed: {by}"
    if verdict.decision == "allow":
        return "is allowed"
    if any(rule.cite in hit.clause and category in (None, hit.category) for hit in verdict.rules):
        return ""
    by = ", ".join(dict.fromkeys(hit.id for hit in verdict.rules))
    return f"is refused by another rule: {by}"
