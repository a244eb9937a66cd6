"""A verdict in words that a compliance officer can read: what was refused, why, and by which clause."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from agent.events import Lang, RuleHit, Verdict

CATEGORIES: Final[Mapping[str, Mapping[Lang, str]]] = {
    "threat": {"zh": "威胁恐吓", "en": "threat"},
    "insult": {"zh": "辱骂", "en": "insult"},
    "harassment": {"zh": "骚扰施压", "en": "harassment and pressure"},
    "privacy": {"zh": "泄露个人信息", "en": "personal data spoken"},
    "disclosure": {"zh": "向他人透露债务", "en": "debt told to somebody else"},
    "impersonation": {"zh": "冒充身份", "en": "impersonation"},
    "false_consequence": {"zh": "虚构后果", "en": "untrue consequence"},
    "amount": {"zh": "金额日期与账务不符", "en": "amount or date not as in the ledger"},
    "fees": {"zh": "额外费用", "en": "extra fee"},
    "payment_diversion": {"zh": "引导付款至他处", "en": "payment to somebody else"},
    "pushing_borrowing": {"zh": "诱导借贷或变卖", "en": "pushing to borrow or sell"},
    "false_promise": {"zh": "虚假承诺", "en": "false promise"},
    "discrimination": {"zh": "歧视", "en": "discrimination"},
    "pretending_human": {"zh": "假称真人", "en": "pretending to be human"},
    "injection": {"zh": "字段注入", "en": "injected slot"},
    "crisis": {"zh": "危机处置不当", "en": "crisis mishandled"},
    "missing_disclosure": {"zh": "缺少必要告知", "en": "mandatory disclosure missing"},
    "stopped": {"zh": "已须停止催收", "en": "collection must have stopped"},
    "gate": {"zh": "无法判断", "en": "cannot be judged"},
    "hours": {"zh": "时段不允许", "en": "outside contact hours"},
    "contact": {"zh": "不得联系", "en": "contact not allowed"},
}
DECISIONS: Final[Mapping[str, Mapping[Lang, str]]] = {
    "allow": {"zh": "允许", "en": "Allowed"},
    "rewrite": {"zh": "改用已批准的语句", "en": "Replaced by an approved line"},
    "refuse": {"zh": "拒绝", "en": "Refused"},
    "escalate": {"zh": "拒绝，转人工", "en": "Refused, hand over to a human"},
    "end_call": {"zh": "拒绝，结束通话", "en": "Refused, end the call"},
}
REVIEW: Final[Mapping[Lang, str]] = {
    "zh": "【待核实：尚无人对照原文确认】",
    "en": " [NEEDS REVIEW: nobody has confirmed this against the primary text]",
}


def category_name(category: str, lang: Lang) -> str:
    return CATEGORIES.get(category, {}).get(lang, category)


def marked(cite: str, review: str, lang: Lang) -> str:
    """A citation with the mark that nobody has confirmed it, if so."""
    return cite if review == "confirmed" else cite + REVIEW[lang]


def explain(text: str, verdict: Verdict, lang: Lang, policy: str = "") -> str:
    """The verdict on ``text`` in ``lang``, several lines of plain text without a newline at the end."""
    zh = lang == "zh"
    quoted = f"“{printable(text)}”"
    lines = [f"{DECISIONS[verdict.decision][lang]}{'：' if zh else ': '}{quoted}"]
    for number, hit in enumerate(verdict.rules, 1):
        lines += _hit(number, hit, text, lang)
    if verdict.decision == "rewrite":
        lines.append(f"  改说：“{verdict.text}”" if zh else f"  Said instead: “{verdict.text}”")
    if verdict.policy_hash:
        name = printable(policy)
        short = verdict.policy_hash[:12]
        lines.append(f"  策略：{name}（{short}）" if zh else f"  Policy: {name} ({short})")
    return "\n".join(lines)


def _hit(number: int, hit: RuleHit, text: str, lang: Lang) -> list[str]:
    zh = lang == "zh"
    said = printable(text[hit.start : hit.end])
    whole = hit.start >= hit.end or said == printable(text)
    where = ("整句" if zh else "the whole sentence") if whole else f"“{said}”"
    if not whole:
        where += f"（第 {hit.start + 1}–{hit.end} 字）" if zh else f" (characters {hit.start + 1}–{hit.end})"
    why = hit.explanation.get(lang, "")
    name = category_name(hit.category, lang)
    clause = marked(hit.clause, hit.review, lang)
    if zh:
        return [f"  {number}. {where}", f"     类别：{name}（{hit.id}）", f"     原因：{why}", f"     依据：{clause}"]
    return [f"  {number}. {where}", f"     Kind:   {name} ({hit.id})", f"     Why:    {why}", f"     Clause: {clause}"]


def printable(text: str) -> str:
    """``text`` without anything that a terminal would obey or could not write."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
