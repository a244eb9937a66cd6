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
    least, most = record.keep_days_min, record.keep_days_max
    if zh:
        kept = "最短期限未确定" if least is None else f"至少 {least} 天"
        kept += "，最长期限未确定" if most is None else f"，至多 {most} 天"
    else:
        kept = "shortest time not established" if least is None else f"at least {least} days"
        kept += ", longest not established" if most is None else f", at most {most} days"
    if record.required is None:
        return kept
    must = (
        ("必须留存；" if record.required else "不要求；")
        if zh
        else ("required; " if record.required else "not required; ")
    )
    return must + kept
