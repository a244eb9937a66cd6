"""The language of the script, where the policy demands it; languages that the gate cannot read, always."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.events import CallFacts, Lang, Proposed
from compliance_checks import Gate
from compliance_checks.corpus import default_facts, load
from compliance_checks.describe import describe_policy

DONE = frozenset({"ai_disclosure", "recording_disclosure"})


@dataclass(frozen=True)
class Script:
    id: str = "reminder"
    content_hash: str = "aa"
    lang: Lang = "zh"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    folder: Path = tmp_path_factory.mktemp("packs")
    for name, above in (("one-language", "cn"), ("one-language-us", "us")):
        (folder / f"{name}.yaml").write_text(
            f"id: {name}\njurisdiction: {name}\nlevel: lender\nextends: {above}\ntitle: {{zh: 严, en: strict}}\n"
            "source: s\nsource_kind: house\nreview: confirmed\nscript_language_only: true\n",
            encoding="utf-8",
        )
    return Gate.load(folder)


def facts(lang: Lang, **more: object) -> CallFacts:
    policy = "one-language" if lang == "zh" else "one-language-us"
    return CallFacts(lang, "borrower", policy, {**default_facts(lang), **more}, DONE)


@pytest.mark.parametrize(
    ("text", "lang", "said"),
    [
        ("您好，please pay today，谢谢。", "zh", "please pay today"),
        ("请您今天处理一下。Thank you very much.", "zh", "Thank you very much"),
        ("您的账单已经出来了。Hello!", "zh", "Hello"),
        ("Please call me back, 谢谢。", "en", "谢谢"),
        ("Your payment is 逾期 now.", "en", "逾期"),
    ],
)
def test_another_language_is_refused_where_the_policy_demands_one(
    strict: Gate, text: str, lang: Lang, said: str
) -> None:
    hits = [h for h in strict.judge(text, facts(lang)).rules if h.id == "gate.language_of_script"]
    assert [text[h.start : h.end] for h in hits] == [said]
    assert hits[0].explanation["zh"] and hits[0].explanation["en"]
    free = replace(facts(lang), policy=None)
    assert all(h.id != "gate.language_of_script" for h in strict.judge(text, free).rules)


@pytest.mark.parametrize(
    ("text", "lang", "more"),
    [
        ("您可以在手机银行App里还款。", "zh", {}),
        ("我是AI助手，不会问您的PIN。", "zh", {}),
        ("您好，这里是Harbor Credit Union。", "zh", {"lender": "Harbor Credit Union"}),
        ("Hello, may I speak with 张伟?", "en", {"borrower_name": "张伟"}),
        ("Thank you for calling back.", "en", {}),
    ],
)
def test_names_and_loan_words_belong_to_the_language(
    strict: Gate, text: str, lang: Lang, more: dict[str, object]
) -> None:
    assert strict.judge(text, facts(lang, **more)).decision == "allow"


def test_a_line_in_another_language_than_its_script_is_refused(strict: Gate) -> None:
    line = Proposed("thanks", "Thank you for your time.", "en", script_id="reminder", script_hash="aa")
    policy = strict.policies.resolve("one-language-us", "en")
    done = frozenset((*policy.disclosures, *policy.borrower_disclosures))
    call = replace(facts("en"), purposes_done=done)
    verdict, approved = strict.approve(line, call, Script(lang="zh"))
    assert "gate.language_of_script" in {h.id for h in verdict.rules}
    assert approved is None
    assert strict.approve(line, call, Script(lang="en"))[1] is not None
    assert strict.approve(line, replace(call, policy=None), Script(lang="zh"))[1] is not None


def test_the_policy_page_says_so(strict: Gate) -> None:
    policy = strict.policies.resolve("one-language", "zh")
    assert "话术所用的语言" in describe_policy(policy, "zh")
    assert "the language of the call's script" in describe_policy(policy, "en")
    assert "script_language" not in describe_policy(strict.policies.resolve("cn", "zh"), "en")


@pytest.mark.parametrize(
    "text",
    [
        "Usted debe pagar hoy o llamaremos a la policía.",
        "Vous devez payer votre dette aujourd'hui.",
        "Sie müssen heute bezahlen, sonst kommt die Polizei zu Ihnen und nicht anders.",
        "Sila bayar hutang anda sekarang, kalau tidak kami datang.",
        "Bayaran mo na ang utang ninyo ngayon.",
    ],
)
def test_a_language_that_has_no_rules_is_refused_always(strict: Gate, text: str) -> None:
    verdict = strict.judge(text, CallFacts("en", "borrower", None, default_facts("en")))
    assert verdict.decision == "refuse"
    assert verdict.rules[0].id == "gate.wrong_language"


def test_english_is_never_taken_for_another_language() -> None:
    from compliance_checks.folding import fold
    from compliance_checks.language import foreign

    assert [row.text for row in load(lang="en") if foreign(fold(row.text).text)] == []
