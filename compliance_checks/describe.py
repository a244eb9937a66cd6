"""Packs and policies in words: what ``callgate policy`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agent.events import Lang
from compliance_checks.contact.schema import Blackout, ContactRule, Hours, Limit, NeededConsent, Pause, ThirdParties
from compliance_checks.contact.wording import span_text
from compliance_checks.explain import category_name, marked
from compliance_checks.layers import Conflict
from compliance_checks.pack import Pack
from compliance_checks.policy import Policies, Policy

_LEVELS: Mapping[str, Mapping[Lang, str]] = {
    "floor": {"zh": "底线", "en": "floor"},
    "country": {"zh": "法律", "en": "country"},
    "regulator": {"zh": "监管", "en": "regulator"},
    "industry": {"zh": "行业", "en": "industry"},
    "overlay": {"zh": "叠加", "en": "overlay"},
    "lender": {"zh": "机构", "en": "lender"},
}
_COUNTED: Mapping[str, Mapping[Lang, str]] = {
    "attempts": {"zh": "拨打", "en": "call attempts"},
    "unanswered_attempts": {"zh": "未接通拨打", "en": "unanswered attempts"},
    "conversations": {"zh": "通话", "en": "conversations"},
    "effective_conversations": {"zh": "有效通话", "en": "effective conversations"},
    "contacts": {"zh": "联系", "en": "contacts"},
    "texts": {"zh": "短信", "en": "text messages"},
    "attempt": {"zh": "拨打", "en": "an attempt"},
    "conversation": {"zh": "通话", "en": "a conversation"},
    "contact": {"zh": "联系", "en": "a contact"},
}
_PER: Mapping[str, Mapping[Lang, str]] = {
    "person": {"zh": "每人", "en": "per person"},
    "debt": {"zh": "每笔债务", "en": "per debt"},
    "number": {"zh": "每个号码", "en": "per number"},
}
_NAMES: Mapping[str, Mapping[Lang, str]] = {
    "do_not_contact": {"zh": "禁止联系名单：不得拨打", "en": "on the do-not-contact list: no call"},
    "cease_requested": {"zh": "本人要求停止联系：不得拨打", "en": "asked us to stop: no call"},
    "attorney": {"zh": "已委托律师：不得拨打", "en": "represented by a lawyer: no call"},
    "deceased": {"zh": "已身故或无行为能力：不得拨打", "en": "died or cannot act: no call"},
    "bankrupt": {"zh": "破产程序中：不得拨打", "en": "in bankruptcy proceedings: no call"},
    "disputed": {"zh": "债务有争议：不得拨打", "en": "the debt is disputed: no call"},
    "requests": {"zh": "本人要求的联系时间须遵守", "en": "the times that the person asks for are kept"},
    "third_parties": {"zh": "联系第三人", "en": "calls to a third party"},
    "consent": {"zh": "须有同意", "en": "consents needed"},
    "blackout": {"zh": "停呼日", "en": "blackout days"},
}
_CONSENTS: Mapping[str, Mapping[Lang, str]] = {
    "call_outside_hours": {"zh": "时段外来电", "en": "calls outside these hours"},
    "robot_call": {"zh": "机器人来电", "en": "calls by a machine"},
    "requested_call": {"zh": "按其要求来电", "en": "the call asked for"},
}
_EACH: Mapping[str, Mapping[Lang, str]] = {
    "day": {"zh": "每天", "en": "a day"},
    "week": {"zh": "每周", "en": "a week"},
    "month": {"zh": "每月", "en": "a month"},
}
_HEADS: Mapping[str, Mapping[Lang, str]] = {
    "packs": {"zh": "规则包", "en": "Packs"},
    "contact": {"zh": "联系规则", "en": "When and how often"},
    "clauses": {"zh": "禁止的说法", "en": "What may not be said"},
    "disclosures": {"zh": "必须先告知", "en": "To be disclosed first"},
    "speech": {"zh": "只能说什么", "en": "What alone may be said"},
    "records": {"zh": "记录保存", "en": "Records"},
    "conflicts": {"zh": "规则包之间的差异", "en": "Where packs differ"},
}


def pack_row(pack: Pack) -> dict[str, Any]:
    """One pack as data, without its rules."""
    rules = [rule for _, rule in pack.cited()]
    return {
        "id": pack.id,
        "level": pack.level,
        "jurisdiction": pack.jurisdiction,
        "extends": pack.extends,
        "opt_in": pack.opt_in,
        "title": dict(pack.title),
        "source": pack.source,
        "source_kind": pack.source_kind,
        "review": pack.review,
        "rules": len(rules),
        "needs_review": sum(rule.review == "needs_review" for rule in rules),
        "hash": pack.hash,
    }


def pack_table(policies: Policies, lang: Lang) -> str:
    """Every pack, one line each."""
    lines = []
    for pack in policies.packs.values():
        row = pack_row(pack)
        waiting = f"{row['needs_review']}/{row['rules']}"
        state = f"待核实 {waiting}" if lang == "zh" else f"needs review {waiting}"
        chosen = "" if not pack.opt_in else "（需指定）" if lang == "zh" else " (opt-in)"
        lines.append(f"{pack.id:<20} {_LEVELS[pack.level][lang]:<10} {state:<20} {pack.title[lang]}{chosen}")
    return "\n".join(lines)


def policy_document(policy: Policy) -> dict[str, Any]:
    """A policy as data: all that its packs say, the examples left out."""
    drop = {"refuse", "allow"}

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(item) for key, item in value.items() if key not in drop}
        return [plain(item) for item in value] if isinstance(value, list) else value

    return {
        "policy": policy.name,
        "hash": policy.hash,
        "packs": [plain(pack.model_dump(mode="json")) for pack in policy.packs],
        "disclosures": list(policy.disclosures),
        "borrower_disclosures": list(policy.borrower_disclosures),
        "conflicts": [
            {"key": c.key, "values": [{"pack": p, "value": v} for p, v in c.values], "holds": c.holds or None}
            for c in policy.conflicts
        ],
    }


def describe_policy(policy: Policy, lang: Lang) -> str:
    """A policy as a page of plain text; what nobody has confirmed is marked where it stands."""
    lines = [f"{policy.name}  {policy.hash[:12]}"]

    def section(name: str, rows: Iterator[str]) -> None:
        found = list(rows)
        if found:
            lines.extend(["", _HEADS[name][lang], *(f"  {row}" for row in found)])

    section("packs", (f"{p.id}: {p.title[lang]} ({_LEVELS[p.level][lang]}, {p.source_kind})" for p in policy.packs))
    section("conflicts", (_conflict(conflict, lang) for conflict in policy.conflicts))
    section("contact", _contact(policy, lang))
    section("disclosures", (purpose for purpose in (*policy.disclosures, *policy.borrower_disclosures)))
    section("speech", _speech(policy, lang))
    section("clauses", _clauses(policy, lang))
    section("records", _records(policy, lang))
    return "\n".join(lines)


def _speech(policy: Policy, lang: Lang) -> Iterator[str]:
    if policy.approved_lines_only:
        yield {"zh": "已批准话术中的语句", "en": "lines of an approved script"}[lang]
    if policy.script_language_only:
        yield {"zh": "话术所用的语言", "en": "the language of the call's script"}[lang]


def _conflict(conflict: Conflict, lang: Lang) -> str:
    if lang == "en":
        return str(conflict)
    said = "；".join(f"{pack} 为 {value}" for pack, value in conflict.values)
    return f"{conflict.key}：{said}：" + (f"以 {conflict.holds} 为准" if conflict.holds else "无法同时满足，须由人决定")


def _contact(policy: Policy, lang: Lang) -> Iterator[str]:
    windows = [hours for _, hours in policy.hours]
    for pack in policy.packs:
        for place, rule in pack.contact.rules():
            if isinstance(rule, Hours) and rule not in windows:
                continue
            yield f"{rule_text(place, rule, lang)} — {marked(rule.cite, rule.review, lang)}"


def rule_text(place: str, rule: ContactRule, lang: Lang) -> str:
    zh = lang == "zh"
    if isinstance(rule, Hours):
        said = [f"{window}" for window in ([rule.allowed] if rule.allowed else [])]
        said += [f"{'不得在' if zh else 'not '}{window}" for window in rule.quiet]
        if rule.workdays_only:
            said.append("仅工作日" if zh else "workdays only")
        if rule.no_holidays:
            said.append("节假日除外" if zh else "not on public holidays")
        said += [", ".join(rule.days)] if rule.days else []
        return "; ".join(said) + _unless(rule.unless_consent, lang)
    if isinstance(rule, Limit):
        return _limit(rule, lang) + _unless(rule.unless_consent, lang)
    if isinstance(rule, Pause):
        span, after, per = span_text(rule.span)[lang], _COUNTED[rule.after][lang], _PER[rule.per][lang]
        said_pause = f"{after}后{span}内不再拨打（{per}）" if zh else f"no call for {span} after {after} ({per})"
        return said_pause + _unless(rule.unless_consent, lang)
    name = _NAMES[place.removeprefix("contact.").removeprefix("stops.")][lang]
    if isinstance(rule, ThirdParties):
        parts = [f"最多 {rule.max} 次" if zh else f"at most {rule.max}"] if rule.max is not None else []
        if rule.only_if_unreachable:
            parts.append("仅在联系不上本人时" if zh else "only if the borrower cannot be reached")
        if rule.refusal_ends:
            parts.append("拒绝一次即终止" if zh else "one refusal ends it")
        return f"{name}：{'，'.join(parts)}" if zh else f"{name}: {', '.join(parts)}"
    if isinstance(rule, NeededConsent):
        return f"{name}{'：' if zh else ': '}{', '.join(rule.required)}"
    if isinstance(rule, Blackout):
        return f"{name}{'：' if zh else ': '}{', '.join(rule.dates)}"
    return name


def _limit(rule: Limit, lang: Lang) -> str:
    what, per = _COUNTED[rule.count][lang], _PER[rule.per][lang]
    if lang == "zh":
        when = _EACH[rule.each][lang] if rule.each else f"{span_text(rule.length)[lang]}内"
        return f"{when}{per}{what}不超过 {rule.max} 次" + (f"（{rule.risk} 风险）" if rule.risk else "")
    when = _EACH[rule.each][lang] if rule.each else f"in {span_text(rule.length)[lang]}"
    return f"at most {rule.max} {what} {per} {when}" + (f" ({rule.risk} risk)" if rule.risk else "")


def _unless(consent: str | None, lang: Lang) -> str:
    if consent is None:
        return ""
    words = _CONSENTS[consent][lang] if consent in _CONSENTS else consent
    return f"（本人同意{words}的除外）" if lang == "zh" else f" (unless the person consented to {words})"


def _clauses(policy: Policy, lang: Lang) -> Iterator[str]:
    for category in dict.fromkeys(name for pack in policy.packs for name in pack.clauses):
        if category not in ("hours", "contact"):
            found = policy.clause(category)
            yield f"{category_name(category, lang)} — {marked(found.cite, found.review, lang)}"


def _records(policy: Policy, lang: Lang) -> Iterator[str]:
    unknown = "未定" if lang == "zh" else "not established"
    for pack in policy.packs:
        for name, record in pack.records.items():
            least = unknown if record.keep_days_min is None else record.keep_days_min
            most = unknown if record.keep_days_max is None else record.keep_days_max
            span = f"至少 {least}、至多 {most} 天" if lang == "zh" else f"days at least {least}, at most {most}"
            yield f"{name}: {span} — {marked(record.cite, record.review, lang)}"
