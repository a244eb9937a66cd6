"""When a person may be called: contact hours in the borrower's own time zone, recomputed at each dial."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time
from functools import lru_cache
from zoneinfo import ZoneInfo

from agent.events import Lang, RuleHit, Verdict
from compliance_checks.policy import FLOOR, Policies, Policy, PolicyError

_COUNTRY: Mapping[str, str] = {"cn": "CN", "us": "US", "uk": "GB", "in": "IN"}
_TEXT: Mapping[str, Mapping[str, str]] = {
    "hours.outside": {
        "zh": "不在允许的通话时段内（借款人当地时间）。",
        "en": "Outside the hours allowed, borrower's time.",
    },
    "hours.not_a_workday": {"zh": "从严标准只允许工作日通话。", "en": "The overlay allows workdays only."},
    "hours.naive_time": {"zh": "时间没有时区，无法判断。", "en": "The time carries no zone and cannot be judged."},
    "hours.unknown_zone": {"zh": "借款人时区未知，无法判断。", "en": "The borrower's time zone is not known."},
    "hours.unknown_policy": {"zh": "未知的合规策略。", "en": "The policy is not known."},
    "hours.no_window": {"zh": "策略没有给出允许的时段。", "en": "No pack of the policy states allowed hours."},
    "hours.cannot_judge": {"zh": "工作日历不可用。", "en": "The calendar of workdays cannot be read."},
}


@lru_cache(maxsize=1)
def _shipped() -> Policies:
    return Policies()


@lru_cache(maxsize=64)
def _holidays(country: str, year: int) -> Mapping[date, str]:
    import holidays  # 0.2 s to import, wanted only where a pack counts workdays

    return holidays.country_holidays(country, years=year)


def may_call(
    now: datetime,
    time_zone: str,
    policy: str | None,
    *,
    lang: Lang = "zh",
    policies: Policies | None = None,
) -> Verdict:
    """Whether a call may start at ``now`` (aware) for a borrower who lives in ``time_zone`` (an IANA name).

    The narrowest window of all packs of ``policy`` holds; its end is exclusive. ``allow`` or ``refuse``; a naive
    time, an unknown zone, an unknown policy and a policy without any window are refusals. Never raises.
    """
    try:
        stack = (policies or _shipped()).resolve(policy, lang)
    except PolicyError:
        return _refuse("hours.unknown_policy", None)
    if not isinstance(now, datetime) or now.tzinfo is None or now.utcoffset() is None:
        return _refuse("hours.naive_time", stack)
    try:
        local = now.astimezone(ZoneInfo(time_zone))
    except (KeyError, ValueError, TypeError, OSError, OverflowError):
        return _refuse("hours.unknown_zone", stack)
    named = [pack.hours for pack in stack.packs if pack.hours is not None and pack.id != FLOOR]
    # The floor's window stands in only where no pack names one.
    windows = named or [pack.hours for pack in stack.packs if pack.hours is not None]
    if not windows:
        return _refuse("hours.no_window", stack)
    start, end = max(w.start for w in windows), min(w.end for w in windows)
    clock = time(local.hour, local.minute, local.second, local.microsecond)
    if not start <= clock < end:
        return _refuse("hours.outside", stack)
    for pack in stack.packs:
        if pack.hours is not None and pack.hours.workdays_only:
            try:
                if local.weekday() >= 5 or local.date() in _holidays(_COUNTRY[pack.jurisdiction], local.year):
                    return _refuse("hours.not_a_workday", stack)
            except (KeyError, ImportError, NotImplementedError):
                return _refuse("hours.cannot_judge", stack)
    return Verdict("allow", "", (), stack.hash)


def _refuse(rule: str, policy: Policy | None) -> Verdict:
    clause, review = "Callgate floor: no call without known local time", "confirmed"
    if policy is not None:
        found = policy.clause("hours")
        clause, review = found.cite, found.review
    hit = RuleHit(rule, "hours", clause, 0, 0, "confirmed" if review == "confirmed" else "needs_review", _TEXT[rule])
    return Verdict("refuse", "", (hit,), policy.hash if policy else "")
