"""The contact rules of a policy, one generator each: what of the person's state and history forbids a dial now.

Every pack's every rule is judged for itself, so of two packs the stricter one holds. What is not known counts as what
is worse: a record without a debt counts towards each debt, one from the future as if it had just happened.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import get_args

from compliance_checks.contact import wording
from compliance_checks.contact.calendar import (
    Moment,
    UnknownCalendarError,
    country_names,
    is_aware,
    is_holiday,
    is_workday,
    period_of,
)
from compliance_checks.contact.facts import ROBOT_CALL, ContactKind, ContactPerson, ContactRecord
from compliance_checks.contact.schema import STOPS, WEEKDAYS, Hours, Limit, Pause
from compliance_checks.pack import Pack
from compliance_checks.policy import FLOOR, Citation, Policy, cited

KINDS: frozenset[str] = frozenset(get_args(ContactKind))
_REACHED = frozenset({"conversation", "voicemail", "text", "email", "letter"})
# Nothing lifts these but a change of the ledger: there is no next moment to wait for.
FINAL = frozenset(
    {
        *(f"contact.{stop}" for stop in STOPS),
        "contact.consent_missing",
        "contact.third_party_refused",
        "contact.third_party_reachable",
        "contact.third_party_not_allowed",
        "contact.third_party_limit",
        "contact.missing_data",
        "contact.bad_history",
        "contact.cannot_judge",
        "hours.naive_time",
        "hours.unknown_zone",
        "hours.unknown_policy",
        "hours.no_window",
        "hours.cannot_judge",
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason not to dial: the rule's id, where it is written, what to tell a person."""

    rule: str
    source: Citation
    explanation: wording.Both


def refusals(
    moment: Moment, person: ContactPerson, history: Sequence[ContactRecord], policy: Policy
) -> Iterator[Refusal]:
    """Every reason why ``person`` may not be dialled at ``moment``, the final ones first."""
    if not all(map(readable, history)):
        yield _plain("contact.bad_history", policy)
        return
    if not person.person_id or not person.debt_id or person.callee not in ("borrower", "third_party"):
        yield _plain("contact.missing_data", policy)
    yield from _stops(person, policy)
    yield from _consents(person, policy)
    if person.callee == "third_party":
        yield from _third_parties(person, history, policy)
    yield from _requests(moment, person, policy)
    yield from _blackouts(moment, policy)
    yield from outside_hours(moment, policy, person.consents, person.country)
    for pack in policy.packs:
        for limit in pack.contact.limits:
            yield from _over(limit, moment, person, history)
        for pause in pack.contact.pauses:
            yield from _too_soon(pause, moment, person, history)


def readable(record: object) -> bool:
    """True for a record of a known kind at an aware time."""
    return isinstance(record, ContactRecord) and record.kind in KINDS and is_aware(record.at)


def _plain(rule: str, policy: Policy) -> Refusal:
    return Refusal(rule, policy.clause("hours" if rule.startswith("hours.") else "contact"), wording.TEXT[rule])


def _by(rule: str, source: Hours | Limit | Pause | Citation, text: wording.Both | None = None) -> Refusal:
    return Refusal(rule, Citation(source.cite, source.review), wording.TEXT[rule] if text is None else text)


# -- the person's state


def _stops(person: ContactPerson, policy: Policy) -> Iterator[Refusal]:
    for stop in STOPS:
        if getattr(person, stop) is False:
            continue
        named = [(pack, pack.contact.stops[stop]) for pack in policy.packs if stop in pack.contact.stops]
        own = [Citation(rule.cite, rule.review) for pack, rule in named if pack.id != FLOOR]
        found = own or [Citation(rule.cite, rule.review) for _, rule in named]
        yield Refusal(f"contact.{stop}", cited(found or [policy.clause("contact")]), wording.TEXT[f"contact.{stop}"])


def _consents(person: ContactPerson, policy: Policy) -> Iterator[Refusal]:
    for pack in policy.packs:
        rule = pack.contact.consent
        if rule is None:
            continue
        needed = {consent for consent in rule.required if consent != ROBOT_CALL or person.robot is not False}
        if needed - person.consents:
            yield Refusal(
                "contact.consent_missing", Citation(rule.cite, rule.review), wording.TEXT["contact.consent_missing"]
            )


def _third_parties(person: ContactPerson, history: Sequence[ContactRecord], policy: Policy) -> Iterator[Refusal]:
    named = [(pack, pack.contact.third_parties) for pack in policy.packs if pack.contact.third_parties is not None]
    if not named or policy.silent(pack for pack, _ in named):
        yield _plain("contact.third_party_not_allowed", policy)
    talks = [r for r in history if r.kind in ("third_party", "third_party_refused") and _same_callee(r, person)]
    refused = any(record.kind == "third_party_refused" for record in talks)
    for _, rule in named:
        source = Citation(rule.cite, rule.review)
        if rule.refusal_ends and refused:
            yield _by("contact.third_party_refused", source)
        if rule.only_if_unreachable and person.unreachable is not True:
            yield _by("contact.third_party_reachable", source)
        if rule.max is not None and len(talks) >= rule.max:
            yield _by("contact.third_party_limit", source, wording.third_party_limit(len(talks), rule.max))


def _requests(moment: Moment, person: ContactPerson, policy: Policy) -> Iterator[Refusal]:
    named = [(pack, pack.contact.requests) for pack in policy.packs if pack.contact.requests is not None]
    rules = [rule for pack, rule in named if pack.id != FLOOR] or [rule for _, rule in named]
    source = cited([Citation(rule.cite, rule.review) for rule in rules] or [policy.clause("contact")])
    if person.not_before is not None:
        if not is_aware(person.not_before):
            yield _plain("contact.missing_data", policy)
        elif moment.now < person.not_before:
            yield _by("contact.not_before", source)
    if person.only_between is not None:
        start, end = person.only_between
        for local in moment.locals:
            clock = local.time()
            inside = start <= clock < end if start < end else clock >= start or clock < end
            if not inside:
                yield _by("contact.requested_hours", source)
                return


# -- clock and calendar


def _blackouts(moment: Moment, policy: Policy) -> Iterator[Refusal]:
    for pack in policy.packs:
        rule = pack.contact.blackout
        if rule is not None and any(rule.holds(day) for day in moment.days):
            yield _by("contact.blackout", Citation(rule.cite, rule.review))


def outside_hours(
    moment: Moment, policy: Policy, consents: frozenset[str] = frozenset(), country: str = ""
) -> Iterator[Refusal]:
    """Why a call may not start at ``moment``: every clock of the person must stand inside every pack's hours."""
    if not policy.hours:
        yield _plain("hours.no_window", policy)
        return
    for pack, hours in policy.hours:
        agreed = hours.unless_consent is not None and hours.unless_consent in consents
        if not agreed and not all(hours.holds(local.hour * 60 + local.minute) for local in moment.locals):
            yield _by("hours.outside", hours)
        yield from _wrong_day(moment.days, pack, hours, country)


def _wrong_day(days: tuple[date, ...], pack: Pack, hours: Hours, country: str) -> Iterator[Refusal]:
    if hours.days is not None and not all(WEEKDAYS[day.weekday()] in hours.days for day in days):
        yield _by("hours.weekday", hours)
    if not hours.workdays_only and not hours.no_holidays:
        return
    countries = country_names({"person": country, "pack": pack.country})
    try:
        if not countries:
            raise UnknownCalendarError("no country is known")
        free = any(is_holiday(each, day) for each in countries for day in days)
        work = not hours.workdays_only or all(is_workday(each, day) for each in countries for day in days)
    except (UnknownCalendarError, ImportError):
        yield _by("hours.cannot_judge", hours)
        return
    if not work:
        yield _by("hours.not_a_workday", hours)
    elif hours.no_holidays and free:
        yield _by("hours.holiday", hours)


# -- how often


def _over(limit: Limit, moment: Moment, person: ContactPerson, history: Sequence[ContactRecord]) -> Iterator[Refusal]:
    # A tier that is not known is limited like the tier that the pack limits.
    if limit.risk is not None and person.risk not in ("", limit.risk):
        return
    if limit.unless_consent is not None and limit.unless_consent in person.consents:
        return
    at = [record.at for record in history if _counts(limit.count, record) and _towards(limit.per, record, person)]
    if limit.span is not None:
        since = moment.now - limit.span
        counted = sum(1 for each in at if each > since)
    else:
        counted = max(_in_period(at, local, moment.now, limit) for local in moment.locals)
    if counted >= limit.max:
        yield _by(f"contact.limit.{limit.count}", limit, wording.limit_reached(limit, counted))


def _in_period(at: Sequence[datetime], local: datetime, now: datetime, limit: Limit) -> int:
    each = limit.each or "day"
    today = period_of(local.date(), each)
    return sum(1 for one in at if one > now or period_of(one.astimezone(local.tzinfo).date(), each) == today)


def _too_soon(
    pause: Pause, moment: Moment, person: ContactPerson, history: Sequence[ContactRecord]
) -> Iterator[Refusal]:
    if pause.unless_consent is not None and pause.unless_consent in person.consents:
        return
    since = moment.now - pause.span
    counted = {"attempt": "attempts", "conversation": "conversations", "contact": "contacts"}[pause.after]
    if any(r.at > since and _counts(counted, r) and _towards(pause.per, r, person) for r in history):
        yield _by(f"contact.pause.{pause.after}", pause, wording.too_soon(pause))


def _counts(counted: str, record: ContactRecord) -> bool:
    match counted:
        case "attempts":
            return record.kind == "attempt"
        case "unanswered_attempts":
            return record.kind == "attempt" and not record.answered
        case "conversations":
            return record.kind == "conversation"
        case "effective_conversations":
            return record.kind == "conversation" and record.effective
        case "texts":
            return record.kind == "text"
        case _:
            return record.kind in _REACHED


def _towards(per: str, record: ContactRecord, person: ContactPerson) -> bool:
    if not _same_callee(record, person):
        return False
    if per == "debt":
        return record.debt_id in ("", person.debt_id)
    if per == "number":
        return not person.number_key or record.number_key in ("", person.number_key)
    return True


def _same_callee(record: ContactRecord, person: ContactPerson) -> bool:
    """Whether the record is of the one who would be dialled. Which third party it was may not be known."""
    if person.callee == "borrower":
        return not record.third_party_id
    if not person.third_party_id or record.third_party_id == person.third_party_id:
        return True
    return not record.third_party_id and record.kind in ("third_party", "third_party_refused")
