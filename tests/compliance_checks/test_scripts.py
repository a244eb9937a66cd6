"""Every line of the approved scripts, rendered, passes the gate in the company it is meant for."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from agent.events import CallFacts, Lang, Party, Proposed
from compliance_checks import Gate
from scripts.loader import find_scripts, parse
from scripts.render import fill

BORROWER_ONLY = frozenset({"debt_facts", "ask_payment", "read_back", "plan_offer", "payment_channel", "consequence"})
COMMON: dict[str, Any] = {
    "amount_due": "3500.00",
    "days_past_due": 6,
    "due_date": "2026-11-15",
    "min_payment": "500.00",
    "id_last4": "2375",
    "credit_report_due": True,
    "promise_date": "2026-11-25",
    "promise_amount": "2000.00",
    "date_option_1": "2026-11-24",
    "date_option_2": "2026-12-01",
    "amount_option_1": "300.00",
    "amount_option_2": "500.00",
    "callback_date": "2026-11-23",
    "callback_time": "15:30",
}
CASE: dict[Lang, dict[str, Any]] = {
    "zh": {
        **COMMON,
        "borrower_name": "张伟",
        "agent_name": "小云",
        "lender": "安心银行",
        "product": "安心贷",
        "currency": "CNY",
        "payee": "安心银行手机应用",
        "plan_name": "三期分期方案",
        "call_back_number": "4008001234",
    },
    "en": {
        **COMMON,
        "borrower_name": "James Wilson",
        "agent_name": "Amy",
        "lender": "Anxin Bank",
        "product": "personal loan",
        "currency": "USD",
        "payee": "the Anxin Bank app",
        "plan_name": "three month instalment plan",
        "call_back_number": "8005551234",
    },
}


@pytest.mark.parametrize("path", find_scripts(), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_every_rendered_line_passes(gate: Gate, path: Any) -> None:
    script = parse(path)
    content, case = script.content, CASE[script.lang]
    done = frozenset({"ai_disclosure", "recording_disclosure", "debt_collector_notice"})
    for line_id, spec in content.lines.items():
        for template in (spec.text, *spec.alternates.values()):
            used = [name for name in content.slots if "{" + name + "}" in template]
            if not all(name in case for name in used):
                continue
            values = {name: case[name] for name in used}
            text = fill(
                template, content.slots, values, script.lang, currency=case["currency"], today=date(2026, 11, 21)
            )
            private = any(content.slots[name].protected for name in used) or BORROWER_ONLY & set(spec.purposes)
            parties: list[Party] = ["borrower"]
            if not private and set(spec.purposes) & {"relay_request", "voicemail_message", "handoff", "goodbye"}:
                parties += ["unverified", "third_party", "voicemail"]
            for party in parties:
                line = Proposed(line_id, text, script.lang, purposes=frozenset(spec.purposes))
                verdict, approved = gate.approve(line, CallFacts(script.lang, party, script.policy, case, done))
                assert approved is not None, (line_id, party, text, [hit.id for hit in verdict.rules])
