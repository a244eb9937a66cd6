"""A turn becomes a signal: a floor first, then what the state asked for, then the plain intent."""

from __future__ import annotations

import re
from datetime import date

from agent.case import CaseFile
from agent.dialogue_read import (
    forget_promise,
    has_promise_slots,
    judge_promise,
    mostly_digits,
    offered_numbers,
    read_callback,
    read_promise,
    verify,
)
from agent.dialogue_types import State
from agent.events import Understood
from scripts.schema import FLOORS, Content

# Taken wherever they appear among a turn's intents, in this order: whoever says them must not be overheard.
_OVERRIDING = (
    "crisis",
    "stop_contact",
    "legal_representation",
    "deceased_or_incapacitated",
    "dispute_debt",
    "request_human",
)
_OVERRIDING_CONFIDENCE = 0.4
RESTRICTING = frozenset(_OVERRIDING[1:5])
# Intents under which a date or an amount is an answer to the question when to pay.
_CARRIERS = frozenset({"promise_to_pay", "affirm", "deny", "confirm_identity", "other", "greeting"})
# Intents under which digits are an answer to the request for them, even if they are the wrong ones.
_DIGIT_CARRIERS = frozenset(
    {"affirm", "confirm_identity", "other", "greeting", "promise_to_pay", "deny", "ask_details", "already_paid"}
)
# What a model may take "this is so-and-so" for.
_NAMING = frozenset({"other", "greeting", "ask_who"})
# Floors that end the call as reaching somebody else: a guess is not enough, and asking again discloses nothing.
_NOT_THEM = frozenset({"deny_identity", "third_party"})
_NOT_THEM_CONFIDENCE = 0.5
_CALL_AGAIN = re.compile(r"打(?!算)|联系|再说|回电|\b(call|ring|talk|speak|phone|busy)\b", re.IGNORECASE)
# "No" to "are you X?" leaves open whether the number is wrong or somebody else has picked up.
_BARE_NO = re.compile(
    r"(不|不是|不是的|不是我|我不是|不是本人|"
    r"no|nope|nah|no,? (i'?m|i am) not|i'?m not|i am not|not me)[\s,.!?，。！？]*",
    re.IGNORECASE,
)


def overriding(turn: Understood) -> str | None:
    """The floor that a turn calls for whatever else it says, or ``None``. Crisis counts at any confidence."""
    heard = dict(turn.intents)
    for name in _OVERRIDING:
        if turn.intent == name or (name == "crisis" and name in heard):
            return name
        if heard.get(name, 0.0) >= _OVERRIDING_CONFIDENCE:
            return name
    return None


def signal_of(state: State, turn: Understood, content: Content, case: CaseFile, today: date) -> tuple[State, str]:
    """The signal of a turn (an intent, or an event of ``scripts.schema``) and the state with what the turn settled."""
    node, limits = content.states[state.node], content.limits
    intent = turn.intent
    if node.reads == "digits":
        result = verify(offered_numbers(turn), case.id_last4)
        answers = result == "verify_ok" or intent in _DIGIT_CARRIERS
        if result is not None and (mostly_digits(turn.heard.text) or (answers and overriding(turn) is None)):
            return state, result
    floor = overriding(turn)
    if floor is not None:
        return state, floor
    if node.reads == "callback" or (intent == "callback_later" and not _means_promise(state, turn, content)):
        slots = bool({"date", "time"} & turn.slots.keys())
        if intent == "callback_later" or (slots and intent in (*_CARRIERS, "repeat_request")):
            return read_callback(state, turn, today, limits)
    if state.party == "borrower":
        found = _read_promise(state, turn, content, case, today)
        if found is not None:
            return found
    if node.reads == "identity" and (intent == "affirm" or (intent in _NAMING and _says_own_name(turn, case))):
        return state, "confirm_identity"
    if node.reads == "identity" and intent == "deny_identity" and _BARE_NO.fullmatch(turn.heard.text.strip()):
        return state, "deny"
    if node.reads in ("plan", "confirm_promise", "promise") and intent == "confirm_identity":
        intent = "affirm"
    doubtful = turn.confidence < limits.min_confidence and intent not in FLOORS
    if doubtful or (intent in _NOT_THEM and turn.confidence < _NOT_THEM_CONFIDENCE):
        return state, "not_understood"
    return state, intent


def _says_own_name(turn: Understood, case: CaseFile) -> bool:
    """Whether the name we asked for is in the answer, or a part of it: who it is, the secret still has to show.

    A recogniser seldom gets a whole name right, hence any part of a name in Latin letters counts.
    """
    name, said = case.borrower_name.casefold(), " ".join(turn.heard.text.casefold().split())
    return name in said or any(part in said.split() for part in name.split() if len(part) > 2 and part.isascii())


def _means_promise(state: State, turn: Understood, content: Content) -> bool:
    """A bare date where a date was asked for is an answer, though it sounds like "call me then"."""
    asked = content.states[state.node].reads in ("promise", "confirm_promise")
    bare = "time" not in turn.slots and "date" in turn.slots and not _CALL_AGAIN.search(turn.heard.text)
    return turn.intent == "callback_later" and asked and bare and state.party == "borrower"


def _read_promise(
    state: State, turn: Understood, content: Content, case: CaseFile, today: date
) -> tuple[State, str] | None:
    reads, intent = content.states[state.node].reads, turn.intent
    asked = reads in ("promise", "confirm_promise")
    answer = asked and (intent in _CARRIERS or _means_promise(state, turn, content)) and has_promise_slots(turn)
    yes = intent in ("affirm", "confirm_identity")
    if reads == "confirm_promise":
        before = (state.promise_date, state.promise_amount)
        after = read_promise(state, turn, case, today, content.limits)
        same = (after.promise_date, after.promise_amount) == before and not after.date_options
        if same and not after.amount_options:
            if yes or intent == "promise_to_pay":
                return state, "promise_confirmed"
            return (forget_promise(state), "deny") if intent == "deny" else None
        if not answer and intent != "promise_to_pay":
            return None
        return judge_promise(after, case, today, content.limits)
    settles = yes and reads == "promise" and state.promise_date is not None
    if not (intent == "promise_to_pay" or answer or settles):
        return None
    state = read_promise(state, turn, case, today, content.limits)
    return judge_promise(state, case, today, content.limits)
