"""Thousands of random calls: the machine never breaks, never tells a stranger, and always comes to an end."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import get_args

import pytest

from agent.case import demo_case
from agent.dialogue import (
    Dialogue,
    Dtmf,
    EndCall,
    Event,
    HungUp,
    LineRefused,
    LineSpoken,
    Listen,
    MachineDetected,
    NotHeard,
    RecordPromise,
    Say,
    Silence,
    State,
)
from agent.events import Disposition, Heard, Lang, SlotValue, Span, Understood, Verdict
from scripts.loader import load_script
from scripts.schema import INTENTS

TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
SECRET_TALK = {"debt_facts", "ask_payment", "read_back", "plan_offer", "payment_channel", "consequence"}


def values(*exact: str) -> list[SlotValue]:
    return [SlotValue(value, "", 0, 0) for value in exact]


def unclear(*candidates: str) -> SlotValue:
    return SlotValue(None, "", 0, 0, candidates)


SLOTS: dict[str, list[SlotValue]] = {
    "date": [
        *values("2026-12-01", "2020-01-01", "2030-01-01", "soon"),
        unclear(),
        unclear("2026-12-01", "2026-12-08", "x"),
    ],
    "amount": [*values("300", "0", "1e9", "NaN", "1.239", "x"), unclear("300", "310")],
    "time": [*values("15:00", "03:00", "noon"), unclear("03:00", "15:00")],
    "digits": values("4072", "1111", "40", "", "four"),
}


def some_event(rng: random.Random, lang: Lang, pending: list[str]) -> Event:
    roll = rng.random()
    if pending and roll < 0.35:
        line = pending.pop(0)
        if rng.random() < 0.05:
            return LineRefused(line, rng.choice([None, Verdict("refuse", ""), Verdict("end_call", "")]))
        return LineSpoken(line, rng.random() < 0.8)
    if roll < 0.85:
        intent = rng.choice((*INTENTS, "confirm_identity", "affirm", "promise_to_pay", "no_such_intent"))
        slots = {name: rng.choice(values) for name, values in SLOTS.items() if rng.random() < 0.4}
        also = ((rng.choice(INTENTS), rng.random()),) if rng.random() < 0.2 else ()
        heard = Heard(rng.choice(["", "四零七二", "four oh seven two", "no", "下周三打给我"]), lang, Span(0, 1))
        emotion = rng.choice(["neutral", "angry", "sad"])
        return Understood(heard, intent, rng.random(), ((intent, 0.5), *also), slots, emotion)
    return rng.choice(
        [Silence(6.0), NotHeard(), MachineDetected(), Dtmf(rng.choice("0123456789*#")), LineSpoken("nothing", True)]
    )


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("lang", get_args(Lang))
def test_random_calls(lang: Lang, seed: int) -> None:
    rng = random.Random(seed)
    script = load_script("days_1_15_reminder", lang, NOW)
    for _ in range(25):
        case = demo_case(lang, TODAY)
        if rng.random() < 0.3:
            case = replace(case, plans=(), call_back_number="", min_payment=None, credit_report_due=False)
        dialogue = Dialogue(script, case, TODAY)
        state, actions = dialogue.start()
        relays, pending = 0, [a.proposed.line_id for a in actions if isinstance(a, Say)]
        for _ in range(120):
            event = some_event(rng, lang, pending)
            before = state
            state, actions = dialogue.step(state, event)
            assert State.from_dict(state.to_dict()) == state
            says = [a.proposed for a in actions if isinstance(a, Say)]
            pending += [line.line_id for line in says]
            for line in says:
                assert "{" not in line.text and line.text
                assert state.party == "borrower" or not SECRET_TALK & line.purposes, (before, event, line)
                assert state.party == "borrower" or case.lender not in line.text
                assert case.id_last4 not in line.text
                repeated = isinstance(event, Understood) and event.intent == "repeat_request"
                relays += "relay_request" in line.purposes and not repeated
            for action in actions:
                if isinstance(action, EndCall):
                    assert action.disposition in get_args(Disposition)
                    assert action.after is None or action.after in [line.line_id for line in says]
                    assert not any("ask_payment" in line.purposes for line in says)
                if isinstance(action, RecordPromise):
                    assert action.date >= TODAY and 0 < action.amount <= case.amount_due
            assert relays <= 1
            if says and not state.closing:
                assert isinstance(actions[-1], Listen)
            assert state.closing or state.turns <= script.content.limits.max_turns + 5
        state, actions = dialogue.step(state, HungUp())
        assert len(actions) == 1 and isinstance(actions[0], EndCall)
        assert dialogue.step(state, Silence(6.0)) == (state, ())
