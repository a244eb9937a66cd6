"""Nothing in a language that the call's script does not have, where the policy demands it.

A script is approved in one language, so nobody has approved what is said in another: a Mandarin call with an English
sentence in it, or the other way round. Names, products and other values of the case file may be in any.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from agent.events import CallFacts
from compliance_checks.check import Finding, Sentence
from compliance_checks.language import stretches
from compliance_checks.policy import Policy

EXPLANATION: Final = {
    "zh": "含有通话话术所用语言以外的语言，而策略要求只用话术的语言。",
    "en": "Is partly in a language that the call's script does not have, and the policy demands the script's.",
}


class ScriptLanguage:
    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        if not policy.script_language_only:
            return
        for start, end in stretches(sentence.original, sentence.base, facts.lang, facts.case):
            yield Finding("gate.language_of_script", "gate", start, end, explanation=EXPLANATION)
