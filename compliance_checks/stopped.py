"""Once the case file says that nobody may be asked for money, a sentence about the debt ends the call.

The flags are those of the contact rules. They may become true while the call lasts: the borrower names a lawyer, or
says stop; the caller of the gate puts that into the facts, and from then on only courtesy passes. A disputed debt is
not among them, because a dispute is taken down in words about the debt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from agent.events import CallFacts, Decision
from compliance_checks.check import Check, Finding, Sentence
from compliance_checks.policy import Policy

_FLAGS: Final[Mapping[str, tuple[Decision, str, Mapping[str, str]]]] = {
    "crisis": (
        "escalate",
        "crisis",
        {
            "zh": "借款人处于危机之中，不得再谈债务，须转人工。",
            "en": "The person is in crisis: no word of debt, a human takes over.",
        },
    ),
    "do_not_contact": (
        "end_call",
        "stopped",
        {"zh": "已列入禁止联系名单，须结束通话。", "en": "The person is on the do-not-contact list: end the call."},
    ),
    "cease_requested": (
        "end_call",
        "stopped",
        {"zh": "本人已要求停止联系，须结束通话。", "en": "The person asked us to stop: end the call."},
    ),
    "attorney": (
        "end_call",
        "stopped",
        {"zh": "本人已委托律师，须结束通话。", "en": "A lawyer represents the person: end the call."},
    ),
    "deceased": (
        "end_call",
        "stopped",
        {"zh": "借款人已身故或无行为能力，须结束通话。", "en": "The borrower has died or cannot act: end the call."},
    ),
    "bankrupt": (
        "end_call",
        "stopped",
        {"zh": "借款人处于破产程序中，须结束通话。", "en": "The borrower is in bankruptcy proceedings: end the call."},
    ),
}


class Stopped:
    """``debt_talk`` finds words of a debt, as it does for somebody who is not the verified borrower."""

    def __init__(self, debt_talk: Check) -> None:
        self._debt_talk = debt_talk

    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        # Only the literal True of the case file counts: "true" in a string is somebody's text.
        flags = [name for name in _FLAGS if facts.case.get(name) is True]
        if not flags:
            return
        for talk in self._debt_talk.findings(sentence, replace(facts, party="unverified"), policy):
            for name in flags:
                decision, category, explanation = _FLAGS[name]
                yield Finding(f"stopped.{name}", category, talk.start, talk.end, decision, explanation)
