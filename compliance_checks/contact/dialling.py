"""May this person be dialled now, and if not, when? Recomputed at the moment of dialling, from values alone."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from agent.events import Lang, RuleHit, Verdict
from compliance_checks.contact import wording
from compliance_checks.contact.calendar import Moment, UnknownZoneError, edges, is_aware, zones_of
from compliance_checks.contact.facts import ContactPerson, ContactRecord
from compliance_checks.contact.rules import FINAL, Refusal, outside_hours, refusals
from compliance_checks.policy import Citation, Policies, Policy, PolicyError

log = logging.getLogger(__name__)
_NO_POLICY = Citation("Callgate floor: no call without known local time", "confirmed")


@lru_cache(maxsize=1)
def _shipped() -> Policies:
    return Policies()


def may_dial(
    now: datetime,
    person: ContactPerson,
    history: Sequence[ContactRecord],
    policy: str | None = None,
    *,
    lang: Lang = "zh",
    policies: Policies | None = None,
) -> Verdict:
    """Whether ``person`` may be dialled at ``now`` (aware), given everything that happened with them before.

    ``policy`` as for ``Policies.resolve``. ``allow``, or ``refuse`` with every rule that forbids it, the final ones
    first. What is not known is refused: a naive time, a zone, a policy, a record that cannot be read. The order of
    ``history`` does not matter. Never raises.
    """
    try:
        return _judge(now, person, history, policy, lang, policies)
    except Exception as error:
        # What went wrong stays out of the log: it may hold a person's data.
        log.error("a dial could not be judged: %s", type(error).__name__)
        return _refuse([_early("contact.cannot_judge", None)], None)


def may_call(
    now: datetime,
    time_zone: str,
    policy: str | None,
    *,
    lang: Lang = "zh",
    policies: Policies | None = None,
) -> Verdict:
    """Whether a call may start at ``now`` (aware) for a borrower who lives in ``time_zone`` (an IANA name).

    The hours alone, of a person of whom nothing else is known: :func:`may_dial` judges the rest. Never raises.
    """
    try:
        found = _stack(policy, lang, policies)
        if isinstance(found, Refusal):
            return _refuse([found], None)
        moment = _moment(now, (time_zone,), found)
        if isinstance(moment, Refusal):
            return _refuse([moment], found)
        return _answer(outside_hours(moment, found), found)
    except Exception as error:
        log.error("hours could not be judged: %s", type(error).__name__)
        return _refuse([_early("hours.cannot_judge", None)], None)


def next_allowed(
    now: datetime,
    person: ContactPerson,
    history: Sequence[ContactRecord],
    policy: str | None = None,
    *,
    lang: Lang = "zh",
    policies: Policies | None = None,
    days: int = 62,
) -> datetime | None:
    """The first moment from ``now`` on (UTC) at which :func:`may_dial` says yes if nothing else happens till then.

    ``None`` if that lies beyond ``days`` days, or if no waiting helps (a stop request, a missing consent, an unknown
    zone). Never raises.
    """
    try:
        verdict = _judge(now, person, history, policy, lang, policies)
        stack = _stack(policy, lang, policies)
        if isinstance(stack, Refusal) or any(hit.id in FINAL - {"hours.cannot_judge"} for hit in verdict.rules):
            return None
        start = now.astimezone(UTC)
        if verdict.decision == "allow":
            return start
        for at in _changes(start, person, history, stack, days):
            if not any(True for _ in refusals(Moment.of(at, zones_of(person.time_zones)), person, history, stack)):
                return at
    except Exception as error:
        log.error("the next dial could not be found: %s", type(error).__name__)
    return None


def _judge(
    now: datetime,
    person: ContactPerson,
    history: Sequence[ContactRecord],
    policy: str | None,
    lang: Lang,
    policies: Policies | None,
) -> Verdict:
    stack = _stack(policy, lang, policies)
    if isinstance(stack, Refusal):
        return _refuse([stack], None)
    moment = _moment(now, person.time_zones, stack)
    if isinstance(moment, Refusal):
        return _refuse([moment], stack)
    return _answer(refusals(moment, person, tuple(history), stack), stack)


def _stack(policy: str | None, lang: Lang, policies: Policies | None) -> Policy | Refusal:
    try:
        return (policies or _shipped()).resolve(policy, lang)
    except (PolicyError, KeyError, AttributeError, TypeError):
        return _early("hours.unknown_policy", None)


def _moment(now: object, names: object, stack: Policy) -> Moment | Refusal:
    if not isinstance(now, datetime) or not is_aware(now):
        return _early("hours.naive_time", stack)
    try:
        return Moment.of(now, zones_of(names))
    except (UnknownZoneError, OverflowError):
        return _early("hours.unknown_zone", stack)


def _early(rule: str, stack: Policy | None) -> Refusal:
    source = stack.clause("hours" if rule.startswith("hours.") else "contact") if stack else _NO_POLICY
    return Refusal(rule, source, wording.TEXT[rule])


def _answer(found: Iterable[Refusal], stack: Policy) -> Verdict:
    # Two packs that give one rule the same source say it once.
    reasons = {(one.rule, one.source): one for one in found}
    return _refuse(list(reasons.values()), stack) if reasons else Verdict("allow", "", (), stack.hash)


def _refuse(reasons: Sequence[Refusal], stack: Policy | None) -> Verdict:
    ordered = sorted(reasons, key=lambda reason: reason.rule not in FINAL)
    hits = tuple(
        RuleHit(
            reason.rule,
            reason.rule.partition(".")[0],
            reason.source.cite,
            0,
            0,
            reason.source.review,
            reason.explanation,
        )
        for reason in ordered
    )
    return Verdict("refuse", "", hits, stack.hash if stack else "")


def _changes(
    start: datetime, person: ContactPerson, history: Sequence[ContactRecord], stack: Policy, days: int
) -> Iterator[datetime]:
    """Instants after ``start`` at which the answer may turn to yes, in order."""
    minutes = {edge for _, hours in stack.hours for edge in hours.edges}
    later: set[datetime] = set()
    for pack in stack.packs:
        spans = [limit.span for limit in pack.contact.limits if limit.span]
        spans += [pause.span for pause in pack.contact.pauses]
        later |= {record.at.astimezone(UTC) + span for record in history for span in spans}
    # A record from the future counts until its time has come.
    later |= {record.at.astimezone(UTC) for record in history}
    if person.not_before is not None:
        later.add(person.not_before.astimezone(UTC))
    if person.only_between is not None:
        # To the minute: a request such as 09:30:30 is not one that a person makes.
        minutes |= {edge.hour * 60 + edge.minute + bool(edge.second) for edge in person.only_between}
    end = start + timedelta(days=days)
    clocks = edges(start, zones_of(person.time_zones), frozenset(minutes), days + 1)
    last = None
    for at in heapq.merge(clocks, sorted(each for each in later if each >= start)):
        if at > end:
            return
        if at != last:
            yield at
        last = at
