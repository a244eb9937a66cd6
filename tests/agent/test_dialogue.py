"""Calls as playbooks: what the borrower means, which lines answer, how the call ends. Both languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from agent.case import CaseFile, demo_case
from agent.dialogue import (
    Action,
    Dialogue,
    Dtmf,
    EndCall,
    Event,
    Flag,
    HungUp,
    LineRefused,
    LineSpoken,
    Listen,
    MachineDetected,
    Note,
    NotHeard,
    RecordPromise,
    Restrict,
    Say,
    SetParty,
    Silence,
    State,
    Transfer,
)
from agent.events import Heard, Lang, SlotValue, Span, Understood, Verdict
from scripts.loader import load_script
from scripts.schema import FLOORS, Script

TODAY = date(2026, 11, 21)
NOW = datetime(2026, 11, 22, tzinfo=UTC)
LANGS: tuple[Lang, ...] = ("zh", "en")
SCRIPTS: dict[Lang, Script] = {lang: load_script("days_1_15_reminder", lang, NOW) for lang in LANGS}
LAST4 = {"zh": "四零七二", "en": "four zero seven two"}

Slots = dict[str, str | tuple[str, ...] | None]


def turn(
    intent: str,
    slots: Slots | None = None,
    *,
    text: str = "",
    emotion: str = "neutral",
    also: Sequence[tuple[str, float]] = (),
    confidence: float = 0.9,
    lang: Lang = "zh",
) -> Understood:
    values = {
        name: SlotValue(None, "", 0, 0, value) if isinstance(value, tuple) else SlotValue(value, value or "", 0, 0)
        for name, value in (slots or {}).items()
    }
    return Understood(
        heard=Heard(text, lang, Span(0, 1), confidence=0.9),
        intent=intent,
        confidence=confidence,
        intents=((intent, confidence), *also),
        slots=values,
        emotion=emotion,
    )


class Call:
    """A call in which every line is spoken in full unless a test says otherwise."""

    def __init__(self, lang: Lang, case: CaseFile | None = None, *, speak: bool = True) -> None:
        self.lang: Lang = lang
        self.case = case or demo_case(lang, TODAY)
        self.dialogue = Dialogue(SCRIPTS[lang], self.case, TODAY)
        self.speak = speak
        self.all: list[Action] = []
        self.state, self.now = self.dialogue.start()
        self._after()

    def _after(self) -> None:
        self.all += self.now
        if self.speak:
            for line in self.lines:
                self.state, none = self.dialogue.step(self.state, LineSpoken(line, True))
                assert none == ()
        assert State.from_dict(self.state.to_dict()) == self.state

    def on(self, event: Event) -> Call:
        before = self.state
        self.state, self.now = self.dialogue.step(self.state, event)
        again = self.dialogue.step(before, event)
        assert again == (self.state, self.now), "the machine is deterministic"
        self._after()
        return self

    def hears(self, intent: str, slots: Slots | None = None, **options: object) -> Call:
        return self.on(turn(intent, slots, lang=self.lang, **options))  # type: ignore[arg-type]

    def verified(self) -> Call:
        return self.hears("confirm_identity").hears("other", text=LAST4[self.lang])

    @property
    def lines(self) -> list[str]:
        return [a.proposed.line_id for a in self.now if isinstance(a, Say)]

    @property
    def said(self) -> list[str]:
        return [a.proposed.line_id for a in self.all if isinstance(a, Say)]

    def spoken_text(self) -> str:
        return " ".join(a.proposed.text for a in self.now if isinstance(a, Say))

    def one(self, kind: type) -> Action | None:
        found = [a for a in self.now if isinstance(a, kind)]
        assert len(found) <= 1
        return found[0] if found else None

    @property
    def end(self) -> str | None:
        action = self.one(EndCall)
        return action.disposition if isinstance(action, EndCall) else None

    def every(self, kind: type) -> list[Action]:
        return [a for a in self.all if isinstance(a, kind)]


@pytest.fixture(params=LANGS)
def call(request: pytest.FixtureRequest) -> Call:
    return Call(request.param)


def tells_the_debt(call: Call, line_id: str) -> bool:
    content = SCRIPTS[call.lang].content
    line = content.lines[line_id]
    return "debt_facts" in line.purposes or any(content.slots[s].protected for s in line.slots())


# -- the scenarios of DESIGN -----------------------------------------------------------------------------------


def test_opening_discloses_and_asks_by_name_without_a_debt_fact(call: Call) -> None:
    assert call.lines == ["disclosure", "ask_name"]
    first = call.all[0]
    assert isinstance(first, Say) and not first.proposed.interruptible
    assert {"ai_disclosure", "recording_disclosure"} <= call.state.purposes_done
    text = call.spoken_text()
    assert call.case.borrower_name in text
    assert call.case.lender not in text
    assert call.now[-1] == Listen("identity", 6.0)


def test_promise(call: Call) -> None:
    call.hears("confirm_identity")
    assert call.lines == ["ask_last4"] and call.now[-1] == Listen("digits", 8.0)
    call.hears("other", {"digits": "4072"})
    assert SetParty("borrower") in call.now
    assert call.lines[-3:] == ["reason_lender", "reason_amount", "ask_when"]
    assert call.now[-1] == Listen("date_amount", 6.0)
    call.hears("promise_to_pay", {"date": "2026-12-01", "amount": "300"})
    if call.lang == "zh":
        assert call.end is None and call.lines == ["amount_too_low", "ask_amount"]
        call.hears("promise_to_pay", {"amount": "3500"})
        assert "十二月一日" in call.spoken_text() and "三千五百元" in call.spoken_text()
    else:
        assert "December first" in call.spoken_text() and "three hundred dollars" in call.spoken_text()
    assert call.lines == ["confirm_promise"] and call.now[-1] == Listen("yes_no", 6.0)
    call.hears("affirm")
    amount = Decimal("3500.00") if call.lang == "zh" else Decimal("300.00")
    assert call.one(RecordPromise) == RecordPromise(date(2026, 12, 1), amount)
    assert call.lines == ["promise_thanks", "rights", "rights_number", "goodbye"]
    assert call.one(EndCall) == EndCall("promise_to_pay", after="goodbye")


def test_promise_slot_by_slot(call: Call) -> None:
    call.verified().hears("promise_to_pay")
    assert call.lines == ["ask_date"]
    call.hears("other", {"date": "2026-12-01"})
    assert call.lines == ["ask_amount"]
    call.hears("affirm")
    assert call.lines == ["confirm_promise"] and call.state.promise_amount == f"{call.case.amount_due:.2f}"
    assert call.hears("confirm_identity").end == "promise_to_pay"


def test_amount_first_then_date(call: Call) -> None:
    call.verified().hears("promise_to_pay", {"amount": "200" if call.lang == "en" else "2000"})
    assert call.lines == ["ask_date"]
    assert call.hears("callback_later", {"date": "2026-11-27"}, text="下周五").lines == ["confirm_promise"]


def test_ambiguous_values_are_read_back_as_a_question(call: Call) -> None:
    call.verified().hears("promise_to_pay", {"date": ("2026-11-25", "2026-12-02")})
    assert call.lines == ["clarify_date"] and call.state.promise_date is None
    assert call.hears("affirm").lines == ["ask_date"]
    call.hears("other", {"date": "2026-12-02"})
    options = ("300", "500") if call.lang == "zh" else ("60", "350")
    call = call.hears("other", {"amount": options})
    assert call.lines == ["clarify_amount"] and call.state.promise_amount is None
    assert call.hears("other", {"amount": options[1]}).lines == ["confirm_promise"]


def test_options_that_are_not_possible_are_not_asked_about(call: Call) -> None:
    call.verified().hears("promise_to_pay", {"date": ("2026-11-02", "2026-12-02"), "amount": "300.00"})
    assert call.state.promise_date == "2026-12-02"


@pytest.mark.parametrize(("when", "line"), [("2026-11-20", "date_past"), ("2027-03-01", "date_too_far")])
def test_impossible_dates_are_asked_again_and_then_handed_over(call: Call, when: str, line: str) -> None:
    call.verified()
    for _ in range(2):
        assert call.hears("promise_to_pay", {"date": when, "amount": "300"}).lines == [line, "ask_date"]
    assert call.hears("promise_to_pay", {"date": when}).end == "human_handoff"


def test_more_than_is_due_is_not_recorded(call: Call) -> None:
    call.verified().hears("promise_to_pay", {"date": "2026-12-01", "amount": "99999"})
    assert call.lines == ["amount_too_high", "ask_amount"]
    assert call.hears("affirm").lines == ["confirm_promise"]


def test_a_promise_without_date_or_amount_ends_with_a_human(call: Call) -> None:
    call.verified()
    assert call.hears("promise_to_pay").lines == ["ask_date"]
    assert call.hears("promise_to_pay").lines == ["date_needed", "ask_date"]
    assert call.hears("promise_to_pay").end == "human_handoff"
    other = Call(call.lang).verified()
    assert other.hears("promise_to_pay", {"date": "2026-12-01"}).lines == ["ask_amount"]
    assert other.hears("promise_to_pay", {"amount": None}).lines == ["ask_amount_open"]
    assert other.hears("promise_to_pay").end == "human_handoff"


def test_a_corrected_promise_is_read_back_again(call: Call) -> None:
    call.verified().hears("promise_to_pay", {"date": "2026-12-01", "amount": f"{call.case.amount_due}"})
    assert call.hears("deny", {"date": "2026-12-03"}).lines == ["confirm_promise"]
    assert call.state.promise_date == "2026-12-03"
    assert call.hears("deny").lines == ["promise_wrong", "ask_date"]
    assert call.state.promise_date is None and call.state.promise_amount is None
    assert not call.every(RecordPromise)


def test_hardship_is_heard_and_an_allowed_plan_offered(call: Call) -> None:
    call.verified().hears("hardship", emotion="sad")
    assert call.lines == ["hardship_listen", "offer_plan"]
    assert call.case.plans[0] in call.spoken_text()
    assert not any("ask_payment" in SCRIPTS[call.lang].line(i).purposes for i in call.lines)
    assert call.hears("affirm").end == "plan_requested"
    assert Note("plan", call.case.plans[0]) in call.now


def test_plans_are_offered_in_turn_then_a_human(call: Call) -> None:
    case = replace(call.case, plans=("plan A", "plan B"))
    call = Call(call.lang, case).verified().hears("request_plan")
    assert "plan A" in call.spoken_text()
    assert "plan B" in call.hears("deny").spoken_text()
    assert call.hears("deny").end == "human_handoff"


def test_no_plan_allowed_means_a_human(call: Call) -> None:
    call = Call(call.lang, replace(call.case, plans=())).verified().hears("hardship")
    assert call.end == "human_handoff" and "offer_plan" not in call.said
    assert call.one(Transfer) == Transfer("hardship", False, "plan_human")


def test_already_paid(call: Call) -> None:
    call.verified().hears("already_paid", {"date": "2026-11-20"})
    assert call.end == "paid_claimed" and Note("paid_date", "2026-11-20") in call.now


def test_wrong_number(call: Call) -> None:
    call.hears("deny_identity")
    assert call.lines == ["wrong_number", "goodbye"] and call.end == "wrong_number"
    assert Restrict("wrong_number") in call.now and SetParty("third_party") in call.now


@pytest.mark.parametrize("text", ["不是。", "No.", "no, I'm not"])
def test_a_bare_no_is_asked_about(call: Call, text: str) -> None:
    assert call.hears("deny_identity", text=text).lines == ["ask_right_number"]
    assert Call(call.lang).hears("deny").hears("affirm").lines == ["relay_request"]
    assert call.hears("deny").end == "wrong_number"


def test_family_member_relays(call: Call) -> None:
    call.hears("third_party")
    assert call.lines == ["relay_request"] and call.state.party == "third_party"
    call.hears("ask_details")
    assert call.lines == ["third_private"]
    assert call.hears("affirm").end == "third_party_reached"
    assert not any(tells_the_debt(call, line) for line in call.said)
    assert call.said.count("relay_request") == 1


def test_a_refused_relay_ends_it_for_good(call: Call) -> None:
    call.hears("third_party").hears("refuse_to_pay")
    assert call.end == "third_party_reached" and Restrict("relay_refused") in call.now


def test_the_relay_request_is_made_once(call: Call) -> None:
    call.hears("third_party").hears("confirm_identity")
    assert call.state.party == "unverified"
    assert call.hears("third_party").end == "third_party_reached"
    assert call.said.count("relay_request") == 1


def test_robot_question_gets_the_truth_and_the_call_goes_on(call: Call) -> None:
    assert call.hears("ask_if_robot").lines == ["robot_truth", "ask_name"]
    call.verified()
    assert call.hears("ask_if_robot").lines == ["robot_truth", "ask_when"]
    mixed = call.hears("promise_to_pay", {"date": "2026-12-01"}, also=[("ask_if_robot", 0.5)])
    assert mixed.lines == ["robot_truth", "ask_amount"]


def test_angry_then_stop_calling(call: Call) -> None:
    call.verified().hears("abuse", emotion="angry")
    assert call.lines[0] == "abuse_calm"
    call.hears("stop_contact", emotion="angry")
    assert call.end == "stop_contact" and Restrict("stop_contact") in call.now
    assert call.lines == ["stop_ack", "goodbye"]


def test_abuse_twice_closes(call: Call) -> None:
    assert call.hears("abuse").hears("abuse").end == "refused"


def test_wants_human(call: Call) -> None:
    call.hears("request_human")
    assert call.one(Transfer) == Transfer("request_human", False, "handoff") and call.end == "human_handoff"


def test_voicemail_waits_for_the_greeting_to_end(call: Call) -> None:
    call.hears("voicemail")
    assert call.now == (SetParty("voicemail"), Listen(None, 2.0))
    assert call.hears("callback_later").lines == []
    call.on(Silence(2.0))
    assert call.lines == ["voicemail_message", "voicemail_number"]
    assert call.one(EndCall) == EndCall("voicemail", after="voicemail_number")
    assert not any(tells_the_debt(call, line) for line in call.said)


def test_a_person_taken_for_a_machine_gets_the_call_back(call: Call) -> None:
    call.on(MachineDetected())
    assert call.state.party == "voicemail"
    assert call.hears("ask_who").lines == ["robot_truth", "disclosure", "ask_name"]
    assert call.state.party == "unverified"


def test_a_verified_borrower_is_no_machine(call: Call) -> None:
    before = call.verified().state
    assert call.on(MachineDetected()).state == before and call.now == ()


def test_silence_prompts_twice_then_closes(call: Call) -> None:
    assert call.on(Silence(6)).lines == ["silence_1", "ask_name"]
    assert call.on(Silence(6)).lines == ["silence_2", "ask_name"]
    assert call.on(Silence(6)).end == "no_response"


def test_silence_counts_in_a_row(call: Call) -> None:
    call.on(Silence(6)).on(Silence(6)).hears("greeting").on(Silence(6))
    assert call.lines[0] == "silence_1"


def test_crisis_hands_over_urgently(call: Call) -> None:
    call.verified().hears("hardship", also=[("crisis", 0.3)])
    assert call.lines == ["crisis_care"] and call.end == "crisis_handoff"
    assert call.one(Transfer) == Transfer("crisis", True, "crisis_care")
    assert Flag("crisis", "critical") in call.now


def test_interrupted_disclosure_is_repeated() -> None:
    for lang in LANGS:
        call = Call(lang, speak=False)
        call.on(LineSpoken("disclosure", False))
        assert call.state.owed == ("disclosure",) and not call.state.purposes_done
        call.hears("confirm_identity")
        assert call.lines == ["disclosure", "ask_last4"]
        call.on(LineSpoken("disclosure", True))
        assert call.state.owed == () and "ai_disclosure" in call.state.purposes_done


def test_hanging_up_mid_sentence(call: Call) -> None:
    call.verified().on(HungUp())
    assert call.now == (EndCall("hung_up"),)
    assert call.on(Silence(6)).now == ()


def test_hanging_up_after_the_promise_keeps_it(call: Call) -> None:
    call.verified().hears("promise_to_pay", {"date": "2026-12-01", "amount": f"{call.case.amount_due}"})
    call.hears("affirm").on(HungUp())
    assert call.now == (EndCall("promise_to_pay"),)


def test_disputes(call: Call) -> None:
    assert call.verified().hears("dispute_amount").end == "disputed"
    other = Call(call.lang).verified().hears("dispute_debt")
    assert other.end == "disputed" and Restrict("dispute_debt") in other.now


def test_refusing_twice_closes_after_the_truth_was_told_once(call: Call) -> None:
    call.verified().hears("refuse_to_pay")
    assert call.lines == ["refuse_listen", "consequence_credit", "ask_still"]
    assert call.hears("refuse_to_pay").end == "refused"
    assert Call(call.lang).verified().hears("deny").hears("refuse_to_pay").end == "refused"


def test_a_consequence_is_only_named_if_the_case_says_it_is_true(call: Call) -> None:
    call = Call(call.lang, replace(call.case, credit_report_due=False)).verified()
    call.hears("refuse_to_pay").hears("ask_details")
    assert "consequence_credit" not in call.said


# -- verification ----------------------------------------------------------------------------------------------


def test_two_wrong_numbers_close_politely(call: Call) -> None:
    call.hears("confirm_identity").hears("other", {"digits": "1234"})
    assert call.lines == ["verify_retry"] and call.now[-1] == Listen("digits", 8.0)
    call.hears("other", {"digits": "4321"})
    assert call.end == "failed" and call.lines == ["verify_failed", "goodbye"]
    assert not any(tells_the_debt(call, line) for line in call.said)


def test_half_a_number_is_no_try(call: Call) -> None:
    call.hears("confirm_identity").hears("other", {"digits": "407"})
    assert call.lines == ["digits_partial"]
    assert call.hears("other", {"digits": "4072"}).state.party == "borrower"


def test_verification_by_keys(call: Call) -> None:
    call.hears("confirm_identity")
    for key in "407":
        assert call.on(Dtmf(key)).now == ()
    assert call.on(Dtmf("2")).state.party == "borrower"
    assert call.on(Dtmf("0")).end == "human_handoff"


@pytest.mark.parametrize("text", ["四零七二", "4072", "是四零七二", "四 〇 七 二", "four oh seven two", "it's 4 0 7 2"])
def test_digits_are_read_from_the_words_too(text: str) -> None:
    assert Call("zh").hears("confirm_identity").hears("promise_to_pay", text=text).state.party == "borrower"


def test_a_whole_identity_number_counts(call: Call) -> None:
    call.hears("confirm_identity").hears("other", {"digits": "110101199001014072"})
    assert call.state.party == "borrower"


def test_asking_why_is_answered_once(call: Call) -> None:
    call.hears("confirm_identity")
    assert call.hears("refuse_to_pay").lines == ["verify_why", "ask_last4_short"]
    assert call.hears("deny").lines == ["verify_why", "ask_last4_short"]
    assert call.hears("refuse_to_pay").end == "refused"


@pytest.mark.parametrize(
    "intent",
    ["promise_to_pay", "already_paid", "hardship", "request_plan", "dispute_amount", "ask_details", "ask_how_to_pay"],
)
def test_before_verification_money_talk_leads_back_to_it(call: Call, intent: str) -> None:
    call.hears("confirm_identity").hears(intent, {"date": "2026-12-01"})
    assert call.lines == ["verify_first", "ask_last4_short"]
    assert not any(tells_the_debt(call, line) for line in call.said)


# -- questions, another time, repair ---------------------------------------------------------------------------


def test_questions_are_answered_and_the_call_goes_on(call: Call) -> None:
    assert call.hears("ask_who").lines == ["who_unverified", "ask_name"]
    call.verified()
    assert call.hears("ask_who").lines == ["who_verified", "ask_when"]
    assert call.hears("ask_details").lines == ["details", "consequence_credit", "ask_when"]
    assert call.hears("ask_how_to_pay").lines == ["how_to_pay", "ask_when"]
    assert call.hears("suspect_scam").lines == ["scam_reassure", "scam_number", "ask_when"]
    assert call.hears("suspect_scam").end == "refused"


def test_callback_with_a_time(call: Call) -> None:
    call.hears("callback_later", {"date": "2026-11-22", "time": "15:30"})
    assert call.end == "callback_booked" and call.lines == ["callback_both", "goodbye"]
    assert Note("callback_date", "2026-11-22") in call.now and Note("callback_time", "15:30") in call.now


def test_callback_asks_for_the_time_once(call: Call) -> None:
    assert call.verified().hears("callback_later").lines == ["ask_callback"]
    assert call.hears("other", {"time": ("03:00", "15:00")}).lines == ["callback_clock", "goodbye"]
    assert call.state.callback_time == "15:00"
    other = Call(call.lang).hears("callback_later").hears("callback_later")
    assert other.lines == ["callback_any", "goodbye"] and other.end == "callback_booked"


def test_callback_in_the_night_is_not_booked(call: Call) -> None:
    assert call.hears("callback_later", {"time": "23:00"}).lines == ["callback_hours", "ask_callback"]
    assert call.state.callback_time is None


def test_repeat_says_the_last_lines_again_slower(call: Call) -> None:
    normal = call.verified().spoken_text()
    call.hears("repeat_request")
    assert call.lines == ["reason_amount", "ask_when"] and call.spoken_text() not in normal


def test_not_understood_twice_means_a_human(call: Call) -> None:
    assert call.hears("other").lines == ["not_understood", "ask_name"]
    assert call.hears("other").end == "human_handoff"


def test_hearing_badly_asks_again(call: Call) -> None:
    assert call.on(NotHeard()).lines == ["not_heard"]
    assert call.on(NotHeard()).lines == ["not_heard", "ask_name"]
    assert call.on(NotHeard()).end == "human_handoff"


def test_an_unsure_reading_is_not_acted_on_but_a_floor_is(call: Call) -> None:
    call.verified()
    assert call.hears("already_paid", confidence=0.05).lines[0] == "not_understood"
    assert call.hears("stop_contact", confidence=0.05).end == "stop_contact"


def test_complaints_go_to_a_human_with_a_rights_notice(call: Call) -> None:
    call.hears("complain")
    assert call.lines == ["complain_ack", "offer_human"]
    assert call.hears("affirm").end == "human_handoff"
    assert Call(call.lang).hears("complain").hears("complain").end == "human_handoff"
    assert Call(call.lang).hears("complain").hears("deny").end == "refused"
    assert Call(call.lang).hears("complain").hears("stop_contact").end == "stop_contact"


def test_a_disclosure_on_its_way_counts_for_the_lines_behind_it() -> None:
    call = Call("zh", speak=False)
    assert {"ai_disclosure", "recording_disclosure"} <= call.state.facts(call.case).purposes_done
    call.on(LineSpoken("disclosure", False))
    assert "ai_disclosure" not in call.state.facts(call.case).purposes_done


def test_an_upset_borrower_is_answered_softly(call: Call) -> None:
    calm = Call(call.lang).verified().hears("hardship").spoken_text()
    assert call.verified().hears("hardship", emotion="sad").spoken_text() != calm


def test_no_call_goes_on_forever(call: Call) -> None:
    for _ in range(100):
        call.hears("greeting")
        if call.end:
            break
    assert call.end == "human_handoff" and call.state.turns <= 45


def test_goodbye_ends_the_call(call: Call) -> None:
    assert call.verified().hears("goodbye").end == "hung_up"


# -- refusals by the gate --------------------------------------------------------------------------------------


def test_a_refused_line_leads_to_a_human(call: Call) -> None:
    call.verified().on(LineRefused("reason_amount", Verdict("refuse", "")))
    assert call.lines == ["fallback"] and call.end == "human_handoff"
    call.on(LineRefused("fallback", Verdict("refuse", "")))
    assert call.lines == [] and call.end == "human_handoff"
    assert call.one(Transfer) == Transfer("line_refused", False, None)


def test_a_refused_line_at_the_end_is_left_out(call: Call) -> None:
    call.verified().hears("already_paid").on(LineRefused("rights", Verdict("refuse", "")))
    assert call.lines == ["goodbye"] and call.one(EndCall) == EndCall("paid_claimed", "goodbye")


def test_a_refused_crisis_line_still_hands_over(call: Call) -> None:
    call.hears("crisis").on(LineRefused("crisis_care", Verdict("refuse", "")))
    assert call.one(Transfer) == Transfer("line_refused", True, None) and call.end == "crisis_handoff"


def test_the_gate_may_end_the_call(call: Call) -> None:
    assert call.verified().on(LineRefused("ask_when", Verdict("end_call", ""))).end == "failed"


def test_a_line_without_its_fact_is_never_half_said(call: Call) -> None:
    call = Call(call.lang, replace(call.case, call_back_number="", min_payment=None))
    call.hears("voicemail").on(Silence(2))
    assert call.lines == ["voicemail_message"]
    low = Call(call.lang, call.case).verified().hears("promise_to_pay", {"date": "2026-12-01", "amount": "0"})
    assert low.lines == ["amount_not_possible", "ask_amount"]


def test_braces_in_a_case_are_only_text(call: Call) -> None:
    call = Call(call.lang, replace(call.case, borrower_name="{amount_due}"))
    assert "{amount_due}" in call.spoken_text()


# -- the floors, in every state --------------------------------------------------------------------------------

PARTY_OF_STATE = {
    (lang, name, party): None
    for lang in LANGS
    for name, spec in SCRIPTS[lang].content.states.items()
    for party in spec.party
}


def in_state(lang: Lang, name: str, party: str) -> Call:
    """A call put into one state of the script, as if it had come there."""
    call = Call(lang)
    call.state = replace(
        call.state,
        node=name,
        party=party,  # type: ignore[arg-type]
        promise_date="2026-12-01",
        promise_amount="300.00",
        date_options=("2026-12-01", "2026-12-08") if name == "clarify_date" else (),
        amount_options=("300.00", "350.00") if name == "clarify_amount" else (),
        plan=call.case.plans[0],
        plans_offered=0 if name != "offer_plan" else 1,
        relayed=name == "relay",
    )
    call.all = []
    return call


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize(("lang", "name", "party"), list(PARTY_OF_STATE))
def test_floor_holds(lang: Lang, name: str, party: str, floor: str) -> None:
    call = in_state(lang, name, party).hears(floor)
    content = SCRIPTS[lang].content
    asks = [i for i in call.lines if "ask_payment" in content.lines[i].purposes]
    if party == "voicemail" and floor not in ("crisis", "stop_contact", "ask_if_robot", "abuse"):
        assert call.lines == []  # a machine's greeting
        return
    if floor == "crisis":
        transfer = call.one(Transfer)
        assert isinstance(transfer, Transfer) and transfer.urgent and call.end == "crisis_handoff"
    elif floor == "request_human":
        assert call.one(Transfer) is not None and call.end == "human_handoff"
    elif floor in ("stop_contact", "legal_representation", "dispute_debt", "deceased_or_incapacitated"):
        assert call.one(Restrict) == Restrict(floor) and call.end is not None and not asks
        assert call.lines[-1] == "goodbye"
    elif floor in ("deny_identity", "third_party"):
        assert call.state.party == "third_party" and not asks
        assert not any(tells_the_debt(call, line) for line in call.lines)
        before = call.said.count("relay_request")
        if not call.end:
            call.hears("deny")
            assert call.end == "third_party_reached" and Restrict("relay_refused") in call.now
            assert call.said.count("relay_request") == before
    elif floor == "ask_if_robot":
        assert call.lines[0] == "robot_truth" and call.end is None
    elif floor == "abuse":
        assert call.lines[0] == "abuse_calm" or call.end
        assert call.end or call.hears("abuse").end
    else:
        assert not asks
        if party == "borrower":
            assert call.lines[-1] == "offer_plan" or call.end in ("human_handoff", "plan_requested")
        assert party == "borrower" or not any(tells_the_debt(call, line) for line in call.lines)


@pytest.mark.parametrize("floor", FLOORS)
@pytest.mark.parametrize("lang", LANGS)
def test_floors_hold_while_the_goodbye_is_spoken(lang: Lang, floor: str) -> None:
    due = f"{demo_case(lang).amount_due}"
    call = Call(lang).verified().hears("promise_to_pay", {"date": "2026-12-01", "amount": due})
    call.hears("affirm")
    call.all = []
    call.hears(floor)
    if floor == "crisis":
        assert call.end == "crisis_handoff"
    elif floor == "request_human":
        assert call.end == "human_handoff"
    elif floor in ("stop_contact", "legal_representation", "dispute_debt", "deceased_or_incapacitated"):
        assert call.one(Restrict) == Restrict(floor)
    elif floor == "ask_if_robot":
        assert call.lines == ["robot_truth"] and call.end == "promise_to_pay"
    elif floor == "abuse":
        assert call.lines == []
    elif floor in ("hardship", "request_plan"):
        assert "offer_plan" in call.lines
    assert not any("ask_payment" in SCRIPTS[lang].line(i).purposes for i in call.lines)


@pytest.mark.parametrize("lang", LANGS)
def test_after_a_handover_only_restrictions_are_recorded(lang: Lang) -> None:
    call = Call(lang).hears("request_human").hears("stop_contact")
    assert call.now == (Restrict("stop_contact"), Flag("stop_contact_at_close", "warning"))
    assert call.hears("crisis").end == "crisis_handoff"


# -- values ----------------------------------------------------------------------------------------------------


def test_facts_for_the_gate(call: Call) -> None:
    facts = call.state.facts(call.case)
    assert facts.party == "unverified" and facts.policy == SCRIPTS[call.lang].policy
    assert "id_last4" not in facts.case
    call.verified().hears("promise_to_pay", {"date": "2026-12-01", "amount": f"{call.case.amount_due}"})
    facts = call.state.facts(call.case)
    assert facts.party == "borrower" and facts.case["promise_date"] == "2026-12-01"
    assert facts.case["amount_due"] == f"{call.case.amount_due:.2f}"


def test_the_verification_secret_is_in_no_line(call: Call) -> None:
    call.verified().hears("promise_to_pay", {"date": "2026-12-01", "amount": f"{call.case.amount_due}"})
    call.hears("affirm")
    for action in call.all:
        if isinstance(action, Say):
            assert "4072" not in action.proposed.text and LAST4[call.lang] not in action.proposed.text


def test_state_refuses_unknown_fields() -> None:
    with pytest.raises(ValueError, match="unknown field 'mood'"):
        State.from_dict({"node": "identity", "mood": 1})
    with pytest.raises(ValueError, match="'node' is missing"):
        State.from_dict({})


def test_prerendered_lines_are_what_will_be_said(call: Call) -> None:
    ready = {(p.line_id, p.text) for p in call.dialogue.prerender()}
    call.verified().hears("hardship", emotion="sad").hears("affirm")
    for action in call.all:
        if isinstance(action, Say):
            assert (action.proposed.line_id, action.proposed.text) in ready
            assert action.proposed.script_hash == SCRIPTS[call.lang].content_hash


def test_anger_twice_in_a_row_hands_over(call: Call) -> None:
    call.verified().hears("ask_how_to_pay", emotion="angry")
    assert call.end is None
    call.hears("ask_details", emotion="angry")
    assert call.end == "human_handoff" and call.one(Transfer).reason == "request_human"


def test_anger_that_cools_down_does_not_hand_over(call: Call) -> None:
    call.verified().hears("ask_how_to_pay", emotion="angry").hears("ask_details").hears("ask_details", emotion="angry")
    assert call.end is None


def test_anger_does_not_outweigh_a_floor_or_a_kept_promise(call: Call) -> None:
    call.verified().hears("ask_details", emotion="angry").hears("stop_contact", emotion="angry")
    assert call.end == "stop_contact"


def test_anxious_callers_hear_the_softer_or_the_slower_wording(call: Call) -> None:
    def wording(line_id: str) -> str:
        return next(a.proposed.text for a in call.now if isinstance(a, Say) and a.proposed.line_id == line_id)

    call.hears("confirm_identity").hears("other", text=LAST4[call.lang], emotion="anxious")
    plain, slower = (call.dialogue.propose(call.state, "reason_amount", style).text for style in (None, "slower"))
    assert wording("reason_amount") == slower != plain
    softer = call.dialogue.propose(call.state, "ask_when", "softer").text
    assert wording("ask_when") == softer != call.dialogue.propose(call.state, "ask_when").text


def test_calm_callers_hear_the_plain_wording(call: Call) -> None:
    call.verified()
    said = {a.proposed.line_id: a.proposed.text for a in call.now if isinstance(a, Say)}
    assert all(text == call.dialogue.propose(call.state, name).text for name, text in said.items())
