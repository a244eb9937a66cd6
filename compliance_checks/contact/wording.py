"""What a refusal to dial says to a person, in both languages. Figures and rules only: nothing of the borrower."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from compliance_checks.contact.schema import Limit, Pause

Both = Mapping[str, str]

TEXT: Mapping[str, Both] = {
    "hours.outside": {
        "zh": "不在允许的通话时段内（借款人当地时间）。",
        "en": "Outside the hours allowed, borrower's time.",
    },
    "hours.not_a_workday": {"zh": "从严标准只允许工作日通话。", "en": "The overlay allows workdays only."},
    "hours.holiday": {"zh": "法定节假日不得拨打。", "en": "No calls on a public holiday."},
    "hours.weekday": {"zh": "这一天不在允许拨打的星期之内。", "en": "No calls on this day of the week."},
    "hours.naive_time": {"zh": "时间没有时区，无法判断。", "en": "The time carries no zone and cannot be judged."},
    "hours.unknown_zone": {"zh": "借款人时区未知，无法判断。", "en": "The borrower's time zone is not known."},
    "hours.unknown_policy": {"zh": "未知的合规策略。", "en": "The policy is not known."},
    "hours.no_window": {"zh": "策略没有给出允许的时段。", "en": "No pack of the policy states allowed hours."},
    "hours.cannot_judge": {"zh": "节假日日历不可用，无法判断。", "en": "No calendar of holidays can be read."},
    "contact.do_not_contact": {"zh": "已列入禁止联系名单。", "en": "The person is on the do-not-contact list."},
    "contact.cease_requested": {"zh": "本人已要求停止联系。", "en": "The person asked us to stop contacting them."},
    "contact.attorney": {
        "zh": "本人已委托律师，只能联系律师。",
        "en": "A lawyer represents the person: contact the lawyer only.",
    },
    "contact.deceased": {"zh": "本人已身故或无行为能力。", "en": "The person has died or cannot act."},
    "contact.bankrupt": {"zh": "本人处于破产程序中。", "en": "The person is in bankruptcy proceedings."},
    "contact.disputed": {
        "zh": "债务有争议，核实之前不得催收。",
        "en": "The debt is disputed: no calls until it is verified.",
    },
    "contact.requested_hours": {
        "zh": "不在本人要求的联系时段内。",
        "en": "Outside the hours that the person asked for.",
    },
    "contact.not_before": {
        "zh": "本人要求在此时间之后再联系。",
        "en": "The person asked not to be called before later.",
    },
    "contact.consent_missing": {
        "zh": "缺少拨打所需的同意（如智能语音外呼）。",
        "en": "A consent that the call needs (such as to an artificial voice) is missing.",
    },
    "contact.blackout": {"zh": "停呼日，不得拨打。", "en": "A blackout day: no calls."},
    "contact.third_party_refused": {
        "zh": "第三人已拒绝，不得再联系。",
        "en": "The third party refused and must not be contacted again.",
    },
    "contact.third_party_reachable": {
        "zh": "本人可以联系上，不得联系第三人。",
        "en": "The borrower can be reached, so nobody else may be called.",
    },
    "contact.third_party_not_allowed": {
        "zh": "策略没有允许联系第三人。",
        "en": "No pack of the policy allows a call to a third party.",
    },
    "contact.missing_data": {
        "zh": "联系人资料不完整，无法判断。",
        "en": "What is known of the person is incomplete and cannot be judged.",
    },
    "contact.bad_history": {
        "zh": "联系记录无法读取，无法判断。",
        "en": "The record of earlier contacts cannot be read.",
    },
    "contact.cannot_judge": {
        "zh": "检查未能完成，按拒绝处理。",
        "en": "A check could not finish, so the answer is no.",
    },
}
_COUNTED: Mapping[str, Both] = {
    "attempts": {"zh": "拨打", "en": "call attempts"},
    "unanswered_attempts": {"zh": "未接通拨打", "en": "unanswered attempts"},
    "conversations": {"zh": "通话", "en": "conversations"},
    "effective_conversations": {"zh": "有效通话", "en": "effective conversations"},
    "contacts": {"zh": "联系", "en": "contacts"},
    "texts": {"zh": "短信", "en": "text messages"},
    "third_party": {"zh": "与该第三人的联系", "en": "contacts with this third party"},
}
_PER: Mapping[str, Both] = {
    "person": {"zh": "对同一人", "en": "with the person"},
    "debt": {"zh": "就同一笔债务", "en": "about the debt"},
    "number": {"zh": "对同一号码", "en": "to the number"},
}
_EACH: Mapping[str, Both] = {
    "day": {"zh": "当天", "en": "today"},
    "week": {"zh": "本周", "en": "this week"},
    "month": {"zh": "本月", "en": "this month"},
}
_AFTER: Mapping[str, Both] = {
    "attempt": {"zh": "上次拨打", "en": "the last attempt"},
    "conversation": {"zh": "上次通话", "en": "the last conversation"},
    "contact": {"zh": "上次联系", "en": "the last contact"},
}


def limit_reached(limit: Limit, counted: int) -> Both:
    """How many there were in the limit's period, and how many there may be."""
    what, per = _COUNTED[limit.count], _PER[limit.per]
    if limit.each:
        when = _EACH[limit.each]
        zh, en = when["zh"], when["en"]
    else:
        span = span_text(limit.span or timedelta())
        zh, en = f"最近{span['zh']}内", f"in the last {span['en']}"
    return {
        "zh": f"{zh}{per['zh']}已有{counted}次{what['zh']}，上限为{limit.max}次。",
        "en": f"{counted} {what['en']} {per['en']} {en}; at most {limit.max} are allowed.",
    }


def third_party_limit(counted: int, most: int) -> Both:
    return {
        "zh": f"已联系该第三人{counted}次，上限为{most}次。",
        "en": f"{counted} contacts with this third party; at most {most} are allowed.",
    }


def too_soon(pause: Pause) -> Both:
    span, after = span_text(pause.span), _AFTER[pause.after]
    return {
        "zh": f"距{after['zh']}未满{span['zh']}。",
        "en": f"Less than {span['en']} since {after['en']} {_PER[pause.per]['en']}.",
    }


def span_text(span: timedelta) -> Both:
    """A duration in words: days, hours, minutes."""
    minutes = int(span.total_seconds()) // 60
    parts = [(minutes // 1440, "天", "day"), (minutes % 1440 // 60, "小时", "hour"), (minutes % 60, "分钟", "minute")]
    zh = "".join(f"{n}{unit}" for n, unit, _ in parts if n)
    en = " ".join(f"{n} {unit}{'s' if n > 1 else ''}" for n, _, unit in parts if n)
    return {"zh": zh, "en": en}
