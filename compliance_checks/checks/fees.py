"""No fee may be named that the case file does not allow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from agent.events import CallFacts
from compliance_checks.check import Finding, Sentence
from compliance_checks.checks.wording import Wording, finding
from compliance_checks.folding import fold
from compliance_checks.policy import Policy
from compliance_checks.rulebook import Rulebook

# One fee under its names in both languages, so that a ledger code allows the words that are spoken.
_SYNONYMS: tuple[frozenset[str], ...] = (
    frozenset({"late fee", "late fees", "滞纳金", "违约金", "逾期费"}),
    frozenset({"penalty interest", "interest penalty", "罚息"}),
    frozenset({"processing fee", "processing fees", "handling fee", "手续费", "处理费"}),
    frozenset({"service charge", "service charges", "service fee", "服务费", "管理费"}),
    frozenset({"court cost", "court costs", "court fee", "court fees", "诉讼费"}),
    frozenset({"legal fee", "legal fees", "attorney fee", "attorney fees", "律师费"}),
)


def _names(allowed: object) -> Iterator[str]:
    entries: Iterable[object]
    if isinstance(allowed, str):
        entries = [allowed]
    elif isinstance(allowed, Mapping):
        entries = list(allowed)
    elif isinstance(allowed, list | tuple | set | frozenset):
        entries = allowed
    else:
        return
    for entry in entries:
        name = entry.get("name") if isinstance(entry, Mapping) else entry
        if isinstance(name, str) and name.strip():
            plain = fold(name).text.replace("_", " ").replace("-", " ").strip()
            yield plain
            for group in _SYNONYMS:
                if plain in group:
                    yield from group


class Fees(Wording):
    def __init__(self, rulebook: Rulebook) -> None:
        super().__init__(rulebook, "fees")

    def findings(self, sentence: Sentence, facts: CallFacts, policy: Policy) -> Iterator[Finding]:
        allowed = tuple(_names(facts.case.get("fees_allowed")))
        for rule, reading, match in self.standing(sentence):
            said = reading.view.text[match.head : match.head_end]
            if not any(said == name or said in name or name in said for name in allowed if len(name) > 1):
                yield finding(rule, reading, match)
