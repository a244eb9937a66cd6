"""A policy pack's rules in words of both languages."""

from __future__ import annotations

from agent.events import Lang
from compliance_checks.contact.schema import ContactRule
from compliance_checks.describe import rule_text
from compliance_checks.pack import Record


def contact_rule(place: str, rule: ContactRule, lang: Lang) -> str:
    """``place`` as ``Contact.rules`` gives it."""
    return rule_text(place, rule, lang)


def record_rule(record: Record, lang: Lang) -> str:
    """How long records are kept, in days; what nobody has established is said so."""
    zh = lang == "zh"
    unknown = "未定" if zh else "not established"
    least = unknown if record.keep_days_min is None else record.keep_days_min
    most = unknown if record.keep_days_max is None else record.keep_days_max
    kept = f"至少 {least} 天，至多 {most} 天" if zh else f"at least {least}, at most {most} days"
    if record.required is None:
        return kept
    must = (
        ("必须留存；" if record.required else "不要求；")
        if zh
        else ("required; " if record.required else "not required; ")
    )
    return must + kept
