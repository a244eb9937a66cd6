"""Whatever the scripts say, in any state and to anybody, passes the gate with the facts of that moment."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import get_args

import pytest

from agent.case import demo_case
from agent.dialogue import Dialogue, Event, MachineDetected, NotHeard, Say, Silence, State
from agent.events import Heard, Lang, Party, Proposed, SlotValue, Span, Understood
from compliance_checks.gate import Gate
from scripts.loader import load_script
from scripts.schema import INTENTS

TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
LANGS: tuple[Lang, ...] = get_args(Lang)
DISCLOSED = frozenset({"ai_disclosure", "recording_disclosure", "debt_collector_notice"})


def events(lang: Lang) -> list[Event]:
    slots = {
        "date": SlotValue("2026-12-01", "", 0, 0),
        "amount": SlotValue("300.00" if lang == "en" else "3000.00", "", 0, 0),
        "time": SlotValue("15:00", "", 0, 0),
    }
    unclear = {"date": SlotValue(None, "", 0, 0, ("2026-12-01", "2026-12-08"))}
    found: list[Event] = [Silence(6), NotHeard(), MachineDetected()]
    for intent in INTENTS:
        answers = intent in ("promise_to_pay", "affirm", "other", "callback_later")
        for filled in ({}, slots, unclear, {"digits": SlotValue("4072", "", 0, 0)}) if answers else ({},):
            for emotion in ("neutral", "sad"):
                heard = Heard("", lang, Span(0, 1))
                found.append(Understood(heard, intent, 0.9, ((intent, 0.9),), filled, emotion))
    return found


@pytest.mark.parametrize("lang", LANGS)
def test_every_line_in_every_state_passes_the_gate(lang: Lang, gate: Gate) -> None:
    script = load_script("days_1_15_reminder", lang, NOW)
    case = demo_case(lang, TODAY)
    dialogue = Dialogue(script, case, TODAY)
    judged: dict[tuple[str, Party], str] = {}
    failures: list[str] = []

    def judge(state: State, lines: list[Proposed]) -> None:
        for line in lines:
            if (line.text, state.party) in judged:
                continue
            judged[line.text, state.party] = line.line_id
            verdict, approved = gate.approve(line, state.facts(case), script)
            if approved is None:
                failures.append(f"{state.party}: {line.line_id}: {line.text} {[hit.id for hit in verdict.rules]}")

    start, actions = dialogue.start()
    judge(start, [a.proposed for a in actions if isinstance(a, Say)])
    for name, spec in script.content.states.items():
        for party in spec.party:
            state = replace(
                start,
                node=name,
                party=party,
                purposes_done=DISCLOSED,
                promise_date="2026-12-01",
                promise_amount="300.00",
                date_options=("2026-12-01", "2026-12-08") if name == "clarify_date" else (),
                amount_options=("300.00", "350.00") if name == "clarify_amount" else (),
                plan=case.plans[0],
            )
            for event in events(lang):
                after, actions = dialogue.step(state, event)
                for _ in range(3):  # what is said at the first, second and third time
                    judge(after, [a.proposed for a in actions if isinstance(a, Say)])
                    if after.closing:
                        break
                    after, actions = dialogue.step(after, event)
    assert failures == []
    said = set(judged.values())
    for line_id in set(script.content.lines) - said:  # said only on rarer turns: judged as they would be there
        line = script.content.lines[line_id]
        who: Party = "voicemail" if "voicemail_message" in line.purposes else "unverified"
        if any(script.content.slots[slot].protected for slot in line.slots()) or "debt_facts" in line.purposes:
            who = "borrower"
        state = replace(start, party=who, purposes_done=DISCLOSED, callback_date="2026-12-01", callback_time="15:00")
        judge(state, [dialogue.propose(state, line_id)])
    assert failures == []


@pytest.mark.parametrize("lang", LANGS)
def test_every_line_passes_whatever_the_figures_are(lang: Lang, gate: Gate) -> None:
    """Figures make words: 三千二百五十八 holds an insult, and no borrower owes less for it."""
    script = load_script("days_1_15_reminder", lang, NOW)
    rng = random.Random(4)
    amounts = [Decimal(n) for n in (250, 1250, 3250, 12_500, 13_258, 1_314, 1_413, 7_438, 4_444)]
    amounts += [Decimal(rng.randint(60, 99_999)) for _ in range(20)]
    amounts += [Decimal(rng.randint(6_000, 9_999_999)) / 100 for _ in range(20)]
    refused = []
    for amount in amounts:
        late = rng.randint(1, 15)
        today = date(2026, rng.randint(1, 12), rng.randint(1, 28))
        case = replace(
            demo_case(lang, today),
            amount_due=amount.quantize(Decimal("0.01")),
            min_payment=None,
            days_past_due=late,
            due_date=today - timedelta(days=late),
        )
        dialogue = Dialogue(script, case, today)
        state = replace(
            dialogue.start()[0],
            party="borrower",
            purposes_done=DISCLOSED,
            promise_date=(today + timedelta(days=rng.randint(0, 30))).isoformat(),
            promise_amount=str(case.amount_due),
        )
        for line_id, line in script.content.lines.items():
            if line.slots() & {"amount_due", "promise_amount", "due_date", "days_past_due", "promise_date"}:
                proposed = dialogue.propose(state, line_id)
                if gate.approve(proposed, state.facts(case), script)[1] is None:
                    refused.append(proposed.text)
    assert refused == []
