"""The semantic model as the gate's last check. Its findings can only add a refusal; nothing here lifts one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from agent.events import CallFacts
from compliance_checks.check import Finding, Sentence
from compliance_checks.policy import Policy
from compliance_checks.semantic.model import SemanticModel
from compliance_checks.semantic.text import plain, windows

# What the case file says to be true is the ledger's and the consequence check's to judge, not the model's.
_LIFTED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "false_consequence": ("lawsuit_filed", "credit_report_due"),
    "fees": ("fees_allowed",),
}
# Characters below which there is too little to go by ("Yes, I'm a robot."): such a text is the rules' alone.
_LEAST: Final[Mapping[str, int]] = {"zh": 8, "en": 20}
EXPLANATION: Final[Mapping[str, str]] = {
    "zh": "语义模型认为这句话近似违规用语（规则未命中）。",
    "en": "The semantic model finds this close to violations that it knows; no rule named it.",
}


class SemanticCheck:
    """Refuses what the model takes for a violation. A model that breaks raises, which the gate takes for a no."""

    def __init__(self, model: SemanticModel) -> None:
        self.model = model

    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        least = _LEAST[sentence.lang]
        texts = [t for t in windows(plain(sentence, facts.case), sentence.lang) if len(t) >= least]
        judged = self.model.judge(texts, sentence.lang, facts.party)
        if len(judged) != len(texts):
            raise ValueError("the semantic model did not judge every window")
        limit = self.model.threshold(sentence.lang)
        # A probability that is no number counts as a violation: it is not below the limit.
        standing = [j for j in judged if not j.violation < limit and not _lifted(j.category, facts)]
        if standing:
            worst = max(standing, key=lambda j: j.violation)
            size = len(sentence.original)
            yield Finding(f"semantic.{worst.category}", worst.category, 0, size, explanation=EXPLANATION)


def _lifted(category: str, facts: CallFacts) -> bool:
    # The verified borrower may be told of the debt: to them nothing about it is a disclosure.
    if category == "disclosure" and facts.party == "borrower":
        return True
    return any(facts.case.get(key) for key in _LIFTED_BY.get(category, ()))
