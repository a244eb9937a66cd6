"""The gate: judges every sentence, and alone turns a proposed line into one that may be spoken.

It fails closed: a sentence that cannot be read, a policy that is not known, a check that breaks, all end in a
refusal that says so. Verdicts depend on the arguments alone.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from agent.events import CallFacts, Decision, Lang, Party, Proposed, RuleHit, Verdict
from compliance_checks import approved
from compliance_checks.approved import ApprovedLine
from compliance_checks.check import Check, Finding, Sentence
from compliance_checks.checks import default_checks
from compliance_checks.checks.disclosure import Disclosure
from compliance_checks.checks.ledger import amounts_of, has_ledger
from compliance_checks.checks.script_language import EXPLANATION as SCRIPT_LANGUAGE
from compliance_checks.checks.slots import NAMES, bad_name
from compliance_checks.folding import is_han
from compliance_checks.in_force import rules_hash
from compliance_checks.language import foreign
from compliance_checks.names import names_in
from compliance_checks.numbers import money_en, money_zh
from compliance_checks.policy import Policies, Policy, PolicyError
from compliance_checks.rulebook import Rulebook
from compliance_checks.semantic.check import SemanticCheck
from compliance_checks.semantic.load import load_model
from compliance_checks.semantic.model import SemanticError
from compliance_checks.stopped import Stopped
from compliance_checks.terms import PatternError

log = logging.getLogger(__name__)

MAX_TEXT: Final = 2000
SEMANTIC_DEFAULT: Final[str | None] = "embedded"
NO_MODEL: Final = "none"
_STRICTNESS: Final[Mapping[Decision, int]] = {"allow": 0, "rewrite": 1, "refuse": 2, "escalate": 3, "end_call": 4}
_LANGS: Final[frozenset[Lang]] = frozenset({"zh", "en"})
_PARTIES: Final[frozenset[Party]] = frozenset({"unverified", "borrower", "third_party", "voicemail"})
# What may be said before the disclosures: greetings, the disclosures themselves, getting off the line, help.
BEFORE_DISCLOSURE: Final = frozenset(
    {
        "ai_disclosure",
        "recording_disclosure",
        "emotion_disclosure",
        "greeting",
        "handoff",
        "goodbye",
        "crisis_support",
        "ai_truth",
        "apology",
        "acknowledge",
        "repair",
        "deescalate",
        "voicemail_message",
    }
)
# What is about the debt itself: where a law wants the borrower told who calls and why, it wants that before these.
DEBT_BUSINESS: Final = frozenset(
    {"debt_facts", "ask_payment", "read_back", "plan_offer", "payment_channel", "consequence"}
)
_EXPLAIN: Final[Mapping[str, Mapping[str, str]]] = {
    "gate.not_text": {"zh": "不是文本。", "en": "Is not text."},
    "gate.empty": {"zh": "没有可判断的内容。", "en": "Holds nothing to judge."},
    "gate.too_long": {"zh": f"超过 {MAX_TEXT} 个字符。", "en": f"Is longer than {MAX_TEXT} characters."},
    "gate.wrong_language": {"zh": "不是所声明的语言。", "en": "Is not in the declared language."},
    "gate.unreadable": {"zh": "含有无法判断的文字。", "en": "Contains a script that cannot be judged."},
    "gate.unknown_language": {"zh": "未知语言。", "en": "The language is not known."},
    "gate.unknown_party": {"zh": "未知的通话对象。", "en": "The party is not known."},
    "gate.unknown_policy": {"zh": "未知的合规策略。", "en": "The policy is not known."},
    "gate.cannot_judge": {"zh": "检查未能完成，按拒绝处理。", "en": "A check could not finish, so the answer is no."},
    "gate.bad_rewrite": {"zh": "替代语句未通过检查。", "en": "The approved alternative did not pass."},
    "gate.language_of_call": {"zh": "话术语言与通话语言不一致。", "en": "The line is not in the language of the call."},
    "gate.language_of_script": SCRIPT_LANGUAGE,
    "gate.not_in_script": {
        "zh": "策略只允许已批准话术中的语句。",
        "en": "The policy lets nothing be said but lines of an approved script.",
    },
    "gate.script_changed": {"zh": "话术与批准的版本不一致。", "en": "The script is not the approved one."},
    "slot.bad_name": {"zh": "字段内容不像名称。", "en": "A slot that should hold a name does not look like one."},
    "slot.differs": {"zh": "字段内容与案件记录不符。", "en": "A slot differs from the case file."},
    "ledger.unverifiable": {"zh": "没有账务记录可核对金额。", "en": "There is no ledger to check the amount against."},
    "disclosure.missing": {
        "zh": "尚未完成必须的告知（智能语音、录音等）。",
        "en": "A mandatory disclosure (AI, recording …) has not been made yet.",
    },
}


@runtime_checkable
class ScriptLike(Protocol):
    """What the gate asks of a script: its identity and the hash of its approved content."""

    @property
    def id(self) -> str: ...
    @property
    def content_hash(self) -> str: ...


class Gate:
    """Rules, packs and checks, loaded once and shared by every call; stateless, safe between threads."""

    def __init__(
        self, rulebook: Rulebook, policies: Policies, checks: Sequence[Check], last: Check | None = None
    ) -> None:
        """``last`` is asked only where no other check found anything: it can add a refusal and lift none."""
        self._rulebook = rulebook
        self._policies = policies
        self._checks = tuple(checks)
        self._last = last

    @classmethod
    def load(
        cls,
        packs: Path | None = None,
        rules_dir: Path | None = None,
        semantic: str | Path | None = SEMANTIC_DEFAULT,
    ) -> Gate:
        """The gate with the packs that ship, and over them those of the operator's folder ``packs``.

        ``semantic`` is the model beside the rules: ``"embedded"``, a ``.npz`` file, or the name or folder of a
        transformers text classifier; ``None`` or ``"none"`` for the rules alone. Raises ``PolicyError``,
        ``PatternError`` or ``SemanticError`` naming the file that cannot be read.
        """
        rulebook = Rulebook(rules_dir)
        if semantic is None or semantic == NO_MODEL:
            return cls(rulebook, Policies(None, rulebook.hash, overlays_dir=packs), _checks(rulebook))
        last = SemanticCheck(load_model(semantic))
        policies = Policies(None, rules_hash(rulebook.hash, last.model.fingerprint), overlays_dir=packs)
        return cls(rulebook, policies, _checks(rulebook), last)

    @property
    def policies(self) -> Policies:
        return self._policies

    def judge(self, text: object, facts: CallFacts) -> Verdict:
        """The verdict on one sentence. Never raises."""
        try:
            return self._judge(text, facts)
        except Exception as error:
            # The text stays out of the log: it may hold a person's data.
            log.error("a sentence could not be judged: %s", type(error).__name__)
            return _refusal("gate.cannot_judge", text)

    def approve(
        self, proposed: Proposed, facts: CallFacts, script: ScriptLike | None = None
    ) -> tuple[Verdict, ApprovedLine | None]:
        """Judge a scripted line in its call; the line to speak if, and only if, the verdict is ``allow``.

        Beyond :meth:`judge`: the line's language is the call's, its slots are typed and agree with the case file,
        an amount needs a ledger, mandatory disclosures come first, the script is the approved one. Never raises.
        """
        try:
            verdict = self._judge_line(proposed, facts, script)
            if verdict.decision != "allow":
                return verdict, None
            return verdict, approved._seal(proposed, verdict)
        except Exception as error:
            log.error("a line could not be judged: %s", type(error).__name__)
            return _refusal("gate.cannot_judge", getattr(proposed, "text", "")), None

    # -- one sentence

    def _judge(self, text: object, facts: CallFacts, scripted: bool = False) -> Verdict:
        problem = _unfit(text, facts)
        if problem or not isinstance(text, str):
            return _refusal(problem or "gate.not_text", text)
        try:
            policy = self._policies.resolve(facts.policy, facts.lang)
        except PolicyError:
            return _refusal("gate.unknown_policy", text)
        if policy.approved_lines_only and not scripted:
            return _refusal("gate.not_in_script", text, policy)
        sentence = self._rulebook.read(text, facts.lang, names_in(text, facts.case))
        problem = _unreadable(sentence)
        if problem:
            return _refusal(problem, text, policy)
        return self._decide(sentence, self._findings(sentence, facts, policy), facts, policy)

    def _findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> list[Finding]:
        found: list[Finding] = []
        for check in (*self._checks, self._last):
            if check is None or (check is self._last and found):
                continue
            try:
                found.extend(check.findings(sentence, facts, policy))
            except Exception as error:
                log.error("the check %s failed: %s", type(check).__name__, type(error).__name__)
                found.append(_gate_finding("gate.cannot_judge", sentence.original))
        return found

    def _decide(self, sentence: Sentence, found: list[Finding], facts: CallFacts, policy: Policy) -> Verdict:
        if not found:
            return Verdict("allow", sentence.original, (), policy.hash)
        hits = _hits(found, policy, len(sentence.original))
        decision = max((f.decision for f in found), key=lambda d: _STRICTNESS[d])
        text = ""
        if decision == "rewrite":
            names = {f.alternative for f in found}
            name = names.pop() if len(names) == 1 else None
            text = self._rulebook.alternatives.get(name or "", {}).get(facts.lang, "")
            if not text or self._judge(text, facts, scripted=True).decision != "allow":
                decision, text = "refuse", ""
        return Verdict(decision, text, hits, policy.hash)

    # -- one line of a script

    def _judge_line(self, proposed: Proposed, facts: CallFacts, script: ScriptLike | None) -> Verdict:
        merged = replace(facts, case={**proposed.slots, **facts.case})
        scripted = bool(proposed.script_id and proposed.script_hash)
        verdict = replace(self._judge(proposed.text, merged, scripted), script_hash=proposed.script_hash)
        try:
            policy = self._policies.resolve(facts.policy, facts.lang)
        except PolicyError:
            return verdict
        problems = list(self._line_problems(proposed, facts, script, policy))
        if not problems:
            return verdict
        extra = _hits([_gate_finding(p, proposed.text) for p in problems], policy, len(proposed.text))
        decision = max((verdict.decision, "refuse"), key=lambda d: _STRICTNESS[d])
        return replace(verdict, decision=decision, text="", rules=verdict.rules + extra)

    def _line_problems(
        self, proposed: Proposed, facts: CallFacts, script: ScriptLike | None, policy: Policy
    ) -> Iterable[str]:
        if proposed.lang != facts.lang:
            yield "gate.language_of_call"
        if policy.script_language_only and getattr(script, "lang", facts.lang) != proposed.lang:
            yield "gate.language_of_script"
        if script is not None and (script.id, script.content_hash) != (proposed.script_id, proposed.script_hash):
            yield "gate.script_changed"
        for key, value in proposed.slots.items():
            if key in NAMES and bad_name(key, value):
                yield "slot.bad_name"
            known = facts.case.get(key)
            if key in NAMES and isinstance(known, str) and known.strip() != str(value).strip():
                yield "slot.differs"
        case = {**proposed.slots, **facts.case}
        if facts.party == "borrower" and not has_ledger(case) and not amounts_of(case):
            view = self._rulebook.read(proposed.text, proposed.lang)
            if any(any(money_zh(r.view) if r.lang == "zh" else money_en(r.view)) for r in view.readings):
                yield "ledger.unverifiable"
        business = not proposed.purposes or proposed.purposes - BEFORE_DISCLOSURE
        of_the_debt = not proposed.purposes or bool(proposed.purposes & DEBT_BUSINESS)
        required = set(policy.disclosures if business else ())
        if facts.party == "borrower" and of_the_debt:
            required |= set(policy.borrower_disclosures)
        if required - facts.purposes_done - proposed.purposes:
            yield "disclosure.missing"


def _checks(rulebook: Rulebook) -> tuple[Check, ...]:
    return (*default_checks(rulebook), Stopped(Disclosure(rulebook)))


def _unfit(text: object, facts: CallFacts) -> str | None:
    """Why the arguments cannot be judged at all, or ``None``."""
    if not isinstance(text, str):
        return "gate.not_text"
    if facts.lang not in _LANGS:
        return "gate.unknown_language"
    if facts.party not in _PARTIES:
        return "gate.unknown_party"
    if len(text) > MAX_TEXT:
        return "gate.too_long"
    # Lone surrogates are no characters: nothing after the gate could even encode them.
    return "gate.unreadable" if any("\ud800" <= char <= "\udfff" for char in text) else None


_LATIN_WORD: Final = re.compile("[a-z]+")
_FIGURE: Final = re.compile("[0-9]")


def _unreadable(sentence: Sentence) -> str | None:
    text = sentence.base.text
    if text.isascii():  # the common English case at the speed of one regular expression
        words = len(_LATIN_WORD.findall(text))
        if not words:
            return None if _FIGURE.search(text) else "gate.empty"
        if sentence.lang == "zh" or (words > 2 and foreign(text)):
            return "gate.wrong_language"
        return None
    han = latin = words = 0
    inside = False
    digits = False
    for char in text:
        if "a" <= char <= "z":
            latin += 1
            words += not inside
            inside = True
            continue
        inside = False
        if is_han(char):
            han += 1
        elif char.isdigit():
            digits = True
        elif char.isalpha():
            return "gate.unreadable"
    if not han and not latin:
        return None if digits else "gate.empty"
    if sentence.lang == "zh" and (not han or words > 2 * han):
        return "gate.wrong_language"
    if sentence.lang == "en" and (not latin or han > words):
        return "gate.wrong_language"
    # Spanish has no rules here: what cannot be judged is refused.
    if words > 2 and foreign(sentence.base.text):
        return "gate.wrong_language"
    return None


def _gate_finding(rule: str, text: object) -> Finding:
    category = {"disclosure.missing": "missing_disclosure"}.get(rule) or {
        "slot": "injection",
        "ledger": "amount",
    }.get(rule.partition(".")[0], "gate")
    size = len(text) if isinstance(text, str) else 0
    return Finding(rule, category, 0, size, explanation=_EXPLAIN[rule])


def _refusal(rule: str, text: object, policy: Policy | None = None) -> Verdict:
    found = _gate_finding(rule, text)
    clause = policy.clause(found.category).cite if policy else "Callgate floor: what the gate cannot judge, it refuses"
    hit = RuleHit(rule, found.category, clause, found.start, found.end, "confirmed", found.explanation)
    return Verdict("refuse", "", (hit,), policy.hash if policy else "")


def _hits(found: Iterable[Finding], policy: Policy, size: int) -> tuple[RuleHit, ...]:
    """Findings as rule hits in order of place; of overlapping hits of one rule the longest stays."""
    kept: list[Finding] = []
    for one in sorted(found, key=lambda f: (f.rule, f.start, -f.end)):
        if kept and kept[-1].rule == one.rule and one.start < kept[-1].end:
            kept[-1] = replace(kept[-1], end=max(kept[-1].end, one.end))
            continue
        kept.append(one)
    hits = []
    for one in sorted(kept, key=lambda f: (f.start, f.end, f.rule)):
        clause = policy.clause(one.category)
        start = min(max(one.start, 0), size)
        end = min(max(one.end, start), size)
        hits.append(RuleHit(one.rule, one.category, clause.cite, start, end, clause.review, one.explanation))
    return tuple(hits)


__all__ = ["BEFORE_DISCLOSURE", "MAX_TEXT", "Gate", "PatternError", "PolicyError", "ScriptLike", "SemanticError"]
