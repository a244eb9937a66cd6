"""Every violation of the corpus, disguised in every way: the gate must still refuse it.

A disguise is put on the words that a rule hung on (the heads of its matches), where it hurts most. Counted are the
violations that the gate refuses undisguised; what it misses plain is the corpus test's affair.
"""

from __future__ import annotations

import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

import pytest

from agent.events import CallFacts, Lang, Verdict
from compliance_checks import Gate
from compliance_checks.corpus import Example, load
from compliance_checks.rulebook import Rulebook
from compliance_checks.semantic.mutations import KINDS, Span, disguise

BOOK = Rulebook()
# Ways that leave each character recognisable must hide nothing; the others change what is written, not what is heard.
PLAIN_WAYS = frozenset({"spaces", "symbols", "full_width", "zero_width", "traditional", "stretched", "look_alikes"})


def telling(row: Example, verdict: Verdict) -> list[Span]:
    """Where the words stand on which the verdict hangs, one word a place."""
    rules = {hit.id for hit in verdict.rules}
    places = {
        reading.view.origin(match.head, match.head_end)
        for reading in BOOK.read(row.text, row.lang).readings
        for rule, matches in reading.matches.items()
        if rule in rules
        for match in matches
    }
    places = places or {(hit.start, hit.end) for hit in verdict.rules}
    if row.lang == "zh":
        return sorted(places)
    words = [match.span() for match in re.finditer(r"[A-Za-z']{4,}", row.text)]
    return sorted(
        {
            max((w for w in words if w[0] < end and start < w[1]), key=lambda w: w[1] - w[0], default=(start, end))
            for start, end in places
        }
    )


def recall(
    gate: Gate, rows: Iterable[Example], seed: int
) -> tuple[Counter[tuple[str, Lang]], Counter[tuple[str, Lang]]]:
    """Disguised sentences refused, and all of them, by way and language."""
    caught: Counter[tuple[str, Lang]] = Counter()
    made: Counter[tuple[str, Lang]] = Counter()
    for row in rows:
        verdict = gate.judge(row.text, row.call())
        if verdict.decision == "allow":
            continue
        places = telling(row, verdict)
        for kind in KINDS:
            text = disguise(row.text, row.lang, kind, seed, places)
            if text is not None:
                made[kind, row.lang] += 1
                caught[kind, row.lang] += gate.judge(text, row.call()).decision != "allow"
    return caught, made


def shares(caught: Counter[tuple[str, Lang]], made: Counter[tuple[str, Lang]]) -> dict[tuple[str, Lang], float]:
    return {key: round(caught[key] / made[key], 3) for key in made}


def check(caught: Counter[tuple[str, Lang]], made: Counter[tuple[str, Lang]]) -> None:
    by_way = shares(caught, made)
    assert caught.total() / made.total() >= 0.95, by_way
    plain = {key for key in made if key[0] in PLAIN_WAYS}
    assert sum(caught[k] for k in plain) / sum(made[k] for k in plain) >= 0.97, by_way


def violations() -> list[Example]:
    return [row for row in load() if row.violation and row.form != "disguised"]


def test_a_sample_of_violations_is_refused_in_every_disguise(gate: Gate) -> None:
    rows = violations()
    random.Random(11).shuffle(rows)
    check(*recall(gate, rows[:120], seed=1))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_violation_is_refused_in_every_disguise(gate: Gate) -> None:
    check(*recall(gate, violations(), seed=2))


def test_there_are_at_least_ten_ways_and_each_language_has_ten() -> None:
    found: defaultdict[Lang, set[str]] = defaultdict(set)
    samples: list[tuple[str, Lang]] = [
        ("再不还钱我们就报警抓你，老赖，卡号 6222，人力。", "zh"),
        ("We will have you arrested by the police. My number is 12345 now, deadbeat.", "en"),
    ]
    for text, lang in samples:
        found[lang] = {kind for kind in KINDS if disguise(text, lang, kind, 1) is not None}
    assert len(found["zh"]) >= 10
    assert len(found["en"]) >= 10


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_disguise_is_the_same_every_time_and_changes_something(kind: str) -> None:
    for row in violations()[::60]:
        once = disguise(row.text, row.lang, kind, 3)
        assert once == disguise(row.text, row.lang, kind, 3)
        assert once != row.text


def test_a_disguise_alone_is_no_violation(gate: Gate) -> None:
    """Compliant sentences that arrive full-width, in traditional characters or with zero-width marks still pass."""
    rows = [row for row in load() if not row.violation]
    random.Random(5).shuffle(rows)
    judged = refused = 0
    for row in rows[:60]:
        if gate.judge(row.text, row.call()).decision != "allow":
            continue
        for kind in ("full_width", "zero_width", "traditional"):
            text = disguise(row.text, row.lang, kind, 1, [(0, len(row.text))])
            if text is not None:
                judged += 1
                refused += gate.judge(text, row.call()).decision != "allow"
    assert judged > 60
    assert refused / judged <= 0.03


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("您好，请在app里查看您的账单。", True),
        ("您可以用ATM机还款，也可以在官方APP里还。", True),
        ("这里是Harbor，请问是张先生吗？", True),
        ("再不还就bj抓你。", False),
        ("你真是个laolai。", False),
        ("我们会去你danwei看看。", False),
        ("你tm听好了。", False),
    ],
)
def test_letters_that_cannot_be_judged_are_refused(gate: Gate, text: str, fine: bool) -> None:
    facts = CallFacts("zh", "borrower", None, {"lender": "Harbor"})
    assert (gate.judge(text, facts).decision == "allow") is fine


def test_the_case_files_own_names_may_be_latin(gate: Gate) -> None:
    named = CallFacts("zh", "borrower", None, {"lender": "anxin贷", "agent_name": "Amy"})
    assert gate.judge("您好，我是anxin贷的智能助手Amy。", named).decision == "allow"
    assert gate.judge("您好，我是anxin贷的智能助手Amy。", CallFacts("zh", "borrower")).decision != "allow"
